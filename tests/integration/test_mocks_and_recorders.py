"""Tests that users have already: mocked and recorded requests, with the adapter in between."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import betamax
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
from requests_tokenrefresh.testing import (
    FakeTokenSource,
    betamax_without_tokens,
    vcr_without_tokens,
)
from tests.support.example_com import ExampleCom
from tests.support.servers import HTTPServer, Received, Reply
from tests.unit.test_cli_stored_login import jwt

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


def recorder(folder: Path) -> vcr.VCR:
    return vcr.VCR(cassette_library_dir=str(folder), **vcr_without_tokens())


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


# -- Both recorders --------------------------------------------------------------------------------

SECRET = "s3cr3t-9d8c7b6a5f4e"
JWT = jwt(sub=SECRET)


@pytest.fixture(params=["vcrpy", "betamax"])
def use_cassette(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """Record what a session sends, or play it: ``use_cassette(session, fields=["otp"])``."""

    def use(session: requests.Session, **more: Any) -> Any:
        if request.param == "vcrpy":
            options = vcr_without_tokens(**more)
            return vcr.VCR(**options).use_cassette(str(tmp_path / "cassette"))
        serializer = betamax_without_tokens(**more)
        made = betamax.Betamax(session, cassette_library_dir=str(tmp_path))
        by = ["method", "path"]
        return made.use_cassette("cassette", serialize_with=serializer, match_requests_on=by)

    return use


def cassette_in(folder: Path) -> str:
    [cassette] = [path for path in folder.iterdir() if path.is_file()]
    return cassette.read_text()


def packed(value: object) -> Reply:
    body = gzip.compress(json.dumps(value).encode())
    return Reply(body=body, headers=[("Content-Encoding", "gzip"), ("Content-Type", "text/json")])


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        ({"headers": {"Authorization": f"Bearer {SECRET}"}}, Reply()),
        ({"headers": {"X-Auth-Token": SECRET, "Cookie": f"a={SECRET}"}}, Reply()),
        ({"headers": {"X-Own": SECRET}}, Reply()),
        ({"params": {"page": "2", "access_token": SECRET}}, Reply()),
        ({"data": {"grant_type": "refresh_token", "refresh_token": SECRET}}, Reply()),
        ({"data": {"token": SECRET, "client_secret": SECRET}}, Reply()),
        ({"json": {"refresh": SECRET, "nested": [{"otp": SECRET}]}}, Reply()),
        ({}, Reply.json({"access_token": SECRET, "expires_in": 60, "id_token": JWT})),
        ({}, Reply.json({"data": {"tokens": [{"refresh": SECRET}]}, "anything": JWT})),
        ({}, packed({"access_token": SECRET, "page": 1})),
        ({}, Reply(body=f"scope=a&access_token={SECRET}".encode())),
        ({}, Reply(headers=[("Set-Cookie", f"session={SECRET}")])),
        ({}, Reply(302, headers=[("Location", f"/next?state=a&code={SECRET}#id_token={SECRET}")])),
    ],
)
def test_a_secret_is_in_no_cassette_and_what_was_recorded_can_be_played(
    http_server: Callable[..., HTTPServer],
    use_cassette: Callable[..., Any],
    tmp_path: Path,
    asked: dict[str, Any],
    reply: Reply,
) -> None:
    received: list[Received] = []

    def answer(request: Received) -> Reply:
        received.append(request)
        return reply

    more = {"headers": ["x-own"], "fields": ["otp"]}
    server = http_server(answer)

    def ask() -> requests.Response:
        with requests.Session() as session, use_cassette(session, **more):
            return session.post(f"{server.url}/a", allow_redirects=False, timeout=10, **asked)

    live, played = ask(), ask()
    [request] = received
    whole = f"{request.path}{request.headers}{request.body!r}{live.headers}{live.text}"
    assert SECRET in whole or JWT in whole  # the server and the program have the real one
    assert played.status_code == live.status_code
    cassette = cassette_in(tmp_path)
    for secret in (SECRET, JWT, JWT.split(".")[1]):
        assert secret not in cassette
        assert secret not in f"{played.headers}{played.text}"
    for kept in ("grant_type", "expires_in", "scope", "page"):
        assert (kept in cassette + played.text) == (kept in whole)
    if "access_token" in live.text and live.text.startswith("{"):
        assert played.json()["access_token"] == "recorded"


@pytest.mark.parametrize(
    "reply",
    [
        Reply.json({"code": "token_not_valid", "access": "read", "token": "a b c d e f g h i j"}),
        Reply(body=b'{"a":  1.50, "a": 2}'),
        Reply(body=b"page=1&code=DE"),
        Reply(body=b"page=1", headers=[("Content-Encoding", "aes128gcm")]),
        Reply(body=b"[" * 100_000),
        Reply(204),
    ],
)
def test_what_has_no_secret_is_recorded_as_it_came(
    http_server: Callable[..., HTTPServer], use_cassette: Callable[..., Any], reply: Reply
) -> None:
    server = http_server(lambda _request: reply)

    def ask() -> bytes:
        with (
            requests.Session() as session,
            use_cassette(session),
            session.get(f"{server.url}/a?code=DE", stream=True, timeout=10) as answer,
        ):
            return b"".join(answer.raw.stream(decode_content=False))

    assert ask() == ask()
    assert len(server.requests) == 1
    assert server.requests[0].path == "/a?code=DE"


def test_an_answer_that_cannot_be_unpacked_is_recorded_as_it_came() -> None:
    broken = {"headers": {"Content-Encoding": ["gzip"]}, "body": {"string": b"\x1f\x8b\x00{}"}}
    assert vcr_without_tokens()["before_record_response"](broken) == broken


def test_betamax_records_below_the_adapter(tmp_path: Path) -> None:
    with ExampleCom() as server, requests.Session() as session:
        recorder = betamax.Betamax(session, cassette_library_dir=str(tmp_path))
        with recorder.use_cassette("reports", serialize_with=betamax_without_tokens()):
            mount(session, make_tokens(server.url, f"{server.url}/oauth/token"))
            recorded = session.get(f"{server.url}/reports")
        assert (recorded.status_code, len(recorded.history)) == (200, 1)
        url = server.url
    assert [secret for secret in SECRETS if secret in cassette_in(tmp_path)] == []
    with requests.Session() as session:
        recorder = betamax.Betamax(session, cassette_library_dir=str(tmp_path))
        with recorder.use_cassette("reports", serialize_with=betamax_without_tokens()):
            tokens = FakeTokenSource(origins=[url])
            mount(session, tokens)
            assert session.get(f"{url}/reports").json() == recorded.json()
    assert tokens.refreshes == 1
