"""Rule 5 of the flight: whose answer a 401 is, the resource's own or the token's."""

from __future__ import annotations

import pytest

from requests_tokenrefresh import MemoryTokenStore, RefreshFailedError, Token, TokenSource
from tests.support.logins import (
    DATA,
    ORIGIN,
    OTHER,
    START,
    Clock,
    Refresher,
    first_token,
    make_source,
)
from tests.support.threads import start_together, wait_until
from tests.support.troubled_store import Store, siblings

FORBIDDEN = ("GET", ORIGIN, "/forbidden")


def forbid(source: TokenSource) -> bool:
    """GET the forbidden page; return whether that was answered at once."""
    token = source.token()
    if source.is_own(token, FORBIDDEN):
        return True
    new = source.reject(token, FORBIDDEN)
    assert new is not None
    assert source.refuse(new, FORBIDDEN)
    return False


def visit(source: TokenSource) -> None:
    """GET a page that accepts the token."""
    source.accept(source.token(), DATA)


# -- a resource that refuses what others accept --------------------------------------------------


@pytest.mark.parametrize("age", [0.0, 0.5, 2, 3000], ids=lambda age: f"{age} s old")
@pytest.mark.parametrize("kind", ["login", "expiring", "no expiry", "refreshed", "found"])
def test_a_forbidden_page_costs_one_refresh_and_nothing_else(age: float, kind: str) -> None:
    clock, refresher, reasons, store = Clock(), Refresher(), list[str](), MemoryTokenStore()
    if kind == "found":
        store.save(first_token())
    source = make_source(
        refresher, clock=clock, store=store, logged_in=False, on_logout=reasons.append
    )
    if kind in ("login", "refreshed"):
        source.login(first_token())
    elif kind == "expiring":
        source.login(first_token(3500))
    elif kind == "no expiry":
        source.login(Token("access-0", "refresh-0"))
    if kind == "refreshed":
        source.refresh(source.token())
    calls = len(refresher.calls)
    visit(source)
    clock.advance(age)
    assert not forbid(source)
    assert len(refresher.calls) == calls + 1
    assert store.load() == source.token()
    assert source.token().refresh_token == f"refresh-{calls + 1}"
    visit(source)
    for _ in range(20):
        assert forbid(source)
    assert len(refresher.calls) == calls + 1
    assert reasons == []


def test_a_resource_that_refuses_again_is_given_twice_as_long_up_to_five_minutes() -> None:
    clock, refresher = Clock(), Refresher(lifetime=None)
    source = make_source(refresher, clock=clock)
    pauses = []
    forbid(source)
    for _ in range(12):
        visit(source)
        begun = clock.now
        while forbid(source):
            clock.advance(0.5)
        pauses.append(clock.now - begun)
    # From the sixth on, that so many were in vain may add to the patience with the page.
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-3:] == [300, 300, 300]
    assert pauses == sorted(pauses)
    assert len(refresher.calls) == 13


def test_other_resources_401s_refresh_at_once() -> None:
    refresher = Refresher()
    source = make_source(refresher)
    visit(source)
    forbid(source)
    visit(source)
    token = source.token()
    assert source.is_own(token, FORBIDDEN)
    assert not source.is_own(token, OTHER)
    new = source.reject(token, OTHER)
    assert new is not None
    source.accept(new, OTHER, replay=True)
    assert len(refresher.calls) == 2


@pytest.mark.parametrize(
    "resource",
    [
        ("POST", ORIGIN, "/forbidden"),
        ("GET", ORIGIN, "/forbidden/too"),
        ("GET", "https://files.example.com", "/forbidden"),
    ],
    ids=["another method", "another path", "another origin"],
)
def test_a_resource_is_a_method_an_origin_and_a_path(resource: tuple[str, str, str]) -> None:
    source = make_source()
    forbid(source)
    visit(source)
    assert source.is_own(source.token(), FORBIDDEN)
    assert not source.is_own(source.token(), resource)


def test_a_resource_that_accepts_again_begins_anew() -> None:
    source = make_source()
    forbid(source)
    visit(source)
    assert source.is_own(source.token(), FORBIDDEN)
    source.accept(source.token(), FORBIDDEN)
    assert not source.is_own(source.token(), FORBIDDEN)


def test_a_resource_that_proves_a_token_begins_anew_as_well() -> None:
    """Though it has refused the very same token before."""
    refresher = Refresher()
    source = make_source(refresher)
    visit(source)
    for _ in range(3):
        new = source.reject(source.token(), DATA)
        assert new is not None
        assert source.refuse(new, DATA)
        visit(source)
        assert not source.is_own(source.token(), DATA)
    assert len(refresher.calls) == 3


