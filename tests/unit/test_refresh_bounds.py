"""How many refreshes pages cost that no token opens, and how soon a real revocation is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from requests_tokenrefresh import FileTokenStore, RefreshFailedError
from tests.support.logins import START, Clock
from tests.support.traffic import Issuer, Traffic

POLL = 0.1  # seconds


def program(*closed: str, lifetime: float | None = None, **options: Any) -> tuple[Issuer, Traffic]:
    """Return an issuer, and a program that has logged in by it."""
    issuer = Issuer(Clock(), *(closed or ["/forbidden"]), lifetime=lifetime)
    traffic = Traffic(issuer, **options)
    traffic.tokens.login(issuer.give())
    return issuer, traffic


def most_in(seconds: float, calls: list[float]) -> int:
    """Return the most calls there are in any period of so many *seconds*."""
    return max(sum(first <= call < first + seconds for call in calls) for first in calls)


# -- One page, for an hour -----------------------------------------------------------------------


@pytest.mark.parametrize("healthy", [True, False], ids=["beside others", "alone"])
def test_one_page_that_is_polled_for_an_hour_costs_twenty_refreshes_at_most(healthy: bool) -> None:
    """The pauses double from a second to five minutes."""
    issuer, traffic = program()
    for _ in range(7200):
        assert traffic.status("/forbidden") == 401
        if healthy:
            assert traffic.status("/ok") == 200
        issuer.clock.advance(0.5)
    assert 10 <= len(issuer.calls) <= 20
    assert 300 <= issuer.calls[-1] - issuer.calls[-2] <= 301
    assert most_in(30, issuer.calls) <= 5
    assert traffic.reasons == []
    assert traffic.status("/ok") == 200


@pytest.mark.parametrize("healthy", [True, False], ids=["beside others", "alone"])
def test_a_body_that_can_be_sent_only_once_costs_no_more(healthy: bool) -> None:
    """There is no replay, and the refresh for the next request is in vain each time."""
    issuer, traffic = program()
    for _ in range(720):
        assert traffic.upload("/forbidden") == 401
        if healthy:
            assert traffic.status("/ok") == 200
        issuer.clock.advance(5)
    assert 2 <= len(issuer.calls) <= 20
    assert traffic.reasons == []


def test_one_page_with_many_queries_is_one_page() -> None:
    issuer, traffic = program("/search")
    for number in range(1000):
        assert traffic.status(f"/search?page={number}") == 401
        assert traffic.status("/ok") == 200
        issuer.clock.advance(POLL)
    assert 2 <= len(issuer.calls) <= 7


@pytest.mark.parametrize("healthy", [True, False], ids=["beside others", "alone"])
def test_tokens_that_live_for_five_minutes_do_not_begin_the_pauses_anew(healthy: bool) -> None:
    """A known page's pause outlives the token; one that nobody vouches for tries each once."""
    issuer, traffic = program(lifetime=300)
    for _ in range(3600):
        assert traffic.status("/forbidden") == 401
        if healthy:
            assert traffic.status("/ok") == 200
        issuer.clock.advance(1)
    by_the_clock = len(issuer.calls) - traffic.reactive
    assert 8 <= by_the_clock <= 16
    assert traffic.reactive <= 20 + (0 if healthy else by_the_clock)
    assert traffic.reasons == []


@pytest.mark.parametrize("healthy", [True, False], ids=["beside others", "alone"])
def test_two_processes_that_poll_it_cost_twice_as_many(tmp_path: Path, healthy: bool) -> None:
    issuer = Issuer(Clock(), "/forbidden")
    store = FileTokenStore(tmp_path / "login")
    processes = [Traffic(issuer, store=store) for _ in range(2)]
    processes[0].tokens.login(issuer.give())
    for _ in range(600):
        for traffic in processes:
            assert traffic.status("/forbidden") == 401
            if healthy:
                assert traffic.status("/ok") == 200
            issuer.clock.advance(1)
    assert 2 <= len(issuer.calls) <= 40
    assert [traffic.reasons for traffic in processes] == [[], []]
    newest = store.load()
    assert newest is not None
    assert newest.refresh_token == f"refresh-{len(issuer.calls)}"


