"""Whatever is in the file of a `FileTokenStore`: a login, or an error, and it stays as it was."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from hypothesis import event, given
from hypothesis import strategies as st

from requests_tokenrefresh import (
    FileTokenStore,
    RefreshFailedError,
    StoreContentError,
    Token,
    TokenSource,
)
from tests.fuzzing.telling import ACCESS, REFRESH, no_secret_told, shown
from tests.support.length import few
from tests.support.logins import ORIGIN, Refresher
from tests.support.token_files import NEW, put

FOLDER = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
PATH = FOLDER / "token.json"
CIPHER = Fernet(Fernet.generate_key())

REAL = json.dumps(
    Token(ACCESS, REFRESH, expires_at=2e9, issued_at=1e9, extra={"scope": "a b"}).to_mapping()
).encode()
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([ACCESS, REFRESH, "DPoP", "\ud800", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["access_token", "refresh_token", "token_type", "expires_at", "issued_at", "expiry", "x"]
SHAPES = st.dictionaries(st.sampled_from(FIELDS), VALUES).map(
    lambda fields: {"access_token": ACCESS, **fields}
)
NOISE = st.binary(max_size=12) | st.sampled_from(
    [
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"NaN",
        b"1" * 5000,
        b"[" * 100_000,
        b'{"a":',
        b"\\u0000",
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real one: cut off, overwritten, or with something in between."""
    content = draw(st.just(REAL) | SHAPES.map(json.dumps).map(str.encode))
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, len(content)))
    return content[:start] + draw(NOISE) + draw(st.sampled_from([b"", content[end:]]))


DEEP = st.sampled_from([b"[" * 100_000, b'{"access_token":' * 50_000, b"1" * 5_000, b"NaN"])
CONTENTS = st.binary() | DEEP | VALUES.map(json.dumps).map(str.encode) | damaged()


def look(content: bytes, **options: Any) -> Token | None:
    put(PATH, content)
    store = FileTokenStore(PATH, **options)
    source = TokenSource(Refresher(RefreshFailedError("no")), origins=[ORIGIN], store=store)
    with no_secret_told(ACCESS, REFRESH) as told:
        try:
            token = store.load()
        except StoreContentError as error:
            told.append(shown(error))
            for act in (store.clear, lambda: store.save(NEW), source.token):
                try:
                    act()
                    raise AssertionError("what could not be read was taken or replaced")
                except StoreContentError as again:
                    told.append(shown(again))
            assert PATH.read_bytes() == content
            return None
        told.append(repr(token))
    assert isinstance(token, Token)
    return token


@few(20)
@given(CONTENTS)
def test_any_content_is_a_token_or_an_error_that_leaves_it(content: bytes) -> None:
    event(f"a token: {look(content) is not None}")


@few(10)
@given(CONTENTS, st.booleans(), st.sampled_from([PATH.name, "another.json", 7, None]))
def test_so_is_any_content_where_it_is_encrypted(
    content: bytes, encrypted: bool, name: object
) -> None:
    named = content.replace(b"{", f'{{"stored_for": {json.dumps(name)}, '.encode(), 1)
    token = look(CIPHER.encrypt(named) if encrypted else named, cipher=CIPHER)
    event(f"a token: {token is not None}")
    assert token is None or (encrypted and name == PATH.name)
