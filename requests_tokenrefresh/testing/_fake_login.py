"""`FakeTokenSource`: a login without a server, for tests of code that is given one."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import requests

from .. import LoginRequiredError, RefreshFailedError, Token, TokenRefreshError, TokenSource
from .._hand import Hand

_START = 1_700_000_000.0  # epoch seconds


class FakeTokenSource(TokenSource):
    """A real `TokenSource` that is logged in already, and needs no server to refresh.

    Its clock stands still, and its tokens are ``access-0``, ``access-1`` and so on. Whatever stands
    for the API in your test asks `accepts` whether to answer 401.

    Args:
        origins: Where the token may go.
        lifetime: Seconds a token lives.
        person: Whose login it is, by the ``sub`` of an id_token.
        options: As in `TokenSource`, but for its refresher, *token*, *store* and clocks.
    """

    def __init__(
        self,
        *,
        origins: Iterable[str] = ("https://api.example.com",),
        lifetime: float = 3600.0,
        person: str = "ann",
        **options: Any,
    ) -> None:
        self._server = _FakeServer(lifetime, person)
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
        return self._server.accepts(request.headers.get("Authorization"))

    def login(self, token: Token | Mapping[str, Any] | str) -> None:
        """Begin a login with *token*, which is good from now on. Otherwise as in `TokenSource`."""
        super().login(token)
        self._server.good = self.token()

    def log_in_as(self, person: str) -> None:
        """Let *person* log in. A request that was sent as somebody else, and is answered 401, is
        not replayed: its caller gets the 401."""
        self.login(self._server.log_in(person))

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._server.now += seconds

    def expire(self) -> None:
        """Let time pass until the token has expired.

        Everybody can see that, so the next request refreshes before it is sent.
        """
        self.advance(self._server.lifetime)

    def expire_soon(self) -> None:
        """Let time pass until the token is about to expire: the next request refreshes early, and
        goes out with the old token if that fails (`refuse_refresh`, `fail_refresh`)."""
        token = self._server.good
        if token is not None:
            # Whatever luck opens the window when: at last it is open.
            hand = Hand.of(token, found=False, leeway=self._leeway, early=self._early, luck=1.0)
            self.advance(max(0.0, hand.early_from - self._server.now))

    def reject_all(self) -> None:
        """Let the API reject every token until `recover`. A new one is doubted then: callers get
        their 401s, nobody is logged out, and the issuer is asked again after growing pauses."""
        self._server.rejects_all = True

    def recover(self) -> None:
        """End `reject_all`: the token that was given out last is good."""
        self._server.rejects_all = False

    def learn_late(self, rejections: int = 1) -> None:
        """Let the API reject each new token so many times before it knows it: what
        ``trial_patience=`` is for."""
        self._server.learns_after = rejections

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
    def __init__(self, lifetime: float, person: str) -> None:
        self.lifetime = lifetime
        self.person = person
        self.now = _START
        self.refreshes = 0
        self.failure: TokenRefreshError | None = None  # of the next refresh
        self.rejects_all = False
        self.learns_after = 0  # rejections of a new token
        self._lock = threading.Lock()
        self._unknown_for = 0  # rejections of the good token that are left; guarded by _lock
        self._logins = 0
        self.good: Token | None = self._issue(f"access-{self.refreshes}")

    def time(self) -> float:
        return self.now

    def __call__(self, token: Token | None) -> Token:
        self.refreshes += 1
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        self._unknown_for = self.learns_after
        self.good = self._issue(f"access-{self.refreshes}")
        return self.good

    def revoke(self, token: Token) -> None:
        self.good = None

    def log_in(self, person: str) -> Token:
        self._logins += 1
        self.person = person
        return self._issue(f"access-of-{person}-{self._logins}")

    def accepts(self, authorization: str | bytes | None) -> bool:
        good = self.good
        if self.rejects_all or good is None or good.authorization != authorization:
            return False
        with self._lock:
            if self._unknown_for > 0:
                self._unknown_for -= 1
                return False
        return good.expires_at is None or self.now < good.expires_at

    def _issue(self, access_token: str) -> Token:
        return Token(
            access_token,
            f"refresh-{self.refreshes}",
            issued_at=self.now,
            expires_at=self.now + self.lifetime,
            extra={"id_token": _id_token_of(self.person)},
        )


def _id_token_of(person: str) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, {"sub": person}))
    encoded = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return ".".join([*encoded, ""])
