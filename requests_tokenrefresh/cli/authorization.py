"""What the demo's server does about logins: it gives tokens, renews them, and ends them.

The protocol is oauthlib's (RFC 6749), and where not, what its neighbours say. Here it is put
together. No sockets, and time is injected.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from oauthlib.common import Request
from oauthlib.oauth2 import AuthorizationCodeGrant, BearerToken, RefreshTokenGrant
from oauthlib.oauth2.rfc6749.endpoints import ResourceEndpoint, RevocationEndpoint, TokenEndpoint

from .code_endpoint import AuthorizationEndpoint, CodeRecords
from .device_endpoint import GRANT_TYPE as DEVICE_CODE
from .device_endpoint import DeviceGrant, DeviceRecords
from .login_records import Login, LoginRecords
from .one_client import CLIENT_ID, SCOPES

PERSON = "alice"
"""Who logs in."""

_ID_TOKEN_SECONDS = 300

Answer: TypeAlias = tuple[int, dict[str, str], str]
"""Status, headers, body."""


class Authorization:
    """An authorization server and its protected resource, without HTTP. Safe from any thread.

    A refresh token works once. If it comes again somebody has copied it, and the server cannot
    know which of the two is the thief: the whole login is revoked (RFC 9700 section 4.14.2).

    Args:
        token_seconds: How long an access token lives, in seconds.
        announce: Whether the replies say so in ``expires_in``, which RFC 6749 section 5.1
            recommends and does not require.
        issuer: Its identifier (RFC 8414 section 2).
        device_seconds: How long a person has to enter a device's code, in seconds.
        interval: Seconds between two polls of a device.
        clock: Monotonic seconds.

    Attributes:
        codes: The authorization endpoint.
        devices: The devices that wait for a person.
    """

    def __init__(
        self,
        *,
        token_seconds: float,
        announce: bool,
        issuer: str = "",
        device_seconds: float = 600,
        interval: float = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._announce = announce
        self._issuer = issuer
        self._records = LoginRecords(token_seconds, clock)
        self.devices = DeviceRecords(self._records, device_seconds, interval, clock)
        codes = AuthorizationCodeGrant(CodeRecords(self._records, clock))
        refresh = RefreshTokenGrant(self._records)
        self._device = DeviceGrant(self.devices, self._completed)
        codes.register_token_modifier(lambda reply, _, request: self._completed(reply, request))
        refresh.register_token_modifier(lambda reply, *_: self._worded(reply))
        # The stubs know whole seconds only; the demo's tokens do not live that long.
        self._bearer = BearerToken(self._records, expires_in=token_seconds)  # type: ignore[arg-type]
        self.codes = AuthorizationEndpoint(issuer, codes, self._bearer)
        self._token_endpoint = TokenEndpoint(
            "refresh_token",
            self._bearer,  # type: ignore[arg-type]  # the stubs say str; oauthlib calls its methods
            {"authorization_code": codes, "refresh_token": refresh, DEVICE_CODE: self._device},
        )
        self._revocation = RevocationEndpoint(self._records)
        self._resource = ResourceEndpoint("Bearer", {"Bearer": self._bearer})

    def log_in(self) -> dict[str, Any]:
        """Begin a login; return its first token reply (RFC 6749 section 5.1)."""
        request = Request("/login", "POST")
        request.scopes = [SCOPES[-1]]
        reply = self._bearer.create_token(request, refresh_token=True)
        self._records.begin(reply, Login(), request.scopes)
        return self._worded(reply)

    def exchange(self, body: str, headers: Mapping[str, str]) -> Answer:
        """Answer a POST to the token endpoint."""
        answer_headers, answer, status = self._token_endpoint.create_token_response(
            "/oauth/token", "POST", body, dict(headers)
        )
        return status, answer_headers, answer

    def begin_device(self, body: str, headers: Mapping[str, str], page: str) -> Answer:
        """Answer a POST to the device authorization endpoint; *page* is where its person goes."""
        request = Request("/oauth/device", "POST", body, dict(headers))
        request.scopes = None  # of the form nobody believes it
        answer_headers, answer, status = self._device.begin(request, page)
        return status, answer_headers, answer

    def revoke(self, body: str, headers: Mapping[str, str]) -> Answer:
        """Answer a POST to the revocation endpoint (RFC 7009)."""
        answer_headers, answer, status = self._revocation.create_revocation_response(
            "/oauth/revoke", "POST", body, dict(headers)
        )
        return status, answer_headers, answer

    def accepts(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these *headers* carries a good access token."""
        accepted, _ = self._resource.verify_request("/data", "GET", None, dict(headers))
        return accepted

    def counts(self) -> dict[str, Any]:
        """Return the counts of the login that began last, as a mapping of `Login`'s attributes."""
        return self._records.counts()

    def _completed(self, reply: dict[str, Any], request: Any) -> dict[str, Any]:
        """Return *reply* with an id_token if that was asked for, and worded as it should be."""
        if "openid" in request.scopes:
            reply = {**reply, "id_token": self._id_token(request.nonce)}
        return self._worded(reply)

    def _worded(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in reply.items() if self._announce or k != "expires_in"}

    def _id_token(self, nonce: str | None) -> str:
        """Return a JWT without a signature, which it needs not, as it comes from the token endpoint
        (OpenID Connect Core section 2)."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": CLIENT_ID,
            "sub": PERSON,
            "iat": now,
            "exp": now + _ID_TOKEN_SECONDS,
        }
        if nonce is not None:
            claims["nonce"] = nonce
        return f"{_part({'alg': 'none'})}.{_part(claims)}."


def _part(content: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
