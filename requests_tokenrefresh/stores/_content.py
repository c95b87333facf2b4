"""What a shared store keeps of a token: JSON, encrypted if a cipher is given; and of a pause."""

from __future__ import annotations

import json
import math
from typing import Protocol, runtime_checkable

from .._errors import StoreContentError, TokenStoreError
from .._token import Token
from ._protocol import StoredPause
from ._secret import Secret

_STORED_FOR = "stored_for"  # the field with the name of the login

LARGEST = 1024 * 1024  # bytes; a token with its id_token takes a few thousand


@runtime_checkable
class Cipher(Protocol):
    """Encrypts what is stored: ``Fernet`` and ``MultiFernet`` of `cryptography` are ciphers.

    Safe from any thread. Whatever *decrypt* raises means that the content cannot be decrypted.
    """

    def encrypt(self, data: bytes, /) -> bytes:
        """Return *data* encrypted and authenticated."""

    def decrypt(self, token: bytes, /) -> bytes:
        """Return what `encrypt` was given, or raise."""


def check_cipher(cipher: Cipher | None) -> Cipher | None:
    """Return *cipher*, or refuse what is none.

    Raises:
        TypeError: *cipher* has no `encrypt` and `decrypt`.
    """
    if cipher is None or (isinstance(cipher, Cipher) and not isinstance(cipher, type)):
        return cipher
    given = cipher.__name__ + " itself" if isinstance(cipher, type) else type(cipher).__name__
    raise TypeError(
        "cipher is an object with encrypt(bytes) and decrypt(bytes), such as "
        f"cryptography.fernet.Fernet(key), or None; got {given}"
    )


def encode(token: Token, where: str, cipher: Cipher | None, *, login: str | None = None) -> Secret:
    """Return what to store of *token*.

    Args:
        where: What to call the place in an error: ``the token file /home/…``.
        login: The name that the login has there, if others can write to that place. It is inside of
            what is encrypted, so that nobody can put one login in the place of another.

    Raises:
        TokenStoreError: *token* cannot be stored.
    """
    content = _as_json(token, login if cipher is not None else None)
    if isinstance(content, str):
        raise TokenStoreError(
            f"cannot write {where}, which is as it was: "
            f"the token's extra fields are not plain JSON ({content})"
        )
    if cipher is not None:
        content = _encrypted(content, where, cipher)
    if len(content) > LARGEST:  # it could not be read back
        raise TokenStoreError(
            f"cannot write {where}, which is as it was: "
            f"the token takes {len(content)} bytes, {LARGEST} are the limit"
        )
    return content


def decode(
    content: bytes,
    where: str,
    cipher: Cipher | None,
    *,
    login: str | None = None,
    written_at: float,
) -> Token:
    """Return the token that *content* was made of.

    Args:
        where, login: As for `encode`.
        written_at: When it was stored, in epoch seconds, for a reply that was put there by hand; 0
            if the place does not know, so that the reply counts as old.

    Raises:
        StoreContentError: *content* is no token, or was encrypted with another key, or for another
            login.
    """
    token, problem = _decoded(content, cipher, login, written_at)
    # Raised out here, because what was caught may carry secrets (a JSONDecodeError the whole
    # document) and would travel along as the context.
    if token is None:
        raise StoreContentError(
            f"{where} does not hold a token ({problem}); "
            "it was left as it was: move it away and log in again"
        )
    return token


def encode_pause(pause: StoredPause) -> bytes:
    """Return what to store of *pause*: three numbers."""
    return f"{float(pause.until)!r} {float(pause.seconds)!r} {int(pause.failures)}\n".encode()


def decode_pause(content: bytes) -> StoredPause | None:
    """Return what `encode_pause` was given; None if *content* is nothing of the kind."""
    try:
        until, lasts, failures = content.split()
        pause = StoredPause(float(until), float(lasts), int(failures))
    except ValueError:
        return None
    finite = math.isfinite(pause.until) and math.isfinite(pause.seconds)
    return pause if finite and pause.seconds >= 0 and pause.failures >= 0 else None


# No error passes through the following: there are tools that show variables.


def _as_json(token: Token, login: str | None) -> Secret | str:
    """Return *token* as JSON, or why it cannot be."""
    mapping = token.to_mapping()
    if login is not None:
        mapping = {_STORED_FOR: login, **mapping}
    try:
        return Secret(json.dumps(mapping, indent=2).encode() + b"\n")
    except (TypeError, ValueError, RecursionError) as error:
        return str(error)


def _decoded(
    content: bytes, cipher: Cipher | None, login: str | None, written_at: float
) -> tuple[Token | None, str]:
    """Return the token, or None and what is wrong with *content*."""
    if len(content) > LARGEST:
        return None, f"it is larger than {LARGEST} bytes"
    try:
        plain = content if cipher is None else cipher.decrypt(content)
    except Exception as error:  # not its message, which may repeat what it was given
        return None, f"the cipher cannot decrypt it: {type(error).__name__}"
    try:
        reply = json.loads(plain)
        if cipher is not None and login is not None and not _is_of(login, reply):
            return None, "it was encrypted under another name, or under none"
        return Token.from_mapping(reply, received_at=written_at), ""
    except (ValueError, RecursionError) as error:
        return None, str(error)


def _is_of(login: str, reply: object) -> bool:
    return isinstance(reply, dict) and reply.pop(_STORED_FOR, None) == login


def _encrypted(content: Secret, where: str, cipher: Cipher) -> Secret:
    try:
        return Secret(cipher.encrypt(content))
    except Exception as error:
        reason = type(error).__name__
    raise TokenStoreError(f"cannot write {where}, which is as it was: the cipher raised {reason}")
