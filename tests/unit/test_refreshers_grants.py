"""The grants of RFC 6749: what they send, and how they judge what the endpoint answers."""

from __future__ import annotations

import pickle
from base64 import b64decode
from urllib.parse import parse_qs, unquote_plus

import pytest
import requests
import responses
from oauthlib.oauth2.rfc6749 import errors as oauth_errors
from requests.auth import AuthBase

from requests_tokenrefresh._errors import (
    InsecureTransportError,
    LoginRequiredError,
    RefreshFailedError,
)
from requests_tokenrefresh._token import Token
from requests_tokenrefresh.refreshers import (
    ClientCredentialsGrant,
    JSONRefresh,
    RefreshTokenGrant,
)

URL = "https://auth.example.com/oauth/token"
OLD = Token("old-access-token", "old-refresh-token", extra={"scope": "before"})
NOW = 1_700_000_000.0


@pytest.fixture
def endpoint():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def grant(**arguments):
    return RefreshTokenGrant(URL, **{"client_id": "reports", "clock": lambda: NOW, **arguments})


def accept(endpoint, **reply):
    endpoint.post(URL, json={"access_token": "new-access-token", **reply})


def sent(endpoint):
    """The one request, and its form."""
    [call] = endpoint.calls
    return call.request, parse_qs(call.request.body, keep_blank_values=True, strict_parsing=True)


def basic(request):
    scheme, _, credentials = request.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    return b64decode(credentials).decode("ascii")


# -- What is sent ---------------------------------------------------------------------------------


def test_a_public_client_sends_its_id_and_the_refresh_token_in_a_form(endpoint):
    accept(endpoint)
    grant()(OLD)
    request, form = sent(endpoint)
    assert (request.method, request.url) == ("POST", URL)
    assert form == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["old-refresh-token"],
        "client_id": ["reports"],
    }
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"
    assert "Authorization" not in request.headers


def test_a_client_without_an_id_sends_none(endpoint):
    accept(endpoint)
    grant(client_id=None)(OLD)
    assert set(sent(endpoint)[1]) == {"grant_type", "refresh_token"}


def test_id_and_secret_are_form_encoded_before_basic(endpoint):
    """RFC 6749 section 2.3.1; only so may an id contain a colon, and either be Unicode."""
    accept(endpoint)
    client_id, secret = "re:ports %", "pass+wörd/ "
    grant(client_id=client_id, client_secret=secret)(OLD)
    request, form = sent(endpoint)
    assert basic(request) == "re%3Aports%20%25:pass%2Bw%C3%B6rd%2F%20"
    assert [unquote_plus(part) for part in basic(request).split(":")] == [client_id, secret]
    assert set(form) == {"grant_type", "refresh_token"}


def test_id_and_secret_can_go_into_the_form(endpoint):
    accept(endpoint)
    grant(client_secret="pass+wörd&", token_endpoint_auth_method="client_secret_post")(OLD)
    request, form = sent(endpoint)
    assert (form["client_id"], form["client_secret"]) == (["reports"], ["pass+wörd&"])
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_an_empty_secret_is_a_secret(endpoint, method):
    accept(endpoint)
    grant(client_secret="", token_endpoint_auth_method=method)(OLD)
    request, form = sent(endpoint)
    if method == "client_secret_basic":
        assert basic(request) == "reports:"
    else:
        assert form["client_secret"] == [""]


class Assertion(AuthBase):
    """A client that authenticates by changing the form (RFC 7523)."""

    def __call__(self, r):
        r.body += "&client_assertion=signed-by-me"
        return r


def test_auth_may_be_anything_that_requests_takes(endpoint):
    accept(endpoint)
    grant(auth=Assertion())(OLD)
    request, form = sent(endpoint)
    assert (form["client_assertion"], form["client_id"]) == (["signed-by-me"], ["reports"])
    assert request.headers["Content-Length"] == str(len(request.body))


def test_scope_data_and_headers_are_sent_as_given(endpoint):
    accept(endpoint)
    data = {"audience": "https://api", "resource": ["a", "b&c"], "body": "x", "empty": ""}
    grant(scope="read write", data=data, headers={"X-Tenant": "7", "Accept": "*/*"})(OLD)
    request, form = sent(endpoint)
    assert form["scope"] == ["read write"]
    assert {name: form[name] for name in data} == {
        "audience": ["https://api"],
        "resource": ["a", "b&c"],
        "body": ["x"],
        "empty": [""],
    }
    assert (request.headers["X-Tenant"], request.headers["Accept"]) == ("7", "*/*")


