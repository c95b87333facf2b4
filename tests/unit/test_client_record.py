"""What a token's document says of the client that it was given to."""

from __future__ import annotations

import pytest

from requests_tokenrefresh import Token
from requests_tokenrefresh._client_record import ClientRecord, record_of, with_record

ISSUER = "https://auth.example.com"

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
