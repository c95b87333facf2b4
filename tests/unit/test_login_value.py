"""What the issuer, the store and the user make of a login: one transition each, no thread."""

from __future__ import annotations

import math
from typing import Any

import pytest

from requests_tokenrefresh import LoginRequiredError, RefreshFailedError, Token
from requests_tokenrefresh._evidence import Asker, Evidence, InVain
from requests_tokenrefresh._hand import (
    DOUBTED,
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
    Kept,
    Login,
    Pause,
    Unsaved,
    awaits_login,
    brought,
    changed,
    cleared,
    due,
    failed,
    found_beside,
    gave_way,
    in_child,
    logged_in,
    logged_out,
    looks_beside,
    ran_out,
    refused,
    refused_early,
    saved,
    took,
    took_off,
)
from tests.support.logins import DATA, OTHER
from tests.unit.test_token import jwt

NOW = Now(wall=1000.0, steady=50.0)
FLIGHT = object()
OLD, NEW, STORED = (Token(name, f"refresh of {name}") for name in ("old", "new", "stored"))
END = LoginRequiredError("refused", reason="invalid_grant")
FAILURE = RefreshFailedError("503")
LEARNT = Evidence(4.0).doubted(0.0).met(DATA, 0.0).refreshed(Asker.STRANGER, 49.0)


def hand(token: Token = OLD, **facts: Any) -> Hand:
    moments = {"early_from": 1100.0, "good_until": 1200.0, "dead_at": 1210.0}
    return Hand(token, **{"found": False, **moments, **facts})


def login(**facts: Any) -> Login:
    """Return a login in the middle of a flight, with a bit of everything."""
    return changed(
        Login(),
        **{
            "hand": hand(),
            "flight": FLIGHT,
            "look_at": 1050.0,
            "evidence": LEARNT,
            "kept": Kept(shun=(STORED,)),
            "number": 3,
            **facts,
        },
    )


# -- The token in hand ---------------------------------------------------------------------------


@pytest.mark.parametrize(("luck", "early_from"), [(0.0, 2000.0 - 300), (1.0, 2000.0 - 150)])
def test_the_early_window_opens_at_a_random_moment_of_its_first_half(
    luck: float, early_from: float
) -> None:
    token = Token("a", issued_at=0.0, expires_at=2000.0)
    taken = Hand.of(token, found=True, leeway=10.0, early=300.0, luck=luck)
    assert taken == Hand(token, True, early_from, good_until=1990.0, dead_at=2000.0)


def test_of_a_short_life_a_tenth_is_leeway_and_a_fifth_is_early() -> None:
    token = Token("a", issued_at=1000.0, expires_at=1050.0)
    taken = Hand.of(token, found=False, leeway=10.0, early=300.0, luck=0.0)
    assert taken == Hand(token, False, early_from=1040.0, good_until=1045.0, dead_at=1050.0)


def test_a_token_of_unknown_lifetime_is_used_to_its_end() -> None:
    token = Token("a", expires_at=1050.0)
    taken = Hand.of(token, found=True, leeway=10.0, early=300.0, luck=0.0)
    assert taken == Hand(token, True, early_from=1050.0, good_until=1050.0, dead_at=1050.0)
    forever = Hand.of(Token("a"), found=True, leeway=10.0, early=300.0, luck=0.0)
    assert forever == Hand(Token("a"), True, math.inf, math.inf, math.inf)


def test_a_moment_is_the_first_of_what_comes_then() -> None:
    before, then = Now(1199.999, 0.0), Now(1200.0, 0.0)
    assert (hand().counts_as_expired(before), hand().counts_as_expired(then)) == (False, True)
    assert login().has_live_token(Now(1209.999, 0.0))
    assert not login().has_live_token(Now(1210.0, 0.0))
    assert not login().is_in_early_window(Now(1099.999, 0.0))
    assert login().is_in_early_window(Now(1100.0, 0.0))
    resting = login(pause=Pause(FAILURE, 1, until=57.0))
    assert (resting.pauses(Now(0.0, 56.999)), resting.pauses(Now(0.0, 57.0))) == (True, False)


def test_news_is_another_token_that_does_not_count_as_expired() -> None:
    assert hand(NEW).is_news(OLD, NOW)
    assert hand(NEW).is_news(None, NOW)
    assert not hand(OLD).is_news(Token("old", "another refresh token"), NOW)
    assert not hand(NEW).is_news(OLD, Now(1200.0, 50.0))


