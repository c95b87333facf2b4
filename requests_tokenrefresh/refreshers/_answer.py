"""What the token endpoint said: a token, a refusal, or neither, and words for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import requests

from .._errors import LONGEST_SAID, LoginRequiredError, RefreshFailedError
from .._expiry import http_date
from .._token import Token, read_reply
from ._body import fields_in, renamed, tokens_in
from ._dialects import blames_another, blames_client, may_refuse, refuses
from ._quote import NOT_SHOWN, Secrets, secrets_in
from ._said import Said, said_in, spelled

Refused: TypeAlias = Collection[int | str] | Callable[[requests.Response], object]
"""What ends a login: HTTP statuses and error codes, or a function that is true of such a
response."""

_log = logging.getLogger("requests_tokenrefresh")

# The errors of RFC 6749 section 5.2 that are somebody's configuration, and what next.
_ADVICE = {
    "invalid_client": "check the client's id, its secret and how it authenticates",
    "invalid_request": "check data= and how the client authenticates",
    "invalid_scope": "check scope=",
    "unauthorized_client": "the client may not use this grant: check its registration",
    "unsupported_grant_type": "the server does not offer this grant: check the URL",
}
PUBLIC_CODES = frozenset({"invalid_grant", *_ADVICE})  # these repeat no secret
_LATER = "try again later"
_UNKNOWN = (
    f"{_LATER}, or, if that is how it ends a login, say so: by refused=, or in a refresher of your "
    "own by raising LoginRequiredError"
)
_MOST = 3  # codes and texts that are quoted


@dataclass(frozen=True)
class Answer:
    """What an endpoint of the issuer said.

    Attributes:
        kind: What the endpoint is for that has said it: ``"token"``.
        endpoint: Its name: the URL without what may be secret in it.
        response: What has come.
        fields: The JSON object or the form in its body; empty if there is none.
        problem: Why there is none, in words; empty if there is one.
        said: What *fields* say went wrong.
        asked_at: When it was asked, in epoch seconds.
        now: When it had answered, likewise.
        secrets: What must not be repeated: what it was sent, and the tokens that it names.
    """

    kind: str
    endpoint: str
    response: requests.Response = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    problem: str
    said: Said = field(repr=False)
    asked_at: float
    now: float
    secrets: Secrets

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status_code

    @property
    def now_there(self) -> float:
        """When it had answered by the issuer's clock, if it has told; else by ours."""
        date = self._date()
        return self.now if date is None else date

    @property
    def retry_after(self) -> float | None:
        """Retry-After in seconds (RFC 9110 section 10.2.3); None if there is no sense in it.

        An hour at most. A date is one of the server's clock, which the answer's own Date shows. No
        time at all, and a date that has passed, say as much as nothing: nobody is asked without a
        pause.
        """
        header = self.response.headers.get("Retry-After")
        try:
            seconds = float(header or "")
        except ValueError:
            date = http_date(header)
            if date is None:
                return None
            seconds = date - self.now_there
        return min(seconds, LONGEST_SAID) if seconds > 0 else None

    def token(
        self,
        *,
        previous: Token | None,
        refused: Refused,
        token_type: str | None,
        names: Mapping[str, str] | None = None,
    ) -> Token:
        """Return the token in the answer.

        Args:
            previous: The token that was refreshed, if it was one.
            refused: What ends the login, beside the ways that are known.
            token_type: The scheme; None if the answer is to say it.
            names: What the endpoint calls the fields of RFC 6749 section 5.1.

        Raises:
            LoginRequiredError: There is none, and that is for good.
            RefreshFailedError: There is none that could be used.
        """
        token = self._read(previous, token_type, names or {})
        if isinstance(token, Token):
            return token
        told = self.beside(previous)
        raise told.refusal() if self.is_refusal(refused) else told.failure(token)

    def beside(self, token: Token | None) -> Answer:
        """Return the same, which quotes nothing of *token* either: the issuer may repeat what it
        was not sent as well, such as an access token that is still good."""
        return replace(self, secrets=self.secrets.beside(secrets_in(token)))

    def is_refusal(self, refused: Refused = ()) -> bool:
        """Return whether the issuer says that the login is over.

        Only the issuer can: a gateway in front of it has pages of its own that say 401. To your own
        function, *refused*, that is left.
        """
        if callable(refused):
            return self._is_said_by(refused) or self.is_refusal()
        if self.problem:
            return False
        codes = {spelled(code) for code in refused if isinstance(code, str)}
        if may_refuse(self.status) and not codes.isdisjoint(map(spelled, self.said.names)):
            return True
        if blames_another(self.said):
            return False
        by_status = self.status in refused and not blames_client(self.said)
        return by_status or refuses(self.said, self.status)

    def refusal(self) -> LoginRequiredError:
        """Return the error for an answer that ends the login."""
        return LoginRequiredError(
            f"the {self.kind} endpoint {self.endpoint} refused the login ({self._quoted()}); "
            "log in again",
            reason="invalid_grant",
            status=self.status,
            code=self._code(),
            said=self._quoted(),
        )

    def failure(self, why: str = "") -> RefreshFailedError:
        """Return the error for an answer that is neither a token nor a refusal.

        Args:
            why: What is wrong with it; empty: what it says itself.
        """
        said = why or self._quoted()
        return RefreshFailedError(
            f"the {self.kind} endpoint {self.endpoint} answered {self.status} ({said}); "
            f"{self.advice(_UNKNOWN)}",
            retry_after=self.retry_after,
            status=self.status,
            code=self._code(),
            said=said,
        )

    def advice(self, unknown: str) -> str:
        """Return what to do about an answer that is an error.

        Args:
            unknown: What, if nobody can tell what it means.
        """
        if may_refuse(self.status):
            for name in map(spelled, self.said.names):
                if name in _ADVICE:
                    return _ADVICE[name]
        if 300 <= self.status < 400 or self.status in (404, 405):
            return "check the URL"
        if self.status >= 400 and may_refuse(self.status) and not self.problem:
            return unknown
        return _LATER

    # No error passes through here: the reply is a variable, and there are tools that print those.
    def _read(
        self, previous: Token | None, token_type: str | None, names: Mapping[str, str]
    ) -> Token | str:
        """Return the token, or what is wrong; empty: what the answer says itself."""
        if self.problem or not 200 <= self.status < 300:
            return ""
        reply = renamed(self.fields, names)
        if reply.get("access_token") is None and reply.get("token") is None:
            if any(self.said):
                return ""
            if not names:
                return "the token reply has no access_token"
            return f"no token in it: there is no {names['access_token']!r}"
        try:
            return read_reply(
                reply,
                # From before the request: the lifetime began when the server made its reply, so
                # this expiry is never later than the server's.
                received_at=self.asked_at,
                previous=previous,
                date=self._date(),
                token_type=token_type,
            )
        except ValueError as error:
            return str(error)

    def _is_said_by(self, refused: Callable[[requests.Response], object]) -> bool:
        try:
            return bool(refused(self.response))
        except Exception as error:  # not its message, which may repeat what was said
            _log.error("the function in refused= raised %s: it counts as no", type(error).__name__)
            return False

    def _code(self) -> str | None:
        code = next(iter(self.said.codes), "")
        shown = self._shown.get(code, "")
        return None if shown == NOT_SHOWN else shown or None

    def _quoted(self) -> str:
        codes = ", ".join(map(self._shown.__getitem__, self.said.codes[:_MOST]))
        texts = "; ".join(map(self._shown.__getitem__, self.said.texts[:_MOST]))
        nothing = "an error without a code" if self.fields.get("error") else "no reason given"
        problem = NOT_SHOWN if self.secrets.repeated_in(self.problem) else self.problem
        return ": ".join(filter(None, (codes, texts))) or problem or nothing

    @cached_property
    def _shown(self) -> dict[str, str]:
        """What is quoted, by what was said."""
        said = (*self.said.codes[:_MOST], *self.said.texts[:_MOST])
        public = PUBLIC_CODES.intersection(said)
        return {
            **self.secrets.quote_each(one for one in said if one not in public),
            **{code: code for code in public},
        }

    def _date(self) -> float | None:
        return http_date(self.response.headers.get("Date"))


def answer_in(
    response: requests.Response,
    *,
    endpoint: str,
    asked_at: float,
    now: float,
    secrets: Secrets,
    kind: str = "token",
) -> Answer:
    """Return what *response* says; never fails. All times are epoch seconds."""
    fields, problem = fields_in(response, secrets)
    secrets = secrets.beside(tokens_in(fields))
    said = said_in(fields, response.status_code)
    return Answer(kind, endpoint, response, fields, problem, said, asked_at, now, secrets)
