"""What happened, told to listeners: frozen values that never hold a token.

A listener is a callable that takes one event. It is called on the thread the event happened on,
after every lock is released; what it raises is logged and goes no further. Events of one thread
arrive in order; those of different threads may arrive in any, so each says when it happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Event:
    """Attributes common to all events.

    Attributes:
        at: When it happened, in seconds of the source's monotonic clock.
        thread: The name of the thread it happened on.
    """

    at: float
    thread: str


@dataclass(frozen=True)
class TokenRejected(Event):
    """A server answered 401 to a request that carried our token.

    Attributes:
        replay: Whether that request was a replay already.
    """

    replay: bool


@dataclass(frozen=True)
class RefreshStarted(Event):
    """This thread leads a flight: it looks into the store and, if need be, refreshes.

    Attributes:
        why: ``reactive`` (after a 401), ``preemptive`` (no token, or an expired one) or ``early``
            (the current token still works, and the other threads go on with it).
    """

    why: Literal["reactive", "preemptive", "early"]


@dataclass(frozen=True)
class RefreshEnded(Event):
    """This thread's refresh is over.

    Attributes:
        outcome: ``refreshed`` (a new token from the refresher), ``adopted`` (the store held a good
            token: the first one, or one that another process has refreshed), ``logged_in`` (the
            unattended login gave one), ``permanent`` (refused: the login is over), ``transient``
            (failed: try again later), ``skipped`` (early: another process is refreshing),
            ``discarded`` (`login()` or `logout()` came first) or ``abandoned`` (the thread was
            interrupted).
    """

    outcome: Literal[
        "refreshed",
        "adopted",
        "logged_in",
        "permanent",
        "transient",
        "skipped",
        "discarded",
        "abandoned",
    ]


@dataclass(frozen=True)
class WaitStarted(Event):
    """This thread waits for another one's flight."""


@dataclass(frozen=True)
class WaitEnded(Event):
    """This thread waits no more.

    Attributes:
        seconds: How long it waited.
    """

    seconds: float


@dataclass(frozen=True)
class ReplayStarted(Event):
    """This thread sends its request again.

    Attributes:
        trial: Whether it is the trial of a new token: the leader's replay, on which the
            waiters wait.
    """

    trial: bool


@dataclass(frozen=True)
class ReplayEnded(Event):
    """The replay has its answer, or failed without one.

    Attributes:
        verdict: ``accepted`` (anything but a rejection), ``refused`` (401 again) or ``none``
            (there was no answer, or one that says nothing of the token).
    """

    verdict: Literal["accepted", "refused", "none"]


@dataclass(frozen=True)
class LoggedIn(Event):
    """`login()` attached a token."""


@dataclass(frozen=True)
class LoggedOut(Event):
    """The login is over.

    Attributes:
        reason: As in `LoginRequiredError.reason`.
    """

    reason: str


Listener: TypeAlias = Callable[[Event], None]
"""Anything that takes one event."""
