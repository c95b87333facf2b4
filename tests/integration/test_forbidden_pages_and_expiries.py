"""A page that no token opens, around the moment at which the token really expires."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from requests_tokenrefresh import TokenStore
from tests.support.logins import wait_for_waiters
from tests.support.page_site import PageSite, Program
from tests.support.threads import Callers, start_together


@pytest.fixture
def program(pages: PageSite, login_store: TokenStore) -> Iterator[Program]:
    """It has read a page with the token that it has logged in with."""
    with Program(pages, store=login_store).log_in() as program:
        assert program.status("/ok") == 200
        yield program


def statuses(callers: Callers[int]) -> list[int]:
    return [outcome.result() for outcome in callers.outcomes()]


def assert_all_is_well(program: Program, store: TokenStore) -> None:
    program.assert_logged_in()
    assert store.load() == program.site.newest


def test_after_an_expiry(program: Program, login_store: TokenStore) -> None:
    """One refresh for the expiry, and one for the page."""
    pages = program.site
    pages.expire()
    assert [program.status(path) for path in ("/ok", "/forbidden", "/ok")] == [200, 401, 200]
    assert pages.token_calls == 2
    assert pages.rejections == {"/ok": 1, "/forbidden": 2}
    assert_all_is_well(program, login_store)


def test_as_the_page_that_meets_the_expiry(program: Program, login_store: TokenStore) -> None:
    """The refresh that it leads serves the others."""
    pages = program.site
    pages.expire()
    assert [program.status(path) for path in ("/forbidden", "/ok", "/another")] == [401, 200, 200]
    assert pages.token_calls == 1
    assert pages.rejections == {"/forbidden": 2}
    assert_all_is_well(program, login_store)


def test_before_and_after_an_expiry(program: Program, login_store: TokenStore) -> None:
    """Once known it costs nothing while its first pause lasts, not even with another token."""
    pages = program.site
    assert [program.status(path) for path in ("/forbidden", "/ok")] == [401, 200]
    pages.expire()
    assert [program.status(path) for path in ("/ok", "/forbidden", "/ok")] == [200, 401, 200]
    assert pages.token_calls == 2
    assert pages.rejections == {"/ok": 1, "/forbidden": 3}
    assert_all_is_well(program, login_store)


def test_a_known_page_that_meets_the_expiry_leaves_it_to_the_next(
    program: Program, login_store: TokenStore
) -> None:
    """Its own 401s tell nothing of an expiry; the first page that had been open notices it."""
    pages = program.site
    assert [program.status(path) for path in ("/forbidden", "/ok")] == [401, 200]
    pages.expire()
    assert [program.status(path) for path in ("/forbidden", "/ok", "/forbidden")] == [401, 200, 401]
    assert pages.token_calls == 2
    assert pages.rejections == {"/ok": 1, "/forbidden": 4}
    assert_all_is_well(program, login_store)


def test_for_a_request_that_comes_while_an_expired_token_is_being_refreshed(
    program: Program, login_store: TokenStore
) -> None:
    """It goes out with the new token, which has been accepted: it costs a refresh of its own."""
    pages = program.site
    pages.expire()
    gate = pages.hold_token_requests()
    leader = start_together(1, lambda: program.status("/ok"))
    pages.wait_for("/token")
    waiter = start_together(1, lambda: program.status("/forbidden"))
    wait_for_waiters(program.tokens, 1)
    gate.set()
    assert statuses(leader) + statuses(waiter) == [200, 401]
    assert pages.token_calls == 2
    assert pages.rejections == {"/ok": 1, "/forbidden": 2}
    assert_all_is_well(program, login_store)


def test_for_a_request_whose_401_meets_a_refresh_that_is_under_way(
    program: Program, login_store: TokenStore
) -> None:
    """It is replayed with the new token, which another page has accepted: that is its answer."""
    pages = program.site
    pages.expire()
    page = pages.hold("/forbidden")
    waiter = start_together(1, lambda: program.status("/forbidden"))
    pages.wait_for("/forbidden")
    gate = pages.hold_token_requests()
    leader = start_together(1, lambda: program.status("/ok"))
    pages.wait_for("/token")
    page.set()
    wait_for_waiters(program.tokens, 1)
    gate.set()
    assert statuses(leader) + statuses(waiter) == [200, 401]
    assert pages.token_calls == 1
    assert pages.rejections == {"/ok": 1, "/forbidden": 2}
    assert_all_is_well(program, login_store)


def test_as_the_leader_of_eight_threads_that_meet_the_expiry(
    program: Program, login_store: TokenStore
) -> None:
    """The trial is refused, and the opinion of another page lets all the others through."""
    pages = program.site
    pages.expire()
    page = pages.hold("/ok")
    others = start_together(7, lambda: program.status("/ok"))
    pages.wait_for("/ok", 8)  # one of them from before
    gate = pages.hold_token_requests()
    leader = start_together(1, lambda: program.status("/forbidden"))
    pages.wait_for("/token")
    page.set()
    wait_for_waiters(program.tokens, 7)
    gate.set()
    assert statuses(leader) + statuses(others) == [401] + [200] * 7
    assert pages.token_calls == 1
    assert pages.rejections == {"/ok": 7, "/forbidden": 2}
    assert_all_is_well(program, login_store)


def test_for_a_request_during_an_early_refresh(pages: PageSite, login_store: TokenStore) -> None:
    """Its 401 waits for the new token, which is then tried by it, and refused."""
    pages.lifetime = 100
    with Program(pages, store=login_store, random=lambda: 0.0).log_in() as program:
        assert program.status("/ok") == 200
        program.clock.advance(85)
        gate = pages.hold_token_requests()
        leader = start_together(1, lambda: program.status("/ok"))
        pages.wait_for("/token")
        waiter = start_together(1, lambda: program.status("/forbidden"))
        wait_for_waiters(program.tokens, 1)
        gate.set()
        assert statuses(leader) + statuses(waiter) == [200, 401]
        assert pages.token_calls == 1
        assert pages.rejections == {"/forbidden": 2}
        assert_all_is_well(program, login_store)


@pytest.mark.parametrize("others", [["/ok"], []], ids=["beside others", "alone"])
def test_why_a_401_is_passed_on_without_a_refresh_is_said_once(
    pages: PageSite, others: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Because the page is known, or because the token is doubted."""
    with Program(pages).log_in() as program:
        for path in ["/forbidden", *others]:
            program.status(path)
        with caplog.at_level("INFO", "requests_tokenrefresh"):
            assert [program.status("/forbidden") for _ in range(3)] == [401] * 3
        said = [record.levelname for record in caplog.records if "/forbidden" in record.message]
        assert said == ["INFO"]
        assert pages.token_calls == 1


