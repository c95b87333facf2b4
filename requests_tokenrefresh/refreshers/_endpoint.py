"""The token endpoint: one question, one answer, and an error if there is none."""

from __future__ import annotations

import copy
import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import requests
from requests.structures import CaseInsensitiveDict

from .._door import check_bytes, check_callable, check_mapping
from .._errors import InsecureTransportError, RefreshFailedError, TokenRefreshError
from .._origins import is_read_by_a_proxy, require_secure
from ._answer import Answer, answer_in
from ._cause import advice_for, innermost, unless_it_tells, without_frames
from ._client import Auth
from ._early import is_early
from ._exchange import OneExchange
from ._quote import NOT_SHOWN, Secrets, name_of, passwords_in
from ._url_secrets import may_have_a_secret

_log = logging.getLogger("requests_tokenrefresh")

# Of a header: RFC 9110 sections 5.1 and 5.5, in Latin-1, as http.client sends it.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile("(?:[!-~\x80-\xff][\t -~\x80-\xff]*)?")


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
        self._kind = "token"
        self._insecure = insecure
        self._headers = _checked_headers(headers)
        self._timeout = check_timeout(timeout)
        self._deadline = positive("deadline", deadline)
        positive("max_reply_bytes", max_reply_bytes)
        self._max_reply_bytes = check_bytes("max_reply_bytes", max_reply_bytes)
        self._verify = verify
        self._cert = cert
        self._proxies = checked_proxies(proxies)
        check_callable("clock", clock, "a function that returns a number")
        self._clock = clock
        self._settle(url)

    def at(self, url: str, kind: str) -> TokenEndpoint:
        """Return another endpoint of the same issuer, which is asked in the same way.

        Args:
            kind: What it is for: ``"revocation"``.

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
            InsecureTransportError: An *auth* has set another URL, and that goes to a proxy in
                plain http.
        """
        asked_at = self._clock()
        session = OneExchange(
            repeats=not is_early(),
            deadline=self._deadline,
            max_reply_bytes=self._max_reply_bytes,
            timeout=self._timeout,
            proxies=self._proxies,
            verify=self._verify,
            cert=self._cert,
        )
        try:
            response = session.answer_to(
                requests.Request(
                    "POST",
                    self._url,
                    data=question.body,
                    headers=CaseInsensitiveDict(
                        {"Accept": "application/json", **question.headers, **self._headers}
                    ),
                    auth=auth,
                )
            )
        except Exception as error:
            failure = self._no_answer(without_frames(error), session)
        else:
            sent = (one.request for one in (*response.history, response))
            return answer_in(
                response,
                kind=self._kind,
                endpoint=self.name,
                asked_at=asked_at,
                now=self._clock(),
                secrets=Secrets.of(*sent),
            )
        # Out here *error* is no variable any more, which a tool would show with all it says.
        raise failure

    def _settle(self, url: str) -> None:
        secure = require_secure(url, insecure=self._insecure)
        if "#" in url:
            raise ValueError(
                f"the URL of the {self._kind} endpoint has a fragment (RFC 6749 section 3.2): "
                "drop it"
            )
        self.name = name_of(url)
        if not secure:
            _log.warning(
                "the %s endpoint %s is asked in plain http, and everybody on the way can read the "
                "tokens",
                self._kind,
                self.name,
            )
        if may_have_a_secret(url):
            _log.warning(
                "the query of the %s endpoint %s looks like a secret, and URLs are written into "
                "logs: those of servers and proxies, and of urllib3 at DEBUG. If the server takes "
                "it elsewhere, pass it in data= or headers=, or by auth=",
                self._kind,
                self.name,
            )
        if is_read_by_a_proxy(url, self._proxies):
            raise InsecureTransportError(
                f"the {self._kind} endpoint {self.name} is plain http, and the proxy that proxies= "
                "has for it could read the refresh token: leave that out, or use https"
            )
        self._url = url

    def _no_answer(self, error: Exception, session: OneExchange) -> TokenRefreshError:
        met = any(error is one for one in session.met)
        if met and isinstance(error, InsecureTransportError):
            return error
        cause, told, advice = innermost(error), None, "try again later"
        said = type(cause).__name__
        if met:  # otherwise its text may be a secret that is not known here: that of an auth=, say
            advice = advice_for(error)
            sent = () if session.sent is None else (session.sent,)
            secrets = Secrets.of(*sent, known=passwords_in(self._proxies))
            told = unless_it_tells(cause, secrets)
            said += f": {NOT_SHOWN if told is None else secrets.quote(str(told))}"
        failure = RefreshFailedError(
            f"the exchange with the {self._kind} endpoint {self.name} failed ({said}); {advice}"
        )
        failure.__cause__ = told
        return failure


def check_one_authorization(headers: Mapping[str, str] | None, other: str) -> None:
    """Raise ValueError if *headers* have an Authorization, which *other* arguments write."""
    if any(name.lower() == "authorization" for name in headers or {}):
        raise ValueError(f"headers['Authorization'] and {other} write the same header: pass one")


def checked_proxies(proxies: Mapping[str, str] | None) -> dict[str, str]:
    """Return *proxies*, by schemes and hosts in small letters."""
    given = check_mapping("proxies", proxies, '{"https": "http://proxy.example.com:8080"}')
    return {str(key).lower(): proxy for key, proxy in given.items()}


def _checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    headers = check_mapping("headers", headers, '{"X-Tenant": "reports"}')
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                "headers has a name that cannot stand in a header (RFC 9110 section 5.1): the "
                "names are the keys, without a colon"
            )
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if not isinstance(text, str) or not _VALUE.fullmatch(text):
            raise ValueError(
                f"headers[{name!r}] cannot stand in a header: pass a string of one line, in "
                "Latin-1, or its bytes"
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
