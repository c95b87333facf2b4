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
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
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

# What google-auth calls them where it saves its credentials; `expiry` is that of Go's oauth2, too.
_OTHER_NAMES = {"access_token": "token", "expires_at": "expiry"}

# Saved there too. It is the client's, not the login's, and does not go into a token store.
_NOT_KEPT = frozenset({"client_secret"})

# RFC 3339 section 5.6, with the fraction and the zone optional.
_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE
)


class NoTokenError(ValueError):
    """A reply without an access token.

    Attributes:
        error: The code that it has instead (RFC 6749 section 5.2); None if it has none.
    """

    def __init__(self, error: object) -> None:
        super().__init__("the token reply has no access_token")
        self.error = error


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

    @cached_property  # every request asks
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
        """Read a token reply (RFC 6749 section 5.1), what `to_mapping` wrote, or what another
        library keeps: requests-oauthlib, Authlib, google-auth, MSAL.

        Args:
            reply: The fields of the reply. Expiry is taken from ``expires_in`` (seconds from
                *received_at*; a number or its string; less than 0 if it has expired) or
                ``expires_at`` (epoch seconds, a `datetime`, or a date and time as in RFC 3339; UTC
                if it names no zone), else from the ``exp`` claim if the access token is a JWT (RFC
                7519 section 4.1.4). Of the first two the earlier counts: in a reply that was kept,
                ``expires_in`` is as old as the reply. ``token`` and ``expiry`` do for
                ``access_token`` and ``expires_at``. A ``client_secret`` is not kept.
            received_at: Now, in epoch seconds.
            previous: The token that was refreshed: a reply without a refresh token keeps its
                (section 6).

        Raises:
            ValueError: There is no usable token in *reply*; the message says which field is wrong
                and never repeats a secret.
        """
        if not isinstance(reply, Mapping):
            raise ValueError(f"a token reply is a mapping, got {type(reply).__name__}")
        reply = _by_our_names(reply)
        if reply.get("access_token") is None:
            raise NoTokenError(reply.get("error"))
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
            extra={name: value for name, value in reply.items() if name not in _NOT_KEPT},
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


def _by_our_names(reply: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(reply)
    for ours, theirs in _OTHER_NAMES.items():
        if fields.get(ours) is None and theirs in fields:
            fields[ours] = fields.pop(theirs)
    return fields


def _expiry(reply: Mapping[str, Any], received_at: float) -> float | None:
    expires_in = _seconds("expires_in", reply.get("expires_in"))
    expires_at = _moment("expires_at", reply.get("expires_at"))
    if expires_in:  # 0 is how some servers say that they will not say
        return min(received_at + expires_in, math.inf if expires_at is None else expires_at)
    if expires_at is not None:
        return expires_at
    claim = _jwt_expiry(reply["access_token"])
    # Already past: the clocks disagree, or the reply is old. The server will tell with a 401.
    return claim if claim is not None and claim > received_at else None


def _moment(name: str, value: object) -> float | None:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
    date_time = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if date_time is None:
        return _seconds(name, value)
    date, time, fraction, zone = date_time.groups()
    zone = "+00:00" if zone in (None, "Z", "z") else zone
    try:
        whole = datetime.fromisoformat(f"{date}T{time}{zone}")
    except ValueError:
        raise ValueError(f"{name} is not a date and time that there is") from None
    return whole.timestamp() + float(fraction or 0)


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
        # A JWT leaves out the padding. Two characters are the most there is; too many do no harm.
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    except (ValueError, RecursionError):
        return {}  # three parts, and not a JWT: an opaque token may look like anything
    return claims if isinstance(claims, dict) else {}


def _jwt_expiry(access_token: object) -> float | None:
    try:
        return _seconds("exp", jwt_claims(access_token).get("exp"))
    except ValueError:
        return None


def read_reply(
    reply: Token | Mapping[str, Any] | str, *, received_at: float, previous: Token | None
) -> Token:
    """Return a `Token` object that nobody else has: its identity is its generation.

    Args:
        reply: A token, a token reply, or the access token.
        received_at, previous: As in `Token.from_mapping`.

    Raises:
        ValueError: There is no usable token in *reply*.
    """
    if isinstance(reply, str):
        reply = {"access_token": reply}
    if not isinstance(reply, Token):
        return Token.from_mapping(reply, received_at=received_at, previous=previous)
    kept = previous.refresh_token if previous is not None else None
    return replace(
        reply,
        refresh_token=reply.refresh_token or kept,
        issued_at=received_at if reply.issued_at is None else reply.issued_at,
    )


def of_another_person(one: Token, other: Token) -> bool:
    """Return whether two tokens are known to be of two persons (``sub``: RFC 7519 section 4.1.2).

    Access tokens are compared with each other, and if these do not tell, id_tokens: an issuer may
    call the same person by two names in the two kinds.
    """
    for one_of, other_of in (
        (one.access_token, other.access_token),
        (one.extra.get("id_token"), other.extra.get("id_token")),
    ):
        subjects = jwt_claims(one_of).get("sub"), jwt_claims(other_of).get("sub")
        if None not in subjects:
            return str(subjects[0]) != str(subjects[1])
    return False