@pytest.mark.parametrize("secret", [None, "hush"])
def test_a_client_id_in_data_is_sent_where_the_grant_sends_none(endpoint, secret):
    """Some servers want it in the form beside Basic authentication."""
    accept(endpoint)
    client_id = None if secret is None else "reports"
    grant(client_id=client_id, client_secret=secret, data={"client_id": "reports"})(OLD)
    request, form = sent(endpoint)
    assert form["client_id"] == ["reports"]
    if secret is not None:
        assert basic(request) == "reports:hush"


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "Accept", "accept"])
def test_headers_outrank_those_of_the_grant(endpoint, name):
    accept(endpoint)
    value = "application/x-www-form-urlencoded; charset=utf-8"
    grant(headers={name: value})(OLD)
    assert sent(endpoint)[0].headers[name] == value


def test_an_authorization_in_headers_is_sent_where_nothing_else_writes_it(endpoint):
    accept(endpoint)
    grant(headers={"authorization": "Basic abc"})(OLD)
    assert sent(endpoint)[0].headers["Authorization"] == "Basic abc"


def test_the_query_of_the_url_is_kept(endpoint):
    """RFC 6749 section 3.2."""
    accept(endpoint)
    RefreshTokenGrant(f"{URL}?tenant=a%20b&key=1")(OLD)
    assert sent(endpoint)[0].url == f"{URL}?tenant=a%20b&key=1"


def test_client_credentials_need_no_token(endpoint):
    accept(endpoint, expires_in=60)
    login = ClientCredentialsGrant(
        URL, client_id="reports", client_secret="secret", scope="read", clock=lambda: NOW
    )
    assert login() == Token("new-access-token")
    request, form = sent(endpoint)
    assert form == {"grant_type": ["client_credentials"], "scope": ["read"]}
    assert basic(request) == "reports:secret"


def test_client_credentials_replace_nothing(endpoint):
    """The refresh token of another grant does not belong to the token of this one."""
    accept(endpoint)
    login = ClientCredentialsGrant(URL, client_id="reports", cert="client.pem")
    assert login(OLD).refresh_token is None
    assert sent(endpoint)[1] == {"grant_type": ["client_credentials"], "client_id": ["reports"]}


# -- What comes back ------------------------------------------------------------------------------


def test_a_reply_becomes_a_token_and_expires_by_the_clock_of_the_request(endpoint):
    clock = iter([NOW, NOW + 5]).__next__
    accept(endpoint, refresh_token="new-refresh-token", expires_in=60, scope="read")
    token = grant(clock=clock)(OLD)
    assert token == Token("new-access-token", "new-refresh-token")
    assert (token.expires_at, token.issued_at) == (NOW + 60, NOW)
    assert token.extra == {"scope": "read"}


@pytest.mark.parametrize("reply", [{}, {"refresh_token": None}, {"refresh_token": ""}])
def test_a_reply_without_a_refresh_token_keeps_the_old_one(endpoint, reply):
    accept(endpoint, **reply)
    assert grant()(OLD).refresh_token == "old-refresh-token"


def test_the_same_tokens_may_come_back(endpoint):
    endpoint.post(URL, json={"access_token": OLD.access_token, "refresh_token": OLD.refresh_token})
    token = grant()(OLD)
    assert token == OLD
    assert token is not OLD


@pytest.mark.parametrize("status", [200, 201])
def test_any_success_may_carry_a_token(endpoint, status):
    endpoint.post(URL, json={"access_token": "new-access-token", "error": None}, status=status)
    assert grant()(OLD).access_token == "new-access-token"


# -- Permanent ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_invalid_grant_ends_the_login(endpoint, status):
    body = {"error": "invalid_grant", "error_description": "Token has been revoked."}
    endpoint.post(URL, json=body, status=status)
    with pytest.raises(LoginRequiredError) as caught:
        grant()(OLD)
    assert str(caught.value) == (
        f"the token endpoint {URL} refused the login (invalid_grant: Token has been revoked.); "
        "log in again"
    )
    assert caught.value.reason == "invalid_grant"
    assert isinstance(caught.value.__cause__, oauth_errors.InvalidGrantError)
    assert len(endpoint.calls) == 1


