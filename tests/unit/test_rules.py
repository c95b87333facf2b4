"""The table of rules, cell by cell, and what holds whatever happens: without a thread."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from requests_tokenrefresh import LoginRequiredError, RefreshFailedError, Token
from requests_tokenrefresh._evidence import Asker, Evidence, InVain, Patience
from requests_tokenrefresh._hand import (
    DOUBTED,
    NONE,
    ON_TRIAL,
    PROVEN,
    REJECTED,
    UNTRIED,
    Hand,
    Now,
    Standing,
)
from requests_tokenrefresh._login import (
    ANYTHING,
    Login,
    Pause,
    Unsaved,
    awaits_login,
    brought,
    changed,
    failed,
    found_beside,
    gave_way,
    in_child,
    logged_in,
    logged_out,
    refused,
    refused_early,
    saved,
    took,
    took_off,
)
from requests_tokenrefresh._rules import (
    ACCEPTED,
    ANOTHER_PERSON,
    ANSWERED_401,
    FACTS,
    FAIL,
    GO,
    IN_DOUBT,
    IN_VAIN,
    ITS_HABIT,
    LEAD,
    LEAD_EARLY,
    NEW_TOO,
    NO_VERDICT,
    NOTHING,
    OWN,
    REPLAY_ANSWERED_401,
    TABLE,
    TWICE,
    WAIT,
    WANTED,
    Held,
    Then,
    What,
    answers_a_replay,
    came_of,
    decide,
    is_in_need,
    judged,
    who_asks,
)
from tests.support.logins import DATA, OTHER
from tests.unit.test_token import jwt

NOW = Now(1000.0, 50.0)
LATER = Patience(8.0, NOW.steady + 8)
FLIGHT = object()
FAILURE = RefreshFailedError("503", retry_after=7.0)
END = LoginRequiredError("refused", reason="invalid_grant")


def login(standing: Standing, *facts: str, **changes: Any) -> Login:
    """Return a login whose token stands so, and of which these facts are true."""
    evidence = Evidence(
        first=1.0,
        doubt=LATER if "in doubt" in facts else None,
        known={DATA: LATER} if "known" in facts else {},
        strangers=InVain(5, NOW.steady) if "in vain" in facts else InVain(),
        provers=InVain(5, NOW.steady) if "its proof in vain" in facts else InVain(),
    )
    hand = Hand(
        Token("access", "refresh"),
        found="found" in facts,
        early_from=NOW.wall - 1 if "window open" in facts else NOW.wall + 100,
        good_until=NOW.wall if {"expired", "dead"} & {*facts} else NOW.wall + 200,
        dead_at=NOW.wall if "dead" in facts else NOW.wall + 300,
        standing=standing,
        proven_by=DATA if "its proof" in facts else OTHER if standing is PROVEN else None,
    )
    return changed(
        Login(),
        hand=None if standing is NONE else hand,
        flight=FLIGHT if "flight" in facts or standing is ON_TRIAL else None,
        look_at=NOW.wall if "look" in facts else NOW.wall + 90,
        unsaved=Unsaved(None) if "unsaved" in facts else None,
        pause=Pause(FAILURE, 1, NOW.steady + 7) if "pause" in facts else None,
        evidence=evidence,
        **changes,
    )


def held(before: Login, *, replay: bool = False, **facts: Any) -> Held:
    assert before.token is not None
    return Held(before.token, DATA, replay, **facts)


# -- A token is wanted ---------------------------------------------------------------------------

GOOD = (UNTRIED, PROVEN, DOUBTED)

WANTS: list[tuple[tuple[Standing, ...], tuple[str, ...], Then]] = [
    ((NONE, REJECTED), (), LEAD),
    ((NONE, REJECTED), ("flight",), WAIT),
    ((NONE, REJECTED), ("pause",), FAIL),
    (GOOD, (), GO),
    (GOOD, ("pause",), GO),
    (GOOD, ("flight",), GO),
    (GOOD, ("expired",), LEAD),
    (GOOD, ("expired", "flight"), WAIT),
    (GOOD, ("expired", "pause"), GO),
    (GOOD, ("dead",), LEAD),
    (GOOD, ("dead", "pause"), FAIL),
    (GOOD, ("look",), GO),
    (GOOD, ("look", "window open"), LEAD_EARLY),
    (GOOD, ("look", "unsaved"), LEAD_EARLY),
    (GOOD, ("look", "window open", "flight"), GO),
    (GOOD, ("look", "window open", "pause"), GO),
    ((ON_TRIAL,), (), WAIT),
]


@pytest.mark.parametrize(("standings", "facts", "then"), WANTS)
def test_what_a_thread_does_that_wants_a_token(
    standings: tuple[Standing, ...], facts: tuple[str, ...], then: Then
) -> None:
    for standing in standings:
        before = login(standing, *facts)
        after, step = decide(before, None, NOW)
        assert (standing, step.then) == (standing, then)
        assert (after.standing, after.token) == (before.standing, before.token)


def test_who_is_on_trial_sends_the_token_on_trial() -> None:
    assert decide(login(ON_TRIAL), None, NOW, on_trial=True)[1].then is GO


@pytest.mark.parametrize(
    ("facts", "seconds"), [(("look",), 100), (("look", "pause"), 7), (("expired", "pause"), 7)]
)
def test_who_has_looked_lets_the_others_go_on_without_looking(
    facts: tuple[str, ...], seconds: float
) -> None:
    """Until the early window opens, or the pause ends."""
    after, _ = decide(login(PROVEN, *facts), None, NOW)
    assert after.look_at == NOW.wall + seconds
    assert after.until == after.look_at


def test_a_401_to_another_token_counts_as_wanting_one() -> None:
    for standing, step in ((PROVEN, GO), (REJECTED, LEAD), (ON_TRIAL, WAIT), (NONE, LEAD)):
        before = login(standing)
        after, decided = decide(before, Held(Token("older"), DATA), NOW)
        assert (decided.then, after) == (step, before)


def test_a_401_to_another_persons_token_is_its_callers() -> None:
    alice, bob = (Token(jwt({"sub": name})) for name in ("alice", "bob"))
    before = login(PROVEN)
    assert before.hand is not None
    before = changed(before, hand=before.hand._replace(token=bob))
    assert decide(before, Held(alice, DATA), NOW)[1] == (OWN, ANOTHER_PERSON)
    assert decide(before, Held(alice, None), NOW)[1].then is GO  # refresh() wants what there is
    assert decide(before, Held(Token(jwt({"sub": "bob", "n": 2})), DATA), NOW)[1].then is GO


def test_another_persons_trial_goes_on_if_somebody_else_is_on_it() -> None:
    alice, bob = (Token(jwt({"sub": name})) for name in ("alice", "bob"))
    before = login(ON_TRIAL)
    assert before.hand is not None
    before = changed(before, hand=before.hand._replace(token=bob))
    assert decide(before, Held(alice, DATA), NOW) == (before, (OWN, ANOTHER_PERSON))
    after, _ = decide(before, Held(alice, DATA), NOW, on_trial=True)
    assert (after.standing, after.flight) == (UNTRIED, None)


@pytest.mark.parametrize("standing", [ON_TRIAL, UNTRIED])
def test_only_an_answer_to_the_token_in_hand_answers_a_replay_with_it(standing: Standing) -> None:
    before = login(standing)
    assert answers_a_replay(held(before, replay=True), before.hand)
    assert answers_a_replay(held(before), before.hand) is (standing is ON_TRIAL)
    assert not answers_a_replay(Held(Token("older"), DATA, True), before.hand)
    assert not answers_a_replay(held(before, replay=True)._replace(resource=None), before.hand)
    assert not answers_a_replay(held(before, replay=True), None)


# -- It was answered 401 -------------------------------------------------------------------------

ANSWERS: list[tuple[bool, tuple[Standing, ...], tuple[str, ...], Standing | None, Then, str]] = [
    # replay, standings, facts, becomes, then, why
    (False, GOOD, (), REJECTED, LEAD, ""),
    (False, GOOD, ("flight",), REJECTED, WAIT, ""),
    (False, GOOD, ("expired",), REJECTED, LEAD, ""),
    (False, GOOD, ("pause",), None, FAIL, ""),
    (False, (REJECTED,), (), None, LEAD, ""),
    (False, (REJECTED,), ("flight",), None, WAIT, ""),
    (False, (REJECTED,), ("pause",), None, FAIL, ""),
    (False, (UNTRIED, PROVEN), ("known",), None, OWN, ITS_HABIT),
    (False, (UNTRIED, PROVEN), ("known", "pause"), None, OWN, ITS_HABIT),
    (False, (UNTRIED, PROVEN), ("known", "flight"), None, WAIT, ""),
    (False, (UNTRIED, PROVEN), ("known", "expired"), None, LEAD, ""),
    (False, (DOUBTED,), ("known",), REJECTED, LEAD, ""),
    (False, (PROVEN,), ("in vain",), None, OWN, IN_VAIN),
    (False, (PROVEN,), ("in vain", "flight"), None, WAIT, ""),
    (False, (PROVEN,), ("in vain", "expired"), None, LEAD, ""),
    (False, (PROVEN,), ("in vain", "its proof"), REJECTED, LEAD, ""),
    (False, (PROVEN,), ("its proof in vain", "its proof"), None, OWN, IN_VAIN),
    (False, (UNTRIED, DOUBTED), ("in vain",), REJECTED, LEAD, ""),
    (False, (UNTRIED, DOUBTED), ("in doubt",), DOUBTED, OWN, IN_DOUBT),
    (False, (UNTRIED, DOUBTED), ("in doubt", "flight"), None, WAIT, ""),
    (False, (UNTRIED, DOUBTED), ("in doubt", "expired"), None, LEAD, ""),
    (False, (UNTRIED, DOUBTED), ("in doubt", "found"), REJECTED, LEAD, ""),
    (True, (ON_TRIAL,), (), DOUBTED, OWN, NEW_TOO),
    (True, (ON_TRIAL,), ("found",), REJECTED, LEAD, ""),
    (True, (ON_TRIAL,), ("expired",), REJECTED, LEAD, ""),
    (True, (UNTRIED,), (), DOUBTED, OWN, NEW_TOO),
    (True, (UNTRIED,), ("found",), REJECTED, LEAD, ""),
    (True, (UNTRIED,), ("found", "pause"), None, FAIL, ""),
    (True, (UNTRIED, PROVEN, DOUBTED), ("flight",), None, WAIT, ""),
    (True, (UNTRIED, PROVEN, DOUBTED), ("expired",), None, LEAD, ""),
    (True, (PROVEN, DOUBTED), (), None, OWN, NEW_TOO),
    (True, (REJECTED,), (), None, LEAD, ""),
    (True, (REJECTED,), ("flight",), None, WAIT, ""),
]


@pytest.mark.parametrize(("replay", "standings", "facts", "becomes", "then", "why"), ANSWERS)
def test_what_a_401_means(
    replay: bool,
    standings: tuple[Standing, ...],
    facts: tuple[str, ...],
    becomes: Standing | None,
    then: Then,
    why: str,
) -> None:
    for standing in standings:
        before = login(standing, *facts)
        after, step = decide(before, held(before, replay=replay), NOW)
        assert (standing, after.standing, step.then) == (standing, becomes or standing, then)
        assert step.why == why
        assert after.hand is not None
        assert after.hand.refused_by == ((DATA,) if replay and standing is not PROVEN else ())
        if standing is not PROVEN:  # nobody vouches for the token
            assert after.evidence.known == before.evidence.known


def test_a_trial_goes_on_with_the_next_as_long_as_another_can_be_asked() -> None:
    before = login(ON_TRIAL)
    after, step = decide(before, held(before, replay=True, can_ask=True), NOW)
    assert (after.standing, step.then, after.flight) == (ON_TRIAL, OWN, FLIGHT)
    assert after.evidence == before.evidence
    assert after.hand is not None
    assert after.hand.refused_by == (DATA,)


def test_refreshing_by_hand_minds_the_issuers_pause_and_nothing_else() -> None:
    for standing, facts in itertools.product(
        GOOD, [(), ("known",), ("in vain",), ("in doubt",), ("known", "in vain", "in doubt")]
    ):
        before = login(standing, *facts)
        assert before.token is not None
        after, step = decide(before, Held(before.token, None), NOW)
        assert (after.standing, step.then) == (REJECTED, LEAD)
        paused = login(standing, "pause", *facts)
        assert paused.token is not None
        assert decide(paused, Held(paused.token, None), NOW) == (
            paused,
            (FAIL, ""),
        )


def test_the_next_request_there_is_the_replay_of_a_body_that_could_be_sent_only_once() -> None:
    before = login(UNTRIED)
    assert before.hand is not None
    due = changed(before, hand=before.hand._replace(replay_due=DATA))
    after, step = decide(due, held(due), NOW)
    assert (after.standing, step.then) == (DOUBTED, OWN)
    elsewhere = Held(before.hand.token, OTHER)
    assert judged(due, ACCEPTED, elsewhere, NOW).hand == due.hand._replace(
        standing=PROVEN, proven_by=OTHER
    )
    assert judged(due, ACCEPTED, held(due), NOW).hand.replay_due is None
    assert after.hand is not None
    assert after.hand.replay_due is None


# -- What is learnt ------------------------------------------------------------------------------


def test_becoming_proven_ends_doubt_and_remembers_who_has_refused() -> None:
    before = login(DOUBTED, "in doubt")
    assert before.hand is not None
    before = changed(before, hand=before.hand._replace(refused_by=(OTHER,)))
    after = judged(before, ACCEPTED, held(before), NOW)
    assert after.standing is PROVEN
    assert (after.evidence.doubt, dict(after.evidence.known)) == (None, {OTHER: Patience(1, 51)})
    assert after.hand is not None
    assert (after.hand.refused_by, after.hand.proven_by) == ((), DATA)


@pytest.mark.parametrize("standing", [ON_TRIAL, UNTRIED, DOUBTED])
@pytest.mark.parametrize("replay", [True, False])
def test_an_accepted_replay_rewards_one_refresh(standing: Standing, replay: bool) -> None:
    before = login(standing, "in vain", "its proof in vain")
    after = judged(before, ACCEPTED, held(before, replay=replay), NOW)
    rewarded = replay or standing is ON_TRIAL
    assert after.evidence.strangers.times == after.evidence.provers.times == 5 - rewarded


def test_a_resource_that_accepts_is_forgotten() -> None:
    before = login(PROVEN, "known")
    assert dict(judged(before, ACCEPTED, held(before), NOW).evidence.known) == {}


def test_a_known_resource_that_refuses_again_has_twice_the_patience() -> None:
    before = login(PROVEN, "known")
    later = Now(NOW.wall + 9, NOW.steady + 9)
    after, step = decide(before, held(before), later)
    assert (after.standing, step.then) == (REJECTED, LEAD)
    assert dict(after.evidence.known) == {DATA: Patience(16, later.steady + 16)}


def test_a_proven_token_that_is_refused_at_a_replay_makes_the_resource_known() -> None:
    before = login(PROVEN)
    after, _ = decide(before, held(before, replay=True), NOW)
    assert dict(after.evidence.known) == {DATA: Patience(1, 51)}


def test_a_trial_that_ends_lands() -> None:
    before = login(ON_TRIAL)
    for after in (
        judged(before, ACCEPTED, held(before), NOW),
        judged(before, NO_VERDICT, held(before), NOW),
        decide(before, held(before, replay=True), NOW)[0],
    ):
        assert (after.flight, after.standing is ON_TRIAL) == (None, False)


def test_a_verdict_on_another_token_is_none() -> None:
    for standing, what in itertools.product(Standing, (ACCEPTED, NO_VERDICT)):
        before = login(standing)
        assert judged(before, what, Held(Token("older"), DATA), NOW) is before


@pytest.mark.parametrize(
    ("standing", "facts", "asks"),
    [
        (PROVEN, (), Asker.STRANGER),
        (UNTRIED, (), Asker.STRANGER),
        (PROVEN, ("its proof",), Asker.PROVER),
        (PROVEN, ("known",), None),
        (PROVEN, ("expired",), None),
        (DOUBTED, (), None),
        (REJECTED, (), None),
    ],
)
def test_who_asks_for_a_refresh_that_nothing_else_asks_for(
    standing: Standing, facts: tuple[str, ...], asks: Asker | None
) -> None:
    before = login(standing, *facts)
    assert who_asks(before, held(before), NOW) is asks
    assert who_asks(before, Held(Token("older"), DATA), NOW) is None
    assert who_asks(before, None, NOW) is None


# -- What came of a flight -----------------------------------------------------------------------


@pytest.mark.parametrize("end", ["pause", "over"])
def test_a_failure_is_for_those_who_hold_a_401_or_have_no_live_token(end: str) -> None:
    began = login(REJECTED)
    landed = login(UNTRIED, "pause") if end == "pause" else login(UNTRIED, over=END)
    error = FAILURE if end == "pause" else END
    assert came_of(began, landed, held(landed), NOW) == ((FAIL, ""), error)
    assert came_of(began, landed, None, NOW) == ((GO, ""), None)
    assert came_of(began, landed, Held(Token("older"), DATA), NOW) == ((GO, ""), None)
    dead = login(UNTRIED, "pause", "dead") if end == "pause" else login(NONE, over=END)
    assert came_of(began, dead, None, NOW) == ((FAIL, ""), error)


def test_a_failure_from_before_is_not_this_flights() -> None:
    began = login(REJECTED, "pause")
    landed = began._replace(flight=None)
    assert came_of(began, landed, held(landed), NOW) == ((NOTHING, ""), None)


def test_who_holds_a_401_gets_it_back_if_the_new_token_is_doubted() -> None:
    began, landed = login(REJECTED), login(DOUBTED)
    older = Held(Token("older"), DATA)
    assert came_of(began, landed, older, NOW) == ((OWN, NEW_TOO), None)
    assert came_of(began, landed, older._replace(resource=None), NOW) == ((NOTHING, ""), None)
    assert came_of(began, landed, None, NOW) == ((NOTHING, ""), None)
    assert came_of(began, landed, held(landed), NOW) == ((NOTHING, ""), None)  # the one before


def test_a_token_that_was_doubted_before_the_flight_is_not_what_it_has_brought() -> None:
    """Such as one that an early flight was to save."""
    doubted = login(DOUBTED)
    assert came_of(doubted, doubted, Held(Token("older"), DATA), NOW) == ((NOTHING, ""), None)


def test_who_was_sent_again_twice_has_its_401_whatever_is_in_hand() -> None:
    for standing in Standing:
        before = login(standing)
        last = Held(before.token or Token("older"), DATA, replay=True, is_last=True)
        assert decide(before, last, NOW) == (before, (OWN, TWICE))


# -- After the end -------------------------------------------------------------------------------


def test_when_it_is_over_all_fail() -> None:
    before = login(NONE, over=END)
    for one in (None, Held(Token("older"), DATA)):
        assert decide(before, one, NOW) == (before, (FAIL, ""))


def test_beside_a_live_token_only_those_fail_who_hold_a_401_to_it() -> None:
    before = login(PROVEN, over=END)
    assert decide(before, None, NOW) == (before, (GO, ""))
    assert decide(before, held(before), NOW) == (before, (FAIL, ""))
    assert decide(before, Held(Token("older"), DATA), NOW) == (before, (GO, ""))


def test_with_the_token_the_login_ends() -> None:
    after, step = decide(login(PROVEN, "dead", over=END), None, NOW)
    assert (after.is_over(), after.over, step.then) == (True, END, FAIL)


# -- What only another process can bring ---------------------------------------------------------


@pytest.mark.parametrize(
    ("standing", "facts", "resource", "needs"),
    [
        (NONE, (), None, False),
        (NONE, ("pause",), None, True),
        (PROVEN, (), None, False),
        (PROVEN, ("pause",), None, False),
        (PROVEN, ("dead",), None, False),
        (PROVEN, ("dead", "in vain"), None, False),
        (PROVEN, ("dead", "pause"), None, True),
        (PROVEN, (), DATA, False),
        (PROVEN, ("pause",), DATA, True),
        (PROVEN, ("in vain",), DATA, True),
        (PROVEN, ("in vain", "its proof"), DATA, False),
        (UNTRIED, ("in vain",), DATA, False),
    ],
)
def test_who_is_in_need_of_what_another_process_has_stored(
    standing: Standing, facts: tuple[str, ...], resource: Any, needs: bool
) -> None:
    before = login(standing, *facts)
    holds = None if resource is None else held(before)
    assert is_in_need(before, holds, NOW) is needs
    assert is_in_need(changed(before, over=END), holds, NOW)


def test_refreshing_by_hand_is_not_in_need_because_pages_were_in_vain() -> None:
    before = login(PROVEN, "in vain")
    assert not is_in_need(before, held(before)._replace(resource=None), NOW)


# -- The table itself ----------------------------------------------------------------------------


def test_every_event_has_a_row_for_every_standing_that_it_can_meet() -> None:
    meets: dict[What, set[Standing]] = {
        WANTED: {*Standing},
        ANSWERED_401: {*Standing} - {NONE},
        REPLAY_ANSWERED_401: {*Standing} - {NONE},
        ACCEPTED: {*Standing} - {NONE, REJECTED},
        NO_VERDICT: {ON_TRIAL},
    }
    for what, standings in meets.items():
        without_condition = {
            standing
            for row in TABLE
            if row.what is what and not row.when
            for standing in row.standings
        }
        assert without_condition == standings


def test_no_row_is_hidden_by_one_before_it() -> None:
    for number, row in enumerate(TABLE):
        for standing in row.standings:
            before = [
                one for one in TABLE[:number] if one.what is row.what and standing in one.standings
            ]
            assert not [one for one in before if {*one.when} <= {*row.when}], row


def test_every_fact_is_in_the_table() -> None:
    assert {name for row in TABLE for name in row.when} == {*FACTS}


# -- What holds whatever happens -----------------------------------------------------------------

seconds = st.sampled_from([0.0, 0.4, 1.0, 7.0, 40.0, 300.0])
resources = st.sampled_from([DATA, OTHER, ("POST", "https://api.example.com", "/third")])
booleans = st.booleans()


class History:
    """A login, and everything that may happen to it, in any order."""

    def __init__(self) -> None:
        self.now = Now(1000.0, 50.0)
        self.login = Login()
        self.tokens: list[Token] = []
        self.logged_in_again = False

    def hand(self, found: bool) -> Hand:
        token = Token(f"access-{len(self.tokens)}", "refresh")
        self.tokens.append(token)
        wall = self.now.wall
        return Hand(token, found, wall + 20, wall + 30, wall + 40)

    def step(self, draw: Callable[[Any], Any]) -> None:
        before, flight = self.login, self.login.flight
        wall, steady = self.now
        choice = draw(st.sampled_from(["401", "401", "accept", "want", "issuer", "user", "time"]))
        if choice == "time":
            passes = draw(seconds)
            self.now = Now(wall + passes, steady + passes)
        elif choice == "want":
            self.take_off(*decide(before, None, self.now))
        elif choice == "401" and self.tokens:
            token = draw(st.sampled_from(self.tokens[-2:]))
            one = Held(token, draw(resources), draw(booleans), can_ask=draw(booleans))
            after, step = decide(before, one, self.now)
            if token is before.token:
                assert step.then not in (GO, LEAD_EARLY)
            self.keeps_what_an_api_cannot_change(before, after)
            self.take_off(after, step)
        elif choice == "accept" and before.token is not None:
            what = draw(st.sampled_from([ACCEPTED, NO_VERDICT]))
            one = Held(before.token, draw(resources), draw(booleans))
            self.login = judged(before, what, one, self.now)
            self.keeps_what_an_api_cannot_change(before, self.login)
        elif choice == "issuer" and flight is not None and before.standing is not ON_TRIAL:
            self.login = self.issuer(draw)
        elif choice == "user":
            self.login = self.user(draw)

    def take_off(self, after: Login, step: Any) -> None:
        assert (step.then is WAIT) <= (after.flight is not None)
        assert (step.then in (LEAD, LEAD_EARLY)) <= (after.flight is None)
        self.login = after
        if step.then in (LEAD, LEAD_EARLY):
            self.login = took_off(after, object())

    def issuer(self, draw: Callable[[Any], Any]) -> Login:
        before, flight = self.login, self.login.flight
        hand = self.hand(found=draw(booleans))
        if draw(booleans):
            hand = hand._replace(standing=ON_TRIAL)
        unsaved = draw(st.sampled_from([None, Unsaved(None), Unsaved(ANYTHING)]))
        pause = Pause(FAILURE, 1, self.now.steady + draw(seconds))
        rejected = before.standing is REJECTED
        choice = draw(
            st.sampled_from(["brought", "failed", "refused", "early", "gave way", "took"])
        )
        if choice == "failed":
            after = failed(before, flight, pause, self.now, lasted=draw(seconds), look_beside=False)
            assert after.standing is not REJECTED
            if rejected or before.has_live_token(self.now):
                assert after.token is before.token
            return after
        if choice == "refused":
            return refused(before, flight, END, shun=())
        if choice == "early" and before.hand is not None and not rejected:
            return refused_early(before, flight, END, shun=())
        if choice == "gave way":
            return gave_way(before, flight, self.now)
        if choice == "took" and before.hand is None:
            return took(before, flight, hand._replace(standing=UNTRIED, found=True))
        return brought(before, flight, hand, self.now, unsaved=unsaved)

    def user(self, draw: Callable[[Any], Any]) -> Login:
        choice = draw(st.sampled_from(["in", "out", "child", "saved", "beside"]))
        if choice == "in":
            self.logged_in_again = True
            return logged_in(self.login, self.hand(found=True), self.now)
        if choice == "out":
            return logged_out(self.login, END)
        if choice == "beside" and self.login.flight is None:
            self.logged_in_again = True
            return found_beside(self.login, self.hand(found=True), self.now)
        if choice == "saved" and self.login.token is not None:
            return saved(self.login, self.login.token, self.now)
        return in_child(self.login) if choice == "child" else self.login

    def keeps_what_an_api_cannot_change(self, before: Login, after: Login) -> None:
        if after.over is None or before.over is None or not after.is_over():
            assert (after.token, after.over) == (before.token, before.over)
        assert (after.pause, after.unsaved, after.kept) == (
            before.pause,
            before.unsaved,
            before.kept,
        )

    def check(self, before: Login) -> None:
        login = self.login
        if self.now.wall < login.until:
            assert decide(login, None, self.now) == (login, (GO, ""))
        assert (login.standing is ON_TRIAL) <= (login.flight is not None)
        assert (login.unsaved is not None) <= (login.hand is not None)
        if login.standing is PROVEN and login.hand is not None:
            assert (login.evidence.doubt, login.hand.refused_by) == (None, ())
        if login.hand is None or login.standing in (ON_TRIAL, REJECTED):
            assert login.until == -math.inf
        if before.is_over() and not self.logged_in_again:
            assert login.is_over()
        assert len(login.evidence.known) <= 256


@given(st.data())
def test_what_holds_whatever_happens(data: st.DataObject) -> None:
    history = History()
    for _ in range(data.draw(st.integers(1, 40))):
        before, history.logged_in_again = history.login, False
        history.step(data.draw)
        history.check(before)


@pytest.mark.parametrize(
    "of_another_flight",
    [
        lambda it, hand: took(it, object(), hand),
        lambda it, hand: brought(it, object(), hand, NOW, unsaved=None),
        lambda it, hand: failed(
            it, object(), Pause(FAILURE, 1, 60), NOW, lasted=1, look_beside=True
        ),
        lambda it, hand: refused(it, object(), END, shun=()),
        lambda it, hand: refused_early(it, object(), END, shun=()),
        lambda it, hand: awaits_login(it, object(), shun=(), lives_on=True),
        lambda it, hand: gave_way(it, object(), NOW),
    ],
)
@pytest.mark.parametrize("standing", [*Standing])
def test_what_a_displaced_leader_says_changes_nothing(
    standing: Standing, of_another_flight: Callable[[Login, Hand], Login]
) -> None:
    for facts in ((), ("flight",), ("pause",), ("unsaved",)):
        before = login(standing, *facts)
        hand = Hand(Token("late"), False, math.inf, math.inf, math.inf)
        assert of_another_flight(before, hand) is before
