"""django-oauth-toolkit, whose refresh tokens rotate and must not come twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from requests_tokenrefresh import (
    LoginRequiredError,
    RefreshTokenGrant,
    Token,
    TokenRefreshAdapter,
    TokenSource,
)
from tests.support.django_sites.oauth_toolkit import Client, DjangoOAuthServer
from tests.support.drives import EACH, ROUNDS, THREADS, Renewals, drive_rounds, drive_until
from tests.support.servers import HTTPServer, Received, Reply
from tests.support.wsgi import answers_of

CONFIDENTIAL = Client("reports", "secret-of-reports")
PUBLIC = Client("desktop")


@dataclass(frozen=True)
class Site:
    """The running server, and what its clients need."""

    authorization: DjangoOAuthServer
    http: HTTPServer
    lost: list[str]
    """The paths to which the next reply is lost: its connection is closed instead."""

    @property
    def data(self) -> str:
        return f"{self.http.url}/data"

    def log_in(self, client: Client) -> Token:
        asked_at = time.time()  # the lifetime begins later, as with a refresh
        return Token.from_mapping(self.authorization.log_in(client), received_at=asked_at)

    def grant(self, client: Client) -> RefreshTokenGrant:
        return RefreshTokenGrant(
            f"{self.http.url}/token/",
            client_id=client.client_id,
            client_secret=client.client_secret,
        )

    def token_requests(self) -> int:
        return sum(request.path == "/token/" for request in self.http.requests)

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
    site = serve()
    refreshes: list[int] = []  # until the beginning of each round

    def expire() -> None:
        refreshes.append(site.token_requests())
        site.authorization.expire_access_tokens()

    source = TokenSource(
        site.grant(CONFIDENTIAL),
        origins=[site.http.url],
        token=site.log_in(CONFIDENTIAL),
        min_refresh_interval=0,  # a round is shorter than the default
    )
    endings = drive_rounds(source, site.data, ROUNDS, before=expire)
    assert endings == {200: ROUNDS * EACH * THREADS}
    assert [*refreshes, site.token_requests()] == [*range(ROUNDS + 1)]


@pytest.mark.long("servers")
def test_32_threads_outlive_tokens_of_three_seconds(serve: Callable[..., Site]) -> None:
    """Though each refresh, early as it is, deletes the access token that the others still send."""
    site = serve(lifetime=3)
    first = site.log_in(CONFIDENTIAL)
    renewals = Renewals(site.grant(CONFIDENTIAL), first)
    source = TokenSource(renewals, origins=[site.http.url], token=first)
    endings = drive_until(source, site.data, lambda: len(renewals.tokens) > 2, seconds=20)
    assert set(endings) == {200}
    assert site.token_requests() == len(renewals.asked_at) >= 2
    # None was spent on a token that had not come to its end: to its last fifth, see `early`.
    assert max(renewals.rests_of_life()) <= 0.2


def test_a_refresh_token_that_comes_again_ends_the_login_for_all(
    serve: Callable[..., Site],
) -> None:
    """Whoever holds its successor is out as well; 32 threads ask once what became of it."""
    site = serve()
    grant, token = site.grant(PUBLIC), site.log_in(PUBLIC)
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


def test_a_reply_that_was_lost_is_had_at_once_within_the_grace_period(
    serve: Callable[..., Site],
) -> None:
    """The refresh token is spent, and the server says what it bought once more."""
    site = serve(grace_period=60)
    grant, first = site.grant(PUBLIC), site.log_in(PUBLIC)
    source = TokenSource(grant, origins=[site.http.url], token=first)
    site.authorization.expire_access_tokens()
    site.lost.append("/token/")
    assert site.get("data", source).status_code == 200
    assert site.token_requests() == 2
    assert grant(first) == source.token()


def test_a_reply_that_was_lost_ends_the_login_without_a_grace_period(
    serve: Callable[..., Site],
) -> None:
    """Whoever comes next would have sent the same refresh token anyway."""
    site = serve()
    source = TokenSource(site.grant(PUBLIC), origins=[site.http.url], token=site.log_in(PUBLIC))
    site.authorization.expire_access_tokens()
    site.lost.append("/token/")
    for _ in range(2):
        with pytest.raises(LoginRequiredError, match="invalid_grant"):
            site.get("data", source)
    assert site.token_requests() == 2


def test_its_own_pages_answer_403_which_has_to_be_said(serve: Callable[..., Site]) -> None:
    site = serve()
    source = TokenSource(
        site.grant(PUBLIC),
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
