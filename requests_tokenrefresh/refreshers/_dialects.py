"""How issuers say that a login is over: one line for each way. Add yours at the end of its group.

RFC 6749 section 5.2 knows one way, ``invalid_grant``. Whoever has another is asked for ever unless
it is here, or in `refused=`. A line counts for every issuer, so what a mistake of the configuration
or a passing fault may be called is no line.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ._said import Said, spelled


class Dialect(NamedTuple):
    """One way of saying it.

    Attributes:
        who: Who says it so.
        code: The pattern of a whole code, as `spelled` spells it; empty: whatever code it has.
        words: A pattern that is looked for in each text, case ignored; empty: whatever it says.
        status: The HTTP status; 0: any that may mean it at all.
    """

    who: str
    code: str = ""
    words: str = ""
    status: int = 0


_REFRESH_TOKEN = r"refresh[\s_-]?tokens?"
_IS = (
    r"\W+((you|provided|supplied|given|is|are|was|has|have|had|been|already|either|could|can|does|did)"
    r"\W+)*"
)
_NO = r"(not|cannot|no longer|(is|was|does|did|has|could|ca)n\Wt)\W+((be|been)\W+)?"
_DEAD = (
    "(invalid(ated)?(?! (client|request))|expired|revoked|unknown(?! error)|incorrect|inactive"
    "|malformed|blacklisted|blocklisted|rotated|reused?|((?<=already )|(?<=been ))used|consumed"
    "|deleted|cancell?ed|terminated|superseded|disabled|unrecogni[sz]ed"
    rf"|{_NO}(valid|found|active|recogni[sz]ed|usable|exist))"
)
_NOT_FOUND = r"(no such|unable to find|failed to find|((can|could|did) ?not|(could|did)n\Wt) find)"

DIALECTS = (
    # -- Codes
    Dialect("RFC 6749 section 5.2", code="invalid_grant"),
    Dialect("OpenID Connect Core section 3.1.2.6", code="(interaction|login|consent)_required"),
    Dialect("OpenID Connect Core section 3.1.2.6", code="account_selection_required"),
    Dialect("Apigee, GitHub, Slack", code=r"(\w+_)?(invalid|bad|expired|revoked)_refresh_token"),
    Dialect("AWS, Cloud Foundry", code="(invalid|expired)_token"),
    Dialect("Firebase, simplejwt", code="token_(expired|invalid|revoked|not_valid)"),
    Dialect("Firebase", code=r"(\w+_)?refresh_token_(expired|invalid|revoked|not_valid)"),
    Dialect("Supabase", code="refresh_token_(not_found|already_used|reused|consumed)"),
    Dialect("Supabase", code="session_(not_found|expired)|user_(banned|not_found)"),
    Dialect("Firebase", code="user_disabled"),
    Dialect("Facebook", code="190"),
    Dialect("simplejwt", code="no_active_account|user_inactive"),
    Dialect("Slack", code="account_inactive"),
    Dialect("Zoho", code="invalid_code"),
    # -- Words
    Dialect("EVE Online, Withings", words=r"\binvalid_grant\b"),
    Dialect("Authlib, Twitch", words=rf"\b({_DEAD}|bad|{_NOT_FOUND})\W+(the )?{_REFRESH_TOKEN}"),
    Dialect("Atlassian, Cognito, LinkedIn, Passport", words=rf"{_REFRESH_TOKEN}{_IS}{_DEAD}\b"),
    Dialect("X", words=r"^value passed for the token was invalid"),
    Dialect("X", words=rf"\brequires an active {_REFRESH_TOKEN}"),
    Dialect("Zoom", words=r"^invalid token\W*$"),
    Dialect("Express, simplejwt", words=rf"^(the )?(jwt|token)( is| has| was)?( been)? {_DEAD}\b"),
    Dialect("Keycloak", words=rf"^(the |your )?session{_IS}{_DEAD}\b"),
    Dialect("Flask-JWT-Extended", words=r"^signature verification failed", status=422),
)

# What may be said of a client beside the status that ends a login.
_OF_THE_CLIENT = re.compile("(invalid|unauthorized)_client")
# What is said of a client or a server, whatever words stand beside it.
_OTHERWISE = re.compile(
    "invalid_client|unsupported_grant_type|invalid_scope|temporarily_unavailable|server_error"
    "|slow_down"
)
# A text that complains of the question, not of the token.
_OF_THE_QUESTION = re.compile(
    rf"\bmissing\b|{_REFRESH_TOKEN}\W+(parameter )?(is required|must|grant)|grant[\s_-]?type"
    r"|\b(found|find)\b.* in (the |your )?(request|body|payload|form|query|cookies?|headers?)\b",
    re.IGNORECASE,
)
_TRY_LATER = frozenset({408, 425, 429})


def refuses(said: Said, status: int) -> bool:
    """Return whether an answer of *status* says that the login is over.

    Args:
        status: The HTTP status; 0 if nobody knows it.
    """
    if not may_refuse(status) or blames_another(said):
        return False
    return any(says(dialect, said, status) for dialect in DIALECTS)


def may_refuse(status: int) -> bool:
    """Return whether *status* leaves room for it: a server in trouble is not itself."""
    return not (300 <= status < 400 or is_in_trouble(status))


def is_in_trouble(status: int) -> bool:
    """Return whether *status* is that of a server which may do later what it does not do now."""
    return status >= 500 or status in _TRY_LATER


def blames_another(said: Said) -> bool:
    """Return whether the trouble is the client's or the server's own, by the code."""
    return any(_OTHERWISE.fullmatch(spelled(code)) for code in said.codes or said.names)


def blames_client(said: Said) -> bool:
    """Return whether the trouble may be the client's, so that a status alone says nothing."""
    return any(_OF_THE_CLIENT.fullmatch(spelled(name)) for name in said.names)


def says(dialect: Dialect, said: Said, status: int) -> bool:
    """Return whether *said* is what *dialect* has for the end of a login."""
    if dialect.status not in (0, status):
        return False
    if dialect.code and not any(re.fullmatch(dialect.code, spelled(it)) for it in said.names):
        return False
    return not dialect.words or any(
        re.search(dialect.words, text, re.IGNORECASE) and not _OF_THE_QUESTION.search(text)
        for text in said.texts
    )
