"""What issuers answer when a refresh token is dead, and what they answer when it is not."""

from __future__ import annotations

import copy
import functools
import json
import pickle
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st

from requests_tokenrefresh import (
    ClientCredentialsGrant,
    JSONRefresh,
    LoginRequiredError,
    RefreshFailedError,
    RefreshTokenGrant,
    Token,
    TokenRefreshError,
)
from requests_tokenrefresh.refreshers._dialects import DIALECTS, Dialect, refuses, says
from requests_tokenrefresh.refreshers._said import said_in
from tests.support.length import few
from tests.support.logins import START, Refresher, make_source

URL = "https://auth.example.com/oauth/token"
REFRESH_TOKEN = "rt-5f2d9c1b7a3e"
OLD = Token("at-0b7f6c2d9e58", REFRESH_TOKEN)
JSON = "application/json"

# The status, the media type and the body.
Answer = tuple[int, str, Any]

FINAL: dict[str, Answer] = {
    "RFC 6749": (400, JSON, {"error": "invalid_grant"}),
    "the same with 401": (401, JSON, {"error": "invalid_grant"}),
    "the same with 403": (403, JSON, {"error": "invalid_grant"}),
    "the same in a 200": (200, JSON, {"error": "invalid_grant"}),
    "the same in capitals": (400, JSON, {"error": "INVALID_GRANT"}),
    "the same in a page of no type": (400, "", {"error": "invalid_grant"}),
    "the same in a form": (400, "application/x-www-form-urlencoded", "error=invalid_grant"),
    "the same with words in the code": (400, JSON, {"error": "invalid_grant: it is expired."}),
    "the same in a list": (400, JSON, {"errors": [{"errorType": "invalid_grant"}]}),
    "OpenID Connect": (400, JSON, {"error": "interaction_required"}),
    "OpenID Connect, login": (400, JSON, {"error": "login_required"}),
    "Slack": (200, JSON, {"ok": False, "error": "invalid_refresh_token"}),
    "GitHub": (
        200,
        JSON,
        {
            "error": "bad_refresh_token",
            "error_description": "The refresh token is incorrect or expired.",
        },
    ),
    "GitHub in a form": (200, "application/x-www-form-urlencoded", "error=bad_refresh_token"),
    "Twitch": (400, JSON, {"status": 400, "message": "Invalid refresh token"}),
    "LinkedIn": (
        400,
        JSON,
        {
            "error": "invalid_request",
            "error_description": "The provided authorization grant or refresh token is invalid, "
            "expired or revoked",
        },
    ),
    "Atlassian": (
        403,
        JSON,
        {"error": "unauthorized_client", "error_description": "refresh_token is invalid"},
    ),
    "Laravel Passport": (
        401,
        JSON,
        {
            "error": "invalid_request",
            "message": "The refresh token is invalid.",
            "hint": "Token has been revoked",
        },
    ),
    "Authlib": (
        400,
        JSON,
        {"error": "invalid_request", "error_description": 'Invalid "refresh_token" in request.'},
    ),
    "Supabase": (
        400,
        JSON,
        {"code": "refresh_token_already_used", "msg": "Invalid Refresh Token: Already Used"},
    ),
    "Supabase, not found": (
        400,
        JSON,
        {
            "code": 400,
            "error_code": "refresh_token_not_found",
            "msg": "Invalid Refresh Token: Refresh Token Not Found",
        },
    ),
    "Zoom": (400, JSON, {"reason": "Invalid Token!", "error": "invalid_request"}),
    "simplejwt": (
        401,
        JSON,
        {"detail": "Token is invalid or expired", "code": "token_not_valid"},
    ),
    "simplejwt, blacklisted": (401, JSON, {"detail": "Token is blacklisted"}),
    "Flask-JWT-Extended": (401, JSON, {"msg": "Token has expired"}),
    "Flask-JWT-Extended, revoked": (401, JSON, {"msg": "Token has been revoked"}),
    "Flask-JWT-Extended, another key": (422, JSON, {"msg": "Signature verification failed"}),
    "Express": (403, JSON, {"error": "jwt expired"}),
    "Firebase": (
        400,
        JSON,
        {"error": {"code": 400, "message": "TOKEN_EXPIRED", "status": "INVALID_ARGUMENT"}},
    ),
    "Cognito": (
        400,
        JSON,
        {"__type": "NotAuthorizedException", "message": "Refresh Token has been revoked"},
    ),
    "AWS IAM Identity Center": (400, JSON, {"__type": "com.amazonaws#InvalidGrantException"}),
    "HubSpot": (
        400,
        JSON,
        {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"},
    ),
    "Strava": (
        400,
        JSON,
        {
            "message": "Bad Request",
            "errors": [{"resource": "RefreshToken", "field": "refresh_token", "code": "invalid"}],
        },
    ),
    "Facebook": (
        400,
        JSON,
        {"error": {"message": "Error validating: expired", "type": "OAuthException", "code": 190}},
    ),
    "WeChat": (200, JSON, {"errcode": 40030, "errmsg": "invalid refresh_token"}),
    "Apigee": (
        401,
        JSON,
        {
            "fault": {
                "faultstring": "Refused",
                "detail": {"errorcode": "keymanagement.service.invalid_refresh_token"},
            }
        },
    ),
    "Apigee, expired": (
        400,
        JSON,
        {"ErrorCode": "invalid_request", "Error": "Refresh Token expired"},
    ),
    "Supabase, banned": (403, JSON, {"error_code": "user_banned"}),
    "Firebase, disabled": (400, JSON, {"error": {"code": 400, "message": "USER_DISABLED"}}),
    "simplejwt, inactive": (401, JSON, {"detail": "No.", "code": "no_active_account"}),
    "Slack, inactive": (200, JSON, {"ok": False, "error": "account_inactive"}),
    "Zoho": (200, JSON, {"error": "invalid_code"}),
    "to be asked for an account": (400, JSON, {"error": "account_selection_required"}),
    "Cloud Foundry": (401, JSON, {"error": "invalid_token"}),
    "a session that is gone": (404, JSON, {"error": "session_not_found"}),
    "in camel case": (400, JSON, {"errorCode": "refreshTokenExpired"}),
    "RFC 9457": (
        400,
        "application/problem+json",
        {"title": "Bad Request", "status": 400, "detail": "The refresh token was revoked."},
    ),
    "already used": (400, JSON, {"message": "refresh token has already been used"}),
    "not found": (404, JSON, {"message": "Refresh token not found"}),
    "with a prefix": (400, JSON, {"code": "ERR_REFRESH_TOKEN_EXPIRED"}),
    "X": (
        400,
        JSON,
        {
            "error": "invalid_request",
            "error_description": "Value passed for the token was invalid.",
        },
    ),
    "X, inactive": (
        400,
        JSON,
        {
            "error": "invalid_request",
            "error_description": "This request requires an active refresh_token",
        },
    ),
    "Keycloak": (400, JSON, {"error_description": "Session not active"}),
    # -- In lists
    "a code in a list": (400, JSON, {"error": ["invalid_grant"]}),
    "NestJS": (400, JSON, {"message": ["Invalid refresh token"], "error": "Bad Request"}),
    "GraphQL's kin": (400, JSON, {"errors": ["Invalid refresh token"]}),
    "Django REST framework": (400, JSON, {"refresh": ["Token is invalid or expired"]}),
    "Django REST framework, of all": (400, JSON, {"non_field_errors": ["Invalid refresh token."]}),
    "Rails": (400, JSON, {"errors": {"refresh_token": ["is invalid"]}}),
}

# What a message may be at any issuer.
DEAD = [
    "The refresh token was already consumed",
    "Refresh token doesn't exist",
    "Refresh token does not exist.",
    "refresh token isn\u2019t valid",
    "The refresh token is not active any more",
    "the refresh token can't be found",
    "The refresh_token could not be recognised",
    "The specified refresh token has been invalidated",
    "The refresh token has been deleted",
    "refreshToken was superseded",
    "Could not find refresh token",
    "No such refresh token",
    "unable to find the refresh token: it may have expired",
    "Refresh-Token no longer valid",
    "Session not active",
    "Your session has expired. Please log in again",
]
NOT_DEAD = [
    "Refresh token not found in cookies",
    "Refresh token not found in the request body",
    "Could not find refresh token in your headers",
    "Unable to find refresh token in the payload.",
    "No refresh token provided",
    "The refresh token was not provided",
    "refresh_token must not be empty",
    "Refresh tokens are not enabled for this client",
    "the refresh token could not be stored: try again",
    "session storage is unavailable",
]

DEEP: dict[str, Any] = {"error": "invalid_grant"}
for _ in range(100):
    DEEP = {"error": DEEP}

PASSING: dict[str, Answer] = {
    "a gateway's page": (401, "text/html", "<html><h1>Unauthorized</h1>"),
    "a gateway's page that has the word": (400, "text/html", "<p>error: invalid_grant</p>"),
    "a 401 of nothing": (401, "", ""),
    "a wrong URL": (404, "text/plain", "not found"),
    "the client's own credentials": (401, JSON, {"error": "invalid_client"}),
    "the client's own, in words of the refresh token": (
        401,
        JSON,
        {"error": "invalid_client", "error_description": "invalid refresh token client"},
    ),
    "a mistake of the configuration": (
        400,
        JSON,
        {"error": "invalid_request", "error_description": "Missing parameter: client_id"},
    ),
    "the refresh token is missing": (
        400,
        JSON,
        {"error": "invalid_request", "error_description": "Missing refresh_token parameter"},
    ),
    "the refresh token is required": (400, JSON, {"message": "refresh_token is required"}),
    "no such grant": (
        400,
        JSON,
        {
            "error": "unauthorized_client",
            "error_description": "The refresh token grant is disabled for this client",
        },
    ),
    "no such grant, in words": (400, JSON, {"message": "Invalid grant_type: refresh_token"}),
    "no such scope": (400, JSON, {"error": "invalid_scope"}),
    "rate limited": (429, JSON, {"error": "invalid_grant"}),
    "rate limited by name": (400, JSON, {"error": "slow_down"}),
    "in trouble": (500, JSON, {"error": "invalid_grant"}),
    "in trouble, in words": (502, JSON, {"message": "Invalid refresh token"}),
    "in trouble by name": (400, JSON, {"error": "temporarily_unavailable"}),
    "in trouble by a word": (401, JSON, {"message": "temporarily_unavailable"}),
    "trouble with the refresh token": (400, JSON, {"message": "refresh token: unknown error"}),
    "down": (503, "", ""),
    "a success that is none": (200, JSON, {"access_token": ""}),
    "JSON, but no object": (200, JSON, []),
    "the client's own credentials, in words": (401, JSON, {"message": "invalid_client"}),
    "the client's own rights": (401, JSON, {"error": "unauthorized_client"}),
    "a field that is missing": (400, JSON, {"refresh": ["This field is required."]}),
    "a field with something else than words": (400, JSON, {"refresh_token": [{"expired": False}]}),
    "a code in errors of errors": (400, JSON, DEEP),
    "a code as a field": (400, JSON, {"invalid_grant": True}),
    "a redirect": (302, JSON, {"error": "invalid_grant"}),
}


SAYS_THAT_IT_IS_DEAD = [
    "Unknown or invalid refresh token.",
    "Refresh token is expired, please login again",
    "The provided refresh token has expired",
    "refresh_token expired",
    "Your refresh token has been revoked by the user",
    "Refresh token does not exist",
    "Refresh token not valid",
    "Invalid or expired refresh token",
    "The specified refresh token is invalid.",
    "Refresh token: expired",
    "The refresh token is no longer valid",
    "Refresh token was already used",
    "Refresh token has already been rotated",
    "refreshToken is invalid",
    "invalid refreshToken",
    "Refresh-Token expired",
    "Bad refresh token",
    "The refresh token you provided is invalid",
    "Error: invalid refresh token",
    "Refresh token could not be found",
    "Refresh token reuse detected",
    "Provided refresh token is malformed",
    "The token has been revoked",
    "jwt malformed",
    "Token expired",
    "Refresh token is blacklisted",
    "Unrecognized refresh token",
]

SAYS_SOMETHING_ELSE = [
    "refresh_token must be a string",
    "Missing refresh token",
    "refresh token endpoint can only be used over POST",
    "The refresh token grant is not allowed",
    "Grant type refresh_token is invalid",
    "invalid client",
    "Could not verify the refresh token: database is not active",
    "refresh token could not be processed",
    "Too many refresh token requests",
    "A refresh token is used to obtain a token",
    "Unexpected error while using refresh token",
    "Invalid client_id for refresh token",
    "Refresh token rotation is disabled",
    "Internal error",
    "Your token request was invalid",
    "Invalid API token",
    "CSRF token is invalid",
    "refresh token: invalid request",
    "Token is used up",
    "token unknown error",
]


def own_function(token: Token | None) -> Any:
    assert token is not None
    reply = requests.post(
        f"{URL}?key=k-77c0ffee42",
        {"refresh_token": token.refresh_token},
        timeout=5,
        allow_redirects=False,
    )
    reply.raise_for_status()
    return reply.json()


REFRESHERS: dict[str, Any] = {
    "RefreshTokenGrant": RefreshTokenGrant(URL, client_id="reports"),
    "JSONRefresh": JSONRefresh(URL, access_token_field="access_token"),
    "ClientCredentialsGrant": ClientCredentialsGrant(
        URL, client_id="reports", client_secret="cs-4A6b0f7d21"
    ),
    "own function": own_function,
}


def outcome(refresher: Any, answer: Answer, **headers: str) -> TokenRefreshError:
    """What a source gets of *refresher* when the endpoint gives *answer*."""
    status, content_type, body = answer
    text = body if isinstance(body, str) else json.dumps(body)
    source = make_source(refresher, logged_in=False, token=OLD)
    with responses.RequestsMock() as web:
        web.post(URL, status=status, content_type=content_type, body=text, headers=headers)
        with pytest.raises(TokenRefreshError) as caught:
            source.refresh(source.token())
    return caught.value


def cases(answers: dict[str, Answer]) -> list[Any]:
    """Each answer to each refresher; that of the user's own understands nothing but JSON, and says
    nothing of the status unless it is an error."""
    return [
        pytest.param(answer, refresher, id=f"{name}, {refresher}")
        for name, answer in answers.items()
        for refresher in REFRESHERS
        if refresher != "own function" or answer[0] >= 400 or answer[:2] == (200, JSON)
    ]


@pytest.mark.parametrize(("answer", "refresher"), cases(FINAL))
def test_a_dead_refresh_token_ends_the_login(answer: Answer, refresher: str) -> None:
    error = outcome(REFRESHERS[refresher], answer)
    assert isinstance(error, LoginRequiredError)
    assert error.reason == "invalid_grant"
    assert str(error).endswith("; log in again")
    # Of a 200 a function of the user's own returns only what is in it.
    assert error.status in ({answer[0], None} if refresher == "own function" else {answer[0]})


@pytest.mark.parametrize(("answer", "refresher"), cases(PASSING))
def test_anything_else_leaves_the_login_alone(answer: Answer, refresher: str) -> None:
    error = outcome(REFRESHERS[refresher], answer)
    assert isinstance(error, RefreshFailedError)
    assert "log in again" not in str(error)
    assert error.status in ({answer[0], None} if refresher == "own function" else {answer[0]})


@pytest.mark.parametrize("words", SAYS_THAT_IT_IS_DEAD)
def test_words_that_call_the_refresh_token_dead_end_the_login(words: str) -> None:
    error = outcome(REFRESHERS["RefreshTokenGrant"], (400, JSON, {"message": words}))
    assert isinstance(error, LoginRequiredError)


@pytest.mark.parametrize("words", SAYS_SOMETHING_ELSE)
def test_words_about_something_else_do_not(words: str) -> None:
    error = outcome(REFRESHERS["RefreshTokenGrant"], (400, JSON, {"message": words}))
    assert isinstance(error, RefreshFailedError)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda it: f"{it.who}: {it.code or it.words}")
