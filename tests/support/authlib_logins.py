"""Authlib's authorization server, as far as a person logs in: code with PKCE, and device.

The OAuth is Authlib's. Here is what it leaves to its users: the clients, what was issued, and the
person, who agrees to everything.
"""

from __future__ import annotations

import functools
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin
from authlib.oauth2.rfc6749.errors import OAuth2Error
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import (
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialDict,
)
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, Response, request
from joserfc.jwk import ECKey, RSAKey

USER = "alice"
INTERVAL = 0.1  # seconds between two polls

_BY_ASSERTION = JWTBearerClientAssertion.CLIENT_AUTH_METHOD
_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none", _BY_ASSERTION)

SIGNERS_KEY = ECKey.generate_key("P-256")
"""That of the client that signs assertions."""


@functools.cache
def _issuers_key() -> RSAKey:
    """Return one for all issuers: it takes longer to make than most tests."""
    return RSAKey.generate_key(2048)


@dataclass(frozen=True)
class Client(ClientMixin):
    """A registered client; without a secret and a key it is a public one."""

    client_id: str
    client_secret: str | None = None
    has_refresh_tokens: Callable[[], bool] = field(default=lambda: True, compare=False)
    key: ECKey | None = field(default=None, compare=False)
    id_token_signed_response_alg = "RS256"

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        # RFC 8252 section 7.3: any port.
        return redirect_uri.startswith(("http://127.0.0.1:", "http://localhost:", "https://app."))

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self.client_secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        if self.key is not None:
            return method == _BY_ASSERTION
        return (method == "none") == (self.client_secret is None)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type != "refresh_token" or self.has_refresh_tokens()


@dataclass
class _Code(AuthorizationCodeMixin):
    code: str
    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str | None
    code_challenge_method: str | None
    nonce: str | None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> None:
        return None

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class _Issued(TokenMixin):
    access_token: str
    refresh_token: str | None
    client: Client
    scope: str
    family: int
    revoked: bool = False

    def check_client(self, client: Client) -> bool:
        return client == self.client

    def get_scope(self) -> str:
        return self.scope

    def is_expired(self) -> bool:
        return False

    def is_revoked(self) -> bool:
        return self.revoked


