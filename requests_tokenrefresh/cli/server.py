"""The demo's server: `Authorization` over real HTTP/1.1 on 127.0.0.1, in a process of its own.

`POST /login` begins a login and answers with its first token reply, `POST /oauth/token` is the
token endpoint, `GET /data` (POST too) is what the tokens protect, and `GET /counts` says what
happened to the login that began last. As an issuer it has more to say: `issuer_routes`. Who is let
in is said in `server_door`.
"""

from __future__ import annotations

import json
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from .._foreign import printable, traceback_of
from .authorization import Authorization
from .issuer_routes import ROUTES as ISSUER_ROUTES
from .issuer_routes import Asked, Issuer
from .one_client import CLIENT_ID
from .server_door import Refused, check_sender, length_of_body


@dataclass(frozen=True)
class ServerSettings:
    """How the server behaves. All times are seconds.

    Attributes:
        port: The port on 127.0.0.1; 0 for any that is free.
        token_seconds: How long an access token lives.
        announce: Whether token replies say so (``expires_in``).
        data_seconds: How long an answer of the protected resource takes.
        refresh_seconds: How long an answer of the token endpoint takes.
        consent: Whether it agrees to logins at once, without a page with a button.
        device_seconds: How long a person has to enter a device's code.
        interval: How long a device waits between two polls.
    """

    port: int = 0
    token_seconds: float = 10.0
    announce: bool = True
    data_seconds: float = 0.005
    refresh_seconds: float = 0.075
    consent: bool = False
    device_seconds: float = 600
    interval: float = 2


class DemoServer(ThreadingHTTPServer):
    """The server itself, in this process: `serve_forever`, `shutdown` and `server_close`.

    Raises:
        OSError: The port is taken.
    """

    daemon_threads = True
    # A storm opens all its connections at once; the default backlog of 5 would drop most of
    # them, and each would try again after a second.
    request_queue_size = 1024

    def __init__(
        self, settings: ServerSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        super().__init__(("127.0.0.1", settings.port), _Handler)
        self.authorization = Authorization(
            token_seconds=settings.token_seconds,
            announce=settings.announce,
            issuer=self.url,
            device_seconds=settings.device_seconds,
            interval=settings.interval,
            clock=clock,
        )
        self.issuer = Issuer(self.url, self.authorization, consents=settings.consent)

    def server_bind(self) -> None:
        # HTTPServer would ask the name service for this host's name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up: it is their right."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            sys.stderr.write(f"{traceback_of(error)}\n")

    @property
    def url(self) -> str:
        """The server's origin."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    """One connection, kept alive for as many requests as its client likes."""

    server: DemoServer
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one write, which does not wait for the peer's acknowledgement of
    # the one before (40 ms where acknowledgements are delayed).
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 60.0  # seconds that a client may be silent

    def parse_request(self) -> bool:
        """Read what comes before a body; return whether it is to be answered.

        Here, so that it holds for whatever method there may be.
        """
        if not super().parse_request():
            return False
        try:
            check_sender(self.command, self.path, self.headers, port=self.server.server_port)
        except Refused as refusal:
            self.send_error(refusal.status, refusal.problem)
            return False
        return True

    def do_GET(self) -> None:
        try:
            body = self._body()
        except Refused as refusal:
            self.send_error(refusal.status, refusal.problem)
            return
        route = f"{self.command} {self.path.partition('?')[0].partition('#')[0]}"
        answer = self._ROUTES.get(route)
        if answer is None:
            self._reply(404, {"error": f"nothing answers to {route}"})
            return
        answer(self, body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Say nothing: the demo's own output is on this terminal."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer that a request is refused, and hang up: where the next one begins is not known.

        The base would make a page of HTML, and the status line, of what the client has sent.
        """
        self.close_connection = True
        self._reply(code, {"error": printable(message or explain or "")}, {"Connection": "close"})

    def _body(self) -> bytes:
        length = length_of_body(self.headers)
        body = self.rfile.read(length)
        if len(body) < length:
            raise Refused(400, f"the body ended after {len(body)} of {length} bytes")
        return body

    def _reply(
        self, status: int, body: str | Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        content = (body if isinstance(body, str) else json.dumps(body) + "\n").encode()
        self.send_response(status)
        # Or a browser may take what a client has put into it for a page.
        own = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}
        for name, value in {**own, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _data(self, body: bytes) -> None:
        time.sleep(self.server.settings.data_seconds)
        if self.server.authorization.accepts(dict(self.headers.items())):
            self._reply(200, {"message": "the token is good", "bytes_received": len(body)})
            return
        challenge = f'Bearer realm="{CLIENT_ID}"'
        if "Authorization" in self.headers:  # RFC 6750 section 3.1: else no error code
            challenge += ', error="invalid_token"'
        self._reply(
            401, {"error": "a good access token is needed"}, {"WWW-Authenticate": challenge}
        )

    def _token(self, body: bytes) -> None:
        time.sleep(self.server.settings.refresh_seconds)
        status, headers, answer = self.server.authorization.exchange(
            body.decode("latin-1"), dict(self.headers.items())
        )
        self._reply(status, answer, headers)

    def _issuer(self, body: bytes) -> None:
        path, _, query = self.path.partition("#")[0].partition("?")
        asked = Asked(query, dict(self.headers.items()), body.decode("latin-1"))
        reply = ISSUER_ROUTES[f"{self.command} {path}"](self.server.issuer, asked)
        self._reply(reply.status, reply.body, reply.headers)

    def _login(self, body: bytes) -> None:
        self._reply(200, self.server.authorization.log_in(), {"Cache-Control": "no-store"})

    def _counts(self, body: bytes) -> None:
        self._reply(200, self.server.authorization.counts())

    _ROUTES: ClassVar[dict[str, Callable[[_Handler, bytes], None]]] = {
        "GET /data": _data,
        "POST /data": _data,
        "POST /oauth/token": _token,
        "POST /login": _login,
        "GET /counts": _counts,
        **dict.fromkeys(ISSUER_ROUTES, _issuer),
    }


def main() -> None:
    """Serve until standard input ends, which it does when the parent process dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the parent
    with DemoServer(ServerSettings(**json.loads(sys.argv[1]))) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.shutdown()
        serving.join()


if __name__ == "__main__":
    main()