def test_every_dialect_is_spoken_by_an_answer_above(dialect: Dialect) -> None:
    """Whoever adds a line adds an answer."""
    spoken = [
        name
        for name, (status, _, body) in FINAL.items()
        if not isinstance(body, str) and says(dialect, said_in(body, status), status)
    ]
    assert spoken != []


# -- What the errors carry -----------------------------------------------------------------------


@pytest.mark.parametrize("refresher", REFRESHERS)
def test_a_refusal_carries_what_was_said(refresher: str) -> None:
    body = {"error": "invalid_grant", "error_description": "It was revoked.", "hint": "by Alice"}
    error = outcome(REFRESHERS[refresher], (400, JSON, body))
    assert isinstance(error, LoginRequiredError)
    said = "invalid_grant: It was revoked.; by Alice"
    assert (error.status, error.code, error.said) == (400, "invalid_grant", said)
    assert f"refused the login ({said}); log in again" in str(error)
    assert error.response.status_code == 401


@pytest.mark.parametrize("refresher", REFRESHERS)
def test_a_failure_carries_what_was_said(refresher: str) -> None:
    body = {"error": "temporarily_unavailable", "detail": "We are moving house."}
    error = outcome(REFRESHERS[refresher], (503, JSON, body), **{"Retry-After": "7"})
    assert isinstance(error, RefreshFailedError)
    said = "temporarily_unavailable: We are moving house."
    assert (error.status, error.code, error.said) == (503, "temporarily_unavailable", said)
    assert f"answered 503 ({said}); try again later" in str(error)
    assert error.retry_after is not None
    assert 7 <= error.retry_after <= 7.7
    assert error.response is None


