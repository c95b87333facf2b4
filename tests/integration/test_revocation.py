"""Telling a server that a login is over (RFC 7009): real HTTP."""

from __future__ import annotations

import copy
import pickle
from base64 import b64decode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from requests_tokenrefresh import (
    AuthorizationServer,
    ClientCredentialsGrant,
    InsecureTransportError,
    RefreshTokenGrant,
    RevocationFailedError,
    Token,
)
from tests.support.servers import HTTPServer, Received, Reply

ACCESS, REFRESH, SECRET = "at-5f2d9c1b7a3e", "rt-77c0ffee4242", "cs-deadbeef1234"
TOKEN = Token(ACCESS, REFRESH)


class Endpoint:
    """A revocation endpoint: answers with *replies*, and with 200 after that."""

    def __init__(self, start: Callable[..., HTTPServer]) -> None:
        self.replies: list[Reply | None] = []
        self._server = start(self._answer)
        self.url = f"{self._server.url}/revoke"

    def _answer(self, _request: Received) -> Reply | None:
        return self.replies.pop(0) if self.replies else Reply(200)

    @property
    def requests(self) -> list[Received]:
        return self._server.requests

    @property
    def forms(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(request.body.decode())) for request in self.requests]

    @property
    def kinds(self) -> list[str]:
        return [form["token_type_hint"] for form in self.forms]

    def grant(self, **arguments: Any) -> RefreshTokenGrant:
        usual = {"client_id": "reports", "revocation_url": self.url}
        return RefreshTokenGrant("https://auth.example.com/token", **{**usual, **arguments})

    def failure(self, token: Token = TOKEN, **arguments: Any) -> RevocationFailedError:
        with pytest.raises(RevocationFailedError) as caught:
            self.grant(**arguments).revoke(token)
        shown = str(caught.value) + repr(caught.value.__cause__)
        assert not any(secret in shown for secret in (ACCESS, REFRESH, SECRET))
        return caught.value


@pytest.fixture
def endpoint(http_server: Callable[..., HTTPServer]) -> Endpoint:
    return Endpoint(http_server)


# -- What is sent ---------------------------------------------------------------------------------


def test_the_refresh_token_is_revoked_first(endpoint: Endpoint) -> None:
    """RFC 7009 section 2.1: with it go the access tokens, where the server can do that."""
    endpoint.grant(scope="read", data={"audience": "x"}).revoke(TOKEN)
    assert endpoint.forms == [
        {"token": REFRESH, "token_type_hint": "refresh_token", "client_id": "reports"},
        {"token": ACCESS, "token_type_hint": "access_token", "client_id": "reports"},
    ]
    assert {request.method for request in endpoint.requests} == {"POST"}
    kinds = {request.headers["Content-Type"] for request in endpoint.requests}
    assert kinds == {"application/x-www-form-urlencoded"}


def test_without_a_refresh_token_the_access_token_is_all(endpoint: Endpoint) -> None:
    endpoint.grant().revoke(Token(ACCESS))
    assert endpoint.kinds == ["access_token"]


@pytest.mark.parametrize("in_the_form", [True, False])
def test_the_client_authenticates_as_at_the_token_endpoint(
    endpoint: Endpoint, in_the_form: bool
) -> None:
    """RFC 7009 section 2.1."""
    method = "client_secret_post" if in_the_form else "client_secret_basic"
    endpoint.grant(client_secret=SECRET, token_endpoint_auth_method=method).revoke(Token(ACCESS))
    [form], [request] = endpoint.forms, endpoint.requests
    assert form.get("client_secret") == (SECRET if in_the_form else None)
    if not in_the_form:
        basic = b64decode(request.headers["Authorization"].split()[1]).decode()
        assert basic == f"reports:{SECRET}"


@pytest.mark.parametrize("grant", [RefreshTokenGrant, ClientCredentialsGrant])
def test_an_authorization_server_says_where(endpoint: Endpoint, grant: Any) -> None:
    server = AuthorizationServer(
        token_endpoint="https://auth.example.com/token", revocation_endpoint=endpoint.url
    )
    revoker = grant(server, client_id="reports", client_secret=SECRET)
    assert revoker.can_revoke
    pickle.loads(pickle.dumps(revoker)).revoke(Token(ACCESS))
    assert endpoint.kinds == ["access_token"]


def test_an_address_of_ones_own_outranks_it(endpoint: Endpoint) -> None:
    server = AuthorizationServer(
        token_endpoint="https://auth.example.com/token",
        revocation_endpoint="https://auth.example.com/revoke",
    )
    RefreshTokenGrant(server, revocation_url=endpoint.url).revoke(Token(ACCESS))
    assert endpoint.kinds == ["access_token"]


