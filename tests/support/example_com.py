"""The hosts that the documentation talks to, as one server on this machine."""

from __future__ import annotations

import json
import threading

from tests.support.servers import HTTPServer, Received, Reply


class ExampleCom(HTTPServer):
    """api.example.com and auth.example.com: one login, whose last access token is the good one.

    Whoever asks where tokens are given gets the next, in the words of that endpoint; everything
    else is a page that the good token opens.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given = 0  # guarded by _lock
        super().__init__(self._answer)

    def expire(self) -> None:
        """Let the last access token die."""
        with self._lock:
            self._given += 1

    @property
    def given(self) -> int:
        """The number of the good access token; `expire` counts as one that nobody was given."""
        return self._given

    def _answer(self, request: Received) -> Reply:
        match request.path:
            case "/oauth/token" | "/login":
                return Reply.json(self._next("access_token", "refresh_token") | {"expires_in": 60})
            case "/api/token/" | "/api/token/refresh/":
                return Reply.json(self._next("access", "refresh"))
            case "/refresh":
                assert (request.headers["Authorization"] or "").startswith("Bearer refresh-")
                return Reply.json({"access_token": self._next("access", "refresh")["access"]})
            case "/renew":
                return Reply(body=self._next("access", "refresh")["access"].encode())
        if request.headers["Authorization"] == f"Bearer access-{self._given}":
            return Reply.json({"message": "the token is good"})
        return _REJECTIONS.get(request.path, _REJECTION)

    def _next(self, access_token: str, refresh_token: str) -> dict[str, str]:
        with self._lock:
            self._given += 1
            number = self._given
        return {access_token: f"access-{number}", refresh_token: f"refresh-{number}"}


def _rejection(status: int, challenge: str = "", **said: str) -> Reply:
    headers = [("WWW-Authenticate", challenge)] if challenge else []
    return Reply(status, json.dumps(said).encode(), headers)


_REJECTION = _rejection(401, 'Bearer error="invalid_token"')
_REJECTIONS = {
    "/behind-basic": _rejection(401, 'Basic realm="api"'),
    "/behind-session": _rejection(403, code="token_not_valid"),
    "/says-498": _rejection(498),
}
