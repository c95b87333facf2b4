"""The token endpoint: one question, one answer, and an error if there is none."""

from __future__ import annotations

import copy
import logging
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import select_proxy

from .._errors import InsecureTransportError, RefreshFailedError
from .._origins import require_secure
from ._answer import Answer, answer_in
from ._cause import advice_for, innermost, unless_it_tells, without_frames
from ._client import Auth
from ._early import is_early
from ._exchange import OneExchange
from ._quote import Secrets, name_of

_log = logging.getLogger("requests_tokenrefresh")

_SECRET_NAME = re.compile(r"secret|token|key|pass|pwd|pin\b|sig|cred|auth|code\b", re.IGNORECASE)
_LONG = 16  # characters
_DRAWN = re.compile(r"[A-Za-z].*\d|\d.*[A-Za-z]")

# Of a header: RFC 9110 sections 5.1 and 5.5. What is no Latin-1 is told when it is sent.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile("(?:[^\0-\x20\x7f\ud800-\udfff][^\0-\x08\x0a-\x1f\x7f\ud800-\udfff]*)?")


@dataclass(frozen=True)
class Question:
    """What the token endpoint is asked. Without a repr, so that no tool shows it in a traceback.

    Attributes:
        body: As it is sent.
        headers: Those that belong to it; the endpoint's outrank them.
    """

    body: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class TokenEndpoint:
    """Where tokens come from, and how it is asked. Holds no connection; safe from any thread.

    Args:
        url: https, or http on the loopback; may have a query (RFC 6749 section 3.2).
        insecure: It may be plain http to another machine, which is said at WARNING.
        headers: Sent with every request.
        timeout: Seconds to connect, and to wait for any one piece of the answer.
        deadline: Seconds for all of it.
        max_reply_bytes: How large the body may be, both as it travels and decompressed.
        verify, cert, proxies: As in `requests.Session`; None leaves it to the environment.
        clock: Tells the epoch seconds.

    Raises:
        TypeError, ValueError: An argument makes no sense.
        InsecureTransportError: *url* is plain http to another machine, and not *insecure*; or it
            is plain http, and one of *proxies* is for it.
    """

    def __init__(
        self,
        url: str,
        *,
        insecure: bool,
        headers: Mapping[str, str] | None,
        timeout: tuple[float, float],
        deadline: float,
        max_reply_bytes: int,
        verify: bool | str | None,
        cert: str | tuple[str, str] | None,
        proxies: Mapping[str, str] | None,
        clock: Callable[[], float],
    ) -> None:
        self._kind = "token endpoint"
        self._insecure = insecure
        self._headers = _checked_headers(headers or {})
        self._timeout = check_timeout(timeout)
        self._deadline = positive("deadline", deadline)
        positive("max_reply_bytes", max_reply_bytes)
        self._max_reply_bytes = operator.index(max_reply_bytes)
        self._verify = verify
        self._cert = cert
        self._proxies = dict(proxies or {})
        self._clock = clock
        self._settle(url)

    def at(self, url: str, kind: str) -> TokenEndpoint:
        """Return another endpoint of the same issuer, which is asked in the same way.

        Args:
            kind: What it is called: ``"revocation endpoint"``.

        Raises:
            ValueError, InsecureTransportError: As for the first.
        """
        other = copy.copy(self)
        other._kind = kind
        other._settle(url)
        return other

    def ask(self, question: Question, *, auth: Auth) -> Answer:
        """POST *question* and return the answer.

        Raises:
            RefreshFailedError: There was none, or not all of it, or too much of it.
        """
        asked_at = self._clock()
        session = OneExchange(
            repeats=not is_early(),
            deadline=self._deadline,
            max_reply_bytes=self._max_reply_bytes,
        )
        try:
            response = session.post(
                self._url,
                data=question.body,
                headers=CaseInsensitiveDict(
                    {"Accept": "application/json", **question.headers, **self._headers}
                ),
                auth=auth,
                timeout=self._timeout,
                proxies=self._proxies,
                verify=self._verify,
                cert=self._cert,
            )
        except Exception as error:
            failure = self._no_answer(without_frames(error), session.sent)
        else:
            return answer_in(
                response,
                endpoint=self.name,
                asked_at=asked_at,
                now=self._clock(),
                secrets=Secrets.of(response.request),
            )
        # Out here *error* is no variable any more, which a tool would show with all it says.
        raise failure

    def _settle(self, url: str) -> None:
        secure = require_secure(url, insecure=self._insecure)
        if "#" in url:
            raise ValueError(
                f"the URL of the {self._kind} has a fragment (RFC 6749 section 3.2): drop it"
            )
        self.name = name_of(url)
        if not secure:
            _log.warning(
                "the %s %s is asked in plain http, and everybody on the way can read the tokens",
                self._kind,
                self.name,
            )
        if _may_have_a_secret_in_its_query(url):
            _log.warning(
                "the query of the %s %s looks like a secret, and URLs are written into logs: those "
                "of servers and proxies, and of urllib3 at DEBUG. If the server takes it "
                "elsewhere, pass it in data= or headers=, or by auth=",
                self._kind,
                self.name,
            )
        if not url.lower().startswith("https:") and select_proxy(url, self._proxies):
            raise InsecureTransportError(
                f"the {self._kind} {self.name} is plain http, and the proxy that proxies= has "
                "for it could read the refresh token: leave that out, or use https"
            )
        self._url = url

    def _no_answer(
        self, error: Exception, sent: requests.PreparedRequest | None
    ) -> RefreshFailedError:
        cause = innermost(error)
        secrets = Secrets(frozenset()) if sent is None else Secrets.of(sent)
        said = type(cause).__name__
        if sent is not None:
            said += f": {secrets.quote(str(cause))}"
        # Otherwise there is nothing to compare with, and its text may be a secret: a header that
        # cannot be sent, say, or what an auth= of the user's own has to say.
        failure = RefreshFailedError(
            f"the exchange with the {self._kind} {self.name} failed ({said}); {advice_for(error)}"
        )
        failure.__cause__ = None if sent is None else unless_it_tells(cause, secrets)
        return failure


