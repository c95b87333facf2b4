"""Flask-JWT-Extended, with refresh tokens that rotate and must not come twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from requests_tokenrefresh import JSONRefresh, LoginRequiredError, Token, TokenSource
from tests.support.drives import EACH, ROUNDS, THREADS, Renewals, drive_rounds, drive_until
from tests.support.flask_jwt_app import FlaskJWTServer
from tests.support.servers import HTTPServer
from tests.support.threads import run_together
from tests.support.wsgi import answers_of


@dataclass(frozen=True)
class Site:
    """The running server, and what its clients need."""

    authorization: FlaskJWTServer
    http: HTTPServer

    @property
    def data(self) -> str:
        return f"{self.http.url}/data"

    def log_in(self) -> Token:
        asked_at = time.time()  # the lifetime begins later, as with a refresh
        return Token.from_mapping(self.authorization.log_in(), received_at=asked_at)

    def refresher(self) -> JSONRefresh:
        return JSONRefresh(
            f"{self.http.url}/refresh",
            refresh_token_in="header",
            access_token_field="access_token",
            refresh_token_field="refresh_token",
        )

    def refresh_requests(self) -> int:
        return sum(request.path == "/refresh" for request in self.http.requests)


@pytest.fixture
def serve(http_server: Callable[..., HTTPServer]) -> Callable[..., Site]:
    def start(*, lifetime: int = 3600) -> Site:
        authorization = FlaskJWTServer(lifetime=lifetime)
        return Site(authorization, http_server(answers_of(authorization.app)))

    return start


def test_each_forced_expiry_costs_32_threads_one_refresh(serve: Callable[..., Site]) -> None:
    site = serve()
    refreshes: list[int] = []  # until the beginning of each round

    def expire() -> None:
        refreshes.append(site.refresh_requests())
        site.authorization.expire_access_tokens()

    source = TokenSource(
        site.refresher(),
        origins=[site.http.url],
        token=site.log_in(),
        min_refresh_interval=0,  # a round is shorter than the default
    )
    endings = drive_rounds(source, site.data, ROUNDS, before=expire)
    assert endings == {200: ROUNDS * EACH * THREADS}
    assert [*refreshes, site.refresh_requests()] == [*range(ROUNDS + 1)]


@pytest.mark.long("servers")
def test_32_threads_outlive_tokens_of_three_seconds(serve: Callable[..., Site]) -> None:
    """Or of hardly more than two: `exp` is in whole seconds, cut off."""
    site = serve(lifetime=3)
    first = site.log_in()
    renewals = Renewals(site.refresher(), first)
    source = TokenSource(renewals, origins=[site.http.url], token=first)
    endings = drive_until(source, site.data, lambda: len(renewals.tokens) > 2, seconds=20)
    assert set(endings) == {200}
    assert site.refresh_requests() == len(renewals.asked_at) >= 2
    # None was spent on a token that had not come to its end: to its last fifth, see `early`, or to
    # a 401 in its last second, of which a JWT does not tell the parts.
    assert max(renewals.rests_of_life()) <= 1 / 3


def test_one_refresh_token_used_by_two_ends_the_login_for_all(serve: Callable[..., Site]) -> None:
    """What threads without the adapter come to; with it, 32 of them ask once what became of it."""
    site = serve()
    refresher, token = site.refresher(), site.log_in()
    outcomes = run_together(2, lambda: refresher(token))
    assert [type(o.error) for o in outcomes if o.error] == [LoginRequiredError]
    (renewed,) = (o.value for o in outcomes if o.value)
    with pytest.raises(LoginRequiredError, match="Token has been revoked"):
        refresher(renewed)

    asked = site.refresh_requests()
    source = TokenSource(refresher, origins=[site.http.url], token=token)
    endings = drive_rounds(source, site.data, 1, each=2, before=lambda: None)
    assert endings == {"LoginRequiredError": 2 * THREADS}
    assert site.refresh_requests() == asked + 1
