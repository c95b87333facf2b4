"""Real servers on the loopback, for tests.

`HTTPServer` answers with whatever a test's function returns; `RawServer` leaves the bytes to the
test, for answers no well-behaved server gives. Both count the connections they accepted, and
both are gone (threads and sockets included) when their `with` block ends.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import BinaryIO, TypeVar

S = TypeVar("S", bound="_Server")

observers: list[Callable[[Received], object]] = []
"""Who else is told of each request that any server here reads."""

_ACCEPT_POLL = 0.01  # seconds until a closing server notices
_JOIN_TIMEOUT = 10.0  # seconds a script may go on after its socket was shut down


@dataclass(frozen=True)
class Received:
    """A request as the server read it, its body included.

    Attributes:
        method: As sent.
        path: As sent, with the query.
        headers: `headers["name"]` ignores case and is None if absent; `headers.get_all("name")`
            gives every value.
        body: Decoded from ``Content-Length`` or chunks.
        connection: Which TCP connection it came on, counted from 1.
        number: Its place in `HTTPServer.requests`, counted from 1.
    """

    method: str
    path: str
    headers: http.client.HTTPMessage
    body: bytes
    connection: int = 0
    number: int = 0


@dataclass(frozen=True)
class Reply:
    """What the server answers.

    Attributes:
        status: 100 to 599.
        body: Bytes, sent in one piece with the head; or an iterable, each item sent as it comes:
            in chunks, or as it is if *headers* has a ``Content-Length``. It is not sent to a
            HEAD, nor with a 204 or a 304.
        headers: Pairs, sent in this order. ``Content-Length`` is added unless it is here, and it
            need not be true (then *close* as well).
        close: Close the connection after the reply, and say so.
    """

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: Sequence[tuple[str, str]] = ()
    close: bool = False

    @classmethod
    def json(cls, value: object, status: int = 200) -> Reply:
        """Return a reply with *value* as its JSON body."""
        body = json.dumps(value).encode()
        return cls(status, body, [("Content-Type", "application/json")])


Handler = Callable[[Received], "Reply | None"]
"""Answers a request, on the thread of its connection; None hangs up without an answer.

