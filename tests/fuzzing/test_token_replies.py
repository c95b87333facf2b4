"""Whatever a token endpoint answers is a token or one of two errors, and repeats no secret.

What has an access token in it is a token, and its refresh token is kept.
"""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from hypothesis import event, example, given
from hypothesis import strategies as st

from requests_tokenrefresh import (
    JSONRefresh,
    LoginRequiredError,
    RefreshFailedError,
    RefreshTokenGrant,
    Token,
)
from requests_tokenrefresh.refreshers._answer import Answer, answer_in
from requests_tokenrefresh.refreshers._quote import Secrets
from tests.fuzzing.telling import REFRESH, no_secret_told, shown
from tests.support.length import few
from tests.support.servers import RawServer, read_request

SECRET = "cs-4A6b0f7d21"
OLD = Token("old", REFRESH)
NOW = 1_700_000_000.0

SCALARS = st.sampled_from(
    [
        *(
            "null",
            "true",
            "0",
            "-1",
            "-0.0",
            "3600",
            "1e999",
            "-1e999",
            "1" * 5000,
            "0." + "1" * 999,
        ),
        *("NaN", "Infinity", "-Infinity", "01", "1.", "[", "{", "", '"', "[" * 50_000),
        *(
            '"\\ud800"',
            '"\\u0000"',
            '"\\r\\nX: y"',
            '"new"',
            '"invalid_grant"',
            '"bearer"',
            '"DPoP"',
        ),
        *(
            '{"message": "' + REFRESH + '"}',
            f'"{REFRESH}"',
            f'"no {REFRESH[:-2]}"',
            '["invalid_grant"]',
            '[{"code": "' + REFRESH + '", "field": "refresh_token"}]',
            '{"status": "' + REFRESH + '", "errors": [{"msg": "' + REFRESH + '"}]}',
            '"Invalid refresh token"',
        ),
    ]
)
NAMES = st.sampled_from(
    [
        *(
            "access_token",
            "access_token",
            "refresh_token",
            "token_type",
            "expires_in",
            "expires_at",
        ),
        *("error", "error_description", "access", "refresh", "detail", "token", "expiry"),
        *("code", "message", "errors", "status", "reason", "scope", "issued_at"),
        *("expires_at", "x"),
    ]
)
FIELDS = st.tuples(NAMES, SCALARS | st.text().map(json.dumps))
BEGINNINGS = st.sampled_from(
    [
        [("access_token", '"new"')],
        [("access", '"new"')],
        [("error", '"invalid_client"')],
        [("error", '"invalid_grant"')],
        [],
    ]
)
# As text, because a dict has no name twice, and no number that json.dumps would not write.
OBJECTS = st.tuples(BEGINNINGS, st.lists(FIELDS, max_size=4)).map(
    lambda parts: "{" + ", ".join(f'"{n}": {value}' for part in parts for n, value in part) + "}"
)
CHARSETS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
BODIES = (
    OBJECTS.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.builds(lambda text, charset: text.encode(charset), OBJECTS, CHARSETS)
    | SCALARS.map(str.encode)
    | st.binary(max_size=100)
)
STATUSES = st.sampled_from([200, 200, 201, 302, 302, 400, 400, 401, 429, 503])
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Retry-After": st.sampled_from(
            [
                *("0", "7", "-1", "1e300", "1e999", "nan", "1_0", "\u0661", "0x10", REFRESH),
                *("9" * 400, "9" * 60_000, "1700000000", "1:" * 30_000),
                *(
                    "Fri, 31 Dec 9999 23:59:59 GMT",
                    "Fri, 31 Dec 2100 23:59:59",
                    "Mon, 99 Foo 1 1:1",
                ),
            ]
        )
        | st.text(max_size=12)
        | st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S -0000")),
        "Content-Type": st.sampled_from(["application/json", "text/html; charset=x", REFRESH]),
        "Location": st.sampled_from([f"/{REFRESH}", "//[", "http://a:b", "https://a@b/"]),
        "Date": st.sampled_from(["", "Thu, 01 Jan 1970 00:00:00 GMT", "1" * 60_000]),
        "Set-Cookie": st.sampled_from(["a=b; expires=x", "a=" + "b; " * 10_000]),
    },
)
REFRESHERS = st.sampled_from(["grant", "JSON"])


def refresher(kind: str, url: str, **options: Any) -> Any:
    if kind == "grant":
        return RefreshTokenGrant(url, client_id="c", client_secret=SECRET, **options)
    return JSONRefresh(url, json={"client_secret": SECRET}, **options)


def check(refresh: Any, *, status: int | None, certain: bool = False) -> Token | None:
    """Have *refresh* called, and return the token that it brings.

    Args:
        status: Of the answer; None if it may be cut off.
        certain: Whether it has to bring one.
    """
    token, told, pause = None, [""], None
    with no_secret_told(REFRESH, SECRET) as report:
        try:
            token = refresh(OLD)
        except (LoginRequiredError, RefreshFailedError) as error:
            event(type(error).__name__)
            pause = getattr(error, "retry_after", None)
            told = [str(error), shown(error)]
        # A server that calls the type of its token by the refresh token would have it sent anyway.
        shows = token is not None and token.token_type not in (REFRESH, SECRET)
        report += [repr(token) if shows else "", *told]
    assert told[0].isprintable()
    assert pause is None or 0 <= pause <= 3600
    if token is None:
        assert not certain
    else:
        event("a token")
        assert status is None or 200 <= status < 300
        assert token.authorization.isascii()
        assert token.authorization.isprintable()
    return token