# -- However the 401 is spelled ------------------------------------------------------------------

# Those that say nothing of the token, or that it is no longer good.
ANOTHER_TOKEN_MAY_HELP = [
    None,
    "Bearer",
    'Bearer realm="x", error="invalid_token"',
    'Basic realm="x"',
    "Token",
    "Negotiate",
    "garbage=,,;",
]
NO_TOKEN_HELPS = [
    'Bearer error="insufficient_scope", scope="a b"',
    'Bearer error="insufficient_user_authentication", acr_values="mfa"',
    'Bearer error="insufficient_claims", claims="eyJ9"',
    'Bearer error="insufficient_claims"',
    'Bearer claims="eyJ9"',
    'Bearer error="invalid_request"',
    'Basic realm="x", Bearer error="insufficient_scope"',
    "Bearer error=insufficient_scope",
    'bEaReR ERROR="insufficient_scope"',
]


@pytest.mark.parametrize("challenge", ANOTHER_TOKEN_MAY_HELP)
def test_a_401_that_does_not_say_so_costs_a_refresh_and_no_more(
    pages: PageSite, challenge: str | None
) -> None:
    pages.challenge = challenge
    with Program(pages).log_in() as program:
        response = program.send("/forbidden")
        assert (response.status_code, response.text) == (401, "GET /forbidden is closed")
        assert response.headers.get("WWW-Authenticate") == challenge
        assert pages.token_calls == 1
        assert pages.rejections == {"/forbidden": 2}
        program.assert_logged_in()
        pages.expire()
        assert program.status("/ok") == 200
        assert pages.token_calls == 2
        assert pages.rejections == {"/forbidden": 2, "/ok": 1}


@pytest.mark.parametrize("challenge", NO_TOKEN_HELPS)
def test_a_401_that_says_that_no_token_helps_costs_nothing(
    pages: PageSite, challenge: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Why it is passed on is said once for the page."""
    pages.challenge = challenge
    with Program(pages).log_in() as program:
        with caplog.at_level("INFO", "requests_tokenrefresh"):
            answers = [program.send("/forbidden") for _ in range(3)]
        assert [(answer.status_code, answer.history) for answer in answers] == [(401, [])] * 3
        assert pages.token_calls == 0
        assert pages.rejections == {"/forbidden": 3}
        said = [record.levelname for record in caplog.records if "/forbidden" in record.message]
        assert said == ["INFO"]
        program.assert_logged_in()
