"""The id_token of a login, as far as it has to be right (OpenID Connect Core section 3.1.3.7).

It comes from the token endpoint itself, over TLS, so its signature need not be checked (item 6);
and nobody is authenticated by it here. What it must not be is somebody else's answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._errors import LoginFailedError
from .._expiry import jwt_claims, seconds
from .._token import Token
from ._quote import Secrets

_LEEWAY = 120.0  # seconds that the clocks of two servers may differ


def check_id_token(
    token: Token,
    *,
    issuer: str | None,
    client_id: str | None,
    nonce: str | None,
    now: float,
    secrets: Secrets,
) -> None:
    """Return if the id_token of *token* belongs to this login, as far as is known what it must
    say, or if there is none.

    Args:
        issuer, client_id: Whose it is, and for whom; None if nobody knows.
        nonce: What was sent with the question; None if nothing was.
        now: In epoch seconds, by the issuer's clock if it has told.

    Raises:
        LoginFailedError: It does not.
    """
    if token.extra.get("id_token") is None:
        return
    claims = jwt_claims(token.extra["id_token"])
    if not claims:
        raise _failure("it cannot be read: if it is encrypted, log in without the scope openid")
    if issuer is not None and claims.get("iss") != issuer:
        raise LoginFailedError(
            f"the id_token is by {secrets.quote(str(claims.get('iss')))}, and not by {issuer}; "
            "check the issuer's address",
            reason="issuer_mismatch",
        )
    if client_id is not None and client_id not in _audience(claims):
        raise _failure(f"it is for another client than {client_id} (aud)")
    if _has_expired(claims, now):
        raise _failure("it has expired (exp): check this machine's clock")
    if nonce is not None and claims.get("nonce") != nonce:
        raise _failure("it answers another attempt to log in (nonce)")


def _audience(claims: Mapping[str, Any]) -> list[Any]:
    aud = claims.get("aud")
    return aud if isinstance(aud, list) else [aud]


def _has_expired(claims: Mapping[str, Any], now: float) -> bool:
    try:
        return seconds(claims.get("exp")) + _LEEWAY < now
    except ValueError:
        return True  # it must say


def _failure(problem: str) -> LoginFailedError:
    return LoginFailedError(
        f"the id_token that came with the login is wrong: {problem}; begin again",
        reason="bad_answer",
    )
