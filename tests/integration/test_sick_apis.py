"""APIs, or some of their nodes, that answer 401 to everything for a while: it heals by itself."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from requests_tokenrefresh import FileTokenStore, TokenStore
from tests.support.logins import Clock
from tests.support.page_issuers import ISSUERS, Issuer
from tests.support.page_site import PageSite, Program
from tests.support.threads import run_together


def fall_ill(site: PageSite, clock: Clock, seconds: float) -> None:
    """Let no page open before *seconds* have passed."""
    recovers_at = clock.now + seconds
    site.opens = lambda _path, _number: clock.now >= recovers_at


def statuses(program: Program, threads: int, path: str = "/ok", method: str = "GET") -> set[int]:
    outcomes = run_together(threads, lambda: program.status(path, method))
    return {outcome.result() for outcome in outcomes}


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("issuer", ISSUERS)
def test_an_api_that_is_ill_for_three_seconds_costs_two_refreshes(
    pages: PageSite, tmp_path: Path, issuer: Issuer, threads: int
) -> None:
    """Nobody is logged out, and the first request after that is answered."""
    store = FileTokenStore(tmp_path / "login")
    with Program(pages, store=store, **issuer(pages)).log_in() as program:
        assert program.status("/ok") == 200
        fall_ill(pages, program.clock, 2.875)
        for _ in range(12):
            assert statuses(program, threads) == {401}
            program.clock.advance(0.25)
        assert statuses(program, threads) == {200}
        assert pages.token_calls == 2
        program.assert_logged_in()
        stored = store.load()
        assert stored is not None
        assert stored.access_token == pages.newest.access_token
        assert pages.token_calls == 2


def test_an_api_that_is_ill_for_an_hour_costs_twenty_refreshes_at_most(pages: PageSite) -> None:
    pages.lifetime = None
    with Program(pages).log_in() as program:
        fall_ill(pages, program.clock, 3600)
        for _ in range(360):
            assert program.status("/ok") == 401
            program.clock.advance(10)
        assert program.status("/ok") == 200
        assert 2 <= pages.token_calls <= 20
        program.assert_logged_in()


@pytest.mark.parametrize("issuer", ISSUERS)
def test_one_node_of_three_that_is_ill_is_seen_by_nobody(
    pages: PageSite, login_store: TokenStore, issuer: Issuer
) -> None:
    """Each of its 401s costs a refresh, which the next node accepts."""
    node = itertools.count()
    with Program(pages, store=login_store, **issuer(pages)).log_in() as program:
        assert program.status("/ok") == 200
        pages.opens = lambda _path, _number: next(node) % 3 != 0
        assert [program.status("/ok") for _ in range(16)] == [200] * 16
        assert pages.rejections == {"/ok": 8}
        assert pages.token_calls == 8
        pages.opens = lambda _path, _number: True
        program.assert_logged_in()


def test_two_nodes_of_three_that_are_ill_are_seen_now_and_then(
    pages: PageSite, login_store: TokenStore
) -> None:
    """Who meets both gets the 401, and the third node accepts the token they have refused."""
    node = itertools.count()
    with Program(pages, store=login_store).log_in() as program:
        assert program.status("/ok") == 200
        pages.opens = lambda _path, _number: next(node) % 3 == 2
        answers = [program.status("/ok") for _ in range(9)]
        assert answers[:2] == [401, 200]
        assert set(answers[2:]) == {401, 200}
        assert 1 <= pages.token_calls <= 5
        pages.opens = lambda _path, _number: True
        program.assert_logged_in()
        assert login_store.load() == pages.newest


@pytest.mark.parametrize("threads", [1, 8])
def test_an_api_that_is_ill_beside_one_that_is_well_costs_the_other_nothing(
    pages: PageSite, login_store: TokenStore, threads: int
) -> None:
    """Its pages are remembered as they are refused, one by one."""
    with Program(pages, store=login_store).log_in() as program:
        pages.opens = lambda path, _number: not path.startswith("/ill")
        for page in range(3):
            assert statuses(program, threads, f"/ill/{page}") == {401}
            assert statuses(program, threads, "/ok") == {200}
        assert pages.token_calls == 3
        for page in range(3):
            assert statuses(program, threads, f"/ill/{page}") == {401}
            assert statuses(program, threads, "/ok") == {200}
        assert pages.token_calls == 3
        pages.opens = lambda _path, _number: True
        for page in range(3):
            assert statuses(program, threads, f"/ill/{page}") == {200}
        program.assert_logged_in()
        assert login_store.load() == pages.newest
