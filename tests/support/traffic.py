"""The requests of an hour, or of a day, on a clock that is moved: without a network."""

from __future__ import annotations

from typing import Any

import requests

from requests_tokenrefresh import Token, TokenRefreshAdapter, TokenSource, TokenStore
from requests_tokenrefresh.events import RefreshStarted
from tests.support.logins import ORIGIN, Clock, Heard
from tests.support.ruled_transport import RuledTransport


class Issuer:
    """Gives ``access-1``, ``access-2``, …; remembers when, and what has been revoked.

    Attributes:
        calls: When it was asked, in seconds from the start.
        revoked: Tokens up to this number are refused by the whole API.
        closed: Paths, or beginnings of paths, that no token opens.
        failure: Raised instead of giving a token, unless it is None.
    """

    def __init__(self, clock: Clock, *closed: str, lifetime: float | None = None) -> None:
        self.clock = clock
        self.closed = closed
        self.calls: list[float] = []
        self.revoked = -1
        self.failure: Exception | None = None
        self._lifetime = lifetime
        self._began = clock.now

    def give(self) -> dict[str, Any]:
        """Return a token reply with the newest token."""
        number = len(self.calls)
        reply = {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}"}
        return reply if self._lifetime is None else reply | {"expires_in": self._lifetime}

    def refresh(self, _token: Token | None) -> dict[str, Any]:
        self.calls.append(self.clock.now - self._began)
        if self.failure is not None:
            raise self.failure
        return self.give()

    def revoke(self) -> None:
        """Let the tokens given so far be refused, at once and everywhere."""
        self.revoked = len(self.calls)

    def status(self, request: requests.PreparedRequest) -> int:
        """Return the API's answer to *request*."""
        path = (request.url or "").removeprefix(ORIGIN)
        number = int(str(request.headers["Authorization"]).rpartition("-")[2])
        return 401 if number <= self.revoked or path.startswith(self.closed) else 200


class Traffic:
    """A program that sends requests to the API of *issuer*, as many as a test likes.

    Attributes:
        heard: What a listener was told.
        reasons: What `on_logout` was called with.
    """

    def __init__(self, issuer: Issuer, *, store: TokenStore | None = None, **options: Any) -> None:
        self.heard = Heard()
        self.reasons: list[str] = []
        self.tokens = TokenSource(
            issuer.refresh,
            origins=[ORIGIN],
            store=store,
            listeners=[self.heard],
            on_logout=self.reasons.append,
            clock=issuer.clock,
            monotonic=issuer.clock,
            random=lambda: 0.5,
            **options,
        )
        self._adapter = TokenRefreshAdapter(self.tokens, transport=RuledTransport(issuer.status))
        self._prepared: dict[tuple[str, str], requests.PreparedRequest] = {}

    def status(self, path: str, method: str = "GET") -> int:
        """Send a request and return the status of what comes back."""
        request = self._prepared.get((method, path))
        if request is None:
            request = requests.Request(method, f"{ORIGIN}{path}").prepare()
            self._prepared[method, path] = request
        return self._adapter.send(request).status_code

    def upload(self, path: str) -> int:
        """Send a body that can be sent only once, and return the status of what comes back."""
        request = requests.Request("POST", f"{ORIGIN}{path}", data=iter([b"once"])).prepare()
        return self._adapter.send(request).status_code

    @property
    def reactive(self) -> int:
        """How many flights were begun because of a 401."""
        flights: list[Any] = self.heard.of(RefreshStarted)
        return [event.why for event in flights].count("reactive")