def test_a_grant_that_does_not_know_where_says_so() -> None:
    grant = RefreshTokenGrant("https://auth.example.com/token", client_id="reports")
    assert not grant.can_revoke
    with pytest.raises(ValueError, match="revocation_url=") as caught:
        grant.revoke(TOKEN)
    assert REFRESH not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://auth.example.com/revoke", InsecureTransportError),
        ("https://auth.example.com/revoke#x", ValueError),
        ("/revoke", ValueError),
    ],
)
def test_an_address_is_checked_at_the_door(url: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        RefreshTokenGrant("https://auth.example.com/token", revocation_url=url)


# -- What is answered -----------------------------------------------------------------------------

DONE = {
    "200": Reply(200),
    "200 with a page": Reply(200, b"<html>"),
    "204": Reply(204),
    "invalid_token": Reply.json({"error": "invalid_token"}, 400),
    "expired_token": Reply.json({"error": "expired_token"}, 400),
    "invalid_grant": Reply.json({"error": "invalid_grant"}, 400),
    "in words": Reply.json({"message": "Token has been revoked"}, 400),
}


@pytest.mark.parametrize("reply", DONE.values(), ids=DONE)
def test_a_token_that_the_server_does_not_know_is_dead(endpoint: Endpoint, reply: Reply) -> None:
    """RFC 7009 section 2.2: that is no error, though for some servers it is."""
    endpoint.replies = [reply, reply]
    endpoint.grant().revoke(TOKEN)
    assert endpoint.kinds == ["refresh_token", "access_token"]


UNSUPPORTED = Reply.json({"error": "unsupported_token_type"}, 400)


def test_an_access_token_that_cannot_be_revoked_expires(endpoint: Endpoint) -> None:
    """RFC 7009 section 2.2.1."""
    endpoint.replies = [Reply(200), UNSUPPORTED]
    endpoint.grant().revoke(TOKEN)
    assert endpoint.kinds == ["refresh_token", "access_token"]


def test_a_refresh_token_that_cannot_be_revoked_is_a_failure_but_the_access_token_is_tried(
    endpoint: Endpoint,
) -> None:
    endpoint.replies = [UNSUPPORTED, Reply.json({"error": "policy"}, 400)]
    failure = endpoint.failure()
    assert (failure.status, failure.code) == (400, "unsupported_token_type")
    assert endpoint.kinds == ["refresh_token", "access_token"]


REFUSED: dict[str, tuple[Reply, str | None, str]] = {
    "invalid_client": (
        Reply.json({"error": "invalid_client"}, 401),
        "invalid_client",
        "check the client's id",
    ),
    "the request's own authorization": (
        Reply.json({"error": "invalid_token"}, 401),
        "invalid_token",
        "end the login where the server lists",
    ),
    "a page of a gateway": (Reply(403, b"<html>"), None, "try again later"),
    "another endpoint": (Reply(404, b"not found"), None, "check the URL"),
    "a redirect": (Reply(307, headers=[("Location", "/elsewhere")]), None, "check the URL"),
    "a code of its own": (
        Reply.json({"error": "policy"}, 400),
        "policy",
        "end the login where the server lists",
    ),
}


@pytest.mark.parametrize(("reply", "code", "advice"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_stays_good_and_that_is_said(
    endpoint: Endpoint, reply: Reply, code: str | None, advice: str
) -> None:
    endpoint.replies = [reply, reply]
    failure = endpoint.failure(client_secret=SECRET)
    assert (failure.status, failure.code, failure.retry_after) == (reply.status, code, None)
    assert f"the revocation endpoint {endpoint.url} has not revoked the login" in str(failure)
    assert "stay good until they expire" in str(failure)
    assert advice in str(failure)
    assert {request.path for request in endpoint.requests} == {"/revoke"}


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_once_and_says_when_again(
    endpoint: Endpoint, status: int
) -> None:
    """RFC 7009 section 2.2.1: the token is still there, and Retry-After says how long."""
    endpoint.replies = [Reply(status, headers=[("Retry-After", "7")])]
    failure = endpoint.failure()
    assert (failure.status, failure.retry_after) == (status, 7.0)
    assert "try again later" in str(failure)
    assert endpoint.kinds == ["refresh_token"]


def test_what_is_sent_is_not_repeated(endpoint: Endpoint) -> None:
    told = {"error": f"{REFRESH}_unknown", "error_description": f"no {REFRESH} of {SECRET}"}
    endpoint.replies = [Reply.json(told, 400), Reply.json({"error": ACCESS}, 400)]
    failure = endpoint.failure(client_secret=SECRET)
    assert failure.said is not None
    assert "not shown" in failure.said


def test_nor_is_the_token_that_was_sent_before(endpoint: Endpoint) -> None:
    told = {"error": "unsupported", "error_description": f"it is not {REFRESH[::-1]}"}
    endpoint.replies = [Reply(200), Reply.json(told, 400)]
    assert endpoint.failure().said == "unsupported: not shown: it repeats a secret"
    assert endpoint.kinds == ["refresh_token", "access_token"]


def test_who_does_not_answer_was_not_told(endpoint: Endpoint) -> None:
    """Nor is the access token tried: whoever is out of reach is so for both."""
    endpoint.replies = [None, None]  # it is asked once more where the connection breaks
    failure = endpoint.failure()
    assert (failure.status, failure.retry_after) == (None, None)
    assert failure.__cause__ is not None
    assert "the server was not told that the login is over" in str(failure)
    assert f"the exchange with the revocation endpoint {endpoint.url} failed" in str(failure)
    assert set(endpoint.kinds) == {"refresh_token"}


def test_the_error_pickles_and_copies_with_its_facts(endpoint: Endpoint) -> None:
    endpoint.replies = [Reply(503, headers=[("Retry-After", "7")])]
    failure = endpoint.failure()
    for again in (pickle.loads(pickle.dumps(failure)), copy.copy(failure)):
        assert type(again) is RevocationFailedError
        assert (again.args, again.retry_after, again.status) == (failure.args, 7.0, 503)
        assert (again.code, again.said) == (failure.code, failure.said)