@dataclass
class AuthlibLogins:
    """An issuer at *url*, and ``GET /data`` that its tokens open.

    Args:
        url: Set once it is known.
        clients: Who may ask.

    Attributes:
        polls: When each device login was polled, in monotonic seconds, after when it had begun.
        early: How many polls came before their time.
        agrees: Whether the person does.
        refresh_tokens: Whether there are any.
        fails: The status that the token endpoint answers with; 0: all is well.
        revokes_all: Whether whoever revokes one login ends all of them.
        spent: The codes that were exchanged.
    """

    clients: tuple[Client, ...] = (
        Client("demo"),
        Client("reports", "secret-of-reports"),
        Client("signer", key=SIGNERS_KEY),
    )
    url: str = ""
    agrees: bool = True
    refresh_tokens: bool = True
    fails: int = 0
    revokes_all: bool = False
    early: int = 0
    spent: list[str] = field(default_factory=list)
    last_poll: dict[str, float] = field(default_factory=dict)
    devices: dict[str, DeviceCredentialDict] = field(default_factory=dict)  # by device code
    granted: dict[str, bool] = field(default_factory=dict)  # by user code

    def __post_init__(self) -> None:
        self._turn = threading.RLock()
        self._codes: dict[str, _Code] = {}
        self._issued: list[_Issued] = []
        self._families = itertools.count()
        self.app = Flask(__name__)
        self.app.config.update(
            TESTING=True,
            OAUTH2_REFRESH_TOKEN_GENERATOR=True,
            OAUTH2_SCOPES_SUPPORTED=["openid", "offline_access", "read"],
            OAUTH2_TOKEN_EXPIRES_IN={"authorization_code": 3600, "refresh_token": 3600},
        )
        by_id = {
            client.client_id: replace(client, has_refresh_tokens=lambda: self.refresh_tokens)
            for client in self.clients
        }
        self._server = server = AuthorizationServer(self.app, by_id.get, self._save)
        server.register_client_auth_method(_BY_ASSERTION, _assertions(self))
        server.register_grant(_code_grant(self), [CodeChallenge(required=True), _openid(self)])
        server.register_grant(_refresh_grant(self))
        server.register_grant(_device_grant(self))
        for endpoint in _endpoints(self):
            server.register_endpoint(endpoint)
        _issuer_of(self)(server)
        self._route()

    # -- What a test asks -------------------------------------------------------------------------

    def issued(self, *, good: bool = True) -> list[str]:
        """Return the access tokens that were issued, those that are not revoked if *good*."""
        with self._turn:
            return [one.access_token for one in self._issued if not (good and one.revoked)]

    def metadata(self) -> dict[str, Any]:
        """Return what is published about the issuer (RFC 8414)."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "device_authorization_endpoint": f"{self.url}/device_authorization",
            "revocation_endpoint": f"{self.url}/revoke",
            "scopes_supported": ["openid", "offline_access", "read"],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    # -- What is asked over HTTP ------------------------------------------------------------------

    def _route(self) -> None:
        self.app.get("/.well-known/oauth-authorization-server")(self.metadata)
        self.app.get("/authorize")(self._authorize)
        self.app.post("/token")(self._token)
        self.app.post("/device_authorization")(self._begin_device)
        self.app.get("/device")(self._enter_code)
        self.app.post("/revoke")(self._revoke)
        self.app.get("/data")(self._data)

    def _authorize(self) -> Any:
        with self._turn:
            user = USER if self.agrees else None
            try:
                grant = self._server.get_consent_grant(end_user=user)
            except OAuth2Error as error:
                return self._server.handle_error_response(request, error)
            return self._server.create_authorization_response(grant=grant, grant_user=user)

    def _token(self) -> Any:
        if self.fails:
            return Response(status=self.fails)
        with self._turn:
            return self._server.create_token_response()

    def _begin_device(self) -> Any:
        return self._server.create_endpoint_response("device_authorization")

    def _enter_code(self) -> str:
        self.granted[request.args["user_code"]] = self.agrees
        return "done"

    def _revoke(self) -> Any:
        with self._turn:
            return self._server.create_endpoint_response("revocation")

    def _data(self) -> Any:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if sent in self.issued():
            return {"user": USER}
        return Response(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})

    # -- What Authlib asks ------------------------------------------------------------------------

    def _save(self, reply: Mapping[str, Any], asked: Any) -> None:
        before = asked.refresh_token
        family = before.family if isinstance(before, _Issued) else next(self._families)
        with self._turn:
            self._issued.append(
                _Issued(
                    reply["access_token"],
                    reply.get("refresh_token"),
                    asked.client,
                    reply.get("scope", ""),
                    family,
                )
            )

    def find(self, token: str) -> _Issued | None:
        """Return what *token*, of either kind, was issued with."""
        return next((i for i in self._issued if token in (i.access_token, i.refresh_token)), None)

    def revoke_family(self, issued: _Issued) -> None:
        """Revoke all tokens that descend from the same login."""
        for one in self._issued:
            one.revoked = one.revoked or self.revokes_all or one.family == issued.family


def _code_grant(logins: AuthlibLogins) -> type:
    class Code(AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = _AUTH_METHODS

        def save_authorization_code(self, code: str, asked: Any) -> None:
            fields = asked.payload.data
            logins._codes[code] = _Code(
                code,
                asked.client.client_id,
                asked.payload.redirect_uri,
                asked.payload.scope or "",
                fields.get("code_challenge"),
                fields.get("code_challenge_method"),
                fields.get("nonce"),
            )

        def query_authorization_code(self, code: str, client: Client) -> _Code | None:
            found = logins._codes.get(code)
            return found if found and found.client_id == client.client_id else None

        def delete_authorization_code(self, code: _Code) -> None:
            del logins._codes[code.code]
            logins.spent.append(code.code)

        def authenticate_user(self, code: _Code) -> str:
            return USER

    return Code


def _openid(logins: AuthlibLogins) -> OpenIDCode:
    class OpenID(OpenIDCode):
        def exists_nonce(self, nonce: str, asked: Any) -> bool:
            return any(code.nonce == nonce for code in logins._codes.values())

        def generate_user_info(self, user: str, scope: str) -> dict[str, str]:
            return {"sub": user}

        def resolve_client_private_key(self, client: Client) -> Any:
            return _issuers_key()

        def get_client_claims(self, client: Client) -> dict[str, Any]:
            return {"iss": logins.url, "aud": [client.client_id]}

    return OpenID(require_nonce=True)


def _assertions(logins: AuthlibLogins) -> JWTBearerClientAssertion:
    known: set[str] = set()

    class Assertions(JWTBearerClientAssertion):
        def get_audiences(self) -> list[str]:
            return [logins.url]

        def validate_jti(self, claims: dict[str, Any], jti: str) -> bool:
            is_new = jti not in known
            known.add(jti)
            return is_new

        def resolve_client_public_key(self, client: Client) -> ECKey:
            assert client.key is not None
            return client.key

    return Assertions()


def _refresh_grant(logins: AuthlibLogins) -> type:
    class Refresh(RefreshTokenGrant):
        INCLUDE_NEW_REFRESH_TOKEN = True
        TOKEN_ENDPOINT_AUTH_METHODS = _AUTH_METHODS

        def authenticate_refresh_token(self, refresh_token: str) -> _Issued | None:
            issued = logins.find(refresh_token)
            if issued is not None and issued.revoked:
                logins.revoke_family(issued)
                return None
            return issued

        def authenticate_user(self, issued: _Issued) -> str:
            return USER

        def revoke_old_credential(self, issued: _Issued) -> None:
            issued.revoked = True

    return Refresh


def _device_grant(logins: AuthlibLogins) -> type:
    class Device(DeviceCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = _AUTH_METHODS

        def query_device_credential(self, device_code: str) -> DeviceCredentialDict | None:
            now = time.monotonic()
            before = logins.last_poll.get(device_code, 0.0)
            logins.early += now - before < INTERVAL
            logins.last_poll[device_code] = now
            return logins.devices.get(device_code)

        def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
            agreed = logins.granted.get(user_code)
            return None if agreed is None else (USER, agreed)

        def should_slow_down(self, credential: Any) -> bool:
            return False

    return Device


def _endpoints(logins: AuthlibLogins) -> list[type]:
    class DeviceAuthorization(DeviceAuthorizationEndpoint):
        INTERVAL = INTERVAL
        CLIENT_AUTH_METHODS = _AUTH_METHODS

        def get_verification_uri(self) -> str:
            return f"{logins.url}/device"

        def save_device_credential(self, client_id: str, scope: str, data: Any) -> None:
            credential = DeviceCredentialDict(
                client_id=client_id, scope=scope, **json.loads(json.dumps(data))
            )
            logins.devices[data["device_code"]] = credential
            logins.last_poll[data["device_code"]] = time.monotonic()

    class Revocation(RevocationEndpoint):
        CLIENT_AUTH_METHODS = _AUTH_METHODS

        def query_token(self, token: str, hint: str | None) -> _Issued | None:
            return logins.find(token)

        def revoke_token(self, issued: _Issued, asked: Any) -> None:
            logins.revoke_family(issued)

    return [DeviceAuthorization, Revocation]


def _issuer_of(logins: AuthlibLogins) -> Any:
    class Issuer(IssuerParameter):
        def get_issuer(self) -> str:
            return logins.url

    return Issuer()
