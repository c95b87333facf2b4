"""Revoking what a login has (RFC 7009)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .._errors import RefreshFailedError, RevocationFailedError
from .._token import Token
from ._answer import Answer
from ._endpoint import Question


def revoke(token: Token, ask: Callable[..., Answer], question: Callable[..., Question]) -> None:
    """Revoke *token*, the refresh token first: with it goes all that came of it (section 2.1).

    Args:
        ask: Asks the revocation endpoint.
        question: Makes a form for it.

    Raises:
        RevocationFailedError: The server was not told, or does not say that it has done so.
    """
    for kind, value in _secrets(token):
        try:
            answer = ask(question(token=value, token_type_hint=kind))
        except RefreshFailedError as error:
            raise RevocationFailedError(
                f"the server was not told that the login is over, and its tokens stay good: {error}"
            ) from error.__cause__
        if answer.status == 200:
            continue  # also where it does not know the token (section 2.2)
        if "unsupported_token_type" in answer.said.codes and kind == "access_token":
            continue  # section 2.2.1: it expires by itself
        said = answer.failure()
        raise RevocationFailedError(
            f"{answer.endpoint} has not revoked the login ({answer.status}: {said.said}): its "
            "tokens stay good until they expire",
            retry_after=said.retry_after,
            status=said.status,
            code=said.code,
            said=said.said,
        )


def _secrets(token: Token) -> Iterator[tuple[str, str]]:
    if token.refresh_token is not None:
        yield "refresh_token", token.refresh_token
    yield "access_token", token.access_token
