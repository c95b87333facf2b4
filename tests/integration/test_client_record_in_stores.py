"""What is remembered of the client: in every store, over each refresh, until the login ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from requests_tokenrefresh import (
    KeyringTokenStore,
    MemoryTokenStore,
    Token,
    TokenSource,
    TokenStore,
)
from requests_tokenrefresh._client_record import ClientRecord, record_of, with_record
from tests.support.file_keyring import use_file_keyring
from tests.support.worker import StoreAt

API = "https://api.example.com"
RECORD = ClientRecord(
    "reports",
    "https://auth.example.com/token",
    issuer="https://auth.example.com",
    scope="openid read",
    resource=(API,),
    origins=(API,),
    client_secret="s3cret-of-reports",
)
REPLIES: list[Any] = [
    {"access_token": "access-1", "refresh_token": "refresh-1", "client": {"client_id": "evil"}},
    "access-2",
    Token("access-3", "refresh-3"),
]


def outlives_refreshes(store: TokenStore) -> None:
    replies = list(REPLIES)

    def refresher(token: Token | None) -> Token | Mapping[str, Any] | str:
        assert token is not None
        assert record_of(token) == RECORD
        reply: Token | Mapping[str, Any] | str = replies.pop(0)
        return reply

    store.save(with_record(Token("access-0", "refresh-0", issued_at=0.0), RECORD))
    tokens = TokenSource(refresher, origins=[API], store=store)
    while replies:
        tokens.refresh(tokens.token())
        stored = store.load()
        assert stored == tokens.token()
        assert record_of(stored) == record_of(tokens.token()) == RECORD
    tokens.logout()
    assert store.load() is None


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_in_a_store_that_is_shared(store_at: StoreAt, is_encrypted: bool) -> None:
    options = {"cipher": Fernet(Fernet.generate_key())} if is_encrypted else {}
    at = replace(store_at, options={**store_at.options, **options})
    with at.opened() as store:
        outlives_refreshes(store)


def test_in_memory() -> None:
    outlives_refreshes(MemoryTokenStore())


def test_in_a_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_file_keyring(tmp_path, monkeypatch)
    outlives_refreshes(KeyringTokenStore("reports", "alice"))
