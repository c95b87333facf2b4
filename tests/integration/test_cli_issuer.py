"""The demo's server as an issuer, over real HTTP and by a clock that the test moves."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import oauthlib
import pytest
import requests

from requests_tokenrefresh.cli import pending
from requests_tokenrefresh.cli.device_endpoint import GRANT_TYPE as DEVICE_CODE
from requests_tokenrefresh.cli.server import DemoServer
from tests.support.demo_server import demo_server
from tests.support.forms import press
from tests.support.logins import Clock
from tests.support.threads import run_together

VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)
BACK = "http://127.0.0.1:50001/callback"
REQUEST = {
    "response_type": "code",
    "client_id": "demo",
    "redirect_uri": BACK,
    "state": "the-state",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[DemoServer]:
    with demo_server(clock=clock, token_seconds=10, device_seconds=600, interval=5) as server:
        yield server


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


class Asking:
    """A client of the server, and its person's browser."""

    def __init__(self, server: DemoServer, client: requests.Session) -> None:
        self.url = server.url
        self._client = client

    def get(self, path: str, query: Any = "") -> requests.Response:
        query = query if isinstance(query, str) else urlencode(query)
        return self._client.get(f"{self.url}{path}?{query}", allow_redirects=False)

    def post(self, path: str, **form: str | list[str]) -> requests.Response:
        return self._client.post(f"{self.url}{path}", data=form, allow_redirects=False)

    def press(self, page: requests.Response, button: str) -> requests.Response:
        return press(self._client, page, button)

    def redirect(self, **changes: str | None) -> dict[str, str]:
        """Return what comes back to the client of the request with *changes*, agreed to at once."""
        fields = {k: v for k, v in {**REQUEST, "prompt": "none", **changes}.items() if v}
        return answer_in(self.get("/authorize", fields))

    def exchange(self, code: str, /, **changes: str | None) -> requests.Response:
        form = {
            "grant_type": "authorization_code",
            "client_id": "demo",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.post("/oauth/token", **{k: v for k, v in form.items() if v is not None})

    def refresh(self, reply: dict[str, str]) -> requests.Response:
        return self.post(
            "/oauth/token",
            grant_type="refresh_token",
            client_id="demo",
            refresh_token=reply["refresh_token"],
        )

    def accepts(self, reply: dict[str, str]) -> bool:
        headers = {"Authorization": f"Bearer {reply['access_token']}"}
        return self._client.get(f"{self.url}/data", headers=headers).ok

    def device(self, **form: str) -> dict[str, Any]:
        answer = self.post("/oauth/device", client_id="demo", **form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def poll(self, device: dict[str, Any]) -> requests.Response:
        return self.post(
            "/oauth/token",
            grant_type=DEVICE_CODE,
            client_id="demo",
            device_code=device["device_code"],
        )


@pytest.fixture
def asking(server: DemoServer, client: requests.Session) -> Asking:
    return Asking(server, client)


def answer_in(response: requests.Response) -> dict[str, str]:
    """Return what the redirect in *response* says."""
    assert response.status_code == 303, response.text
    location = response.headers["Location"]
    assert location.startswith(BACK + "?")
    return dict(parse_qsl(urlsplit(location).query))


def refused(response: requests.Response) -> str:
    assert response.status_code in (400, 401)
    assert response.headers["Cache-Control"] == "no-store"
    return response.json()["error"]


# -- What it says of itself ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
def test_the_metadata_names_the_issuer_and_where_its_endpoints_are(asking, name):
    """RFC 8414 sections 2, 3 and 5."""
    answer = asking.get(f"/.well-known/{name}")
    assert answer.headers["Content-Type"] == "application/json"
    document = answer.json()
    assert document["issuer"] == asking.url
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True
    endpoints = {value for key, value in document.items() if key.endswith("_endpoint")}
    assert {url.removeprefix(asking.url) for url in endpoints} == {
        "/authorize",
        "/oauth/token",
        "/oauth/device",
        "/oauth/revoke",
    }


# -- By a browser --------------------------------------------------------------------------------


def test_the_button_leads_back_with_a_code_that_is_worth_a_login(asking, server):
    """RFC 6749 sections 4.1.1 to 4.1.4."""
    page = asking.get("/authorize", REQUEST)
    assert page.status_code == 200
    assert "Log in as alice" in page.text
    answer = answer_in(asking.press(page, "Log in as alice"))
    assert answer.keys() == {"code", "state", "iss"}
    assert answer["state"] == "the-state"
    reply = asking.exchange(answer["code"])
    assert reply.headers["Cache-Control"] == "no-store"
    assert (reply.json()["scope"], reply.json()["expires_in"]) == ("data", 10)
    assert asking.accepts(reply.json())
    assert asking.accepts(asking.refresh(reply.json()).json())
    assert server.authorization.counts()["refreshes"] == 1


def test_the_other_button_leads_back_with_a_refusal(asking):
    """RFC 6749 section 4.1.2.1, RFC 9207 section 2."""
    page = asking.get("/authorize", REQUEST)
    answer = answer_in(asking.press(page, "Refuse"))
    assert answer == {"error": "access_denied", "state": "the-state", "iss": asking.url}


def test_a_server_that_consents_shows_no_page(clock, client):
    with demo_server(clock=clock, consent=True) as server:
        answer = answer_in(Asking(server, client).get("/authorize", REQUEST))
    assert "code" in answer


def test_no_page_is_shown_to_whoever_asks_for_none(asking):
    """OpenID Connect Core section 3.1.2.1."""
    assert "code" in asking.redirect(prompt="none")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "data everything"}, "invalid_scope"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
)
@pytest.mark.parametrize("prompt", ["none", None])
def test_what_is_not_as_it_must_be_leads_back_with_an_error(asking, changes, error, prompt):
    """RFC 6749 section 4.1.2.1, RFC 7636 section 4.4.1, RFC 9700 section 2.1.1."""
    answer = asking.redirect(**{"prompt": prompt, **changes})
    assert answer["error"] == error
    assert (answer["state"], answer["iss"]) == ("the-state", asking.url)
    assert "code" not in answer


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "https://evil.example/callback",
        "http://evil.example/callback",
        "http://127.0.0.1@evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://user@127.0.0.1/",
        "https://127.0.0.1/",
        "http://127.0.0.1:x/",
        "http://127.0.0.1:65536/",
        "http://u@127.0.0.1/",
        "http://127.0.0.1/\n",
        "http://127.0.0.1/#there",
        "javascript:alert(1)",
        "/callback",
        "http://127.0.0.1/\r\nX-Header: 1",
        "http://127.0.0.1/ä",
    ],
)
@pytest.mark.parametrize("client_id", ["demo", "somebody-else"])
def test_the_browser_is_sent_to_nobody_but_a_program_on_its_machine(
    asking, redirect_uri, client_id
):
    """RFC 6749 section 3.1.2.4, RFC 8252 section 8.3: an open redirector helps thieves."""
    fields = {**REQUEST, "redirect_uri": redirect_uri, "client_id": client_id, "prompt": "none"}
    answer = asking.get("/authorize", {k: v for k, v in fields.items() if v is not None})
    assert answer.status_code == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize("decision", ["agree", "refuse"])
