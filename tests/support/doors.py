"""What tests see of the inside of a `TokenSource`: all of it, for they look in nowhere else.

Each says what it means for a login. How the source keeps it may change, and then this file does.
A test that can do with `repr()`, events, or what it passed in, does not come here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from requests_tokenrefresh import Token, TokenSource
from requests_tokenrefresh._hand import PROVEN

INTO_A_FLIGHT = [("return", "took_off"), ("call", "_lead")]
"""Where a thread has opened a flight, and where it begins to lead it: as `sys.setprofile` tells."""

OUT_OF_A_FLIGHT = [("call", "as_it_brings"), ("call", "brought"), ("return", "brought")]
"""Where what a flight brings is about to become what is in use, likewise."""


def flying(source: TokenSource) -> str | None:
    """Return why a refresh, or the trial of what it brought, is under way; None: none is."""
    flight = source._flights.login.flight
    return None if flight is None else flight.why


def waiters(source: TokenSource) -> int:
    """Return how many threads, or greenlets, wait for the flight that is under way."""
    flight = source._flights.login.flight
    return 0 if flight is None else len(flight.news._waiters)


def let_waits_end_too_late(source: TokenSource) -> None:
    """Let whoever is woken from now on in the flight that is under way have waited too long just
    then."""
    flights = source._flights
    flights.login.flight.news = _TooLate(flights.turn)  # type: ignore[union-attr]


class _TooLate(threading.Condition):
    def wait(self, timeout: float | None = None) -> bool:
        super().wait(timeout)
        return False


def trial_ends(source: TokenSource) -> float:
    """Return when the trial that is under way ends without a verdict, in monotonic seconds."""
    ends: float = source._flights.login.flight.trial_ends
    return ends


def is_proven(source: TokenSource, token: Token) -> bool:
    """Return whether a server has accepted *token*, and the source has learnt it."""
    hand = source._flights.login.hand
    return hand is not None and hand.token is token and hand.standing is PROVEN


@contextmanager
def holding_the_lock(source: TokenSource) -> Iterator[None]:
    """Hold it, as another thread might at any moment."""
    with source._flights.turn:
        yield


@contextmanager
def without_the_lock(source: TokenSource) -> Iterator[None]:
    """Fail whoever takes it meanwhile."""
    lock, source._flights.turn = source._flights.turn, _Untouchable()  # type: ignore[assignment]
    try:
        yield
    finally:
        source._flights.turn = lock


def lock_is_free(source: TokenSource) -> bool:
    """Return whether no thread holds it, this one included."""
    seen: list[bool] = []

    def look() -> None:
        free = source._flights.turn.acquire(blocking=False)
        if free:
            source._flights.turn.release()
        seen.append(free)

    other = threading.Thread(target=look)  # this one might take it a second time
    other.start()
    other.join()
    return seen == [True]


class _Untouchable:
    def __enter__(self) -> None:
        raise AssertionError("the lock was taken")

    def __exit__(self, *_exc: object) -> None: ...
