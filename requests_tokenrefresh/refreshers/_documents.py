"""JSON documents that an issuer publishes: a GET each, all of them by one deadline."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import requests

from .._errors import InsecureTransportError, RefreshFailedError
from .._origins import is_read_by_a_proxy
from ._answer import answer_in
from ._body import redirect_in
from ._cause import advice_for, innermost, unless_it_tells, without_frames
from ._client import NoAuth
from ._dialects import may_refuse
from ._endpoint import check_timeout, checked_proxies, positive
from ._exchange import OneExchange
from ._quote import NOT_SHOWN, Secrets, passwords_in

_LARGEST = 1024 * 1024  # bytes

NOTHING = Secrets(frozenset())
"""What is secret in a question that anybody may ask."""


class Document(NamedTuple):
    """What there is at an address.

    Attributes:
        fields: The JSON object; None if there is none.
        problem: What there is instead, in words.
    """

    fields: Mapping[str, Any] | None
    problem: str = ""


class Documents:
    """Reads documents, for one thread. Follows no redirect.

    Args:
        timeout, verify, proxies: As in `RefreshTokenGrant`.
        deadline: Seconds for all that are read, from the first on.
        monotonic: The time in seconds.

    Raises:
        TypeError, ValueError: An argument makes no sense.
    """

    def __init__(
        self,
        *,
        timeout: tuple[float, float],
        deadline: float,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = check_timeout(timeout)
        self._until = monotonic() + positive("deadline", deadline)
        self._verify = verify
        self._proxies = checked_proxies(proxies)
        self._monotonic = monotonic

    def at(self, url: str) -> Document:
        """Return what there is at *url*.

        Raises:
            RefreshFailedError: There may be something, but not now: nobody has answered, or a
                server in trouble.
            InsecureTransportError: *url* is plain http, and one of *proxies* is for it.
        """
        if is_read_by_a_proxy(url, self._proxies):
            raise InsecureTransportError(
                f"{url} is plain http, and the proxy that proxies= has for it could make up what "
                "it says: leave that out, or use https"
            )
        response = self._response(url)
        status = response.status_code
        if status >= 400 and not may_refuse(status):
            now = time.time()
            failure = answer_in(response, endpoint=url, asked_at=now, now=now, secrets=NOTHING)
            raise RefreshFailedError(
                f"{url} answered {status}, as a server in trouble does; try again later",
                retry_after=failure.retry_after,
                status=status,
            )
        if status != 200:
            moved = 300 <= status < 400
            return Document(None, f"{status}" + (f", {redirect_in(response, NOTHING)}" * moved))
        try:
            found = json.loads(response.content)
        except (ValueError, RecursionError):
            return Document(None, "200, but no JSON")
        if not isinstance(found, dict):
            return Document(None, "200, but no JSON object")
        return Document(found)

    def _response(self, url: str) -> requests.Response:
        session = OneExchange(
            repeats=True,
            deadline=max(0.0, self._until - self._monotonic()),
            max_reply_bytes=_LARGEST,
            timeout=self._timeout,
            proxies=self._proxies,
            verify=self._verify,
        )
        question = requests.Request(
            "GET", url, headers={"Accept": "application/json"}, auth=NoAuth()
        )
        try:
            return session.answer_to(question)
        except Exception as error:
            secrets = Secrets.of(known=passwords_in(self._proxies))
            cause = innermost(without_frames(error))
            told = unless_it_tells(cause, secrets)
            said = NOT_SHOWN if told is None else secrets.quote(str(told))
            failure = RefreshFailedError(
                f"what is published at {url} could not be had ({type(cause).__name__}: {said}); "
                f"{advice_for(error)}"
            )
            failure.__cause__ = told
        raise failure  # out here, where it has no context that tells more
