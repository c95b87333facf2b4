"""What comes of a refresher that is none of ours: a function of the user's, another library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import requests

from .._errors import LoginRequiredError, RefreshFailedError, TokenRefreshError
from .._foreign import raised_in
from .._token import Token
from ._answer import PUBLIC_CODES, Answer, answer_in
from ._cause import unless_it_tells
from ._dialects import refuses
from ._quote import NOT_SHOWN, Secrets, secrets_in
from ._said import said_in

T = TypeVar("T")


def failure_of(
    error: Exception, *, basis: Token | None, asked_at: float, now: float
) -> TokenRefreshError:
    """Return what *error* means, which a refresher has raised, by the table that ours have. It is
    the cause, unless it repeats what is known to be secret.

    Understood are what ``response.raise_for_status()`` raises; the errors of oauthlib and Authlib,
    whose `error` is the code; and those of google-auth, which have the error reply among their
    arguments.

    Args:
        basis: The token that the refresher was given.
        asked_at, now: When it was called and when it raised, in epoch seconds.
    """
    failure = _failure(error, basis, asked_at, now)
    failure.__cause__ = unless_it_tells(error, _secrets_of(error, basis))
    return failure


def without_tokens(error: TokenRefreshError, basis: Token | None) -> TokenRefreshError:
    """Return *error*, a refresher's own word, without what repeats a token."""
    secrets = _secrets_of(error, basis)
    for inner in ("__cause__", "__context__"):
        raised = getattr(error, inner)
        setattr(error, inner, None if raised is None else unless_it_tells(raised, secrets))
    error.args = tuple(_unless_it_has(arg, secrets) for arg in error.args)
    for name, value in vars(error).items():
        setattr(error, name, _unless_it_has(value, secrets))
    return error


def _unless_it_has(said: T, secrets: Secrets) -> T | str:
    """Return *said*, unless one of *secrets* is in it as it is: these are words of ours, or of the
    user's own, and may well resemble a token that is made of words."""
    has = isinstance(said, str) and any(secret in said for secret in secrets.values)
    return NOT_SHOWN if has else said


def _secrets_of(error: Exception, basis: Token | None) -> Secrets:
    return Secrets.of(*_requests_in(error), known=secrets_in(basis))


def _requests_in(error: Exception) -> Iterator[requests.PreparedRequest]:
    """Return what was sent, as far as *error* knows."""
    for raised in raised_in(error):
        response = getattr(raised, "response", None)
        answers = (*response.history, response) if isinstance(response, requests.Response) else ()
        for one in (raised, *answers):
            request = getattr(one, "request", None)
            if isinstance(request, requests.PreparedRequest):
                yield request


def _failure(
    error: Exception, basis: Token | None, asked_at: float, now: float
) -> TokenRefreshError:
    answer = _answer_in(error, basis, asked_at, now)
    if answer is not None:
        return answer.refusal() if answer.is_refusal() else answer.failure()
    own = {"error": getattr(error, "error", None), "message": getattr(error, "description", None)}
    # Not its message, which may repeat a URL or a form with secrets in it.
    return _refusal((own, *error.args)) or RefreshFailedError(
        f"{type(error).__name__} while getting a new token"
        + ("" if basis is not None else " without an old one (nobody has logged in yet?)")
    )


def failure_in(reply: object, problem: str) -> TokenRefreshError:
    """Return what *reply* means, which a refresher has returned: an error, as MSAL does, or
    nonsense, which is the *problem*."""
    return _refusal([reply]) or RefreshFailedError(
        f"what the refresher has returned is no new token: {problem}"
    )


def _refusal(replies: Iterable[object]) -> LoginRequiredError | None:
    for reply in replies:
        if isinstance(reply, Mapping):
            said = said_in(reply)
            if refuses(said, 0):
                # What else it says may repeat what was sent, and that is not known here.
                code = next((code for code in said.codes if code in PUBLIC_CODES), None)
                words = "" if code is None else f" ({code})"
                return LoginRequiredError(
                    f"the token endpoint refused the login{words}; log in again",
                    reason="invalid_grant",
                    code=code,
                )
    return None


def _answer_in(error: Exception, basis: Token | None, asked_at: float, now: float) -> Answer | None:
    response = error.response if isinstance(error, requests.HTTPError) else None
    if response is None:
        return None
    try:
        # Without the path, which may be secret: it is not of our arguments.
        parts = urlsplit(response.url or "")
        name = f"{parts.scheme}://{parts.hostname}" if parts.hostname else "behind the refresher"
        secrets = _secrets_of(error, basis)
        return answer_in(response, endpoint=name, asked_at=asked_at, now=now, secrets=secrets)
    except Exception:
        return None  # it was not read to its end, and now it cannot be
