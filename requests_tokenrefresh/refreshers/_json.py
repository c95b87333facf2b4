"""JSON endpoints that refresh without OAuth: those of web frameworks and their extensions."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from .._door import check_mapping
from .._token import Token
from ._answer import Refused
from ._client import Auth, check_auth
from ._endpoint import Question, TokenEndpoint, check_one_authorization
from ._refusal import check_refused, check_token_type, refresh_token_of


class JSONRefresh:
    """Posts the refresh token as JSON, and reads the next one from the JSON that comes back.

    The defaults are those of djangorestframework-simplejwt::

        JSONRefresh("https://api.example.com/api/token/refresh/")

    and this is Flask-JWT-Extended::

        JSONRefresh(
            "https://api.example.com/refresh",
            refresh_token_in="header",
            access_token_field="access_token",
            refresh_token_field="refresh_token",
        )

    A field of the reply may stand in others: ``access_token_field="data.tokens.access"``.

    Call it with a `Token`, it returns the next one. It reads replies and makes attempts as
    `RefreshTokenGrant` does. Safe from any thread and after a fork; pickles.

    Args:
        url: The endpoint: https, or http to the loopback.
        refresh_token_in: ``body``: in the field *sent_field*; ``header``: as bearer token
            (RFC 6750 section 2.1).
        sent_field: The field the refresh token is sent in.
        access_token_field: The field of the reply with the access token; this name and those
            below may be paths with dots.
        refresh_token_field: The field of the reply with the next refresh token, if it rotates.
        expires_in_field: The field of the reply with the lifetime in seconds, if it has one; else
            the ``exp`` claim of a JWT counts.
        refused: What ends the login, as in `RefreshTokenGrant`. The default is a 401, which says
            so at most such endpoints, unless it is about the client (``invalid_client``).
        json: Further fields to send.
        auth: What else authenticates the request: a `requests` `AuthBase`, or a function like one.
        token_type, headers, timeout, deadline, max_reply_bytes: As in `RefreshTokenGrant`.
        verify, cert, proxies, insecure, clock: As there.

    Raises:
        TypeError, ValueError: An argument makes no sense; the message says what to pass.
        InsecureTransportError: *url* is plain http to another machine, and not *insecure*.
    """

    def __init__(
        self,
        url: str,
        *,
        refresh_token_in: Literal["body", "header"] = "body",
        sent_field: str = "refresh",
        access_token_field: str = "access",
        refresh_token_field: str = "refresh",
        expires_in_field: str = "expires_in",
        refused: Refused = frozenset({401}),
        token_type: str | None = None,
        json: Mapping[str, Any] | None = None,
        auth: Auth | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: tuple[float, float] = (5.0, 10.0),
        deadline: float = 20.0,
        max_reply_bytes: int = 1024 * 1024,
        verify: bool | str | None = None,
        cert: str | tuple[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
        insecure: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = TokenEndpoint(
            url,
            insecure=insecure,
            headers=headers,
            timeout=timeout,
            deadline=deadline,
            max_reply_bytes=max_reply_bytes,
            verify=verify,
            cert=cert,
            proxies=proxies,
            clock=clock,
        )
        if refresh_token_in not in ("body", "header"):
            raise ValueError(f"refresh_token_in is 'body' or 'header', got {refresh_token_in!r}")
        if refresh_token_in == "header" and auth is not None:
            raise ValueError(
                "auth and refresh_token_in='header' both write the Authorization header: "
                "pass one (an API key can go into headers=)"
            )
        fields = check_mapping("json", json, '{"device": "reports"}')
        if refresh_token_in == "header":
            check_one_authorization(headers, "refresh_token_in='header'")
        elif sent_field in fields:
            raise ValueError(f"json must not have {sent_field!r}: the refresh token is sent in it")
        for field in (sent_field, access_token_field, refresh_token_field, expires_in_field):
            if not isinstance(field, str):
                raise TypeError(f"the name of a field is a string, got {field!r}")
        self._sent_field = None if refresh_token_in == "header" else sent_field
        self._names = {
            "access_token": access_token_field,
            "refresh_token": refresh_token_field,
            "expires_in": expires_in_field,
        }
        self._refused = check_refused(refused)
        self._token_type = check_token_type(token_type)
        self._json = dict(fields)
        jsonlib.dumps(self._json)  # raises now what it would raise at the first refresh
        self._auth = check_auth(auth)
        self.any_thread = auth is None  # another's may be bound to its thread

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint.name!r})"

    def __call__(self, token: Token | None) -> Token:
        """Return the token that replaces *token*; blocks for at most *deadline* seconds.

        Raises:
            LoginRequiredError: The answer is one of *refused*, or says in another way that the
                login is over, or there is no refresh token; without one nothing is sent.
            RefreshFailedError: Anything else. The refresh token may still be good; if the
                answer was lost, the server may have rotated it.
        """
        answer = self._endpoint.ask(self._question(token), auth=self._auth)
        return answer.token(
            previous=token,
            refused=self._refused,
            token_type=self._token_type,
            names=self._names,
        )

    def _question(self, token: Token | None) -> Question:
        refresh_token = refresh_token_of(token)
        fields, headers = dict(self._json), {"Content-Type": "application/json"}
        if self._sent_field is None:
            headers["Authorization"] = f"Bearer {refresh_token}"
        else:
            fields[self._sent_field] = refresh_token
        return Question(jsonlib.dumps(fields), headers)
