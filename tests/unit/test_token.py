"""`Token`: a frozen value, read from whatever a token endpoint says."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import pickle
import re
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from requests_tokenrefresh import Token
from requests_tokenrefresh._expiry import jwt_claims
from requests_tokenrefresh._token import of_another_person, read_login, read_reply

NOW = 1_700_000_000.0


def read(**reply: Any) -> Token:
    return Token.from_mapping({"access_token": "a", **reply}, received_at=NOW)


def jwt(claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.c2ln"


# -- secrets -----------------------------------------------------------------------------------


def test_no_secret_is_in_the_repr() -> None:
    token = Token("s3cret-a", "s3cret-r", expires_at=NOW, extra={"id_token": "s3cret-i"})
    assert "s3cret" not in f"{token!r} {token}"


def test_a_token_is_frozen() -> None:
    token = Token("a", extra={"scope": "x"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        token.access_token = "b"  # type: ignore[misc]
    with pytest.raises(TypeError):
        token.extra["scope"] = "y"  # type: ignore[index]


def test_tokens_are_equal_when_their_secrets_are() -> None:
    assert Token("a", "r", expires_at=1.0, extra={"x": 1}) == Token("a", "r", issued_at=2.0)
    assert Token("a", "r") != Token("a", "s")
    assert Token("a") != Token("b")


def test_a_token_pickles_and_copies() -> None:
    token = Token("a", "r", "JWT", 2.0, 1.0, {"scope": "x"})
    for again in (pickle.loads(pickle.dumps(token)), copy.deepcopy(token)):
        assert again.to_mapping() == token.to_mapping()


# -- what can stand in a header ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
@pytest.mark.parametrize(
    "value", ["a\r\nX: y", "a\nb", "a\0b", "é", " a", "a ", "a\x7f", "\u2028", 7, ["a"], b"a"]
)
def test_what_cannot_stand_in_a_header_is_refused_and_not_repeated(name: str, value: Any) -> None:
    fields = {"access_token": "fine", name: value}
    with pytest.raises(ValueError, match=name) as caught:
        Token(**fields)
    assert repr(value) not in str(caught.value)


def test_an_empty_access_token_is_refused() -> None:
    with pytest.raises(ValueError, match="access_token is empty"):
        Token("")


def test_an_empty_refresh_token_in_a_reply_is_none() -> None:
    assert read(refresh_token="").refresh_token is None


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_all_of_visible_ascii_is_fine(secret: str) -> None:
    assert Token(secret, secret).authorization == f"Bearer {secret}"


@pytest.mark.parametrize("token_type", ["bearer", "Bearer", "BEARER"])
def test_any_spelling_of_bearer_is_sent_as_bearer(token_type: str) -> None:
    assert read(token_type=token_type).authorization == "Bearer a"


def test_other_types_are_sent_as_they_are() -> None:
    assert read(token_type="Token").authorization == "Token a"
    assert Token("a", token_type="JWT").authorization == "JWT a"


@pytest.mark.parametrize(
    "token_type",
    [
        *("JWT", "jwt", "jwt-bearer", "at+jwt", "access_token", "accessToken", "BearerToken"),
        *("bearer_token", "Bearer token", "bearer ", " Bearer", "User Access Token", "bot", "N_A"),
        "urn:ietf:params:oauth:token-type:access_token",
        "URN:ietf:params:oauth:token-type:jwt",
    ],
)
def test_what_servers_call_a_bearer_token_is_sent_as_bearer(
    token_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert read(token_type=token_type).authorization == "Bearer a"
    assert fresh(token_type=token_type).authorization == "Bearer a"
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        ((7,), "access_token is a string, got int"),
        (("a", b"r"), "refresh_token is a string, got bytes"),
        (("a", ""), "refresh_token is empty (RFC 6749 appendix A)"),
        (
            ("a", "s3cret\n"),
            "refresh_token has characters that cannot stand in a header (RFC 6749 appendix A)",
        ),
    ],
)
def test_it_is_said_which_secret_is_wrong_and_how(secrets: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Token(*secrets)


@pytest.mark.parametrize("token_type", ["mac", "DPoP", "PoP"])
def test_who_logs_in_is_told_of_a_type_that_needs_a_proof(token_type: str) -> None:
    """Nothing is lost: whoever passes it has it still."""
    for login in (
        Token("a", token_type=token_type),
        {"access_token": "a", "token_type": token_type},
    ):
        with pytest.raises(ValueError, match="need a proof with every request"):
            read_login(login, received_at=NOW)


@pytest.mark.parametrize("token_type", ["mac", "DPoP", "PoP"])
def test_a_refresh_that_brings_such_a_type_is_a_success_with_a_warning(
    token_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert fresh(token_type=token_type).authorization == f"{token_type} a"
    [message] = caplog.messages
    assert "token_type" in message
    assert "token_type='Bearer'" in message


@pytest.mark.parametrize("token_type", ["Bea/rer", "Bearer\r\nX:", 7, ["Bearer"], {}, "é", True])
def test_a_type_that_is_no_scheme_means_bearer(
    token_type: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert read(token_type=token_type).authorization == "Bearer a"
    assert fresh(token_type=token_type).authorization == "Bearer a"
    said = ["is not the name of an authentication scheme" in line for line in caplog.messages]
    assert said == ([True, True] if token_type else [])


@pytest.mark.parametrize("echo", ["new-access", "new-refresh", "old-refresh", "x-old-refresh-x"])
def test_a_type_that_repeats_a_token_is_no_scheme_to_be_shown_and_sent(
    echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply = {"access_token": "new-access", "refresh_token": "new-refresh", "token_type": echo}
    token = read_reply(reply, received_at=NOW, previous=Token("old-access", "old-refresh"))
    assert token.authorization == "Bearer new-access"
    assert echo not in repr(token)
    assert "token_type" in caplog.text
    assert echo not in caplog.text


@pytest.mark.parametrize(("access", "scheme"), [("JWTs", "Bearer"), ("mac", "mac")])
def test_a_token_as_short_as_a_word_is_told_from_one_by_its_length(
    access: str, scheme: str
) -> None:
    reply = {"access_token": access, "token_type": access}
    assert fresh(**reply).token_type == scheme


@pytest.mark.parametrize("token_type", ["Bea rer", "Bearer\r\nX:", 7, ""])
def test_a_token_is_not_made_with_a_type_that_is_no_scheme(token_type: Any) -> None:
    with pytest.raises(ValueError, match=r"^token_type is not the name of an authentication"):
        Token("a", token_type=token_type)


# -- expiry ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expires_at"),
    [
        ({"expires_in": 60}, NOW + 60),
        ({"expires_in": "60"}, NOW + 60),
        ({"expires_in": 0.5}, NOW + 0.5),
        ({"expires_in": -30}, NOW - 30),
        ({"expires_in": 60, "expires_at": NOW - 1}, NOW - 1),  # a reply that was kept
        ({"expires_in": 60, "expires_at": NOW + 90}, NOW + 60),
        ({"expires_at": NOW + 5}, NOW + 5),
        ({"expires_at": str(NOW + 5)}, NOW + 5),
        ({"expires_in": None, "expires_at": NOW + 5}, NOW + 5),
        ({"expires_in": 0}, None),
        ({}, None),
        ({"access_token": jwt({"exp": NOW + 7})}, NOW + 7),
        ({"access_token": jwt({"exp": NOW + 7}), "expires_in": 60}, NOW + 60),
        ({"access_token": jwt({"exp": NOW})}, None),
        ({"access_token": jwt({"exp": NOW - 7})}, None),
        ({"access_token": jwt({})}, None),
        ({"access_token": jwt({"exp": "soon"})}, None),
        ({"access_token": jwt([])}, None),
        ({"access_token": "three.opaque.parts"}, None),
        ({"expires_in": 60, "expires_at": "not a date"}, NOW + 60),
        ({"expires_in": "soon", "expires_at": NOW + 5}, NOW + 5),
        ({"expires_at": (NOW + 5) * 1000}, NOW + 5),
        ({"expires_at": 1e11}, 1e11),  # in the year 5138; later ones count in milliseconds
        ({"expires_at": 1e11 + 1}, 1e8 + 0.001),
        ({"access_token": f"a.{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.c"}, None),
    ],
)
def test_expiry_is_what_the_reply_says_or_the_jwt_claims(
    reply: dict[str, Any], expires_at: float | None
) -> None:
    assert read(**reply).expires_at == expires_at


@pytest.mark.parametrize("length", range(4))
def test_the_claims_of_a_jwt_are_read_whatever_their_length(length: int) -> None:
    """Base64 has up to two characters of padding, which a JWT leaves out."""
    token = jwt({"exp": NOW + 7, "sub": "a" * length})
    assert read(access_token=token).expires_at == NOW + 7


NO_NUMBERS = ["soon", "", "nan", "inf", "-inf", [], {}, True, False, 10**400, "3600s", b"60"]


@pytest.mark.parametrize("name", ["expires_in", "expires_at"])
@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("reader", ["kept", "fresh"])
def test_a_time_that_is_no_number_counts_as_left_out_and_is_named(
    reader: str, name: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {name: value, "refresh_token": "s3cret-r", "scope": "s3cret-s"}
    token = read(**fields) if reader == "kept" else fresh(**fields)
    assert (token.expires_at, token.refresh_token) == (None, "s3cret-r")
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert f"{name} in a token reply cannot be read, and counts as left out: it is not a" in (
        record.getMessage()
    )
    assert "s3cret" not in record.getMessage()


@pytest.mark.parametrize("name", ["expires_at", "expiry"])
@pytest.mark.parametrize(
    "moment",
    [
        "2023-11-14T22:13:20.25Z",
        "2023-11-14 22:13:20.250000",
        "2023-11-14t22:13:20.250000000z",
        "2023-11-15T00:13:20.25+02:00",
        "2023-11-14T22:13:20.250+0000",
        "2023-11-15T00:13:20.25+0200",
        datetime(2023, 11, 14, 22, 13, 20, 250_000),
        datetime(2023, 11, 15, 0, 13, 20, 250_000, timezone(timedelta(hours=2))),
    ],
)
def test_expiry_may_be_a_date_and_time(name: str, moment: object) -> None:
    assert read(**{name: moment}).expires_at == NOW + 0.25


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone is the system's")
def test_a_date_and_time_without_a_zone_is_in_utc_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        moments = [datetime(2023, 11, 14, 22, 13, 20), "2023-11-14T22:13:20"]
        read_as = [read(expires_at=moment).expires_at for moment in moments]
    time.tzset()
    assert read_as == [NOW, NOW]


@pytest.mark.parametrize(
    "value",
    [
        *("2023-13-14T22:13:20Z", "2023-11-14T22:61:20Z", "2023-11-14T22:13:20+25:00"),
        *("2023-11-14", "2023-11-14T22:13Z", "2023-11-14T22:13:20Z\n"),
        "2023-11-14T22:13:20.\u0665Z",
    ],
)
def test_a_date_and_time_that_there_is_not_counts_as_left_out(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert read(expires_at=value).expires_at is None
    [message] = caplog.messages
    assert message.startswith("expires_at in a token reply cannot be read")


def test_the_lifetime_is_from_issue_to_expiry() -> None:
    assert read(expires_in=60).lifetime == 60
    assert read(expires_at=NOW - 60).lifetime == 0
    assert read().lifetime is None
    assert Token("a", expires_at=NOW).lifetime is None


# -- a reply that has just been made -----------------------------------------------------------


def fresh(date: float | None = None, previous: Token | None = None, **reply: Any) -> Token:
    fields = {"access_token": "a", **reply}
    return read_reply(fields, received_at=NOW, previous=previous, date=date)


@pytest.mark.parametrize("skew", [0.0, 300.0, -300.0, 3500.0, -86_400.0])
@pytest.mark.parametrize(
    ("said", "lives"),
    [
        (lambda there: {"expires_in": 60, "expires_at": there - 1}, 60),
        (lambda there: {"expires_in": 60, "expires_at": there + 5}, 60),
        (lambda there: {"expires_at": there + 5}, 5),
        (lambda there: {"expires_at": f"{int(there + 5) * 1000}"}, 5),
        (lambda there: {"expires_in": 0, "expires_at": there + 5}, 5),
        (lambda there: {"access_token": jwt({"exp": there + 60, "iat": there})}, 60),
        (lambda there: {"access_token": jwt({"exp": there + 50, "iat": there - 10})}, 60),
        (lambda there: {"access_token": jwt({"exp": there + 60})}, 60),
        (lambda there: {"access_token": jwt({"exp": there + 60, "iat": "x"})}, 60),
        (lambda there: {"access_token": jwt({"exp": there, "iat": there})}, None),
        (lambda there: {"access_token": jwt({"exp": there - 60})}, None),
        (lambda there: {"access_token": jwt({"exp": 1.7e308, "iat": -1.7e308})}, None),
    ],
)
def test_the_life_of_a_fresh_token_is_counted_from_now_whatever_our_clock_shows(
    said: Any, lives: float | None, skew: float
) -> None:
    """The issuer's clock is *skew* seconds ahead of ours."""
    token = fresh(date=NOW + skew, **said(NOW + skew))
    assert token.expires_at == (None if lives is None else NOW + lives)
    assert token.issued_at == NOW


