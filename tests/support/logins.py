"""What a `TokenSource` is given in tests: a clock that tests move, and a refresher they hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from requests_tokenrefresh import LoginRequiredError, Token, TokenSource
from requests_tokenrefresh.events import Event
from tests.support.doors import waiters
from tests.support.threads import wait_until

ORIGIN = "https://api.example.com"
DATA = ("GET", ORIGIN, "/data")  # a resource: who answers
OTHER = ("GET", ORIGIN, "/other")
START = 1_700_000_000.0  # epoch seconds


class Clock:
    """A clock that stands until a test moves it; for `clock` and `monotonic` alike.

    Attributes:
        now: What it shows.
        before_next_look: Called by whoever looks next, before he sees the time; once.
    """

    def __init__(self, now: float = START) -> None:
        self.now = now
        self.before_next_look: Callable[[], object] | None = None

    def __call__(self) -> float:
        meanwhile, self.before_next_look = self.before_next_look, None
        if meanwhile is not None:
            meanwhile()
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Refresher:
    """Gives ``access-1``, ``access-2``, … and remembers what for.

    Attributes:
        calls: The tokens it was called with, in order.
        answers: Used up first, one a call: what is returned, raised, or called.
        started: Set as soon as it has been called.
        gate: It waits for this before it answers; open unless a test clears it.
    """

    def __init__(self, *answers: object, lifetime: float | None = 3600) -> None:
        self.answers = list(answers)
        self.lifetime = lifetime
        self.calls: list[Token | None] = []
        self.started = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, token: Token | None = None) -> Token | Mapping[str, Any] | str:
        self.calls.append(token)
        number = len(self.calls)
        self.started.set()
        assert self.gate.wait(10), "the test did not open the gate"
        answer = self.answers.pop(0) if self.answers else None
        if callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer or {  # type: ignore[return-value]
            "access_token": f"access-{number}",
            "refresh_token": f"refresh-{number}",
            "expires_in": self.lifetime,
        }


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []  # list.append is atomic

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def make_source(
    refresher: Callable[..., Any] | None = None, *, logged_in: bool = True, **options: Any
) -> TokenSource:
    """Make a source on a standing clock, by default with ``access-0`` for an hour in use."""
    clock = options.pop("clock", None) or Clock()
    options = {"origins": [ORIGIN], "clock": clock, "monotonic": clock, **options}
    source = TokenSource(refresher or Refresher(), **options)
    if logged_in:
        source.login(first_token())
    return source


def first_token(lifetime: float = 3600, issued_at: float = START) -> Token:
    return Token("access-0", "refresh-0", issued_at=issued_at, expires_at=issued_at + lifetime)


def wait_for_waiters(source: TokenSource, count: int) -> None:
    """Return once *count* threads wait for the flight that is under way."""
    wait_until(lambda: waiters(source) == count)


def refuse_and_log_out(source: TokenSource, token: Token | None) -> LoginRequiredError:
    """Let *token* be refused at its trial; return what its caller gets, as that is the end."""
    assert token is not None
    assert source.refuse(token, DATA) is False
    with pytest.raises(LoginRequiredError) as caught:
        source.reject(token, DATA, replay=True)
    return caught.value
