"""Replies as real servers word them: each is a success, and no rotated refresh token is lost."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st

from requests_tokenrefresh import (
    ClientCredentialsGrant,
    FileTokenStore,
    JSONRefresh,
    RefreshFailedError,
    RefreshTokenGrant,
    Token,
    TokenRefreshAdapter,
)
from tests.support.length import few
from tests.support.logins import ORIGIN, START, Clock, make_source

TOKEN_URL = "https://auth.example.com/oauth/token"
PAGE = f"{ORIGIN}/data"
PAIR = {"access_token": "a1", "refresh_token": "r1"}
BEARER = {**PAIR, "token_type": "Bearer"}

# What the server says beside the pair; how long the token lives, in seconds; how it is sent.
REPLIES: dict[str, tuple[dict[str, Any], float | None, str]] = {
    "a lifetime as text": ({"expires_in": "3599"}, 3599, "Bearer"),
    "a lifetime with a fraction": ({"expires_in": 3600.5}, 3600.5, "Bearer"),
    "a lifetime with a fraction as text": ({"expires_in": "3600.5"}, 3600.5, "Bearer"),
    "a lifetime with space around it": ({"expires_in": " 3600 "}, 3600, "Bearer"),
    "an empty lifetime": ({"expires_in": ""}, None, "Bearer"),
    "a lifetime of never": ({"expires_in": "never"}, None, "Bearer"),
    "a lifetime of true": ({"expires_in": True}, None, "Bearer"),
    "a lifetime with a unit": ({"expires_in": "3600s"}, None, "Bearer"),
    "a lifetime as a clock shows it": ({"expires_in": "01:00:00"}, None, "Bearer"),
    "a lifetime as ISO 8601 has it": ({"expires_in": "PT1H"}, None, "Bearer"),
    "a lifetime of 0": ({"expires_in": 0}, None, "Bearer"),
    "a lifetime of -1": ({"expires_in": -1}, None, "Bearer"),
    "a lifetime of null": ({"expires_in": None}, None, "Bearer"),
    "a lifetime in a list": ({"expires_in": [3600]}, None, "Bearer"),
    "a lifetime in an object": ({"expires_in": {"seconds": 3600}}, None, "Bearer"),
    "an infinite lifetime": ({"expires_in": float("inf")}, None, "Bearer"),
    "a lifetime that is no number": ({"expires_in": float("nan")}, None, "Bearer"),
    "a lifetime of 30,000 years": ({"expires_in": 1000000000000}, 1000000000000, "Bearer"),
    "a lifetime beyond all numbers": ({"expires_in": 10**400}, None, "Bearer"),
    "an empty expiry": ({"expires_at": "", "expires_in": 3600}, 3600, "Bearer"),
    "an expiry with a zone without a colon": (
        {"expires_at": "2030-06-12T13:42:36.000+0000", "expires_in": 3600},
        3600,
        "Bearer",
    ),
    "an expiry that is no date": ({"expires_at": "not a date", "expires_in": 60}, 60, "Bearer"),
    "an expiry of a month that is not": (
        {"expires_at": "2030-13-12T13:42:36Z", "expires_in": 60},
        60,
        "Bearer",
    ),
    "an expiry that has passed": ({"expires_at": START - 5, "expires_in": 60}, 60, "Bearer"),
    "nothing but an expiry that has passed": ({"expires_at": START - 5}, None, "Bearer"),
    "an expiry in milliseconds": ({"expires_at": (START + 60) * 1000}, 60, "Bearer"),
    "an expiry in a list": ({"expires_at": [START], "expires_in": 60}, 60, "Bearer"),
    "the issue in milliseconds": (
        {"expires_in": "3599", "issued_at": "1764543600000"},
        3599,
        "Bearer",
    ),
    "the issue as a date": (
        {"expires_in": 300, "issued_at": "2026-11-25T22:59:00Z"},
        300,
        "Bearer",
    ),
    "the issue long ago": ({"expires_in": 300, "issued_at": START - 9000}, 300, "Bearer"),
    "the issue, as we would write it": (
        {"expires_at": START + 300, "issued_at": START - 9000},
        300,
        "Bearer",
    ),
    "a type with space after it": ({"token_type": "bearer ", "expires_in": 3600}, 3600, "Bearer"),
    "a type in capitals": ({"token_type": "BEARER", "expires_in": 3600}, 3600, "Bearer"),
    "the type BearerToken": ({"token_type": "BearerToken", "expires_in": 3600}, 3600, "Bearer"),
    "the type access_token": ({"token_type": "access_token"}, None, "Bearer"),
    "the type JWT": ({"token_type": "JWT"}, None, "Bearer"),
    "the type jwt-bearer": ({"token_type": "jwt-bearer"}, None, "Bearer"),
    "the type of a URN": (
        {"token_type": "urn:ietf:params:oauth:token-type:access_token"},
        None,
        "Bearer",
    ),
    "a type in three words": ({"token_type": "User Access Token"}, None, "Bearer"),
    "the type bot": ({"token_type": "bot"}, None, "Bearer"),
    "the type Token": ({"token_type": "Token"}, None, "Token"),
    "the type MAC": ({"token_type": "MAC"}, None, "MAC"),
    "the type null": ({"token_type": None}, None, "Bearer"),
    "a type that is empty": ({"token_type": ""}, None, "Bearer"),
    "a type in a list": ({"token_type": ["Bearer"]}, None, "Bearer"),
    "a type with a line end": ({"token_type": "Bearer\r\nX: y"}, None, "Bearer"),
    "a scope in a list": ({"scope": ["a", "b"], "expires_in": 3600}, 3600, "Bearer"),
    "a scope of 7": ({"scope": 7, "expires_in": 3600}, 3600, "Bearer"),
    "an error that is none": ({"error": None, "expires_in": 60}, 60, "Bearer"),
    "an error that is empty": ({"error": "", "ok": True, "expires_in": 60}, 60, "Bearer"),
}


def own_function(token: Token | None) -> Any:
    assert token is not None
    reply = requests.post(TOKEN_URL, {"refresh_token": token.refresh_token}, timeout=5)
    reply.raise_for_status()
    return reply.json()


def json_refresh(**options: Any) -> JSONRefresh:
    return JSONRefresh(
        TOKEN_URL,
        access_token_field="access_token",
        refresh_token_field="refresh_token",
        **options,
    )


REFRESHERS: dict[str, Any] = {
    "RefreshTokenGrant": lambda clock: RefreshTokenGrant(TOKEN_URL, client_id="c", clock=clock),
    "JSONRefresh": lambda clock: json_refresh(clock=clock),
    "own function": lambda clock: own_function,
}


@pytest.mark.parametrize("refresher", REFRESHERS)
@pytest.mark.parametrize(("beside", "lives", "scheme"), REPLIES.values(), ids=REPLIES)
def test_the_request_succeeds_and_the_new_pair_is_stored(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    beside: dict[str, Any],
    lives: float | None,
    scheme: str,
    refresher: str,
) -> None:
    clock, path = Clock(), tmp_path / "token.json"
    source = make_source(REFRESHERS[refresher](clock), clock=clock, store=FileTokenStore(path))
    session = requests.Session()
    session.mount(ORIGIN, TokenRefreshAdapter(source))
    with responses.RequestsMock() as web:
        web.get(PAGE, status=401)
        web.post(TOKEN_URL, body=json.dumps({**BEARER, **beside}))
        web.get(PAGE, status=200)
        assert session.get(PAGE).status_code == 200
        assert web.calls[-1].request.headers["Authorization"] == f"{scheme} a1"
    stored = FileTokenStore(path).load()
    assert stored == Token("a1", "r1")
    assert stored is not None
    assert stored.token_type == scheme
    assert stored.expires_at == (None if lives is None else START + lives)
    assert stored.issued_at == START
    assert not any("a1" in line or "r1" in line for line in caplog.messages)


@pytest.mark.parametrize("character", ["\t", "\n", "\x01"], ids=["tab", "line", "control"])
@pytest.mark.parametrize("refresher", ["RefreshTokenGrant", "JSONRefresh"])
def test_what_json_wants_escaped_loses_no_token(refresher: str, character: str) -> None:
    body = '{"access_token": "a1", "refresh_token": "r1", "note": "a' + character + 'b"}'
    with responses.RequestsMock() as web:
        web.post(TOKEN_URL, body=body)
        assert REFRESHERS[refresher](Clock())(Token("a0", "r0")) == Token("a1", "r1")


ODD = {
    "expires_in": ["never", "", "3600s", True, [3600], -1, 10**400],
    "expires_at": ["soon", "", [], True, START - 5],
    "token_type": [["Bearer"], 7, "Bea/rer", "DPoP"],
    "scope": [7, {"a": 1}, True],
    "refresh_token": [7, ["r"], "r\nr"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in ODD.items() for value in values]
)
def test_a_field_that_cannot_be_read_is_a_warning_that_names_it_and_shows_no_other(
    caplog: pytest.LogCaptureFixture, name: str, value: Any
) -> None:
    neighbours = {
        "access_token": "s3cret-access",
        "refresh_token": "s3cret-refresh",
        "id_token": "s3cret-id",
        "scope": "s3cret-scope",
    }
    with responses.RequestsMock() as web:
        web.post(TOKEN_URL, body=json.dumps({**neighbours, name: value}))
        RefreshTokenGrant(TOKEN_URL, clock=Clock())(Token("a0", "r0"))
    [record] = caplog.records
    assert (record.name, record.levelname) == ("requests_tokenrefresh", "WARNING")
    assert name in record.getMessage()
    assert "s3cret" not in record.getMessage()


# -- Forms, and fields in other fields -----------------------------------------------------------


def replied(refresher: Any, body: Any, content_type: str = "application/json") -> Token:
    with responses.RequestsMock() as web:
        web.post(TOKEN_URL, body=body, content_type=content_type)
        return refresher(Token("a0", "r0", extra={"scope": "before"}))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded; charset=utf-8",
        "Application/X-WWW-Form-Urlencoded",
        "text/plain",
        "text/html",
        "",
    ],
)
@pytest.mark.parametrize("kind", [RefreshTokenGrant, ClientCredentialsGrant, json_refresh])
def test_a_form_is_read_by_every_grant(kind: Any, content_type: str) -> None:
    options = {} if kind is json_refresh else {"client_id": "c", "client_secret": "s"}
    url = () if kind is json_refresh else (TOKEN_URL,)
    form = urlencode({**BEARER, "expires_in": 60, "scope": "a b"})
    token = replied(kind(*url, clock=Clock(), **options), form, content_type)
    assert token == Token("a1", "r1")
    assert (token.expires_at, token.extra["scope"]) == (START + 60, "a b")


def test_a_form_can_have_other_names_too() -> None:
    refresh = JSONRefresh(TOKEN_URL)
    form = "application/x-www-form-urlencoded"
    assert replied(refresh, "access=a1&refresh=r1", form) == Token("a1", "r1")


NESTED = {
    "code": 0,
    "data": {
        "tokens": {"access": "a1", "refresh": "r1", "expiresIn": "60"},
        "account": {"id": 7},
    },
}


def nested(**options: Any) -> JSONRefresh:
    return JSONRefresh(
        TOKEN_URL,
        access_token_field="data.tokens.access",
        refresh_token_field="data.tokens.refresh",
        expires_in_field="data.tokens.expiresIn",
        clock=Clock(),
        **options,
    )


def test_a_name_with_dots_is_a_path() -> None:
    token = replied(nested(), json.dumps(NESTED))
    assert token == Token("a1", "r1")
    assert token.expires_at == START + 60
    assert dict(token.extra) == {
        "scope": "before",
        "code": 0,
        "data": {"tokens": {}, "account": {"id": 7}},
    }


def test_a_field_that_is_called_by_the_whole_path_comes_first() -> None:
    fields = {"data.tokens.access": "a1", "data": {"tokens": {"access": "another"}}}
    assert replied(nested(), json.dumps(fields)) == Token("a1", "r0")


@pytest.mark.parametrize(
    "fields",
    [{}, {"data": None}, {"data": "x"}, {"data": {"tokens": []}}, {"data": {"tokens": {}}}],
)
def test_a_path_that_leads_nowhere_is_named(fields: dict[str, Any]) -> None:
    with pytest.raises(RefreshFailedError, match=r"there is no 'data\.tokens\.access'\)"):
        replied(nested(), json.dumps(fields))


@pytest.mark.parametrize("depth", [33, 900])
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_a_field_that_is_nested_too_deep_to_be_stored_loses_no_token(
    depth: int, brackets: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Written, pickled or copied it would be an error, deeper in a program's calls."""
    begin, end = brackets[:-1], brackets[-1]
    deep = begin * depth + ("1" if "a" in begin else "") + end * depth
    reply = f'{{"access_token": "a1", "refresh_token": "r1", "r1": {deep}, "scope": "b"}}'
    token = replied(RefreshTokenGrant(TOKEN_URL), reply)
    assert token == Token("a1", "r1")
    assert dict(token.extra) == {"scope": "b"}
    assert caplog.messages == [
        "a field in a token reply cannot be read, and counts as left out: it is nested too deep"
    ]


