"""django-oauth-toolkit, whose refresh tokens rotate and must not come twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from requests_tokenrefresh import (
    LoginRequiredError,
    RefreshTokenGrant,
    TokenRefreshAdapter,
    TokenSource,
)
from tests.support.django_sites.oauth_toolkit import Client, DjangoOAuthServer
from tests.support.drives import THREADS, drive_rounds
from tests.support.rotating_site import RotatingSite
from tests.support.servers import HTTPServer, Received, Reply
from tests.support.wsgi import answers_of

CONFIDENTIAL = Client("reports", "secret-of-reports")
PUBLIC = Client("desktop")


@dataclass(frozen=True)
class Site(RotatingSite):
    lost: list[str]
    """The paths to which the next reply is lost: its connection is closed instead."""

    token_path = "/token/"

    def refresher(self, client: Client) -> RefreshTokenGrant:
        return RefreshTokenGrant(
            f"{self.http.url}/token/",
            client_id=client.client_id,
            client_secret=client.client_secret,
        )

    def get(self, page: str, source: TokenSource, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            session.mount("http://", TokenRefreshAdapter(source, **options))
            return session.get(f"{self.http.url}/{page}", timeout=20)


@pytest.fixture
def serve(http_server: Callable[..., HTTPServer], tmp_path: Path) -> Callable[..., Site]:
    def start(*, lifetime: int = 3600, grace_period: int = 0) -> Site:
        authorization = DjangoOAuthServer(
            CONFIDENTIAL,
            PUBLIC,
            lifetime=lifetime,
            grace_period=grace_period,
            database=tmp_path / "database",
        )
        answer = answers_of(authorization.app)
        lost: list[str] = []

        def answer_unless_lost(request: Received) -> Reply | None:
            reply = answer(request)
            if request.path in lost:
                lost.remove(request.path)
                return None
            return reply

        return Site(authorization, http_server(answer_unless_lost), lost)

    return start


def test_each_forced_expiry_costs_32_threads_one_refresh(serve: Callable[..., Site]) -> None:
    serve().each_expiry_costs_one_refresh(CONFIDENTIAL)


@pytest.mark.long("servers")
def test_32_threads_outlive_tokens_of_three_seconds(serve: Callable[..., Site]) -> None:
    """Though each refresh, early as it is, deletes the access token that the others still send."""
    serve(lifetime=3).tokens_are_outlived(CONFIDENTIAL)


def test_a_refresh_token_that_comes_again_ends_the_login_for_all(
    serve: Callable[..., Site],
) -> None:
    """Whoever holds its successor is out as well; 32 threads ask once what became of it."""
    site = serve()
    grant, token = site.refresher(PUBLIC), site.log_in(PUBLIC)
    renewed = grant(token)
    with pytest.raises(LoginRequiredError, match="invalid_grant"):
        grant(token)
    with pytest.raises(LoginRequiredError, match="invalid_grant"):
        grant(renewed)

    asked = site.token_requests()
    source = TokenSource(grant, origins=[site.http.url], token=renewed)
    endings = drive_rounds(source, site.data, 1, each=1, before=lambda: None)
    assert endings == {"LoginRequiredError": THREADS}
    assert site.token_requests() == asked + 1


@pytest.mark.long("servers")
def test_a_reply_that_was_lost_is_had_at_once_within_the_grace_period(
    serve: Callable[..., Site],
) -> None:
    """The refresh token is spent, and the server says what it bought once more."""
    site = serve(grace_period=60)
    grant, first = site.refresher(PUBLIC), site.log_in(PUBLIC)
    source = TokenSource(grant, origins=[site.http.url], token=first)
    site.authorization.expire_access_tokens()
    site.lost.append("/token/")
    assert site.get("data", source).status_code == 200
    assert site.token_requests() == 2
    assert grant(first) == source.token()


@pytest.mark.long("servers")
def test_a_reply_that_was_lost_ends_the_login_without_a_grace_period(
    serve: Callable[..., Site],
) -> None:
    """Whoever comes next would have sent the same refresh token anyway."""
    site = serve()
    source = TokenSource(site.refresher(PUBLIC), origins=[site.http.url], token=site.log_in(PUBLIC))
    site.authorization.expire_access_tokens()
    site.lost.append("/token/")
    for _ in range(2):
        with pytest.raises(LoginRequiredError, match="invalid_grant"):
            site.get("data", source)
    assert site.token_requests() == 2


@pytest.mark.long("servers")
def test_its_own_pages_answer_403_which_has_to_be_said(serve: Callable[..., Site]) -> None:
    site = serve()
    source = TokenSource(
        site.refresher(PUBLIC),
        origins=[site.http.url],
        token=site.log_in(PUBLIC),
        min_refresh_interval=0,  # the token is young
    )
    site.authorization.expire_access_tokens()
    forbidden = site.get("view", source)
    assert (forbidden.status_code, site.token_requests()) == (403, 0)

    def is_rejected(response: requests.Response) -> bool:
        return response.status_code == 403

    page = site.get("view", source, is_rejected=is_rejected)
    assert (page.status_code, site.token_requests()) == (200, 1)
