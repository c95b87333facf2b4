"""A page that no token opens answers 401: its caller gets that, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from requests_tokenrefresh import FileTokenStore, Token, TokenStore
from requests_tokenrefresh.events import RefreshEnded, ReplayEnded
from tests.support.logins import START
from tests.support.page_issuers import ISSUERS, Issuer
from tests.support.page_site import PageSite, Program, aged_token
from tests.support.threads import run_together


def assert_own(
    response: requests.Response, *, page: str = "GET /forbidden", status: int = 401
) -> None:
    """It is the page's own answer, readable, and not one that was made here."""
    assert (response.status_code, response.text) == (status, f"{page} is closed")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def assert_nothing_else_changed(program: Program, store: TokenStore) -> None:
    """The login goes on: here, in the store, and in another process with the same file."""
    site = program.site
    calls = site.token_calls
    program.assert_logged_in()
    assert store.load() == site.newest
    assert program.status("/another") == 200
    if store.shared:
        with Program(site, store=store) as another_process:
            another_process.assert_logged_in()
    assert site.token_calls == calls


# -- However old the token is --------------------------------------------------------------------

# Age and lifetime of the token, and the refreshes before the page is asked for: one by the clock.
AGES: dict[str, tuple[float, float | None, int]] = {
    "just issued": (0.0, 3600, 0),
    "half a second": (0.5, 3600, 0),
    "five seconds": (5.0, 3600, 0),
    "an hour": (3600.0, 7200, 0),
    "unknown expiry": (3600.0, None, 0),
    "in the early window": (3500.0, 3600, 1),
    "within the leeway": (3595.0, 3600, 1),
    "expired": (4000.0, 3600, 1),
}


@pytest.mark.parametrize("first", [True, False], ids=["first of all", "after another page"])
@pytest.mark.parametrize("age", AGES)
def test_of_whatever_age_the_token_is(
    pages: PageSite, login_store: TokenStore, age: str, first: bool
) -> None:
    seconds, lifetime, by_the_clock = AGES[age]
    with Program(pages, store=login_store, random=lambda: 0.0) as program:
        reply = pages.log_in()
        program.tokens.login(aged_token(reply, age=seconds, lifetime=lifetime, now=START))
        if not first:
            assert program.status("/ok") == 200
            assert pages.token_calls == by_the_clock
        assert_own(program.send("/forbidden"))
        assert pages.token_calls == by_the_clock + 1
        assert pages.rejections == {"/forbidden": 2}
        assert_nothing_else_changed(program, login_store)


# -- Wherever the token comes from ---------------------------------------------------------------


def by_login(site: PageSite, store: TokenStore) -> Program:
    return Program(site, store=store).log_in()


def by_argument(site: PageSite, store: TokenStore) -> Program:
    return Program(site, store=store, token=site.log_in())


def from_the_store(site: PageSite, store: TokenStore) -> Program:
    store.save(Token.from_mapping(site.log_in(), received_at=START))
    return Program(site, store=store)


def by_an_unattended_login(site: PageSite, store: TokenStore) -> Program:
    return Program(site, store=store, login=site.log_in)


def by_a_refresh(site: PageSite, store: TokenStore) -> Program:
    program = by_login(site, store)
    assert program.status("/ok") == 200
    site.expire()
    assert program.status("/ok") == 200
    return program


def by_an_explicit_refresh(site: PageSite, store: TokenStore) -> Program:
    program = by_login(site, store)
    program.tokens.refresh(program.tokens.token())
    return program


@pytest.mark.parametrize("first", [True, False], ids=["first of all", "after another page"])
@pytest.mark.parametrize(
    "log_in",
    [
        by_login,
        by_argument,
        from_the_store,
        by_an_unattended_login,
        by_a_refresh,
        by_an_explicit_refresh,
    ],
)
def test_of_whatever_origin_the_token_is(
    pages: PageSite,
    login_store: TokenStore,
    log_in: Callable[[PageSite, TokenStore], Program],
    first: bool,
) -> None:
    with log_in(pages, login_store) as program:
        if not first:
            assert program.status("/ok") == 200
        before = pages.token_calls
        assert_own(program.send("/forbidden"))
        assert pages.token_calls == before + 1
        assert pages.rejections["/forbidden"] == 2
        assert_nothing_else_changed(program, login_store)


@pytest.fixture
def adopter(pages: PageSite, tmp_path: Path) -> Iterator[Program]:
    """A program whose sibling has just refreshed their common login."""
    path = tmp_path / "login"
    with Program(pages, store=path).log_in() as program, Program(pages, store=path) as sibling:
        assert program.status("/ok") == 200
        pages.expire()
        assert sibling.status("/ok") == 200
        assert pages.token_calls == 1
        yield program


