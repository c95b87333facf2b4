"""Refreshers that use the session themselves, on a thread of their own: waiting for oneself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from requests_tokenrefresh import Token, TokenRefreshError
from tests.support.page_site import PageSite, Program
from tests.support.servers import HTTPServer, Reply
from tests.support.threads import run_together


class Asking:
    """A refresher that asks for a page of the API before it gives a token.

    Attributes:
        program: Whose session it asks by.
        path: Where it asks.
        errors: What came of it, if it was not a response.
    """

    def __init__(self, site: PageSite, ask: Callable[[Callable[[], Any]], Any]) -> None:
        self.program: Program
        self.path = "/profile"
        self.errors: list[BaseException] = []
        self._site = site
        self._ask = ask

    def __call__(self, token: Token | None) -> dict[str, Any]:
        try:
            self._ask(lambda: self.program.send(self.path))
        except BaseException as error:
            self.errors.append(error)
            raise
        return self._site.renew(token)


def on_a_pool(call: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def on_a_bare_thread(call: Callable[[], Any]) -> Any:
    outcomes = run_together(1, call)
    return outcomes[0].result()


# In real time, as it passes while one waits for oneself.
PATIENCE: dict[str, Any] = {"wait_timeout": 0.2, "monotonic": time.monotonic}

WAYS = [on_a_pool, on_a_bare_thread]


@pytest.fixture(params=WAYS)
def asking(request: pytest.FixtureRequest, pages: PageSite) -> Iterator[Asking]:
    refresher = Asking(pages, request.param)
    with Program(pages, refresher, **PATIENCE, random=lambda: 1.0).log_in() as program:
        refresher.program = program
        yield refresher


def assert_named(error: BaseException) -> None:
    """The message says that the refresher may have used the session on a thread of its own."""
    assert isinstance(error, TokenRefreshError)
    assert "refresher" in str(error)
    assert "thread" in str(error)


def assert_cause_is_named(error: BaseException) -> None:
    """... or the error that it comes from says so."""
    causes = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    told = [cause for cause in causes if "refresher" in str(cause) and "thread" in str(cause)]
    assert told != []


def test_after_a_401_both_errors_name_the_cause(asking: Asking) -> None:
    program, pages = asking.program, asking.program.site
    assert program.status("/ok") == 200
    pages.expire()
    with pytest.raises(TokenRefreshError) as caught:
        program.send("/ok")
    [error] = asking.errors
    assert_named(error)
    assert_cause_is_named(caught.value)
    assert pages.token_calls == 0
    assert program.reasons == []


def test_after_an_expiry_by_the_clock_as_well(asking: Asking) -> None:
    program, pages = asking.program, asking.program.site
    program.clock.advance(3600)
    with pytest.raises(TokenRefreshError) as caught:
        program.send("/ok")
    [error] = asking.errors
    assert_named(error)
    assert_cause_is_named(caught.value)
    assert pages.token_calls == 0
    assert program.reasons == []


def test_a_refresher_that_gets_over_it_has_refreshed(pages: PageSite) -> None:
    errors: list[BaseException] = []

    def refresh(token: Token | None) -> dict[str, Any]:
        try:
            on_a_pool(lambda: program.send("/profile"))
        except TokenRefreshError as error:
            errors.append(error)
        return pages.renew(token)

    with Program(pages, refresh, **PATIENCE).log_in() as program:
        pages.expire()
        assert program.status("/ok") == 200
        [error] = errors
        assert_named(error)
        assert pages.token_calls == 1
        program.assert_logged_in()


@pytest.mark.parametrize("way", WAYS)
def test_another_origin_is_asked_without_a_token_and_answers(
    pages: PageSite, http_server: Callable[..., HTTPServer], way: Callable[..., Any]
) -> None:
    """What the refresher needs may come by the same session, from anywhere else."""
    other = http_server(lambda _request: Reply(body=b"here you are"))
    said: list[str] = []

    def refresh(token: Token | None) -> dict[str, Any]:
        answer: requests.Response = way(lambda: program.session.get(other.url))
        said.append(answer.text)
        return pages.renew(token)

    with Program(pages, refresh).log_in() as program:
        pages.expire()
        assert program.status("/ok") == 200
        assert said == ["here you are"]
        assert other.requests[0].headers["Authorization"] is None
        assert pages.token_calls == 1


def test_who_waits_too_long_for_a_slow_issuer_is_told_what_to_raise(pages: PageSite) -> None:
    with Program(pages, **PATIENCE).log_in() as program:
        pages.expire()
        gate = pages.hold_token_requests()
        leader = threading.Thread(target=lambda: program.send("/ok"))
        leader.start()
        pages.wait_for("/token")
        with pytest.raises(TokenRefreshError, match="wait_timeout"):
            program.send("/ok")
        gate.set()
        leader.join(10)
        assert not leader.is_alive()
        program.assert_logged_in()
