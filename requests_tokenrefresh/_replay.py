"""Sending a request again: may it be, from where, with which cookies, over which connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from http.client import HTTPException
from io import BytesIO
from typing import Any

import requests
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar, get_cookie_header
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError, NewConnectionError

_MOST_SET_ASIDE = 64 * 1024  # bytes of a 401 that are worth keeping its connection for
_LONGEST_SET_ASIDE = 1.0  # seconds, likewise
_READ_AT_ONCE = 16 * 1024  # bytes

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)  # by the server


# -- The body ----------------------------------------------------------------------------------


def body_position(body: Any) -> Any:
    """Return where the caller's file stands, or None for what has no position.

    To be asked before the first send; `rewind` takes it back there. That need not be 0: whoever
    has read a header line off a file sends the rest.
    """
    if not hasattr(body, "seek"):
        return None
    try:
        return body.tell()
    except (AttributeError, OSError, ValueError):  # not a file, a pipe, a closed file
        return None


def rewind(body: Any, position: Any) -> bool:
    """Make *body* ready to be sent again from *position*; return False if it cannot be."""
    if body is None or isinstance(body, bytes | str):
        return True
    if position is not None:
        try:
            body.seek(position)
        except (OSError, ValueError):
            return False
        return True
    # Without a position: an iterable that makes a new iterator each time (a list, a class with
    # a generator for its __iter__) starts over by itself; an iterator does not, nor does a stream.
    return not hasattr(body, "read") and isinstance(body, Iterable) and iter(body) is not body


class _Spooled:
    """A body that was read up front: a new iterator over the same pieces each time."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