def test_a_day_that_there_is_not_is_no_moment(caplog: pytest.LogCaptureFixture) -> None:
    assert fresh(expires_at="2026-02-30T12:00:00Z").expires_at is None
    [message] = caplog.messages
    assert message.startswith("expires_at in a token reply cannot be read")
    assert message.endswith("it is not a date and time that there is")


def test_without_a_date_a_moment_is_one_of_our_clock() -> None:
    assert fresh(expires_at=NOW + 5).expires_at == NOW + 5
    assert fresh(access_token=jwt({"exp": NOW + 5})).expires_at == NOW + 5


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        ({"expires_in": -1}, "expires_in in a token reply cannot be read, .*: it is less than 0"),
        ({"expires_at": NOW}, "expires_at in a token reply cannot be read, .*: it has passed"),
        ({"expires_in": 0}, None),
        ({"expires_in": None}, None),
    ],
)
def test_a_fresh_token_has_not_expired_already(
    reply: dict[str, Any], complaint: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert fresh(**reply).expires_at is None
    if complaint is None:
        assert caplog.messages == []
    else:
        [message] = caplog.messages
        assert re.match(complaint, message)


@pytest.mark.parametrize(
    "issued_at", [NOW - 60, NOW * 1000, str(NOW), "2026-11-25T22:59:00Z", "soon", None, [], True]
)
def test_what_a_server_says_of_issued_at_is_not_read(
    issued_at: Any, caplog: pytest.LogCaptureFixture
) -> None:
    token = fresh(issued_at=issued_at, expires_in=60)
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 60)
    token = read(issued_at=issued_at, expires_in=60)
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 60)
    assert caplog.messages == []