def test_min_refresh_interval_zero_has_no_patience() -> None:
    source = make_source(min_refresh_interval=0)
    forbid(source)
    visit(source)
    assert not source.is_own(source.token(), FORBIDDEN)


def test_a_patience_that_runs_does_not_outlast_a_token_that_counts_as_expired() -> None:
    clock, refresher = Clock(), Refresher(lifetime=0.2)
    source = make_source(refresher, clock=clock)
    forbid(source)
    visit(source)
    assert source.is_own(source.token(), FORBIDDEN)
    clock.advance(0.19)
    token = Token("access-1", "refresh-1")
    assert source.token() == Token("access-2", "refresh-2")
    assert not source.is_own(token, FORBIDDEN)  # that one was replaced


def test_while_others_refresh_no_401_is_anybodys_own() -> None:
    refresher = Refresher()
    source = make_source(refresher)
    forbid(source)
    visit(source)
    token = source.token()
    assert source.is_own(token, FORBIDDEN)
    refresher.gate.clear()
    leader = start_together(1, lambda: source.refresh(token))
    wait_until(lambda: len(refresher.calls) == 2)
    assert not source.is_own(token, FORBIDDEN)
    assert source.refuse(token, FORBIDDEN) is False
    refresher.gate.set()
    assert leader.outcomes()[0].result().access_token == "access-2"


# -- too many in vain ----------------------------------------------------------------------------


def crawl(source: TokenSource, number: int) -> bool:
    """GET a forbidden page that nobody has seen before; return whether it was answered at once."""
    page, token = ("GET", ORIGIN, f"/page/{number}"), source.token()
    if source.is_own(token, page):
        return True
    new = source.reject(token, page)
    assert new is not None
    assert source.refuse(new, page)
    return False


@pytest.mark.parametrize("pause", [0.0, 0.1, 1.0], ids=lambda pause: f"a page each {pause} s")
@pytest.mark.parametrize("healthy", [True, False], ids=["beside healthy requests", "alone"])
def test_a_crawl_over_a_thousand_forbidden_pages_costs_twelve_refreshes(
    pause: float, healthy: bool
) -> None:
    clock, refresher = Clock(), Refresher(lifetime=None)
    source = make_source(refresher, clock=clock)
    for number in range(1000):
        crawl(source, number)
        clock.advance(pause)
        if healthy:
            visit(source)
    assert 0 < len(refresher.calls) <= 12


def test_a_token_that_is_revoked_during_a_crawl_is_replaced_by_the_next_healthy_request() -> None:
    """What has proven the token now refuses it: that page's word counts more than a stranger's."""
    refresher = Refresher(lifetime=None)
    source = make_source(refresher)
    visit(source)
    for number in range(50):
        crawl(source, number)
        visit(source)
    assert len(refresher.calls) == 5
    new = source.reject(source.token(), DATA)
    assert new is not None
    source.accept(new, DATA, replay=True)
    assert len(refresher.calls) == 6


@pytest.mark.parametrize("proves", [True, False], ids=["what has proven the token", "strangers"])
def test_before_a_401_is_passed_on_for_that_what_a_sibling_has_stored_is_found(
    proves: bool,
) -> None:
    """Once a second: that costs the issuer nothing."""
    clock, store, refresher = Clock(), Store(), Refresher(lifetime=None)
    source = make_source(refresher, clock=clock, store=store)
    pages = [DATA] * 6 if proves else [("GET", ORIGIN, f"/page/{n}") for n in range(6)]
    for page in pages[:5]:
        visit(source)
        new = source.reject(source.token(), page)
        assert new is not None
        assert source.refuse(new, page)
    visit(source)
    old, page = source.token(), pages[5]
    assert source.is_own(old, page)
    store.save(siblings())
    clock.advance(0.5)
    assert source.is_own(old, page)
    clock.advance(0.5)
    assert not source.is_own(old, page)
    assert source.reject(old, page) == siblings()
    assert len(refresher.calls) == 5


def test_refreshes_that_are_rewarded_are_not_limited() -> None:
    refresher = Refresher()
    source = make_source(refresher)
    for number in range(50):
        page = ("GET", ORIGIN, f"/{number}")
        new = source.reject(source.token(), page)
        assert new is not None
        source.accept(new, page, replay=True)
    assert len(refresher.calls) == 50


