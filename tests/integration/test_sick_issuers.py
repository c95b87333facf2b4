"""Token endpoints that fail for a while, beside an API that takes the token in hand."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from requests_tokenrefresh import RefreshFailedError, RefreshTokenGrant, Token, TokenStore
from requests_tokenrefresh.events import LoggedOut
from tests.support.login_site import unavailable
from tests.support.logins import wait_for_waiters
from tests.support.page_issuers import too_many
from tests.support.page_site import PageSite, Program
from tests.support.servers import Received, Reply
from tests.support.threads import Callers, start_together


def not_json(_request: Received) -> Reply:
    return Reply(200, b"<html>we are moving</html>", [("Content-Type", "text/html")])


def raise_something(_token: Token | None) -> Token:
    raise ConnectionError("no route to the issuer")


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/token"


def by_429(site: PageSite) -> dict[str, Any]:
    site.fault = too_many
    return {}


def by_503(site: PageSite) -> dict[str, Any]:
    site.fault = unavailable()
    return {}


def by_503_with_retry_after(site: PageSite) -> dict[str, Any]:
    site.fault = unavailable(retry_after=30)
    return {}


def by_nonsense(site: PageSite) -> dict[str, Any]:
    site.fault = not_json
    return {}


def by_hanging_up(site: PageSite) -> dict[str, Any]:
    site.fault = lambda _request: None
    return {}


def by_not_listening(_site: PageSite) -> dict[str, Any]:
    return {"refresher": RefreshTokenGrant(closed_port(), client_id="reports")}


def by_an_exception(_site: PageSite) -> dict[str, Any]:
    return {"refresher": raise_something}


Sickness = Callable[[PageSite], dict[str, Any]]
SICKNESSES: list[Sickness] = [
    by_429,
    by_503,
    by_503_with_retry_after,
    by_nonsense,
    by_hanging_up,
    by_not_listening,
    by_an_exception,
]


def failure(program: Program, path: str, method: str = "GET") -> RefreshFailedError:
    """Return what a request raises, which has to carry that request's own answer."""
    with pytest.raises(RefreshFailedError) as caught:
        program.send(path, method)
    error = caught.value
    assert error.response is not None
    assert (error.response.status_code, error.response.text) == (401, f"{method} {path} is closed")
    assert error.response.headers["WWW-Authenticate"] == "Bearer"
    return error


# -- A page that no token opens, meanwhile -------------------------------------------------------


@pytest.mark.parametrize(
    ("sick", "method"), [(by_429, "POST"), *((sick, "GET") for sick in SICKNESSES)]
)
def test_only_the_request_with_the_401_fails(
    pages: PageSite, login_store: TokenStore, sick: Sickness, method: str
) -> None:
    options = {"store": login_store, "random": lambda: 1.0, **sick(pages)}
    with Program(pages, **options).log_in() as program:
        assert program.status("/ok") == 200
        failure(program, "/forbidden", method)
        asked = pages.token_calls
        assert [program.status("/ok") for _ in range(3)] == [200] * 3
        failure(program, "/forbidden?again", method)
        assert [program.status("/ok", method) for _ in range(3)] == [200] * 3
        assert pages.token_calls == asked  # once per pause
        assert pages.rejections == {"/forbidden": 2}
        program.assert_logged_in()
        assert login_store.load() == pages.newest


@pytest.mark.parametrize("sick", [by_429, by_503])
def test_when_the_issuer_is_well_again_the_page_gets_its_401_after_the_pause(
    pages: PageSite, login_store: TokenStore, sick: Sickness
) -> None:
    options = {"store": login_store, "random": lambda: 1.0, **sick(pages)}
    with Program(pages, **options).log_in() as program:
        failure(program, "/forbidden")
        pages.fault = None
        failure(program, "/forbidden")
        assert pages.token_calls == 1
        program.clock.advance(120)
        assert [program.status(path) for path in ("/forbidden", "/ok")] == [401, 200]
        assert pages.token_calls == 2
        program.assert_logged_in()
        assert login_store.load() == pages.newest


def test_who_has_sent_nothing_yet_goes_with_the_token_in_hand_when_the_refresh_fails(
    pages: PageSite, login_store: TokenStore
) -> None:
    """Those that wait with a 401 of their own fail, each with its own."""
    with Program(pages, store=login_store, random=lambda: 1.0).log_in() as program:
        assert program.status("/ok") == 200
        page, gate = pages.hold("/held"), pages.hold_token_requests(unavailable())
        pages.closed.add("/held")
        holders = start_together(2, lambda: program.send("/held"))
        pages.wait_for("/held", 2)
        leader = start_together(1, lambda: program.send("/forbidden"))
        pages.wait_for("/token")
        page.set()
        wait_for_waiters(program.tokens, 2)
        others = start_together(5, lambda: program.status("/ok"))
        wait_for_waiters(program.tokens, 7)
        gate.set()
        assert [outcome.result() for outcome in others.outcomes()] == [200] * 5
        for callers, text in (
            (leader, "GET /forbidden is closed"),
            (holders, "GET /held is closed"),
        ):
            assert_failed_with(callers, text)
        assert pages.token_calls == 1
        assert pages.rejections == {"/forbidden": 1, "/held": 2}
        program.assert_logged_in()


def assert_failed_with(callers: Callers[Any], text: str) -> None:
    for outcome in callers.outcomes():
        assert isinstance(outcome.error, RefreshFailedError)
        assert outcome.error.response is not None
        assert (outcome.error.response.status_code, outcome.error.response.text) == (401, text)


# -- A token that is dead, meanwhile -------------------------------------------------------------


def test_a_token_that_a_server_refuses_is_sent_and_refused_until_the_pause_ends(
    pages: PageSite, login_store: TokenStore
) -> None:
    """That it is dead is one server's word, and each request gets its own answer."""
    pages.fault = too_many
    with Program(pages, store=login_store, random=lambda: 1.0).log_in() as program:
        assert program.status("/ok") == 200
        pages.expire()
        for path in ("/ok", "/ok", "/another"):
            failure(program, path)
        assert pages.token_calls == 1
        assert pages.rejections == {"/ok": 2, "/another": 1}
        pages.fault = None
        program.clock.advance(120)
        assert program.status("/ok") == 200
        assert pages.token_calls == 2
        program.assert_logged_in()


def test_a_token_that_has_expired_by_the_clock_is_not_sent(
    pages: PageSite, login_store: TokenStore
) -> None:
    pages.fault = too_many
    with Program(pages, store=login_store, random=lambda: 1.0).log_in() as program:
        program.clock.advance(3600)
        for _ in range(3):
            with pytest.raises(RefreshFailedError) as caught:
                program.send("/ok")
            assert caught.value.response is None
        assert pages.token_calls == 1
        assert pages.arrivals == []
        assert (program.reasons, program.heard.of(LoggedOut)) == ([], [])