def test_a_refresh_token_that_looks_like_the_code_does_not_hide_it(endpoint):
    endpoint.post(URL, json={"error": "invalid_grant"}, status=400)
    with pytest.raises(LoginRequiredError):
        grant()(Token("old", "invalid_grant"))


@pytest.mark.parametrize(
    ("token", "reason"), [(None, "no_token"), (Token("old-access-token"), "no_refresh_token")]
)
def test_without_a_refresh_token_nothing_is_sent(endpoint, token, reason):
    with pytest.raises(LoginRequiredError) as caught:
        grant()(token)
    assert caught.value.reason == reason
    assert not endpoint.calls


# -- Transient ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "cause", "advice"),
    [
        (401, "invalid_client", oauth_errors.InvalidClientError, "check the client's id"),
        (400, "invalid_request", oauth_errors.InvalidRequestError, "check data="),
        (400, "invalid_scope", oauth_errors.InvalidScopeError, "check scope="),
        (400, "unauthorized_client", oauth_errors.UnauthorizedClientError, "its registration"),
        (400, "unsupported_grant_type", oauth_errors.UnsupportedGrantTypeError, "check the URL"),
        (200, "slow_down", oauth_errors.CustomOAuth2Error, "try again later"),
    ],
)
def test_every_other_code_leaves_the_login_alone_and_names_itself(
    endpoint, status, code, cause, advice
):
    endpoint.post(URL, json={"error": code, "error_description": "so it is"}, status=status)
    with pytest.raises(RefreshFailedError) as caught:
        grant()(OLD)
    assert str(caught.value).startswith(
        f"the token endpoint {URL} answered {status} ({code}: so it is); "
    )
    assert advice in str(caught.value)
    assert type(caught.value.__cause__) is cause
    assert len(endpoint.calls) == 1


def test_a_code_without_a_description_stands_alone(endpoint):
    endpoint.post(URL, json={"error": "invalid_request"}, status=400)
    with pytest.raises(RefreshFailedError, match=r"answered 400 \(invalid_request\); "):
        grant()(OLD)


def test_a_server_in_trouble_cannot_end_the_login(endpoint):
    endpoint.post(URL, json={"error": "invalid_grant"}, status=500)
    with pytest.raises(RefreshFailedError, match=r"answered 500 \(invalid_grant\)"):
        grant()(OLD)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"code": 400, "message": "QUOTA_EXCEEDED"}, "QUOTA_EXCEEDED"),
        ([["invalid_grant"]], "an error without a code"),
        (7, "an error without a code"),
    ],
)
def test_an_error_of_another_shape_is_transient(endpoint, error, said):
    endpoint.post(URL, json={"error": error}, status=400)
    with pytest.raises(RefreshFailedError) as caught:
        grant()(OLD)
    assert f"answered 400 ({said}); try again later" in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 503])
def test_a_failure_without_an_error_object_is_transient(endpoint, status):
    endpoint.post(URL, json={"status": "no"}, status=status)
    with pytest.raises(RefreshFailedError, match=rf"answered {status} \(no reason given\)"):
        grant()(OLD)


# -- The object -----------------------------------------------------------------------------------


def test_a_grant_shows_its_endpoint_and_no_secret():
    shown = repr(
        RefreshTokenGrant(f"{URL}?key=query-secret", client_id="reports", client_secret="hidden")
    )
    assert shown == f"RefreshTokenGrant('{URL}', client_id='reports')"
    assert repr(RefreshTokenGrant(URL)) == f"RefreshTokenGrant('{URL}')"


