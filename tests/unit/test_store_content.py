"""What a shared store keeps of a token, and what it makes of content that is none."""

import json
import pprint
import reprlib

import pytest
from cryptography.fernet import Fernet, MultiFernet
from rich.pretty import pretty_repr

from requests_tokenrefresh import Cipher, StoreContentError, Token, TokenStoreError
from requests_tokenrefresh.stores._content import LARGEST, check_cipher, decode, encode
from requests_tokenrefresh.stores._secret import Secret, SecretText
from tests.support.tracebacks import shown_by_tools

TOKEN = Token("access", "refresh", expires_at=1_700_003_600.5, issued_at=1_700_000_000.25)
WHERE = "the token in the test"


class Broken:
    """A cipher whose errors repeat what it was given."""

    def encrypt(self, data: bytes) -> bytes:
        raise RuntimeError(f"cannot encrypt {data!r}")

    def decrypt(self, token: bytes) -> bytes:
        raise RuntimeError(f"cannot decrypt {token!r}")


def explained(raised: pytest.ExceptionInfo[BaseException]) -> str:
    error = raised.value
    return f"{error!r} {error.__cause__!r} {error.__context__!r}"


@pytest.mark.parametrize("secret", [Secret(b"s3cret" * 50), SecretText("s3cret" * 50)])
def test_secrets_do_not_show_to_tools_that_cut_off_what_is_long(secret):
    shown = [
        repr(secret),
        f"{[secret]} {secret[:80]!r} {secret[1:-1]!r}",
        reprlib.repr([secret]),
        pprint.pformat({"secret": secret}),
        pretty_repr(secret, max_string=80),
    ]
    assert "s3cret" not in "\n".join(shown)
    assert secret[:6] == type(secret).__base__(secret)[:6]
    assert secret[0] == type(secret).__base__(secret)[0]


@pytest.mark.parametrize("cipher", [None, Fernet(Fernet.generate_key())], ids=["plain", "Fernet"])
def test_what_was_encoded_is_decoded_with_all_its_fields(cipher):
    content = encode(TOKEN, WHERE, cipher)
    decoded = decode(content, WHERE, cipher, written_at=0)
    assert decoded.to_mapping() == TOKEN.to_mapping()


def test_without_a_cipher_the_content_is_json():
    assert json.loads(encode(TOKEN, WHERE, None))["access_token"] == "access"


def test_with_a_cipher_no_secret_is_in_the_content():
    content = encode(TOKEN, WHERE, Fernet(Fernet.generate_key()))
    assert b"access" not in content
    assert b"refresh" not in content


def test_keys_can_be_rotated():
    old, new = Fernet(Fernet.generate_key()), Fernet(Fernet.generate_key())
    content = encode(TOKEN, WHERE, old)
    assert decode(content, WHERE, MultiFernet([new, old]), written_at=0) == TOKEN
    rewritten = encode(TOKEN, WHERE, MultiFernet([new, old]))
    assert decode(rewritten, WHERE, new, written_at=0) == TOKEN


@pytest.mark.parametrize("login", ["bob", "Alice", "", None], ids=["bob", "capital", "empty", "no"])
def test_what_was_encrypted_for_another_login_is_corrupt(login):
    """Somebody who can write to the store, and cannot decrypt, has put it there."""
    cipher = Fernet(Fernet.generate_key())
    content = encode(TOKEN, WHERE, cipher, login=login)
    assert decode(content, WHERE, cipher, login=login, written_at=0) == TOKEN
    with pytest.raises(StoreContentError, match="was encrypted under another name, or under none"):
        decode(content, WHERE, cipher, login="alice", written_at=0)


@pytest.mark.parametrize("plain", [b"[]", b'"alice"', b"7", b'{"stored_for": ["alice"]}'])
def test_what_is_no_login_at_all_is_of_none(plain):
    cipher = Fernet(Fernet.generate_key())
    with pytest.raises(StoreContentError, match="was encrypted under another name, or under none"):
        decode(cipher.encrypt(plain), WHERE, cipher, login="alice", written_at=0)


def test_whose_it_is_is_not_part_of_the_token():
    cipher = Fernet(Fernet.generate_key())
    content = encode(TOKEN, WHERE, cipher, login="alice")
    decoded = decode(content, WHERE, cipher, login="alice", written_at=0)
    assert decoded.to_mapping() == TOKEN.to_mapping()


