"""Who holds which token of the demo's server, and when a login counts as stolen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from oauthlib.common import Request

from .one_client import OneClient


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
        revoked: Whether the login was revoked: because of that, because its code came a second
            time, or because its client has logged out.
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
    scopes: list[str]
    used: bool = False


class LoginRecords(OneClient):
    """All logins and their tokens: oauthlib's questions, answered from memory.

    Safe from any thread.
    """

    def __init__(self, token_seconds: float, clock: Callable[[], float]) -> None:
        self._token_seconds = token_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._latest = Login()  # guarded by _lock, as are all logins and tokens below
        self._access_tokens: dict[str, _AccessToken] = {}
        self._refresh_tokens: dict[str, _RefreshToken] = {}

    def begin(self, reply: Mapping[str, Any], login: Login, scopes: list[str]) -> None:
        """Keep the first tokens of *login*."""
        with self._lock:
            self._latest = login
            self._save(reply, login, scopes)

    def revoke(self, login: Login) -> None:
        """End *login*, with all its tokens."""
        with self._lock:
            login.revoked = True

    def counts(self) -> dict[str, Any]:
        """Return the counts of the login that began last."""
        with self._lock:
            return asdict(self._latest)

    def get_original_scopes(self, refresh_token: str, *_: object, **__: object) -> list[str]:
        with self._lock:
            return self._refresh_tokens[refresh_token].scopes

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
            self._save(token, login, request.scopes or [])

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

    def revoke_token(self, token: str, *_: object, **__: object) -> None:
        """A refresh token takes its login with it (RFC 7009 section 2.1), an access token nothing.

        One that nobody knows is revoked already (section 2.2).
        """
        with self._lock:
            self._access_tokens.pop(token, None)
            if token in self._refresh_tokens:
                self._refresh_tokens[token].login.revoked = True

    def _save(self, reply: Mapping[str, Any], login: Login, scopes: list[str]) -> None:
        access_token = _AccessToken(login, self._clock())
        self._access_tokens[reply["access_token"]] = access_token
        self._refresh_tokens[reply["refresh_token"]] = _RefreshToken(login, access_token, scopes)

    def _age(self, token: _AccessToken) -> float:
        return self._clock() - token.issued_at

    def _count_expiry(self, token: _AccessToken) -> None:
        if not token.counted and not token.login.revoked:
            token.counted = True
            token.login.expiries += 1
