"""What listens on the loopback for the browser that comes back (RFC 8252 sections 7.3 and 8.3).

Any program of this machine, and any page in its browsers, can send requests here. One of them is
the answer; the others cost a thread for a few seconds, and change nothing.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, cast

from ._loopback import Loopback
from ._pages import HEADERS, NO_ANSWER, NOT_HERE, NOT_OUR_NAME, ONLY_GET, UNREADABLE, Page

_SILENCE = 10.0  # seconds that a connection may say nothing; browsers open some beforehand
_MOST = 200  # connections; who opens more loses the oldest
_POLL = 0.05  # seconds until closing is noticed
_GRACE = 0.5  # seconds for the last page to leave


class Listener:
    """Listens until it is closed, with a thread for each connection: one that says nothing must
    not hold up the one with the answer.

    Args:
        loopback: Where.

    Attributes:
        redirect_uri: Where exactly, with the port.

    Raises:
        LoginFailedError: Somebody else listens there.
    """

    def __init__(self, loopback: Loopback) -> None:
        self._path = loopback.path
        self._offer: Callable[[str], str] | None = None
        self._page: Page | None = None  # written once, before _told is set
        self._told = threading.Event()
        self._closing = threading.Event()
        self._turn = threading.Lock()
        self._owed: set[threading.Thread] = set()  # who waits for a page; guarded by _turn
        self._connections: deque[socket.socket] = deque()  # guarded by _turn
        self._listening = loopback.bind()
        port = self._listening[0].getsockname()[1]
        self.redirect_uri = loopback.uri(port)
        self._authority = loopback.authority(port)
        self._acceptors = [
            threading.Thread(target=self._accept, args=(one,), name="login-listener", daemon=True)
            for one in self._listening
        ]
        for acceptor in self._acceptors:
            acceptor.start()

    def expect(self, offer: Callable[[str], str]) -> None:
        """From now on *offer* is called with the query of each answer: it returns what is wrong
        with it, or nothing."""
        self._offer = offer

    def tell(self, page: Page) -> None:
        """Show *page* to whoever has brought the right answer."""
        self._page = page
        self._told.set()

    def close(self) -> None:
        """Close the port, let the last page leave, and hang up on everybody."""
        self._closing.set()
        for acceptor in self._acceptors:
            acceptor.join()
        for one in self._listening:
            one.close()
        self._told.set()
        until = time.monotonic() + _GRACE
        with self._turn:
            owed = list(self._owed)
        for thread in owed:
            thread.join(max(0.0, until - time.monotonic()))
        with self._turn:
            for connection in self._connections:
                _hang_up(connection)

    def page_for(self, target: str, hosts: list[str]) -> Page | None:
        """Return the answer to a GET, as soon as it can tell the truth; None: there is none."""
        path, _, query = target.partition("?")
        if [host.lower() for host in hosts] != [self._authority]:
            return NOT_OUR_NAME  # a name of somebody's that was made to point here
        if path != self._path:
            return NOT_HERE
        # Before it is offered: whoever waits for it may have done all the rest a moment later.
        with self._turn:
            self._owed.add(threading.current_thread())
        if self._offer is None or self._offer(query):
            return NO_ANSWER
        self._told.wait()
        return self._page

    def _accept(self, listening: socket.socket) -> None:
        listening.settimeout(_POLL)
        while not self._closing.is_set():
            try:
                connection, address = listening.accept()
            except TimeoutError:
                continue
            except OSError:  # the peer has gone already, or there are too many open files
                self._closing.wait(_POLL)
                continue
            self._hold(connection)
            try:
                threading.Thread(
                    target=self._converse,
                    args=(connection, address),
                    name="login-connection",
                    daemon=True,
                ).start()
            except RuntimeError:  # there are too many threads
                self._let_go(connection)

    def _hold(self, connection: socket.socket) -> None:
        with self._turn:
            self._connections.append(connection)
            if len(self._connections) > _MOST:
                _hang_up(self._connections[0])  # its own thread lets it go

    def _converse(self, connection: socket.socket, address: Any) -> None:
        try:
            # What a browser does to its connection is its own affair.
            with contextlib.suppress(OSError):
                _Conversation(connection, address, cast("Any", self))
        finally:
            self._let_go(connection)

    def _let_go(self, connection: socket.socket) -> None:
        with self._turn:
            self._connections.remove(connection)
            self._owed.discard(threading.current_thread())
        _hang_up(connection)
        connection.close()


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Conversation(BaseHTTPRequestHandler):
    """One request, and its page."""

    server: Any  # the `Listener`; the base wants nothing of it
    timeout = _SILENCE
    wbufsize = -1  # in one write

    def do_GET(self) -> None:
        # Not by get_all: for HTTP/0.9, which has none, newer Pythons have a plain dict here.
        hosts = [value for name, value in self.headers.items() if name.lower() == "host"]
        self._show(self.server.page_for(self.path, hosts))

    def send_error(self, code: int, message: Any = None, explain: Any = None) -> None:
        """Say as little to what the base cannot read as to the rest; and to what is no GET: a
        preflight has the code in its address too."""
        self._show(ONLY_GET if code == 501 else UNREADABLE)

    def version_string(self) -> str:
        """Say nothing of the version."""
        return "requests-tokenrefresh"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Say nothing: the code is in the request."""

    def _show(self, page: Page | None) -> None:
        self.close_connection = True
        if page is None:
            return
        body = page.body()
        self.request_version = "HTTP/1.1"  # whatever it was: a status line and headers are sent
        self.send_response(page.status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
