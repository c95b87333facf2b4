"""Authlib's authorization server, whose refresh tokens rotate and must not come twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from requests_tokenrefresh import LoginRequiredError, RefreshTokenGrant, TokenSource
from tests.support.authlib_app import AuthlibServer, Client
from tests.support.drives import THREADS, drive_rounds
from tests.support.rotating_site import RotatingSite
from tests.support.servers import HTTPServer
from tests.support.threads import run_together
from tests.support.wsgi import answers_of

CONFIDENTIAL = Client("reports", "secret-of-reports")
PUBLIC = Client("desktop")


class Site(RotatingSite):
    token_path = "/token"

    def refresher(self, client: Client) -> RefreshTokenGrant:
        return RefreshTokenGrant(
            f"{self.http.url}/token",
            client_id=client.client_id,
            client_secret=client.client_secret,
        )


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
    serve().each_expiry_costs_one_refresh(client)


@pytest.mark.long("servers")
def test_32_threads_outlive_tokens_of_one_second(serve: Callable[..., Site]) -> None:
    """Though each refresh, early as it is, revokes the access token that the others still send."""
    serve(lifetime=1).tokens_are_outlived(CONFIDENTIAL)


def test_one_refresh_token_used_by_two_ends_the_login_for_all(serve: Callable[..., Site]) -> None:
    """What threads without the adapter come to; with it, 32 of them ask once what became of it."""
    site = serve()
    grant, token = site.refresher(CONFIDENTIAL), site.log_in(CONFIDENTIAL)
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
