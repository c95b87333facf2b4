"""A refused trial is one resource's word: others are asked before the new token is doubted."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from requests_tokenrefresh import TokenStore
from tests.support.held_flights import (
    NEW,
    HeldFlight,
    has_new_token,
    refuse_first,
    replays,
    trials,
)
from tests.support.logins import wait_for_waiters
from tests.support.page_site import PageSite, Program
from tests.support.servers import Received, Reply
from tests.support.threads import start_together, wait_until


def twenty(method: str = "GET") -> list[str]:
    return [f"{method} /page/{number}" for number in range(20)]


@pytest.fixture
def program(pages: PageSite, login_store: TokenStore) -> Iterator[Program]:
    """Its token has just expired, and nobody knows."""
    with Program(pages, store=login_store).log_in() as program:
        pages.expire()
        yield program


# -- Accepted by another -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("refusals", [1, 2])
def test_once_an_opinion_is_good_all_the_others_go(
    program: Program, login_store: TokenStore, refusals: int, method: str
) -> None:
    """Those that were refused get their 401; of the others only one has been sent by then."""
    pages = program.site
    refuse_first(pages, refusals)
    flight = HeldFlight(program, leader=f"{method} /leader", holders=twenty(method), newcomers=3)
    flight.land()
    leader = flight.leader()
    assert (leader.status_code, leader.text) == (401, f"{method} /leader is closed")
    statuses = [status for status, _history in flight.holders()]
    assert statuses.count(401) == refusals - 1
    assert statuses.count(200) == 21 - refusals
    assert flight.newcomers() == [(200, 0)] * 3
    assert pages.token_calls == 1
    assert sum(pages.rejections.values()) == 21 + refusals
    assert trials(program) == refusals + 1
    in_turn = [entry[:2] for entry in pages.journal if entry[2] == NEW][: 2 * (refusals + 1)]
    pairs = [(in_turn[n], in_turn[n + 1]) for n in range(0, len(in_turn), 2)]
    assert all(a[0] == "in" and b == ("out", a[1]) for a, b in pairs)
    program.assert_logged_in()
    assert login_store.load() == pages.newest


def test_another_resource_is_asked_first_however_late_it_came(
    program: Program, login_store: TokenStore
) -> None:
    pages = program.site
    pages.closed.add("/leader")
    holders = [f"GET /leader?{number}" for number in range(9)]
    flight = HeldFlight(program, holders=[*holders, "GET /ok"])
    flight.land()
    assert flight.leader().status_code == 401
    assert flight.holders() == [(401, 1)] * 9 + [(200, 1)]
    assert replays(pages)[:2] == ["/leader", "/ok"]
    assert replays(pages)[2:] == ["/leader"] * 9
    assert pages.token_calls == 1
    program.assert_logged_in()
    assert login_store.load() == pages.newest


def test_another_query_is_no_other_resource_but_another_method_is(program: Program) -> None:
    pages = program.site
    refuse_first(pages, 1)
    flight = HeldFlight(program, holders=["GET /leader?1", "GET /leader?2", "POST /leader?3"])
    flight.land()
    assert flight.leader().status_code == 401
    assert flight.holders() == [(200, 1)] * 3
    sent = [
        f"{request.method} {request.path}" for request in pages.requests if has_new_token(request)
    ]
    assert sent[:2] == ["GET /leader", "POST /leader?3"]
    assert len(sent) == 4
    assert pages.token_calls == 1


# -- Refused by all ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_after_three_refusals_nobody_else_is_asked_and_everybody_gets_an_answer(
    program: Program, login_store: TokenStore, method: str
) -> None:
    """Who holds a 401 gets it back; who has sent nothing goes, and gets its own."""
    pages = program.site
    pages.opens = lambda _path, _number: False
    flight = HeldFlight(program, leader=f"{method} /leader", holders=twenty(method), newcomers=5)
    flight.land()
    assert (flight.leader().status_code, len(flight.leader().history)) == (401, 1)
    held = flight.holders()
    assert held.count((401, 1)) == 2  # the other two opinions
    assert held.count((401, 0)) == 18
    assert flight.newcomers() == [(401, 0)] * 5
    sent = replays(pages)
    assert (sent[0], sent[3:]) == ("/leader", ["/new"] * 5)
    assert len(set(sent)) == 4
    assert pages.token_calls == 1
    assert trials(program) == 3
    pages.opens = lambda _path, _number: True
    program.assert_logged_in()
    assert login_store.load() == pages.newest
    assert pages.token_calls == 1


def test_with_fewer_to_ask_the_token_is_doubted_sooner(program: Program) -> None:
    """Those who have sent nothing have no opinion, nor do callers of `refresh`."""
    pages = program.site
    pages.opens = lambda _path, _number: False
    old = program.tokens.token()
    flight = HeldFlight(program, newcomers=4)
    asking = start_together(3, lambda: program.tokens.refresh(old))
    wait_for_waiters(program.tokens, 7)
    flight.land()
    assert flight.leader().status_code == 401
    assert flight.newcomers() == [(401, 0)] * 4
    tokens = [outcome.result() for outcome in asking.outcomes()]
    assert [token.access_token for token in tokens] == [pages.newest.access_token] * 3
    assert replays(pages) == ["/leader"] + ["/new"] * 4
    assert pages.token_calls == 1


def test_a_body_that_cannot_be_sent_again_is_no_opinion(program: Program) -> None:
    """Its caller gets its 401, and the trial goes on without it."""
    pages = program.site
    pages.opens = lambda _path, _number: False
    page, gate = pages.hold("/upload"), pages.hold_token_requests()
    upload = start_together(1, lambda: program.send("/upload", "POST", data=iter([b"once"])))
    wait_until(lambda: len(pages.arrivals) == 1)
    leader = start_together(1, lambda: program.status("/leader"))
    pages.wait_for("/token")
    page.set()
    wait_for_waiters(program.tokens, 1)
    gate.set()
    assert leader.outcomes()[0].result() == 401
    answer = upload.outcomes()[0].result()
    assert (answer.status_code, answer.history) == (401, [])
    assert replays(pages) == ["/leader"]
    assert pages.token_calls == 1


@pytest.mark.parametrize("refusals", [1, 2])
def test_an_opinion_that_is_lost_lets_everybody_go(refusals: int) -> None:
    """A connection that ends without an answer says nothing of the token."""
    with DroppingSite(refusals) as pages, Program(pages).log_in() as program:
        pages.expire()
        flight = HeldFlight(program, holders=twenty("POST"), newcomers=2)
        flight.land()
        errors = [error for error in flight.errors() if error is not None]
        assert [type(error) for error in errors] == [requests.ConnectionError]
        assert flight.newcomers() == [(200, 0)] * 2
        assert pages.token_calls == 1
        assert trials(program) == refusals + 1
        program.assert_logged_in()


class DroppingSite(PageSite):
    """After so many refusals of the new token it hangs up once, and then all is well."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        refuse_first(self, refusals)
        self._until_it_hangs_up = iter([False] * refusals + [True])

    def _answer(self, request: Received) -> Reply | None:
        reply = super()._answer(request)
        if has_new_token(request) and next(self._until_it_hangs_up, False):
            return None
        return reply


