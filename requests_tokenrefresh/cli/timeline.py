"""What every thread was doing when: lanes of phases, made from requests and events.

Drawing is done elsewhere: `timeline_text` for terminals, `timeline_svg` for files.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from .._foreign import printable
from ..events import (
    Event,
    RefreshEnded,
    RefreshStarted,
    ReplayStarted,
    TokenRejected,
    WaitEnded,
    WaitStarted,
)


@dataclass(frozen=True)
class SentRequest:
    """One call of the demo's, from its beginning to its outcome, replays included.

    Attributes:
        thread: The name of the thread that made it.
        start: When it began, in seconds of the clock that events use.
        end: When it ended.
        failed: Whether the caller got anything but its data.
    """

    thread: str
    start: float
    end: float
    failed: bool


class Phase(Enum):
    """What a thread is doing."""

    REQUEST = "request"
    WAITING = "waiting"
    REFRESH = "refresh"
    TRIAL = "trial"
    REPLAY = "replay"


@dataclass(frozen=True)
class Span:
    """One phase of one thread, from *start* to *end* in seconds."""

    phase: Phase
    start: float
    end: float


@dataclass(frozen=True)
class Lane:
    """One thread's phases, in order, and the moments at which it was answered 401."""

    thread: str
    spans: tuple[Span, ...]
    rejections: tuple[float, ...]

    @property
    def name(self) -> str:
        """The thread's, as it is shown."""
        return printable(self.thread.replace("_", " "))


@dataclass(frozen=True)
class Flight:
    """One refresh and what hung on it. All times are seconds of the events' clock.

    Attributes:
        leader: The name of the thread that refreshed.
        start: When it began to; *refreshed* is when it was done.
        trial: The leader's replay, if there was one.
        waiters: How many threads waited for it.
        settled: When the last of them was done.
    """

    leader: str
    start: float
    refreshed: float
    trial: Span | None
    waiters: int
    settled: float


@dataclass(frozen=True)
class Timeline:
    """The lanes around one flight, in the order in which it stopped them; the leader is first.

    Attributes:
        start: The first second that is shown; *end* is the last.
        threads: How many threads there were; *lanes* may be fewer.
        rejections: How many 401s there were between *start* and *end*, on all threads.
    """

    flight: Flight
    lanes: tuple[Lane, ...]
    start: float
    end: float
    threads: int
    rejections: int

    @property
    def title(self) -> str:
        """What it shows, in a few words."""
        return "One expired token, one refresh" if self.rejections else "One refresh, ahead of time"

    @property
    def summary(self) -> str:
        """What it shows, in a sentence."""
        flight = self.flight
        milliseconds = (flight.refreshed - flight.start) * 1000
        shown = "" if len(self.lanes) == self.threads else f" ({len(self.lanes)} shown)"
        return (
            f"{self.threads} threads share one login{shown}: {self.rejections} met a 401, "
            f"one refreshed ({milliseconds:.0f} ms), {flight.waiters} waited for it."
        )

    @property
    def zero(self) -> float:
        """Where the axis begins to count: the first 401 shown, else the start of the refresh."""
        return min([self.flight.start, *(at for lane in self.lanes for at in lane.rejections)])

    def ticks(self, most: int) -> list[float]:
        """Return round numbers of seconds after `zero` to label the axis with, *most* at most."""
        first, last = self.start - self.zero, self.end - self.zero
        finest = (last - first) / most
        magnitude = 10.0 ** math.floor(math.log10(finest))
        step = min(n * magnitude for n in (1, 2, 5, 10) if n * magnitude > finest)
        return [n * step for n in range(math.ceil(first / step), math.floor(last / step) + 1)]


def around_busiest_flight(
    requests: Iterable[SentRequest], events: Iterable[Event], *, most_lanes: int
) -> Timeline | None:
    """Return the timeline of the flight that most threads waited for; None if there was none."""
    lanes = lanes_of(requests, events)
    flights = _flights(lanes)
    if not flights:
        return None
    flight = max(flights, key=lambda flight: flight.waiters)
    length = flight.settled - flight.start
    start, end = flight.start - 0.25 * length, flight.settled + 0.1 * length
    shown = [_cut(lane, start, end) for lane in lanes]
    return Timeline(
        flight=flight,
        lanes=tuple(_choice(shown, flight, most_lanes)),
        start=start,
        end=end,
        threads=len(lanes),
        rejections=sum(len(lane.rejections) for lane in shown),
    )


