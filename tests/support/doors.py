"""What tests see of the inside of a `TokenSource`: all of it, for they look in nowhere else.

Each says what it means for a login. How the source keeps it may change, and then this file does.
A test that can do with `repr()`, events, or what it passed in, does not come here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from requests_tokenrefresh import Token, TokenSource

INTO_A_FLIGHT = [("return", "_open_flight"), ("call", "_lead")]
"""Where a thread has opened a flight, and where it begins to lead it: as `sys.setprofile` tells."""


def flying(source: TokenSource) -> str | None:
    """Return why a refresh, or the trial of what it brought, is under way; None: none is."""
    flight = source._flight
    return None if flight is None else flight.why


def waiters(source: TokenSource) -> int:
    """Return how many threads, or greenlets, wait for the flight that is under way."""
    flight = source._flight
    return 0 if flight is None else len(flight.news._waiters)  # type: ignore[attr-defined]


def is_proven(source: TokenSource, token: Token) -> bool:
    """Return whether a server has accepted *token*, and the source has learnt it."""
    return source._proven is token


@contextmanager
def holding_the_lock(source: TokenSource) -> Iterator[None]:
    """Hold it, as another thread might at any moment."""
    with source._turn:
        yield


@contextmanager
def without_the_lock(source: TokenSource) -> Iterator[None]:
    """Fail whoever takes it meanwhile."""
    lock, source._turn = source._turn, _Untouchable()  # type: ignore[assignment]
    try:
        yield
    finally:
        source._turn = lock


def lock_is_free(source: TokenSource) -> bool:
    """Return whether no thread holds it, this one included."""
    seen: list[bool] = []

    def look() -> None:
        free = source._turn.acquire(blocking=False)
        if free:
            source._turn.release()
        seen.append(free)

    other = threading.Thread(target=look)  # this one might take it a second time
    other.start()
    other.join()
    return seen == [True]


class _Untouchable:
    def __enter__(self) -> None:
        raise AssertionError("the lock was taken")

    def __exit__(self, *_exc: object) -> None: ...
