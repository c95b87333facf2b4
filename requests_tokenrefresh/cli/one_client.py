"""The one client that the demo's server knows, as oauthlib asks about it.

A public one, without a secret (RFC 6749 section 2.1), on the person's own machine (RFC 8252).
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from urllib.parse import urlsplit

from oauthlib.common import Request
from oauthlib.oauth2 import RequestValidator

CLIENT_ID = "demo"
"""As what the client is registered."""

SCOPES = ("openid", "offline_access", "data")
"""What it may ask for; it gets the last if it does not say."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class OneClient(RequestValidator):
    """Who may ask, for what, and where the answer may go."""

    def client_authentication_required(self, request: Request, *_: object, **__: object) -> bool:
        return False

    def authenticate_client_id(
        self, client_id: str, request: Request, *_: object, **__: object
    ) -> bool:
        request.client = SimpleNamespace(client_id=CLIENT_ID)
        return client_id == CLIENT_ID

    def validate_client_id(
        self, client_id: str, request: Request, *_: object, **__: object
    ) -> bool:
        return self.authenticate_client_id(client_id, request)

    def validate_grant_type(self, *_: object, **__: object) -> bool:
        return True  # there is an endpoint for no other

    def validate_response_type(
        self, client_id: str, response_type: str, *_: object, **__: object
    ) -> bool:
        return response_type == "code"

    def validate_scopes(self, client_id: str, scopes: list[str], *_: object, **__: object) -> bool:
        return set(scopes) <= set(SCOPES)

    def get_default_scopes(self, *_: object, **__: object) -> list[str]:
        return [SCOPES[-1]]

    def get_default_redirect_uri(self, *_: object, **__: object) -> str:
        return ""  # there is none: any of many ports may be meant

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, *_: object, **__: object
    ) -> bool:
        return is_loopback(redirect_uri)

    def is_pkce_required(self, *_: object) -> bool:
        return True  # RFC 9700 section 2.1.1: of public clients always


def is_loopback(redirect_uri: str) -> bool:
    """Whether a program on the person's own machine can listen at *redirect_uri*.

    Of the loopback any port is right (RFC 8252 section 7.3), and here any path too. oauthlib asks
    only of what it takes for a URI without a fragment (RFC 6749 section 3.1.2).
    """
    try:
        parts = urlsplit(redirect_uri)
        _ = parts.port  # ValueError: there is none of that number
    except ValueError:
        return False
    if not re.fullmatch("[!-~]+", redirect_uri) or "@" in parts.netloc:
        return False
    return parts.scheme == "http" and parts.hostname in _LOOPBACK