def test_nor_is_it_after_a_decision_that_another_page_has_sent(asking, decision):
    """RFC 6749 section 4.1.2.1: whoever has made the form may have changed it."""
    form = {**REQUEST, "redirect_uri": "https://evil.example/callback", "decision": decision}
    answer = asking.post("/authorize", **form)
    assert (answer.status_code, "Not logged in" in answer.text) == (400, True)
    assert "Location" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
@pytest.mark.parametrize("port", ["", ":1", ":65535"])
def test_any_port_of_the_loopback_is_right(asking, host, port):
    """RFC 8252 section 7.3."""
    if host == "[::1]" and oauthlib.__version__.startswith(("3.0.", "3.1.0")):
        pytest.skip("this oauthlib takes no address of IPv6")
    back = f"http://{host}{port}/callback"
    answer = asking.get("/authorize", {**REQUEST, "redirect_uri": back, "prompt": "none"})
    assert answer.headers["Location"].startswith(f"{back}?code=")


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "scope", "response_type"])
def test_a_parameter_that_comes_twice_leads_nowhere(asking, name):
    """RFC 6749 section 3.1."""
    fields = [*REQUEST.items(), ("scope", "data"), (name, "again")]
    assert asking.get("/authorize", fields).status_code == 400


def test_a_request_that_names_who_has_logged_in_is_not_believed(asking):
    """What oauthlib calls the outcome of its own checks is no parameter of anybody's."""
    query = {**REQUEST, "prompt": "none", "scopes": "everything", "user": "bob", "client": "x"}
    code = answer_in(asking.get("/authorize", query))["code"]
    assert asking.exchange(code).json()["scope"] == "data"


def test_the_page_repeats_nothing_that_a_browser_would_run(asking):
    hostile = '"><script>alert(1)</script>'
    page = asking.get("/authorize", {**REQUEST, "state": hostile, hostile: hostile})
    assert "<script" not in page.text
    answer = answer_in(asking.press(page, "Log in as alice"))
    assert answer["state"] == hostile
    device = asking.get("/device", {"user_code": hostile})
    assert "<script" not in device.text


