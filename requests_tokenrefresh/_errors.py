"""What a caller can get instead of a response: the exception tree.

Every error is a `requests.RequestException`, so code that already guards its requests
keeps guarding them. No error carries a token in its message, its repr or its pickle. What others
have said in it is printable, whoever raises it.
"""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any, TypeVar

import requests
from urllib3 import HTTPResponse

from ._foreign import printable

Said = TypeVar("Said", str, "str | None")

LONGEST_SAID = 3600.0  # seconds; an issuer that names a later moment is asked then


def local_unauthorized(request: requests.PreparedRequest | None = None) -> requests.Response:
    """Return a 401 made here, for a *request* that was never sent.

    It reads like an answer from a server (status, reason, an empty body) for code that tests
    `status_code`, and it is told apart by `.headers`, which is empty.
    """
    response = requests.Response()
    response.status_code = 401
    response.reason = "Unauthorized"
    response.raw = HTTPResponse(body=BytesIO(), status=401, preload_content=False)
    if request is not None:
        response.request = request
        response.url = request.url or ""
    return response


class TokenRefreshError(requests.RequestException):
    """The base of everything this package raises while a request is on its way.

    An instance belongs to one thread: where several threads share a failure, each raises an
    object of its own, with the shared cause as `__cause__`.
    """

    def __init__(self, *args: Any, **about: Any) -> None:
        super().__init__(*(_plain(arg) for arg in args), **about)

    def __str__(self) -> str:
        return printable(super().__str__())  # of another exception, where that is the message

    def __repr__(self) -> str:
        return printable(super().__repr__())

    def __reduce__(self) -> tuple[Any, ...]:
        # The request and the response stay behind: a body may not pickle, and the request that
        # was sent carries the token in its Authorization header.
        return type(self), self.args, self._facts()

    def __copy__(self) -> TokenRefreshError:
        # Without __init__: a subclass may take other arguments than its message.
        own = type(self).__new__(type(self))
        own.args = self.args
        own.request = own.response = None
        vars(own).update(self._facts())
        if isinstance(own, LoginRequiredError):
            own.response = local_unauthorized()
        return own

    def _facts(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("request", "response")}


class LoginRequiredError(TokenRefreshError, requests.HTTPError):
    """The login is over: somebody has to log in again; waiting does not help.

    A refresher raises it, with a *reason*, to say that its refusal is permanent.

    Attributes:
        reason: One word for programs: ``invalid_grant`` (the token endpoint refused the refresh
            token), ``no_refresh_token`` (there is nothing to refresh with), ``no_token`` (nobody
            has logged in yet), ``trial_refused`` (with ``when_trial_refused="log_out"``: a new
            token was refused wherever it was tried), ``logged_out`` (`logout()` was called),
            ``logged_out_elsewhere`` (the shared store has been emptied by another process), or a
            word of the refresher's own.
        status, code, said: As in `RefreshFailedError`.
        response: Always a 401: the one this caller was answered, or one made here if
            nothing was sent.
    """

    response: requests.Response

    def __init__(
        self,
        message: str,
        *,
        reason: str = "login_required",
        response: requests.Response | None = None,
        status: int | None = None,
        code: str | None = None,
        said: str | None = None,
    ) -> None:
        super().__init__(message, response=local_unauthorized() if response is None else response)
        self.reason = _plain(reason)
        self.status = status
        self.code = _plain(code)
        self.said = _plain(said)


class LoginFailedError(LoginRequiredError):
    """An attempt to log in has failed, and nobody is logged in by it. What was stored is as it was.

    Attributes:
        reason: One word for programs: ``access_denied`` (the person has said no),
            ``expired_token`` (a device code has expired), ``timed_out`` (the person took too long),
            ``issuer_mismatch`` (another issuer than ours has answered), ``bad_answer`` (what a
            server, or the browser, has brought makes no sense), ``no_way`` (there is nothing to log
            in with), ``no_discovery`` (the issuer publishes nothing about itself),
            ``redirect_taken`` (another program listens at the redirect address).
        status, code, said: As in `RefreshFailedError`.
    """


def trial_refused() -> LoginRequiredError:
    """Return what ends a login whose new token is refused by all who were asked."""
    return LoginRequiredError(
        "the refresh gave a new token, and it was refused wherever it was tried; "
        "call login() with a new token",
        reason="trial_refused",
    )


class RefreshFailedError(TokenRefreshError):
    """No new token could be had, and the login is not over: try again later.

    A refresher raises it for anything short of a refusal: the token endpoint was unreachable,
    answered 5xx or 429, or its reply made no sense.

    Attributes:
        retry_after: Seconds until another attempt is worth while; None if nobody said.
        status: The HTTP status of the issuer's answer; None if there was no answer.
        code: What it calls the error (``invalid_client``); None if it has no name for it.
        said: All that it says, as one line that repeats nothing it was sent; None as *status*.
        response: The 401 that this caller was answered, if it was one.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        code: str | None = None,
        said: str | None = None,
    ) -> None:
        super().__init__(message)
        if retry_after is not None and not 0 <= retry_after < math.inf:
            raise ValueError(f"retry_after is a number of seconds, 0 or more, got {retry_after!r}")
        self.retry_after = retry_after
        self.status = status
        self.code = _plain(code)
        self.said = _plain(said)


class RevocationFailedError(TokenRefreshError):
    """A server was not told that a login is over, or has not ended it: its tokens stay good.

    Raised by `revoke()` of a grant, and by ``logout(revoke=True)``, after which the login is over
    here all the same.

    Attributes:
        retry_after: Seconds until another attempt is worth while; None if nobody said.
        status, code, said: As in `RefreshFailedError`.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        code: str | None = None,
        said: str | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status
        self.code = _plain(code)
        self.said = _plain(said)


class RefreshTimeoutError(TokenRefreshError, requests.Timeout):
    """Somebody else's refresh took longer than this caller may wait (`wait_timeout`)."""


class TokenStoreError(TokenRefreshError):
    """The token store could not be used; what it holds is as it was.

    Raised as it is where the store may not be used: a login that others can read, for example.
    """


class StoreLockTimeoutError(TokenStoreError, requests.Timeout):
    """Busy: the store's lock stayed with another longer than this caller may wait."""


class StoreLockLostError(TokenStoreError):
    """Too late: the lock has passed to another while its holder was stalled, or somebody has logged
    in or out since; nothing was written."""


class StoreUnavailableError(TokenStoreError):
    """Dead: the store's backend could not be reached, or could not read or write; try again later.

    After a write it is not known whether the write has happened.
    """


class StoreContentError(TokenStoreError):
    """Corrupt: what is stored is not a token, or cannot be decrypted; it was left as it was."""


class StoreDataLostError(TokenStoreError):
    """Lost: the store held this login and does not hold it now, although nobody has cleared it: it
    has restarted without its data, or with data from before."""


class InsecureTransportError(TokenRefreshError):
    """A token would have travelled over plain http to another machine (RFC 6750 section 5.3)."""


def _plain(said: Said) -> Said:
    return printable(said) if isinstance(said, str) else said
