"""`Token`: what a login has in hand, as one frozen value.

Two tokens are equal when their secrets are. Inside a process the *object* tells generations
apart (an endpoint may return the same string twice); across processes only the value can.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

# RFC 6749 appendix A.12 and A.17: visible ASCII and the space. A space at either end would not
# survive a header, and anything else (CR, LF, NUL, non-ASCII) could end it.
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # auth-scheme: RFC 9110 section 11.1

# Types whose use takes a signature or proof with every request (RFC 9449, the MAC draft): sent
# alone such a token is useless, and RFC 6749 section 7.1 forbids the attempt.
_PROOF_OF_POSSESSION = frozenset({"dpop", "mac", "pop"})

_FIELDS = frozenset(
    {"access_token", "refresh_token", "token_type", "expires_in", "expires_at", "issued_at"}
)


@dataclass(frozen=True)
class Token:
    """An access token with what belongs to it. Immutable, so safe to share between threads.

    Args:
        access_token: What goes into the ``Authorization`` header (RFC 6749 section 1.4).
        refresh_token: What buys the next token (section 1.5); None if there is none.
        token_type: The authentication scheme (section 7.1); any spelling of ``bearer`` is sent
            as ``Bearer``, others as they are.
        expires_at: When the access token dies, in epoch seconds; None if nobody said.
        issued_at: When it was received, in epoch seconds; with *expires_at* it gives the
            lifetime that `leeway` and `early` are measured against.
        extra: Whatever else the reply carried (``scope``, ``id_token``, …); kept, never shown.

    Raises:
        ValueError: A secret is empty or has characters that cannot stand in a header, or the
            type needs a proof with every request. The message never repeats the secret.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    token_type: str = field(default="Bearer", compare=False)
    expires_at: float | None = field(default=None, compare=False)
    issued_at: float | None = field(default=None, compare=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_secret("access_token", self.access_token)
        if self.refresh_token is not None:
            _check_secret("refresh_token", self.refresh_token)
        if not isinstance(self.token_type, str) or not _SCHEME.fullmatch(self.token_type):
            raise ValueError("token_type is not the name of an authentication scheme")
        if self.token_type.lower() in _PROOF_OF_POSSESSION:
            raise ValueError(
                f"tokens of type {self.token_type!r} need a proof with every request; "
                "only tokens that are sent as they are (bearer) can be used here"
            )
        if self.token_type.lower() == "bearer":
            object.__setattr__(self, "token_type", "Bearer")
        extra = {name: value for name, value in self.extra.items() if name not in _FIELDS}
        object.__setattr__(self, "extra", MappingProxyType(extra))

    @property
    def authorization(self) -> str:
        """The value of the ``Authorization`` header (RFC 6750 section 2.1)."""
        return f"{self.token_type} {self.access_token}"

    @property
    def lifetime(self) -> float | None:
        """Seconds between issue and expiry; None if either is unknown."""
        if self.expires_at is None or self.issued_at is None:
            return None
        return max(0.0, self.expires_at - self.issued_at)

    @classmethod
    def from_mapping(
        cls, reply: Mapping[str, Any], *, received_at: float, previous: Token | None = None
    ) -> Token:
        """Read a token reply (RFC 6749 section 5.1) or what `to_mapping` wrote.

        Args:
            reply: The fields of the reply. Expiry is taken from ``expires_in`` (seconds from
                *received_at*; a number or its string), else ``expires_at`` (epoch seconds), else
                the ``exp`` claim if the access token is a JWT (RFC 7519 section 4.1.4).
            received_at: Now, in epoch seconds.
            previous: The token that was refreshed: a reply without a refresh token keeps its
                (section 6).

        Raises:
            ValueError: There is no usable token in *reply*; the message says which field is wrong
                and never repeats a secret.
        """
        if not isinstance(reply, Mapping):
            raise ValueError(f"a token reply is a mapping, got {type(reply).__name__}")
        if reply.get("access_token") is None:
            raise ValueError("the token reply has no access_token")
        refresh_token = reply.get("refresh_token") or None
        if refresh_token is None and previous is not None:
            refresh_token = previous.refresh_token
        issued_at = _seconds("issued_at", reply.get("issued_at"))
        return cls(
            access_token=reply["access_token"],
            refresh_token=refresh_token,
            token_type=reply.get("token_type") or "Bearer",
            expires_at=_expiry(reply, received_at),
            issued_at=received_at if issued_at is None else issued_at,
            extra=reply,
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields, secrets included, as plain JSON values; for stores.

        `from_mapping` reads them back.
        """
        fields = {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "token_type": self.token_type,
            "expires_at": self.expires_at,
            "issued_at": self.issued_at,
        }
        return {**self.extra, **{k: v for k, v in fields.items() if v is not None}}

    def __reduce__(self) -> tuple[Any, ...]:
        # Spelled out because a mapping proxy does not pickle.
        fields = (self.access_token, self.refresh_token, self.token_type)
        return type(self), (*fields, self.expires_at, self.issued_at, dict(self.extra))


def _check_secret(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} is a string, got {type(value).__name__}")
    if not _PRINTABLE.fullmatch(value):
        problem = "has characters that cannot stand in a header" if value else "is empty"
        raise ValueError(f"{name} {problem} (RFC 6749 appendix A)")


def _expiry(reply: Mapping[str, Any], received_at: float) -> float | None:
    expires_in = _seconds("expires_in", reply.get("expires_in"))
    if expires_in is not None and expires_in < 0:
        raise ValueError(f"expires_in is negative ({expires_in:g}): the token is dead on arrival")
    if expires_in:  # 0 is how some servers say that they will not say
        return received_at + expires_in
    expires_at = _seconds("expires_at", reply.get("expires_at"))
    if expires_at is not None:
        return expires_at
    claim = _jwt_expiry(reply["access_token"])
    # Already past: the clocks disagree, or the reply is old. The server will tell with a 401.
    return claim if claim is not None and claim > received_at else None


def _seconds(name: str, value: object) -> float | None:
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        seconds = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} is not a number of seconds") from None
    if not math.isfinite(seconds):
        raise ValueError(f"{name} is not a finite number of seconds")
    return seconds


def jwt_claims(token: object) -> Mapping[str, Any]:
    """Return what *token* claims if it is a JWT (RFC 7519 section 3), else nothing.

    Nobody has verified it: good enough to recognise a login by, or to guess when to refresh.
    """
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}  # three parts, and not a JWT: an opaque token may look like anything
    return claims if isinstance(claims, dict) else {}


def _jwt_expiry(access_token: object) -> float | None:
    try:
        return _seconds("exp", jwt_claims(access_token).get("exp"))
    except ValueError:
        return None