def test_pages_are_kept_by_nobody_and_framed_by_nobody(asking):
    """RFC 9700 sections 4.2.4 and 4.16."""
    pages = [
        asking.get("/authorize", REQUEST),
        asking.get("/authorize", {**REQUEST, "prompt": "none"}),
        asking.get("/authorize", {**REQUEST, "client_id": "x"}),
        asking.get("/device"),
    ]
    for page in pages:
        assert page.headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["Referrer-Policy"] == "same-origin"


# -- The code ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:50002/callback"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"client_id": "somebody-else"}, "invalid_client"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
)
def test_a_code_is_worth_nothing_to_whoever_did_not_ask_for_it(asking, changes, error):
    """RFC 6749 section 4.1.3, RFC 7636 section 4.6."""
    answer = asking.exchange(asking.redirect()["code"], **changes)
    assert refused(answer) == error


def test_a_code_is_used_up_by_a_wrong_verifier(asking):
    """RFC 9700 section 2.1.1: whoever has stolen it has one guess."""
    code = asking.redirect()["code"]
    asking.exchange(code, code_verifier="w" * 43)
    assert refused(asking.exchange(code)) == "invalid_grant"


def test_a_code_that_comes_twice_revokes_what_it_has_brought(asking):
    """RFC 6749 section 4.1.2."""
    code = asking.redirect()["code"]
    reply = asking.exchange(code).json()
    assert refused(asking.exchange(code)) == "invalid_grant"
    assert not asking.accepts(reply)
    assert refused(asking.refresh(reply)) == "invalid_grant"


def test_of_many_exchanges_at_once_one_succeeds(asking):
    code = asking.redirect()["code"]
    answers = [one.result().status_code for one in run_together(8, lambda: asking.exchange(code))]
    assert sorted(answers) == [200, *[400] * 7]


def test_a_code_expires(asking, clock):
    """RFC 6749 section 4.1.2."""
    early, late = asking.redirect()["code"], asking.redirect()["code"]
    clock.advance(59)
    assert asking.exchange(early).status_code == 200
    clock.advance(1)
    assert refused(asking.exchange(late)) == "invalid_grant"


