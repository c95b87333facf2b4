"""What a refresh needs, and what the arguments say of its answers."""

from __future__ import annotations

from collections.abc import Collection

from .._errors import LoginRequiredError
from .._token import Token, checked, scheme
from ._answer import Refused


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


def check_refused(refused: Refused) -> Refused:
    """Return *refused*, in a form that does not change any more.

    Raises:
        TypeError, ValueError: It is neither statuses and codes nor a function.
    """
    if callable(refused):
        return refused
    if isinstance(refused, str) or not isinstance(refused, Collection):
        raise TypeError(
            "refused is a function that takes a requests.Response, or a set of statuses and codes, "
            f"such as {{401}}, got {refused!r}"
        )
    for one in refused:
        is_code = isinstance(one, str) and one and not one.isdigit()
        if not is_code and (not isinstance(one, int) or not 400 <= one <= 599):
            raise ValueError(f"refused has {one!r}: pass statuses from 400 to 599, or codes")
    return frozenset(refused)


def check_token_type(token_type: str | None) -> str | None:
    """Return *token_type* as it is sent.

    Raises:
        ValueError: It is not the name of an authentication scheme.
    """
    return None if token_type is None else checked("token_type", scheme, token_type)
