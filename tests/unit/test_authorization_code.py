"""The authorization code: what is sent, which answers are ours, and what an id_token must say."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
import time
import traceback
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import responses

from requests_tokenrefresh import (
    AuthorizationServer,
    InsecureTransportError,
    LoginFailedError,
    RefreshFailedError,
    Token,
    TokenSource,
)
from requests_tokenrefresh.refreshers import AuthorizationCodeGrant, DeviceCodeGrant

ISSUER = "https://auth.example.com"
SERVER = AuthorizationServer(
    issuer=ISSUER,
    authorization_endpoint=f"{ISSUER}/authorize",
    token_endpoint=f"{ISSUER}/token",
    device_authorization_endpoint=f"{ISSUER}/device",
)
BACK = "https://app.example.com/callback"
NOW = 1_700_000_000.0


def grant(server: AuthorizationServer = SERVER, **arguments) -> AuthorizationCodeGrant:
    return AuthorizationCodeGrant(
        server, **{"client_id": "reports", "clock": lambda: NOW, **arguments}
    )


@pytest.fixture
def endpoint():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def asked(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)


def answer(attempt, **fields: str) -> str:
    return f"{BACK}?{urlencode({'code': 'the-code', 'state': attempt['state'], **fields})}"


def jwt(**claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256'})}.{part(claims)}.signature"


# -- The question ---------------------------------------------------------------------------------


def test_the_question_has_a_challenge_by_s256_and_a_state_of_256_bits():
    """RFC 7636 section 4.2, RFC 6749 section 4.1.1, RFC 9700 section 2.1.1."""
    attempt = grant(scope="read write").begin(BACK)
    digest = hashlib.sha256(attempt["code_verifier"].encode()).digest()
    assert attempt.url.startswith(f"{ISSUER}/authorize?")
    assert asked(attempt.url) == {
        "response_type": ["code"],
        "client_id": ["reports"],
        "scope": ["read write"],
        "redirect_uri": [BACK],
        "state": [attempt["state"]],
        "code_challenge": [base64.urlsafe_b64encode(digest).decode().rstrip("=")],
        "code_challenge_method": ["S256"],
    }
    assert len(base64.urlsafe_b64decode(attempt["state"] + "=")) == 32
    assert 43 <= len(attempt["code_verifier"]) <= 128
    assert attempt["code_verifier"] not in attempt.url


def test_no_two_attempts_have_a_secret_in_common():
    one, other = (grant(scope="openid").begin(BACK) for _ in range(2))
    secrets = {"state", "code_verifier", "nonce"}
    assert len({attempt[name] for attempt in (one, other) for name in secrets}) == 6


def test_openid_asks_for_an_answer_to_this_question():
    """OpenID Connect Core section 3.1.2.1: a nonce."""
    attempt = grant(scope="openid email").begin(BACK)
    assert asked(attempt.url)["nonce"] == [attempt["nonce"]]


def test_the_url_is_one_plain_line_whatever_is_asked_for():
    url = grant(scope="a b\n", params={"prompt": "x y", "ä": "ö"}).begin(BACK).url
    assert url.isascii()
    assert url.isprintable()
    assert " " not in url


def test_the_endpoints_own_query_stays():
    """RFC 6749 section 3.1."""
    url = f"{ISSUER}/authorize?p=policy"
    made = AuthorizationCodeGrant(f"{ISSUER}/token", client_id="c", authorization_url=url)
    query = asked(made.begin(BACK).url)
    assert (query["p"], query["client_id"]) == (["policy"], ["c"])


def test_params_and_targets_are_asked_for(endpoint):
    """RFC 8707 section 2: in both requests, and when it is renewed."""
    resources = ["https://one.example", "https://two.example"]
    made = grant(resource=resources, audience="api", params={"prompt": "login"})
    attempt = made.begin(BACK)
    query = asked(attempt.url)
    assert (query["resource"], query["audience"]) == (resources, ["api"])
    assert query["prompt"] == ["login"]
    endpoint.post(f"{ISSUER}/token", json={"access_token": "a", "refresh_token": "r"})
    made(made.finish(attempt, answer(attempt)))
    for call in endpoint.calls:
        form = parse_qs(call.request.body)
        assert (form["resource"], form["audience"]) == (resources, ["api"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"params": {"state": "mine"}}, "'state'"),
        ({"params": {"code_challenge_method": "plain"}}, "'code_challenge_method'"),
        ({"params": {"response_mode": "form_post"}}, "'response_mode'"),
        ({"resource": "https://api.example.com/#part"}, "fragment"),
        ({"resource": ["https://api.example.com", "api"]}, "absolute URI"),
        ({"client_id": ""}, "client_id is empty"),
        ({"params": {"prompt": "\udcff"}}, "half a character"),
        ({"scope": "\udcff"}, "half a character"),
        ({"resource": "https://x/\udcff"}, "half a character"),
        ({"resource": "https://one.example", "data": {"resource": "x"}}, "pass one"),
    ],
)
def test_what_cannot_be_right_is_refused_at_the_door(arguments, words):
    with pytest.raises(ValueError, match=words):
        grant(**arguments)


def test_params_that_are_none_are_refused_at_the_door():
    with pytest.raises(TypeError, match=r"params is a mapping, such as .*, got str"):
        grant(params="prompt=login")


@pytest.mark.parametrize(
    ("url", "words"),
    [(f"{ISSUER}/authorize#x", "fragment"), (f"{ISSUER}/authorize?state=1", "'state'")],
)
def test_an_authorization_url_that_cannot_be_right_is_refused(url, words):
    with pytest.raises(ValueError, match=words):
        AuthorizationCodeGrant(f"{ISSUER}/token", client_id="c", authorization_url=url)


def test_a_param_that_is_no_text_is_refused_at_the_door():
    with pytest.raises(TypeError, match="max_age"):
        grant(params={"max_age": 7})


def test_a_grant_without_its_endpoint_says_which():
    with pytest.raises(ValueError, match=r"authorization_url=.*authorization_endpoint"):
        AuthorizationCodeGrant(f"{ISSUER}/token", client_id="c")
    with pytest.raises(ValueError, match="device_authorization_url="):
        DeviceCodeGrant(f"{ISSUER}/token", client_id="c")


def test_an_authorization_url_in_plain_http_is_refused():
    with pytest.raises(InsecureTransportError, match="insecure=True"):
        AuthorizationCodeGrant(
            f"{ISSUER}/token", client_id="c", authorization_url="http://auth.example.com/a"
        )


def test_a_server_that_lists_methods_without_s256_is_refused():
    """RFC 9700 section 2.1.1: a downgrade to a challenge that anybody can read."""
    server = AuthorizationServer(**{**vars(SERVER), "code_challenge_methods_supported": ("plain",)})
    with pytest.raises(ValueError, match="S256"):
        grant(server)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        BACK,
        "http://127.0.0.1:8400/callback",
        "http://localhost/callback?app=1",
        "http://[::1]:8400/",
        "com.example.app:/callback",
    ],
)
def test_redirect_addresses_that_keep_the_code(redirect_uri):
    """RFC 8252 section 7."""
    assert asked(grant().begin(redirect_uri).url)["redirect_uri"] == [redirect_uri]


@pytest.mark.parametrize(
    ("redirect_uri", "error"),
    [
        ("http://app.example.com/callback", InsecureTransportError),
        (f"{BACK}#part", ValueError),
        ("javascript:alert(1)", ValueError),
        ("/callback", ValueError),
        ("https://user@app.example.com/", ValueError),
        ("https://app.example.com/\udcff", ValueError),
        ("http://127.0.0.1/zur\xfcck", ValueError),
        ("http://127.0.0.1/call back", ValueError),
        (None, TypeError),
    ],
)
def test_redirect_addresses_that_cannot_be_right(redirect_uri, error):
    with pytest.raises(error, match=r"^redirect_uri "):
        grant().begin(redirect_uri)


# -- The attempt ----------------------------------------------------------------------------------


def test_an_attempt_goes_through_json_and_shows_nothing():
    attempt = grant(scope="openid").begin(BACK)
    assert json.loads(json.dumps(attempt)) == attempt
    for name in ("state", "code_verifier", "nonce"):
        assert attempt[name] not in repr(attempt)
        assert attempt[name] not in str(attempt)


def test_an_attempt_of_another_issuer_is_not_finished_here():
    """RFC 9700 section 4.4: a mix-up."""
    elsewhere = AuthorizationServer(**{**vars(SERVER), "issuer": "https://evil.example"})
    attempt = grant(elsewhere).begin(BACK)
    with pytest.raises(ValueError, match="another issuer"):
        grant().finish(attempt, answer(attempt))


@pytest.mark.parametrize("broken", [None, {}, {"issuer": ISSUER, "state": "", "redirect_uri": "x"}])
def test_what_is_no_attempt_is_refused(broken):
    with pytest.raises((TypeError, ValueError), match="begin"):
        grant().finish(broken, BACK)


# -- The answer -----------------------------------------------------------------------------------


def test_the_code_is_exchanged_with_the_verifier(endpoint):
    """RFC 6749 section 4.1.3, RFC 7636 section 4.5."""
    endpoint.post(f"{ISSUER}/token", json={"access_token": "a", "refresh_token": "r"})
    made = grant(scope="read")
    attempt = json.loads(json.dumps(made.begin(BACK)))
    token = made.finish(attempt, answer(attempt))
    assert (token.access_token, token.refresh_token) == ("a", "r")
    assert dict(parse_qsl(endpoint.calls[0].request.body)) == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": BACK,
        "code_verifier": attempt["code_verifier"],
        "client_id": "reports",
    }


def test_it_renews_as_a_refresh_token_grant_without_a_scope(endpoint):
    """RFC 6749 section 6: it could be more than what was granted."""
    endpoint.post(f"{ISSUER}/token", json={"access_token": "a2"})
    made = pickle.loads(pickle.dumps(AuthorizationCodeGrant(SERVER, client_id="c", scope="x")))
    assert made(Token("a", "r")) == Token("a2", "r")
    assert dict(parse_qsl(endpoint.calls[0].request.body)) == {
        "grant_type": "refresh_token",
        "refresh_token": "r",
        "client_id": "c",
    }


@pytest.mark.parametrize("shape", ["{0}", "/callback?{1}", "?{1}", "{1}", "  {0}\n"])
def test_an_answer_is_known_by_its_query(endpoint, shape):
    endpoint.post(f"{ISSUER}/token", json={"access_token": "a"})
    made = grant()
    attempt = made.begin(BACK)
    url = answer(attempt)
    assert made.finish(attempt, shape.format(url, urlsplit(url).query)).access_token == "a"


@pytest.mark.parametrize("nonsense", ["http://[", "callback?", None])
def test_what_is_no_address_is_no_answer(nonsense):
    made = grant()
    with pytest.raises((LoginFailedError, TypeError)):
        made.finish(made.begin(BACK), nonsense)


HOSTILE = {
    "no state (RFC 6749 10.12)": "code=x",
    "an empty state (RFC 6749 3.1)": "code=x&state=",
    "another state (RFC 6749 10.12)": "code=x&state=guessed",
    "a state that is not ASCII": "code=x&state=%C3%A4%FF",
    "a longer state": "code=x&state={state}x",
    "the state twice (RFC 6749 3.1)": "code=x&state={state}&state={state}",
    "two codes (RFC 6749 3.1)": "code=x&code=y&state={state}",
    "one of two codes is empty (RFC 6749 3.1)": "code=&code=y&state={state}",
    "two issuers (RFC 9207 2.4)": "code=x&state={state}&iss=a&iss=b",
    "a code and an error (RFC 6749 4.1.2)": "code=x&error=access_denied&state={state}",
    "neither (RFC 6749 4.1.2)": "state={state}",
    "an empty code (RFC 6749 3.1)": "code=&state={state}",
    "nothing": "",
    "too much": "code=x&state={state}" + "&a=b" * 200,
    "it is behind the hash (RFC 6749 4.2.2)": "#code=x&state={state}",
}


@pytest.mark.parametrize("query", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_answer_to_this_attempt_is_not_exchanged(endpoint, query):
    made = grant()
    attempt = made.begin(BACK)
    with pytest.raises(LoginFailedError) as caught:
        made.finish(attempt, f"{BACK}?{query.format(state=attempt['state'])}")
    assert caught.value.reason == "bad_answer"
    assert attempt["state"] not in str(caught.value)
    assert not endpoint.calls


@pytest.mark.parametrize(
    ("promised", "iss", "fails"),
    [
        (False, None, False),
        (True, ISSUER, False),
        (False, ISSUER, False),
        (True, None, True),
        (True, "", True),
        (False, "https://evil.example", True),
        (True, f"{ISSUER}/", True),
    ],
)
@pytest.mark.parametrize("outcome", ["code", "error"])
def test_the_issuer_is_named_as_promised_in_errors_too(endpoint, promised, iss, fails, outcome):
    """RFC 9207 section 2.4: by simple comparison."""
    server = AuthorizationServer(
        **{**vars(SERVER), "authorization_response_iss_parameter_supported": promised}
    )
    made = grant(server)
    attempt = made.begin(BACK)
    fields = {outcome: "access_denied", "state": attempt["state"]}
    if iss is not None:
        fields["iss"] = iss
    endpoint.post(f"{ISSUER}/token", json={"access_token": "a"})
    if outcome == "code" and not fails:
        assert made.finish(attempt, f"?{urlencode(fields)}").access_token == "a"
        return
    with pytest.raises(LoginFailedError) as caught:
        made.finish(attempt, f"?{urlencode(fields)}")
    assert caught.value.reason == ("issuer_mismatch" if fails else "access_denied")
    assert not endpoint.calls


@pytest.mark.parametrize(
    ("error", "kind", "reason", "words"),
    [
        ("access_denied", LoginFailedError, "access_denied", "begin again"),
        ("consent_required", LoginFailedError, "access_denied", "begin again"),
        ("invalid_scope", LoginFailedError, "bad_answer", "check scope="),
        ("invalid_target", LoginFailedError, "bad_answer", "check resource="),
        ("unauthorized_client", LoginFailedError, "bad_answer", "registration"),
        ("made_up", LoginFailedError, "bad_answer", "begin again"),
        ("server_error", RefreshFailedError, None, "try again later"),
        ("temporarily_unavailable", RefreshFailedError, None, "try again later"),
    ],
)
def test_an_error_says_what_the_server_says(error, kind, reason, words):
    """RFC 6749 section 4.1.2.1."""
    made = grant()
    attempt = made.begin(BACK)
    said = {"error": error, "error_description": "so they\nsay", "state": attempt["state"]}
    with pytest.raises(kind) as caught:
        made.finish(attempt, f"?{urlencode(said)}")
    assert f"({error}: so they say)" in str(caught.value)
    assert words in str(caught.value)
    assert (caught.value.code, caught.value.said) == (error, f"{error}: so they say")
    assert getattr(caught.value, "reason", None) == reason


def test_an_error_that_repeats_a_secret_is_not_shown():
    made = grant()
    attempt = made.begin(BACK)
    said = {"error": "e", "error_description": f"state {attempt['state']}"}
    with pytest.raises(LoginFailedError) as caught:
        made.finish(attempt, f"?{urlencode({**said, 'state': attempt['state']})}")
    assert attempt["state"] not in str(caught.value)


def test_nor_is_one_that_repeats_it_in_two_parts():
    made = grant()
    attempt = made.begin(BACK)
    state = attempt["state"]
    said = {"error": state[:7], "error_description": state[7:14], "state": state}
    with pytest.raises(LoginFailedError) as caught:
        made.finish(attempt, f"?{urlencode(said)}")
    assert state[:7] not in str(caught.value)
    assert state[7:14] not in str(caught.value)


def test_a_code_that_is_refused_fails_this_attempt_only(endpoint):
    """RFC 6749 section 5.2: it was used, or has expired."""
    endpoint.post(f"{ISSUER}/token", json={"error": "invalid_grant"}, status=400)
    made = grant()
    attempt = made.begin(BACK)
    with pytest.raises(LoginFailedError, match="begin again") as caught:
        made.finish(attempt, answer(attempt))
    assert (caught.value.reason, caught.value.code) == ("bad_answer", "invalid_grant")
    assert "the-code" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, '{"error": "invalid_client"}', "check the client's id"),
        (404, "<html>", "check the URL"),
        (400, '{"error": "made_up"}', "begin again"),
        (200, "{}", "no access_token"),
    ],
)
def test_what_waiting_does_not_mend_is_no_trouble_of_the_server(endpoint, status, body, words):
    """RFC 6749 section 5.2."""
    endpoint.post(f"{ISSUER}/token", status=status, body=body, content_type="application/json")
    made = grant()
    attempt = made.begin(BACK)
    with pytest.raises(LoginFailedError, match=words) as caught:
        made.finish(attempt, answer(attempt))
    assert (caught.value.reason, caught.value.status) == ("bad_answer", status)


@pytest.mark.parametrize("status", [400, 503])
def test_what_shows_the_variables_of_a_traceback_shows_no_secret(endpoint, status):
    endpoint.post(f"{ISSUER}/token", json={"error": "invalid_grant"}, status=status)
    made = grant(scope="openid", client_secret="s3cret-of-reports")
    attempt = json.loads(json.dumps(made.begin(BACK)))
    back = answer(attempt)
    with pytest.raises((LoginFailedError, RefreshFailedError)) as caught:
        made.finish(attempt, back)
    frames = [
        frame
        for frame, _ in traceback.walk_tb(caught.tb)
        if "requests_tokenrefresh" in frame.f_code.co_filename
        and "tests" not in Path(frame.f_code.co_filename).parts
    ]
    assert len(frames) >= 2
    shown = "".join(repr(value) for frame in frames for value in frame.f_locals.values())
    secrets = ["the-code", "s3cret-of-reports", *(attempt[n] for n in ("state", "code_verifier"))]
    assert not [secret for secret in secrets if secret in shown]


def test_a_server_in_trouble_is_later(endpoint):
    endpoint.post(f"{ISSUER}/token", status=503)
    made = grant()
    attempt = made.begin(BACK)
    with pytest.raises(RefreshFailedError):
        made.finish(attempt, answer(attempt))


# -- The id_token ---------------------------------------------------------------------------------


def claims(attempt, **others: object) -> dict[str, object]:
    usual = {"iss": ISSUER, "aud": "reports", "exp": NOW + 60, "nonce": attempt["nonce"]}
    return {**usual, **others}


@pytest.mark.parametrize("aud", ["reports", ["other", "reports"]])
def test_an_id_token_of_this_login_is_taken(endpoint, aud):
    made = grant(scope="openid")
    attempt = made.begin(BACK)
    id_token = jwt(**claims(attempt, aud=aud))
    endpoint.post(f"{ISSUER}/token", json={"access_token": "a", "id_token": id_token})
    assert made.finish(attempt, answer(attempt)).extra["id_token"] == id_token


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"iss": "https://evil.example"}, "issuer_mismatch"),
        ({"iss": None}, "issuer_mismatch"),
        ({"aud": "another"}, "bad_answer"),
        ({"aud": ["another", "third"]}, "bad_answer"),
        ({"aud": None}, "bad_answer"),
        ({"exp": NOW - 3600}, "bad_answer"),
        ({"exp": "soon"}, "bad_answer"),
        ({"nonce": "another"}, "bad_answer"),
        ({"nonce": None}, "bad_answer"),
    ],
)
def test_an_id_token_of_another_login_is_not(endpoint, wrong, reason):
    """OpenID Connect Core section 3.1.3.7."""
    made = grant(scope="openid")
    attempt = made.begin(BACK)
    id_token = jwt(**claims(attempt, **wrong))
    endpoint.post(f"{ISSUER}/token", json={"access_token": "a", "id_token": id_token})
    with pytest.raises(LoginFailedError) as caught:
        made.finish(attempt, answer(attempt))
    assert caught.value.reason == reason
    assert id_token not in str(caught.value)


def test_an_id_token_that_cannot_be_read_is_none(endpoint):
    made = grant(scope="openid")
    attempt = made.begin(BACK)
    endpoint.post(f"{ISSUER}/token", json={"access_token": "a", "id_token": "a.b.c.d.e"})
    with pytest.raises(LoginFailedError, match="cannot be read"):
        made.finish(attempt, answer(attempt))


def test_a_wrong_clock_here_does_not_make_an_id_token_old(endpoint):
    """What counts is the Date of the answer it came in."""
    made = grant(scope="openid", clock=lambda: NOW + 86400)
    attempt = made.begin(BACK)
    endpoint.post(
        f"{ISSUER}/token",
        json={"access_token": "a", "id_token": jwt(**claims(attempt))},
        headers={"Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(NOW))},
    )
    assert made.finish(attempt, answer(attempt)).access_token == "a"


# -- Not unattended -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [AuthorizationCodeGrant, DeviceCodeGrant])
def test_a_grant_that_asks_a_person_is_no_login_of_a_source(kind):
    """It would hold the store's lock as long as the person thinks."""
    with pytest.raises(TypeError, match="asks a person"):
        TokenSource(print, origins=["https://api.example.com"], login=kind(SERVER, client_id="c"))