def test_three_resources_at_most_refuse_a_token_and_each_of_them_once() -> None:
    third, fourth = (("GET", "https://api.example.com", path) for path in ("/3", "/4"))
    refused_by = hand()
    for resource in (DATA, DATA, None, OTHER, third, fourth):
        refused_by = refused_by.refused(resource)
    assert refused_by.refused_by == (DATA, OTHER, third)


# -- Until when it is sent unasked ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "until"),
    [
        ({"look_at": 1050.0}, 1050.0),
        ({"look_at": 1500.0}, 1210.0),
        ({"hand": hand(standing=PROVEN)}, 1050.0),
        ({"hand": hand(standing=DOUBTED)}, 1050.0),
        ({"hand": hand(standing=ON_TRIAL)}, -math.inf),
        ({"hand": hand(standing=REJECTED)}, -math.inf),
        ({"hand": None}, -math.inf),
    ],
)
def test_until_is_when_somebody_looks_or_the_token_dies(
    facts: dict[str, Any], until: float
) -> None:
    assert login(**facts).until == until


@pytest.mark.parametrize(
    ("facts", "unsaved", "moment"),
    [
        ({}, None, 1100.0),
        ({"early_from": 1300.0}, None, 1200.0),
        ({}, Unsaved(None), 1001.0),
        ({"good_until": 1000.5}, Unsaved(None), 1000.5),
    ],
)
def test_somebody_looks_at_the_first_thing_there_is_to_do(
    facts: dict[str, Any], unsaved: Unsaved | None, moment: float
) -> None:
    assert due(hand(**facts), unsaved, NOW) == moment


# -- What a leader does --------------------------------------------------------------------------


def test_a_flight_stops_nobody_before_the_token_counts_as_expired() -> None:
    before = login(flight=None)
    assert took_off(before, FLIGHT) == before._replace(flight=FLIGHT, look_at=1200.0, until=1200.0)
    nobody = login(flight=None, hand=None)
    assert took_off(nobody, FLIGHT) == nobody._replace(flight=FLIGHT)


def test_what_a_flight_begins_with_is_looked_after_at_once() -> None:
    before = login(hand=None)
    found = hand(STORED, found=True)
    assert took(before, FLIGHT, found, Unsaved(None)) == before._replace(
        hand=found, look_at=-math.inf, unsaved=Unsaved(None)
    )


def test_what_a_flight_brings_ends_all_that_was_about_the_one_before() -> None:
    before = login(pause=Pause(FAILURE, 2, until=40.0), unsaved=Unsaved(STORED))
    after = brought(before, FLIGHT, hand(NEW), NOW, unsaved=None)
    assert after == Login(
        until=1100.0, hand=hand(NEW), look_at=1100.0, evidence=LEARNT, kept=Kept(), number=3
    )


def test_one_on_trial_keeps_its_flight_under_way() -> None:
    after = brought(login(), FLIGHT, hand(NEW, standing=ON_TRIAL), NOW, unsaved=None)
    assert (after.flight, after.until, after.token) == (FLIGHT, -math.inf, NEW)


def test_one_that_could_not_be_saved_is_looked_after_in_a_second_and_the_store_not_believed() -> (
    None
):
    after = brought(login(), FLIGHT, hand(NEW), NOW, unsaved=Unsaved(OLD))
    assert (after.unsaved, after.look_at, after.kept) == (
        Unsaved(OLD),
        1001.0,
        Kept(shun=(STORED,)),
    )


def test_a_refresh_that_only_a_401_asked_for_is_counted_for_who_asked() -> None:
    for asker, counted in (
        (None, (InVain(1, 49.0), InVain())),
        (Asker.STRANGER, (InVain(2, 50.0), InVain())),
        (Asker.PROVER, (InVain(1, 49.0), InVain(1, 50.0))),
    ):
        after = brought(login(), FLIGHT, hand(NEW), NOW, unsaved=None, asker=asker)
        assert (after.evidence.strangers, after.evidence.provers) == counted


ALICE, BOB = (Token(jwt({"sub": name})) for name in ("alice", "bob"))


@pytest.mark.parametrize(
    ("before", "brings", "is_another"),
    [
        (hand(ALICE), hand(BOB, found=True), True),
        (hand(ALICE), hand(Token(jwt({"sub": "alice", "n": 1})), found=True), False),
        (hand(ALICE), hand(BOB), False),  # the issuer renames whom it likes
        (hand(OLD), hand(NEW, found=True), False),
        (None, hand(BOB, found=True), False),
    ],
)
def test_another_persons_token_in_the_store_is_another_login(
    before: Hand | None, brings: Hand, is_another: bool
) -> None:
    after = brought(login(hand=before), FLIGHT, brings, NOW, unsaved=None)
    assert after.number == 3 + is_another
    assert after.evidence == (Evidence(4.0) if is_another else LEARNT)


