"""What the token endpoint said: its JSON, and words for everything that is none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

import requests

from .._errors import RefreshFailedError
from .._token import Token
from ._cause import without_frames
from ._quote import Secrets, name_of


@dataclass(frozen=True)
class Answer:
    """What the token endpoint said.

    Attributes:
        endpoint: Its name: the URL without what may be secret in it.
        status: The HTTP status.
        fields: The JSON object of the body; empty if there is none.
        problem: Why there is none, in words; empty if there is one.
        retry_after: Seconds to wait before another attempt; None if it did not say.
        asked_at: When it was asked, in epoch seconds.
        secrets: What it was sent and must not be repeated.
    """

    endpoint: str
    status: int
    fields: Mapping[str, Any] = field(repr=False)
    problem: str
    retry_after: float | None
    asked_at: float
    secrets: Secrets

    @property
    def ok(self) -> bool:
        """Whether the status means success."""
        return 200 <= self.status < 300

    def text(self, *names: str) -> str | None:
        """Return the first of the fields *names* that is text, fit to be repeated."""
        for name in names:
            value = self.fields.get(name)
            if isinstance(value, Mapping):  # {"error": {"code": 400, "message": "..."}}
                value = value.get("message")
            if isinstance(value, str) and value:
                return self.secrets.quote(value)
        return None

    def token(self, *, previous: Token | None, names: Mapping[str, str] | None = None) -> Token:
        """Read the token in the answer.

        Args:
            previous: The token that was refreshed, if it was one.
            names: What the endpoint calls the fields of RFC 6749 section 5.1.

        Raises:
            RefreshFailedError: There is no usable token in it.
        """
        if self.problem:
            raise self.failure(self.problem)
        # From before the request: the lifetime began when the server made its reply, so this
        # expiry is never later than the server's.
        try:
            return Token.from_mapping(
                _renamed(self.fields, names or {}), received_at=self.asked_at, previous=previous
            )
        except ValueError as error:
            raise self.failure(str(error)) from without_frames(error)

    def failure(self, said: str, advice: str = "try again later") -> RefreshFailedError:
        """Return the error for an answer that is neither a token nor a refusal."""
        return RefreshFailedError(
            f"the token endpoint {self.endpoint} answered {self.status} ({said}); {advice}",
            retry_after=self.retry_after,
        )


def answer_in(response: requests.Response, *, endpoint: str, asked_at: float, now: float) -> Answer:
    """Return what *response* says; never fails. All times are epoch seconds."""
    secrets = Secrets.of(response.request)
    fields, problem = _read(response, secrets)
    return Answer(
        endpoint=endpoint,
        status=response.status_code,
        fields=fields,
        problem=problem,
        retry_after=_seconds(response.headers.get("Retry-After"), now),
        asked_at=asked_at,
        secrets=secrets,
    )


def _read(response: requests.Response, secrets: Secrets) -> tuple[Mapping[str, Any], str]:
    """Return the JSON object of the body, or an empty one and the reason."""
    if 300 <= response.status_code < 400:
        return {}, _redirect(response, secrets)
    if not response.content.strip():
        return {}, "an empty body"
    try:
        value = json.loads(response.content)
    except RecursionError:
        return {}, "JSON nested too deep"
    except ValueError:
        media_type = response.headers.get("Content-Type", "").partition(";")[0]
        return {}, f"{secrets.quote(media_type) or 'a body of no type'} that is not JSON"
    if not isinstance(value, dict):
        return {}, f"JSON of type {type(value).__name__}, not an object"
    return value, ""


def _redirect(response: requests.Response, secrets: Secrets) -> str:
    try:
        target = name_of(urljoin(response.url, response.headers["Location"]))
    except (KeyError, ValueError):
        return "a redirect to nowhere"
    return f"a redirect to {secrets.quote(target)}, not followed: pass the URL that answers itself"


def _seconds(retry_after: str | None, now: float) -> float | None:
    """Read a Retry-After header (RFC 9110 section 10.2.3); None if there is no sense in it."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        return _until(retry_after, now)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _until(date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        if moment.tzinfo is None:  # asctime's format has no zone, and means GMT
            moment = moment.replace(tzinfo=timezone.utc)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return *fields* by the names of RFC 6749 section 5.1."""
    others = {name: value for name, value in fields.items() if name not in names.values()}
    return {**others, **{name: fields.get(theirs) for name, theirs in names.items()}}
