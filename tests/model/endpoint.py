"""An issuer: what it says to the source, and what that means to the model."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import requests
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError

from requests_tokenrefresh import LoginRequiredError, RefreshFailedError, Token
from tests.model.world import Answer


def access_token(name: str, person: str | None) -> str:
    """Return an access token that says whose it is, if it is anybody's."""
    if person is None:
        return name
    claims = json.dumps({"sub": person, "jti": name}).encode()
    return f"header.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.signature"


def person_of(token: str) -> str | None:
    """Return whose *token* says it is; None: it does not say."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    claims = base64.urlsafe_b64decode(parts[1] + "==")
    return str(json.loads(claims)["sub"])


def error_reply(code: str) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = 400
    response._content = json.dumps({"error": code}).encode()
    return requests.HTTPError("400", response=response)


def _same(basis: Token | None) -> str:
    return basis.access_token if basis else "access"


# What the issuer answers to its call *n*, by what it means to the model: of new tokens, how long
# they live, and whether the refresh token rotates.
LIFETIMES: dict[str, tuple[float | None, bool]] = {
    "for an hour": (3600, True),
    "for a minute": (60, True),
    "dead on arrival": (-5, True),
    "the same refresh token": (3600, False),
    "for ever": (None, False),
}
THE_SAME: dict[str, Callable[[int, Token | None], Answer]] = {
    "the same string": lambda n, basis: Answer(_same(basis), f"refresh-{n}", 600),
    "the same twice": lambda n, basis: Answer(_same(basis), None, 60),
}
# What else it does, and what that means.
OTHERS: dict[str, tuple[Callable[[], Any], Answer]] = {
    "invalid_grant": (
        lambda: LoginRequiredError("refused", reason="invalid_grant"),
        Answer(refused="invalid_grant"),
    ),
    "a reason of its own": (
        lambda: LoginRequiredError("refused", reason="device_removed"),
        Answer(refused="device_removed"),
    ),
    "oauthlib's invalid_grant": (InvalidGrantError, Answer(refused="invalid_grant")),
    "an HTTPError with invalid_grant": (
        lambda: error_reply("invalid_grant"),
        Answer(refused="invalid_grant"),
    ),
    "MSAL's reply": (
        lambda: {"error": "interaction_required"},
        Answer(refused="invalid_grant"),
    ),
    "invalid_client": (lambda: error_reply("invalid_client"), Answer(fails=True)),
    "no answer": (lambda: requests.ConnectionError("down"), Answer(fails=True)),
    "try later": (
        lambda: RefreshFailedError("busy", retry_after=7),
        Answer(fails=True, retry_after=7),
    ),
    "try in two hours": (
        lambda: RefreshFailedError("busy", retry_after=7200),
        Answer(fails=True, retry_after=7200),
    ),
    "garbage": (lambda: {"access_token": "\n"}, Answer(fails=True)),
    "an interrupt": (KeyboardInterrupt, Answer(interrupted=True)),
}
KINDS = [*LIFETIMES, *THE_SAME, *OTHERS]


def meaning(
    kind: str, number: int, how: str, basis: Token | None, person: str | None, unattended: str
) -> Answer:
    """Return what the *number*th answer means, if it is of that *kind*.

    Args:
        how: ``"refresh"`` or ``"login"``.
        person: Whose *basis* is.
        unattended: As in `Rules`: a refresher that logs in by itself needs no *basis*.
    """
    if how == "refresh" and unattended != "the refresher":
        if basis is None:
            return Answer(refused="no_token")
        if basis.refresh_token is None:
            return Answer(refused="no_refresh_token")
    if kind in OTHERS:
        return OTHERS[kind][1]
    if kind in THE_SAME:
        return THE_SAME[kind](number, basis)
    lifetime, rotates = LIFETIMES[kind]
    name = access_token(f"access-{number}", person)
    return Answer(name, f"refresh-{number}" if rotates else None, lifetime)


def reply(kind: str, answer: Answer) -> Any:
    """Return, or raise, what a refresher makes of *answer*."""
    if answer.refused in ("no_token", "no_refresh_token"):
        raise LoginRequiredError("there is nothing to ask with", reason=answer.refused)
    if kind in OTHERS:
        said = OTHERS[kind][0]()
        if isinstance(said, BaseException):
            raise said
        return said
    if answer.refresh is None and answer.lifetime is None:
        return answer.access
    return {
        "access_token": answer.access,
        "refresh_token": answer.refresh,
        "expires_in": answer.lifetime,
    }