@pytest.mark.parametrize(
    ("lasted", "look_at"), [(0.0, 1007.0), (0.5, 1007.0), (0.75, 1007.5), (30.0, 1300.0)]
)
def test_after_a_failure_nobody_looks_before_the_pause_ends_nor_before_ten_times_as_long(
    lasted: float, look_at: float
) -> None:
    pause, before = Pause(FAILURE, 1, until=57.0), login()
    after = failed(before, FLIGHT, pause, NOW, lasted=lasted, look_beside=False)
    assert after == before._replace(
        flight=None, pause=pause, look_at=look_at, until=min(look_at, 1210.0)
    )


@pytest.mark.parametrize("standing", [UNTRIED, PROVEN, DOUBTED, REJECTED])
def test_a_failure_lets_a_rejected_token_go_again_as_one_that_may_be_old(
    standing: Standing,
) -> None:
    pause = Pause(FAILURE, 1, until=57.0)
    before = login(hand=hand(standing=standing, refused_by=(DATA,)))
    after = failed(before, FLIGHT, pause, NOW, lasted=0.0, look_beside=False)
    rejected = standing is REJECTED
    assert after.hand == hand(
        standing=UNTRIED if rejected else standing, found=rejected, refused_by=(DATA,)
    )
    assert after.until == 1007.0


def test_an_empty_store_is_spared_for_as_long_as_the_pause() -> None:
    pause, before = Pause(END, 0, until=51.0), login(hand=None)
    after = failed(before, FLIGHT, pause, NOW, lasted=9.0, look_beside=True)
    assert after == before._replace(
        flight=None, pause=pause, kept=Kept(shun=(STORED,), look_at=51.0)
    )


def test_a_refusal_ends_the_login_and_all_that_was_learnt() -> None:
    after = refused(login(unsaved=Unsaved(OLD)), FLIGHT, END, shun=(OLD,))
    assert after == Login(over=END, evidence=Evidence(4.0), kept=Kept(shun=(OLD,)), number=3)


def test_the_refusal_of_an_early_refresh_leaves_the_token_until_it_dies() -> None:
    before = login(unsaved=Unsaved(OLD))
    after = refused_early(before, FLIGHT, END, shun=(OLD,))
    assert after == before._replace(
        flight=None, over=END, look_at=1210.0, until=1210.0, unsaved=None, kept=Kept(shun=(OLD,))
    )
    assert (after.is_over(), ran_out(after).is_over()) == (False, True)
    assert ran_out(after) == after._replace(hand=None, until=-math.inf)


def test_without_a_token_there_is_no_early_refusal() -> None:
    before = login(hand=None)
    assert refused_early(before, FLIGHT, END, shun=()) is before


def test_before_the_unattended_login_what_was_refused_is_out_of_hand() -> None:
    before = login(unsaved=Unsaved(STORED))
    after = awaits_login(before, FLIGHT, shun=(OLD,), lives_on=False)
    assert after == before._replace(
        hand=None, unsaved=None, kept=Kept(shun=(OLD,)), until=-math.inf
    )


def test_before_the_unattended_login_what_was_refused_early_is_used_up() -> None:
    before = login(unsaved=Unsaved(STORED))
    after = awaits_login(before, FLIGHT, shun=(OLD,), lives_on=True)
    assert after == before._replace(unsaved=None, kept=Kept(shun=(OLD,)))


@pytest.mark.parametrize(
    ("facts", "look_at"),
    [
        ({}, 1100.0),
        ({"unsaved": Unsaved(OLD)}, 1001.0),
        ({"hand": hand(early_from=1000.0)}, 1001.0),  # who has the lock is refreshing
        ({"hand": None}, 1050.0),
    ],
)
def test_a_flight_that_gives_way_is_tried_again(facts: dict[str, Any], look_at: float) -> None:
    before = login(**facts)
    after = gave_way(before, FLIGHT, NOW)
    until = -math.inf if before.hand is None else look_at
    assert after == before._replace(flight=None, look_at=look_at, until=until)


# -- What the user, the store and siblings do ----------------------------------------------------


def test_logging_in_begins_anew_and_counts_more_than_whatever_is_stored() -> None:
    for before in (login(), login(hand=None), login(over=END), login(hand=None, over=END)):
        assert logged_in(before, hand(NEW, found=True), NOW) == Login(
            until=1001.0,
            hand=hand(NEW, found=True),
            look_at=1001.0,
            unsaved=Unsaved(ANYTHING),
            evidence=Evidence(4.0),
            number=4,
        )