def check_one_authorization(headers: Mapping[str, str] | None, other: str) -> None:
    """Raise ValueError if *headers* have an Authorization, which *other* arguments write."""
    if any(name.lower() == "authorization" for name in headers or {}):
        raise ValueError(f"headers['Authorization'] and {other} write the same header: pass one")


def _may_have_a_secret_in_its_query(url: str) -> bool:
    """Return whether one of its fields is called like one, or looks as if it was drawn."""
    return any(
        _SECRET_NAME.search(name) or (len(value) >= _LONG and _DRAWN.search(value))
        for name, value in parse_qsl(urlsplit(url).query)
    )


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                "headers has a name that cannot stand in a header (RFC 9110 section 5.1): the "
                "names are the keys, without a colon"
            )
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if not isinstance(text, str) or not _VALUE.fullmatch(text):
            raise ValueError(
                f"headers[{name!r}] cannot stand in a header: pass strings of one line"
            )
    return dict(headers)


def check_timeout(timeout: tuple[float, float]) -> tuple[float, float]:
    """Return *timeout*, the seconds to connect and the seconds to wait for a piece of an answer.

    Raises:
        TypeError, ValueError: It is no such pair.
    """
    if not isinstance(timeout, tuple) or len(timeout) != 2:
        raise TypeError(f"timeout is a pair of seconds, (connect, read), got {timeout!r}")
    return positive("timeout[0]", timeout[0]), positive("timeout[1]", timeout[1])


def positive(name: str, value: float) -> float:
    """Return *value*, of which there is some, and not without end.

    Raises:
        TypeError, ValueError: It is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number, got {type(value).__name__}")
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be above 0 and finite, got {value!r}")
    return value
