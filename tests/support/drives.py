"""Thirty-two threads drive one session through expiries; and when the renewals were."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import requests

from requests_tokenrefresh import Token, TokenRefreshAdapter, TokenSource
from tests.support.length import at_length
from tests.support.threads import run_together

THREADS = 32
ROUNDS, EACH = (5, 4) if at_length("servers") else (2, 1)
"""How many expiries in a row, and how many requests each thread makes between two."""

Endings = Counter[int | str]
"""How many requests ended how: with a status, or with the name of an exception."""


def drive_rounds(
    source: TokenSource, url: str, rounds: int, *, each: int = EACH, before: Callable[[], None]
) -> Endings:
    """GET *url* from all threads, *each* times a round; return how the requests ended.

    *before* is called once at the beginning of a round, when no request is under way.
    """
    start = threading.Barrier(THREADS, action=before, timeout=30)

    def drive(session: requests.Session) -> Endings:
        endings: Endings = Counter()
        for _ in range(rounds):
            start.wait()
            endings.update(_get(session, url) for _ in range(each))
        return endings

    return _drive_together(source, drive)


def drive_until(
    source: TokenSource, url: str, enough: Callable[[], bool], *, seconds: float
) -> Endings:
    """GET *url* from all threads without a pause until *enough*; return how the requests ended.

    Args:
        seconds: After this time it is enough in any case.
    """
    end = time.monotonic() + seconds

    def drive(session: requests.Session) -> Endings:
        endings: Endings = Counter()
        while not enough() and time.monotonic() < end:
            endings[_get(session, url)] += 1
        return endings

    return _drive_together(source, drive)


class Renewals:
    """A refresher that passes on to another, and remembers.

    Attributes:
        tokens: The first token, and the new ones.
        asked_at: When each of the new ones was asked for, in epoch seconds.
    """

    def __init__(self, refresher: Callable[[Token | None], Token], first: Token) -> None:
        self._refresher = refresher
        self.tokens = [first]
        self.asked_at: list[float] = []

    def __call__(self, token: Token | None) -> Token:
        self.asked_at.append(time.time())
        self.tokens.append(self._refresher(token))
        return self.tokens[-1]

    def rests_of_life(self) -> list[float]:
        """Return which part of its life each token still had when the next was asked for."""
        # The newest token has not been replaced.
        return [
            (token.expires_at - asked_at) / token.lifetime  # type: ignore[operator]
            for token, asked_at in zip(self.tokens, self.asked_at, strict=False)
        ]


def _drive_together(source: TokenSource, drive: Callable[[requests.Session], Endings]) -> Endings:
    endings: Endings = Counter()
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", TokenRefreshAdapter(source, pool_maxsize=THREADS))
        for outcome in run_together(THREADS, lambda: drive(session), timeout=60):
            endings += outcome.result()
    return endings


def _get(session: requests.Session, url: str) -> int | str:
    try:
        return session.get(url, timeout=20).status_code
    except Exception as error:
        return type(error).__name__