# -- How long the others wait --------------------------------------------------------------------


def test_a_request_that_has_sent_nothing_waits_for_three_replays_at_most(
    program: Program,
) -> None:
    """However many pages that no token opens meet the same expiry."""
    pages = program.site
    pages.closed |= {"/leader", *(page.split()[1] for page in twenty())}
    flight = HeldFlight(program, holders=twenty(), newcomers=1)
    flight.land()
    assert flight.newcomers() == [(200, 0)]
    assert [status for status, _history in flight.holders()] == [401] * 20
    assert replays(pages)[3] == "/new"
    assert pages.token_calls == 1
    program.assert_logged_in()


def test_each_replay_has_its_own_time(pages: PageSite) -> None:
    """An opinion that takes longer than `trial_timeout` holds nobody up beyond it."""
    with Program(pages, trial_timeout=1.0, monotonic=time.monotonic).log_in() as program:
        pages.expire()
        pages.closed.add("/leader")
        flight = HeldFlight(program, holders=["GET /slow"], newcomers=3)
        slow = pages.hold("/slow")
        slow.clear()
        flight.land()
        assert flight.leader().status_code == 401
        assert flight.newcomers() == [(200, 0)] * 3
        assert replays(pages)[:2] == ["/leader", "/slow"]
        slow.set()
        assert flight.holders() == [(200, 1)]
        assert pages.token_calls == 1
        program.assert_logged_in()
