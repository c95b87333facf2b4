"""A login as one process knows it: one immutable value, and all that may become of it.

Only the issuer, or its user, ends a login. What the issuer, the store and the user do is told by
the functions below, each of which takes a login and returns a login. What an API answers is
evidence about one token, and told by the table in `_rules.py`.

Whoever has opened a flight names it: a function that is told of another flight than the one under
way returns the very same login, because `login()` or `logout()` has taken its place.

No lock, no clock, no I/O and no thread is in this file. ``now`` is one moment by both clocks.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

from ._errors import LoginRequiredError, TokenRefreshError
from ._evidence import Asker, Evidence
from ._hand import NONE, ON_TRIAL, REJECTED, UNTRIED, Hand, Now, Standing
from ._token import Token, of_another_person

_LOOK_AGAIN = 1.0  # seconds until a store that was busy, failed or held nothing new is tried again
_REST = 10  # times what a failed refresh took: for so long nobody stops for the next


class Anything(Enum):
    """Whatever a store holds."""

    ANYTHING = "anything"


ANYTHING: Final = Anything.ANYTHING


Shunned: TypeAlias = tuple[Token, ...] | Anything
"""Stored tokens that are not to be believed."""


class Unsaved(NamedTuple):
    """The token in hand is in no store.

    Attributes:
        replaces: The stored one that it follows; None: nothing was stored; ANYTHING: it counts more
            than whatever is stored, as one that was passed to `login()` does.
    """

    replaces: Token | Anything | None


class Pause(NamedTuple):
    """Nobody asks the issuer now.

    Attributes:
        error: What the last attempt has failed with.
        failures: How many attempts in a row have.
        until: In monotonic seconds.
    """

    error: TokenRefreshError
    failures: int
    until: float


class Kept(NamedTuple):
    """What is kept for looks into the store.

    Attributes:
        seed: The login to start with if nothing is stored.
        shun: Stored tokens that are not to be believed: they were refused, or are logged out.
        look_at: In monotonic seconds: before it nobody looks for what a sibling has stored.
    """

    seed: Token | None = None
    shun: Shunned = ()
    look_at: float = -math.inf

    def believes(self, stored: Token) -> bool:
        return not isinstance(self.shun, Anything) and stored not in self.shun


class Login(NamedTuple):
    """One login, replaced as a whole.

    Attributes:
        until: In epoch seconds: before it the token in hand is sent, and nothing else is asked.
        hand: None: there is no token.
        flight: Who refreshes, as an identity; None: nobody does.
        look_at: In epoch seconds: somebody looks then, although the token is good.
        unsaved: None: the token in hand is in the store.
        pause: The last failure, and how long it counts; None: the last refresh has succeeded.
        over: The error that ended it, until `login()`. Beside a token in hand: the issuer has
            refused an early refresh, and with that token it ends.
        number: How many logins there have been; one that a sibling has begun, or that is found to
            be another person's, counts as well.
    """

    until: float = -math.inf
    hand: Hand | None = None
    flight: Any = None
    look_at: float = -math.inf
    unsaved: Unsaved | None = None
    pause: Pause | None = None
    over: LoginRequiredError | None = None
    evidence: Evidence = Evidence()
    kept: Kept = Kept()
    number: int = 0

    @property
    def token(self) -> Token | None:
        return None if self.hand is None else self.hand.token

    @property
    def standing(self) -> Standing:
        return NONE if self.hand is None else self.hand.standing

    def pauses(self, now: Now) -> bool:
        return self.pause is not None and now.steady < self.pause.until

    def has_live_token(self, now: Now) -> bool:
        return self.hand is not None and now.wall < self.hand.dead_at

    def is_in_early_window(self, now: Now) -> bool:
        return self.hand is not None and now.wall >= self.hand.early_from

    def is_over(self) -> bool:
        """Return whether it is over for all, and not only for those who hold a 401."""
        return self.over is not None and self.hand is None


def changed(login: Login, **changes: Any) -> Login:
    """Return *login* with *changes*, and with the `until` that follows from them."""
    after = login._replace(**changes)
    hand = after.hand
    held_back = hand is None or hand.standing in (ON_TRIAL, REJECTED)
    until = -math.inf if hand is None or held_back else min(hand.dead_at, after.look_at)
    return after._replace(until=until)


def due(hand: Hand, unsaved: Unsaved | None, now: Now) -> float:
    """Return when somebody has something to do about *hand*, in epoch seconds."""
    save = math.inf if unsaved is None else now.wall + _LOOK_AGAIN
    return min(hand.early_from, hand.good_until, save)


# -- What a leader does ------------------------------------------------------------------------


def took_off(login: Login, flight: object) -> Login:
    """*flight* is under way. An early one stops nobody, until the token counts as expired."""
    look_at = login.look_at if login.hand is None else login.hand.good_until
    return changed(login, flight=flight, look_at=look_at)


def took(login: Login, flight: object, hand: Hand, unsaved: Unsaved | None = None) -> Login:
    """*flight* begins with *hand*, which it has found, perhaps dead."""
    if flight is not login.flight:
        return login
    return changed(login, hand=hand, look_at=-math.inf, unsaved=unsaved)


def brought(
    login: Login,
    flight: object,
    hand: Hand,
    now: Now,
    *,
    unsaved: Unsaved | None,
    asker: Asker | None = None,
) -> Login:
    """*flight* brings *hand*, and lands, unless that is on trial.

    Args:
        asker: Whose 401 it was that has cost this refresh, if nothing else has.
    """
    if flight is not login.flight:
        return login
    after = _in_use(login, hand, now, unsaved, is_another=_is_anothers(login, hand))
    if asker is not None:
        after = after._replace(evidence=after.evidence.refreshed(asker, now.steady))
    if unsaved is not None:
        after = after._replace(kept=Kept(shun=login.kept.shun))  # the store holds it still
    return after._replace(flight=flight) if hand.standing is ON_TRIAL else after


def failed(
    login: Login, flight: object, pause: Pause, now: Now, *, lasted: float, look_beside: bool
) -> Login:
    """*flight* has failed for now: nobody asks again before the end of *pause*.

    Args:
        lasted: How long the attempt took, in seconds.
        look_beside: Whether the store was empty, and is spared for a while.
    """
    if flight is not login.flight:
        return login
    hand, look_at = login.hand, login.look_at
    if hand is not None:
        look_at = now.wall + max(pause.until - now.steady, _REST * lasted)
        if hand.standing is REJECTED:
            hand = hand._replace(standing=UNTRIED, found=True)
    kept = login.kept._replace(look_at=pause.until) if look_beside else login.kept
    return changed(login, hand=hand, flight=None, look_at=look_at, pause=pause, kept=kept)


def refused(login: Login, flight: object, error: LoginRequiredError, *, shun: Shunned) -> Login:
    """The issuer has refused *flight* for good, or the store was emptied: the login is over."""
    if flight is not login.flight:
        return login
    return _ended(login, error, shun)


def refused_early(
    login: Login, flight: object, error: LoginRequiredError, *, shun: Shunned
) -> Login:
    """The same while the token lives: with that it ends, and nobody asks again."""
    hand = login.hand
    if flight is not login.flight or hand is None:
        return login
    kept = Kept(shun=shun)
    return changed(login, flight=None, over=error, look_at=hand.dead_at, unsaved=None, kept=kept)


def awaits_login(login: Login, flight: object, *, shun: Shunned, lives_on: bool) -> Login:
    """What *flight* had was refused, and it goes on with the unattended login.

    Args:
        lives_on: Whether that was early: the token in hand is used, should that login fail.
    """
    if flight is not login.flight:
        return login
    hand = login.hand if lives_on else None
    return changed(login, hand=hand, unsaved=None, kept=Kept(shun=shun))


def gave_way(login: Login, flight: object, now: Now) -> Login:
    """*flight* ends without an outcome: it was interrupted, or another process is refreshing."""
    if flight is not login.flight:
        return login
    hand, look_at = login.hand, login.look_at
    if hand is not None:
        look_at = due(hand, login.unsaved, now)
        if now.wall >= hand.early_from:
            look_at = now.wall + _LOOK_AGAIN
    return changed(login, flight=None, look_at=look_at)


# -- What the user, the store and siblings do ----------------------------------------------------


def logged_in(login: Login, hand: Hand, now: Now) -> Login:
    """`login()`: whatever became of the login before."""
    return _in_use(login, hand, now, Unsaved(ANYTHING), is_another=True)


def logged_out(login: Login, error: LoginRequiredError) -> Login:
    """`logout()`: what the store may still hold is not to be believed."""
    return _ended(login, error, ANYTHING)


def looks_beside(login: Login, now: Now, *, in_need: bool) -> Login:
    """Somebody looks for what a sibling has stored, once a second; the same login: nobody does.

    Args:
        in_need: Whether that is all that can help a caller now.
    """
    # What is in memory only is newer than the store, unless that held nothing.
    may_be_newer = login.unsaved is None or login.unsaved.replaces is None
    believes = not isinstance(login.kept.shun, Anything)
    idle = login.flight is None and may_be_newer and believes
    if not (idle and in_need) or now.steady < login.kept.look_at:
        return login
    return login._replace(kept=login.kept._replace(look_at=now.steady + _LOOK_AGAIN))


def found_beside(login: Login, hand: Hand, now: Now) -> Login:
    """A sibling has stored *hand*, and no flight is needed to take it."""
    is_another = login.over is not None or _is_anothers(login, hand)
    return _in_use(login, hand, now, None, is_another=is_another)


def saved(login: Login, token: Token, now: Now) -> Login:
    """The store holds *token*: that in hand, or one that came too late."""
    hand = login.hand
    if hand is not None and hand.token is token and login.unsaved is not None:
        return changed(login, unsaved=None, look_at=due(hand, None, now), kept=Kept())
    if login.is_over() and not isinstance(login.kept.shun, Anything):
        shun = (*login.kept.shun, token)
        return login._replace(kept=login.kept._replace(shun=shun))
    return login


def cleared(login: Login) -> Login:
    """The store holds nothing: what is found there from now on is news."""
    return login._replace(kept=login.kept._replace(shun=()))


def ran_out(login: Login) -> Login:
    """The token in hand is dead, and the login was over beside it."""
    return changed(login, hand=None)


def in_child(login: Login) -> Login:
    """In a forked child: the leader and the waiters stayed in the parent."""
    hand = login.hand
    if hand is None:
        return changed(login, flight=None)
    if hand.standing is ON_TRIAL:
        hand = hand._replace(standing=UNTRIED)
    look_at = -math.inf if login.unsaved else min(hand.early_from, hand.good_until)
    return changed(login, flight=None, hand=hand, look_at=look_at)


def _in_use(
    login: Login, hand: Hand, now: Now, unsaved: Unsaved | None, *, is_another: bool
) -> Login:
    return changed(
        Login(),
        hand=hand,
        look_at=due(hand, unsaved, now),
        unsaved=unsaved,
        evidence=login.evidence.anew() if is_another else login.evidence,
        number=login.number + is_another,
    )


def _is_anothers(login: Login, hand: Hand) -> bool:
    return hand.found and login.token is not None and of_another_person(login.token, hand.token)


def _ended(login: Login, error: LoginRequiredError, shun: Shunned) -> Login:
    if login.is_over():
        error = login.over or error  # it was over before, and a look beside may be too early now
    kept = Kept(shun=shun)
    return Login(over=error, evidence=login.evidence.anew(), kept=kept, number=login.number)
