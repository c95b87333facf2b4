"""Endpoints that speak JSON but not OAuth: djangorestframework-simplejwt, Flask-JWT-Extended."""

from __future__ import annotations

import json
import pickle

import pytest
import responses
from requests.auth import HTTPBasicAuth

from requests_tokenrefresh._errors import (
    InsecureTransportError,
    LoginRequiredError,
    RefreshFailedError,
)
from requests_tokenrefresh._token import Token
from requests_tokenrefresh.refreshers import JSONRefresh

URL = "https://api.example.com/token/refresh/"
OLD = Token("old-access-token", "old-refresh-token")
NOW = 1_700_000_000.0


@pytest.fixture
def endpoint():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def flask_style(**arguments):
    return JSONRefresh(
        URL,
        refresh_token_in="header",
        access_token_field="access_token",
        refresh_token_field="refresh_token",
        **arguments,
    )


def sent(endpoint):
    [call] = endpoint.calls
    return call.request


def test_the_defaults_are_those_of_simplejwt(endpoint):
    endpoint.post(URL, json={"access": "new-access-token", "refresh": "new-refresh-token"})
    assert JSONRefresh(URL)(OLD) == Token("new-access-token", "new-refresh-token")
    request = sent(endpoint)
    assert json.loads(request.body) == {"refresh": "old-refresh-token"}
    assert request.headers["Content-Type"] == request.headers["Accept"] == "application/json"
    assert "Authorization" not in request.headers


def test_without_rotation_the_refresh_token_is_kept(endpoint):
    endpoint.post(URL, json={"access": "new-access-token"})
    assert JSONRefresh(URL)(OLD) == Token("new-access-token", "old-refresh-token")


def test_the_refresh_token_can_be_the_bearer_token(endpoint):
    """As Flask-JWT-Extended wants it."""
    endpoint.post(URL, json={"access_token": "new-access-token"})
    assert flask_style()(OLD) == Token("new-access-token", "old-refresh-token")
    request = sent(endpoint)
    assert request.headers["Authorization"] == "Bearer old-refresh-token"
    assert json.loads(request.body) == {}


def test_every_name_can_be_another(endpoint):
    endpoint.post(
        URL,
        json={
            "accessToken": "new-access-token",
            "refreshToken": "new-refresh-token",
            "expiresIn": "60",
            "access_token": "not this one",
            "user": 7,
        },
    )
    refresh = JSONRefresh(
        URL,
        sent_field="token",
        access_token_field="accessToken",
        refresh_token_field="refreshToken",
        expires_in_field="expiresIn",
        json={"device": {"id": 1}},
        clock=lambda: NOW,
    )
    token = refresh(OLD)
    assert token == Token("new-access-token", "new-refresh-token")
    assert (token.expires_at, dict(token.extra)) == (NOW + 60, {"user": 7})
    assert json.loads(sent(endpoint).body) == {"token": "old-refresh-token", "device": {"id": 1}}


@pytest.mark.parametrize("name", ["Content-Type", "content-type"])
def test_another_content_type_is_sent_as_it_is_said(endpoint, name):
    endpoint.post(URL, json={"access": "new-access-token"})
    JSONRefresh(URL, headers={name: "application/vnd.api+json"})(OLD)
    request = sent(endpoint)
    assert request.headers["Content-Type"] == "application/vnd.api+json"
    assert json.loads(request.body) == {"refresh": "old-refresh-token"}


def test_a_field_may_be_called_as_the_one_that_is_not_sent(endpoint):
    """The refresh token goes into the header, and into no field."""
    endpoint.post(URL, json={"access_token": "new-access-token"})
    flask_style(json={"refresh": True})(OLD)
    assert json.loads(sent(endpoint).body) == {"refresh": True}


def test_auth_authenticates_the_caller_beside_the_refresh_token(endpoint):
    endpoint.post(URL, json={"access": "new-access-token"})
    JSONRefresh(URL, auth=HTTPBasicAuth("id", "secret"))(OLD)
    assert sent(endpoint).headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("field", ["detail", "msg", "message", "error"])
def test_a_401_ends_the_login_and_says_why(endpoint, field):
    endpoint.post(URL, json={field: "Token is blacklisted"}, status=401)
    with pytest.raises(LoginRequiredError) as caught:
        JSONRefresh(URL)(OLD)
    assert str(caught.value) == (
        f"the token endpoint {URL} refused the login (Token is blacklisted); log in again"
    )
    assert caught.value.reason == "invalid_grant"
    assert len(endpoint.calls) == 1


def test_a_401_needs_no_words(endpoint):
    endpoint.post(URL, json={}, status=401)
    with pytest.raises(LoginRequiredError, match=r"refused the login \(no reason given\)"):
        JSONRefresh(URL)(OLD)


