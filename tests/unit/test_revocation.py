"""Revocation (RFC 7009), and what a token's document says of its client."""

from __future__ import annotations

import pickle
from urllib.parse import parse_qsl

import pytest
import requests
import responses

from requests_tokenrefresh import (
    AuthorizationServer,
    RefreshTokenGrant,
    RevocationFailedError,
    Token,
)
from requests_tokenrefresh._client_record import ClientRecord, record_of, with_record

ISSUER = "https://auth.example.com"
REVOKE = f"{ISSUER}/revoke"


@pytest.fixture
def endpoint():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def grant(**arguments) -> RefreshTokenGrant:
    usual = {"client_id": "reports", "revocation_url": REVOKE}
    return RefreshTokenGrant(f"{ISSUER}/token", **{**usual, **arguments})


def test_the_refresh_token_is_revoked_first(endpoint):
    """RFC 7009 section 2.1; 200 for what is not known is done (section 2.2)."""
    endpoint.post(REVOKE, body="")
    grant().revoke(Token("access", "refresh"))
    assert [dict(parse_qsl(call.request.body)) for call in endpoint.calls] == [
        {"token": "refresh", "token_type_hint": "refresh_token", "client_id": "reports"},
        {"token": "access", "token_type_hint": "access_token", "client_id": "reports"},
    ]


def test_without_a_refresh_token_there_is_one_to_revoke(endpoint):
    endpoint.post(REVOKE)
    grant(client_secret="s3cret").revoke(Token("access"))
    [call] = endpoint.calls
    assert call.request.headers["Authorization"].startswith("Basic ")


def test_a_server_knows_its_revocation_endpoint(endpoint):
    endpoint.post(REVOKE)
    server = AuthorizationServer(token_endpoint=f"{ISSUER}/token", revocation_endpoint=REVOKE)
    RefreshTokenGrant(server, client_id="c").revoke(Token("access"))
    assert len(endpoint.calls) == 1


def test_an_access_token_that_cannot_be_revoked_expires(endpoint):
    """RFC 7009 section 2.2.1."""
    endpoint.post(REVOKE)
    endpoint.post(REVOKE, status=400, json={"error": "unsupported_token_type"})
    grant().revoke(Token("access", "refresh"))
    assert len(endpoint.calls) == 2


@pytest.mark.parametrize(
    ("reply", "words", "retry_after"),
    [
        ({"status": 503, "headers": {"Retry-After": "7"}}, "503", 7.0),
        ({"status": 400, "json": {"error": "invalid_client"}}, "invalid_client", None),
        ({"status": 400, "json": {"error": "unsupported_token_type"}}, "unsupported", None),
        ({"status": 302, "headers": {"Location": "https://evil.example/"}}, "302", None),
        ({"body": requests.ConnectTimeout("slow")}, "was not told", None),
    ],
)
def test_what_is_not_revoked_stays_good_and_that_is_said(endpoint, reply, words, retry_after):
    endpoint.post(REVOKE, **reply)
    with pytest.raises(RevocationFailedError, match=words) as caught:
        grant().revoke(Token("access-secret", "refresh-secret"))
    assert "stay good" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).retry_after == retry_after


def test_a_grant_without_a_revocation_endpoint_says_so():
    with pytest.raises(ValueError, match="revocation_url="):
        grant(revocation_url=None).revoke(Token("access"))


# -- The record -----------------------------------------------------------------------------------

RECORD = ClientRecord(
    "reports",
    f"{ISSUER}/token",
    issuer=ISSUER,
    scope="read",
    resource=("https://api.example.com",),
    origins=("https://api.example.com",),
)


def test_a_record_comes_back_from_the_document_as_it_was():
    token = with_record(Token("a", "r", extra={"scope": "read"}), RECORD)
    kept = Token.from_mapping(token.to_mapping(), received_at=0)
    assert record_of(kept) == RECORD
    assert kept.extra["scope"] == "read"


def test_a_secret_is_in_no_repr():
    record = ClientRecord("c", "https://a", client_secret="s3cret-of-reports")
    assert "s3cret" not in repr(record)
    assert record_of(with_record(Token("a"), record)) == record


@pytest.mark.parametrize(
    "client",
    [None, "reports", [], {}, {"client_id": "c"}, {"client_id": 7, "token_endpoint": "x"}],
)
def test_a_document_that_cannot_be_used_has_no_record(client):
    assert record_of(Token("a", extra={"client": client})) is None


def test_what_is_odd_in_a_record_counts_as_left_out():
    document = {"client_id": "c", "token_endpoint": "t", "origins": "x", "scope": 7, "new": 1}
    assert record_of(Token("a", extra={"client": document})) == ClientRecord("c", "t")
