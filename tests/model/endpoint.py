"""A token endpoint: what it says to the source, and what that means to the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import requests
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError

from requests_tokenrefresh import LoginRequiredError, RefreshFailedError, Token
from tests.model.login import Answer


def error_reply(code: str) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = 400
    response._content = json.dumps({"error": code}).encode()
    return requests.HTTPError("400", response=response)


# What the token endpoint answers to its call *n*, by what it means to the model.
TOKENS: dict[str, Callable[[int, Token | None], Answer]] = {
    "for an hour": lambda n, _: Answer(f"access-{n}", f"refresh-{n}", 3600),
    "for a minute": lambda n, _: Answer(f"access-{n}", f"refresh-{n}", 60),
    "dead on arrival": lambda n, _: Answer(f"access-{n}", f"refresh-{n}", -5),
    "the same refresh token": lambda n, _: Answer(f"access-{n}", None, 3600),
    "the same string": lambda n, basis: Answer(
        basis.access_token if basis else "access", f"refresh-{n}", 600
    ),
    "the same twice": lambda n, basis: Answer(basis.access_token if basis else "access", None, 60),
    "for ever": lambda n, _: Answer(f"access-{n}"),
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
    "garbage": (lambda: {"access_token": "\n"}, Answer(fails=True)),
}


def meaning(kind: str, number: int, how: str, basis: Token | None) -> Answer:
    """Return what the *number*th answer means, if it is of that *kind*."""
    if how == "refresh" and basis is None:
        return Answer(refused="no_token")
    if how == "refresh" and basis.refresh_token is None:
        return Answer(refused="no_refresh_token")
    return OTHERS[kind][1] if kind in OTHERS else TOKENS[kind](number, basis)


def reply(kind: str, answer: Answer) -> Any:
    """Return, or raise, what a refresher makes of *answer*."""
    if answer.refused in ("no_token", "no_refresh_token"):
        raise LoginRequiredError("there is nothing to ask with", reason=answer.refused)
    if kind in OTHERS:
        said = OTHERS[kind][0]()
        if isinstance(said, Exception):
            raise said
        return said
    if answer.refresh is None and answer.lifetime is None:
        return answer.access
    return {
        "access_token": answer.access,
        "refresh_token": answer.refresh,
        "expires_in": answer.lifetime,
    }
