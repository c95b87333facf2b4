"""What may be told of an exception that was raised while a secret was on its way."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from typing import TypeVar

import requests
from urllib3.exceptions import (
    IncompleteRead,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    SSLError,
)

from .._foreign import plainly, raised_in
from ._quote import Secrets

E = TypeVar("E", bound=BaseException)

_LONGEST = 4096  # characters that are looked through
_DEEPEST = 5  # containers in containers

# The exchange has a session of its own, so what helps elsewhere does not help here.
VERIFY = (
    "pass verify= with the CA bundle that its certificate is signed by, or cert= if it wants one "
    "of the client: what your session has for verify and cert does not count here"
)
_NO_TLS = (
    "the server does not seem to speak TLS there: check the URL, and its port (plain http is for "
    "this machine), or try again later"
)
# What OpenSSL calls an answer that is none of TLS, in its versions.
_OF_NO_TLS = (
    *("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"),
    "UNEXPECTED_EOF",
)
_PROXIES = (
    "check proxies= and the environment's HTTPS_PROXY and NO_PROXY: what your session has for "
    "proxies does not count here"
)
_PROXY_ERRORS = (
    ProxyError,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.InvalidSchema,  # of a SOCKS proxy, without what requests needs for it
)


def innermost(error: BaseException) -> BaseException:
    """Return what requests and urllib3 wrapped: `MaxRetryError` repeats the URL's query."""
    while isinstance(error, requests.RequestException | MaxRetryError):
        inner = error.reason if isinstance(error, MaxRetryError) else next(iter(error.args), None)
        if not isinstance(inner, BaseException):
            return error
        error = inner
    return error


def is_lost(error: Exception) -> bool:
    """Return whether an exchange has failed because nobody could be reached, or because the
    connection broke before all of the answer was there; not if it took too long."""
    cause = innermost(error)
    if isinstance(cause, ProxyError):
        cause = next((inner for inner in cause.args if isinstance(inner, Exception)), cause)
    if isinstance(cause, NewConnectionError):
        return not isinstance(cause.__cause__ or cause.__context__, TimeoutError)
    # urllib3 has what has happened among the arguments, urllib3-future as the cause.
    return isinstance(cause, ProtocolError) and any(
        isinstance(inner, ConnectionError | http.client.IncompleteRead | IncompleteRead)
        for inner in (cause, *cause.args, cause.__cause__)
    )


def advice_for(error: Exception) -> str:
    """Return what to do about *error*, which a request has met instead of an answer."""
    cause = innermost(error)
    if isinstance(cause, ssl.SSLError | SSLError) or "TLS" in str(cause):
        no_tls = any(name in str(cause).upper().replace(" ", "_") for name in _OF_NO_TLS)
        return _NO_TLS if no_tls else VERIFY
    if isinstance(cause, _PROXY_ERRORS):
        return _PROXIES
    return "try again later"


def without_frames(error: E) -> E:
    """Return *error* without the frames it and its causes passed, nor what of a reply they hold.

    The variables there are the request and the reply, and there are tools that print them.
    """
    for raised in raised_in(error):
        raised.__traceback__ = None
        if type(raised) is http.client.IncompleteRead:  # urllib3's has only a number
            raised.partial = bytes(len(raised.partial))  # it tells how many
            raised.args = (raised.partial,)
    return error


def unless_it_tells(error: E, secrets: Secrets) -> E | None:
    """Return *error*, printable, or None if a report of it may give one of *secrets* away: by what
    it says and has in it, or what it was raised from. So may what is too long to look through."""
    if _tells(error, secrets):
        _take_out_what_is_not_shown(error)
        if _tells(error, secrets):
            return None
    return plainly(error)


def _tells(error: BaseException, secrets: Secrets) -> bool:
    if not secrets.values:
        return False
    told, length = [], 0
    try:
        for text in (text for raised in raised_in(error) for text in _said_by(raised)):
            told.append(text)
            length += len(text)
            if length > _LONGEST:
                return True
    except Exception:  # of a __str__ of its own
        return True
    return secrets.repeated_in("\n".join(told))


def _take_out_what_is_not_shown(error: BaseException) -> None:
    """The URL of an error of urllib3, and the text that is no JSON."""
    for raised in raised_in(error):
        for name in ("url", "doc"):
            if isinstance(vars(raised).get(name), str):
                setattr(raised, name, "")


def _said_by(error: BaseException) -> Iterator[str]:
    yield str(error)
    # A UnicodeError has the whole text among its arguments, a JSONDecodeError in an attribute.
    yield from _texts_in([error.args, vars(error)], 0)


def _texts_in(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes | bytearray):
        yield value.decode("latin-1")
    elif isinstance(value, Mapping | list | tuple | set | frozenset) and depth < _DEEPEST:
        inner = (*value, *value.values()) if isinstance(value, Mapping) else value
        for one in inner:
            yield from _texts_in(one, depth + 1)
