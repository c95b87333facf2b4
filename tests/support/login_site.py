"""Where the workers of a test log in: Authlib behind real HTTP, whose token endpoint can fail."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal, TypeAlias

from requests_tokenrefresh import RefreshTokenGrant, Token, TokenStore
from tests.support.authlib_app import USER, AuthlibServer, Client
from tests.support.servers import HTTPServer, Received, Reply, reset
from tests.support.wsgi import answers_of

CLIENT = Client("reports", "secret-of-reports")

_DATA = Reply.json({"user": USER})
_REJECTED = Reply(401, b"", [("WWW-Authenticate", 'Bearer error="invalid_token"')])

Fault: TypeAlias = "Callable[[Received], Reply | None]"
"""Takes a token request's place at the authorization server; see `LoginSite.fault`."""


class LoginSite:
    """``GET data_url`` with a token that ``POST token_url`` refreshes, with reuse detection.

    Args:
        reuse: As for `AuthlibServer`.

    Attributes:
        fault: Answers the token requests instead of the authorization server; None: all is well.
        token_requests: How many have arrived, faults included.
    """

    def __init__(self, *, reuse: Literal["revoke", "refuse", "accept"] = "revoke") -> None:
        self.authorization = AuthlibServer(CLIENT, lifetime=3600, reuse=reuse)
        self._app = answers_of(self.authorization.app)
        self.fault: Fault | None = None
        self.token_requests = 0  # guarded by _turn
        self._turn = threading.Lock()
        self._answers: Counter[int] = Counter()  # to requests for data; guarded by _turn
        self._hung = threading.Event()  # what hangs ends with the site
        self._http = HTTPServer(self._answer)
        self.url = self._http.url
        self.data_url = f"{self.url}/data"
        self.token_url = f"{self.url}/token"
        self.revocation_url = f"{self.url}/revoke"

    def close(self) -> None:
        """Hang up every connection."""
        self._hung.set()
        self._http.close()

    # -- What a test asks -------------------------------------------------------------------------

    def log_in(self) -> Token:
        """Begin a login, with a new family of tokens."""
        return Token.from_mapping(self.authorization.log_in(CLIENT), received_at=time.time())

    def expire_tokens(self) -> None:
        """Let all access tokens issued so far be answered with 401."""
        self.authorization.expire_access_tokens()

    def revoke(self) -> None:
        """End all logins, as somebody can do at the server: no token is good any more."""
        self.authorization.revoke_all()

    @property
    def refreshes(self) -> int:
        """How many tokens were issued, those of `log_in` included, less one: the generation."""
        return len(self.authorization.issued()) - 1

    @property
    def reuses(self) -> int:
        """How many refresh tokens came again; one is enough to end the login, unless *reuse*."""
        return self.authorization.reuses

    @property
    def good(self) -> int:
        """How many access tokens are not revoked, each with a refresh token."""
        return len(self.authorization.good())

    @property
    def answers(self) -> Counter[int]:
        """The answers to requests for data so far, by status."""
        with self._turn:
            return Counter(self._answers)

    def generation(self, token: Token | None) -> int | None:
        """Return which of all tokens issued *token* is, from 0 on; None for none."""
        return None if token is None else self.authorization.issued().index(token.access_token)

    # -- What may happen to a token request -------------------------------------------------------

    def hang(self, _request: Received) -> None:
        """Never answer."""
        self._hung.wait()

    def reset(self, request: Received) -> None:
        """Reset the connection."""
        reset(self._http._conversations[request.connection - 1][1])

    def lose_one_reply(self, request: Received) -> None:
        """Rotate the refresh token, and hang up instead of saying so; the next time all is well."""
        self.fault = None
        self._app(request)

    def hold(self) -> Gate:
        """Hold the next token request until the gate opens, before anything is done about it."""
        self.fault = gate = Gate(self)
        return gate

    def _answer(self, request: Received) -> Reply | None:
        if request.path == "/token":
            with self._turn:
                self.token_requests += 1
            return self._app(request) if self.fault is None else self.fault(request)
        if request.path == "/revoke":
            return self._app(request)
        reply = _DATA if self._is_good(request.headers["Authorization"]) else _REJECTED
        with self._turn:
            self._answers[reply.status] += 1
        return reply

    def _is_good(self, authorization: str) -> bool:
        # Not by way of Flask, which would take most of the time of several thousand requests.
        issued = self.authorization.find(authorization.removeprefix("Bearer "))
        return issued is not None and not (issued.is_expired() or issued.is_revoked())

    def process(self, request: Received) -> Reply | None:
        """Answer a token request as the authorization server does; for faults."""
        return self._app(request)


class Gate:
    """Holds one token request; those after it pass.

    Attributes:
        arrived: Set when the request is there.
    """

    def __init__(self, site: LoginSite) -> None:
        self._site = site
        self._opened = threading.Event()
        self._forgotten = False
        self.arrived = threading.Event()

    def __call__(self, request: Received) -> Reply | None:
        self._site.fault = None
        self.arrived.set()
        assert self._opened.wait(30), "the test did not open the gate"
        return None if self._forgotten else self._site.process(request)

    def open(self) -> None:
        """Let the server answer."""
        self._opened.set()

    def forget(self) -> None:
        """Let the server hang up, and never know what was asked."""
        self._forgotten = True
        self._opened.set()


def unavailable(retry_after: int | None = None) -> Fault:
    """Return a fault: 503, with Retry-After unless it is None."""
    headers = [] if retry_after is None else [("Retry-After", str(retry_after))]
    return lambda _request: Reply(503, b"", headers)


def rotate(site: LoginSite, store: TokenStore) -> None:
    """Refresh what *store* holds, as a program does that knows no lock."""
    grant = RefreshTokenGrant(
        site.token_url, client_id=CLIENT.client_id, client_secret=CLIENT.client_secret
    )
    store.save(grant(store.load()))
