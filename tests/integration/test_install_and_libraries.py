"""`install` beside libraries that subclass or replace sessions, on real servers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_cache
import requests_mock
import responses
from requests_futures.sessions import FuturesSession
from requests_oauthlib import OAuth2Session
from requests_ratelimiter import LimiterSession

from requests_tokenrefresh import JSONRefresh, RefreshTokenGrant, TokenSource, install
from requests_tokenrefresh.testing import FakeTokenSource
from tests.support.example_com import ExampleCom
from tests.support.guarded_api import GuardedAPI

ROOT = Path(__file__).parents[2]

real_class, real_init = requests.Session, requests.Session.__init__


@pytest.fixture(autouse=True)
def requests_is_as_it_was() -> Iterator[None]:
    yield
    assert requests.Session is requests.sessions.Session is real_class
    assert requests.Session.__init__ is real_init


@pytest.fixture
def api() -> Iterator[GuardedAPI]:
    with GuardedAPI() as api:
        yield api


# -- The refresher's own requests ------------------------------------------------------------------


def post_in_the_refresher(url: str) -> Callable[[Any], Any]:
    return lambda token: requests.post(f"{url}/oauth/token", timeout=5).json()


@pytest.mark.parametrize(
    "make_refresher",
    [
        lambda url: RefreshTokenGrant(f"{url}/oauth/token", client_id="reports", deadline=5),
        lambda url: JSONRefresh(f"{url}/api/token/refresh/", deadline=5),
        post_in_the_refresher,
    ],
    ids=["grant", "JSON", "a function"],
)
def test_a_token_endpoint_on_the_api_s_own_origin_is_asked_without_the_token(
    make_refresher: Callable[[str], Callable[[Any], Any]],
) -> None:
    """It would wait for the very token that it is asked for."""
    with ExampleCom() as server:
        tokens = TokenSource(make_refresher(server.url), origins=[server.url])
        tokens.login({"access_token": "access-old", "refresh_token": "refresh-0"})
        with install(tokens):
            assert requests.get(f"{server.url}/reports", timeout=5).status_code == 200
    rejected, refresh, replay = server.requests
    assert rejected.headers["Authorization"] == "Bearer access-old"
    assert (refresh.method, refresh.headers["Authorization"]) == ("POST", None)
    assert replay.headers["Authorization"] == "Bearer access-1"


# -- Subclasses ------------------------------------------------------------------------------------


def test_a_futures_session_survives_expiry_on_its_threads(api: GuardedAPI) -> None:
    """It sizes the pools that are mounted on https:// and http://, which send as ever."""
    with install(api.tokens), FuturesSession(max_workers=12) as session:
        assert session.get_adapter("http://")._pool_maxsize == 12  # type: ignore[attr-defined]
        api.tokens.revoke()
        futures = [session.get(f"{api.url}/{number}") for number in range(12)]
        assert [future.result().status_code for future in futures] == [200] * 12
    assert api.tokens.refreshes == 1


def test_a_session_of_requests_oauthlib_sends_the_token_that_is_good(
    api: GuardedAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the place of its own."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    stale = {"access_token": "its own", "token_type": "Bearer"}
    with install(api.tokens), OAuth2Session("reports", token=stale) as session:
        api.tokens.revoke()
        assert session.get(f"{api.url}/reports").status_code == 200
    assert api.sent == ["Bearer access-0", "Bearer access-1"]


def test_a_limited_session_survives_expiry(api: GuardedAPI) -> None:
    """It looks at the signature of `Session.__init__` to find out what it may pass on."""
    with install(api.tokens), LimiterSession(per_second=100) as session:
        api.tokens.revoke()
        assert session.get(f"{api.url}/reports").status_code == 200
    assert api.sent == ["Bearer access-0", "Bearer access-1"]


# -- requests-cache --------------------------------------------------------------------------------


def test_a_cached_session_is_reached(api: GuardedAPI) -> None:
    with install(api.tokens), requests_cache.CachedSession(backend="memory") as session:
        api.tokens.revoke()
        answers = [session.get(f"{api.url}/reports") for _ in range(2)]
    assert [answer.from_cache for answer in answers] == [False, True]
    assert api.sent == ["Bearer access-0", "Bearer access-1"]


def install_cache() -> None:
    requests_cache.install_cache(backend="memory")


def uninstall_cache() -> None:
    requests_cache.uninstall_cache()


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("ours_last", [True, False])
def test_install_cache_and_install_come_and_go_in_any_order(
    api: GuardedAPI, ours_first: bool, ours_last: bool
) -> None:
    if ours_first:
        installation = install(api.tokens)
    install_cache()
    if not ours_first:
        installation = install(api.tokens)

    assert [requests.get(f"{api.url}/reports").from_cache for _ in range(2)] == [  # type: ignore[attr-defined]
        False,
        True,
    ]

    if ours_last:
        uninstall_cache()
        assert requests.get(f"{api.url}/reports").status_code == 200
        installation.uninstall()
    else:
        installation.uninstall()
        assert requests.get(f"{api.url}/reports").from_cache  # type: ignore[attr-defined]
        uninstall_cache()
    assert requests.get(f"{api.url}/reports").status_code == 401


def test_a_cache_installed_before_this_package_is_imported_does_not_come_between() -> None:
    """Not between the refresher and its token endpoint, and not between `install` and the class."""
    program = """
        import requests, requests_cache
        Session = requests.Session
        requests_cache.install_cache(backend="memory", allowable_methods=["GET", "POST"])
        from requests_tokenrefresh import ClientCredentialsGrant, TokenSource, install
        from tests.support.example_com import ExampleCom

        with ExampleCom() as server:
            url = f"{server.url}/oauth/token"
            grant = ClientCredentialsGrant(url, client_id="reports", client_secret="secret")
            tokens = TokenSource(grant, origins=[server.url], min_refresh_interval=0)
            with install(tokens), Session() as session:
                for path in ("/1", "/2", "/3"):
                    assert session.get(server.url + path).status_code == 200
                    server.expire()
            print(sum(request.path == "/oauth/token" for request in server.requests))
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("3\n", "")


# -- Mocks -----------------------------------------------------------------------------------------


def test_responses_and_install_come_and_go_in_any_order(api: GuardedAPI) -> None:
    url = "https://api.example.com/reports"
    mock = responses.RequestsMock()
    installation = install(FakeTokenSource())
    mock.start()
    mock.get(url, body="mocked")
    installation.uninstall()
    assert requests.get(url).text == "mocked"
    assert "Authorization" not in mock.calls[0].request.headers

    installation = install(FakeTokenSource())
    assert requests.get(url).text == "mocked"
    assert mock.calls[1].request.headers["Authorization"] == "Bearer access-0"
    mock.stop()
    installation.uninstall()


@pytest.mark.parametrize("ours_last", [True, False])
def test_requests_mock_and_install_come_and_go_in_any_order(
    api: GuardedAPI, ours_last: bool
) -> None:
    """Meanwhile it is requests-mock that answers, without any adapter."""
    mocker = requests_mock.Mocker()
    installation = install(api.tokens)
    mocker.start()
    mocker.get(f"{api.url}/reports", status_code=401)
    session = requests.Session()
    assert session.get(f"{api.url}/reports").status_code == 401
    if ours_last:
        mocker.stop()
        installation.uninstall()
    else:
        installation.uninstall()
        mocker.stop()
    assert session.get(f"{api.url}/reports").status_code == 200
    assert requests.get(f"{api.url}/reports").status_code == 401
    session.close()
