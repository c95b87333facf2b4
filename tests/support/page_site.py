"""A login and its pages, some of which no token opens; and a program that reads them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, final
from urllib.parse import parse_qs

import requests

from requests_tokenrefresh import RefreshTokenGrant, Token, TokenRefreshAdapter, TokenSource
from requests_tokenrefresh.events import LoggedOut
from tests.support.login_site import Fault
from tests.support.logins import Clock, Heard
from tests.support.servers import HTTPServer, Received, Reply
from tests.support.threads import wait_until


class PageSite(HTTPServer):
    """Gives tokens at ``/token``; every other page is opened by those that have not expired.

    Tokens are ``access-1`` with ``refresh-1`` and so on. Only the last refresh token gets the next
    pair, as with servers that detect reuse. Older access tokens stay good until `expire`.

    Attributes:
        closed: Pages that no token opens.
        challenge: The ``WWW-Authenticate`` of every 401; None: there is none.
        rejects_with: The status of every rejection; 401 unless a test says otherwise.
        opens: Whether a page opens to the good token of this number; to be replaced by a test.
        fault: Answers the token requests; None: all is well.
        token_calls: How often a token was asked for, over the wire or by `renew`.
        lifetime: What is said of the next tokens; None: nothing.
        journal: ``in`` and ``out`` of every page request, with its path and the number of its
            token, in order.
    """

    def __init__(self, *closed: str, challenge: str | None = "Bearer") -> None:
        self.closed = set(closed or ["/forbidden"])
        self.challenge = challenge
        self.rejects_with = 401
        self.opens: Callable[[str, int], bool] = lambda _path, _number: True
        self.fault: Fault | None = None
        self.token_calls = 0  # guarded by _lock, and so is all below
        self.lifetime: float | None = 3600
        self.journal: list[tuple[str, str, int]] = []
        self._lock = threading.Lock()
        self._given = 0
        self._expired = 0
        self._rejections: Counter[str] = Counter()
        self._holds: dict[str, threading.Event] = {}
        super().__init__(self._answer)

    def close(self) -> None:
        """Let go what is held, and hang up every connection."""
        for event in self._holds.values():
            event.set()
        super().close()

    # -- What a test asks -------------------------------------------------------------------------

    def log_in(self) -> dict[str, Any]:
        """Begin a login; return its token reply."""
        with self._lock:
            return self._give()

    def renew(self, token: Token | None) -> dict[str, Any]:
        """Do what ``/token`` does, for refreshers that are functions."""
        with self._lock:
            self.token_calls += 1
            assert token is None or token.refresh_token == f"refresh-{self._given}", "reuse"
            return self._give()

    def expire(self) -> None:
        """Let all access tokens given so far die; the refresh token lives on."""
        with self._lock:
            self._expired = self._given

    def hold(self, path: str) -> threading.Event:
        """Hold the answers to all requests for *path*, with its query, until the event is set."""
        return self._holds.setdefault(path, threading.Event())

    def hold_token_requests(self, answer: Fault | None = None) -> threading.Event:
        """Hold the token requests until the event is set, and answer them by *answer* then."""
        gate = self.hold("/token")

        def held(request: Received) -> Reply | None:
            assert gate.wait(10), "the test did not open the gate"
            return (answer or self.process)(request)

        self.fault = held
        return gate

    def wait_for(self, path: str, count: int = 1) -> None:
        """Return once *count* requests for *path* have arrived."""
        wait_until(lambda: [request.path for request in self.requests].count(path) == count)

    @property
    def newest(self) -> Token:
        """The token that was given last."""
        with self._lock:
            return Token(f"access-{self._given}", f"refresh-{self._given}")

    @property
    def rejections(self) -> Counter[str]:
        """How often each page has stayed closed so far."""
        with self._lock:
            return Counter(self._rejections)

    @property
    def arrivals(self) -> list[tuple[str, int]]:
        """Page and number of the token of each request, in the order in which they arrived."""
        with self._lock:
            return [(path, number) for what, path, number in self.journal if what == "in"]

    # -- What it answers --------------------------------------------------------------------------

    def process(self, request: Received) -> Reply:
        """Answer a token request; for faults."""
        form = {name: value for name, (value,) in parse_qs(request.body.decode()).items()}
        with self._lock:
            if form["grant_type"] == "client_credentials":
                reply = self._give()
                del reply["refresh_token"]
                return Reply.json(reply)
            if form["refresh_token"] != f"refresh-{self._given}":
                return Reply.json({"error": "invalid_grant", "error_description": "reuse"}, 400)
            return Reply.json(self._give())

    def _answer(self, request: Received) -> Reply | None:
        path = request.path.partition("?")[0]
        if path == "/token":
            with self._lock:
                self.token_calls += 1
            return (self.fault or self.process)(request)
        number = int((request.headers["Authorization"] or "-0").rpartition("-")[2])
        self._note("in", path, number)
        if request.path in self._holds:
            assert self._holds[request.path].wait(10), "the test did not let the page go"
        good = self._expired < number <= self._given
        opened = good and path not in self.closed and self.opens(path, number)
        self._note("out", path, number)
        if opened:
            return Reply(body=path.encode())
        with self._lock:
            self._rejections[path] += 1
        challenge = [] if self.challenge is None else [("WWW-Authenticate", self.challenge)]
        status = self.rejects_with
        return Reply(status, f"{request.method} {request.path} is closed".encode(), challenge)

    def _note(self, what: str, path: str, number: int) -> None:
        with self._lock:
            self.journal.append((what, path, number))

    def _give(self) -> dict[str, Any]:
        self._given += 1
        reply: dict[str, Any] = {
            "access_token": f"access-{self._given}",
            "refresh_token": f"refresh-{self._given}",
        }
        return reply if self.lifetime is None else reply | {"expires_in": self.lifetime}


@final
class Program:
    """One program with the login of a `PageSite`: a source, and a session with its adapter.

    Two with the same file are two processes, as far as the package can tell.

    Args:
        site: Where it goes.
        refresher: By default a `RefreshTokenGrant` for the site.
        adapter: Arguments of `TokenRefreshAdapter`.
        options: As in `TokenSource`. By default its clock stands, and nobody gives up waiting for a
            trial.

    Attributes:
        reasons: What `on_logout` was called with.
        heard: What a listener was told.
    """

    def __init__(
        self,
        site: PageSite,
        refresher: Callable[..., Any] | None = None,
        *,
        adapter: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.site = site
        self.reasons: list[str] = []
        self.heard = Heard()
        self.clock = options.pop("clock", None) or Clock()
        options = {"monotonic": self.clock, "trial_timeout": 10.0, **options}
        self.tokens = TokenSource(
            refresher or RefreshTokenGrant(f"{site.url}/token", client_id="reports"),
            origins=[site.url],
            clock=self.clock,
            on_logout=self.reasons.append,
            listeners=[self.heard],
            **options,
        )
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount("http://", TokenRefreshAdapter(self.tokens, **(adapter or {})))

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.session.close()

    def log_in(self) -> Program:
        """Begin a login by `login()`, as somebody does who has just opened a browser."""
        self.tokens.login(self.site.log_in())
        return self

    def send(self, path: str, method: str = "GET", **how: Any) -> requests.Response:
        """Send a request for *path*."""
        return self.session.request(method, f"{self.site.url}{path}", timeout=30, **how)

    def status(self, path: str, method: str = "GET") -> int:
        """Return the status of what comes back."""
        return self.send(path, method).status_code

    def assert_logged_in(self) -> None:
        """Nobody has been logged out, and the newest token is in use."""
        assert self.reasons == []
        assert self.heard.of(LoggedOut) == []
        assert self.tokens.token().access_token == self.site.newest.access_token
        assert self.status("/ok") == 200


def aged_token(
    reply: Mapping[str, Any], *, age: float, lifetime: float | None, now: float
) -> Token:
    """Return the token in *reply*, as if it had been given *age* seconds ago."""
    issued_at = now - age
    return Token(
        reply["access_token"],
        reply["refresh_token"],
        issued_at=issued_at,
        expires_at=None if lifetime is None else issued_at + lifetime,
    )