def test_logging_out_believes_nothing_that_is_stored() -> None:
    after = logged_out(login(unsaved=Unsaved(OLD)), END)
    assert after == Login(over=END, evidence=Evidence(4.0), kept=Kept(shun=ANYTHING), number=3)
    assert not after.kept.believes(NEW)


def test_a_login_that_is_over_stays_over_for_its_own_reason() -> None:
    second = LoginRequiredError("logged out", reason="logged_out")
    over = login(hand=None, over=END)
    assert logged_out(over, second).over is END
    assert refused(over, FLIGHT, second, shun=()).over is END
    assert logged_out(login(over=END), second).over is second  # a token was left to use up


def test_what_is_shunned_is_not_believed() -> None:
    kept = Kept(shun=(OLD, STORED))
    assert [kept.believes(token) for token in (OLD, STORED, NEW)] == [False, False, True]


def test_the_store_is_looked_into_once_a_second_by_who_can_be_helped_by_nothing_else() -> None:
    before = login(flight=None)
    after = looks_beside(before, NOW, in_need=True)
    assert after == before._replace(kept=Kept(shun=(STORED,), look_at=51.0))
    assert looks_beside(after, Now(1000.999, 50.999), in_need=True) is after
    assert looks_beside(after, Now(1001.0, 51.0), in_need=True).kept.look_at == 52.0


@pytest.mark.parametrize(
    ("facts", "in_need", "looks"),
    [
        ({}, False, False),
        ({"flight": FLIGHT}, True, False),
        ({"kept": Kept(shun=ANYTHING)}, True, False),
        ({"unsaved": Unsaved(ANYTHING)}, True, False),
        ({"unsaved": Unsaved(OLD)}, True, False),
        ({"unsaved": Unsaved(None)}, True, True),
        ({"hand": None, "over": END}, True, True),
    ],
)
def test_who_looks_beside(facts: dict[str, Any], in_need: bool, looks: bool) -> None:
    before = login(**{"flight": None, **facts})
    assert (looks_beside(before, NOW, in_need=in_need) is not before) is looks


def test_what_is_found_beside_is_in_use_and_saved() -> None:
    found = hand(NEW, found=True)
    kept = Kept(shun=(STORED,))
    after = found_beside(login(flight=None, kept=kept), found, NOW)
    assert after == Login(until=1100.0, hand=found, look_at=1100.0, evidence=LEARNT, number=3)
    again = found_beside(login(flight=None, hand=None, over=END), found, NOW)
    assert (again.over, again.number, again.evidence) == (None, 4, Evidence(4.0))


def test_saving_the_token_in_hand_ends_that_it_is_unsaved() -> None:
    before = login(unsaved=Unsaved(STORED))
    after = saved(before, OLD, NOW)
    assert after == before._replace(unsaved=None, look_at=1100.0, until=1100.0, kept=Kept())
    assert saved(after, OLD, NOW) is after
    assert saved(before, Token("old", "refresh of old"), NOW) is before  # another object


def test_what_is_saved_too_late_is_not_believed_when_it_is_over() -> None:
    over = login(hand=None, over=END)
    assert saved(over, NEW, NOW).kept == Kept(shun=(STORED, NEW))
    nothing = login(hand=None, over=END, kept=Kept(shun=ANYTHING))
    assert saved(nothing, NEW, NOW) is nothing


def test_what_is_found_in_a_store_that_was_cleared_is_news() -> None:
    before = login(kept=Kept(shun=ANYTHING, look_at=51.0))
    assert cleared(before) == before._replace(kept=Kept(look_at=51.0))


@pytest.mark.parametrize(
    ("facts", "standing", "look_at"),
    [
        ({}, UNTRIED, 1100.0),
        ({"hand": hand(standing=ON_TRIAL)}, UNTRIED, 1100.0),
        ({"hand": hand(standing=PROVEN)}, PROVEN, 1100.0),
        ({"hand": hand(standing=REJECTED)}, REJECTED, 1100.0),
        ({"unsaved": Unsaved(OLD)}, UNTRIED, -math.inf),
    ],
)
def test_a_child_begins_without_a_flight_and_saves_at_once_what_is_not_saved(
    facts: dict[str, Any], standing: Standing, look_at: float
) -> None:
    before = login(**facts)
    after = in_child(before)
    assert (after.flight, after.standing, after.look_at) == (None, standing, look_at)
    assert (after.token, after.unsaved, after.kept) == (before.token, before.unsaved, before.kept)


def test_a_child_of_a_process_without_a_token_has_none() -> None:
    before = login(hand=None)
    assert in_child(before) == before._replace(flight=None)
