"""``when_trial_refused="log_out"``: for a person in front, a refused token ends the login."""

from __future__ import annotations

from typing import Any

import pytest

from requests_tokenrefresh import LoginRequiredError, TokenStore
from requests_tokenrefresh.events import LoggedOut
from tests.support.held_flights import HeldFlight, refuse_first, replays
from tests.support.page_site import PageSite, Program

TWENTY = [f"GET /page/{number}" for number in range(20)]


def test_it_may_end_the_login_instead(pages: PageSite, login_store: TokenStore) -> None:
    """As `logout()` does, with the store; and all learn it, whether they were asked or not."""
    with Program(pages, store=login_store, when_trial_refused="log_out").log_in() as program:
        pages.expire()
        pages.opens = lambda _path, _number: False
        flight = HeldFlight(program, holders=TWENTY, newcomers=5)
        flight.land()
        errors: list[Any] = flight.errors()
        assert [type(error) for error in errors] == [LoginRequiredError] * 26
        assert {error.reason for error in errors} == {"trial_refused"}
        assert len({id(error) for error in errors}) == 26
        assert {error.response.status_code for error in errors} == {401}
        assert len(replays(pages)) == 3
        assert pages.token_calls == 1
        assert program.reasons == ["trial_refused"]
        assert len(program.heard.of(LoggedOut)) == 1
        assert login_store.load() is None
        with pytest.raises(LoginRequiredError) as caught:
            program.send("/ok")
        assert caught.value.reason == "trial_refused"
        assert (pages.token_calls, len(replays(pages))) == (1, 3)


def test_alone_it_ends_the_login_with_the_first_refusal(
    pages: PageSite, login_store: TokenStore
) -> None:
    with Program(pages, store=login_store, when_trial_refused="log_out").log_in() as program:
        with pytest.raises(LoginRequiredError) as caught:
            program.send("/forbidden")
        assert caught.value.reason == "trial_refused"
        assert caught.value.response.text == "GET /forbidden is closed"
        assert program.reasons == ["trial_refused"]
        assert login_store.load() is None
        program.log_in()
        assert program.status("/ok") == 200
        assert login_store.load() == pages.newest


@pytest.mark.parametrize("refusals", [1, 2])
def test_it_does_not_end_the_login_if_another_accepts_the_token(
    pages: PageSite, login_store: TokenStore, refusals: int
) -> None:
    with Program(pages, store=login_store, when_trial_refused="log_out").log_in() as program:
        pages.expire()
        refuse_first(pages, refusals)
        flight = HeldFlight(program, holders=TWENTY, newcomers=3)
        flight.land()
        assert flight.leader().status_code == 401
        assert [status for status, _history in flight.holders()].count(401) == refusals - 1
        assert flight.newcomers() == [(200, 0)] * 3
        assert pages.token_calls == 1
        program.assert_logged_in()
        assert login_store.load() == pages.newest


def test_nor_does_a_page_that_refuses_a_proven_token(
    pages: PageSite, login_store: TokenStore
) -> None:
    """A waiter's page, after the leader's has accepted it."""
    with Program(pages, store=login_store, when_trial_refused="log_out").log_in() as program:
        pages.expire()
        flight = HeldFlight(program, holders=["GET /forbidden"])
        flight.land()
        assert flight.leader().status_code == 200
        assert flight.holders() == [(401, 1)]
        assert pages.token_calls == 1
        program.assert_logged_in()
        assert login_store.load() == pages.newest