def test_without_a_cipher_nobody_is_told_whose_it_is():
    """It would keep nobody from writing another name."""
    content = encode(TOKEN, WHERE, None, login="alice")
    assert json.loads(content) == TOKEN.to_mapping()
    assert decode(content, WHERE, None, login="bob", written_at=0) == TOKEN


@pytest.mark.parametrize(
    "content",
    [
        b'{"access_token": "s3cret", "refresh_token": "s3cret"',
        b'{"access_token": ["s3cret"]}',
        b'"s3cret"',
        b"\xff s3cret",
        b"s3cret" * LARGEST,
        b"[" * 100_000 + b"s3cret",
    ],
)
@pytest.mark.parametrize("cipher", [None, Broken()], ids=["plain", "encrypted"])
def test_no_variable_of_the_error_shows_what_was_stored(content, cipher):
    with pytest.raises(StoreContentError) as raised:
        decode(Secret(content), WHERE, cipher, written_at=0)
    assert "s3cret" not in shown_by_tools(raised.value)


@pytest.mark.parametrize(
    ("token", "cipher"),
    [
        (Token("s3cret", "s3cret", extra={"x": object()}), None),
        (Token("s3cret", "s3cret", extra={"x": "s3cret" * LARGEST}), None),
        (Token("s3cret", "s3cret"), Broken()),
    ],
    ids=["no JSON", "too large", "a cipher that fails"],
)
def test_nor_what_cannot_be_stored(token, cipher):
    with pytest.raises(TokenStoreError) as raised:
        encode(token, WHERE, cipher)
    assert "s3cret" not in shown_by_tools(raised.value)


def test_content_of_another_key_is_corrupt():
    content = encode(TOKEN, WHERE, Fernet(Fernet.generate_key()))
    with pytest.raises(StoreContentError, match=r"cannot decrypt it: InvalidToken") as raised:
        decode(content, WHERE, Fernet(Fernet.generate_key()), written_at=0)
    assert WHERE in str(raised.value)


def test_plain_content_is_corrupt_to_who_has_a_cipher():
    with pytest.raises(StoreContentError, match="cannot decrypt"):
        decode(encode(TOKEN, WHERE, None), WHERE, Fernet(Fernet.generate_key()), written_at=0)


def test_encrypted_content_is_corrupt_to_who_has_no_cipher():
    content = encode(TOKEN, WHERE, Fernet(Fernet.generate_key()))
    with pytest.raises(StoreContentError, match="does not hold a token"):
        decode(content, WHERE, None, written_at=0)


def test_the_error_of_a_cipher_shows_no_secret():
    with pytest.raises(TokenStoreError, match="the cipher raised RuntimeError") as raised:
        encode(TOKEN, WHERE, Broken())
    assert "access" not in explained(raised)
    with pytest.raises(StoreContentError, match="RuntimeError") as raised:
        decode(encode(TOKEN, WHERE, None), WHERE, Broken(), written_at=0)
    assert "access" not in explained(raised)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[]", b'{"refresh_token": "secret"}', b"[" * 100_000]
)
def test_content_that_is_no_token_is_corrupt(content):
    with pytest.raises(StoreContentError, match="does not hold a token") as raised:
        decode(content, WHERE, None, written_at=0)
    assert raised.value.__context__ is None
    assert "secret" not in str(raised.value)


def test_content_that_is_too_large_is_corrupt():
    with pytest.raises(StoreContentError, match="larger than"):
        decode(b" " * LARGEST + b"{}", WHERE, None, written_at=0)


def test_a_token_that_could_not_be_read_back_is_not_written():
    with pytest.raises(TokenStoreError, match="bytes, 1048576 are the limit"):
        encode(Token("access", extra={"scope": "x" * LARGEST}), WHERE, None)


def test_a_token_that_is_no_json_is_not_written():
    with pytest.raises(TokenStoreError, match="not plain JSON"):
        encode(Token("access", extra={"scope": object()}), WHERE, None)


def test_a_reply_of_unknown_age_counts_as_old():
    reply = b'{"access_token": "access", "expires_in": 3600}'
    assert decode(reply, WHERE, None, written_at=0).expires_at == 3600


def test_a_cipher_is_checked_at_the_door():
    fernet = Fernet(Fernet.generate_key())
    assert check_cipher(fernet) is fernet
    assert isinstance(fernet, Cipher)
    assert check_cipher(None) is None


@pytest.mark.parametrize("cipher", [b"key", "key", object(), Fernet])
def test_what_is_no_cipher_is_refused(cipher):
    with pytest.raises(TypeError, match=r"such as cryptography\.fernet\.Fernet"):
        check_cipher(cipher)
