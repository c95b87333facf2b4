"""One question to the issuer, and its answer as a token or as one of our errors."""

from __future__ import annotations

import contextvars
import dataclasses
import functools
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ._errors import TokenRefreshError
from ._flight import Flight, Flights
from ._hand import Hand
from ._token import Token, read_reply
from .refreshers import Refresher
from .refreshers._early import refreshing
from .refreshers._others import failure_in, failure_of, without_tokens

Reply: TypeAlias = Token | Mapping[str, Any] | str

_HEARD = 2.0  # seconds for which a leader that was interrupted hears the answer

_log = logging.getLogger("requests_tokenrefresh")


class Asking:
    """Asks a refresher, or for an unattended login."""

    def __init__(self, flights: Flights, take: Callable[[Token, bool], Hand]) -> None:
        self._flights = flights
        self._take = take

    def refresh(self, flight: Flight, refresher: Refresher, basis: Token | None) -> Token:
        """Return the token that replaces *basis*.

        Raises:
            LoginRequiredError: The issuer has refused for good.
            RefreshFailedError: Anything else that went wrong.
        """
        return self._ask(flight, functools.partial(refresher, basis), basis, _anywhere(refresher))

    def log_in(self, flight: Flight, log_in: Callable[[], Reply]) -> Token:
        """Return the token of another login; raises the same."""
        return self._ask(flight, log_in, None, _anywhere(log_in))

    def _ask(
        self, flight: Flight, ask: Callable[[], Reply], basis: Token | None, anywhere: bool
    ) -> Token:
        # From before the request: the lifetime began when the server made its reply, so this
        # expiry is never later than the server's.
        asked_at = self._flights.now().wall
        token: Token | TokenRefreshError
        try:
            with refreshing(early=flight.why == "early"):
                reply = _heard(flight, ask) if anywhere else ask()
        except TokenRefreshError as error:
            token = without_tokens(error, basis)
        except Exception as error:
            now = self._flights.now().wall
            token = failure_of(error, basis=basis, asked_at=asked_at, now=now)
        else:
            token = _token_in(reply, basis, asked_at)
            del reply  # this frame may be in a traceback, and there are tools that show variables
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


def _anywhere(ask: object) -> bool:
    return bool(getattr(ask, "any_thread", False))


class _Answer:
    """What *ask* returns or raises, on whatever thread."""

    def __init__(self, ask: Callable[[], Reply]) -> None:
        self._ask = ask
        self._reply: Reply | None = None
        self._error: BaseException | None = None
        self.is_there = threading.Event()

    def wait_for_it(self, flight: Flight) -> None:
        flight.helper = threading.get_ident()
        try:
            self._reply = self._ask()
        except BaseException as error:
            self._error = error
        finally:
            flight.helper = None
            self.is_there.set()

    def reply(self) -> Reply | None:
        if self._error is not None:
            raise self._error
        return self._reply


def _heard(flight: Flight, ask: Callable[[], Reply]) -> Any:
    """Call *ask* so that its answer is not lost if this thread is interrupted (KeyboardInterrupt, a
    greenlet's timeout) meanwhile: the server may have rotated the refresh token already.

    The answer is heard for two seconds more; the interrupt goes on once it is saved.
    """
    answer = _Answer(ask)
    context = contextvars.copy_context()
    helper = threading.Thread(
        target=context.run,
        args=(answer.wait_for_it, flight),
        name=f"{threading.current_thread().name}, asking",
        daemon=True,
    )
    try:
        try:
            helper.start()
        except RuntimeError:
            if helper.ident is not None:
                raise  # by a signal's handler: the question is on its way
            return ask()  # no thread can be had: too many, or the end of a program on Python 3.12
        answer.is_there.wait()
    except BaseException as interrupt:
        if not answer.is_there.wait(_HEARD):
            raise
        flight.interrupt = interrupt
    return answer.reply()
