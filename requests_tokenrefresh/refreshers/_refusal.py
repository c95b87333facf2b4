"""The two ways in which a refresh is refused for good, in words."""

from __future__ import annotations

from .._errors import LoginRequiredError
from .._token import Token
from ._answer import Answer


def refresh_token_of(token: Token | None) -> str:
    """Return the refresh token of *token*.

    Raises:
        LoginRequiredError: There is none, so there is nothing to ask with.
    """
    if token is None:
        raise LoginRequiredError("there is no token to refresh; log in first", reason="no_token")
    if token.refresh_token is None:
        raise LoginRequiredError(
            "the token came without a refresh token, so it cannot be refreshed; log in again",
            reason="no_refresh_token",
        )
    return token.refresh_token


def refusal(answer: Answer, said: str) -> LoginRequiredError:
    """Return the error for an *answer* that ends the login."""
    return LoginRequiredError(
        f"the token endpoint {answer.endpoint} refused the login ({said}); log in again",
        reason="invalid_grant",
    )
