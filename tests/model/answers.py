"""What a login has learnt from the answers of APIs, in plain words; and how long it counts.

A 401 is one resource's word about one token. What is kept of it makes a login patient for a while:
the next 401 of that kind goes to its caller, and costs no refresh.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.model.words import Resource

LONGEST = 300.0  # seconds: no patience is longer
FREE = 5  # refreshes in vain
FIRST_PAUSE_IN_VAIN = 30.0  # seconds
FORGOTTEN = 600.0  # seconds without another refresh in vain


@dataclass
class Patience:
    """So many seconds, which end at a moment of the monotonic clock."""

    seconds: float
    ends: float

    def twice(self, now: float) -> Patience:
        seconds = min(LONGEST, self.seconds * 2)
        return Patience(seconds, now + seconds)


@dataclass
class InVain:
    """Refreshes that 401s have cost, less those whose replay was accepted; and the last of them.

    Some are free. Then each costs a pause, twice as long as the one before.
    """

    count: int = 0
    last: float = 0.0

    def add(self, now: float) -> None:
        self.count = 1 if now >= self.last + FORGOTTEN else self.count + 1
        self.last = now

    def take_back(self) -> None:
        self.count = max(0, self.count - 1)

    def are_enough(self, now: float) -> bool:
        return self.count >= FREE and now < self._rested_at()

    def moments(self) -> list[float]:
        return [self.last + FORGOTTEN, self._rested_at()] if self.count else []

    def _rested_at(self) -> float:
        doubled = 2.0 ** max(0, self.count - FREE)
        return self.last + min(LONGEST, FIRST_PAUSE_IN_VAIN * doubled)


@dataclass
class Answers:
    """What is known of the resources of one login.

    Attributes:
        first: The first patience, in seconds.
        doubt: All that were asked have refused what the issuer had just given out; None once any
            has accepted a token.
        known: Resources that have refused what others accept.
        in_vain: Refreshes in vain, by whether the resource that has proven the token asked for
            them (its word counts more), or a stranger.
    """

    first: float
    doubt: Patience | None = None
    known: dict[Resource, Patience] = field(default_factory=dict)
    in_vain: dict[bool, InVain] = field(default_factory=lambda: {True: InVain(), False: InVain()})

    def forget_all(self) -> None:
        """Another login has begun, or this one is over."""
        self.doubt, self.known = None, {}
        self.in_vain = {True: InVain(), False: InVain()}

    # -- Is it worth a refresh? -------------------------------------------------------------------

    def is_in_doubt(self, now: float) -> bool:
        return self.doubt is not None and now < self.doubt.ends

    def has_refused_lately(self, resource: Resource, now: float) -> bool:
        return resource in self.known and now < self.known[resource].ends

    # -- What happened ----------------------------------------------------------------------------

    def was_worth_it(self) -> None:
        """A replay was accepted."""
        for in_vain in self.in_vain.values():
            in_vain.take_back()

    def doubt_again(self, now: float) -> None:
        before = self.doubt
        self.doubt = Patience(self.first, now + self.first) if before is None else before.twice(now)

    def believe(self) -> None:
        self.doubt = None

    def know(self, resources: Iterable[Resource], now: float) -> None:
        """They have refused what others accept; those known already keep their patience."""
        for resource in resources:
            self.known.setdefault(resource, Patience(self.first, now + self.first))

    def know_better(self, resource: Resource, now: float) -> None:
        """Its patience was over, and it has refused again."""
        if resource in self.known:
            self.known[resource] = self.known[resource].twice(now)

    def forget(self, resource: Resource) -> None:
        """It takes our tokens after all."""
        self.known.pop(resource, None)

    def moments(self) -> list[float]:
        """Return when time alone changes something."""
        ends = [patience.ends for patience in self.known.values()]
        if self.doubt is not None:
            ends.append(self.doubt.ends)
        return [*ends, *self.in_vain[True].moments(), *self.in_vain[False].moments()]