def test_refreshing_by_hand_minds_no_limit() -> None:
    refresher = Refresher()
    source = make_source(refresher)
    for _ in range(20):
        source.refresh(source.token())
        visit(source)
    assert len(refresher.calls) == 20


def test_what_has_proven_a_token_first_is_what_counts_more() -> None:
    """Whatever accepts it afterwards, and whether anything is known to refuse it."""
    refresher = Refresher(lifetime=None)
    source = make_source(refresher)
    for number in range(5):
        visit(source)
        crawl(source, number)
    visit(source)
    source.accept(source.token(), OTHER)
    assert source.is_own(source.token(), OTHER)
    assert not source.is_own(source.token(), DATA)


# -- 401s to replays -----------------------------------------------------------------------------


def test_a_401_to_a_replay_with_a_proven_token_is_the_resources_own_answer() -> None:
    source = make_source()
    new = source.reject(source.token(), DATA)
    assert new is not None
    source.accept(new, DATA)
    assert source.refuse(new, OTHER) is True
    assert source.token() is new
    assert source.is_own(new, OTHER)  # and so are the next


@pytest.mark.parametrize("proven", [True, False])
def test_a_401_to_a_replay_whose_token_has_expired_calls_for_another_flight(proven: bool) -> None:
    """Short lifetimes, slow requests: the token was proven, or would have been, and is old."""
    clock, refresher = Clock(), Refresher(lifetime=2)
    source = make_source(refresher, clock=clock)
    new = source.reject(source.token(), DATA)
    assert new is not None
    if proven:
        source.accept(new, DATA)
    clock.advance(2)
    assert source.refuse(new, DATA) is False
    assert not source.on_trial(new)
    assert source.reject(new, DATA, replay=True) == Token("access-2", "refresh-2")


def test_a_401_to_a_token_that_counts_as_expired_is_not_held_against_its_resource() -> None:
    clock, refresher = Clock(), Refresher(lifetime=2)
    source = make_source(refresher, clock=clock)
    new = source.reject(source.token(), DATA)
    assert new is not None
    source.accept(new, DATA, replay=True)
    clock.advance(1.9)
    assert source.refuse(new, OTHER) is False
    assert source.refresh(new).access_token == "access-2"
    source.accept(source.token(), DATA)
    assert not source.is_own(source.token(), OTHER)


def test_a_401_to_a_replay_whose_token_was_replaced_calls_for_another_flight() -> None:
    source = make_source()
    new = source.reject(source.token(), DATA)
    assert new is not None
    source.login(Token("other"))
    assert source.refuse(new, DATA) is False
    assert source.reject(new, DATA, replay=True) == Token("other")


def test_a_401_to_a_proven_token_that_was_replaced_since_is_nobodys_own_answer() -> None:
    source = make_source()
    new = source.reject(source.token(), DATA)
    assert new is not None
    source.accept(new, DATA)
    source.login(Token("other"))
    assert not source.is_own(new, DATA)
    assert source.refuse(new, DATA) is False


def test_a_401_to_a_proven_token_whose_refresh_has_failed_fails_with_it() -> None:
    source = make_source(Refresher(None, RefreshFailedError("unreachable", retry_after=9)))
    new = source.reject(source.token(), DATA)
    assert new is not None
    source.accept(new, DATA)
    with pytest.raises(RefreshFailedError):
        source.refresh(new)
    assert not source.is_own(new, DATA)
    assert source.refuse(new, DATA) is False
    with pytest.raises(RefreshFailedError):
        source.reject(new, DATA, replay=True)


def test_an_old_token_that_is_accepted_late_proves_nothing() -> None:
    source = make_source(trial_timeout=60)
    old = source.token()
    new = source.reject(old, DATA)
    assert new is not None
    source.accept(old, DATA)
    assert source.on_trial(new)
    assert source.learns_from(old) is False


def test_an_old_token_that_is_accepted_late_takes_no_proof_away() -> None:
    source = make_source()
    old = source.token()
    new = source.reject(old, DATA)
    assert new is not None
    source.accept(new, DATA)
    source.accept(old, DATA)
    assert source.refuse(new, OTHER) is True


def test_a_stored_token_of_any_age_that_is_refused_is_refreshed_first() -> None:
    clock, store, refresher = Clock(), MemoryTokenStore(), Refresher()
    store.save(Token("stored", "refresh-s", issued_at=START - 1e6))
    source = make_source(refresher, store=store, clock=clock, logged_in=False)
    new = source.reject(source.token(), DATA)
    assert new == Token("access-1", "refresh-1")
    assert refresher.calls == [Token("stored", "refresh-s")]
