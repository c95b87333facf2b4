"""Whether the query of a URL may have a secret in it, which whoever logs the URL writes down."""

from __future__ import annotations

import re

from ._quote import query_fields

# What the fields are called that have one: in part, or as a word of their own.
_NAME = re.compile(
    r"secret|token|key|pass|pwd|sig|cred|auth|jwt|assert|bearer|session|ticket|nonce|hash|hmac"
    r"|(?<![a-z])(?:access|code|otp|pat|pin|psk|sas|sid)(?![a-z])",
    re.IGNORECASE,
)
_LONG = 12  # letters and digits in a row that are no word


def may_have_a_secret(url: str) -> bool:
    """Return whether a field in the query of *url* is called like a secret, or looks as if it was
    drawn. Also one without a value: that is none of a field."""
    return any(
        (value and _NAME.search(name)) or _looks_drawn(value or name)
        for name, value in query_fields(url)
    )


def _looks_drawn(text: str) -> bool:
    return any(len(run) >= _LONG and not run.isalpha() for run in re.findall("[A-Za-z0-9]+", text))
