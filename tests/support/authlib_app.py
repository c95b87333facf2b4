"""Authlib's authorization server in a Flask app, with rotation and reuse detection.

The OAuth is Authlib's. Here is what it leaves to its users: the clients, and what was issued.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from flask import Flask, Response

USER = "alice"


@dataclass(frozen=True)
class Client(ClientMixin):
    """A registered client; without a secret it is a public one."""

    client_id: str
    client_secret: str | None = None

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self.client_secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == ("none" if self.client_secret is None else "client_secret_basic")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == RefreshTokenGrant.GRANT_TYPE


@dataclass
class _Issued(TokenMixin):
    """An access token and its refresh token, which are revoked together."""

    access_token: str
    refresh_token: str
    client: Client
    family: int
    expires_at: float  # epoch seconds
    revoked: bool = False

    def check_client(self, client: Client) -> bool:
        return client == self.client

    def get_scope(self) -> str:
        return ""

    def is_expired(self) -> bool:
        return time.time() >= self.expires_at

    def is_revoked(self) -> bool:
        return self.revoked


class AuthlibServer:
    """An authorization server, and ``GET /data`` that it protects; ``POST /token`` refreshes, and
    ``POST /revoke`` revokes an access token with its refresh token, but none that came later.

    A refresh revokes the old tokens, the access token too, as in Authlib's documentation. A refresh
    token that comes again ends the login (RFC 9700 section 4.14.2): all its tokens are revoked.

    Args:
        clients: Who may refresh.
        lifetime: Seconds an access token lives.
        reuse: What else may become of a refresh token that comes again: ``refuse`` answers
            ``invalid_grant`` and revokes nothing, ``accept`` gives a new token once more, as
            servers do that allow for replies that were lost.

    Attributes:
        app: The WSGI application.
        reuses: How many refresh tokens came again.
    """

    def __init__(
        self,
        *clients: Client,
        lifetime: int,
        reuse: Literal["revoke", "refuse", "accept"] = "revoke",
    ) -> None:
        self._lifetime = lifetime
        self._reuse = reuse
        self.reuses = 0  # guarded by _turn
        self._turn = threading.RLock()  # a request to the token endpoint is one transaction
        self._issued: list[_Issued] = []  # guarded by _turn, and so is all below
        self._families = itertools.count()

        self.app = Flask(__name__)
        self.app.config.update(
            TESTING=True,  # what the views raise fails the test
            OAUTH2_REFRESH_TOKEN_GENERATOR=True,
            OAUTH2_TOKEN_EXPIRES_IN={RefreshTokenGrant.GRANT_TYPE: lifetime},
        )
        by_id = {client.client_id: client for client in clients}
        self._authorization = AuthorizationServer(self.app, by_id.get, self._save_refreshed)
        self._authorization.register_grant(_grant_of(self))
        self._authorization.register_endpoint(_revocation_of(self))
        resource = ResourceProtector()
        resource.register_token_validator(_Validator(self))

        self.app.post("/token")(self._token)
        self.app.post("/revoke")(self._revoke)
        self.app.get("/data")(resource(_data))

    def log_in(self, client: Client) -> Mapping[str, Any]:
        """Begin a login; return its first token reply."""
        reply = self._authorization.generate_token(
            RefreshTokenGrant.GRANT_TYPE, client, user=USER, include_refresh_token=True
        )
        self._save(reply, client, next(self._families))
        return reply

    def expire_access_tokens(self) -> None:
        """Expire all access tokens issued so far; their refresh tokens live on."""
        with self._turn:
            for issued in self._issued:
                issued.expires_at = 0.0

    def revoke_all(self) -> None:
        """Revoke all tokens issued so far."""
        with self._turn:
            for issued in self._issued:
                issued.revoked = True

    def find(self, access_token: str) -> _Issued | None:
        """Return what *access_token* was issued with, good or not."""
        with self._turn:
            return next((i for i in self._issued if i.access_token == access_token), None)

    def issued(self) -> list[str]:
        """Return the access tokens issued so far, in order."""
        with self._turn:
            return [issued.access_token for issued in self._issued]

    def find_any(self, token: str) -> _Issued | None:
        """Return what *token* of either kind was issued with, good or not."""
        with self._turn:
            pairs = self._issued
            return next((i for i in pairs if token in (i.access_token, i.refresh_token)), None)

    def good(self) -> list[str]:
        """Return the access tokens that are not revoked; with each is a refresh token."""
        with self._turn:
            return [issued.access_token for issued in self._issued if not issued.revoked]

    def find_refreshable(self, refresh_token: str) -> _Issued | None:
        """Return what *refresh_token* was issued with; if it comes again, do as *reuse* says.

        Called with _turn held.
        """
        issued = next((i for i in self._issued if i.refresh_token == refresh_token), None)
        if issued is None or not issued.revoked:
            return issued
        self.reuses += 1
        if self._reuse == "accept":
            return issued
        if self._reuse == "revoke":
            self._revoke_family(issued.family)
        return None

    def _revoke_family(self, family: int) -> None:
        for issued in self._issued:
            if issued.family == family:
                issued.revoked = True

    def _token(self) -> Response:
        with self._turn:
            return self._authorization.create_token_response()

    def _revoke(self) -> Response:
        with self._turn:
            return self._authorization.create_endpoint_response(RevocationEndpoint.ENDPOINT_NAME)

    def _save_refreshed(self, reply: Mapping[str, Any], request: Any) -> None:
        self._save(reply, request.client, request.refresh_token.family)

    def _save(self, reply: Mapping[str, Any], client: Client, family: int) -> None:
        expires_at = time.time() + self._lifetime
        with self._turn:
            self._issued.append(
                _Issued(reply["access_token"], reply["refresh_token"], client, family, expires_at)
            )


def _data() -> dict[str, Any]:
    return {"user": USER}


def _grant_of(server: AuthlibServer) -> type[RefreshTokenGrant]:
    """Return the grant for *server*: Authlib makes an instance for each request by itself."""

    class RotatingGrant(RefreshTokenGrant):
        INCLUDE_NEW_REFRESH_TOKEN = True
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "none")

        def authenticate_refresh_token(self, refresh_token: str) -> _Issued | None:
            return server.find_refreshable(refresh_token)

        def authenticate_user(self, refresh_token: _Issued) -> str:
            return USER

        def revoke_old_credential(self, refresh_token: _Issued) -> None:
            refresh_token.revoked = True

    return RotatingGrant


def _revocation_of(server: AuthlibServer) -> type[RevocationEndpoint]:
    class Revocation(RevocationEndpoint):
        CLIENT_AUTH_METHODS = ("client_secret_basic", "none")

        def query_token(self, token_string: str, _token_type_hint: str) -> _Issued | None:
            return server.find_any(token_string)

        def revoke_token(self, token: _Issued, _request: Any) -> None:
            token.revoked = True

    return Revocation


class _Validator(BearerTokenValidator):
    def __init__(self, server: AuthlibServer) -> None:
        super().__init__()
        self._server = server

    def authenticate_token(self, token_string: str) -> _Issued | None:
        return self._server.find(token_string)