@pytest.mark.parametrize("kind", [RefreshTokenGrant, ClientCredentialsGrant])
def test_a_grant_pickles(endpoint, kind):
    accept(endpoint)
    made = kind(URL, client_id="reports", client_secret="secret", data={"audience": "api"})
    again = pickle.loads(pickle.dumps(made))
    assert again(OLD).access_token == "new-access-token"
    request, form = sent(endpoint)
    assert (basic(request), form["audience"]) == ("reports:secret", ["api"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"client_id": 7}, TypeError, "client_id is a string or None, got int"),
        ({"client_secret": b"x"}, TypeError, "client_secret is a string or None, got bytes"),
        ({"client_id": None, "client_secret": "x"}, ValueError, "client_secret without client_id"),
        ({"client_secret": "x", "auth": Assertion()}, ValueError, "pass one"),
        ({"auth": ("id", "secret")}, TypeError, r"HTTPBasicAuth\(\*pair\)"),
        ({"token_endpoint_auth_method": "header"}, ValueError, "one of client_secret_basic, "),
        ({"scope": ["read"]}, TypeError, "scope is a string or None, got list"),
        ({"data": {"scope": "x"}}, ValueError, "must not have 'scope'"),
        ({"data": {"client_id": "x"}}, ValueError, "must not have 'client_id': the grant sends it"),
        ({"data": {"refresh_token": "x"}}, ValueError, "must not have 'refresh_token'"),
        (
            {"client_secret": "x", "headers": {"authorization": "y"}},
            ValueError,
            r"headers\['Authorization'\] and client_secret write the same header: pass one",
        ),
        ({"data": {"audience": 7}}, TypeError, r"data\['audience'\] is a string or a list"),
        ({"data": {7: "audience"}}, TypeError, r"data\[7\] is a string or a list"),
        ({"data": {"audience": [7]}}, TypeError, r"data\['audience'\] is a string or a list"),
        ({"headers": {"X": "a\r\nb"}}, ValueError, r"headers\['X'\] cannot stand in a header"),
        ({"timeout": 5}, TypeError, r"\(connect, read\), got 5"),
        ({"timeout": (1, 2, 3)}, TypeError, r"\(connect, read\)"),
        ({"timeout": (0, 1)}, ValueError, r"timeout\[0\] must be above 0"),
        ({"timeout": (1, None)}, TypeError, r"timeout\[1\] is a number, got NoneType"),
        ({"deadline": float("inf")}, ValueError, "deadline must be above 0 and finite"),
        ({"deadline": True}, TypeError, "deadline is a number, got bool"),
        ({"max_reply_bytes": 1.5}, TypeError, "max_reply_bytes is a whole number of bytes, got f"),
        ({"data": "a=b"}, TypeError, "data is a mapping, such as .*, got str"),
        ({"headers": [("X", "y")]}, TypeError, "headers is a mapping, such as .*, got list"),
        ({"proxies": "http://p"}, TypeError, "proxies is a mapping, such as .*, got str"),
        ({"clock": 7}, TypeError, "clock is a function that returns a number, got int"),
        ({"max_reply_bytes": -1}, ValueError, "max_reply_bytes must be above 0"),
    ],
)
def test_arguments_are_checked_at_the_door(arguments, error, message):
    with pytest.raises(error, match=message):
        grant(**arguments)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://auth.example.com/token", InsecureTransportError),
        ("auth.example.com/token", ValueError),
        ("https://user:password@auth.example.com/token", ValueError),
        ("https://auth.example.com/token#part", ValueError),
    ],
)
def test_a_url_that_no_secret_may_be_sent_to_is_refused(url, error):
    with pytest.raises(error) as caught:
        RefreshTokenGrant(url)
    assert "password" not in str(caught.value)


def test_client_credentials_are_for_clients_that_authenticate():
    """RFC 6749 section 4.4."""
    with pytest.raises(ValueError, match="pass client_id and client_secret, or auth=, or cert="):
        ClientCredentialsGrant(URL, client_id="reports")
    ClientCredentialsGrant(URL, auth=requests.auth.HTTPBasicAuth("id", "secret"))


# -- Plain http ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refresher", "reply"),
    [
        (RefreshTokenGrant, {"access_token": "new"}),
        (ClientCredentialsGrant, {"access_token": "new"}),
        (JSONRefresh, {"access": "new"}),
    ],
)
def test_plain_http_to_another_machine_has_to_be_allowed_and_is_said_once(
    endpoint, caplog, refresher, reply
):
    url = "http://auth:8000/token?tenant=s3cret"
    client = {} if refresher is JSONRefresh else {"client_id": "a", "client_secret": "b"}
    with pytest.raises(InsecureTransportError, match="pass insecure=True if"):
        refresher(url, **client)
    grant = refresher(url, **client, insecure=True)
    endpoint.post(url, json=reply)
    for _ in range(2):
        assert grant(OLD).access_token == "new"
    assert [(it.levelname, it.getMessage()) for it in caplog.records] == [
        (
            "WARNING",
            "the token endpoint http://auth:8000/token is asked in plain http, and everybody on "
            "the way can read the tokens",
        )
    ]


