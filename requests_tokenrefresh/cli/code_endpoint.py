"""The authorization endpoint of the demo's server, and the codes it gives out.

The protocol is oauthlib's (RFC 6749 section 4.1, RFC 7636). Here is what that leaves open: S256
alone, `iss` in every answer (RFC 9207), and a code that is used up by whatever comes of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from oauthlib.common import Request, add_params_to_uri
from oauthlib.oauth2 import AuthorizationCodeGrant, BearerToken
from oauthlib.oauth2.rfc6749.errors import (
    AccessDeniedError,
    FatalClientError,
    OAuth2Error,
    UnsupportedCodeChallengeMethodError,
)

from .login_records import Login, LoginRecords
from .one_client import OneClient
from .pending import Pending

_CODE_SECONDS = 60.0


@dataclass
class _Code:
    redirect_uri: str
    challenge: str
    scopes: list[str]
    nonce: str | None
    login: Login = field(default_factory=Login)
    used: bool = False


class CodeRecords(OneClient):
    """The codes that are out, for oauthlib. Safe from any thread.

    Args:
        logins: Where what comes of a code is kept.
        clock: Monotonic seconds.
    """

    def __init__(self, logins: LoginRecords, clock: Callable[[], float]) -> None:
        self._logins = logins
        self._lock = threading.Lock()
        self._codes: Pending[_Code] = Pending(_CODE_SECONDS, clock)  # guarded by _lock

    def save_authorization_code(
        self, client_id: str, code: Mapping[str, Any], request: Any, *_: object, **__: object
    ) -> None:
        with self._lock:
            self._codes[code["code"]] = _Code(
                redirect_uri=request.redirect_uri,
                challenge=request.code_challenge,
                scopes=request.scopes,
                nonce=request.nonce,
            )

    def validate_code(
        self, client_id: str, code: str, client: object, request: Request, *_: object, **__: object
    ) -> bool:
        with self._lock:
            held = self._codes.get(code)
            if held is None or not self._codes.is_alive(code):
                return False
            # Used up already by being shown, with the wrong verifier too: whoever guesses has one
            # guess.
            first, held.used = not held.used, True
        if not first:
            self._logins.revoke(held.login)  # RFC 6749 section 4.1.2
        request.user, request.scopes, request.nonce = held.login, held.scopes, held.nonce
        return first

    def get_code_challenge(self, code: str, request: Request) -> str:
        return self._held(code).challenge

    def get_code_challenge_method(self, code: str, request: Request) -> str:
        return "S256"

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, *_: object, **__: object
    ) -> bool:
        return redirect_uri == self._held(code).redirect_uri

    def save_token(self, token: Mapping[str, Any], request: Any, *_: object, **__: object) -> None:
        self._logins.begin(token, request.user, request.scopes)

    def invalidate_authorization_code(self, *_: object, **__: object) -> None:
        """It has been, when it was shown."""

    def _held(self, code: str) -> _Code:
        with self._lock:
            held = self._codes.get(code)
        assert held is not None  # noqa: S101  # nosec B101  # asked of codes that were valid a moment ago
        return held


class NoRedirectError(Exception):
    """The browser must not be sent on, and its person has to be told (RFC 6749 section 4.1.2.1)."""


class AuthorizationEndpoint:
    """Where the browser comes, and is sent on from.

    Args:
        issuer: What every answer names.
        grant: Gives out the codes.
        bearer: Of no use here; oauthlib hands it through.
    """

    def __init__(self, issuer: str, grant: AuthorizationCodeGrant, bearer: BearerToken) -> None:
        self._issuer = issuer
        self._grant = grant
        self._bearer = bearer

    def refusal(self, fields: list[tuple[str, str]]) -> str | None:
        """Return where the browser goes if the request in *fields* is refused without asking its
        person; None: it is not.

        Raises:
            NoRedirectError: It goes nowhere.
        """
        try:
            self._checked(fields)
        except OAuth2Error as error:
            return self._with_issuer(error.in_uri(error.redirect_uri or ""))
        return None

    def decided(self, fields: list[tuple[str, str]], *, agreed: bool) -> str:
        """Return where the browser goes after its person has said yes or no.

        Raises:
            NoRedirectError: Nowhere.
        """
        try:
            request = self._checked(fields)
            if not agreed:
                raise AccessDeniedError(request=request)
        except OAuth2Error as error:
            return self._with_issuer(error.in_uri(error.redirect_uri or ""))
        headers, _, _ = self._grant.create_authorization_response(request, self._bearer)
        return self._with_issuer(headers["Location"])

    def _checked(self, fields: list[tuple[str, str]]) -> Request:
        request = Request(f"/authorize?{urlencode(fields)}")
        # Of the query nobody believes these; an answer goes into the query always.
        request.user = request.scopes = request.response_mode = None
        try:
            self._grant.validate_authorization_request(request)
            if request.code_challenge_method != "S256":  # versions of oauthlib differ
                raise UnsupportedCodeChallengeMethodError(request=request)
        except FatalClientError as error:
            raise NoRedirectError(error.description or error.error) from error
        return request

    def _with_issuer(self, uri: str) -> str:
        return add_params_to_uri(uri, [("iss", self._issuer)])
