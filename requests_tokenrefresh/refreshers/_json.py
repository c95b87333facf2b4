"""JSON endpoints that refresh without OAuth: those of web frameworks and their extensions."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from .._token import Token
from ._client import Auth, check_auth
from ._endpoint import Question, TokenEndpoint
from ._refusal import refresh_token_of, refusal

# Where such endpoints say what is wrong: `detail` in Django REST framework, `msg` in
# Flask-JWT-Extended.
_REASONS = ("error_description", "detail", "msg", "message", "error", "code")


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

    Call it with a `Token`, it returns the next one; a reply without a refresh token keeps the
    old one. One call makes one attempt. Safe from any thread and after a fork; pickles.

    Args:
        url: The endpoint: https, or http to the loopback.
        refresh_token_in: ``body``: in the field *sent_field*; ``header``: as bearer token
            (RFC 6750 section 2.1).
        sent_field: The field the refresh token is sent in.
        access_token_field: The field of the reply with the access token.
        refresh_token_field: The field of the reply with the next refresh token, if it rotates.
        expires_in_field: The field of the reply with the lifetime in seconds, if it has one; else
            the ``exp`` claim of a JWT counts.
        refused: The statuses that end the login; all others are worth another attempt.
        json: Further fields to send.
        auth: What else authenticates the request: a `requests` `AuthBase`, or a function like one.
        headers, timeout, deadline, max_reply_bytes, verify, cert, proxies, insecure, clock: As in
            `RefreshTokenGrant`.

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
        refused: Collection[int] = frozenset({401}),
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
        if sent_field in (json or {}):
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
        self._refused = _checked_statuses(refused)
        self._json = dict(json or {})
        jsonlib.dumps(self._json)  # raises now what it would raise at the first refresh
        self._auth = check_auth(auth)
        self.any_thread = auth is None  # another's may be bound to its thread

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint.name!r})"

    def __call__(self, token: Token | None) -> Token:
        """Return the token that replaces *token*; blocks for at most *deadline* seconds.

        Raises:
            LoginRequiredError: The answer's status is one of *refused*, or there is no refresh
                token; without one nothing is sent.
            RefreshFailedError: Anything else. The refresh token may still be good; if the
                answer was lost, the server may have rotated it.
        """
        answer = self._endpoint.ask(self._question(token), auth=self._auth)
        if answer.ok and answer.fields.get(self._names["access_token"]) is not None:
            return answer.token(previous=token, names=self._names)
        nothing = "no token in it" if answer.ok else "no reason given"
        said = answer.text(*_REASONS) or answer.problem or nothing
        if answer.status in self._refused:
            raise refusal(answer, said)
        raise answer.failure(said)

    def _question(self, token: Token | None) -> Question:
        refresh_token = refresh_token_of(token)
        fields, headers = dict(self._json), {"Content-Type": "application/json"}
        if self._sent_field is None:
            headers["Authorization"] = f"Bearer {refresh_token}"
        else:
            fields[self._sent_field] = refresh_token
        return Question(jsonlib.dumps(fields), headers)


def _checked_statuses(refused: Collection[int]) -> frozenset[int]:
    if isinstance(refused, str) or not isinstance(refused, Collection):
        raise TypeError(f"refused is a set of statuses, such as {{401}}, got {refused!r}")
    for status in refused:
        if not isinstance(status, int) or not 400 <= status <= 599:
            raise ValueError(f"refused has {status!r}: pass statuses from 400 to 599")
    return frozenset(refused)
