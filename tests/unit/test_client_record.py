"""What a token's document says of the client that it was given to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from requests_tokenrefresh import Token
from requests_tokenrefresh._client_record import ClientRecord, in_brief, record_of, with_record
from requests_tokenrefresh._token import read_login, read_reply

ISSUER = "https://auth.example.com"

RECORD = ClientRecord(
    "reports",
    f"{ISSUER}/token",
    issuer=ISSUER,
    authorization_endpoint=f"{ISSUER}/authorize",
    device_authorization_endpoint=f"{ISSUER}/device",
    revocation_endpoint=f"{ISSUER}/revoke",
    token_endpoint_auth_method="client_secret_post",
    scope="openid read",
    resource=("https://api.example.com",),
    audience="api",
    origins=("https://api.example.com", "https://files.example.com"),
    client_secret_file="/run/secrets/reports",
    client_secret="s3cret-of-reports",
)
REMEMBERED = with_record(Token("a", "r", issued_at=0.0, extra={"scope": "read"}), RECORD)
ANOTHERS = {"client_id": "evil", "token_endpoint": "https://evil.example/token"}


def test_a_record_comes_back_from_the_document_as_it_was() -> None:
    """And the document is plain JSON, so any store and any cipher can have it."""
    document = json.loads(json.dumps(REMEMBERED.to_mapping()))
    kept = Token.from_mapping(document, received_at=7.0)
    assert record_of(kept) == RECORD
    assert (kept, kept.extra["scope"]) == (REMEMBERED, "read")
    assert read_login(document, received_at=7.0).to_mapping() == document


def test_what_is_not_known_is_not_written() -> None:
    token = with_record(Token("a"), ClientRecord("c", issuer=ISSUER))
    assert token.extra["client"] == {"client_id": "c", "issuer": ISSUER}


def test_a_secret_is_in_no_repr() -> None:
    assert "s3cret" not in repr(RECORD) + repr(REMEMBERED)


# -- From token to token --------------------------------------------------------------------------

REPLIES: dict[str, Any] = {
    "a reply": {"access_token": "b", "refresh_token": "s"},
    "a reply with a client of its own": {"access_token": "b", "client": ANOTHERS},
    "a reply with a name": {"access_token": "b", "client": "web"},
    "a reply with null": {"access_token": "b", "client": None},
    "a reply that looks like a document": {"access_token": "b", "issued_at": 1, "client": ANOTHERS},
    "an access token": "b",
    "a token": Token("b"),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_refresh_inherits_the_record(reply: Any) -> None:
    """No server says where its tokens are renewed: whoever could, could have them elsewhere."""
    fresh = read_reply(reply, received_at=7.0, previous=REMEMBERED)
    assert fresh.access_token == "b"
    assert record_of(fresh) == RECORD


def test_so_does_a_reply_that_is_read_by_hand() -> None:
    reply = {"access_token": "b", "expires_in": 60, "client": ANOTHERS}
    fresh = Token.from_mapping(reply, received_at=7.0, previous=REMEMBERED)
    assert record_of(fresh) == RECORD


@pytest.mark.parametrize("read", [Token.from_mapping, read_login])
def test_a_reply_begins_no_record(read: Any) -> None:
    """It may be anybody's, and what it says is kept in the store like what we have written."""
    token = read({"access_token": "b", "expires_in": 60, "client": ANOTHERS}, received_at=7.0)
    assert "client" not in token.extra


# -- What can be read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "client",
    [
        None,
        "reports",
        [],
        {},
        {"client_id": "c"},
        {"issuer": ISSUER},
        {"client_id": 7, "token_endpoint": "x"},
        {"client_id": "", "token_endpoint": "x"},
        {"client_id": "c", "token_endpoint": ""},
        {"client_id": "c", "issuer": ["x"]},
    ],
)
def test_a_document_that_cannot_be_used_has_no_record(client: Any) -> None:
    assert record_of(Token("a", extra={"client": client})) is None


def test_what_is_odd_in_a_record_counts_as_left_out() -> None:
    document = {"client_id": "c", "token_endpoint": "t", "origins": "x", "scope": 7, "new": 1}
    document |= {"resource": ["a", 1], "issuer": None}
    assert record_of(Token("a", extra={"client": document})) == ClientRecord("c", "t")


def test_what_a_later_version_has_written_outlives_a_refresh() -> None:
    document = {"client_id": "c", "token_endpoint": "t", "new": {"x": 1}}
    fresh = read_reply("b", received_at=0.0, previous=Token("a", extra={"client": document}))
    assert fresh.extra["client"] == document


@pytest.mark.parametrize(
    ("record", "brief"),
    [
        (RECORD, ClientRecord("reports", issuer=ISSUER)),
        (ClientRecord("c", "https://a/t", scope="x"), ClientRecord("c", "https://a/t")),
    ],
)
def test_in_brief_it_says_which_client_of_which_server(
    record: ClientRecord, brief: ClientRecord
) -> None:
    token = in_brief(with_record(REMEMBERED, record))
    assert record_of(token) == brief
    assert token.extra["scope"] == "read"


def test_in_brief_a_token_without_a_record_is_the_same() -> None:
    token = Token("a", extra={"client": "web"})
    assert in_brief(token) is token
