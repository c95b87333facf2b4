"""A person who logs in by a browser, at an issuer that agrees to everything."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from requests_tokenrefresh import Token
from requests_tokenrefresh.interactive._by_code import log_in_by_code
from requests_tokenrefresh.refreshers import AuthorizationCodeGrant
from tests.support.servers import Received, Reply
from tests.support.threads import start_together


class Issuer:
    """A token endpoint that gives a token for any code; for `http_server`.

    Attributes:
        exchanges: The forms that came.
        gate: It waits for this before it answers; open unless a test clears it.
        status: What it answers with.
    """

    def __init__(self) -> None:
        self.exchanges: list[dict[str, list[str]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()
        self.status = 200

    def __call__(self, request: Received) -> Reply:
        self.exchanges.append(parse_qs(request.body.decode()))
        self.asked.set()
        assert self.gate.wait(30), "the test did not open the gate"
        if self.status != 200:
            return Reply.json({"error": "invalid_grant"}, self.status)
        return Reply.json({"access_token": "a-token", "refresh_token": "r-token"})


@dataclass
class Attempt:
    """A login under way, in a thread of its own.

    Attributes:
        url: What the browser was sent to.
        said: What the person was told.
        kept: The tokens that were kept.
    """

    url: str = ""
    said: list[str] = field(default_factory=list)
    kept: list[Token] = field(default_factory=list)
    callers: Any = None

    @property
    def asked(self) -> dict[str, str]:
        """The parameters of the authorization request."""
        return {name: one for name, [one] in parse_qs(urlsplit(self.url).query).items()}

    @property
    def back(self) -> str:
        """Where the browser is to come back to."""
        return self.asked["redirect_uri"]

    @property
    def port(self) -> int:
        port = urlsplit(self.back).port
        assert port is not None
        return port

    def query(self, **fields: str) -> str:
        """The query of the right answer, with *fields* for others."""
        return urlencode({"code": "the-code", "state": self.asked["state"], **fields})

    def get(self, query: str, **arguments: Any) -> Answer:
        """Go to the redirect address with *query*."""
        parts = urlsplit(self.back)
        arguments.setdefault("path", f"{parts.path}?{query}")
        return ask(self.port, **arguments)

    def outcome(self) -> Any:
        """Wait for the end; return what came of it."""
        [outcome] = self.callers.outcomes()
        return outcome


@dataclass(frozen=True)
class Answer:
    """What a browser was shown."""

    status: int
    headers: http.client.HTTPMessage
    text: str


def ask(
    port: int, path: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> Answer:
    """Send a request to *port*; without a Host, if *headers* say so by None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": f"127.0.0.1:{port}", **(headers or {})}.items():
            if value is not None:
                for one in value if isinstance(value, list) else [value]:
                    connection.putheader(name, one)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode())
    finally:
        connection.close()


def begin(grant: AuthorizationCodeGrant, **arguments: Any) -> Attempt:
    """Start to log in, and return as soon as the browser is there."""
    attempt = Attempt()
    opened = threading.Event()

    def browser(url: str) -> None:
        attempt.url = url
        opened.set()

    usual: dict[str, Any] = {
        "redirect_uri": "http://127.0.0.1/callback",
        "opens": True,
        "browser": browser,
        "terminal": None,
        "timeout": 30.0,
        "say": attempt.said.append,
        "keep": lambda token: attempt.kept.append(token) or token,
    }
    attempt.callers = start_together(1, lambda: log_in_by_code(grant, **{**usual, **arguments}))
    assert opened.wait(10)
    return attempt


def is_open(port: int) -> bool:
    """Whether somebody listens on *port*."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except (ConnectionRefusedError, ConnectionResetError):  # the latter, if it ends just then
        return False
    return True


Begin = Callable[..., Attempt]
