"""Telling a server that a login is over (RFC 7009)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .._errors import RefreshFailedError, RevocationFailedError
from .._token import Token
from ._answer import Answer
from ._dialects import may_refuse
from ._endpoint import Question

_UNKNOWN = "end the login where the server lists those of its user"


def revoke(token: Token, ask: Callable[..., Answer], question: Callable[..., Question]) -> None:
    """Revoke *token*, the refresh token first: with it goes all that came of it (section 2.1).

    Args:
        ask: Asks the revocation endpoint.
        question: Makes a form for it.

    Raises:
        RevocationFailedError: The server was not told, or has not done so.
    """
    failures = []
    for kind, asked in _questions(token, question):
        try:
            answer = ask(asked).beside(token)
        except RefreshFailedError as error:
            raise RevocationFailedError(
                f"the server was not told that the login is over, and its tokens stay good: {error}"
            ) from error.__cause__
        if _is_dead_after(answer, kind):
            continue
        failures.append(_failure(answer))
        if not may_refuse(answer.status):
            break  # it is in trouble, and would be asked in vain
    if failures:
        raise failures[0]


def _questions(token: Token, question: Callable[..., Question]) -> Iterator[tuple[str, Question]]:
    # Not the tokens themselves, which would be among the variables of an error's traceback.
    for kind in ("refresh_token", "access_token"):
        if getattr(token, kind) is not None:
            yield kind, question(token=getattr(token, kind), token_type_hint=kind)


def _is_dead_after(answer: Answer, kind: str) -> bool:
    """Return whether no more can be done about a token of this *kind*.

    A server that does not know it answers 200 as well (section 2.2), or, against the RFC but
    widely, that it is invalid; with a 401 that would be said of the request. An access token that
    it cannot revoke (section 2.2.1) expires.
    """
    if 200 <= answer.status < 300 or (answer.status != 401 and answer.is_refusal()):
        return True
    return kind == "access_token" and "unsupported_token_type" in answer.said.codes


def _failure(answer: Answer) -> RevocationFailedError:
    facts = answer.failure()
    return RevocationFailedError(
        f"the {answer.kind} endpoint {answer.endpoint} has not revoked the login ({facts.status}: "
        f"{facts.said}): its tokens stay good until they expire; {answer.advice(_UNKNOWN)}",
        retry_after=facts.retry_after,
        status=facts.status,
        code=facts.code,
        said=facts.said,
    )