def test_a_field_that_is_nested_is_kept() -> None:
    deep = "[" * 32 + "]" * 32
    token = replied(RefreshTokenGrant(TOKEN_URL), f'{{"access_token": "a1", "x": {deep}}}')
    assert token.extra["x"] == json.loads(deep)
    assert pickle.loads(pickle.dumps(token)).extra == token.extra


# -- token_type= ---------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["Bearer", "JWT", ["nonsense"], None])
@pytest.mark.parametrize("kind", [RefreshTokenGrant, ClientCredentialsGrant, json_refresh])
def test_token_type_overrides_what_a_reply_says(
    kind: Any, said: Any, caplog: pytest.LogCaptureFixture
) -> None:
    options = {} if kind is json_refresh else {"client_id": "c", "client_secret": "s"}
    url = () if kind is json_refresh else (TOKEN_URL,)
    refresh = kind(*url, token_type="JWT", **options)
    token = replied(refresh, json.dumps({**PAIR, "token_type": said}))
    assert token.authorization == "JWT a1"
    assert caplog.messages == []


@pytest.mark.parametrize("kind", [RefreshTokenGrant, JSONRefresh])
def test_token_type_is_a_scheme(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"^token_type is not the name of an authentic"):
        kind(TOKEN_URL, token_type="Bearer ")


