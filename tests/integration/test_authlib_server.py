"""Authlib's authorization server, whose refresh tokens rotate and must not come twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from requests_tokenrefresh import LoginRequiredError, RefreshTokenGrant, Token, TokenSource
from tests.support.authlib_app import AuthlibServer, Client
from tests.support.drives import EACH, ROUNDS, THREADS, Renewals, drive_rounds, drive_until
from tests.support.servers import HTTPServer
from tests.support.threads import run_together
from tests.support.wsgi import answers_of

CONFIDENTIAL = Client("reports", "secret-of-reports")
PUBLIC = Client("desktop")


@dataclass(frozen=True)
class Site:
    """The running server, and what its clients need."""

    authorization: AuthlibServer
    http: HTTPServer

    @property
    def data(self) -> str:
        return f"{self.http.url}/data"

    def log_in(self, client: Client) -> Token:
        asked_at = time.time()  # the lifetime begins later, as with a refresh
        return Token.from_mapping(self.authorization.log_in(client), received_at=asked_at)

    def grant(self, client: Client) -> RefreshTokenGrant:
        return RefreshTokenGrant(
            f"{self.http.url}/token",
            client_id=client.client_id,
            client_secret=client.client_secret,
        )

    def token_requests(self) -> int:
        return sum(request.path == "/token" for request in self.http.requests)


@pytest.fixture
def serve(
    http_server: Callable[..., HTTPServer], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Site]:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # else it refuses plain http

    def start(*, lifetime: int = 3600) -> Site:
        authorization = AuthlibServer(CONFIDENTIAL, PUBLIC, lifetime=lifetime)
        return Site(authorization, http_server(answers_of(authorization.app)))

    return start


@pytest.mark.parametrize("client", [CONFIDENTIAL, PUBLIC], ids=["confidential", "public"])
def test_each_forced_expiry_costs_32_threads_one_refresh(
    serve: Callable[..., Site], client: Client
) -> None:
    site = serve()
    refreshes: list[int] = []  # until the beginning of each round

    def expire() -> None:
        refreshes.append(site.token_requests())
        site.authorization.expire_access_tokens()

    source = TokenSource(
        site.grant(client),
        origins=[site.http.url],
        token=site.log_in(client),
        min_refresh_interval=0,  # a round is shorter than the default
    )
    endings = drive_rounds(source, site.data, ROUNDS, before=expire)
    assert endings == {200: ROUNDS * EACH * THREADS}
    assert [*refreshes, site.token_requests()] == [*range(ROUNDS + 1)]


@pytest.mark.long("servers")
def test_32_threads_outlive_tokens_of_one_second(serve: Callable[..., Site]) -> None:
    """Though each refresh, early as it is, revokes the access token that the others still send."""
    site = serve(lifetime=1)
    first = site.log_in(CONFIDENTIAL)
    renewals = Renewals(site.grant(CONFIDENTIAL), first)
    source = TokenSource(renewals, origins=[site.http.url], token=first)
    endings = drive_until(source, site.data, lambda: len(renewals.tokens) > 2, seconds=20)
    assert set(endings) == {200}
    assert site.token_requests() == len(renewals.asked_at) >= 2
    # None was spent on a token that had not come to its end: to its last fifth, see `early`.
    assert max(renewals.rests_of_life()) <= 0.2


def test_one_refresh_token_used_by_two_ends_the_login_for_all(serve: Callable[..., Site]) -> None:
    """What threads without the adapter come to; with it, 32 of them ask once what became of it."""
    site = serve()
    grant, token = site.grant(CONFIDENTIAL), site.log_in(CONFIDENTIAL)
    outcomes = run_together(2, lambda: grant(token))
    assert [type(o.error) for o in outcomes if o.error] == [LoginRequiredError]
    (renewed,) = (o.value for o in outcomes if o.value)
    with pytest.raises(LoginRequiredError, match="invalid_grant"):
        grant(renewed)

    asked = site.token_requests()
    source = TokenSource(grant, origins=[site.http.url], token=token)
    endings = drive_rounds(source, site.data, 1, each=2, before=lambda: None)
    assert endings == {"LoginRequiredError": 2 * THREADS}
    assert site.token_requests() == asked + 1
