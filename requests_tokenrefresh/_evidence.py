"""What the answers of APIs have told, beyond the one token that they were given to.

A 401 is evidence about one token at one resource, and evidence grows old. So each of the three
things that are remembered here is a reason to be patient for a while, and never more than that:

- *doubt*: every server that was asked has refused the token that the issuer has just given out;
- a *known* resource: it has refused a token that others accept;
- refreshes *in vain*: how many in a row a 401 asked for and no accepted replay rewarded.

Pure: no lock, no clock. Moments are in seconds of the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

Resource: TypeAlias = tuple[str, str, str]
"""Method, origin and path: what may refuse a token for reasons of its own."""

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

_LONGEST = 300.0  # seconds; no patience grows beyond it
_MOST_KNOWN = 256  # resources; of more, those that were heard of longest ago are forgotten

_FREE_IN_VAIN = 5  # refreshes in vain that need no pause between them
_FIRST_PAUSE_IN_VAIN = 30.0  # seconds after the last free one; it doubles
_FORGOTTEN_IN_VAIN = 2 * _LONGEST  # seconds without another one


def resource_of(method: str | None, url: str | None) -> Resource:
    """Return the resource that a request is for; what may be secret in the query stays out."""
    place = (url or "").partition("?")[0].partition("#")[0]
    scheme, _, rest = place.partition("://")
    host, _, path = rest.partition("/")
    scheme = scheme.lower()
    host = host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ""))
    return (method or "GET").upper(), f"{scheme}://{host}", f"/{path}"


class Patience(NamedTuple):
    """Why nobody refreshes now.

    Attributes:
        seconds: How long it lasts; the next one lasts twice as long.
        until: When it ends.
    """

    seconds: float
    until: float

    def lasts(self, steady: float) -> bool:
        return steady < self.until

    def doubled(self, steady: float) -> Patience:
        seconds = min(_LONGEST, 2 * self.seconds)
        return Patience(seconds, steady + seconds)


class InVain(NamedTuple):
    """Refreshes in a row that nothing came of, and when the last of them was."""

    times: int = 0
    at: float = 0.0

    def is_enough(self, steady: float) -> bool:
        """Return whether another one has to wait."""
        beyond = self._by(steady) - _FREE_IN_VAIN
        pause = min(_LONGEST, _FIRST_PAUSE_IN_VAIN * 2.0 ** min(max(beyond, 0), 10))
        return beyond >= 0 and steady < self.at + pause

    def and_one(self, steady: float) -> InVain:
        return InVain(self._by(steady) + 1, steady)

    def but_one(self) -> InVain:
        return self._replace(times=max(0, self.times - 1))

    def _by(self, steady: float) -> int:
        return self.times if steady < self.at + _FORGOTTEN_IN_VAIN else 0


class Asker(Enum):
    """Whose 401, to a token that is proven, asks for a refresh."""

    STRANGER = "a resource that is not known to refuse what others accept"
    PROVER = "the resource that has proven the token: its word counts more"


class Evidence(NamedTuple):
    """All that is remembered of the answers to one login's tokens.

    Attributes:
        first: Seconds of the first patience (`min_refresh_interval`); 0: there is none.
        doubt: Since every server refused; None once any has accepted.
        known: By the resource, the one heard of last at the end.
        strangers, provers: Refreshes that they asked for in vain.
    """

    first: float = 1.0
    doubt: Patience | None = None
    known: Mapping[Resource, Patience] = MappingProxyType({})
    strangers: InVain = InVain()
    provers: InVain = InVain()

    # -- What is true now -------------------------------------------------------------------------

    def doubts(self, steady: float) -> bool:
        """Return whether the pause of a doubt lasts."""
        return self.doubt is not None and self.doubt.lasts(steady)

    def knows(self, resource: Resource, steady: float) -> bool:
        """Return whether *resource* has refused lately what others accept."""
        patience = self.known.get(resource)
        return patience is not None and patience.lasts(steady)

    def is_tired_of(self, asker: Asker, steady: float) -> bool:
        """Return whether so many refreshes were in vain that its 401 is passed on."""
        in_vain = self.provers if asker is Asker.PROVER else self.strangers
        return in_vain.is_enough(steady)

    # -- What becomes of it -----------------------------------------------------------------------

    def anew(self) -> Evidence:
        """Another login has begun."""
        return Evidence(self.first)

    def doubted(self, steady: float) -> Evidence:
        """Every server that was asked has refused a new token."""
        if self.doubt is None:
            return self._replace(doubt=Patience(self.first, steady + self.first))
        return self._replace(doubt=self.doubt.doubled(steady))

    def proven(self, refused_by: Iterable[Resource], steady: float, *, rewarded: bool) -> Evidence:
        """A server has accepted a token that *refused_by* have refused.

        Args:
            rewarded: Whether it was a replay that was accepted: the refresh was worth while.
        """
        evidence = self._replace(doubt=None)
        if rewarded:
            strangers, provers = self.strangers.but_one(), self.provers.but_one()
            evidence = evidence._replace(strangers=strangers, provers=provers)
        for resource in refused_by:
            evidence = evidence.met(resource, steady)
        return evidence

    def met(self, resource: Resource, steady: float) -> Evidence:
        """*resource* has refused a token that others accept."""
        if resource in self.known:
            return self
        return self._with(resource, Patience(self.first, steady + self.first))

    def met_again(self, resource: Resource, steady: float) -> Evidence:
        """Its patience is over, and *resource* has refused such a token again: twice the patience,
        if it is known."""
        before = self.known.get(resource)
        return self if before is None else self._with(resource, before.doubled(steady))

    def accepted(self, resource: Resource) -> Evidence:
        """*resource* has accepted a token: what it refused before is forgotten."""
        if resource not in self.known:
            return self
        return self._replace(
            known=MappingProxyType({r: p for r, p in self.known.items() if r != resource})
        )

    def refreshed(self, asker: Asker, steady: float) -> Evidence:
        """Its 401 has cost a refresh; whether in vain is to be seen."""
        if asker is Asker.PROVER:
            return self._replace(provers=self.provers.and_one(steady))
        return self._replace(strangers=self.strangers.and_one(steady))

    def _with(self, resource: Resource, patience: Patience) -> Evidence:
        known = {r: p for r, p in self.known.items() if r != resource}
        known[resource] = patience
        while len(known) > _MOST_KNOWN:
            del known[next(iter(known))]
        return self._replace(known=MappingProxyType(known))
