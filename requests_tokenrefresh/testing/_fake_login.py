"""`FakeTokenSource`: a login without a server, for tests of code that is given one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import requests

from .. import LoginRequiredError, RefreshFailedError, Token, TokenRefreshError, TokenSource

_START = 1_700_000_000.0  # epoch seconds


class FakeTokenSource(TokenSource):
    """A real `TokenSource` that is logged in already, and needs no server to refresh.

    Its clock stands still, and its tokens are ``access-0``, ``access-1`` and so on. Whatever stands
    for the API in your test asks `accepts` whether to answer 401.

    Args:
        origins: Where the token may go.
        lifetime: Seconds a token lives.
        options: As in `TokenSource`, but for its refresher, *token*, *store* and clocks.
    """

    def __init__(
        self,
        *,
        origins: Iterable[str] = ("https://api.example.com",),
        lifetime: float = 3600.0,
        **options: Any,
    ) -> None:
        self._server = _FakeServer(lifetime)
        super().__init__(
            self._server,
            origins=origins,
            token=self._server.good,
            clock=self._server.time,
            monotonic=self._server.time,
            # Without jitter, what a test waits for comes when it says.
            **{"random": lambda: 0.0, **options},
        )

    @property
    def refreshes(self) -> int:
        """How often a new token was asked for so far."""
        return self._server.refreshes

    def accepts(self, request: requests.PreparedRequest) -> bool:
        """Return whether *request* carries the token that is good now: the API's part."""
        good = self._server.good
        if good is None or good.authorization != request.headers.get("Authorization"):
            return False
        return good.expires_at is None or self._server.now < good.expires_at

    def login(self, token: Token | Mapping[str, Any] | str) -> None:
        """Begin a login with *token*, which is good from now on. Otherwise as in `TokenSource`."""
        super().login(token)
        self._server.good = self.token()

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._server.now += seconds

    def expire(self) -> None:
        """Let time pass until the token has expired.

        Everybody can see that, so the next request refreshes before it is sent.
        """
        self.advance(self._server.lifetime)

    def revoke(self) -> None:
        """End the token without telling anybody: the next request is rejected, and replayed."""
        self._server.good = None

    def refuse_refresh(self) -> None:
        """Let the next refresh be refused for good: the login is over."""
        self._server.failure = LoginRequiredError(
            "the fake login refused the refresh, as it was told to", reason="invalid_grant"
        )

    def fail_refresh(self, *, retry_after: float = 1.0) -> None:
        """Let the next refresh fail; nobody asks again before *retry_after* seconds have passed."""
        self._server.failure = RefreshFailedError(
            "the fake login failed to refresh, as it was told to", retry_after=retry_after
        )


class _FakeServer:
    def __init__(self, lifetime: float) -> None:
        self.lifetime = lifetime
        self.now = _START
        self.refreshes = 0
        self.failure: TokenRefreshError | None = None  # of the next refresh
        self.good: Token | None = self._issue()

    def time(self) -> float:
        return self.now

    def __call__(self, token: Token | None) -> Token:
        self.refreshes += 1
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        self.good = self._issue()
        return self.good

    def revoke(self, token: Token) -> None:
        self.good = None

    def _issue(self) -> Token:
        return Token(
            f"access-{self.refreshes}",
            f"refresh-{self.refreshes}",
            issued_at=self.now,
            expires_at=self.now + self.lifetime,
        )


@pytest.fixture
def fake_tokens() -> FakeTokenSource:
    """A `FakeTokenSource` for ``https://api.example.com``."""
    return FakeTokenSource()