PROXY = "http://proxy.example.com:3128"
LOOPBACK = "http://127.0.0.1:8000/token"


@pytest.mark.parametrize(
    ("url", "insecure", "key"),
    [
        (LOOPBACK, False, "http"),
        (LOOPBACK, False, "all"),
        (LOOPBACK, False, "http://127.0.0.1"),
        (LOOPBACK, False, "all://127.0.0.1"),
        (LOOPBACK, False, "HTTP"),
        (LOOPBACK, False, "All"),
        (LOOPBACK, False, "HTTP://127.0.0.1"),
        ("HTTP://LOCALHOST/token", False, "all"),
        ("http://localhost/token", False, "ALL://LocalHost"),
        ("http://[::1]/token", False, "http"),
        ("http://auth:8000/token", True, "all"),
        ("http://auth:8000/token", True, "http://auth"),
        ("http://b\u00fccher.example/token", True, "http://xn--bcher-kva.example"),
        ("http://B\u00dcCHER.example/token", True, "all://xn--bcher-kva.example"),
    ],
)
@pytest.mark.parametrize("proxy", [PROXY, "https://proxy.example.com", "socks5h://127.0.0.1:1080"])
@pytest.mark.parametrize("refresher", [RefreshTokenGrant, ClientCredentialsGrant, JSONRefresh])
def test_plain_http_through_a_proxy_is_refused_when_the_grant_is_made(
    refresher, url, insecure, key, proxy
):
    client = {} if refresher is JSONRefresh else {"client_id": "a", "client_secret": "b"}
    with pytest.raises(InsecureTransportError, match="the proxy that proxies= has for it"):
        refresher(url, **client, insecure=insecure, proxies={key: proxy})


@pytest.mark.parametrize(
    ("url", "key"),
    [(LOOPBACK, "https"), (LOOPBACK, "http://localhost"), (URL, "all"), (URL, "https")],
)
def test_other_proxies_are_not(url, key):
    RefreshTokenGrant(url, proxies={key: PROXY})


def test_a_mapping_of_proxies_that_changes_later_is_not_looked_at(endpoint):
    proxies = {}
    refresher = RefreshTokenGrant(LOOPBACK, proxies=proxies)
    proxies["all"] = PROXY
    endpoint.post(LOOPBACK, json={"access_token": "new"})
    refresher(OLD)
    assert not endpoint.calls[0].request.req_kwargs["proxies"]


@pytest.mark.parametrize(
    ("query", "is_told"),
    [
        *[(f"{name}=abc", True) for name in ("key", "api_key", "client_secret", "apiToken", "sig")],
        *[(f"{name}=abc", True) for name in ("password", "X-Amz-Signature", "code", "auth")],
        *[
            (f"{name}=abc", True)
            for name in ("sid", "SAS", "jwt", "assertion", "session-id", "otp")
        ],
        ("tenant=9f86d081884c7d65", True),
        ("9f86d081884c7d65", True),
        ("=9f86d081884c7d65", True),
        ("a=1;key=abc", True),
        ("%6Bey=abc", True),
        ("a=123456789012", True),
        ("a=b&c=hunter2hunter2", True),
        ("version=1", False),
        ("v2", False),
        ("key", False),
        ("key=", False),
        ("p=B2C_1_signin", False),
        ("p=B2C_1A_SignUpOrSignIn_Company", False),
        ("sidebar=of-the-pinboard", False),
        ("realm=the-whole-of-the-company", False),
        ("api-version=2024-10-01", False),
        ("", False),
    ],
)
def test_a_query_that_looks_like_a_secret_is_told_once_and_not_repeated(caplog, query, is_told):
    RefreshTokenGrant(f"{URL}?{query}")
    assert ["looks like a secret" in message for message in caplog.messages] == [True] * is_told
    assert not query or query not in caplog.text


def test_nothing_is_said_of_a_url_that_is_secure_anyway(caplog):
    grant(insecure=True)
    assert caplog.messages == []
