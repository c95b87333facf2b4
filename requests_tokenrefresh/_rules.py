"""What becomes of the token in hand, and what a thread does: the table of all rules.

Of the rows for an event and a standing the first counts whose conditions are all true. A new rule
is a row. Pure, as `_login.py`: a thread decides under the lock, and when it has slept it decides
anew, from what is true then.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, cast

from ._errors import TokenRefreshError
from ._evidence import Asker, Evidence, Resource
from ._hand import DOUBTED, NONE, ON_TRIAL, PROVEN, REJECTED, UNTRIED, Hand, Now, Standing
from ._login import Login, Pause, changed, ran_out
from ._token import Token, of_another_person


class Held(NamedTuple):
    """What a thread has to say of a token: an answer to it, most often a 401 that it holds.

    Attributes:
        token: What was sent.
        resource: Who answered; None: nobody did, and `refresh()` says that it was rejected.
        replay: Whether it answered a replay.
        can_replay: Whether the request can be sent again.
        is_last: Whether it was sent again as often as it may be.
        can_ask: Whether somebody else can be asked for an opinion.
    """

    token: Token
    resource: Resource | None
    replay: bool = False
    can_replay: bool = True
    is_last: bool = False
    can_ask: bool = False

    @property
    def tries(self) -> bool:
        """Whether a new token is tried by a replay."""
        return self.resource is not None and self.can_replay


class What(Enum):
    """What happens to a token."""

    WANTED = "a token is wanted"
    ANSWERED_401 = "it was answered 401"
    REPLAY_ANSWERED_401 = "its replay was answered 401"
    ACCEPTED = "it was accepted"
    NO_VERDICT = "its replay was not answered"


WANTED, ANSWERED_401, REPLAY_ANSWERED_401, ACCEPTED, NO_VERDICT = What


class Then(Enum):
    """What a thread does."""

    GO = "sends the token in hand"
    LOOK = "sends the token in hand, and refreshes early if it is time"
    FLY = "waits for the flight, or leads one; fails during a pause"
    FLY_OR_GO = "the same, but sends the token while it lives rather than fail"
    WAIT = "waits"
    LEAD = "leads a flight"
    LEAD_EARLY = "leads an early flight"
    OWN = "passes the 401 on"
    FAIL = "fails"
    NOTHING = "does nothing"


GO, LOOK, FLY, FLY_OR_GO, WAIT, LEAD, LEAD_EARLY, OWN, FAIL, NOTHING = Then


class Step(NamedTuple):
    """What a thread is to do, and why a 401 is passed on."""

    then: Then
    why: str = ""


class Case(NamedTuple):
    """What facts are about."""

    login: Login
    hand: Hand
    resource: Resource | None
    can_ask: bool
    now: Now


_EXPIRED = "it counts as expired"
_TIME_TO_LOOK = "it is time to look after it"
_SETTLED = "nobody is refreshing, and it counts as good"
_PAUSE = "nobody may ask the issuer now"
_FOUND = "it was found, and may be old"
_ANOTHER = "another can be asked for an opinion"
# These also stand in the log, after "it is passed on:".
ITS_HABIT = "this resource has refused lately what others accept"
IN_VAIN = "the last refreshes were all in vain"
IN_DOUBT = "a short while ago a new token was refused wherever it was tried"
NEW_TOO = "a new token was refused as well"
TWICE = "it was sent again twice"
ANOTHER_PERSON = "meanwhile another person has logged in"

FACTS: dict[str, Callable[[Case], bool]] = {
    _EXPIRED: lambda case: case.hand.counts_as_expired(case.now),
    _TIME_TO_LOOK: lambda case: case.now.wall >= case.login.look_at,
    _SETTLED: lambda case: case.login.flight is None and not case.hand.counts_as_expired(case.now),
    _PAUSE: lambda case: case.login.flight is None and case.login.pauses(case.now),
    _FOUND: lambda case: case.hand.found,
    _ANOTHER: lambda case: case.can_ask,
    ITS_HABIT: lambda case: (
        case.resource is not None and case.login.evidence.knows(case.resource, case.now.steady)
    ),
    IN_VAIN: lambda case: (
        case.resource is not None
        and case.login.evidence.is_tired_of(_asker(case.hand, case.resource), case.now.steady)
    ),
    IN_DOUBT: lambda case: (
        case.resource is not None
        and not case.hand.found
        and case.login.evidence.doubts(case.now.steady)
    ),
}


def _asker(hand: Hand, resource: Resource) -> Asker:
    return Asker.PROVER if resource == hand.proven_by else Asker.STRANGER


class Row(NamedTuple):
    """One rule.

    Attributes:
        when: The names of facts; all of them are true.
        becomes: How the token stands then; None: as before.
    """

    what: What
    standings: tuple[Standing, ...]
    when: tuple[str, ...]
    becomes: Standing | None
    then: Then


_IN_USE = (UNTRIED, PROVEN, DOUBTED)

TABLE = (
    Row(WANTED, (NONE, REJECTED), (), None, FLY),
    Row(WANTED, _IN_USE, (_EXPIRED,), None, FLY_OR_GO),
    Row(WANTED, _IN_USE, (_TIME_TO_LOOK,), None, LOOK),
    Row(WANTED, _IN_USE, (), None, GO),
    Row(WANTED, (ON_TRIAL,), (), None, WAIT),
    # A 401 is the resource's own only as long as no newer token is on its way.
    Row(ANSWERED_401, (UNTRIED, PROVEN), (ITS_HABIT, _SETTLED), None, OWN),
    Row(ANSWERED_401, (UNTRIED, PROVEN), (ITS_HABIT,), None, FLY),
    Row(ANSWERED_401, (PROVEN,), (IN_VAIN, _SETTLED), None, OWN),
    Row(ANSWERED_401, (PROVEN,), (IN_VAIN,), None, FLY),
    Row(ANSWERED_401, (UNTRIED, DOUBTED), (IN_DOUBT, _SETTLED), DOUBTED, OWN),
    Row(ANSWERED_401, (UNTRIED, DOUBTED), (IN_DOUBT,), None, FLY),
    Row(ANSWERED_401, _IN_USE, (_PAUSE,), None, FAIL),
    Row(ANSWERED_401, (*_IN_USE, ON_TRIAL), (), REJECTED, FLY),
    Row(ANSWERED_401, (REJECTED,), (), None, FLY),
    Row(REPLAY_ANSWERED_401, (ON_TRIAL,), (_EXPIRED,), REJECTED, FLY),
    Row(REPLAY_ANSWERED_401, (ON_TRIAL,), (_FOUND,), REJECTED, FLY),
    Row(REPLAY_ANSWERED_401, (ON_TRIAL,), (_ANOTHER,), None, OWN),
    Row(REPLAY_ANSWERED_401, (ON_TRIAL,), (), DOUBTED, OWN),
    Row(REPLAY_ANSWERED_401, (UNTRIED,), (_FOUND, _PAUSE), None, FAIL),
    Row(REPLAY_ANSWERED_401, (UNTRIED,), (_FOUND,), REJECTED, FLY),
    Row(REPLAY_ANSWERED_401, (UNTRIED,), (_SETTLED,), DOUBTED, OWN),
    Row(REPLAY_ANSWERED_401, (PROVEN, DOUBTED), (_SETTLED,), None, OWN),
    Row(REPLAY_ANSWERED_401, (*_IN_USE, REJECTED), (), None, FLY),
    Row(ACCEPTED, (*_IN_USE, ON_TRIAL), (), PROVEN, NOTHING),
    Row(NO_VERDICT, (ON_TRIAL,), (), UNTRIED, NOTHING),
)


def decide(
    login: Login, held: Held | None, now: Now, *, on_trial: bool = False
) -> tuple[Login, Step]:
    """Return what becomes of the login, and what a thread does that wants a token.

    Args:
        held: The 401 that it holds, if it does.
        on_trial: Whether the thread is the one that is on trial.
    """
    hand = login.hand
    if login.over is not None:
        return _after_the_end(login, held, now)
    if held is not None and held.is_last:
        return login, Step(OWN, TWICE)
    if hand is None or held is None or held.token is not hand.token:
        if hand is not None and _is_of_another_person(held, hand):
            # Whoever was to try the token of somebody else does not: there is no verdict on it.
            nobody = Held(hand.token, None)
            after = judged(login, NO_VERDICT, nobody, now) if on_trial else login
            return after, Step(OWN, ANOTHER_PERSON)
        if on_trial and login.standing is ON_TRIAL:
            return login, Step(GO)
        return _resolved(login, WANTED, None, now)
    replayed = answers_a_replay(held, hand)
    return _resolved(login, REPLAY_ANSWERED_401 if replayed else ANSWERED_401, held, now)


def who_asks(login: Login, held: Held | None, now: Now) -> Asker | None:
    """Return whose 401 asks for a refresh, if nothing else does and nobody knows what to think of
    it: neither the clock, nor a doubt, nor that the resource is known for it."""
    hand = login.hand
    if hand is None or held is None or held.resource is None or held.token is not hand.token:
        return None
    known = held.resource in login.evidence.known
    if hand.standing not in (PROVEN, UNTRIED) or known or hand.counts_as_expired(now):
        return None
    return _asker(hand, held.resource)


def answers_a_replay(held: Held, hand: Hand | None) -> bool:
    """Return whether it is the answer to a replay with the token in hand."""
    if held.resource is None or hand is None or held.token is not hand.token:
        return False
    # Whoever is on trial may have sent its token with another request as well.
    return held.replay or hand.standing is ON_TRIAL or held.resource == hand.replay_due


def judged(login: Login, what: What, held: Held, now: Now) -> Login:
    """Return what becomes of the login when a token is ACCEPTED, or its replay has NO_VERDICT."""
    hand = login.hand
    if hand is None or held.token is not hand.token:
        return login
    row = _row(login, what, held, now)
    return login if row is None else _moved(login, row, held, now)


def came_of(
    began: Login, landed: Login, held: Held | None, now: Now
) -> tuple[Step, TokenRefreshError | None]:
    """Return what the outcome of a flight means to who has waited for it, or has led it.

    Args:
        began: The login when the flight was opened.
        landed: The same when it had landed.

    Returns:
        FAIL with the error, GO with the token of *landed*, OWN, or NOTHING: decide anew.
    """
    failure: TokenRefreshError | None = landed.over
    if landed.pause is not None and landed.pause is not began.pause:
        failure = landed.pause.error
    if failure is not None:
        # Nobody knows the token in hand to be dead, but those who hold a 401 to it.
        goes = landed.has_live_token(now) and (held is None or held.token is not landed.token)
        return (Step(GO), None) if goes else (Step(FAIL), failure)
    if held is not None and held.resource is not None and _is_doubted_too(landed, began, held):
        return Step(OWN, NEW_TOO), None
    return Step(NOTHING), None


def is_in_need(login: Login, held: Held | None, now: Now) -> bool:
    """Return whether nothing that this process may do now brings a token to a thread."""
    if login.over is not None:
        return True
    lacks = held is not None or not login.has_live_token(now)
    return lacks and (login.pauses(now) or _is_tired_of(login, held, now))


def _is_tired_of(login: Login, held: Held | None, now: Now) -> bool:
    """Return whether the 401 to a proven token is passed on because so many were in vain."""
    hand = login.hand
    if hand is None or hand.standing is not PROVEN or held is None or held.resource is None:
        return False
    return login.evidence.is_tired_of(_asker(hand, held.resource), now.steady)


def _is_of_another_person(held: Held | None, hand: Hand) -> bool:
    if held is None or held.resource is None:
        return False
    return of_another_person(held.token, hand.token)


def _is_doubted_too(landed: Login, began: Login, held: Held) -> bool:
    """Return whether the flight has brought a token that all who were asked have refused."""
    hand = landed.hand
    if hand is None or hand.standing is not DOUBTED:
        return False
    return hand.token is not began.token and hand.token is not held.token


def _after_the_end(login: Login, held: Held | None, now: Now) -> tuple[Login, Step]:
    """An early refresh was refused: the token in hand is used up by those who hold no 401 to it."""
    hand = login.hand
    if hand is not None and now.wall >= hand.dead_at:
        return ran_out(login), Step(FAIL)
    refused = hand is not None and held is not None and held.token is hand.token
    return login, Step(FAIL if hand is None or refused else GO)


def _row(login: Login, what: What, held: Held | None, now: Now) -> Row | None:
    resource, can_ask = (None, False) if held is None else (held.resource, held.can_ask)
    hand = cast("Hand", login.hand)  # where there is none, no row has a condition
    case = Case(login, hand, resource, can_ask, now)
    for row in TABLE:
        counts = row.what is what and login.standing in row.standings
        if counts and all(FACTS[name](case) for name in row.when):
            return row
    return None


def _resolved(login: Login, what: What, held: Held | None, now: Now) -> tuple[Login, Step]:
    row = _row(login, what, held, now)
    assert row is not None  # noqa: S101  # nosec B101  # these events have a row for every standing
    after = login if held is None else _moved(login, row, held, now)
    if row.then is LOOK:
        return _look(after, now)
    if row.then not in (FLY, FLY_OR_GO):
        return after, Step(row.then, why_own(row) if row.then is OWN else "")
    if after.flight is not None:
        return after, Step(WAIT)
    if not after.pauses(now):
        return after, Step(LEAD)
    if row.then is FLY_OR_GO and after.has_live_token(now):
        return _after_the_pause(after, now), Step(GO)
    return after, Step(FAIL)


def why_own(row: Row) -> str:
    """Return why a row passes a 401 on, in the words of the log."""
    return next((name for name in row.when if name in (ITS_HABIT, IN_VAIN, IN_DOUBT)), NEW_TOO)


def _look(login: Login, now: Now) -> tuple[Login, Step]:
    hand = cast("Hand", login.hand)
    if login.pauses(now):
        return _after_the_pause(login, now), Step(GO)
    if login.flight is None and (login.unsaved is not None or login.is_in_early_window(now)):
        return login, Step(LEAD_EARLY)
    return changed(login, look_at=min(hand.early_from, hand.good_until)), Step(GO)


def _after_the_pause(login: Login, now: Now) -> Login:
    pause = cast("Pause", login.pause)
    return changed(login, look_at=now.wall + pause.until - now.steady)


def _moved(login: Login, row: Row, held: Held, now: Now) -> Login:
    """Return what *row* makes of the login."""
    hand = cast("Hand", login.hand)  # whose token is held
    standing = row.becomes or hand.standing
    evidence = _learned(login.evidence, hand, row, held, now)
    if hand.standing is not PROVEN and row.what is ACCEPTED:
        hand = hand._replace(proven_by=held.resource, refused_by=())
    elif hand.standing is not PROVEN and row.what is REPLAY_ANSWERED_401:
        hand = hand.refused(held.resource)
    still_due = None if hand.replay_due == held.resource else hand.replay_due
    hand = hand._replace(standing=standing, replay_due=still_due)
    lands = login.standing is ON_TRIAL and standing is not ON_TRIAL
    flight = None if lands else login.flight
    return changed(login, hand=hand, flight=flight, evidence=evidence)


def _learned(evidence: Evidence, hand: Hand, row: Row, held: Held, now: Now) -> Evidence:
    """Return the evidence, and what this answer adds to it."""
    resource, steady = held.resource, now.steady
    if row.what is ACCEPTED and resource is not None:
        if hand.standing is not PROVEN:
            rewarded = not hand.found and answers_a_replay(held, hand)
            evidence = evidence.proven(hand.refused_by, steady, rewarded=rewarded)
        return evidence.accepted(resource)
    if row.what is REPLAY_ANSWERED_401 and row.becomes is DOUBTED:
        return evidence.doubted(steady)
    if hand.standing is PROVEN and resource is not None:
        if row.what is REPLAY_ANSWERED_401 and row.then is OWN:
            return evidence.met(resource, steady)
        if row.becomes is REJECTED:
            return evidence.met_again(resource, steady)
    return evidence
