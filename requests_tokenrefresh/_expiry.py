"""When a token expires, by what a reply and a JWT say of it. Pure, but for a line in the log.

What cannot be read is a WARNING that names the field, and as good as not said: the token is good
whatever stands beside it. No value is repeated, it may be a secret in the wrong place.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

T = TypeVar("T")

_log = logging.getLogger("requests_tokenrefresh")

# RFC 3339 section 5.6, with the fraction, the zone and the colon in it optional.
_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?(?:(Z)|([+-]\d\d):?(\d\d))?",
    re.ASCII | re.IGNORECASE,
)

_LONGEST_DATE = 64  # characters

# No server means the year 5138 by it, and some count in milliseconds.
_SURELY_MILLISECONDS = 1e11


def expiry_of_fresh(
    reply: Mapping[str, Any], *, received_at: float, date: float | None
) -> float | None:
    """Return when the token of a reply expires that has just been made, or None.

    Counted from now, as far as it goes: the clocks of the two machines may disagree. ``expires_in``
    outranks ``expires_at``, and this a JWT's claims, of which ``exp - iat`` is how long it lives
    (RFC 7519 section 4.1).

    Args:
        received_at: Now, in epoch seconds.
        date: The same moment by the clock of who made the reply, if it has told.
    """
    there = received_at if date is None else date
    expires_in = read("expires_in", seconds, reply)
    if expires_in is not None and expires_in < 0:
        complain("expires_in", "is less than 0")
    if expires_in is not None and expires_in > 0:  # 0: some servers say so that they do not say
        return received_at + expires_in
    expires_at = read("expires_at", moment, reply)
    if expires_at is not None:
        if expires_at > there:
            return received_at + expires_at - there
        complain("expires_at", "has passed already: do the clocks disagree?")
    exp, iat = (_claim(reply["access_token"], name) for name in ("exp", "iat"))
    life = None if exp is None else exp - (there if iat is None else iat)
    return received_at + life if life is not None and 0 < life < math.inf else None


def expiry_of_kept(reply: Mapping[str, Any], *, received_at: float) -> float | None:
    """Return when the token of a reply expires that somebody has kept, or None.

    Of ``expires_in`` and ``expires_at`` the earlier counts, since the former is as old as the
    reply; else the ``exp`` claim of a JWT.

    Args:
        received_at: When it was made, or now, in epoch seconds.
    """
    expires_in = read("expires_in", seconds, reply)
    expires_at = read("expires_at", moment, reply)
    if expires_in:
        return min(received_at + expires_in, math.inf if expires_at is None else expires_at)
    if expires_at is not None:
        return expires_at
    claim = _claim(reply["access_token"], "exp")
    # Already past: the clocks disagree, or the reply is old. The server will tell with a 401.
    return claim if claim is not None and claim > received_at else None


def read(name: str, reader: Callable[[object], T], reply: Mapping[str, Any]) -> T | None:
    """Return the field *name* of *reply* as *reader* reads it; None if it cannot, or is not there.

    Args:
        reader: Raises ValueError, with what the value is or is not, and without the value.
    """
    value = reply.get(name)
    if value is None:
        return None
    try:
        return reader(value)
    except ValueError as problem:
        complain(name, str(problem))
        return None


def complain(name: str, problem: str) -> None:
    """Say in the log that the field *name* of a reply counts as left out."""
    _log.warning("%s in a token reply cannot be read, and counts as left out: it %s", name, problem)


def seconds(value: object) -> float:
    """Read a number, or its text.

    Raises:
        ValueError: It is none, or not a finite one.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("is not a number of seconds") from None
    if not math.isfinite(number):
        raise ValueError("is not a finite number of seconds")
    return number


def moment(value: object) -> float:
    """Read a moment: epoch seconds or milliseconds, a `datetime`, or a date and time as in RFC
    3339; in UTC if it names no zone.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
    date_time = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if date_time is None:
        number = seconds(value)
        return number / 1000 if number > _SURELY_MILLISECONDS else number
    date, time, fraction, _, hours, minutes = date_time.groups()
    zone = "+00:00" if hours is None else f"{hours}:{minutes}"
    try:
        whole = datetime.fromisoformat(f"{date}T{time}{zone}")
    except ValueError:
        raise ValueError("is not a date and time that there is") from None
    return whole.timestamp() + float(fraction or 0)


def http_date(value: str | None) -> float | None:
    """Read a date of HTTP (RFC 9110 section 5.6.7) as epoch seconds; None if it is none."""
    if value is None or len(value) > _LONGEST_DATE:
        return None
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:  # asctime's format has no zone, and means GMT
            date = date.replace(tzinfo=timezone.utc)
        return date.timestamp()
    except (ValueError, OverflowError):
        return None


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


def _claim(token: object, name: str) -> float | None:
    try:
        return seconds(jwt_claims(token).get(name))
    except ValueError:
        return None