def test_with_a_token_that_a_sibling_has_refreshed(adopter: Program, tmp_path: Path) -> None:
    pages = adopter.site
    assert adopter.status("/ok") == 200
    assert pages.token_calls == 1
    assert_own(adopter.send("/forbidden"))
    assert pages.token_calls == 2
    assert pages.rejections["/forbidden"] == 2
    assert_nothing_else_changed(adopter, FileTokenStore(tmp_path / "login"))


def test_as_the_first_page_with_a_token_that_a_sibling_has_refreshed(
    adopter: Program, tmp_path: Path
) -> None:
    """The stored token may have grown old, so its refusal is worth a refresh of one's own."""
    pages = adopter.site
    response = adopter.send("/forbidden")
    assert_own(response)
    assert [answer.status_code for answer in response.history] == [401, 401]
    assert pages.token_calls == 2
    assert pages.rejections["/forbidden"] == 3
    assert_nothing_else_changed(adopter, FileTokenStore(tmp_path / "login"))


# -- Whoever issues the tokens -------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False], ids=["first of all", "after another page"])
@pytest.mark.parametrize("issuer", ISSUERS)
def test_whoever_issues_the_tokens(
    pages: PageSite,
    login_store: TokenStore,
    issuer: Issuer,
    first: bool,
) -> None:
    with Program(pages, store=login_store, **issuer(pages)).log_in() as program:
        if not first:
            assert program.status("/ok") == 200
        assert_own(program.send("/forbidden"))
        assert pages.token_calls == 1
        assert pages.rejections == {"/forbidden": 2}
        program.assert_logged_in()
        stored = login_store.load()
        assert stored is not None
        assert stored.access_token == pages.newest.access_token
        assert pages.token_calls == 1


# -- Whatever is sent, and by how many -----------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_whatever_the_method_is(pages: PageSite, login_store: TokenStore, method: str) -> None:
    with Program(pages, store=login_store).log_in() as program:
        assert program.status("/ok", method) == 200
        response = program.send("/forbidden", method, data=b"an order")
        assert_own(response, page=f"{method} /forbidden")
        assert [sent.body for sent in pages.requests if sent.path == "/forbidden"] == [
            b"an order",
            b"an order",
        ]
        assert_nothing_else_changed(program, login_store)


def test_with_a_body_that_can_be_sent_only_once(pages: PageSite, login_store: TokenStore) -> None:
    with Program(pages, store=login_store).log_in() as program:
        assert program.status("/ok") == 200
        response = program.send("/forbidden", "POST", data=iter([b"an ", b"order"]))
        assert_own(response, page="POST /forbidden")
        assert pages.rejections == {"/forbidden": 1}
        assert pages.token_calls == 1
        assert_nothing_else_changed(program, login_store)


def test_when_a_rule_of_ones_own_takes_another_status_for_a_rejection(
    pages: PageSite, login_store: TokenStore
) -> None:
    pages.rejects_with = 403
    adapter = {"is_rejected": lambda response: response.status_code == 403}
    with Program(pages, store=login_store, adapter=adapter).log_in() as program:
        assert program.status("/ok") == 200
        assert_own(program.send("/forbidden"), status=403)
        assert pages.token_calls == 1
        assert_nothing_else_changed(program, login_store)


@pytest.mark.parametrize("first", [True, False], ids=["first of all", "after another page"])
def test_by_eight_threads_among_other_pages(
    pages: PageSite, login_store: TokenStore, first: bool
) -> None:
    """Between them they cost one refresh, and nobody misses the answer of another page."""
    order = ["/forbidden", "/ok", "/forbidden", "/ok"]
    with Program(pages, store=login_store).log_in() as program:
        if not first:
            order.insert(0, "/ok")
        outcomes = run_together(8, lambda: [program.status(path) for path in order])
        expected = [401 if path == "/forbidden" else 200 for path in order]
        assert [outcome.result() for outcome in outcomes] == [expected] * 8
        assert pages.token_calls == 1
        assert_nothing_else_changed(program, login_store)


def test_the_events_tell_of_a_refresh_and_of_a_refused_replay(pages: PageSite) -> None:
    with Program(pages).log_in() as program:
        program.send("/forbidden")
        refreshes: list[Any] = program.heard.of(RefreshEnded)
        replays: list[Any] = program.heard.of(ReplayEnded)
        assert [event.outcome for event in refreshes] == ["refreshed"]
        assert [event.verdict for event in replays] == ["refused"]