def lanes_of(requests: Iterable[SentRequest], events: Iterable[Event]) -> list[Lane]:
    """Return one lane for each thread that made requests, sorted by name."""
    by_thread: dict[str, list[SentRequest]] = defaultdict(list)
    for request in requests:
        by_thread[request.thread].append(request)
    news: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        news[event.thread].append(event)
    return [_lane(thread, by_thread[thread], news[thread]) for thread in sorted(by_thread)]


def _lane(thread: str, requests: Sequence[SentRequest], events: Sequence[Event]) -> Lane:
    # Each step says what the thread does from then on; None: nothing worth drawing.
    steps: list[tuple[float, Phase | None]] = []
    for request in requests:
        steps += [(request.start, Phase.REQUEST), (request.end, None)]
    steps += [(event.at, _phase_after(event)) for event in events]
    steps.sort(key=lambda step: step[0])
    spans = [
        Span(phase, start, end)
        for (start, phase), (end, following) in itertools.pairwise(steps)
        # A request that is followed by another phase had not left yet.
        if phase and start < end and not (phase is Phase.REQUEST and following)
    ]
    rejections = [event.at for event in events if isinstance(event, TokenRejected)]
    return Lane(thread, tuple(spans), tuple(rejections))


def _phase_after(event: Event) -> Phase | None:
    match event:
        case RefreshStarted():
            return Phase.REFRESH
        case WaitStarted():
            return Phase.WAITING
        case RefreshEnded() | WaitEnded():
            return Phase.REQUEST
        case ReplayStarted():
            return Phase.TRIAL if event.trial else Phase.REPLAY
        case _:
            return None


def _flights(lanes: Iterable[Lane]) -> list[Flight]:
    refreshes = [
        (span, lane) for lane in lanes for span in lane.spans if span.phase is Phase.REFRESH
    ]
    return [_flight(refresh, lane, lanes) for refresh, lane in refreshes]


def _flight(refresh: Span, leader: Lane, lanes: Iterable[Lane]) -> Flight:
    following = _span_after(refresh, leader)
    trial = following if following and following.phase is Phase.TRIAL else None
    waits = [
        (span, lane)
        for lane in lanes
        for span in lane.spans
        if span.phase is Phase.WAITING and span.start < refresh.end and span.end > refresh.start
    ]
    ends = [(_span_after(wait, lane) or wait).end for wait, lane in waits]
    return Flight(
        leader=leader.thread,
        start=refresh.start,
        refreshed=refresh.end,
        trial=trial,
        waiters=len(waits),
        settled=max([refresh.end, *([trial.end] if trial else []), *ends]),
    )


def _span_after(span: Span, lane: Lane) -> Span | None:
    index = lane.spans.index(span) + 1
    return lane.spans[index] if index < len(lane.spans) else None


def _cut(lane: Lane, start: float, end: float) -> Lane:
    """Return what of *lane* lies between *start* and *end*."""
    spans = (
        Span(span.phase, max(span.start, start), min(span.end, end))
        for span in lane.spans
        if span.start < end and span.end > start
    )
    return Lane(lane.thread, tuple(spans), tuple(at for at in lane.rejections if start <= at < end))


def _choice(lanes: Iterable[Lane], flight: Flight, most: int) -> list[Lane]:
    """Return at most *most* lanes: the leader, who met a 401, and others evenly; as stopped."""
    ordered = sorted(lanes, key=lambda lane: (lane.thread != flight.leader, _stopped_at(lane)))
    telling = [lane for lane in ordered if lane.rejections or lane.thread == flight.leader][:most]
    others = [lane for lane in ordered if lane not in telling]
    room = most - len(telling)
    step = max(1.0, len(others) / room) if room else 1.0
    chosen = telling + [others[int(n * step)] for n in range(min(room, len(others)))]
    return [lane for lane in ordered if lane in chosen]


def _stopped_at(lane: Lane) -> float:
    """When the flight stopped this thread; infinity if it did not."""
    waits = (span.start for span in lane.spans if span.phase is Phase.WAITING)
    return min([*lane.rejections, *waits], default=math.inf)
