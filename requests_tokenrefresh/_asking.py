"""One question to the issuer, and its answer as a token or as one of our errors."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ._errors import TokenRefreshError
from ._flight import Flights
from ._login import Hand
from ._token import Token, read_reply
from .refreshers._early import refreshing
from .refreshers._others import failure_in, failure_of

Reply: TypeAlias = Token | Mapping[str, Any] | str

_log = logging.getLogger("requests_tokenrefresh")


class Asking:
    """Asks a refresher, or for an unattended login."""

    def __init__(self, flights: Flights, take: Callable[[Token, bool], Hand]) -> None:
        self._flights = flights
        self._take = take

    def ask(self, ask: Callable[[], Reply], basis: Token | None, *, early: bool) -> Token:
        """Return the token that replaces *basis*.

        Args:
            early: Whether *basis* still works, so that it must not take long.

        Raises:
            LoginRequiredError: The issuer has refused for good.
            RefreshFailedError: Anything else that went wrong.
        """
        # From before the request: the lifetime began when the server made its reply, so this
        # expiry is never later than the server's.
        asked_at = self._flights.now().wall
        try:
            with refreshing(early=early):
                reply = ask()
        except TokenRefreshError:
            raise
        except Exception as error:
            now = self._flights.now().wall
            raise failure_of(error, basis=basis, asked_at=asked_at, now=now) from error
        token = _token_in(reply, basis, asked_at)
        del reply  # this frame may be part of a traceback, and there are tools that show variables
        if isinstance(token, TokenRefreshError):
            raise token
        if not self._take(token, False).counts_as_expired(self._flights.now()):
            return token
        _log.warning("a new token has expired on arrival: do the clocks disagree? Using it anyway")
        return dataclasses.replace(token, expires_at=None)


def _token_in(reply: Reply, basis: Token | None, asked_at: float) -> Token | TokenRefreshError:
    try:
        return read_reply(reply, received_at=asked_at, previous=basis)
    except ValueError as error:
        return failure_in(reply, str(error))
