"""Whatever an endpoint answers ends in the right error, which names it and repeats no secret."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import string
import traceback
from datetime import datetime, timezone
from email.utils import format_datetime
from http.client import BadStatusLine
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import requests
import responses
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from requests.auth import AuthBase

from requests_tokenrefresh._errors import LoginRequiredError, RefreshFailedError
from requests_tokenrefresh._token import Token
from requests_tokenrefresh.refreshers import ClientCredentialsGrant, JSONRefresh, RefreshTokenGrant
from requests_tokenrefresh.refreshers._quote import Secrets
from tests.support.length import few, long
from tests.support.logins import Clock, make_source
from tests.support.spellings import SPELLINGS

URL = "https://auth.example.com/oauth/token"
REFRESH_TOKEN = "rt-5f2d9c1b7a3e"
CLIENT_SECRET = "cs:8%e1 6A4b+0f7d"
API_KEY = "key-77c0ffee42"
OLD = Token("old-access-token", REFRESH_TOKEN)
NOW = 1_700_000_000.0
SECRETS = (REFRESH_TOKEN, CLIENT_SECRET, API_KEY)


@pytest.fixture
def endpoint():
    with responses.RequestsMock() as mock:
        yield mock


def grant(**arguments):
    return RefreshTokenGrant(
        f"{URL}?key={API_KEY}",
        **{
            "client_id": "reports",
            "client_secret": CLIENT_SECRET,
            "clock": lambda: NOW,
            **arguments,
        },
    )


def failure(refresher=None):
    with pytest.raises(RefreshFailedError) as caught:
        (refresher or grant())(OLD)
    assert URL in str(caught.value)
    # As tools show it that add the variables of every frame.
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert not any(secret in line for line in shown.format() for secret in SECRETS)
    return caught.value


def said(refresher=None):
    return said_by(failure(refresher))


def said_by(error):
    """What the message says in parentheses."""
    return str(error).partition(" (")[2].rpartition("); ")[0]


def repeats_a_secret(text):
    bare = "".join(text.split()).lower()
    return any("".join(secret.split()).lower()[:8] in bare for secret in SECRETS)


# -- Garbage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    ("content_type", "body", "problem"),
    [
        ("text/html; charset=utf-8", "<html>Please log in</html>", "text/html that is not JSON"),
        ("application/json", '{"access_token": "new', "application/json that is not JSON"),
        ("application/json", "[" * 500_000, "JSON nested too deep"),
        ("application/json", '["new"]', "JSON of type list, not an object"),
        ("application/json", "7", "JSON of type int, not an object"),
        ("application/json", "null", "JSON of type NoneType, not an object"),
        ("application/json", "9" * 5000, "JSON of type float, not an object"),
        ("application/json", " \r\n", "an empty body"),
        ("", "token=new&token_type=bearer", "a body of no type that is not JSON"),
        ("text/plain", "not found", "text/plain that is not JSON"),
        (f"text/{REFRESH_TOKEN}", "?", "not shown: it repeats a secret that is not JSON"),
    ],
)
def test_a_body_that_is_no_json_object_is_transient(endpoint, status, content_type, body, problem):
    endpoint.post(URL, body=body, content_type=content_type, status=status)
    assert said() == problem


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ({}, "the token reply has no access_token"),
        ({"access_token": None}, "the token reply has no access_token"),
        ({"access_token": 7}, "access_token is a string, got int"),
        ({"access_token": ""}, "access_token is empty"),
        ({"access_token": "new\r\nX: y"}, "access_token has characters that cannot stand in"),
        ({"access_token": "new\ufffd"}, "access_token has characters that cannot stand in"),
    ],
)
def test_a_reply_without_a_usable_token_is_transient(endpoint, reply, problem):
    endpoint.post(URL, body=json.dumps(reply), content_type="application/json")
    assert problem in said()


@pytest.mark.parametrize(
    ("expires_in", "expires_at"),
    [(60, NOW + 60), ("60", NOW + 60), (59.5, NOW + 59.5), (None, None)],
)
def test_expires_in_is_taken_as_servers_write_it(endpoint, expires_in, expires_at):
    endpoint.post(URL, json={"access_token": "new", "expires_in": expires_in})
    assert grant()(OLD).expires_at == expires_at


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token": "new", "scope": "caf\xe9"}',
        b'{"access_token": "new", "expires_in": ' + b"9" * 5000 + b"}",
    ],
    ids=["a byte that is none of UTF-8", "a number too long for Python"],
)
def test_one_field_that_cannot_be_read_loses_no_other(endpoint, body):
    endpoint.post(URL, body=body, content_type="application/json")
    token = grant()(OLD)
    assert (token.access_token, token.expires_at) == ("new", None)


def test_a_byte_order_mark_is_no_obstacle(endpoint):
    endpoint.post(URL, body=b'\xef\xbb\xbf{"access_token": "new"}')
    assert grant()(OLD).access_token == "new"


# -- Redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "target"),
    [
        (
            "https://user:pass@sso.example.net:8443/login?state=1#x",
            "https://sso.example.net:8443/login",
        ),
        ("/v2/token?x=1", "https://auth.example.com/v2/token"),
    ],
)
def test_a_redirect_is_not_followed_and_says_where_it_points(endpoint, status, location, target):
    body = '{"error": "invalid_grant"}'
    endpoint.post(URL, body=body, status=status, headers={"Location": location, "Retry-After": "3"})
    error = failure()
    assert f"answered {status} (a redirect to {target}, not followed: " in str(error)
    assert error.retry_after == 3
    assert len(endpoint.calls) == 1


@pytest.mark.parametrize("headers", [{}, {"Location": "https://[::1"}, {"Location": "//a:b/"}])
def test_a_redirect_to_nowhere_is_told_apart(endpoint, headers):
    endpoint.post(URL, status=304 if not headers else 307, headers=headers)
    assert said() == "a redirect to nowhere"


def test_a_redirect_that_carries_a_secret_does_not_show_it(endpoint):
    endpoint.post(URL, status=307, headers={"Location": f"/login/{REFRESH_TOKEN}"})
    assert said().startswith("a redirect to not shown: it repeats a secret, not followed")


# -- Retry-After ----------------------------------------------------------------------------------


def date_in(seconds):
    return format_datetime(datetime.fromtimestamp(NOW + seconds, timezone.utc), usegmt=True)


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        (date_in(90), 90.0),
        ("3601", 3600.0),
        (str(NOW + 90), 3600.0),
        ("1e300", 3600.0),
        ("inf", 3600.0),
        ("9" * 400, 3600.0),
        ("9" * 60_000, 3600.0),
        (date_in(3601), 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(endpoint, status, header, seconds):
    """RFC 9110 section 10.2.3. Beyond an hour nobody waits."""
    endpoint.post(URL, status=status, headers={"Retry-After": header})
    assert failure().retry_after == seconds


@pytest.mark.parametrize(
    "header",
    [
        *("", "soon", "-5", "-0.1", "-1e300", "-inf", "nan", "-nan", "1 2 3", "1, 2"),
        *("Mon, 99 Foo 2023 99:99:99 GMT", "Mon, 01 Jan 99999999999 00:00:00 GMT", "1:" * 30_000),
    ],
)
def test_a_senseless_retry_after_is_as_good_as_none(endpoint, header):
    endpoint.post(URL, status=503, headers={"Retry-After": header})
    assert failure().retry_after is None


def test_an_answer_need_not_say_when_to_try_again(endpoint):
    endpoint.post(URL, status=503)
    assert failure().retry_after is None


@few(20)
@given(header=st.text(st.characters(min_codepoint=32, max_codepoint=126)) | st.dates().map(str))
def test_no_retry_after_is_an_error(header):
    with responses.RequestsMock() as mock:
        mock.post(URL, status=503, headers={"Retry-After": header})
        retry_after = failure().retry_after
    assert retry_after is None or 0 < retry_after <= 3600


@pytest.mark.parametrize("header", ["0", "0.0", "-0", date_in(0), date_in(-90)])
def test_an_issuer_that_fails_is_not_asked_without_a_pause_whatever_it_says(endpoint, header):
    """The pause that grows with each failure is the least there is."""
    clock = Clock()
    endpoint.post(URL, status=503, headers={"Retry-After": header})
    source = make_source(RefreshTokenGrant(URL, clock=lambda: NOW), clock=clock, random=lambda: 1.0)
    clock.advance(3600)  # the token has expired
    for _ in range(60):
        with pytest.raises(RefreshFailedError):
            source.token()
        clock.advance(1)
    assert len(endpoint.calls) == 7  # after 0, 1, 2, 4, 8, 16 and 32 s


# -- Secrets --------------------------------------------------------------------------------------

ECHOES = {
    "as it is": str,
    "in capitals": str.upper,
    "broken by blanks": lambda secret: "\u200b ".join(secret),
    "cut short": lambda secret: secret[:-3],
    "at the cut": lambda secret: "x" * 184 + " " + secret,
    "in the middle of a word": lambda secret: f"token{secret[1:-1]}token",
    "with nothing to see between": "\u200b".join,
    "with letters that are not seen between": "\u3164".join,
    "with marks that are not seen between": "\ufe0f".join,
    "in pieces": lambda secret: " and ".join(secret[n : n + 7] for n in range(0, len(secret), 7)),
    "in numbered pieces": lambda secret: " ".join(
        f"{n}: {secret[n : n + 6]}" for n in range(0, len(secret), 6)
    ),
    "in the other order": lambda secret: f"{secret[6:]} after {secret[:6]}",
    **SPELLINGS,
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("secret", SECRETS, ids=["refresh token", "client secret", "query"])
@pytest.mark.parametrize("code", ["invalid_client", *long("attacks", "custom")])
def test_a_server_that_repeats_a_secret_is_not_quoted(endpoint, code, secret, echo):
    description = f"bad: {echo(secret)}"
    endpoint.post(URL, json={"error": code, "error_description": description}, status=400)
    error = failure()
    assert said_by(error) == f"{code}: not shown: it repeats a secret"
    assert not repeats_a_secret(str(error.__cause__))


@pytest.mark.parametrize("before", [" ", "\n", "\u200b", "\u3164", "\x00"])
def test_a_secret_is_found_behind_much_that_is_not_seen(endpoint, before):
    """A Content-Type may have 64 KB."""
    media_type = f"text/{before * 5000}{REFRESH_TOKEN}"
    headers = {"Content-Type": media_type.replace("\n", "\t")}
    endpoint.post(URL, body=b"no JSON", headers=headers, status=400)
    assert said_by(failure()) == "not shown: it repeats a secret that is not JSON"


@pytest.mark.parametrize("length", [4, 6, 7])
def test_a_secret_in_parts_is_not_quoted_wherever_the_parts_stand(endpoint, length):
    """Each may be too short to tell by itself."""
    first, second, third = (REFRESH_TOKEN[n : n + length] for n in range(0, 3 * length, length))
    reply = {"error": first, "error_description": second, "hint": third}
    endpoint.post(URL, json=reply, status=400)
    error = failure()
    assert said_by(error) == error.said
    left = error.said.replace("not shown: it repeats a secret", "")
    assert len("".join(filter(str.isalnum, left))) < 2
    assert error.code is None


def test_a_part_that_is_a_known_code_is_quoted(endpoint):
    endpoint.post(
        URL, json={"error": "invalid_scope", "error_description": REFRESH_TOKEN}, status=400
    )
    error = failure()
    assert said_by(error) == "invalid_scope: not shown: it repeats a secret"
    assert error.code == "invalid_scope"


@pytest.mark.parametrize(
    ("said", "beside"),
    [
        ("still good: old-access-0f1e2d", {}),
        ("it is an-id-of-before-9f8e7d", {}),
        ("it is new-access-5b4a3928", {"access_token": 7, "token": "new-access-5b4a3928"}),
        ("it is new-refresh-7c6d5e4f", {"refresh_token": "new-refresh-7c6d5e4f"}),
        ("it is new-refresh-7c6d5e4f", {"a": {"refreshToken": "new-refresh-7c6d5e4f"}}),
        ("it is an-id-0c1d2e3f4a5b", {"id_token": "an-id-0c1d2e3f4a5b"}),
    ],
)
def test_a_token_that_was_not_sent_is_not_quoted_either(endpoint, said, beside):
    reply = {"error": "custom", "error_description": said, **beside}
    endpoint.post(URL, json=reply, status=400)
    old = Token("old-access-0f1e2d", REFRESH_TOKEN, extra={"id_token": "an-id-of-before-9f8e7d"})
    with pytest.raises(RefreshFailedError) as caught:
        grant()(old)
    assert said_by(caught.value) == "custom: not shown: it repeats a secret"


DESCRIPTIONS = [
    "Token is not active",
    "The refresh token is invalid or expired.",
    "Invalid refresh token: it was issued to another client",
    "The provided authorization grant (e.g., authorization code, resource owner credentials) or "
    "refresh token is invalid, expired, revoked, does not match the redirection URI",
    "AADSTS700082: The refresh token has expired due to inactivity. Trace ID: "
    "5d2c0e6b-57ab-4c0b-8a4d-f29ce0a81b00 Timestamp: 2024-03-01 09:20:11Z",
    "Le jeton a \u00e9t\u00e9 r\u00e9voqu\u00e9",
]
ALPHABETS = ["0123456789abcdef", string.ascii_letters + string.digits + "-_"]


@pytest.mark.parametrize("description", DESCRIPTIONS)
@pytest.mark.parametrize("length", [24, 43, 64, 1000])
@pytest.mark.parametrize("alphabet", ALPHABETS, ids=["hex", "base64"])
def test_what_servers_usually_say_is_quoted_whatever_the_secrets_are(description, length, alphabet):
    dice = random.Random(length)
    for _ in range(3):
        secrets = Secrets.of(known=["".join(dice.choices(alphabet, k=length)) for _ in range(3)])
        assert secrets.quote(description) == shortened(description)


def test_what_kind_of_thing_was_sent_is_no_secret(endpoint):
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    endpoint.post(URL, json={"error": "custom", "error_description": f"no {kind} here"}, status=400)
    refresher = RefreshTokenGrant(URL, data={"client_assertion_type": kind})
    assert said(refresher) == f"custom: no {kind} here"


def shortened(text):
    return text if len(text) <= 200 else f"{text[:199]}\u2026"


def test_a_refusal_that_repeats_the_refresh_token_is_not_quoted(endpoint):
    description = f"{REFRESH_TOKEN} is revoked"
    endpoint.post(
        URL, json={"error": "invalid_grant", "error_description": description}, status=400
    )
    with pytest.raises(LoginRequiredError) as caught:
        grant()(OLD)
    assert said_by(caught.value) == "invalid_grant: not shown: it repeats a secret"
    assert not repeats_a_secret(str(caught.value.__cause__))


def test_an_unknown_code_that_repeats_a_secret_is_not_quoted(endpoint):
    endpoint.post(URL, json={"error": REFRESH_TOKEN}, status=400)
    assert said() == "not shown: it repeats a secret"


class Signed(AuthBase):
    def __call__(self, r):
        r.headers["X-Signature"] = "signature-4711"
        r.body = r.body.encode() + b"&client_assertion=assertion-4712"
        return r


@pytest.mark.parametrize("secret", ["signature-4711", "assertion-4712", "header-4713", "data-4714"])
def test_whatever_was_sent_is_a_secret(endpoint, secret):
    endpoint.post(URL, json={"error": "custom", "error_description": secret}, status=400)
    refresher = RefreshTokenGrant(
        URL, auth=Signed(), headers={"X-Key": "header-4713"}, data={"password": "data-4714"}
    )
    assert said(refresher) == "custom: not shown: it repeats a secret"


@pytest.mark.parametrize("encode", [quote, quote_plus])
def test_a_secret_is_one_in_a_url_too(endpoint, encode):
    secret = "a:b/c d&e=f"
    endpoint.post(URL, json={"error": "custom", "error_description": encode(secret)}, status=400)
    refresher = RefreshTokenGrant(URL, data={"password": secret})
    assert said(refresher) == "custom: not shown: it repeats a secret"


def test_the_credentials_of_basic_are_secret_as_sent(endpoint):
    sent = base64.b64encode(b"reports:hush").decode()
    endpoint.post(URL, json={"error": "custom", "error_description": sent}, status=400)
    refresher = RefreshTokenGrant(URL, client_id="reports", client_secret="hush")
    assert said(refresher) == "custom: not shown: it repeats a secret"


def test_a_short_secret_is_one_too(endpoint):
    endpoint.post(URL, json={"error": "custom", "error_description": "not hush"}, status=400)
    refresher = RefreshTokenGrant(URL, client_id="reports", client_secret="hush")
    assert said(refresher) == "custom: not shown: it repeats a secret"


@pytest.mark.parametrize("credentials", ["Basic !", "Basic", "Token hush"])
def test_a_strange_authorization_header_is_no_obstacle(endpoint, credentials):
    endpoint.post(URL, json={"error": "custom", "error_description": "not hush"}, status=400)
    secret = credentials.endswith("hush")
    refresher = RefreshTokenGrant(URL, headers={"Authorization": credentials})
    assert (
        said(refresher) == f"custom: {'not shown: it repeats a secret' if secret else 'not hush'}"
    )


@pytest.mark.parametrize("echo", ["the scope read:reports", "client-id-4711", "https://audience/"])
def test_what_is_no_secret_is_quoted(endpoint, echo):
    endpoint.post(URL, json={"error": "invalid_scope", "error_description": echo}, status=400)
    refresher = RefreshTokenGrant(
        f"{URL}?v=1",
        client_id="client-id-4711",
        scope="read:reports",
        data={"audience": "https://audience/"},
        headers={"User-Agent": "the scope"},
    )
    assert said(refresher) == f"invalid_scope: {echo}"


@pytest.mark.parametrize(
    ("url", "arguments", "echo"),
    [
        (f"{URL}?a1b2c3d4e5f6", {}, "a1b2c3d4e5f6"),
        (f"{URL}?a;key=a1b2c3d4e5f6", {}, "a1b2c3d4e5f6"),
        (f"{URL}?a=%61%31b2c3d4e5f6", {}, "a1b2c3d4e5f6"),
        (URL, {"json": {"pin": 49301725}}, "49-30-17-25"),
        (URL, {"json": {"pin": 4930.1725}}, "4930.1725"),
        (URL, {"json": {"password": "!$%&/()=?"}}, "is it !$%&/()=?"),
        (URL, {"json": {"password": "p\u00e4sswort-\u03b1\u03b2\u03b3"}}, "passwort\u0391\u0392"),
    ],
)
def test_a_secret_is_one_wherever_it_stands_and_whatever_it_is_made_of(
    endpoint, url, arguments, echo
):
    endpoint.post(URL, json={"detail": echo}, status=500)
    assert said(JSONRefresh(url, **arguments)) == "not shown: it repeats a secret"


def test_secrets_within_the_fields_of_json_are_secrets(endpoint):
    endpoint.post(URL, json={"detail": "client-secret-4711?"}, status=500)
    refresher = JSONRefresh(URL, json={"client": {"secret": ["client-secret-4711"]}})
    assert said(refresher) == "not shown: it repeats a secret"


@pytest.mark.parametrize("in_header", [False, True], ids=["body", "header"])
def test_a_json_endpoint_that_repeats_a_secret_is_not_quoted(endpoint, in_header):
    endpoint.post(URL, json={"detail": f"{REFRESH_TOKEN}?"}, status=500)
    refresher = JSONRefresh(
        URL, refresh_token_in="header" if in_header else "body", json={"n": 1, "a": "b"}
    )
    assert said(refresher) == "not shown: it repeats a secret"


@pytest.mark.parametrize(
    ("description", "quoted"),
    [
        ("two\r\nlines\x1b[31m\t\x00 and a\u202e half", "two lines [31m and a half"),
        ("Jeton r\u00e9voqu\u00e9", "Jeton r\u00e9voqu\u00e9"),
        ("\ud800lone", "lone"),
        ("x" * 201, "x" * 199 + "\u2026"),
        ("x " * 500_000, "x " * 99 + "x\u2026"),
    ],
    ids=["control characters", "beyond ASCII", "surrogate", "long", "very long"],
)
def test_what_is_quoted_is_one_short_printable_line(endpoint, description, quoted):
    endpoint.post(URL, json={"error": "custom", "error_description": description}, status=400)
    assert said() == f"custom: {quoted}"


# -- No answer ------------------------------------------------------------------------------------


class Broken(AuthBase):
    def __call__(self, r):
        raise ValueError("no key in the vault")


def test_an_auth_that_fails_fails_the_refresh():
    error = failure(grant(client_secret=None, auth=Broken()))
    assert said_by(error) == "ValueError"
    assert error.__cause__ is None  # what it says may be a secret, and there is nothing to compare


@pytest.mark.parametrize(
    "problem",
    [
        ValueError("a bare one"),
        UnicodeError("a bare one"),
        RecursionError("a bare one"),
        urllib3.exceptions.HTTPError("a bare one"),
        requests.ConnectionError(urllib3.exceptions.ProtocolError("a bare one")),
        requests.ConnectionError("a bare one"),
    ],
)
def test_whatever_is_raised_below_is_transient(endpoint, problem):
    endpoint.post(URL, body=problem)
    error = failure()
    assert said_by(error) == f"{type(error.__cause__).__name__}: a bare one"


def test_the_query_is_not_repeated_by_the_cause(endpoint):
    """MaxRetryError has the whole URL in its text; what it was raised for has not."""
    refused = urllib3.exceptions.NewConnectionError(None, "refused")
    endpoint.post(
        URL,
        body=requests.ConnectionError(
            urllib3.exceptions.MaxRetryError(None, f"{URL}?key={API_KEY}", refused)
        ),
    )
    error = failure()
    assert error.__cause__ is refused
    assert not repeats_a_secret("".join(traceback.format_exception(error)))


def test_a_cause_that_repeats_a_secret_is_left_out(endpoint):
    """A server can write it where its status line should be."""
    broken = BadStatusLine(f"HTTP/{REFRESH_TOKEN}")
    error = urllib3.exceptions.ProtocolError("Connection aborted.", broken)
    error.__cause__ = broken
    endpoint.post(URL, body=requests.ConnectionError(error))
    told = failure()
    assert said_by(told) == "ProtocolError: not shown: it repeats a secret"
    assert (told.__cause__, told.__suppress_context__) == (None, True)


class TalkativeAuth(AuthBase):
    def __call__(self, request):
        raise ValueError(f"cannot sign with {API_KEY}")


@pytest.mark.parametrize(
    "arguments",
    [
        {"auth": TalkativeAuth()},
        {"auth": lambda request: {}[API_KEY]},
        {"client_id": "a", "auth": lambda request: Path(API_KEY).read_text()},
    ],
    ids=["auth", "a key", "a path"],
)
def test_what_fails_before_anything_is_sent_repeats_nothing(endpoint, arguments):
    error = failure(RefreshTokenGrant(URL, **arguments))
    while error is not None:
        assert not repeats_a_secret(str(error))
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("body", ['{"access_token": "new"}', ValueError("a bare one")])
def test_every_exchange_closes_its_session(endpoint, monkeypatch, body):
    closed = []
    monkeypatch.setattr(requests.Session, "close", lambda session: closed.append(session))
    endpoint.post(URL, body=body)
    with contextlib.suppress(RefreshFailedError):
        grant()(OLD)
    assert len(closed) == 1


def test_an_exception_without_arguments_has_nothing_inside(endpoint):
    endpoint.post(URL, body=requests.Timeout())
    assert said() == "Timeout: "


def test_an_interrupt_is_no_answer(endpoint):
    def interrupt(request):
        raise KeyboardInterrupt

    endpoint.add_callback(responses.POST, URL, interrupt)
    with pytest.raises(KeyboardInterrupt):
        grant()(OLD)


# -- Anything -------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(SECRETS),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
replies = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.sampled_from(["invalid_grant", "invalid_client", "bearer", "new"])
        for name in (
            *("access_token", "refresh_token", "token_type", "expires_in", "expires_at"),
            *("error", "error_description", "detail", "access", "refresh", "scope"),
        )
    },
)
bodies = st.binary(max_size=50) | replies.map(lambda reply: json.dumps(reply).encode())
REFRESHERS = {
    "refresh token": grant(),
    "client credentials": ClientCredentialsGrant(
        f"{URL}?key={API_KEY}",
        client_id="reports",
        client_secret=CLIENT_SECRET,
        data={"assertion": REFRESH_TOKEN},
    ),
    "JSON": JSONRefresh(f"{URL}?key={API_KEY}", json={"client_secret": CLIENT_SECRET}),
}


@pytest.mark.parametrize("refresher", REFRESHERS.values(), ids=REFRESHERS)
@few(12)
@given(status=st.sampled_from([200, 204, 302, 400, 401, 429, 500]), body=bodies)
def test_anything_ends_in_a_token_or_in_one_of_two_errors(refresher, status, body):
    with responses.RequestsMock() as mock:
        mock.post(URL, body=body, status=status, headers={"Location": f"/{REFRESH_TOKEN}"})
        try:
            token = refresher(OLD)
        except (LoginRequiredError, RefreshFailedError) as error:
            shown = f"{error!s} {error!r}"
            assert URL in shown
            assert shown.isprintable()
            assert not repeats_a_secret(shown)
            return
    assert 200 <= status < 300
    assert type(token) is Token
