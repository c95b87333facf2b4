"""What a 401 says: would another token of this login help, or is something else the matter?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import requests

REASONS = {
    "invalid_request": "the request is malformed (RFC 6750 section 3.1)",
    "insufficient_scope": "the login may not do this (RFC 6750 section 3.1)",
    "insufficient_user_authentication": (
        "the user has to log in in another way, or more recently (RFC 9470 section 3)"
    ),
    "insufficient_claims": "the Microsoft identity platform wants to ask the user first",
}
"""What challenges say that no other token of the login would change, and what it means."""

# Beyond these a header is not read. A server may send a hundred of them, of 64 KiB each.
_MOST_CHARACTERS = 64 * 1024
_MOST_ELEMENTS = 1000  # challenges and parameters

# The list of challenges and the lists of parameters inside it use the same comma, so what an
# element is decides where it belongs (RFC 9110 section 11.6.1): one with a scheme starts a
# challenge, a parameter alone continues it. Beyond the grammar, what has one meaning only is read
# as well: parameters that are separated by spaces (Amazon API Gateway) or a semicolon, and values
# that should have been quoted, such as URLs (Azure Storage has both) or several words.
# Where two repetitions meet, no character fits both, or none is left for the second: a hostile
# header costs linear time.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TOKEN68 = r"[0-9A-Za-z._~+/-]+=*"
_BEGINS_A_PARAMETER = rf"{_TOKEN}[ \t]*="
_END = r"[ \t]*(?:[,;][ \t,;]*|\Z)"
_SPACE = rf"[ \t]+(?={_BEGINS_A_PARAMETER})"
_QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
_UNQUOTED = rf'([^", \t]*(?:[ \t]+(?!{_BEGINS_A_PARAMETER})[^", \t]+)*)'
_SCHEME = re.compile(rf"({_TOKEN})(?:(?:[ \t]+{_TOKEN68})?{_END}|{_SPACE})")
_PARAMETER = re.compile(
    rf"({_TOKEN})[ \t]*=[ \t]*(?![ \t])(?:{_QUOTED}|{_UNQUOTED})(?:{_END}|{_SPACE})"
)


@dataclass(frozen=True)
class Challenge:
    """One way to authenticate that a server offers (RFC 9110 section 11.3).

    Attributes:
        scheme: In lower case.
        parameters: By their names in lower case; empty also where the scheme has a token68.
    """

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def own_answer(response: requests.Response, scheme: str = "Bearer") -> str | None:
    """Return why a 401 to our token would meet another token of this login too, or None.

    None means that our token is rejected. Any 401 rejects it, unless a challenge of our token's
    own scheme says otherwise. Challenges of other schemes say nothing: a server may name only the
    first of those it takes, and a proxy adds its own. No header, or one that cannot be read, says
    nothing either: a refresh too many costs less than one too few.

    Args:
        response: Its status is 401. Its body is not touched.
        scheme: The one our token was sent with, in any case.

    Returns:
        One of four error codes (``insufficient_scope`` and the like), never a text of the server's.
    """
    for challenge in parse_challenges(response.headers.get("WWW-Authenticate", "")):
        if challenge.scheme == scheme.lower() and (reason := _reason(challenge.parameters)):
            return reason
    return None


def parse_challenges(value: str) -> list[Challenge]:
    """Return the challenges of a ``WWW-Authenticate`` header (RFC 9110 section 11.6.1).

    Several headers may be joined by commas, as requests joins them. Never raises: the list is
    empty if any part of *value* cannot be read, because the rest could then mean anything, and if
    it is too long.
    """
    if len(value) > _MOST_CHARACTERS:
        return []
    challenges: list[Challenge] = []
    rest = value.lstrip(" \t,;")
    place = 0
    for _ in range(_MOST_ELEMENTS):
        if element := _SCHEME.match(rest, place):
            challenges.append(Challenge(element[1].lower()))
        elif challenges and (element := _PARAMETER.match(rest, place)):
            name, quoted, unquoted = element.groups()
            challenges[-1].parameters[name.lower()] = unquoted or _unescape(quoted or "")
        else:
            return []
        place = element.end()
        if place == len(rest):
            return challenges
    return []


def _reason(parameters: dict[str, str]) -> str | None:
    error = _letters(parameters.get("error", ""))
    for reason in REASONS:
        if error == _letters(reason):
            return reason
    # Azure Resource Manager answers a revoked session, or another address, with invalid_token and
    # the claims of a later token. The next token may have them; if not, its issuer says so.
    if parameters.get("claims") and error != _letters("invalid_token"):
        return "insufficient_claims"
    return None


def _letters(code: str) -> str:
    """Return *code* without what servers do to it: capitals, single quotes, hyphens, spaces."""
    return re.sub(r"[\W_]+", "", code).lower()


def _unescape(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)
