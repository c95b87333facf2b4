"""The hosts of docs/coming-from.md as one server: one login, whose refresh tokens rotate."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any
from urllib.parse import parse_qs

from tests.support.servers import HTTPServer, Received, Reply

_ASSERTION_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class OneLogin(HTTPServer):
    """auth.example.com, login.example.com and api.example.com.

    The last access token opens every page. The last refresh token gets the next pair; any other is
    refused, as reuse.

    Attributes:
        secure_url: Where it is reached by https, for MSAL, which takes nothing else.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._generation = 0  # guarded by _turn, and so is all below
        self._good: str | None = None
        self._refusal: str | None = None
        self.secure_url = ""
        super().__init__(self._answer)

    # -- What a test asks -------------------------------------------------------------------------

    def log_in(self) -> dict[str, Any]:
        """Begin a login; return its token reply."""
        with self._turn:
            self._refusal = None
            return self._issue()

    def expire(self) -> None:
        """Let the access token die; the refresh token lives on."""
        with self._turn:
            self._good = None

    def end_login(self, error: str = "invalid_grant") -> None:
        """Let all tokens die: refreshes are refused with *error*."""
        with self._turn:
            self._good, self._refusal = None, error

    def token_requests(self) -> int:
        """Return how many requests to the token endpoint have arrived."""
        return sum(request.path.endswith("/oauth/token") for request in self.requests)

    # -- What it answers --------------------------------------------------------------------------

    def _answer(self, request: Received) -> Reply:
        if request.path.endswith("/oauth/token"):
            return self._answer_token_request(request)
        if request.path.endswith("/.well-known/openid-configuration"):
            return Reply.json(self._configuration())
        with self._turn:
            good = self._good is not None and request.headers["Authorization"] == self._good
        if good:
            return Reply.json({"message": "the token is good"})
        return Reply(401, b"", [("WWW-Authenticate", 'Bearer error="invalid_token"')])

    def _answer_token_request(self, request: Received) -> Reply:
        form = {name: value for name, (value,) in parse_qs(request.body.decode()).items()}
        with self._turn:
            if self._refusal is not None:
                return Reply.json({"error": self._refusal}, 400)
            last = f"refresh-{self._generation}"
            if form["grant_type"] != _ASSERTION_GRANT and form.get("refresh_token") != last:
                return Reply.json({"error": "invalid_grant", "error_description": "reuse"}, 400)
            return Reply.json(self._issue())

    def _issue(self) -> dict[str, Any]:
        self._generation += 1
        self._good = f"Bearer access-{self._generation}"
        return {
            "access_token": f"access-{self._generation}",
            "refresh_token": f"refresh-{self._generation}",
            "token_type": "Bearer",
            "expires_in": 3600,
            # By these two MSAL knows an account.
            "id_token": f"e30.{_encoded(self._claims())}.",
            "client_info": _encoded({"uid": "alice", "utid": "contoso"}),
        }

    def _claims(self) -> dict[str, Any]:
        issuer = self._configuration()["issuer"]
        return {"iss": issuer, "aud": "reports", "sub": "alice", "exp": time.time() + 3600}

    def _configuration(self) -> dict[str, str]:
        issuer = f"{self.secure_url}/contoso"
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
        }


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
