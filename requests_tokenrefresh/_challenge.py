"""What a 401 says: is our token rejected, or is something else the matter?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import requests

# The list of challenges and the lists of parameters inside it use the same comma, so what an
# element is decides where it belongs (RFC 9110 section 11.6.1): one with a scheme starts a
# challenge, a parameter alone continues it. Where two repetitions meet, no character fits both:
# a hostile header costs linear time.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TOKEN68 = r"[0-9A-Za-z._~+/-]+=*"
_END = r"[ \t]*(?:,[ \t,]*|\Z)"
_SCHEME = re.compile(
    rf"({_TOKEN})(?:(?:[ \t]+{_TOKEN68})?{_END}|[ \t]+(?={_TOKEN}[ \t]*=))",
)
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:({_TOKEN})|"((?:[^"\\]|\\.)*)"){_END}')


@dataclass(frozen=True)
class Challenge:
    """One way to authenticate that a server offers (RFC 9110 section 11.3).

    Attributes:
        scheme: In lower case.
        parameters: By their names in lower case; empty also where the scheme has a token68.
    """

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def rejects_token(response: requests.Response, scheme: str = "Bearer") -> bool:
    """Return whether *response*, to a request that carried our token, rejects that token.

    A 401 does, unless its ``WWW-Authenticate`` says otherwise: that the token is good and its
    scope is too small (``insufficient_scope``, RFC 6750 section 3.1), or that only other schemes
    count here. No header, or one that cannot be read, says nothing.

    Args:
        response: Its body is not touched.
        scheme: The one our token was sent with, in any case.
    """
    if response.status_code != requests.codes.unauthorized:
        return False
    challenges = parse_challenges(response.headers.get("WWW-Authenticate", ""))
    if not challenges:
        return True
    errors = [c.parameters.get("error") for c in challenges if c.scheme == scheme.lower()]
    return bool(errors) and "insufficient_scope" not in errors


def parse_challenges(value: str) -> list[Challenge]:
    """Return the challenges of a ``WWW-Authenticate`` header (RFC 9110 section 11.6.1).

    Several headers may be joined by commas, as requests joins them. Never raises: the list is
    empty if any part of *value* cannot be read, because the rest could then mean anything.
    """
    challenges: list[Challenge] = []
    rest = value.lstrip(" \t,")
    place = 0
    while place < len(rest):
        if element := _SCHEME.match(rest, place):
            challenges.append(Challenge(element[1].lower()))
        elif challenges and (element := _PARAMETER.match(rest, place)):
            name, token, quoted = element.groups()
            challenges[-1].parameters[name.lower()] = token or _unescape(quoted)
        else:
            return []
        place = element.end()
    return challenges


def _unescape(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)


def own_answer(response: requests.Response, scheme: str = "Bearer") -> str | None:
    return None if rejects_token(response, scheme) else "insufficient_scope"