class _PartlySpooled:
    """A body too large to spool: what was read of it, then the rest, once."""

    def __init__(self, pieces: list[bytes], rest: Iterator[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = rest

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        for piece in self._pieces:
            return piece
        return next(self._rest)


def spooled(request: requests.PreparedRequest, limit: int) -> requests.PreparedRequest:
    """Return *request* with up to *limit* bytes of a body that could be sent only once in memory.

    A longer body is sent as it comes and cannot be replayed. The caller's request is not changed.
    """
    body: Any = request.body
    if rewind(body, body_position(body)):
        return request
    source = _pieces(body)
    pieces: list[bytes] = []
    size = 0
    for piece in source:
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            return _with_body(request, _PartlySpooled(pieces, source))
    return _with_body(request, _Spooled(pieces))


def _pieces(body: Any) -> Iterator[bytes]:
    chunks = iter(lambda: body.read(_READ_AT_ONCE), body.read(0)) if hasattr(body, "read") else body
    for chunk in chunks:
        yield chunk.encode() if isinstance(chunk, str) else chunk


def _with_body(request: requests.PreparedRequest, body: Any) -> requests.PreparedRequest:
    spooled_request = shallow_copy(request)
    spooled_request.body = body
    if "Content-Length" not in request.headers:
        # requests before 2.29 sends a body without __len__ in chunks, and leaves it to this header,
        # which it has set for an iterator but not for a stream, to say so.
        spooled_request.headers = request.headers.copy()
        spooled_request.headers["Transfer-Encoding"] = "chunked"
    return spooled_request


# -- The request -------------------------------------------------------------------------------


def shallow_copy(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return a copy that shares all with *request* until it is given its own."""
    # As copy.copy() does it for a plain object, in a fifth of the time.
    copied = object.__new__(type(request))
    copied.__dict__.update(request.__dict__)
    return copied


def with_cookies(
    request: requests.PreparedRequest, answer: requests.Response
) -> requests.PreparedRequest:
    """Return *request* with the cookies that *answer* set: a server that binds the next attempt to
    a cookie (a CSRF token, a load balancer's) sees it, as it would from a browser."""
    if not answer.cookies:
        return request
    again = request.copy()
    jar = RequestsCookieJar() if again._cookies is None else again._cookies
    own_header = again.headers.pop("Cookie", None)
    if own_header != get_cookie_header(jar, again):
        return request  # the caller wrote that header, and the caller's word is last
    extract_cookies_to_jar(jar, answer.request, answer.raw)
    again.prepare_cookies(jar)
    return again


# -- The connection that a replay meets ---------------------------------------------------------


def may_go_out_again(error: requests.ConnectionError, method: str | None) -> bool:
    """Return whether a replay that met *error* may be sent once more, over another connection.

    It may if no connection could be had, so that nothing was sent; and if the connection was closed
    before there was an answer, where *method* is idempotent (RFC 9110 section 9.2.2). Many a server
    closes after its 401 without saying so, and is not always quicker than the replay.
    """
    causes = list(_causes(error))
    if any(isinstance(cause, NewConnectionError) for cause in causes):
        return not any(isinstance(cause.__cause__, TimeoutError) for cause in causes)
    closed = any(isinstance(cause, _CLOSED) for cause in causes)
    return closed and (method or "GET").upper() in _IDEMPOTENT


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Return *error* and what requests and urllib3 have wrapped in it."""
    while error is not None:
        yield error
        # The cause is where urllib3-future has it.
        error = getattr(error, "reason", None) or _first_error_in(error.args) or error.__cause__


def _first_error_in(args: tuple[Any, ...]) -> BaseException | None:
    return next((one for one in args if isinstance(one, BaseException)), None)


# -- The answer that a replay follows ----------------------------------------------------------


def set_aside(answer: requests.Response) -> None:
    """Read the rest of *answer* into memory and give its connection back, to serve the replay.

    The caller may still get it (in `response.history`, or with an error), and finds it as readable
    as it was. What is long or slow is not worth a connection: that one is closed, and the
    answer ends where the reading did.
    """
    raw = answer.raw
    if not isinstance(raw, HTTPResponse):
        # RuntimeError: a rule such as is_rejected has read it to its end already.
        with contextlib.suppress(requests.RequestException, RuntimeError):
            answer.content  # noqa: B018 - reads it, as a transport of its own kind knows how
        return
    content = _read_rest(raw)
    answer.raw = HTTPResponse(
        body=BytesIO(content),
        headers=raw.headers,
        status=raw.status,
        version=raw.version,
        reason=raw.reason,
        preload_content=False,
        decode_content=raw.decode_content,
        # requests takes the cookies from here, and nowhere else.
        original_response=raw._original_response,
        enforce_content_length=False,
    )


def _read_rest(raw: HTTPResponse) -> bytes:
    ends = time.monotonic() + _LONGEST_SET_ASIDE
    content = bytearray()
    with contextlib.suppress(HTTPError, HTTPException, OSError), _cut_short(raw):
        while len(content) < _MOST_SET_ASIDE and _limit_next_read(raw, ends):
            piece = _read_what_came(raw)
            content += piece
            if not piece:
                raw.release_conn()
                return bytes(content)
    raw.close()
    raw.release_conn()  # a pool that blocks counts it
    return bytes(content)


def _read_what_came(raw: HTTPResponse) -> bytes:
    source: Any = raw._fp
    # A wrapper that only passes read1 on, as that of CacheControl, would not learn of the end.
    bypassed = hasattr(source, "read1") and not hasattr(type(source), "read1")
    if hasattr(raw, "read1") and not bypassed:
        return raw.read1(_READ_AT_ONCE, decode_content=False)
    # urllib3 before 2.2 only has a read that waits for all it is asked for.
    came = getattr(source, "peek", bytes)()
    return raw.read(min(max(len(came), 1), _READ_AT_ONCE), decode_content=False)


def _limit_next_read(raw: HTTPResponse, ends: float) -> bool:
    """Let the socket wait for no longer than is left; urllib3 sets it anew with each request."""
    remaining = ends - time.monotonic()
    sock = getattr(raw.connection, "sock", None)
    if sock is not None and remaining > 0:
        sock.settimeout(remaining)
    return remaining > 0


@contextlib.contextmanager
def _cut_short(raw: HTTPResponse) -> Iterator[None]:
    """End reading in time where there is no socket to set: the connection's last answer took it.

    That socket serves nobody after this, so shutting it down from another thread disturbs nobody.
    """
    if raw.connection is None or getattr(raw.connection, "sock", None) is not None:
        yield
        return
    # By a duplicate: urllib3 before 2.3 cannot shut down what it reads from.
    with socket.fromfd(raw.fileno(), socket.AF_INET, socket.SOCK_STREAM) as duplicate:
        timer = threading.Timer(_LONGEST_SET_ASIDE, _hang_up, [duplicate])
        try:
            timer.start()
        except RuntimeError:  # none can be had: too many, or the end of a program on Python 3.12
            _hang_up(duplicate)  # what has arrived can be read still
        try:
            yield
        finally:
            timer.cancel()


def _hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the server was faster, or the reading
        line.shutdown(socket.SHUT_RDWR)