@pytest.mark.parametrize("first", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("healthy", [True, False], ids=["beside others", "alone"])
def test_the_first_pause_is_the_min_refresh_interval(first: float, healthy: bool) -> None:
    issuer, traffic = program(min_refresh_interval=first)
    while issuer.clock.now < START + 7.5 * first:
        assert traffic.status("/forbidden") == 401
        if healthy:
            assert traffic.status("/ok") == 200
        issuer.clock.advance(0.0625)
    begun = [0, first, 3 * first, 7 * first]
    assert len(issuer.calls) == 4
    for call, expected in zip(issuer.calls, begun, strict=True):
        assert expected <= call <= expected + 4 * 0.0625


# -- Many pages ----------------------------------------------------------------------------------


def test_a_crawl_over_a_thousand_pages_beside_others_costs_five_refreshes_in_30_seconds() -> None:
    issuer, traffic = program("/page/")
    for number in range(1000):
        assert traffic.status(f"/page/{number}") == 401
        assert traffic.status("/ok") == 200
        issuer.clock.advance(POLL)
    assert most_in(30, issuer.calls) == 5
    assert len(issuer.calls) <= 20
    assert traffic.reasons == []


def test_a_crawl_alone_makes_the_token_doubted_and_costs_seven() -> None:
    issuer, traffic = program("/page/")
    for number in range(1000):
        assert traffic.status(f"/page/{number}") == 401
        issuer.clock.advance(POLL)
    assert 2 <= len(issuer.calls) <= 7
    assert traffic.status("/ok") == 200
    assert traffic.reasons == []


def test_many_pages_that_are_polled_cost_no_more_than_a_crawl() -> None:
    """Each has its own pause; together they have what there is for refreshes that help nobody."""
    issuer, traffic = program("/page/")
    for number in range(1000):
        assert traffic.status(f"/page/{number % 50}") == 401
        assert traffic.status("/ok") == 200
        issuer.clock.advance(POLL)
    assert most_in(30, issuer.calls) <= 5
    assert traffic.reasons == []


# -- What is real is noticed ---------------------------------------------------------------------


def poll(issuer: Issuer, traffic: Traffic, seconds: int, *, healthy: bool) -> None:
    for _ in range(seconds):
        assert traffic.status("/forbidden") == 401
        if healthy:
            assert traffic.status("/ok") == 200
        issuer.clock.advance(1)


@pytest.mark.parametrize("seconds", [2, 60, 600, 3000])
def test_when_the_token_is_really_revoked_the_next_healthy_request_recovers(seconds: int) -> None:
    """With one refresh, however long the pauses of the forbidden page are by then."""
    issuer, traffic = program()
    poll(issuer, traffic, seconds, healthy=True)
    issuer.revoke()
    before = len(issuer.calls)
    assert traffic.status("/ok") == 200
    assert len(issuer.calls) == before + 1
    assert [traffic.status(path) for path in ("/forbidden", "/ok", "/forbidden")] == [401, 200, 401]
    assert len(issuer.calls) <= before + 2  # the page may have waited for its pause to end
    assert traffic.reasons == []


def test_one_acceptance_ends_doubt_and_pause() -> None:
    issuer, traffic = program()
    poll(issuer, traffic, 700, healthy=False)
    before = len(issuer.calls)
    assert traffic.status("/ok") == 200
    issuer.revoke()
    assert traffic.status("/ok") == 200
    assert len(issuer.calls) == before + 1


def test_after_an_acceptance_the_pauses_of_a_doubted_token_begin_anew() -> None:
    issuer, traffic = program()
    poll(issuer, traffic, 700, healthy=False)
    assert traffic.status("/ok") == 200
    issuer.closed = ("/",)  # now the whole API is ill
    before = len(issuer.calls)
    assert traffic.status("/ok") == 401
    assert len(issuer.calls) == before + 1
    issuer.clock.advance(1.0625)
    assert traffic.status("/ok") == 401
    assert len(issuer.calls) == before + 2


@pytest.mark.parametrize("healthy", [True, False], ids=["known", "doubted"])
def test_an_explicit_refresh_minds_no_pause_but_the_issuers(healthy: bool) -> None:
    issuer, traffic = program()
    poll(issuer, traffic, 100, healthy=healthy)
    before = len(issuer.calls)
    token = traffic.tokens.token()
    assert traffic.tokens.refresh(token).access_token == f"access-{before + 1}"
    assert len(issuer.calls) == before + 1


def test_a_page_that_opens_is_forgotten() -> None:
    issuer, traffic = program()
    assert [traffic.status(path) for path in ("/forbidden", "/ok")] == [401, 200]
    assert traffic.status("/forbidden") == 401
    assert len(issuer.calls) == 1
    issuer.closed = ()
    assert traffic.status("/forbidden") == 200
    issuer.closed = ("/forbidden",)
    assert traffic.status("/forbidden") == 401
    assert len(issuer.calls) == 2


def test_another_method_of_a_known_page_is_another_resource() -> None:
    issuer, traffic = program()
    assert [traffic.status(path) for path in ("/forbidden", "/ok")] == [401, 200]
    assert traffic.status("/forbidden", "DELETE") == 401
    assert len(issuer.calls) == 2
    assert traffic.status("/ok") == 200
    for method in ("GET", "DELETE"):
        assert traffic.status("/forbidden", method) == 401
    assert len(issuer.calls) == 2


def test_refreshes_that_help_are_not_counted() -> None:
    """An API that ends every token after a tenth of a second has its hundred refreshes."""
    issuer, traffic = program()
    for _ in range(100):
        issuer.revoke()
        assert traffic.status("/ok") == 200
        issuer.clock.advance(POLL)
    assert len(issuer.calls) == 100


def test_during_a_crawl_a_real_revocation_is_noticed_within_thirty_seconds() -> None:
    """Once the refreshes that helped nobody are used up, a 401 passes for the page's own."""
    issuer, traffic = program("/page/")
    noticed: list[float] = []
    for number in range(1000):
        if number == 500:
            issuer.revoke()
            revoked_at = issuer.clock.now
        traffic.status(f"/page/{number}")
        if traffic.status("/ok") == 200 and number >= 500:
            noticed.append(issuer.clock.now - revoked_at)
        issuer.clock.advance(POLL)
    assert noticed[0] <= 30
    assert noticed[-1] - noticed[0] == pytest.approx((len(noticed) - 1) * POLL)  # and for good
    assert most_in(30, issuer.calls) <= 6  # with the one that helped
    assert traffic.reasons == []


# -- The issuer's own pause ----------------------------------------------------------------------


def test_for_an_hour_without_an_issuer_only_the_page_that_refuses_the_token_fails() -> None:
    issuer, traffic = program()
    issuer.failure = ConnectionError("no route to the issuer")
    for _ in range(900):
        with pytest.raises(RefreshFailedError) as caught:
            traffic.status("/forbidden")
        assert caught.value.response is not None
        assert caught.value.response.status_code == 401
        assert traffic.status("/ok") == 200
        issuer.clock.advance(4)
    # Half of the longest pause apart, with the jitter of this test, but for the first few.
    assert 2 <= len(issuer.calls) <= 3600 / 15 + 6
    assert traffic.reasons == []
