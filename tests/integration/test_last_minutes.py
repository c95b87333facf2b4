"""The last minutes of a token, when the issuer fails or refuses: it is used until it is dead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from requests_tokenrefresh import (
    FileTokenStore,
    LoginRequiredError,
    RefreshFailedError,
    Token,
    TokenStore,
)
from requests_tokenrefresh.events import LoggedOut
from tests.support.login_site import Fault, unavailable
from tests.support.logins import START, Clock, Refresher, make_source
from tests.support.page_issuers import too_many
from tests.support.page_site import PageSite, Program, aged_token
from tests.support.servers import Received, Reply
from tests.support.threads import run_together


def refusal(_request: Received) -> Reply:
    return Reply.json({"error": "invalid_grant"}, 400)


def token_that_lives(site: PageSite, seconds: float) -> Token:
    """Return a token that has been given almost an hour ago."""
    return aged_token(site.log_in(), age=3600 - seconds, lifetime=3600, now=START)


# -- A program that starts shortly before the end ------------------------------------------------


def from_the_store(site: PageSite, store: TokenStore, token: Token) -> Program:
    store.save(token)
    return Program(site, store=store, random=lambda: 0.5)


def by_argument(site: PageSite, store: TokenStore, token: Token) -> Program:
    return Program(site, store=store, token=token, random=lambda: 0.5)


def by_login(site: PageSite, store: TokenStore, token: Token) -> Program:
    program = Program(site, store=store, random=lambda: 0.5)
    program.tokens.login(token)
    return program


Start = Callable[[PageSite, TokenStore, Token], Program]
STARTS: list[Start] = [from_the_store, by_argument, by_login]


@pytest.mark.parametrize(
    ("seconds", "fault"),
    [(8.0, too_many), (8.0, unavailable()), (0.5, too_many), (120.0, too_many)],
    ids=["leeway", "leeway, 503", "last moment", "early"],
)
@pytest.mark.parametrize("start", STARTS)
def test_while_the_issuer_fails_the_last_seconds_of_a_token_are_used(
    pages: PageSite, login_store: TokenStore, start: Start, seconds: float, fault: Fault
) -> None:
    """And when it has really expired, requests fail for now, without being sent."""
    pages.fault = fault
    with start(pages, login_store, token_that_lives(pages, seconds)) as program:
        assert [program.status("/ok") for _ in range(3)] == [200] * 3
        assert pages.token_calls == 1
        program.clock.advance(seconds - 0.0625)
        assert program.status("/ok") == 200
        program.clock.advance(0.0625)
        sent = len(pages.arrivals)
        with pytest.raises(RefreshFailedError):
            program.send("/ok")
        assert len(pages.arrivals) == sent
        pages.fault = None
        program.clock.advance(60)
        assert program.status("/ok") == 200
        program.assert_logged_in()
        assert login_store.load() == pages.newest


@pytest.mark.parametrize("seconds", [8.0, 120.0], ids=["leeway", "early"])
@pytest.mark.parametrize("start", STARTS)
def test_eight_threads_that_start_so_are_all_answered(
    pages: PageSite, login_store: TokenStore, start: Start, seconds: float
) -> None:
    pages.fault = too_many
    with start(pages, login_store, token_that_lives(pages, seconds)) as program:
        outcomes = run_together(8, lambda: [program.status("/ok") for _ in range(2)])
        assert [outcome.result() for outcome in outcomes] == [[200, 200]] * 8
        # An early refresh gives way to whoever holds the lock of the store, to read it for example.
        assert pages.token_calls in ([1] if seconds == 8 else [0, 1])


def test_a_refused_page_fails_alone_in_the_last_seconds(
    pages: PageSite, login_store: TokenStore
) -> None:
    pages.fault = too_many
    with from_the_store(pages, login_store, token_that_lives(pages, 8)) as program:
        with pytest.raises(RefreshFailedError) as caught:
            program.send("/forbidden")
        assert caught.value.response is not None
        assert caught.value.response.text == "GET /forbidden is closed"
        assert program.status("/ok") == 200
        assert pages.token_calls == 1


# -- An early refresh that is refused ------------------------------------------------------------


def refused_early(pages: PageSite, store: TokenStore) -> Program:
    """Return a program that was refused a refresh while its token lives for two minutes more."""
    pages.fault = refusal
    program = Program(pages, store=store, random=lambda: 0.0)
    program.tokens.login(token_that_lives(pages, 120))
    assert program.status("/ok") == 200
    assert pages.token_calls == 1
    return program


def test_after_an_early_refusal_the_token_is_used_until_it_dies(
    pages: PageSite, login_store: TokenStore
) -> None:
    """The issuer is asked once, and then never again."""
    with refused_early(pages, login_store) as program:
        for _ in range(119):
            assert program.status("/ok") == 200
            program.clock.advance(1)
        assert program.reasons == []
        assert program.heard.of(LoggedOut) == []
        assert login_store.load() == Token("access-1")  # without its refresh token
        program.clock.advance(1)
        for _ in range(2):
            with pytest.raises(LoginRequiredError) as caught:
                program.send("/ok")
            assert caught.value.reason == "invalid_grant"
        assert pages.token_calls == 1
        assert program.reasons == ["invalid_grant"]
        assert len(program.heard.of(LoggedOut)) == 1
        assert len(pages.arrivals) == 120


def test_eight_threads_after_an_early_refusal_are_all_answered(
    pages: PageSite, login_store: TokenStore
) -> None:
    with refused_early(pages, login_store) as program:
        outcomes = run_together(8, lambda: [program.status("/ok") for _ in range(3)])
        assert [outcome.result() for outcome in outcomes] == [[200] * 3] * 8
        assert pages.token_calls == 1


def test_after_an_early_refusal_only_a_request_with_a_401_is_told_to_log_in(
    pages: PageSite, login_store: TokenStore
) -> None:
    with refused_early(pages, login_store) as program:
        for _ in range(2):
            with pytest.raises(LoginRequiredError) as caught:
                program.send("/forbidden")
            response: requests.Response = caught.value.response
            assert (response.status_code, response.text) == (401, "GET /forbidden is closed")
            assert program.status("/ok") == 200
        assert pages.token_calls == 1
        assert pages.rejections == {"/forbidden": 2}


def test_after_an_early_refusal_other_processes_use_the_token_up_too(
    pages: PageSite, tmp_path: Path
) -> None:
    """Nor do they ask the issuer: what is stored has no refresh token any more."""
    store, clock = FileTokenStore(tmp_path / "login"), Clock()
    with Program(pages, store=store, clock=clock, random=lambda: 0.0) as sibling:
        with refused_early(pages, store):
            assert [sibling.status("/ok") for _ in range(3)] == [200] * 3
            clock.advance(60)
            with Program(pages, store=store, clock=clock) as newcomer:
                assert [newcomer.status("/ok") for _ in range(3)] == [200] * 3
            assert sibling.status("/ok") == 200
        assert sibling.reasons == []
        clock.advance(60)
        with pytest.raises(LoginRequiredError):
            sibling.send("/ok")
        assert pages.token_calls == 1
        assert len(sibling.reasons) == 1


def test_after_an_early_refusal_a_new_login_begins(
    pages: PageSite, login_store: TokenStore
) -> None:
    with refused_early(pages, login_store) as program:
        pages.fault = None
        program.log_in()
        pages.expire()
        assert program.status("/ok") == 200
        assert pages.token_calls == 2
        program.assert_logged_in()
        assert login_store.load() == pages.newest


def test_a_store_that_is_emptied_in_the_early_window_ends_the_login_at_once(
    pages: PageSite, tmp_path: Path
) -> None:
    store = FileTokenStore(tmp_path / "login")
    with Program(pages, store=store, random=lambda: 0.0) as program:
        program.tokens.login(token_that_lives(pages, 120))
        store.clear()
        with pytest.raises(LoginRequiredError) as caught:
            program.send("/ok")
        assert caught.value.reason == "logged_out_elsewhere"
        assert program.reasons == ["logged_out_elsewhere"]
        assert (pages.token_calls, pages.arrivals) == (0, [])


# -- An early refresh that takes long and fails --------------------------------------------------


@pytest.mark.parametrize(("takes", "most"), [(10.0, 3), (2.0, 13), (30.0, 1)])
def test_an_issuer_that_never_answers_stalls_one_request_in_a_tenth_of_the_time(
    takes: float, most: int
) -> None:
    """Each attempt is followed by ten times as long without one."""
    clock = Clock()

    def time_out() -> None:
        clock.advance(takes)
        raise TimeoutError("no answer")

    refresher = Refresher(*[time_out] * 100)
    source = make_source(refresher, clock=clock, random=lambda: 0.0)
    clock.advance(3300)
    stalled = 0.0
    while clock.now < START + 3585:
        before = clock.now
        assert source.token().access_token == "access-0"
        stalled += clock.now - before
        clock.advance(1)
    assert 1 <= len(refresher.calls) <= most
    assert stalled == len(refresher.calls) * takes
