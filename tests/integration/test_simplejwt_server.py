"""djangorestframework-simplejwt, whose refresh tokens rotate and can be used once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from requests_tokenrefresh import (
    JSONRefresh,
    LoginRequiredError,
    TokenRefreshAdapter,
    TokenSource,
)
from tests.support.django_sites.simplejwt import SimpleJWTServer
from tests.support.drives import THREADS, drive_rounds
from tests.support.rotating_site import RotatingSite
from tests.support.servers import HTTPServer
from tests.support.wsgi import answers_of


class Site(RotatingSite):
    token_path = "/token/refresh/"

    def refresher(self) -> JSONRefresh:
        return JSONRefresh(f"{self.http.url}/token/refresh/")


@pytest.fixture
def serve(http_server: Callable[..., HTTPServer], tmp_path: Path) -> Callable[..., Site]:
    def start(*, lifetime: int = 3600) -> Site:
        authorization = SimpleJWTServer(lifetime=lifetime, database=tmp_path / "database")
        return Site(authorization, http_server(answers_of(authorization.app)))

    return start


@pytest.mark.long("servers")
def test_each_forced_expiry_costs_32_threads_one_refresh(serve: Callable[..., Site]) -> None:
    serve().each_expiry_costs_one_refresh()


@pytest.mark.long("servers")
def test_32_threads_outlive_tokens_of_three_seconds(serve: Callable[..., Site]) -> None:
    """Or of hardly more than two: `exp` is in whole seconds, cut off. Or until a 401 in the last
    second, of which a JWT does not tell the parts."""
    serve(lifetime=3).tokens_are_outlived(by_the_end_of=1 / 3)


@pytest.mark.long("servers")
def test_a_refresh_token_that_comes_again_ends_the_login_of_who_sent_it(
    serve: Callable[..., Site],
) -> None:
    """Whoever holds its successor goes on; 32 threads that do not ask once what became of it."""
    site = serve()
    refresher, token = site.refresher(), site.log_in()
    renewed = refresher(token)
    with pytest.raises(LoginRequiredError, match="Token is blacklisted"):
        refresher(token)
    renewed = refresher(renewed)

    site.authorization.expire_access_tokens()
    asked = site.token_requests()
    source = TokenSource(refresher, origins=[site.http.url], token=token)
    endings = drive_rounds(source, site.data, 1, each=1, before=lambda: None)
    assert endings == {"LoginRequiredError": THREADS}
    assert site.token_requests() == asked + 1
    assert refresher(renewed).refresh_token != renewed.refresh_token


@pytest.mark.long("servers")
def test_an_account_that_was_closed_ends_the_login(serve: Callable[..., Site]) -> None:
    site = serve()
    refresher, token = site.refresher(), site.log_in()
    site.authorization.close_account()
    with pytest.raises(LoginRequiredError, match="No active account"):
        refresher(token)


def says_token_not_valid(response: requests.Response) -> bool:
    return response.status_code in (401, 403) and b"token_not_valid" in response.content


def with_an_expired_token(site: Site) -> TokenSource:
    source = TokenSource(
        site.refresher(),
        origins=[site.http.url],
        token=site.log_in(),
        min_refresh_interval=0,  # the token is young
    )
    site.authorization.expire_access_tokens()
    return source


@pytest.mark.long("servers")
def test_a_page_that_asks_for_a_password_first_needs_no_rule(serve: Callable[..., Site]) -> None:
    site = serve()
    source = with_an_expired_token(site)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", TokenRefreshAdapter(source))
        response = session.get(f"{site.http.url}/behind-basic")
    assert response.status_code == 200
    challenges = [answer.headers["WWW-Authenticate"] for answer in response.history]
    assert challenges == ['Basic realm="api"']
    assert site.token_requests() == 1


@pytest.mark.long("servers")
def test_a_page_that_asks_for_a_session_first_needs_a_rule(serve: Callable[..., Site]) -> None:
    site = serve()
    source = with_an_expired_token(site)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", TokenRefreshAdapter(source))
        assert session.get(f"{site.http.url}/behind-session").status_code == 403
        session.mount("http://", TokenRefreshAdapter(source, is_rejected=says_token_not_valid))
        assert session.get(f"{site.http.url}/behind-session").status_code == 200
    assert site.token_requests() == 1
