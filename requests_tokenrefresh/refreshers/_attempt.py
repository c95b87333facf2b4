"""One attempt to log in by a browser: what is sent along, and what must come back."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .._door import check_text
from .._origins import require_secure

_RANDOM = 32  # bytes: 256 bits, and 43 characters, which RFC 7636 section 4.1 wants at least

# A private-use scheme has a dot (RFC 8252 section 7.1); so `javascript:` and `data:` are none.
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+-]*\.[a-z0-9+.-]*", re.IGNORECASE)

_OF_A_URI = re.compile("[!-~]*")  # RFC 3986 section 2

_KEPT = ("issuer", "redirect_uri", "state", "code_verifier")


class AuthorizationAttempt(dict[str, str]):
    """What `AuthorizationCodeGrant.begin` returns, to be kept until `finish`: plain strings, so
    that it goes through JSON and comes out as good. Its repr shows nothing of them.

    It holds the secrets of one attempt of one person. Keep it in that person's session, and take it
    out of there before `finish`, so that it serves once.
    """

    @property
    def url(self) -> str:
        """Where to send the person (RFC 6749 section 4.1.1)."""
        return self["url"]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.get('issuer')!r}>"


def new_attempt(issuer: str, redirect_uri: str, *, with_nonce: bool) -> AuthorizationAttempt:
    """Return an attempt, without its URL."""
    attempt = AuthorizationAttempt(
        issuer=issuer,
        redirect_uri=redirect_uri,
        state=secrets.token_urlsafe(_RANDOM),
        code_verifier=secrets.token_urlsafe(_RANDOM),
    )
    if with_nonce:
        attempt["nonce"] = secrets.token_urlsafe(_RANDOM)
    return attempt


def check_attempt(attempt: Mapping[str, Any], issuer: str) -> Mapping[str, Any]:
    """Return *attempt*, which was begun at *issuer*.

    Raises:
        TypeError, ValueError: It was not, or is none. The message repeats nothing of it.
    """
    if not isinstance(attempt, Mapping):
        raise TypeError(f"attempt is what begin() returned, got {type(attempt).__name__}")
    for name in _KEPT:
        if not isinstance(attempt.get(name), str) or not attempt[name]:
            raise ValueError(f"attempt has no {name!r}: pass what begin() returned, all of it")
    if attempt["issuer"] != issuer:
        raise ValueError(
            f"attempt was begun at another issuer than {issuer}: finish it with the grant that "
            "began it (RFC 9700 section 4.4.2)"
        )
    return attempt


def code_challenge(code_verifier: str) -> str:
    """Return the challenge by S256 (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def check_redirect_uri(redirect_uri: str, *, insecure: bool) -> str:
    """Return *redirect_uri*, to which a browser can take the code without giving it away.

    Raises:
        TypeError, ValueError: It is none.
        InsecureTransportError: It is plain http to another machine, and not *insecure*.
    """
    if not isinstance(redirect_uri, str):
        raise TypeError(f"redirect_uri is a string, got {type(redirect_uri).__name__}")
    check_text("redirect_uri", redirect_uri)
    scheme = redirect_uri.partition(":")[0].lower()
    if scheme in ("http", "https"):
        require_secure(redirect_uri, insecure=insecure, what="redirect_uri")
        urlsplit(redirect_uri)
    elif not _PRIVATE_USE.fullmatch(scheme):
        raise ValueError(
            "redirect_uri is an https URL, an http one of the loopback, or of a scheme of your own "
            f"with a dot in it (RFC 8252 section 7), got {redirect_uri!r}"
        )
    if not _OF_A_URI.fullmatch(redirect_uri):
        # A browser asks for it in another spelling than that in which it was sent.
        raise ValueError(
            "redirect_uri has a character that no URI has (RFC 3986 section 2): write it as %XX, "
            f"as it is registered, got {redirect_uri!r}"
        )
    if "#" in redirect_uri:
        raise ValueError("redirect_uri has a fragment (RFC 6749 section 3.1.2): drop it")
    return redirect_uri
