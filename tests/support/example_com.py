"""The hosts that the documentation talks to, as one server on this machine."""

from __future__ import annotations

import json
import threading

from tests.support.login_site import Fault, Gate
from tests.support.servers import HTTPServer, Received, Reply

HOSTS = [
    "https://auth.example.com",
    "https://api.example.com",
    "http://auth:8000",
    "http://api:8000",
]
"""What the documents call it."""


class ExampleCom(HTTPServer):
    """api.example.com and auth.example.com: one login, whose last access token is the good one.

    Whoever asks where tokens are given gets the next, in the words of that endpoint; everything
    else is a page that the good token opens.

    Attributes:
        fault: Answers requests to ``/oauth/token`` in its place; None: all is well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given = 0  # guarded by _lock
        self._rejections = 0  # guarded by _lock
        self._opened: list[str] = []  # guarded by _lock
        self._held_until = 0  # the number of the rejection that all before it wait for
        self._let_go = threading.Event()
        self.fault: Fault | None = None
        super().__init__(self._answer)

    def expire(self) -> None:
        """Let the last access token die."""
        with self._lock:
            self._given += 1

    def hold_rejections(self, count: int) -> None:
        """Let the next *count* wait for each other, so that so many requests meet one expiry."""
        with self._lock:
            self._held_until = self._rejections + count
            self._let_go.clear()

    def hold(self) -> Gate:
        """Hold the next request to ``/oauth/token`` until the gate opens."""
        self.fault = gate = Gate(self)
        return gate

    @property
    def given(self) -> int:
        """The number of the good access token; `expire` counts as one that nobody was given."""
        return self._given

    @property
    def rejections(self) -> int:
        """How many requests had a token that was not good, those that wait included."""
        return self._rejections

    @property
    def token_requests(self) -> int:
        """How many requests have come to ``/oauth/token``."""
        return [request.path for request in self.requests].count("/oauth/token")

    @property
    def opened(self) -> list[str]:
        """The pages that were opened, in order."""
        with self._lock:
            return list(self._opened)

    def process(self, _request: Received) -> Reply:
        """Answer a request to ``/oauth/token``; for faults."""
        return Reply.json(self._next("access_token", "refresh_token") | {"expires_in": 60})

    def _answer(self, request: Received) -> Reply | None:
        match request.path:
            case "/oauth/token":
                return (self.fault or self.process)(request)
            case "/oauth/revoke":
                return Reply()
            case "/login":
                return self.process(request)
            case "/api/token/" | "/api/token/refresh/":
                return Reply.json(self._next("access", "refresh"))
            case "/session/renew":
                return Reply.json({"data": {"tokens": self._next("access", "refresh")}})
            case "/refresh":
                assert (request.headers["Authorization"] or "").startswith("Bearer refresh-")
                return Reply.json({"access_token": self._next("access", "refresh")["access"]})
            case "/renew":
                return Reply(body=self._next("access", "refresh")["access"].encode())
        if _carries(request, f"access-{self._given}"):
            with self._lock:
                self._opened.append(request.path)
            return Reply.json({"message": "the token is good"})
        self._reject()
        return _REJECTIONS.get(request.path, _REJECTION)

    def _next(self, access_token: str, refresh_token: str) -> dict[str, str]:
        with self._lock:
            self._given += 1
            number = self._given
        return {access_token: f"access-{number}", refresh_token: f"refresh-{number}"}

    def _reject(self) -> None:
        with self._lock:
            self._rejections += 1
            if self._rejections >= self._held_until:
                self._let_go.set()
        assert self._let_go.wait(30), "not as many were rejected as are held"


def _rejection(status: int, challenge: str = "", **said: str) -> Reply:
    headers = [("WWW-Authenticate", challenge)] if challenge else []
    return Reply(status, json.dumps(said).encode(), headers)


_REJECTION = _rejection(401, 'Bearer error="invalid_token"')
_REJECTIONS = {
    "/behind-basic": _rejection(401, 'Basic realm="api"'),
    "/behind-session": _rejection(403, code="token_not_valid"),
    "/says-498": _rejection(498),
    "/redirects": Reply(302, headers=[("Location", "/login?next=/redirects")]),
    "/says-ok": Reply.json({"ok": False, "error": "expired"}),
}


def _carries(request: Received, token: str) -> bool:
    """Return whether *token* is where the page wants it."""
    authorization = request.headers["Authorization"]
    match request.path.partition("?")[0]:
        case "/by-header":
            return request.headers["X-Auth-Token"] == token
        case "/by-scheme":
            return authorization == f"token {token}"
        case "/alone":
            return authorization == token
        case "/by-cookie":
            return request.headers["Cookie"] == f"theme=dark; session={token}"
        case "/by-query":
            return request.path == f"/by-query?page=2&access_token={token}"
    return authorization == f"Bearer {token}"
