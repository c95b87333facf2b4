"""`Token`: what a login has in hand, as one frozen value.

Two tokens are equal when their secrets are. Inside a process the *object* tells generations
apart (an endpoint may return the same string twice); across processes only the value can.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from ._expiry import complain, expiry_of_fresh, expiry_of_kept, jwt_claims, moment, read, seconds

T = TypeVar("T")

_log = logging.getLogger("requests_tokenrefresh")

# RFC 6749 appendix A.12 and A.17: visible ASCII and the space. A space at either end would not
# survive a header, and anything else (CR, LF, NUL, non-ASCII) could end it.
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # auth-scheme: RFC 9110 section 11.1

# What token endpoints call a bearer token; spelled without blanks, `_` and `-`.
_BEARER = frozenset(
    {
        "accesstoken",
        "applicationaccesstoken",  # eBay
        "at+jwt",  # the media type of RFC 9068
        "bearer",
        "bearertoken",
        "bot",  # Slack
        "jwt",
        "jwtbearer",  # Azure DevOps
        "na",  # "N_A" of RFC 8693 section 2.2.1
        "user",  # Slack
        "useraccesstoken",  # eBay
    }
)

_SHORTEST = 4  # characters of a token that can be told from a word
_USUAL_TYPE = "Bearer"  # where nobody says another

# Types whose use takes a signature or proof with every request (RFC 9449, the MAC draft): sent
# alone such a token is useless.
_PROOF_OF_POSSESSION = frozenset({"dpop", "mac", "pop"})

_FIELDS = frozenset(
    {"access_token", "refresh_token", "token_type", "expires_in", "expires_at", "issued_at"}
)

# What google-auth calls them where it saves its credentials; `expiry` is that of Go's oauth2, too.
_OTHER_NAMES = {"access_token": "token", "expires_at": "expiry"}

_DEEPEST = 32  # containers in containers; what json reads at once it may not write, or pickle

# Saved there too. It is the client's, not the login's, and does not go into a token store.
_NOT_KEPT = frozenset({"client_secret"})

CLIENT = "client"
"""What is remembered of the client: see `_client_record`. No server is asked for it, so none says
where a login is renewed."""


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
        extra: Whatever else the reply carried (``scope``, ``id_token``, …); kept, never shown. In
            it, ``client`` is what `log_in` remembers of the client, and not taken from a reply.

    Raises:
        ValueError: A secret is empty or has characters that cannot stand in a header, or the type
            is no scheme. The message never repeats the secret.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    token_type: str = field(default="Bearer", compare=False)
    expires_at: float | None = field(default=None, compare=False)
    issued_at: float | None = field(default=None, compare=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        checked("access_token", usable, self.access_token)
        if self.refresh_token is not None:
            checked("refresh_token", usable, self.refresh_token)
        object.__setattr__(self, "token_type", checked("token_type", scheme, self.token_type))
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
        """Read what `to_mapping` wrote, a token reply (RFC 6749 section 5.1), or what another
        library keeps: requests-oauthlib, Authlib, google-auth, MSAL.

        Only the secrets have to be right. Anything else that cannot be read is a WARNING in the
        log that names the field, and counts as left out.

        Args:
            reply: The fields. Expiry is taken from ``expires_in`` (seconds from *received_at*; a
                number or its string; less than 0 if it has expired) or ``expires_at`` (epoch
                seconds, a `datetime`, or a date and time as in RFC 3339; UTC if it names no zone),
                else from the ``exp`` claim if the access token is a JWT (RFC 7519 section 4.1.4).
                Of the first two the earlier counts: in a reply that was kept, ``expires_in`` is
                as old as the reply. ``issued_at`` counts only in what `to_mapping` wrote. Of
                ``token_type``, what is another name for a bearer token (``JWT``,
                ``access_token``, …) or no name of a scheme means ``Bearer``. ``token`` and
                ``expiry`` do for ``access_token`` and ``expires_at``. A ``client_secret`` is not
                kept.
            received_at: Now, in epoch seconds.
            previous: The token that was refreshed: what *reply* leaves out of refresh token (RFC
                6749 section 6), type and further fields is taken from it.

        Raises:
            ValueError: There is no usable token in *reply*; the message says which field is wrong
                and never repeats a secret.
        """
        issued_at = _when_we_issued(reply)
        fields = _of_a_server(reply) if issued_at is None else _by_our_names(reply, {})
        if issued_at is None:
            expires_at = expiry_of_kept(fields, received_at=received_at)
            token_type = _type_in(fields, previous)
        else:
            is_text = isinstance(fields.get("expires_at"), str)
            expires_at = read("expires_at", moment if is_text else seconds, fields)
            token_type = read("token_type", scheme, fields) or _USUAL_TYPE
        return cls(
            fields["access_token"],
            fields.get("refresh_token") or _refresh_token_of(previous),
            token_type,
            expires_at,
            received_at if issued_at is None else issued_at,
            _extra(fields, previous),
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


def checked(name: str, reader: Callable[[object], T], value: object) -> T:
    """Return *value* as *reader* reads it.

    Raises:
        ValueError: It cannot; the message names it *name* and does not repeat it.
    """
    try:
        return reader(value)
    except ValueError as problem:
        raise ValueError(f"{name} {problem}") from None


def usable(secret: object) -> str:
    """Return *secret*, which can be sent.

    Raises:
        ValueError: It cannot.
    """
    if not isinstance(secret, str):
        raise ValueError(f"is a string, got {type(secret).__name__}")
    if not _PRINTABLE.fullmatch(secret):
        problem = "has characters that cannot stand in a header" if secret else "is empty"
        raise ValueError(f"{problem} (RFC 6749 appendix A)")
    return secret


def scheme(name: object) -> str:
    """Return the name of an authentication scheme as it is sent.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(name, str) or not _SCHEME.fullmatch(name):
        raise ValueError("is not the name of an authentication scheme")
    return "Bearer" if name.lower() == "bearer" else name


