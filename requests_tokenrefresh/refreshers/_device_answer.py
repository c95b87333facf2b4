"""What a server says about a device login, and what to do next (RFC 8628 sections 3.2, 3.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from .._errors import InsecureTransportError, LoginFailedError
from .._expiry import seconds
from .._foreign import printable
from .._origins import require_secure
from ._answer import Answer
from ._dialects import is_in_trouble
from ._person import login_failure
from ._said import spelled

_USUAL_INTERVAL = 5.0  # seconds, if the server does not say (section 3.2)
_USUAL_LIFE = 600.0  # seconds; a server must say, and some forget
_LONGEST_CODE = 64  # characters that a person can be asked to type

# By the names of Google and of the drafts.
_OTHER_NAMES = {
    "verification_uri": "verification_url",
    "verification_uri_complete": "verification_url_complete",
}


class Next(Enum):
    """What an answer to a poll means."""

    WAIT = auto()  # nobody has answered yet
    SLOWER = auto()  # likewise, and it is asked too often
    LATER = auto()  # the server is in trouble
    DENIED = auto()
    EXPIRED = auto()
    DONE = auto()  # there is a token, or something else that ends it

    @property
    def is_last(self) -> bool:
        """Whether there is nothing more to poll for."""
        return self in (Next.DENIED, Next.EXPIRED, Next.DONE)


# One line for each way of saying it; spelled as `spelled` does.
_WAYS = {
    "authorization_pending": Next.WAIT,
    "slow_down": Next.SLOWER,
    "access_denied": Next.DENIED,
    "authorization_declined": Next.DENIED,  # Azure
    "expired_token": Next.EXPIRED,
    "code_expired": Next.EXPIRED,  # Azure
    "expired_device_code": Next.EXPIRED,
    "device_code_expired": Next.EXPIRED,
}


@dataclass(frozen=True)
class DeviceAttempt:
    """What a person has to do, on any device (RFC 8628 section 3.2).

    Attributes:
        user_code: What to type there.
        verification_uri: Where.
        verification_uri_complete: The same with the code in it, as for a QR code; None if there is
            none.
        expires_in: Seconds from the answer until the code is no good any more.
        interval: Seconds between two polls, and before the first.
        answered_at: When the answer had come, in monotonic seconds.
        device_code: What to poll with; in no repr.
    """

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: float
    interval: float
    answered_at: float
    device_code: str = field(repr=False)


def attempt_in(answer: Answer, *, answered_at: float, insecure: bool) -> DeviceAttempt:
    """Return the attempt that the device authorization endpoint has begun.

    Raises:
        LoginFailedError: It has begun none, or something is missing that a person or a poll needs.
        RefreshFailedError: It has begun none, and may do so later.
    """
    if answer.problem or not 200 <= answer.status < 300 or "error" in answer.fields:
        raise login_failure(answer, answer.failure())
    fields = _by_our_names(answer.fields)
    life = _positive(fields.get("expires_in")) or _USUAL_LIFE
    interval = _positive(fields.get("interval"))
    return DeviceAttempt(
        user_code=_text(fields, "user_code", answer, longest=_LONGEST_CODE),
        verification_uri=_address(fields, answer, insecure),
        verification_uri_complete=_complete(fields, insecure),
        expires_in=life,
        # One that is longer than the code lives is meant otherwise: in milliseconds, say.
        interval=_USUAL_INTERVAL if interval is None or interval >= life else interval,
        answered_at=answered_at,
        device_code=_text(fields, "device_code", answer),
    )


def next_step(answer: Answer) -> Next:
    """Return what *answer* to a poll means."""
    if answer.status >= 500:
        return Next.LATER
    for name in map(spelled, answer.said.names):
        if name in _WAYS:
            return _WAYS[name]
    return Next.LATER if is_in_trouble(answer.status) else Next.DONE


def denied(answer: Answer) -> LoginFailedError:
    """Return the error for *answer*, by which the person has not agreed."""
    said = answer.failure()
    return LoginFailedError(
        f"the login was denied at {answer.endpoint} ({said.said}); if that was a mistake, begin "
        "again",
        reason="access_denied",
        status=said.status,
        code=said.code,
        said=said.said,
    )


def _by_our_names(fields: Mapping[str, Any]) -> dict[str, Any]:
    ours = dict(fields)
    for name, other in _OTHER_NAMES.items():
        if ours.get(name) is None:
            ours[name] = ours.get(other)
    return ours


def _positive(value: object) -> float | None:
    try:
        number = seconds(value)
    except ValueError:
        return None
    return number if 0 < number < math.inf else None


def _text(
    fields: Mapping[str, Any], name: str, answer: Answer, *, longest: float = math.inf
) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _failure(f"has no {name}", answer)
    # What a terminal would obey is not shown to a person.
    if printable(value) != value or len(value) > longest:
        raise _failure(f"has a {name} that nobody can type", answer)
    return value.strip()


def _address(fields: Mapping[str, Any], answer: Answer, insecure: bool) -> str:
    address = _text(fields, "verification_uri", answer)
    try:
        require_secure(address, insecure=insecure)
    except (ValueError, InsecureTransportError):
        raise _failure("has a verification_uri that is no https URL", answer) from None
    return address


def _complete(fields: Mapping[str, Any], insecure: bool) -> str | None:
    address = fields.get("verification_uri_complete")
    if not isinstance(address, str) or not address.isascii() or printable(address) != address:
        return None
    try:
        require_secure(address, insecure=insecure)
    except (ValueError, InsecureTransportError):
        return None  # it is only for convenience
    return address


def _failure(problem: str, answer: Answer) -> LoginFailedError:
    return LoginFailedError(
        f"the answer of {answer.endpoint} {problem} (RFC 8628 section 3.2); check the URL, or log "
        "in by a browser",
        reason="bad_answer",
        status=answer.status,
    )
