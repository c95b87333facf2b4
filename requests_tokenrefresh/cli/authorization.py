"""What the demo's server knows: logins, their tokens, and when a login counts as stolen.

The protocol is oauthlib's (RFC 6749 section 6). Here is only what it asks of a server's own
records, and the counts by which the demo is judged. No sockets, and time is injected.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any, cast

from oauthlib.common import Request
from oauthlib.oauth2 import BearerToken, RefreshTokenGrant, RequestValidator
from oauthlib.oauth2.rfc6749.endpoints import ResourceEndpoint, TokenEndpoint

CLIENT_ID = "demo"
"""The one client the server knows: a public one, without a secret (RFC 6749 section 2.1)."""

_SCOPE = "data"


@dataclass
class Login:
    """One login, with all tokens that descend from it (RFC 9700 calls them a family).

    Attributes:
        accepted: Requests whose access token was good.
        rejected: Requests answered 401.
        expiries: Access tokens that came to their end: met dead by a request, or replaced in the
            second half of their life. One replaced sooner was replaced for nothing, and does not
            count.
        refreshes: Refresh tokens exchanged for new tokens.
        refused: Refresh tokens refused (``invalid_grant``).
        reuses: Refresh tokens that came a second time; they are among *refused*.
        revoked: Whether the login was revoked because of that.
    """

    accepted: int = 0
    rejected: int = 0
    expiries: int = 0
    refreshes: int = 0
    refused: int = 0
    reuses: int = 0
    revoked: bool = False


@dataclass
class _AccessToken:
    login: Login
    issued_at: float
    counted: bool = False  # among the login's expiries


@dataclass
class _RefreshToken:
    login: Login
    access_token: _AccessToken  # the one it was issued with
    used: bool = False


class Authorization:
    """An authorization server and its protected resource, without HTTP. Safe from any thread.

    A refresh token works once. If it comes again somebody has copied it, and the server cannot
    know which of the two is the thief: the whole login is revoked (RFC 9700 section 4.14.2).

    Args:
        token_seconds: How long an access token lives, in seconds.
        announce: Whether the replies say so in ``expires_in``, which RFC 6749 section 5.1
            recommends and does not require.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        token_seconds: float,
        announce: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._announce = announce
        self._records = _Records(token_seconds, clock)
        # The stubs know whole seconds only; the demo's tokens do not live that long.
        self._bearer = BearerToken(self._records, expires_in=token_seconds)  # type: ignore[arg-type]
        grant = RefreshTokenGrant(self._records)
        grant.register_token_modifier(lambda reply, *_: self._worded(reply))
        self._token_endpoint = TokenEndpoint(
            "refresh_token",
            self._bearer,  # type: ignore[arg-type]  # the stubs say str; oauthlib calls its methods
            {"refresh_token": grant},
        )
        self._resource = ResourceEndpoint("Bearer", {"Bearer": self._bearer})

    def log_in(self) -> dict[str, Any]:
        """Begin a login; return its first token reply (RFC 6749 section 5.1)."""
        request = Request("/login", "POST")
        request.scopes = [_SCOPE]
        reply = self._bearer.create_token(request, refresh_token=True)
        self._records.save_login(reply)
        return self._worded(reply)

    def exchange(self, body: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], str]:
        """Answer a POST to the token endpoint: status, headers, body."""
        answer_headers, answer, status = self._token_endpoint.create_token_response(
            "/oauth/token", "POST", body, dict(headers)
        )
        return status, answer_headers, answer

    def accepts(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these *headers* carries a good access token."""
        accepted, _ = self._resource.verify_request("/data", "GET", None, dict(headers))
        return accepted

    def counts(self) -> dict[str, Any]:
        """Return the counts of the login that began last, as a mapping of `Login`'s attributes."""
        return self._records.counts()

    def _worded(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in reply.items() if self._announce or k != "expires_in"}


class _Records(RequestValidator):
    """Who holds which token: oauthlib's questions, answered from memory."""

    def __init__(self, token_seconds: float, clock: Callable[[], float]) -> None:
        self._token_seconds = token_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._latest = Login()  # guarded by _lock, as are all logins and tokens below
        self._access_tokens: dict[str, _AccessToken] = {}
        self._refresh_tokens: dict[str, _RefreshToken] = {}

    def save_login(self, reply: Mapping[str, Any]) -> None:
        with self._lock:
            self._latest = Login()
            self._save(reply, self._latest)

    def counts(self) -> dict[str, Any]:
        with self._lock:
            return asdict(self._latest)

    def client_authentication_required(self, request: Request, *_: object, **__: object) -> bool:
        return False

    def authenticate_client_id(
        self, client_id: str, request: Request, *_: object, **__: object
    ) -> bool:
        request.client = SimpleNamespace(client_id=CLIENT_ID)
        return client_id == CLIENT_ID

    def validate_grant_type(self, *_: object, **__: object) -> bool:
        return True  # there is only one

    def get_original_scopes(self, *_: object, **__: object) -> list[str]:
        return [_SCOPE]

    def validate_refresh_token(
        self, refresh_token: str, client: object, request: Request, *_: object, **__: object
    ) -> bool:
        with self._lock:
            held = self._refresh_tokens.get(refresh_token)
            if held is None:
                return False
            if held.used:
                held.login.reuses += 1
                held.login.revoked = True
            if held.login.revoked:
                held.login.refused += 1
                return False
            # Marked under the same lock that looked: two requests at once cannot both succeed.
            held.used = True
            if self._age(held.access_token) >= self._token_seconds / 2:
                self._count_expiry(held.access_token)
            request.user = held.login
            return True

    def save_token(
        self, token: Mapping[str, Any], request: Request, *_: object, **__: object
    ) -> None:
        login = cast("Login", request.user)  # set when its refresh token was validated
        with self._lock:
            login.refreshes += 1
            self._save(token, login)

    def validate_bearer_token(self, token: str, scopes: object, request: Request) -> bool:
        with self._lock:
            held = self._access_tokens.get(token)
            if held is None:
                return False
            dead = self._age(held) >= self._token_seconds
            if dead:
                self._count_expiry(held)
            if dead or held.login.revoked:
                held.login.rejected += 1
                return False
            held.login.accepted += 1
            return True

    def _save(self, reply: Mapping[str, Any], login: Login) -> None:
        access_token = _AccessToken(login, self._clock())
        self._access_tokens[reply["access_token"]] = access_token
        self._refresh_tokens[reply["refresh_token"]] = _RefreshToken(login, access_token)

    def _age(self, token: _AccessToken) -> float:
        return self._clock() - token.issued_at

    def _count_expiry(self, token: _AccessToken) -> None:
        if not token.counted and not token.login.revoked:
            token.counted = True
            token.login.expiries += 1