@pytest.mark.parametrize(
    ("code", "shown"),
    [("a\u202eb\x00", "a b"), ("x" * 300, "x" * 199 + "\u2026"), ("\ud800", None)],
)
def test_a_code_is_one_short_printable_word(code: str, shown: str | None) -> None:
    error: Any = outcome(REFRESHERS["RefreshTokenGrant"], (400, JSON, {"error": code}))
    assert error.code == shown
    assert str(error).isprintable()


@pytest.mark.parametrize(
    "error",
    [
        LoginRequiredError("x", reason="y", status=400, code="a", said="b"),
        RefreshFailedError("x", retry_after=1.0, status=400, code="a", said="b"),
    ],
    ids=["refusal", "failure"],
)
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, lambda error: pickle.loads(pickle.dumps(error))],
    ids=["copy", "pickle"],
)
def test_the_facts_are_copied_and_pickled(error: Any, duplicate: Any) -> None:
    again = duplicate(error)
    assert (str(again), again.status, again.code, again.said) == ("x", 400, "a", "b")


def test_where_nobody_answered_there_is_nothing_to_carry() -> None:
    error = RefreshFailedError("nobody is there")
    assert (error.status, error.code, error.said) == (None, None, None)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "try again later, or, if that is how it ends a login, say so: by refused=, or in "),
        (404, "check the URL"),
        (405, "check the URL"),
        (307, "check the URL"),
        (429, "try again later"),
        (500, "try again later"),
    ],
)
def test_the_advice_is_one_that_may_help(status: int, advice: str) -> None:
    error = outcome(REFRESHERS["RefreshTokenGrant"], (status, JSON, {"error": "something"}))
    assert f"); {advice}" in str(error)