class Saying:
    """In place of the exchange, for what its answer is read from."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response

    def ask(self, question: Any, *, auth: Any) -> Answer:
        request = requests.Request("POST", "https://a/", question.headers, data=question.body)
        self.response.request = auth(request.prepare())
        return answer_in(
            self.response,
            endpoint="https://a/",
            asked_at=NOW,
            now=NOW,
            secrets=Secrets.of(self.response.request),
        )


def answered(kind: str, status: int, headers: dict[str, str], body: bytes) -> Any:
    """Return a refresher to which the endpoint answers so."""
    response = requests.Response()
    response.status_code, response.url, response._content = status, "https://a/", body
    response.headers.update(headers)
    refresh = refresher(kind, "https://a/")
    refresh._endpoint = Saying(response)
    return refresh


@few(20)
@given(REFRESHERS, STATUSES, HEADERS, BODIES)
@example("grant", 200, {}, b'{"access_token": "a\r\nX: y"}')
@example("grant", 200, {}, f'{{"access_token": "new", "token_type": "{REFRESH}"}}'.encode())
@example("grant", 503, {"Retry-After": "Fri, 31 Dec 99999999999 23:59:59 GMT"}, b"")
def test_any_answer_is_read(kind: str, status: int, headers: dict[str, str], body: bytes) -> None:
    check(answered(kind, status, headers, body), status=status)


PAIRS = {"grant": ("access_token", "refresh_token"), "JSON": ("access", "refresh")}


@few(20)
@given(REFRESHERS, HEADERS, st.lists(FIELDS, max_size=4), st.sampled_from(["JSON", "a form"]))
def test_no_answer_with_a_pair_in_it_is_refused_or_loses_its_refresh_token(
    kind: str, headers: dict[str, str], beside: list[tuple[str, str]], wording: str
) -> None:
    pair = list(zip(PAIRS[kind], ("new-access", "new-refresh"), strict=True))
    if wording == "a form":
        headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        texts = [(name, value.encode("utf-8", "replace")) for name, value in beside]
        body = urlencode([*texts, *pair]).encode()
    else:
        readable = [(name, value) for name, value in beside if is_json(value)]
        fields = [*readable, *((name, json.dumps(value)) for name, value in pair)]
        body = ("{" + ", ".join(f'"{name}": {value}' for name, value in fields) + "}").encode(
            "utf-8", "surrogatepass"
        )
    token = check(answered(kind, 200, headers, body), status=200, certain=True)
    assert token == Token("new-access", "new-refresh")


def is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


# -- Over a connection ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    """Says `server.answer`, and hangs up."""

    def say(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(server.answer)  # type: ignore[attr-defined]

    with RawServer(say) as server:
        yield server


CODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
    "gzip, deflate": lambda body: zlib.compress(gzip.compress(body)),
    "identity": bytes,
    "unheard-of": bytes,
    ", ,": bytes,
    "gzip, " * 9_000: bytes,
    "," * 60_000: bytes,
    "br": bytes,
}


@st.composite
def raw_answers(draw: st.DrawFn) -> tuple[int | None, bytes]:
    """An answer as it travels: packed, framed, cut off, and with nonsense in it."""
    status: int | None = draw(STATUSES)
    headers = dict(draw(HEADERS))
    body = draw(BODIES)
    if draw(st.booleans()):
        coding = draw(st.sampled_from(sorted(CODINGS)))
        headers["Content-Encoding"] = coding
        body = CODINGS[coding](body)
    if draw(st.sampled_from([False] * 9 + [True])):
        headers["X-Padding"] = "y" * draw(st.sampled_from([60_000, 65_000]))
    framing = draw(st.sampled_from(["length", "length", "too short", "too long", "chunks", "none"]))
    if framing == "chunks":
        headers["Transfer-Encoding"] = "chunked"
        body = b"%x\r\n%s\r\n" % (len(body), body) + draw(
            st.sampled_from([b"0\r\n\r\n", b"", b"z"])
        )
    elif framing != "none":
        off = {"length": 0, "too short": -2, "too long": 2}[framing]
        headers["Content-Length"] = str(len(body) + off)
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
    answer = "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + body
    if draw(st.sampled_from([False, False, True])):
        answer = answer[: draw(st.integers(0, len(answer)))] + draw(st.binary(max_size=8))
        status = None
    return status, answer


@few(20)
@given(kind=REFRESHERS, answer=raw_answers())
def test_anything_that_comes_back_over_the_connection_is_read(
    server: RawServer, kind: str, answer: tuple[int | None, bytes]
) -> None:
    status, server.answer = answer  # type: ignore[attr-defined]
    refresh = refresher(kind, server.url, timeout=(5.0, 5.0), deadline=10.0)
    check(refresh, status=status)