@pytest.mark.parametrize("body", ["<html>", ""])
def test_a_401_that_is_not_the_endpoints_own_is_no_refusal(endpoint, body):
    """A gateway in front of it says so of requests, and knows nothing of logins."""
    endpoint.post(URL, body=body, content_type="text/html; charset=utf-8", status=401)
    with pytest.raises(RefreshFailedError, match="answered 401"):
        JSONRefresh(URL)(OLD)


def test_refused_replaces_the_statuses_that_end_the_login(endpoint):
    refresh = JSONRefresh(URL, refused={403, 422})
    endpoint.post(URL, json={"detail": "no"}, status=422)
    with pytest.raises(LoginRequiredError):
        refresh(OLD)
    endpoint.replace(responses.POST, URL, json={"detail": "no"}, status=401)
    with pytest.raises(RefreshFailedError, match=r"answered 401 \(no\); try again later"):
        refresh(OLD)


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_other_statuses_are_transient(endpoint, status):
    endpoint.post(URL, json={"detail": "no"}, status=status, headers={"Retry-After": "7"})
    with pytest.raises(RefreshFailedError, match=rf"answered {status} \(no\)") as caught:
        JSONRefresh(URL)(OLD)
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    ("status", "error"), [(401, LoginRequiredError), (500, RefreshFailedError)]
)
def test_a_token_in_a_failure_is_none(endpoint, status, error):
    endpoint.post(URL, json={"access": "new-access-token"}, status=status)
    with pytest.raises(error):
        JSONRefresh(URL)(OLD)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({"error": "no such session"}, "no such session"),
        ({"access": None}, "no token in it: there is no 'access'"),
        ({"access": 7}, "access_token is a string, got int"),
        ({"access": "a\r\nb"}, "access_token has characters that cannot stand in a header"),
    ],
)
def test_a_200_without_a_usable_token_is_transient(endpoint, reply, said):
    endpoint.post(URL, json=reply)
    with pytest.raises(RefreshFailedError) as caught:
        JSONRefresh(URL)(OLD)
    assert f"the token endpoint {URL} answered 200 ({said}" in str(caught.value)


@pytest.mark.parametrize(
    ("token", "reason"), [(None, "no_token"), (Token("old-access-token"), "no_refresh_token")]
)
def test_without_a_refresh_token_nothing_is_sent(endpoint, token, reason):
    with pytest.raises(LoginRequiredError) as caught:
        JSONRefresh(URL)(token)
    assert caught.value.reason == reason
    assert not endpoint.calls


def test_it_shows_its_endpoint_and_no_secret():
    assert repr(JSONRefresh(f"{URL}?key=hidden", json={"key": "hidden"})) == f"JSONRefresh('{URL}')"


@pytest.mark.parametrize("make", [JSONRefresh, lambda url: flask_style()], ids=["body", "header"])
def test_it_pickles(endpoint, make):
    endpoint.post(URL, json={"access": "new", "access_token": "new"})
    assert pickle.loads(pickle.dumps(make(URL)))(OLD) == Token("new", "old-refresh-token")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"refresh_token_in": "cookie"}, ValueError, "'body' or 'header', got 'cookie'"),
        (
            {"refresh_token_in": "header", "auth": HTTPBasicAuth("a", "b")},
            ValueError,
            "both write the Authorization header",
        ),
        (
            {"refresh_token_in": "header", "headers": {"authorization": "Basic x"}},
            ValueError,
            r"headers\['Authorization'\] and refresh_token_in='header' write the same header",
        ),
        ({"auth": "Bearer x"}, TypeError, "auth is a requests AuthBase"),
        ({"json": {"refresh": 1}}, ValueError, "json must not have 'refresh'"),
        ({"json": {"a": object()}}, TypeError, "not JSON serializable"),
        ({"json": "a"}, TypeError, "json is a mapping, such as .*, got str"),
        ({"json": [], "refresh_token_in": "header"}, TypeError, "json is a mapping, .*, got list"),
        ({"sent_field": None}, TypeError, "the name of a field is a string, got None"),
        ({"access_token_field": 7}, TypeError, "the name of a field is a string, got 7"),
        ({"refused": 401}, TypeError, r"such as \{401\}, got 401"),
        ({"refused": "401"}, TypeError, r"such as \{401\}, got '401'"),
        ({"refused": [200]}, ValueError, "refused has 200: pass statuses from 400 to 599"),
        ({"refused": ["401"]}, ValueError, "refused has '401'"),
        ({"deadline": 0}, ValueError, "deadline must be above 0"),
    ],
)
def test_arguments_are_checked_at_the_door(arguments, error, message):
    with pytest.raises(error, match=message):
        JSONRefresh(URL, **arguments)


def test_plain_http_to_another_machine_is_refused():
    with pytest.raises(InsecureTransportError):
        JSONRefresh("http://api.example.com/token/refresh/")