# -- refused= ------------------------------------------------------------------------------------


def is_gone(response: requests.Response) -> bool:
    return response.status_code == 410 or response.text == "GONE"


def breaks(response: requests.Response) -> bool:
    return bool(response.json()["no such field"])


KINDS: dict[str, Any] = {
    "RefreshTokenGrant": RefreshTokenGrant,
    "JSONRefresh": functools.partial(JSONRefresh, access_token_field="access_token"),
    "ClientCredentialsGrant": functools.partial(
        ClientCredentialsGrant, client_id="reports", client_secret="cs-4A6b0f7d21"
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("refused", "answer", "ends"),
    [
        ({"account_locked"}, (400, JSON, {"error": "account_locked"}), True),
        ({"account_locked"}, (200, JSON, {"code": "AccountLocked"}), True),
        ({"account_locked"}, (400, JSON, {"error": {"code": "ACCOUNT-LOCKED"}}), True),
        ({"account_locked"}, (400, JSON, {"error": "another"}), False),
        ({"account_locked"}, (429, JSON, {"error": "account_locked"}), False),
        ({"account_locked"}, (500, JSON, {"error": "account_locked"}), False),
        ({"account_locked"}, (400, "text/html", "account_locked"), False),
        ({"invalid_client"}, (401, JSON, {"error": "invalid_client"}), True),
        ({410}, (410, JSON, {"message": "so it is"}), True),
        ({410}, (410, JSON, {}), True),
        ({410}, (410, "text/html", "<html>"), False),
        ({410}, (400, JSON, {"message": "so it is"}), False),
        ({410}, (410, JSON, {"error": "invalid_client"}), False),
        ([409, "account_locked"], (409, JSON, {"message": "so it is"}), True),
        (is_gone, (410, "text/html", "<html>"), True),
        (is_gone, (503, "text/plain", "GONE"), True),
        (is_gone, (400, JSON, {"error": "another"}), False),
        ((), (400, JSON, {"error": "another"}), False),
    ],
)
def test_refused_says_what_else_ends_a_login(
    kind: str, refused: Any, answer: Answer, ends: bool
) -> None:
    error = outcome(KINDS[kind](URL, refused=refused), answer)
    assert isinstance(error, LoginRequiredError if ends else RefreshFailedError)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("refused", [(), {"account_locked"}, {410}, is_gone, breaks])
def test_refused_is_beside_what_is_known(kind: str, refused: Any) -> None:
    answer = (400, JSON, {"error": "invalid_grant"})
    assert isinstance(outcome(KINDS[kind](URL, refused=refused), answer), LoginRequiredError)


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_that_raises_says_nothing_and_is_told_of(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = outcome(KINDS[kind](URL, refused=breaks), (503, "text/html", "<html>"))
    assert isinstance(error, RefreshFailedError)
    assert "the function in refused= raised JSONDecodeError: it counts as no" in caplog.messages


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("refused", "error", "message"),
    [
        (401, TypeError, r"such as \{401\}, got 401"),
        ("account_locked", TypeError, r"such as \{401\}, got 'account_locked'"),
        (None, TypeError, "got None"),
        ({200}, ValueError, "refused has 200: pass statuses from 400 to 599, or codes"),
        ({"401"}, ValueError, "refused has '401'"),
        ({""}, ValueError, "refused has ''"),
        ([None], ValueError, "refused has None"),
    ],
)
def test_refused_is_checked_at_the_door(
    kind: str, refused: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        KINDS[kind](URL, refused=refused)


def test_a_grant_with_a_function_pickles() -> None:
    refresher = pickle.loads(pickle.dumps(RefreshTokenGrant(URL, refused=is_gone)))
    assert isinstance(outcome(refresher, (410, "", "")), LoginRequiredError)


def test_a_401_says_so_to_json_refresh_unless_it_is_of_the_client() -> None:
    refresh = JSONRefresh(URL)
    assert isinstance(outcome(refresh, (401, JSON, {"detail": "no"})), LoginRequiredError)
    assert isinstance(outcome(refresh, (401, JSON, {})), LoginRequiredError)
    client = (401, JSON, {"error": "invalid_client"})
    assert isinstance(outcome(refresh, client), RefreshFailedError)


# -- Refreshers of the user's own ----------------------------------------------------------------


@pytest.mark.parametrize("text", DEAD)
def test_words_may_name_the_refresh_token_as_dead(text: str) -> None:
    assert refuses(said_in({"message": text}), 400)


@pytest.mark.parametrize("text", NOT_DEAD)
def test_words_may_name_it_for_another_reason(text: str) -> None:
    assert not refuses(said_in({"message": text}), 400)


def test_what_is_said_in_lists_is_quoted() -> None:
    with responses.RequestsMock() as web, pytest.raises(RefreshFailedError) as caught:
        web.post(URL, status=400, json={"message": ["too short", "too long"], "refresh": ["no"]})
        RefreshTokenGrant(URL)(OLD)
    assert caught.value.said == "too short; too long; refresh no"


def test_a_refresher_may_return_what_ends_the_login() -> None:
    """As MSAL does, and whoever forgets `raise_for_status`."""
    for name, (status, content_type, body) in FINAL.items():
        if status < 500 and content_type != "application/x-www-form-urlencoded":
            source = make_source(Refresher(body))
            if name.startswith("Flask-JWT-Extended"):
                continue  # these words mean it only with the status, which is not known here
            with pytest.raises(LoginRequiredError, match="refused the login"):
                source.refresh(source.token())


def test_what_it_returns_is_not_quoted() -> None:
    """Nobody knows what it has sent."""
    body = {"error": "invalid_grant", "error_description": "no s3cret"}
    source = make_source(Refresher(body))
    with pytest.raises(LoginRequiredError) as caught:
        source.refresh(source.token())
    assert str(caught.value) == "the token endpoint refused the login (invalid_grant); log in again"
    assert (caught.value.code, caught.value.status) == ("invalid_grant", None)


def test_a_code_that_may_be_secret_is_not_quoted_either() -> None:
    source = make_source(Refresher({"ok": False, "error": "invalid_refresh_token"}))
    with pytest.raises(LoginRequiredError) as caught:
        source.refresh(source.token())
    assert str(caught.value) == "the token endpoint refused the login; log in again"
    assert caught.value.code is None


class AuthlibsError(Exception):
    """`authlib.integrations.base_client.OAuthError`."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__()
        self.error = error
        self.description = description


@pytest.mark.parametrize(
    ("error", "description", "ends"),
    [
        ("invalid_grant", "", True),
        ("invalid_request", "The refresh token is invalid.", True),
        ("invalid_request", "Missing parameter: client_id", False),
        ("invalid_client", "The refresh token is invalid.", False),
    ],
)
def test_the_errors_of_other_libraries_are_read_whole(
    error: str, description: str, ends: bool
) -> None:
    source = make_source(Refresher(AuthlibsError(error, description)))
    with pytest.raises(TokenRefreshError) as caught:
        source.refresh(source.token())
    assert isinstance(caught.value, LoginRequiredError if ends else RefreshFailedError)


@pytest.mark.parametrize("secret", [OLD.access_token, REFRESH_TOKEN])
def test_the_token_is_a_secret_although_the_request_does_not_show_it(secret: str) -> None:
    """It may have been sent by a request before, or encrypted."""

    def refresh(token: Token | None) -> None:
        requests.post(URL, timeout=5).raise_for_status()

    error = outcome(refresh, (503, JSON, {"message": f"what is {secret}?"}))
    assert isinstance(error, RefreshFailedError)
    assert error.said == "not shown: it repeats a secret"


def test_so_is_what_an_earlier_request_of_a_redirect_has_sent() -> None:
    def refresh(token: Token | None) -> None:
        requests.post(URL, {"password": "pw-91c2e7"}, timeout=5).raise_for_status()

    source = make_source(refresh, logged_in=False, token=OLD)
    elsewhere = "https://auth.example.com/elsewhere"
    with responses.RequestsMock() as web:
        web.post(URL, status=302, headers={"Location": elsewhere})
        web.get(elsewhere, status=500, json={"message": "no pw-91c2e7"})
        with pytest.raises(RefreshFailedError) as caught:
            source.refresh(source.token())
    assert caught.value.said == "not shown: it repeats a secret"


def test_a_date_in_retry_after_counts_for_a_function_too() -> None:
    at = format_datetime(datetime.fromtimestamp(START + 90, timezone.utc), usegmt=True)
    error = outcome(own_function, (503, "", ""), **{"Retry-After": at})
    assert isinstance(error, RefreshFailedError)
    assert error.retry_after is not None
    assert 90 <= error.retry_after <= 99


def test_a_path_is_not_told_of_another_url() -> None:
    def refresh(token: Token | None) -> None:
        requests.get(f"https://auth.example.com/renew/{REFRESH_TOKEN}").raise_for_status()

    source = make_source(refresh, logged_in=False, token=OLD)
    with responses.RequestsMock() as web:
        web.get(f"https://auth.example.com/renew/{REFRESH_TOKEN}", status=503)
        with pytest.raises(RefreshFailedError) as caught:
            source.refresh(source.token())
    assert str(caught.value) == (
        "the token endpoint https://auth.example.com answered 503 (an empty body); try again later"
    )


def raise_for(response: requests.Response) -> Any:
    return requests.HTTPError("400 Client Error", response=response)


@pytest.mark.parametrize("body", [b'{"error": "invalid_grant"}', b"<html>"])
def test_a_response_that_was_made_by_hand_is_read_as_well(body: bytes) -> None:
    response = requests.Response()
    response.status_code, response._content = 400, body
    source = make_source(Refresher(raise_for(response)))
    with pytest.raises(
        TokenRefreshError, match="the token endpoint behind the refresher "
    ) as caught:
        source.refresh(source.token())
    assert isinstance(caught.value, LoginRequiredError) is (body != b"<html>")


def test_a_response_that_cannot_be_read_any_more_says_nothing() -> None:
    response = requests.Response()
    response.status_code = 400
    response._content_consumed = True
    response._content = False
    source = make_source(Refresher(raise_for(response)))
    with pytest.raises(RefreshFailedError, match=r"^HTTPError while getting a new token$"):
        source.refresh(source.token())


# -- Nothing that was sent is quoted ------------------------------------------------------------

texts = st.sampled_from(
    [
        *(REFRESH_TOKEN, f"no {REFRESH_TOKEN}", REFRESH_TOKEN.upper(), REFRESH_TOKEN[:10]),
        *("k-77c0ffee42", "cs-4A6b0f7d21", "invalid_grant", "custom", "Invalid refresh token"),
    ]
)
fields = st.sampled_from(
    [
        *("error", "error_description", "code", "message", "msg", "detail", "reason", "hint"),
        *("status", "type", "title", "Error", "errorCode", "errmsg"),
    ]
)
flat = st.dictionaries(fields, texts | st.integers(0, 500), max_size=4)
bodies = st.builds(
    lambda outer, nest, inner: {**outer, nest: inner},
    flat,
    st.sampled_from(["error", "errors", "detail", "fault", "body", "data"]),
    flat | st.lists(flat, max_size=2) | texts,
)


SENT = {  # by those that do not send the refresh token alone
    "ClientCredentialsGrant": ["cs-4a6b0f7d21"],
    "own function": [REFRESH_TOKEN, "k-77c0ffee42"],
}


@pytest.mark.parametrize("refresher", REFRESHERS)
@few(15)
@given(body=bodies, status=st.sampled_from([200, 400, 401, 403, 429, 500]))
def test_nothing_that_was_sent_is_quoted(refresher: str, body: Any, status: int) -> None:
    error: Any = outcome(REFRESHERS[refresher], (status, JSON, body))
    shown = f"{error} {error!r} {error.code} {error.said}".lower()
    assert not any(secret[:8] in shown for secret in SENT.get(refresher, [REFRESH_TOKEN]))