What it raises hangs up too, and fails the test.
"""


class _Server:
    """Accepts connections, and holds `_converse` on each, on a thread of its own."""

    def __init__(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._host = f"[{host}]" if ":" in host else host
        # A burst of several hundred threads connects before the first accept.
        self._listener = socket.create_server((host, 0), family=family, backlog=4096)
        self._listener.settimeout(_ACCEPT_POLL)
        self._port: int = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self._accepted = 0  # written by the acceptor only
        self._conversations: list[tuple[threading.Thread, socket.socket]] = []  # the same
        self._acceptor = threading.Thread(
            target=self._accept, name=f"acceptor-{self._port}", daemon=True
        )
        self._acceptor.start()

    def _converse(self, connection: socket.socket, number: int) -> None:
        raise NotImplementedError

    @property
    def url(self) -> str:
        """``http://HOST:PORT``, without a slash at the end."""
        return f"http://{self._host}:{self._port}"

    def __enter__(self: S) -> S:  # noqa: PYI019 - typing.Self came with Python 3.11
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up every connection, and wait for their threads. May be called again."""
        self._closing.set()
        self._acceptor.join()
        self._listener.close()
        for _, connection in self._conversations:
            with contextlib.suppress(OSError):  # it has ended by itself
                connection.shutdown(socket.SHUT_RDWR)
        for thread, _ in self._conversations:
            thread.join(_JOIN_TIMEOUT)
            assert not thread.is_alive(), f"{thread.name} goes on: open its gate before the end"

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._accepted += 1
            thread = threading.Thread(
                target=self._run,
                args=(connection, self._accepted),
                name=f"connection-{self._port}-{self._accepted}",
                daemon=True,
            )
            self._conversations.append((thread, connection))
            thread.start()

    def _run(self, connection: socket.socket, number: int) -> None:
        with connection, contextlib.suppress(ConnectionError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._converse(connection, number)


class RawServer(_Server):
    """Accepts connections and runs *script* on each, on a thread of its own.

    The script gets the connected socket, which is closed when it returns; a client that goes
    away early (`ConnectionError`) ends it quietly, any other exception fails the test. Bytes it
    left unread turn that close into a reset: `read_request` reads them.

    Args:
        script: Called with each connection.
        host: The address to listen on: ``127.0.0.1``, ``127.0.0.2``, ``localhost``, ``::1``.
    """

    def __init__(self, script: Callable[[socket.socket], None], *, host: str = "127.0.0.1") -> None:
        self._script = script
        super().__init__(host)

    @property
    def accepted(self) -> int:
        """How many connections were accepted so far."""
        return self._accepted

    def _converse(self, connection: socket.socket, number: int) -> None:
        self._script(connection)


class HTTPServer(_Server):
    """An HTTP/1.1 server with keep-alive, a thread for each connection.

    Args:
        handler: Called with each request once its body has been read.
        host: As in `RawServer`.
    """

    def __init__(self, handler: Handler, *, host: str = "127.0.0.1") -> None:
        self._handler = handler
        self._turn = threading.Lock()
        self._requests: list[Received] = []  # guarded by _turn
        super().__init__(host)

    @property
    def requests(self) -> list[Received]:
        """The requests so far, in the order they were read; a copy."""
        with self._turn:
            return list(self._requests)

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return self._accepted

    def _converse(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as stream:
            while True:
                request = _read(stream)
                if request is None:
                    return
                request = self._record(request, number)
                reply = self._handler(request)
                if reply is None:
                    return
                _send(connection, request, reply)
                if reply.close or _asks_to_close(request):
                    return

    def _record(self, request: Received, connection: int) -> Received:
        with self._turn:
            numbered = replace(request, connection=connection, number=len(self._requests) + 1)
            self._requests.append(numbered)
        return numbered


def read_request(connection: socket.socket) -> Received:
    """Read one request, with its body; for the script of a `RawServer`.

    Raises:
        ConnectionError: The client hung up instead.
    """
    with connection.makefile("rb") as stream:
        request = _read(stream)
    if request is None:
        raise ConnectionError("the client sent no request")
    return request


def reset(connection: socket.socket) -> None:
    """Close *connection* with a RST: the peer gets `ConnectionResetError`."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _read(stream: BinaryIO) -> Received | None:
    request_line = stream.readline().decode("latin-1").split()
    if len(request_line) != 3:
        return None  # hung up
    method, path, _version = request_line
    headers = http.client.parse_headers(stream)
    request = Received(method, path, headers, _read_body(stream, headers))
    for observe in observers:
        observe(request)
    return request


def _read_body(stream: BinaryIO, headers: http.client.HTTPMessage) -> bytes:
    if headers["Transfer-Encoding"] != "chunked":
        return _read_exactly(stream, int(headers["Content-Length"] or 0))
    body = b""
    while size := int(_read_line(stream), 16):
        body += _read_exactly(stream, size)
        _read_line(stream)
    _read_line(stream)
    return body


def _read_line(stream: BinaryIO) -> bytes:
    line = stream.readline()
    if not line:
        raise ConnectionError("the client hung up in the middle of a body")
    return line


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ConnectionError("the client hung up in the middle of a body")
    return data


def _send(connection: socket.socket, request: Received, reply: Reply) -> None:
    bodiless = request.method == "HEAD" or reply.status in (204, 304)
    if isinstance(reply.body, bytes):
        # Head and body leave together: two small writes wait for a delayed acknowledgement.
        body = b"" if bodiless else reply.body
        connection.sendall(_head(reply, {"Content-Length": str(len(reply.body))}) + body)
        return
    connection.sendall(_head(reply, {"Transfer-Encoding": "chunked"}))
    if bodiless:
        return
    if _has(reply, "Content-Length"):
        for piece in reply.body:
            connection.sendall(piece)
        return
    for piece in filter(None, reply.body):  # an empty chunk would be the last one
        connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    connection.sendall(b"0\r\n\r\n")


def _head(reply: Reply, framing: dict[str, str]) -> bytes:
    fields = list(reply.headers)
    if reply.status not in (204, 304) and not _has(reply, "Content-Length"):
        fields += framing.items()
    if reply.close:
        fields.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {reply.status} {_reason(reply.status)}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unregistered"  # 419, 498: answers of some frameworks


def _has(reply: Reply, name: str) -> bool:
    return any(field.lower() == name.lower() for field, _ in reply.headers)


def _asks_to_close(request: Received) -> bool:
    return (request.headers["Connection"] or "").lower() == "close"