def read_login(login: Token | Mapping[str, Any] | str, *, received_at: float) -> Token:
    """Return the token that somebody begins a login with, as a `Token` object that nobody else
    has: its identity is its generation.

    Raises:
        ValueError: It is not usable. Nothing is lost: whoever passed it has it still.
    """
    if isinstance(login, str):
        login = {"access_token": login}
    if not isinstance(login, Token):
        login = Token.from_mapping(login, received_at=received_at)
    if login.token_type.lower() in _PROOF_OF_POSSESSION:
        raise ValueError(
            f"tokens of type {login.token_type!r} need a proof with every request, and only those "
            "that are sent as they are can be used here; if the server takes it so, pass it with "
            "the token_type 'Bearer'"
        )
    return replace(login, issued_at=received_at if login.issued_at is None else login.issued_at)


def read_reply(
    reply: Token | Mapping[str, Any] | str,
    *,
    received_at: float,
    previous: Token | None,
    date: float | None = None,
    token_type: str | None = None,
) -> Token:
    """Return what the issuer has just given out, as a `Token` object that nobody else has.

    What it was given for is spent, so a usable access token is all that *reply* must have. What
    else cannot be read is a WARNING in the log, and counts as left out.

    Args:
        reply: A token, a token reply, or the access token.
        received_at: Now, in epoch seconds.
        previous: As in `Token.from_mapping`.
        date: Now by the issuer's clock, if it has told.
        token_type: The scheme, whatever *reply* says.

    Raises:
        ValueError: There is no usable access token in *reply*.
    """
    if isinstance(reply, Token):
        return replace(
            reply,
            refresh_token=reply.refresh_token or _refresh_token_of(previous),
            issued_at=received_at if reply.issued_at is None else reply.issued_at,
            extra=_extra(reply.extra, previous),
        )
    fields = _of_a_server({"access_token": reply} if isinstance(reply, str) else reply)
    return Token(
        fields["access_token"],
        read("refresh_token", usable, fields) or _refresh_token_of(previous),
        token_type or _type_in(fields, previous),
        expiry_of_fresh(fields, received_at=received_at, date=date),
        received_at,
        _extra(fields, previous),
    )