# -- What a refresh leaves out -------------------------------------------------------------------


@pytest.mark.parametrize("refresher", REFRESHERS)
def test_what_a_refresh_leaves_out_is_carried_over(refresher: str, tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "token.json"
    source = make_source(
        REFRESHERS[refresher](clock), clock=clock, store=FileTokenStore(path), logged_in=False
    )
    first = {"access_token": "a0", "refresh_token": "r0", "token_type": "Token"}
    source.login({**first, "scope": "a b", "id_token": "i0", "account": {"id": 7}})
    with responses.RequestsMock() as web:
        web.post(TOKEN_URL, json={"access_token": "a1", "scope": None, "id_token": "i1"})
        source.refresh(source.token())
    token = FileTokenStore(path).load()
    assert token is not None
    assert (token.authorization, token.refresh_token) == ("Token a1", "r0")
    assert dict(token.extra) == {"scope": "a b", "id_token": "i1", "account": {"id": 7}}


# -- Anything ------------------------------------------------------------------------------------

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["Bearer", "DPoP", "invalid_grant", "2030-06-12T13:42:36.000+0000"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
names = st.sampled_from(
    [
        *("token_type", "expires_in", "expires_at", "issued_at", "scope", "id_token", "expiry"),
        *("error", "error_description", "ok", "message", "errors", "code", "token", "extra"),
    ]
)


@pytest.mark.parametrize("refresher", REFRESHERS)
@few(15)
@given(beside=st.dictionaries(names, anything))
def test_no_reply_with_an_access_token_is_refused_or_loses_its_refresh_token(
    refresher: str, beside: dict[str, Any]
) -> None:
    clock = Clock()
    source = make_source(REFRESHERS[refresher](clock), clock=clock)
    with responses.RequestsMock() as web:
        web.post(TOKEN_URL, body=json.dumps({**beside, **PAIR}))
        token = source.refresh(source.token())
    assert token == Token("a1", "r1")
    assert token.authorization.isprintable()
    assert token.expires_at is None or token.expires_at > START
