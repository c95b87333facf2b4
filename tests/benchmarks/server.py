"""An API and its token endpoint in one process of their own, so that they share no GIL with the
client they answer; every delay is a timer, so that five hundred at once cost nothing.

Tokens have a lifetime and die on demand, refresh tokens are rotated, and everything is counted.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import requests

_Answer: TypeAlias = tuple[bytes, float]  # what is written, and after how many seconds

_BACKLOG = 4096  # several hundred threads connect at once


@dataclass(frozen=True)
class Counts:
    """What the server has seen since `Server.login`.

    Attributes:
        rejections: 401s.
        refreshes: Access tokens it issued after the first.
        needless: Those that came while the token before had nine tenths of its lifetime left:
            somebody refreshed again what had just been refreshed.
        reused: Refresh tokens it saw again after their rotation.
        connections: TCP connections it accepted.
    """

    rejections: int = 0
    refreshes: int = 0
    needless: int = 0
    reused: int = 0
    connections: int = 0


class Server:
    """The server as its clients see it; its process starts at once, and ends with `close`.

    Args:
        data: Seconds until it answers a request for data, be it with 200 or 401.
        token: Seconds until it answers a refresh.
        lifetime: Seconds that an access token lives.
    """

    def __init__(self, *, data: float = 0.0, token: float = 0.0, lifetime: float = 3600.0) -> None:
        context = multiprocessing.get_context("spawn")
        port, port_for_child = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_serve, args=(port_for_child, data, token, lifetime), daemon=True
        )
        self._process.start()
        self.url = f"http://127.0.0.1:{port.recv()}"
        self._session = requests.Session()

    def close(self) -> None:
        """End the process."""
        self._session.close()
        self._process.terminate()
        self._process.join()

    def login(self) -> dict[str, Any]:
        """Begin anew, all counts at 0, and return the first token reply."""
        return self._post("/login")

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        """Return a new token reply: what everybody measured here calls to refresh.

        Raises:
            requests.HTTPError: The refresh token is not the last one issued.
        """
        return self._post("/token", grant_type="refresh_token", refresh_token=refresh_token)

    def kill_token(self) -> None:
        """Let the access tokens in use be answered with 401 from now on."""
        self._post("/kill")

    def counts(self) -> Counts:
        """Return what the server has seen since `login`."""
        return Counts(**self._post("/counts"))

    def _post(self, path: str, **form: str) -> dict[str, Any]:
        response = self._session.post(self.url + path, data=form)
        response.raise_for_status()
        reply: dict[str, Any] = response.json()
        return reply


# -- The process -------------------------------------------------------------------------------


def _serve(port: Connection, data: float, token: float, lifetime: float) -> None:
    asyncio.run(_Service(data, token, lifetime).run(port))


class _Service:
    """Who is logged in, and what is answered."""

    def __init__(self, data: float, token: float, lifetime: float) -> None:
        self._data_delay = data
        self._token_delay = token
        self._lifetime = lifetime
        self._expiries: dict[bytes, float] = {}  # by Authorization, in monotonic seconds
        self._refresh_token = ""
        self._newest = 0.0  # when the newest access token dies
        self._issued = 0  # since ever: no token comes twice
        self.counts: Counter[str] = Counter()
        self._posts: dict[bytes, Callable[[bytes], _Answer]] = {
            b"/login": self._login,
            b"/token": self._token,
            b"/kill": self._kill,
            b"/counts": lambda _body: (_json(dict(self.counts)), 0.0),
        }

    async def run(self, port: Connection) -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        server = await asyncio.get_running_loop().create_server(
            lambda: _Conversation(self), sock=listener, backlog=_BACKLOG
        )
        port.send(listener.getsockname()[1])
        await server.serve_forever()

    def answer(self, path: bytes, authorization: bytes, body: bytes) -> _Answer:
        if path == b"/data":
            return self._data(authorization)
        return self._posts[path](body)

    def _data(self, authorization: bytes) -> _Answer:
        if time.monotonic() < self._expiries.get(authorization, 0.0):
            return _DATA, self._data_delay
        self.counts["rejections"] += 1
        return _REJECTED, self._data_delay

    def _login(self, _body: bytes) -> _Answer:
        self.counts.clear()
        self._expiries.clear()
        return self._issue(), 0.0

    def _token(self, body: bytes) -> _Answer:
        if parse_qs(body.decode())["refresh_token"] != [self._refresh_token]:
            self.counts["reused"] += 1
            return _REFUSED, self._token_delay
        self.counts["refreshes"] += 1
        self.counts["needless"] += self._newest - time.monotonic() > self._lifetime * 0.9
        return self._issue(after=self._token_delay), self._token_delay

    def _kill(self, _body: bytes) -> _Answer:
        self._expiries.clear()
        self._newest = 0.0
        return _json({}), 0.0

    def _issue(self, after: float = 0.0) -> bytes:
        self._issued += 1
        self._newest = time.monotonic() + after + self._lifetime
        self._expiries[b"Bearer access-%d" % self._issued] = self._newest
        self._refresh_token = f"refresh-{self._issued}"
        return _json(
            {
                "access_token": f"access-{self._issued}",
                "refresh_token": self._refresh_token,
                "token_type": "Bearer",
                "expires_in": self._lifetime,
            }
        )


class _Conversation(asyncio.Protocol):
    """One connection: as much HTTP/1.1 as requests speaks here, parsed as fast as Python can."""

    def __init__(self, service: _Service) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._service.counts["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < int(_field(head, b"\r\nContent-Length: ") or 0):
            return
        self._received = b""  # nothing follows: who waits for an answer does not pipeline
        path = head.split(b" ", 2)[1]
        answer, delay = self._service.answer(path, _field(head, b"\r\nAuthorization: "), body)
        if delay:
            self._loop.call_later(delay, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _field(head: bytes, name: bytes) -> bytes:
    return head.partition(name)[2].partition(b"\r\n")[0]


def _response(status: bytes, body: bytes, *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*lines, b"", body])


def _json(value: object) -> bytes:
    return _response(b"200 OK", json.dumps(value).encode(), b"Content-Type: application/json")


_DATA = _json({"data": "x" * 100})
_REJECTED = _response(
    b"401 Unauthorized", b"", b'WWW-Authenticate: Bearer realm="api", error="invalid_token"'
)
_REFUSED = _response(b"400 Bad Request", b'{"error": "invalid_grant"}')
