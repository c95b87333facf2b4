"""What an issuer publishes about itself: where that is, and what of it can be right.

RFC 8414 puts its well-known part before the issuer's path, OpenID Connect Discovery section 4 puts
its own behind it, and there are servers that have either the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .._errors import InsecureTransportError, LoginFailedError, RefreshFailedError
from .._origins import require_secure
from ._documents import NOTHING, Documents

_OF_OAUTH = "/.well-known/oauth-authorization-server"
_OF_OPENID = "/.well-known/openid-configuration"
_WELL_KNOWN = re.compile(r"/\.well-known/[^/]*")

BY_HAND = "write its endpoints down: AuthorizationServer(token_endpoint=..., ...)"

_URL, _WORDS, _FLAG = "URL", "words", "flag"

# What is read, by the names of RFC 8414 section 2, and as what. All else is left alone.
_READ = {
    "token_endpoint": _URL,
    "authorization_endpoint": _URL,
    "device_authorization_endpoint": _URL,
    "revocation_endpoint": _URL,
    "scopes_supported": _WORDS,
    "token_endpoint_auth_methods_supported": _WORDS,
    "code_challenge_methods_supported": _WORDS,
    "authorization_response_iss_parameter_supported": _FLAG,
}
ENDPOINTS = frozenset(name for name, kind in _READ.items() if kind is _URL)


def metadata_of(issuer: str, documents: Documents) -> dict[str, Any]:
    """Return what *issuer* publishes about itself, as far as anybody here uses it.

    Raises:
        LoginFailedError: Nothing, or that of another, or what cannot be right.
        RefreshFailedError: It is out of reach, or in trouble.
        ValueError, InsecureTransportError: *issuer* is no issuer that could be asked.
    """
    check_issuer(issuer)
    return _checked(_found(issuer, documents), issuer)


def addresses(issuer: str) -> list[str]:
    """Return where the metadata of *issuer* may be, in the order in which it is looked for."""
    parts = urlsplit(issuer.removesuffix("/"))
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path
    before = [f"{origin}{_OF_OAUTH}{path}", f"{origin}{_OF_OPENID}{path}"]
    behind = [f"{origin}{path}{_OF_OAUTH}", f"{origin}{path}{_OF_OPENID}"]
    return list(dict.fromkeys([before[0], behind[1], behind[0], before[1]]))


def check_issuer(issuer: str) -> None:
    """Return if *issuer* is one that can be asked.

    Raises:
        ValueError, InsecureTransportError: It is not.
    """
    require_secure(
        issuer, what="the issuer", switch="its endpoints' URLs to a grant, with insecure=True,"
    )
    if "?" in issuer or "#" in issuer:
        raise ValueError("an issuer has no query and no fragment (RFC 8414 section 2): drop them")
    if _WELL_KNOWN.search(issuer):
        raise ValueError(
            f"{issuer} is where an issuer publishes something, and not its name: pass "
            f"{_WELL_KNOWN.sub('', issuer)!r}"
        )


def _found(issuer: str, documents: Documents) -> Mapping[str, Any]:
    """Return the document that is of *issuer*.

    What is of another must not be used (RFC 8414 section 3.3), and says nothing of the other
    addresses: servers of many issuers answer with that of one of them where they know no better.
    """
    nothing, mismatch = [], None
    for url in addresses(issuer):
        try:
            fields, problem = documents.at(url)
        except RefreshFailedError:
            if mismatch is not None:
                break
            raise
        if fields is not None and {"issuer", "token_endpoint"}.isdisjoint(fields):
            fields, problem = None, "200, but no metadata"  # such as {"error": "not found"}
        if fields is None:
            nothing.append(f"{urlsplit(url).path} ({problem})")
        elif _same(fields.get("issuer"), issuer):
            return fields
        else:
            mismatch = mismatch or _mismatch(fields.get("issuer"), issuer)
    raise mismatch or LoginFailedError(
        f"{issuer} publishes nothing about its endpoints (RFC 8414): there is nothing at "
        f"{', '.join(nothing)}; check the issuer's address, or {BY_HAND}",
        reason="no_discovery",
    )


def _same(named: object, issuer: str) -> bool:
    """Return whether *named* is *issuer*; one slash at the end may differ, as it often does."""
    return isinstance(named, str) and named.removesuffix("/") == issuer.removesuffix("/")


def _mismatch(named: object, issuer: str) -> LoginFailedError:
    said = NOTHING.quote(str(named))
    if not isinstance(named, str):
        problem = f"does not say whose it is; ask its server's people, or {BY_HAND}"
    elif "{" in named:  # Entra's "common": https://login.microsoftonline.com/{tenantid}/v2.0
        problem = f"is for many tenants; pass the issuer of yours, which is like {said}"
    else:
        problem = f"is of the issuer {said}; if that is whom you mean, pass it as the issuer"
    return LoginFailedError(
        f"what is published at {issuer} {problem} (RFC 8414 section 3.3)", reason="issuer_mismatch"
    )


def _checked(found: Mapping[str, Any], issuer: str) -> dict[str, Any]:
    """Return what is used of the document *found*.

    Raises:
        LoginFailedError: An endpoint in it is none, or one to which no secret can go.
    """
    metadata: dict[str, Any] = {"issuer": found["issuer"]}
    for name, kind in _READ.items():
        value = found.get(name)
        if kind is _WORDS:
            metadata[name] = _words(value)
        elif kind is _FLAG:
            metadata[name] = value is True
        elif value not in (None, ""):
            problem = _problem(value, issuer)
            if problem:
                raise _unusable(issuer, f"{name} {problem}")
            metadata[name] = value
    if "token_endpoint" not in metadata:
        raise _unusable(issuer, "token_endpoint is missing")
    return metadata


def _words(value: object) -> tuple[str, ...] | None:
    """Return a list of words; None if it is none, which is as good as not said."""
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    return None


def _problem(url: object, issuer: str) -> str:
    """Return what is wrong with the *url* of an endpoint, in words; empty: nothing."""
    try:
        if not isinstance(url, str) or "#" in url:
            return "is not the URL of an endpoint"
        require_secure(url)
    except InsecureTransportError:
        return "is plain http: is the server told its public address (X-Forwarded-Proto)?"
    except ValueError:
        return "is not the URL of an endpoint"
    # On the loopback of this machine, which the issuer does not know, somebody else may listen.
    if issuer.lower().startswith("https:") and not url.lower().startswith("https:"):
        return "is plain http, and the issuer is not (RFC 8252 section 8.3)"
    return ""


def _unusable(issuer: str, problem: str) -> LoginFailedError:
    return LoginFailedError(
        f"what {issuer} publishes about itself cannot be used: its {problem}; ask its people to "
        f"put that right, or {BY_HAND}",
        reason="bad_answer",
    )
