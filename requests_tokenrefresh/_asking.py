"""One question to the issuer, and its answer as a token or as one of our errors."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ._errors import LoginRequiredError, RefreshFailedError, TokenRefreshError, says_invalid_grant
from ._flight import Flights
from ._hand import Hand
from ._token import Token, read_reply

Reply: TypeAlias = Token | Mapping[str, Any] | str

_log = logging.getLogger("requests_tokenrefresh")


class Asking:
    """Asks a refresher, or for an unattended login."""

    def __init__(self, flights: Flights, take: Callable[[Token, bool], Hand]) -> None:
        self._flights = flights
        self._take = take

    def ask(self, ask: Callable[[], Reply], basis: Token | None) -> Token:
        """Return the token that replaces *basis*.

        Raises:
            LoginRequiredError: The issuer has refused for good.
            RefreshFailedError: Anything else that went wrong.
        """
        # From before the request: the lifetime began when the server made its reply, so this
        # expiry is never later than the server's.
        asked_at = self._flights.now().wall
        try:
            token = read_reply(ask(), received_at=asked_at, previous=basis)
        except TokenRefreshError:
            raise
        except Exception as error:
            if says_invalid_grant(error):
                raise LoginRequiredError(
                    "the token endpoint refused the refresh token (invalid_grant); log in again",
                    reason="invalid_grant",
                ) from error
            # Not its message, which may repeat a URL or a form with secrets in it.
            raise RefreshFailedError(
                f"{type(error).__name__} while getting a new token"
                + ("" if basis is not None else " without an old one (nobody has logged in yet?)")
            ) from error
        if not self._take(token, False).counts_as_expired(self._flights.now()):
            return token
        _log.warning("a new token has expired on arrival: do the clocks disagree? Using it anyway")
        return dataclasses.replace(token, expires_at=None)
