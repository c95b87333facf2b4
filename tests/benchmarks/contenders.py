"""Who is measured: sessions that survive the death of a token, all with the same token call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from singleflight_auth import RequestsSingleFlightAuth

from requests_tokenrefresh import Token, TokenRefreshAdapter, TokenSource
from tests.benchmarks.server import Server

Contender: TypeAlias = Callable[[Server, int], requests.Session]
"""Logs in to the server, and returns a session with that many connections."""


def this_package(
    server: Server, connections: int, *, told: bool = True, **options: Any
) -> requests.Session:
    """Return a session with the adapter, over what `logged_in` returns."""
    tokens = logged_in(server, told=told, **options)
    session = requests.Session()
    session.mount(server.url, TokenRefreshAdapter(tokens, pool_maxsize=connections))
    return session


def logged_in(server: Server, *, told: bool = True, **options: Any) -> TokenSource:
    """Log in, and return the source of that login.

    Unless the client is *told* how long tokens live, nothing but a 401 ends one. *options* are
    those of `TokenSource`.
    """

    def as_told(reply: dict[str, Any]) -> dict[str, Any]:
        return reply if told else {**reply, "expires_in": None}

    def refresh(old: Token | None) -> dict[str, Any]:
        assert old is not None
        assert old.refresh_token is not None
        return as_told(server.refresh(old.refresh_token))

    first = Token.from_mapping(as_told(server.login()), received_at=time.time())
    return TokenSource(refresh, origins=[server.url], token=first, **options)


def careful_hook(server: Server, connections: int) -> requests.Session:
    """Return a session with what a careful programmer writes by hand: `_LockedAuth`."""
    return _with_auth(_LockedAuth(server), server, connections)


def singleflight(server: Server, connections: int) -> requests.Session:
    """Return a session with ``singleflight-auth``, set up as it documents."""
    reply = server.login()

    def refresh() -> str:
        reply.update(server.refresh(reply["refresh_token"]))
        return str(reply["access_token"])

    auth = RequestsSingleFlightAuth(get_token=lambda: reply["access_token"], refresh=refresh)
    return _with_auth(auth, server, connections)


def succeeds(session: requests.Session, url: str) -> bool:
    """Return whether *url* can be had; each contender has exceptions of its own."""
    try:
        return session.get(url).status_code == 200
    except Exception:
        return False


class _LockedAuth(AuthBase):
    """One lock, and under it a look whether the rejected token is still the current one."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._reply = server.login()
        self._lock = threading.Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self._authorize(request)
        request.register_hook("response", self._replay_if_rejected)
        return request

    def _replay_if_rejected(self, response: requests.Response, **how: Any) -> requests.Response:
        if response.status_code != 401:
            return response
        response.content  # noqa: B018 - gives the connection back, for the replay
        rejected = response.request.headers["Authorization"]
        with self._lock:
            if rejected == self._authorization:
                self._reply = self._server.refresh(self._reply["refresh_token"])
        again = response.request.copy()
        self._authorize(again)
        answer = response.connection.send(again, **how)
        answer.history.append(response)
        return answer

    def _authorize(self, request: requests.PreparedRequest) -> None:
        request.headers["Authorization"] = self._authorization

    @property
    def _authorization(self) -> str:
        return f"Bearer {self._reply['access_token']}"


def _with_auth(auth: AuthBase, server: Server, connections: int) -> requests.Session:
    session = requests.Session()
    session.mount(server.url, HTTPAdapter(pool_maxsize=connections))
    session.auth = auth
    return session