def _of_a_server(reply: object) -> dict[str, Any]:
    """As `_by_our_names`, of what nobody here has written."""
    fields = _by_our_names(reply, _OTHER_NAMES)
    fields.pop(CLIENT, None)
    return fields


def _by_our_names(reply: object, others: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of *reply* by our names, with something for an access token in it.

    Args:
        others: What fields may be called instead.

    Raises:
        ValueError: There is none.
    """
    if not isinstance(reply, Mapping):
        raise ValueError(f"a token reply is a mapping, got {type(reply).__name__}")
    fields = dict(reply)
    for ours, theirs in others.items():
        if fields.get(ours) is None and theirs in fields:
            fields[ours] = fields.pop(theirs)
    for secret in ("access_token", "refresh_token"):
        if isinstance(fields.get(secret), str):
            fields[secret] = fields[secret].strip()  # the file that it was read from ends in a line
    if fields.get("access_token") is None:
        raise ValueError("the token reply has no access_token")
    fields["refresh_token"] = fields.get("refresh_token") or None  # "": there is none
    return fields


def _when_we_issued(reply: object) -> float | None:
    """Return ``issued_at`` if `Token.to_mapping` wrote *reply*, as far as one can see: it writes a
    number, and no ``expires_in``. What a server calls so may be anything."""
    if not isinstance(reply, Mapping) or reply.get("expires_in") is not None:
        return None
    issued_at = reply.get("issued_at")
    if not isinstance(issued_at, int | float):
        return None
    try:
        return seconds(issued_at)
    except ValueError:
        return None


def _type_in(fields: Mapping[str, Any], previous: Token | None) -> str:
    """Return the scheme that a server means by the ``token_type`` in *fields*."""
    name = fields.get("token_type") or None
    if name is None:
        return _USUAL_TYPE if previous is None else previous.token_type
    if isinstance(name, str):
        name = name.strip()
        bare = re.sub(r"[\s_-]", "", name).lower()
        if bare in _BEARER or bare.startswith("urn:"):
            return _USUAL_TYPE
        if bare in _PROOF_OF_POSSESSION:
            _log.warning(
                "by its token_type, a token reply wants a proof with every request, which is not "
                "sent; if the server takes the token without one, pass token_type='Bearer' to the "
                "grant"
            )
        tokens = (fields["access_token"], fields["refresh_token"], _refresh_token_of(previous))
        if any(isinstance(one, str) and len(one) >= _SHORTEST and one in name for one in tokens):
            complain("token_type", "repeats a token")
            return _USUAL_TYPE
    return read("token_type", scheme, {"token_type": name}) or _USUAL_TYPE


def _extra(fields: Mapping[str, Any], previous: Token | None) -> dict[str, Any]:
    """Return what else *fields* say; what they leave out is as it was."""
    before = {} if previous is None else previous.extra
    said = {
        name: value
        for name, value in fields.items()
        if name not in _NOT_KEPT and (value is not None or name not in before)
    }
    scope = said.get("scope")
    if not isinstance(scope, str | None) and not (
        isinstance(scope, list | tuple) and all(isinstance(one, str) for one in scope)
    ):
        complain("scope", "is neither a string nor a list of strings")
        del said["scope"]
    for name in [name for name, value in said.items() if _is_too_deep(value)]:
        complain("a field", "is nested too deep")  # not its name: of others nobody knows what it is
        del said[name]
    return {**before, **said}


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST + 1):
        containers = [one for one in level if isinstance(one, Mapping | list | tuple)]
        if not containers:
            return False
        level = [
            inner
            for one in containers
            for inner in (one.values() if isinstance(one, Mapping) else one)
        ]
    return True


def _refresh_token_of(previous: Token | None) -> str | None:
    return None if previous is None else previous.refresh_token


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
