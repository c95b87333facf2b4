"""Tests that users have already: mocked and recorded requests, with the adapter in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock
import responses
import vcr
from responses.registries import OrderedRegistry

from requests_tokenrefresh import (
    LoginRequiredError,
    RefreshFailedError,
    RefreshTokenGrant,
    TokenRefreshAdapter,
    TokenSource,
    install,
    mount,
)
from requests_tokenrefresh.testing import FakeTokenSource
from tests.support.example_com import ExampleCom

API = "https://api.example.com"
REPORTS = f"{API}/reports"
TOKEN_URL = "https://auth.example.com/oauth/token"


def make_tokens(origin: str = API, token_url: str = TOKEN_URL, **options: Any) -> TokenSource:
    tokens = TokenSource(
        RefreshTokenGrant(token_url, client_id="reports", client_secret="client-secret", **options),
        origins=[origin],
    )
    tokens.login({"access_token": "access-old", "refresh_token": "refresh-old"})
    return tokens


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


# -- responses -------------------------------------------------------------------------------------


@responses.activate
def test_responses_records_the_rejection_the_refresh_and_the_replay(
    session: requests.Session,
) -> None:
    responses.get(REPORTS, status=401)
    responses.post(TOKEN_URL, json={"access_token": "access-new", "expires_in": 60})
    responses.get(REPORTS, json=["January"])
    mount(session, make_tokens())

    assert session.get(REPORTS).json() == ["January"]

    assert [(call.request.method, call.request.url) for call in responses.calls] == [
        ("GET", REPORTS),
        ("POST", TOKEN_URL),
        ("GET", REPORTS),
    ]
    sent = [call.request.headers["Authorization"].split()[0] for call in responses.calls]
    assert sent == ["Bearer", "Basic", "Bearer"]
    assert responses.calls[2].request.headers["Authorization"] == "Bearer access-new"
    assert "refresh_token=refresh-old" in str(responses.calls[1].request.body)


@responses.activate
def test_responses_can_refuse_the_refresh(session: requests.Session) -> None:
    responses.get(REPORTS, status=401)
    responses.post(TOKEN_URL, status=400, json={"error": "invalid_grant"})
    mount(session, make_tokens())
    with pytest.raises(LoginRequiredError):
        session.get(REPORTS)
    assert len(responses.calls) == 2


@responses.activate
def test_responses_without_a_token_endpoint_is_a_refresh_that_failed(
    session: requests.Session,
) -> None:
    """What is missing is said in the cause, as `responses` puts it."""
    responses.get(REPORTS, status=401)
    mount(session, make_tokens())
    with pytest.raises(RefreshFailedError, match="ConnectionError"):
        session.get(REPORTS)


def test_a_registry_of_responses_sees_the_requests_in_their_order() -> None:
    with responses.RequestsMock(registry=OrderedRegistry) as ordered:
        ordered.get(REPORTS, status=401)
        ordered.post(TOKEN_URL, json={"access_token": "access-new"})
        ordered.get(REPORTS, body="replayed")
        with install(make_tokens()):
            assert requests.get(REPORTS).text == "replayed"


# -- requests-mock ---------------------------------------------------------------------------------


def test_requests_mock_takes_the_place_of_every_adapter(session: requests.Session) -> None:
    """So a mocked 401 is just that, and no request has a token."""
    tokens = FakeTokenSource()
    mount(session, tokens)
    with requests_mock.Mocker() as mocker:
        mocker.get(REPORTS, status_code=401)
        assert session.get(REPORTS).status_code == 401
    assert "Authorization" not in mocker.last_request.headers
    assert tokens.refreshes == 0


def test_the_adapter_of_requests_mock_can_be_wrapped(session: requests.Session) -> None:
    tokens, mocked = FakeTokenSource(), requests_mock.Adapter()
    mocked.register_uri("GET", REPORTS, [{"status_code": 401}, {"json": ["January"]}])
    session.mount(API, mocked)
    mount(session, tokens)

    assert session.get(REPORTS).json() == ["January"]

    sent = [request.headers["Authorization"] for request in mocked.request_history]
    assert sent == ["Bearer access-0", "Bearer access-1"]


def test_a_mocker_can_be_given_our_adapter_for_sessions_that_are_hidden() -> None:
    tokens, mocked = FakeTokenSource(), requests_mock.Adapter()
    mocked.register_uri("GET", REPORTS, [{"status_code": 401}, {"json": ["January"]}])

    with requests_mock.Mocker(adapter=TokenRefreshAdapter(tokens, transport=mocked)):
        assert requests.get(REPORTS).json() == ["January"]

    assert (mocked.call_count, tokens.refreshes) == (2, 1)


def test_a_mocker_holds_up_a_grant_which_asks_on_another_thread() -> None:
    """It lets one thread send at a time, and the refresh is inside of a request."""
    mocked = requests_mock.Adapter()
    mocked.register_uri("GET", REPORTS, status_code=401)
    mocked.register_uri("POST", TOKEN_URL, json={"access_token": "access-new"})
    tokens = make_tokens(deadline=0.3)
    with (
        requests_mock.Mocker(adapter=TokenRefreshAdapter(tokens, transport=mocked)),
        pytest.raises(RefreshFailedError, match="no complete answer"),
    ):
        requests.get(REPORTS)


# -- vcrpy -----------------------------------------------------------------------------------------


def without_tokens(response: dict[str, Any]) -> dict[str, Any]:
    """Replace what a token endpoint gives; a recorded reply must still be one that can be used."""
    try:
        reply = json.loads(response["body"]["string"])
    except ValueError:
        return response
    for secret in {"access_token", "refresh_token", "id_token"} & set(reply):
        reply[secret] = "recorded"
    body = json.dumps(reply).encode()
    headers = {**response["headers"], "Content-Length": [str(len(body))]}
    return {**response, "body": {"string": body}, "headers": headers}


def recorder(folder: Path) -> vcr.VCR:
    return vcr.VCR(
        cassette_library_dir=str(folder),
        filter_headers=["Authorization", "Set-Cookie"],
        filter_post_data_parameters=["refresh_token", "client_secret"],
        before_record_response=without_tokens,
    )


SECRETS = ["access-", "refresh-", "client-secret", "cmVwb3J0cz"]  # the last is the client, in Basic


def test_a_cassette_holds_no_token_and_plays_what_was_recorded(tmp_path: Path) -> None:
    with ExampleCom() as server:
        origin, token_url = server.url, f"{server.url}/oauth/token"
        with recorder(tmp_path).use_cassette("reports.yaml"), requests.Session() as session:
            mount(session, make_tokens(origin, token_url))
            recorded = session.get(f"{origin}/reports")
    assert (recorded.status_code, len(recorded.history)) == (200, 1)
    cassette = (tmp_path / "reports.yaml").read_text()
    assert [secret for secret in SECRETS if secret in cassette] == []

    # The server is gone.
    with recorder(tmp_path).use_cassette("reports.yaml", record_mode="none") as played:
        with requests.Session() as session:
            mount(session, make_tokens(origin, token_url))
            response = session.get(f"{origin}/reports")
        assert response.json() == recorded.json()
        assert len(response.history) == 1
        assert (played.play_count, played.all_played) == (3, True)


def test_an_unfiltered_cassette_would_hold_them(tmp_path: Path) -> None:
    """So the test above looks for the right things."""
    everything = vcr.VCR().use_cassette(tmp_path / "all.yaml")
    with ExampleCom() as server, everything, requests.Session() as session:
        mount(session, make_tokens(server.url, f"{server.url}/oauth/token"))
        session.get(f"{server.url}/reports")
    cassette = (tmp_path / "all.yaml").read_text()
    assert [secret for secret in SECRETS if secret not in cassette] == ["client-secret"]


def test_a_cassette_plays_to_a_fake_login_without_a_token_endpoint(tmp_path: Path) -> None:
    with ExampleCom() as server:
        with recorder(tmp_path).use_cassette("reports.yaml"), requests.Session() as session:
            session.headers["Authorization"] = f"Bearer access-{server.given}"
            session.get(f"{server.url}/reports")
        url = server.url
    with recorder(tmp_path).use_cassette("reports.yaml", record_mode="none"):
        tokens = FakeTokenSource(origins=[url])
        with install(tokens):
            assert requests.get(f"{url}/reports").status_code == 200
    assert tokens.refreshes == 0