@pytest.mark.parametrize("refresh_token", [7, ["r"], "r\nr", "ré", True])
def test_a_fresh_refresh_token_that_cannot_be_sent_leaves_the_one_before(
    refresh_token: Any, caplog: pytest.LogCaptureFixture
) -> None:
    token = fresh(refresh_token=refresh_token, previous=Token("x", "old"))
    assert token == Token("a", "old")
    [message] = caplog.messages
    assert message.startswith("refresh_token in a token reply cannot be read")


@pytest.mark.parametrize("scope", ["a b", ["a", "b"], []])
def test_a_scope_is_kept_as_it_is_said(scope: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert fresh(scope=scope).extra["scope"] == scope
    assert caplog.messages == []


@pytest.mark.parametrize("scope", [7, {"a": 1}, [7], True])
def test_a_scope_that_is_none_is_as_it_was(scope: Any, caplog: pytest.LogCaptureFixture) -> None:
    token = fresh(scope=scope, previous=Token("x", extra={"scope": "a"}))
    assert token.extra["scope"] == "a"
    [message] = caplog.messages
    assert message.startswith("scope in a token reply cannot be read")


def test_what_a_refresh_leaves_out_is_as_it_was() -> None:
    old = Token("x", "r", "Token", extra={"scope": "a", "id_token": "i", "account": 7, "n": 1})
    new = fresh(previous=old, scope=None, n=2, m=3)
    assert new == Token("a", "r")
    assert new.token_type == "Token"
    assert dict(new.extra) == {"scope": "a", "id_token": "i", "account": 7, "n": 2, "m": 3}


def test_so_it_is_when_the_refresher_has_made_a_token_of_it() -> None:
    old = Token("x", "r", extra={"scope": "a"})
    new = read_reply(Token("a", extra={"n": 2}), received_at=NOW, previous=old)
    assert new == Token("a", "r")
    assert (dict(new.extra), new.issued_at) == ({"scope": "a", "n": 2}, NOW)


def test_the_type_can_be_said_whatever_the_reply_says() -> None:
    reply = {"access_token": "a", "token_type": ["nonsense"]}
    token = read_reply(reply, received_at=NOW, previous=None, token_type="JWT")
    assert token.authorization == "JWT a"


@pytest.mark.parametrize("secret", ["a\n", " a ", "a\r\n"])
def test_space_around_a_secret_is_none_of_it(secret: str) -> None:
    """A file that it was read from ends in a line feed."""
    assert fresh(access_token=secret, refresh_token=secret) == Token("a", "a")
    assert read(access_token=secret, refresh_token=secret) == Token("a", "a")
    assert read_login(secret, received_at=NOW) == Token("a")


# -- what we have written ----------------------------------------------------------------------


@pytest.mark.parametrize("token_type", ["JWT", "access_token", "DPoP", "Token", "Bearer"])
@pytest.mark.parametrize("expires_at", [None, NOW + 60, 1e12, 0.5])
def test_what_we_have_written_is_read_to_the_letter(
    token_type: str, expires_at: float | None
) -> None:
    token = Token(jwt({"exp": NOW + 7}), "r", token_type, expires_at, NOW - 5, {"scope": "a"})
    stored = json.loads(json.dumps(token.to_mapping()))
    assert Token.from_mapping(stored, received_at=NOW).to_mapping() == token.to_mapping()


@pytest.mark.parametrize("issued_at", [float("nan"), float("inf"), 10**400])
def test_an_issued_at_that_is_no_moment_is_not_ours(issued_at: Any) -> None:
    token = read(issued_at=issued_at, token_type="JWT")
    assert (token.issued_at, token.token_type) == (NOW, "Bearer")


def test_an_expiry_that_was_written_beside_it_by_hand_may_be_a_date() -> None:
    token = read(issued_at=NOW, expires_at="2023-11-14T22:13:25Z")
    assert token.expires_at == NOW + 5


# -- the reply ---------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [{}, {"access_token": None}])
def test_a_reply_without_an_access_token_is_refused(reply: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no access_token"):
        Token.from_mapping(reply, received_at=NOW)


@pytest.mark.parametrize("reply", [None, [], "a", 7])
def test_a_reply_is_a_mapping(reply: Any) -> None:
    with pytest.raises(ValueError, match="a token reply is a mapping"):
        Token.from_mapping(reply, received_at=NOW)


def test_without_a_refresh_token_the_old_one_is_kept() -> None:
    old = Token("x", "old")
    kept = Token.from_mapping({"access_token": "a"}, received_at=NOW, previous=old)
    assert kept.refresh_token == "old"
    rotated = {"access_token": "a", "refresh_token": "new"}
    assert Token.from_mapping(rotated, received_at=NOW, previous=old).refresh_token == "new"


def test_what_else_a_reply_carries_is_kept() -> None:
    token = read(scope="a b", id_token="i", expires_in=5)
    assert dict(token.extra) == {"scope": "a b", "id_token": "i"}


def test_what_google_auth_saves_is_read() -> None:
    saved = {
        "token": "a",
        "refresh_token": "r",
        "client_secret": "of the client",
        "scopes": ["x"],
        "expiry": "2023-11-14T22:13:20Z",
    }
    token = Token.from_mapping(saved, received_at=NOW - 60)
    assert token == Token("a", "r")
    assert token.expires_at == NOW
    assert dict(token.extra) == {"scopes": ["x"]}


def test_our_names_come_first() -> None:
    token = read(token="b", expires_at=NOW + 5, expiry=NOW + 7)
    assert (token.access_token, token.expires_at) == ("a", NOW + 5)
    assert dict(token.extra) == {"token": "b", "expiry": NOW + 7}


def test_extra_cannot_contradict_the_fields() -> None:
    token = Token("a", extra={"access_token": "b", "expires_in": -1, "issued_at": 7, "scope": "x"})
    assert token.to_mapping() == {"access_token": "a", "token_type": "Bearer", "scope": "x"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
fields = st.sampled_from(["token", "expiry", "error"]) | st.sampled_from(
    ["access_token", "refresh_token", "token_type", "expires_in", "expires_at", "issued_at", "x"]
)
moments = st.datetimes(timezones=st.none() | st.timezones()).map(str)


@given(st.dictionaries(fields, json_values | moments))
def test_any_reply_is_a_token_or_a_value_error(reply: dict[str, Any]) -> None:
    try:
        token = Token.from_mapping(reply, received_at=NOW)
    except ValueError:
        return
    assert token.authorization.isascii()
    assert token.authorization.isprintable()
    stored = json.loads(json.dumps(token.to_mapping()))
    again = Token.from_mapping(stored, received_at=0)
    assert (again, again.expires_at, again.issued_at) == (token, token.expires_at, token.issued_at)


# -- what a refresher returns --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "previous", "refresh_token"),
    [
        (Token("a", "new"), Token("x", "old"), "new"),
        (Token("a"), Token("x", "old"), "old"),
        (Token("a"), Token("x"), None),
        (Token("a"), None, None),
    ],
)
def test_a_token_without_a_refresh_token_keeps_the_old_one(
    reply: Token, previous: Token | None, refresh_token: str | None
) -> None:
    assert read_reply(reply, received_at=NOW, previous=previous).refresh_token == refresh_token


def test_a_token_was_issued_when_it_says_or_else_now() -> None:
    said = read_reply(Token("a", issued_at=0.0), received_at=NOW, previous=None)
    assert said.issued_at == 0.0
    assert read_reply(Token("a"), received_at=NOW, previous=None).issued_at == NOW


def test_a_token_that_is_returned_again_is_another_object_with_the_same_content() -> None:
    """Which object it is tells one generation from the next."""
    token = Token("a", "r", "JWT", 2.0, 1.0, {"scope": "x"})
    again = read_reply(token, received_at=NOW, previous=token)
    assert again is not token
    assert again.to_mapping() == token.to_mapping()


# -- whose it is ---------------------------------------------------------------------------------

ALICE, BOB = jwt({"sub": "alice"}), jwt({"sub": "bob"})


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (Token(ALICE), Token(BOB), True),
        (Token(ALICE), Token(jwt({"sub": "alice", "iat": 1})), False),
        (Token(ALICE), Token("opaque"), False),
        (Token("opaque-1"), Token("opaque-2"), False),
        (Token("1", extra={"id_token": ALICE}), Token("2", extra={"id_token": BOB}), True),
        (Token("1", extra={"id_token": ALICE}), Token("2", extra={"id_token": ALICE}), False),
        (Token("1", extra={"id_token": ALICE}), Token("2"), False),
        # The access tokens tell if they can, and kinds are not compared with each other.
        (Token(ALICE, extra={"id_token": ALICE}), Token(ALICE, extra={"id_token": BOB}), False),
        (Token(ALICE, extra={"id_token": BOB}), Token(BOB, extra={"id_token": BOB}), True),
        (Token(ALICE, extra={"id_token": ALICE}), Token("2", extra={"id_token": BOB}), True),
        (Token(ALICE), Token("2", extra={"id_token": BOB}), False),
        # Some issuers write numbers, and some write them as strings.
        (Token(jwt({"sub": 7})), Token(jwt({"sub": "7"})), False),
        (Token(jwt({"sub": 7})), Token(jwt({"sub": 8})), True),
        (Token(jwt({"sub": None})), Token(BOB), False),
        (Token(jwt({"name": "alice"})), Token(jwt({"name": "bob"})), False),
        (Token("1", extra={"id_token": 7}), Token("2", extra={"id_token": BOB}), False),
    ],
)
def test_two_tokens_are_of_two_persons_only_if_both_say_whose_they_are(
    one: Token, other: Token, differ: bool
) -> None:
    assert of_another_person(one, other) is differ
    assert of_another_person(other, one) is differ


@pytest.mark.parametrize(
    "token", ["opaque", "a.b", "a.b.c", f"{ALICE}.d", jwt(["sub"]), jwt("sub"), jwt(None), None, 7]
)
def test_what_is_no_jwt_claims_nothing(token: object) -> None:
    assert jwt_claims(token) == {}
