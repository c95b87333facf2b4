"""What may be told of an exception that was raised while a secret was on its way."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from typing import TypeVar

import requests
from urllib3.exceptions import (
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    SSLError,
)

from .._foreign import plainly
from ._quote import Secrets

E = TypeVar("E", bound=BaseException)

# The exchange has a session of its own, so what helps elsewhere does not help here.
_VERIFY = (
    "pass verify= with the CA bundle that its certificate is signed by, or cert= if it wants one "
    "of the client: what your session has for verify and cert does not count here"
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
    return isinstance(cause, ProtocolError) and any(
        isinstance(inner, ConnectionError | http.client.IncompleteRead) for inner in cause.args
    )


def advice_for(error: Exception) -> str:
    """Return what to do about *error*, which a request has met instead of an answer."""
    cause = innermost(error)
    if isinstance(cause, ssl.SSLError | SSLError) or "TLS" in str(cause):
        return _VERIFY
    if isinstance(cause, _PROXY_ERRORS):
        return _PROXIES
    return "try again later"


def without_frames(error: E) -> E:
    """Return *error* without the frames it and its causes passed.

    Their variables are the request and the reply, and there are tools that print them.
    """
    for raised in _chain(error):
        raised.__traceback__ = None
    return error


def unless_it_tells(error: E, secrets: Secrets) -> E | None:
    """Return *error*, or None if its text or that of a cause gives one of *secrets* away."""
    tells = any(secrets.repeated_in(str(raised)) for raised in _chain(error))
    return None if tells else plainly(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
