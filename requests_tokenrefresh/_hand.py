"""The token in hand, and what is known of it: immutable values."""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

from ._evidence import Resource
from ._token import Token

MOST_OPINIONS = 3  # of resources, on one new token


class Now(NamedTuple):
    """One moment by both clocks: epoch seconds, and seconds of the monotonic clock."""

    wall: float
    steady: float


class Standing(Enum):
    """What is known of the token in hand. One on trial, or rejected, is held back: it is sent by
    nobody but the thread on trial, until the flight has landed."""

    NONE = "none"  # there is none
    UNTRIED = "untried"  # nobody has said anything of it
    ON_TRIAL = "on trial"  # its flight waits for what the first replay is answered
    PROVEN = "proven"  # a server has accepted it
    DOUBTED = "doubted"  # every server that was asked has refused it
    REJECTED = "rejected"  # it was answered 401, and a flight can bring another


NONE, UNTRIED, ON_TRIAL, PROVEN, DOUBTED, REJECTED = Standing


class Hand(NamedTuple):
    """The token in use, and what is known of it. Moments are in epoch seconds, inf if unknown.

    Attributes:
        found: It was stored, passed in, or let go by a failed refresh, and may be old. Otherwise
            the issuer has just given it out.
        early_from: Its early window opens.
        good_until: From then on it counts as expired.
        dead_at: From then on nobody sends it.
        refused_by: Who has refused it since it was issued, three at most.
        proven_by: Who has proven it.
        replay_due: Whose 401 it was fetched for, if the body of that request could be sent only
            once: the next request there is its replay.
    """

    token: Token
    found: bool
    early_from: float
    good_until: float
    dead_at: float
    standing: Standing = UNTRIED
    refused_by: tuple[Resource, ...] = ()
    proven_by: Resource | None = None
    replay_due: Resource | None = None

    @classmethod
    def of(cls, token: Token, *, found: bool, leeway: float, early: float, luck: float) -> Hand:
        """Take *token* in hand.

        Args:
            leeway, early: As in `TokenSource`, in seconds.
            luck: From 0 to 1. The early window opens somewhere between its beginning and its half:
                processes that share a login do not all look at the same moment.
        """
        dead_at = math.inf if token.expires_at is None else token.expires_at
        lifetime = token.lifetime or 0.0
        return cls(
            token,
            found,
            early_from=dead_at - min(early, lifetime / 5) * (1 - luck / 2),
            good_until=dead_at - min(leeway, lifetime / 10),
            dead_at=dead_at,
        )

    def counts_as_expired(self, now: Now) -> bool:
        return now.wall >= self.good_until

    def is_news(self, before: Token | None, now: Now) -> bool:
        """Return whether it can take the place of *before*."""
        another = before is None or before.access_token != self.token.access_token
        return another and not self.counts_as_expired(now)

    def refused(self, resource: Resource | None) -> Hand:
        if resource is None or resource in self.refused_by or len(self.refused_by) == MOST_OPINIONS:
            return self
        return self._replace(refused_by=(*self.refused_by, resource))