def test_an_id_token_comes_with_openid_and_names_alice(asking):
    """OpenID Connect Core section 3.1.3.3."""
    code = asking.redirect(scope="openid offline_access", nonce="the-nonce")["code"]
    reply = asking.exchange(code).json()
    payload = reply["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    lifetime = claims.pop("exp") - claims.pop("iat")
    assert lifetime == 300
    assert claims == {"iss": asking.url, "aud": "demo", "sub": "alice", "nonce": "the-nonce"}
    assert reply["scope"] == "openid offline_access"
    renewed = asking.refresh(reply).json()
    assert (renewed["scope"], "id_token" in renewed) == ("openid offline_access", False)


def test_many_that_never_come_back_are_forgotten_the_oldest_first(asking, monkeypatch):
    assert pending._MOST == 1000
    monkeypatch.setattr(pending, "_MOST", 20)
    first = asking.redirect()["code"]
    second = asking.redirect()["code"]
    for _ in range(19):
        asking.redirect()
    assert refused(asking.exchange(first)) == "invalid_grant"
    assert asking.exchange(second).status_code == 200


# -- On another device ---------------------------------------------------------------------------


def test_a_device_is_told_a_code_and_where_to_enter_it(asking):
    """RFC 8628 sections 3.2 and 6.1."""
    device = asking.device()
    assert set(device["user_code"]) <= set("BCDFGHJKLMNPQRSTVWXZ-")
    assert device["verification_uri"] == f"{asking.url}/device"
    assert device["verification_uri_complete"].endswith(f"?user_code={device['user_code']}")
    assert (device["expires_in"], device["interval"]) == (600, 5)


@pytest.mark.parametrize("typed", [str, str.lower, lambda code: f" {code.replace('-', ' ')}. "])
def test_who_enters_the_code_logs_the_device_in(asking, clock, typed):
    """RFC 8628 sections 3.3 to 3.5, 6.1."""
    device = asking.device()
    clock.advance(5)
    assert refused(asking.poll(device)) == "authorization_pending"
    page = asking.get("/device", {"user_code": typed(device["user_code"])})
    assert "Logged in" in asking.press(page, "Log in as alice").text
    clock.advance(5)
    reply = asking.poll(device)
    assert reply.headers["Cache-Control"] == "no-store"
    assert asking.accepts(reply.json())
    assert asking.accepts(asking.refresh(reply.json()).json())


def test_a_device_can_be_refused(asking, clock):
    """RFC 8628 section 3.5."""
    device = asking.device()
    page = asking.get("/device", {"user_code": device["user_code"]})
    assert "Refused" in asking.press(page, "Refuse").text
    assert (
        asking.post("/device", user_code=device["user_code"], decision="agree").status_code == 404
    )
    clock.advance(5)
    assert refused(asking.poll(device)) == "access_denied"


def test_who_polls_too_early_waits_five_seconds_longer_from_then_on(asking, clock):
    """RFC 8628 section 3.5, and 3.2: the interval counts before the first poll too."""
    device = asking.device()
    clock.advance(4.9)
    assert refused(asking.poll(device)) == "slow_down"
    clock.advance(9.9)
    assert refused(asking.poll(device)) == "slow_down"
    for _ in range(2):
        clock.advance(15)
        assert refused(asking.poll(device)) == "authorization_pending"


def test_a_code_that_nobody_enters_expires(asking, clock):
    """RFC 8628 section 3.5."""
    device = asking.device()
    clock.advance(600)
    assert refused(asking.poll(device)) == "expired_token"
    late = asking.post("/device", user_code=device["user_code"], decision="agree")
    assert (late.status_code, "No device" in late.text) == (404, True)


def test_a_device_code_is_good_for_one_login(asking, clock):
    device = asking.device()
    asking.post("/device", user_code=device["user_code"], decision="agree")
    clock.advance(5)
    reply = asking.poll(device).json()
    clock.advance(5)
    assert refused(asking.poll(device)) == "invalid_grant"
    assert not asking.accepts(reply)


@pytest.mark.parametrize(
    ("path", "form", "error"),
    [
        ("/oauth/device", {"client_id": "somebody-else"}, "invalid_client"),
        ("/oauth/device", {}, "invalid_client"),
        ("/oauth/device", {"client_id": "demo", "scope": "everything"}, "invalid_scope"),
        ("/oauth/token", {"client_id": "demo", "grant_type": DEVICE_CODE}, "invalid_request"),
        (
            "/oauth/token",
            {"client_id": "demo", "grant_type": DEVICE_CODE, "device_code": "made-up"},
            "invalid_grant",
        ),
        ("/oauth/token", {"client_id": "x", "grant_type": DEVICE_CODE}, "invalid_client"),
        ("/oauth/device", {"client_id": "demo", "scope": ["data", "openid"]}, "invalid_request"),
    ],
)
def test_what_no_device_of_this_client_would_ask_is_refused(asking, path, form, error):
    """RFC 8628 section 3.1, RFC 6749 section 5.2."""
    assert refused(asking.post(path, **form)) == error


# -- Revocation ----------------------------------------------------------------------------------


def test_a_refresh_token_that_is_revoked_takes_its_login_with_it(asking, server):
    """RFC 7009 section 2.1."""
    reply = asking.exchange(asking.redirect()["code"]).json()
    answer = asking.post("/oauth/revoke", client_id="demo", token=reply["refresh_token"])
    assert (answer.status_code, answer.text) == (200, "")
    assert not asking.accepts(reply)
    assert refused(asking.refresh(reply)) == "invalid_grant"
    assert server.authorization.counts()["revoked"] is True


def test_an_access_token_that_is_revoked_leaves_the_login_alone(asking):
    """RFC 7009 section 2.1."""
    reply = asking.exchange(asking.redirect()["code"]).json()
    asking.post("/oauth/revoke", client_id="demo", token=reply["access_token"])
    assert not asking.accepts(reply)
    assert asking.accepts(asking.refresh(reply).json())


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "something"])
def test_a_hint_is_only_a_hint_and_a_token_nobody_knows_is_revoked_already(asking, hint):
    """RFC 7009 sections 2.1 and 2.2."""
    reply = asking.exchange(asking.redirect()["code"]).json()
    for token in (reply["refresh_token"], "made-up"):
        answer = asking.post("/oauth/revoke", client_id="demo", token=token, token_type_hint=hint)
        assert answer.status_code == 200
    assert not asking.accepts(reply)


@pytest.mark.parametrize(
    ("form", "error"),
    [({"client_id": "demo"}, "invalid_request"), ({"token": "t"}, "invalid_client")],
)
def test_a_revocation_that_says_not_what_or_who_is_refused(asking, form, error):
    """RFC 7009 section 2.1."""
    assert refused(asking.post("/oauth/revoke", **form)) == error


def test_queries_that_are_no_queries_are_answered(asking):
    for query in ("%", "=&=", "\x80", "a=%FF", "client_id=demo&client_id=", "&" * 100):
        assert asking.get("/authorize", query).status_code == 400
        assert asking.get("/device", query).status_code == 200
