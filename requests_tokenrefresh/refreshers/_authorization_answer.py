"""What the browser brings back from the authorization endpoint (RFC 6749 section 4.1.2).

Anybody can send a browser to the redirect address, with whatever they like. Whether an answer is
one to our own question is told by its state alone; only such an answer may end an attempt.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .._errors import LoginFailedError, RefreshFailedError, TokenRefreshError
from ._quote import Secrets

# Each may be there once (RFC 6749 section 3.1); whatever else is there is ignored.
_KNOWN = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})
_MOST_FIELDS = 100

# RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6, RFC 8707 section 2: what next.
_ADVICE = {
    "access_denied": "if that was a mistake, begin again",
    "invalid_request": "check params= and redirect_uri=, which must be registered as it is sent",
    "invalid_scope": "check scope=",
    "invalid_target": "check resource=",
    "unauthorized_client": "the client may not log in by a browser: check its registration",
    "unsupported_response_type": "the server does not answer with a code: it cannot be used",
}
_DENIED = frozenset({"access_denied", "consent_required", "interaction_required", "login_required"})
_LATER = frozenset({"server_error", "temporarily_unavailable"})
_ANEW = "begin again"


@dataclass(frozen=True)
class BrowserAnswer:
    """What the browser has brought. Without a repr, so that no tool shows it in a traceback."""

    query: str = field(repr=False)

    @property
    def fields(self) -> Mapping[str, str]:
        """Those that have a value."""
        return {name: value for name, value in parse_qsl(self.query) if value}


def query_of(answer_url: str) -> str:
    """Return the query of *answer_url*, which may also be a path with a query, or this alone.

    Raises:
        TypeError: It is no string.
    """
    if not isinstance(answer_url, str):
        raise TypeError(f"answer_url is a string, got {type(answer_url).__name__}")
    try:
        query = urlsplit(answer_url.strip()).query
    except ValueError:
        return ""
    return query or (answer_url.strip() if "?" not in answer_url else "")


def problem_with(query: str, state: str) -> str:
    """Return why *query* is no answer to the attempt with *state*; empty if it is one.

    The words repeat nothing of *query*.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return "it has too many parameters"
    names = [name for name, _ in pairs if name in _KNOWN]
    if len(set(names)) < len(names):
        return "a parameter is there twice (RFC 6749 section 3.1)"
    fields = {name: value for name, value in pairs if value}
    if "state" not in fields:
        return "it has no state"
    # In bytes, since text must be ASCII to be compared so.
    if not hmac.compare_digest(fields["state"].encode(errors="replace"), state.encode()):
        return "its state is not that of this attempt (RFC 6749 section 10.12)"
    if "code" not in fields and "error" not in fields:
        return "it has neither a code nor an error"
    if "code" in fields and "error" in fields:
        return "it has a code and an error"
    return ""


def code_in(
    answer: BrowserAnswer,
    attempt: Mapping[str, Any],
    *,
    issuer: str | None,
    promises_iss: bool,
    server: str,
) -> str:
    """Return the code in *answer*.

    Args:
        issuer: The issuer's identifier; None if nobody knows it.
        promises_iss: Whether the issuer says that it names itself in every answer.
        server: What the server is called in messages.

    Raises:
        LoginFailedError: There is none.
        RefreshFailedError: There is none for now.
    """
    problem = problem_with(answer.query, attempt["state"])
    if problem:
        raise LoginFailedError(
            f"this is no answer to the attempt to log in: {problem}; paste or pass the whole "
            "address that the browser ended at",
            reason="bad_answer",
        )
    secrets = Secrets(frozenset(attempt[name] for name in ("state", "code_verifier")))
    _check_iss(answer.fields.get("iss"), issuer, promises=promises_iss, secrets=secrets)
    if "error" in answer.fields:
        raise _error_in(answer.fields, server, secrets)
    return answer.fields["code"]


def _check_iss(iss: str | None, issuer: str | None, *, promises: bool, secrets: Secrets) -> None:
    """RFC 9207 section 2.4: simple comparison, also where the answer is an error."""
    if iss is None and promises:
        raise LoginFailedError(
            f"the answer does not say that it comes from {issuer}, which names itself in all of "
            f"them (RFC 9207 section 2.4): it may be another server's; {_ANEW}",
            reason="issuer_mismatch",
        )
    if iss is not None and issuer is not None and iss != issuer:
        raise LoginFailedError(
            f"the answer comes from {secrets.quote(iss)}, and not from {issuer} (RFC 9207 section "
            f"2.4); {_ANEW}, and if it is so again, check the issuer's address",
            reason="issuer_mismatch",
        )


def _error_in(fields: Mapping[str, str], server: str, secrets: Secrets) -> TokenRefreshError:
    words = fields["error"], fields.get("error_description", "")
    shown = secrets.quote_each(words)
    code, said = shown[words[0]], ": ".join(filter(None, map(shown.__getitem__, words)))
    if fields["error"] in _LATER:
        return RefreshFailedError(
            f"{server} could not log in anybody ({said}); try again later", code=code, said=said
        )
    return LoginFailedError(
        f"{server} did not log in ({said}); {_ADVICE.get(fields['error'], _ANEW)}",
        reason="access_denied" if fields["error"] in _DENIED else "bad_answer",
        code=code,
        said=said,
    )
