"""Whatever others have written into the fields of a store: a login and a pause, or an error of the
store; it stays as it was, is told nowhere, and never ends in anything else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import keyring.core
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from valkey import Valkey

from requests_tokenrefresh import (
    FileTokenStore,
    KeyringTokenStore,
    RedisTokenStore,
    SQLTokenStore,
    StoredPause,
    Token,
    TokenStore,
    TokenStoreError,
)
from tests.fuzzing.telling import ACCESS, REFRESH, no_secret_told
from tests.fuzzing.test_stored_files import CONTENTS
from tests.support.length import few
from tests.support.token_files import put
from tests.support.tracebacks import shown_by_tools
from tests.support.valkey_server import ValkeyServer

OLD = Token("old", "older", issued_at=1e9)
NEW = Token("new", "newer", issued_at=1e9)
PAUSE = StoredPause(1.5, 2.5, 3)

NUMBERS = st.integers() | st.floats() | st.sampled_from([2**53, 2**63 - 1, -(2**63), 10**400])
WORDS = (
    NUMBERS.map(str)
    | st.text(max_size=8)
    | st.sampled_from(["1" * 5_000, "0x10", " 5 ", "nan 1 1", "1e999 1 1", "1 2 9e9", ACCESS])
)
ANYTHING = WORDS.map(str.encode) | st.binary(max_size=12) | CONTENTS


def _in_a_turn(store: Any) -> None:
    with store.lock(0):
        store.load()
        getattr(store, "ensure_can_save", int)()
        store.save_pause(PAUSE)
        store.save(NEW)


READING: list[Callable[[Any], object]] = [
    lambda store: store.load(),
    lambda store: store.load_pause(),
]
WRITING: list[Callable[[Any], object]] = [
    _in_a_turn,
    lambda store: store.save(NEW),
    lambda store: store.clear(),
]


def look(open_store: Callable[[], TokenStore], stored: Callable[[], object]) -> None:
    """Do all there is to do; fail if that ends in anything but an answer or an error of the store,
    or if what could not be read is changed."""
    before, refused = stored(), []
    with no_secret_told(ACCESS, REFRESH) as told:
        for act in (*READING, *WRITING, *READING):
            try:
                act(open_store())
            except TokenStoreError as error:
                told.append(shown_by_tools(error))
                refused.append(act)
    if READING[0] in refused:
        event("refused")
        assert set(WRITING) <= set(refused)
        assert stored() == before


# A row of SQLite, which keeps in any column what it is given

CELLS = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
    | ANYTHING
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "logins.sqlite"


@few(10)
@given(column=st.sampled_from(["version", "token", "pause"]), cell=CELLS, is_text=st.booleans())
def test_any_cell_of_a_row(database: Path, column: str, cell: Any, is_text: bool) -> None:
    def open_store() -> SQLTokenStore:
        return SQLTokenStore(f"sqlite:///{database}", name="a")

    def execute(statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    if database.exists():
        execute("DELETE FROM token_logins")
    open_store().save(OLD)
    as_text = is_text and isinstance(cell, bytes)  # which need not be UTF-8
    value = "CAST(? AS TEXT)" if as_text else "?"
    try:
        execute(f"UPDATE token_logins SET {column} = {value}", cell)
    except sqlite3.IntegrityError:  # a version has to be something
        return
    look(open_store, lambda: execute("SELECT hex(token), hex(version) FROM token_logins"))


# A hash of Redis, and the keys beside it


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@few(10)
@given(field=st.sampled_from(["version", "token", "pause", "fence"]), content=ANYTHING)
def test_any_field_of_a_hash(valkey: ValkeyServer, field: str, content: bytes) -> None:
    key = "tokenrefresh:{a}"

    def open_store() -> RedisTokenStore:
        return RedisTokenStore(valkey.url, key="a")

    valkey.command("DEL", key)
    open_store().save(OLD)
    valkey.command("HSET", key, field, content)
    with Valkey.from_url(valkey.url) as client:
        look(open_store, lambda: client.hmget(key, "token", "version"))


# An entry of a keyring, and the file of a pause


class Backend(KeyringBackend):
    """Holds one entry."""

    priority = 0  # type: ignore[assignment]  # never found, only put there
    entry: str | None = None

    def get_password(self, service: str, username: str) -> str | None:
        return self.entry

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entry = password

    def delete_password(self, service: str, username: str) -> None:
        self.entry = None


ENTRIES = ANYTHING.map(lambda content: content.decode("utf-8", "surrogateescape")) | WORDS


@few(10)
@given(entry=ENTRIES, pause=ANYTHING)
def test_any_entry_of_a_keyring(
    tmp_path_factory: pytest.TempPathFactory, entry: str, pause: bytes
) -> None:
    state = tmp_path_factory.mktemp("state")
    backend = Backend()
    with pytest.MonkeyPatch.context() as patches:
        patches.setenv("XDG_STATE_HOME", str(state))
        patches.setattr(keyring.core, "_keyring_backend", backend)
        store = KeyringTokenStore("a", "b")
        store.save_pause(PAUSE)
        [file] = state.rglob("*.pause")
        put(file, pause)
        backend.entry = entry
        look(lambda: store, lambda: backend.entry)


@few(10)
@given(pause=ANYTHING)
def test_any_pause_in_a_file(tmp_path_factory: pytest.TempPathFactory, pause: bytes) -> None:
    path = tmp_path_factory.mktemp("files") / "token.json"
    FileTokenStore(path).save(OLD)
    put(path.with_name("token.json.pause"), pause)
    look(lambda: FileTokenStore(path), path.read_bytes)
