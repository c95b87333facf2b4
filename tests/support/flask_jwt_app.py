"""Flask-JWT-Extended in a Flask app, with refresh tokens that can be used once.

The tokens are its own: JWTs, with `exp` in whole seconds. Here is what it leaves to its users: the
blocklist.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Flask
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    decode_token,
    get_jwt,
    jwt_required,
    verify_jwt_in_request,
)

USER = "alice"


class FlaskJWTServer:
    """``POST /refresh`` refreshes, and ``GET /data`` is protected.

    An access token lives until it expires, whether it was refreshed or not. A refresh token that
    comes again ends the login: all its tokens are blocked.

    Args:
        lifetime: Seconds an access token lives, or up to a second less: its `exp` is cut off.

    Attributes:
        app: The WSGI application.
    """

    def __init__(self, *, lifetime: int) -> None:
        self._turn = threading.RLock()  # a refresh is one transaction
        self._access_tokens: set[str] = set()  # their ids; guarded by _turn, and so is all below
        self._blocklist: set[str] = set()  # ids of tokens
        self._ended: set[int] = set()  # logins
        self._logins = itertools.count()

        self.app = Flask(__name__)
        self.app.config.update(
            TESTING=True,  # what the views raise fails the test
            JWT_SECRET_KEY="a secret that is long enough for HS256",
            JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=lifetime),
        )
        JWTManager(self.app).token_in_blocklist_loader(self._is_blocked)
        self.app.post("/refresh")(self._refresh)
        self.app.get("/data")(jwt_required()(_data))

    def log_in(self) -> Mapping[str, Any]:
        """Begin a login; return its first token reply."""
        with self.app.app_context():
            return self._issue(next(self._logins))

    def expire_access_tokens(self) -> None:
        """Block all access tokens issued so far; their refresh tokens live on."""
        with self._turn:
            self._blocklist |= self._access_tokens

    def _refresh(self) -> Mapping[str, Any]:
        with self._turn:
            verify_jwt_in_request(refresh=True)
            used = get_jwt()
            self._blocklist.add(used["jti"])
            return self._issue(used["login"])

    def _issue(self, login: int) -> Mapping[str, Any]:
        claims = {"login": login}
        access_token = create_access_token(USER, additional_claims=claims)
        with self._turn:
            self._access_tokens.add(decode_token(access_token)["jti"])
        return {
            "access_token": access_token,
            "refresh_token": create_refresh_token(USER, additional_claims=claims),
        }

    def _is_blocked(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
        with self._turn:
            blocked = claims["jti"] in self._blocklist
            if blocked and claims["type"] == "refresh":
                self._ended.add(claims["login"])
            return blocked or claims["login"] in self._ended


def _data() -> dict[str, Any]:
    return {"user": USER}
