"""What is in the file of a `FileTokenStore`, and where.

What it shares with other stores is in test_store_contract.
"""

import json
import os
import pickle
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from requests_tokenrefresh import FileTokenStore, StoreContentError, Token, TokenStoreError
from tests.support.length import few
from tests.support.token_files import NEW, OLD, names, on_the_token, put, refusal

FIELDS = {"access_token", "refresh_token", "token_type", "expires_in", "expires_at", "issued_at"}

CORRUPT = {
    "nothing": b"",
    "half a token": b'{"access_token": "secret-access", "refresh_tok',
    "no JSON": b"\x89PNG\r\n\x1a\n",
    "no UTF-8": b'{"access_token": "secret-access\xff"}',
    "a list": b'["access_token"]',
    "null": b"null",
    "an error reply": b'{"error": "invalid_grant"}',
    "a field of the wrong type": b'{"access_token": "secret-access", "refresh_token": 7}',
    "a secret with a line end": b'{"access_token": "secret-access\\r\\nX: y"}',
    "nested too deep": b'{"access_token": "secret-access", "x": ' + b"[" * 200_000,
    "a number too long": b'{"access_token": "secret-access", "x": ' + b"1" * 5_000 + b"}",
    "too large": b'{"access_token": "secret-access"}' + b" " * 1024 * 1024,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token.json"


@pytest.fixture
def store(path: Path) -> FileTokenStore:
    return FileTokenStore(path)


# The path


def test_it_is_shared():
    assert FileTokenStore.shared is True


def test_the_home_is_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    store = FileTokenStore("~/.config/reports/token.json")
    store.save(NEW)
    assert store.path == tmp_path / ".config" / "reports" / "token.json"
    assert store.path.is_file()


def test_a_relative_path_stays_where_it_was_said(monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = FileTokenStore("token.json")
    monkeypatch.chdir("elsewhere")
    store.save(NEW)
    assert (tmp_path / "token.json").is_file()


@pytest.mark.parametrize("wrong", [None, 7, b"/nowhere/token.json", FileTokenStore("t")])
def test_what_is_no_path_is_refused(wrong):
    with pytest.raises(TypeError, match="pass the path of the token file"):
        FileTokenStore(wrong)


def test_a_path_of_bytes_is_refused_behind_fspath_too():
    class BytesPath:
        def __fspath__(self) -> bytes:
            return b"/nowhere/token.json"

    with pytest.raises(TypeError, match="got BytesPath"):
        FileTokenStore(BytesPath())


@pytest.mark.parametrize("wrong", ["", "token\0.json"])
def test_a_path_that_cannot_name_a_file_is_refused(wrong):
    with pytest.raises(ValueError, match="pass the path of the token file"):
        FileTokenStore(wrong)


def test_the_home_of_nobody_is_refused():
    with pytest.raises(ValueError, match="there is no such home"):
        FileTokenStore("~nobody-of-this-name/token.json")


def test_it_shows_its_path(store, path):
    assert repr(store) == f"FileTokenStore({str(path)!r})"


def test_it_pickles_as_its_path(store, path):
    make, arguments = store.__reduce__()
    assert (make.func, arguments) == (FileTokenStore, (str(path),))
    assert pickle.loads(pickle.dumps(store)).path == path


# What is in the file


def test_the_file_is_json_for_people_too(store, path):
    store.save(NEW)
    assert json.loads(path.read_text()) == NEW.to_mapping()
    assert path.read_text().endswith("}\n")


def test_a_token_reply_put_there_by_hand_counts_from_when_it_was_written(store, path):
    reply = b'{"access_token": "a", "token_type": "bearer", "expires_in": 60, "scope": "x"}'
    put(path, reply)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    token = store.load()
    assert token == Token("a")
    assert (token.issued_at, token.expires_at) == (1_700_000_000.0, 1_700_000_060.0)
    assert token.extra == {"scope": "x"}


def test_a_token_reply_put_there_by_hand_is_replaced_and_cleared_like_our_own(store, path):
    put(path, b'{"access_token": "a"}')
    store.save(NEW)
    assert store.load() == NEW
    put(path, b'{"access_token": "a"}')
    store.clear()
    assert not path.exists()


@on_the_token
@pytest.mark.parametrize("content", CORRUPT.values(), ids=CORRUPT)
def test_other_content_is_an_error_that_leaves_it_as_it_was(store, path, operation, content):
    put(path, content)
    message = refusal(StoreContentError, operation, store)
    assert str(path) in message
    assert "it was left as it was: move it away and log in again" in message
    assert path.read_bytes() == content
    assert names(path.parent) == [path.name]


def test_the_error_about_other_content_carries_none_of_it(store, path):
    put(path, CORRUPT["half a token"])
    with pytest.raises(StoreContentError) as raised:
        store.load()
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert b"secret" not in pickle.dumps(raised.value)


def test_the_largest_file_that_is_written_can_be_read(store, path):
    padding = "x" * (1024 * 1024 - len(json.dumps(NEW.to_mapping(), indent=2)) - 14)
    largest = Token("new-access", "new-refresh", issued_at=NEW.issued_at, extra={"pad": padding})
    store.save(largest)
    assert path.stat().st_size == 1024 * 1024
    assert store.load().extra == {"pad": padding}
    too_large = Token("a", issued_at=NEW.issued_at, extra={"pad": padding + "x" * 100})
    assert "bytes, 1048576 are the limit" in refusal(
        TokenStoreError, lambda _: store.save(too_large), store
    )
    assert store.load() == largest


def test_a_huge_file_is_not_read_to_its_end(store, path):
    put(path, b"")
    os.truncate(path, 64 * 1024 * 1024)
    tracemalloc.start()
    try:
        assert "it is larger than 1048576 bytes" in refusal(
            StoreContentError, FileTokenStore.load, store
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("field", [b"bytes", {1, 2}, 10**5_000], ids=["bytes", "set", "digits"])
def test_a_token_that_is_not_plain_json_is_an_error_and_the_old_one_stays(store, field):
    store.save(OLD)
    message = refusal(
        TokenStoreError, lambda _: store.save(Token("secret", extra={"field": field})), store
    )
    assert "extra fields are not plain JSON" in message
    assert store.load() == OLD


# Encrypted, for one login


def test_an_encrypted_login_is_not_taken_for_that_of_another_file(tmp_path):
    """Whoever may write there, and has no key, could put one in the place of another."""
    cipher = Fernet(Fernet.generate_key())
    alice, bob = (FileTokenStore(tmp_path / f"{it}.json", cipher=cipher) for it in ("alice", "bob"))
    alice.save(OLD)
    bob.save(NEW)
    theirs = alice.path.read_bytes()
    bob.path.write_bytes(theirs)
    for refused in (bob.load, lambda: bob.save(NEW), bob.clear):
        with pytest.raises(
            StoreContentError, match="was encrypted under another name, or under none"
        ):
            refused()
    assert bob.path.read_bytes() == theirs
    assert alice.load() == OLD


def test_its_folder_may_be_another(tmp_path):
    """Mounted elsewhere, moved, or found by a link."""
    cipher = Fernet(Fernet.generate_key())
    (tmp_path / "here").mkdir()
    FileTokenStore(tmp_path / "here" / "token.json", cipher=cipher).save(OLD)
    (tmp_path / "here").rename(tmp_path / "there")
    (tmp_path / "link").symlink_to("there/token.json")
    for path in (tmp_path / "there" / "token.json", tmp_path / "link"):
        assert FileTokenStore(path, cipher=cipher).load() == OLD


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("stores") / "token.json"


words = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
secrets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
almost_replies = st.fixed_dictionaries(
    {"access_token": secrets | words},
    optional=dict.fromkeys(
        sorted(FIELDS - {"access_token"}), secrets | st.integers() | json_values
    ),
)
contents = st.binary() | (json_values | almost_replies).map(json.dumps).map(str.encode)


@few(15)
@given(contents)
def test_any_content_is_a_token_or_an_error_and_stays(scratch, content):
    put(scratch, content)
    with suppress(StoreContentError):
        assert isinstance(FileTokenStore(scratch).load(), Token)
    assert scratch.read_bytes() == content


times = st.floats(min_value=0, max_value=1e12)
tokens = st.builds(
    Token,
    secrets,
    refresh_token=st.none() | secrets,
    token_type=st.sampled_from(["Bearer", "bearer", "JWT", "Token"]),
    expires_at=times,
    issued_at=times,
    # A scope is read, and dropped if it is none: Hypothesis knows the words of the code.
    extra=st.dictionaries(
        words.filter(lambda name: name not in FIELDS | {"scope"}), json_values, max_size=3
    ),
)


@few(15)
@given(tokens)
def test_any_token_comes_back_as_it_was(scratch, token):
    scratch.unlink(missing_ok=True)
    FileTokenStore(scratch).save(token)
    loaded = FileTokenStore(scratch).load()
    assert loaded == token
    assert loaded.to_mapping() == token.to_mapping()
