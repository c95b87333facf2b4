"""`TokenRefreshAdapter`: what is mounted. A request flows through this file from top to bottom."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Collection
from typing import Any

import requests
from requests.adapters import (
    DEFAULT_POOLBLOCK,
    DEFAULT_POOLSIZE,
    DEFAULT_RETRIES,
    BaseAdapter,
    HTTPAdapter,
)
from urllib3.util.retry import Retry

from ._attach import Attach, attachment, authorization_of, refuse_plain_http_to_a_proxy
from ._challenge import own_answer
from ._door import check_bytes
from ._errors import LoginRequiredError, TokenRefreshError, local_unauthorized
from ._evidence import Resource, resource_of
from ._replay import (
    body_position,
    may_go_out_again,
    rewind,
    set_aside,
    spooled,
    with_cookies,
)
from ._source import TokenSource
from ._stack import check_one_login
from ._token import Token
from .events import ReplayEnded, ReplayStarted, TokenRejected

_log = logging.getLogger("requests_tokenrefresh")

_UNAUTHORIZED = 401
_MOST_REPLAYS = 2  # the second only if the token of the first has grown old meanwhile


class TokenRefreshAdapter(HTTPAdapter):
    """Sends requests with the token of a `TokenSource`, and survives its expiry.

    Mount it: ``session.mount("https://api.example.com/", TokenRefreshAdapter(tokens))``. Requests
    to other origins than the source's pass through untouched, and so do those that carry an
    ``Authorization`` of a scheme which is neither Bearer nor the token's own. Safe from any thread,
    as far as the session is; several adapters may share one source.

    Args:
        tokens: The login.
        transport: The adapter that sends, if it is not this one: whatever was mounted before
            (``session.get_adapter(url)``), with its TLS settings, cache or socket.
        is_rejected: Whether an answer to a request with our token means that the token is no
            longer good. By default any 401 does, unless a challenge of the token's own scheme says
            that another token would not help either, such as ``insufficient_scope`` (RFC 6750
            section 3.1).
        spool_bodies: Bytes of a body that can be sent only once (an iterator, a pipe) to read into
            memory before sending, so that it can be replayed. 0: none is; such a request gets its
            401, and the token is refreshed for the next one.
        attach: Where the token stands, if not in the ``Authorization`` header: alone in another
            header (``"X-Auth-Token"``), after another scheme (``"Authorization: token"``), or
            wherever a function puts it that is called with a copy of the request and the `Token`.
        replaces: Schemes of the caller's own that are placeholders, such as ``["token"]``: an
            ``Authorization`` of one of them is replaced. Said once at INFO.
        pool_connections, pool_maxsize, max_retries, pool_block: As in `HTTPAdapter`; without
            *transport* only, which has its own.

    Raises:
        TypeError, ValueError: An argument is not what it should be.
    """

    __attrs__ = [  # noqa: RUF012 - as HTTPAdapter declares it; what pickle keeps
        *HTTPAdapter.__attrs__,
        "_source",
        "_transport",
        "_is_rejected",
        "_spool_bodies",
        "_attachment",
    ]

    def __init__(
        self,
        tokens: TokenSource,
        *,
        transport: BaseAdapter | None = None,
        is_rejected: Callable[[requests.Response], bool] | None = None,
        spool_bodies: int = 0,
        attach: Attach | None = None,
        replaces: Collection[str] = (),
        pool_connections: int = DEFAULT_POOLSIZE,
        pool_maxsize: int = DEFAULT_POOLSIZE,
        max_retries: Retry | int = DEFAULT_RETRIES,
        pool_block: bool = DEFAULT_POOLBLOCK,
    ) -> None:
        if not isinstance(tokens, TokenSource):
            raise TypeError(
                "tokens is a TokenSource (make one, and share it between adapters), "
                f"got {type(tokens).__name__}"
            )
        if transport is not None and not isinstance(transport, BaseAdapter):
            raise TypeError(
                "transport is the adapter that sends, such as session.get_adapter(url), "
                f"got {type(transport).__name__}"
            )
        if is_rejected is not None and not callable(is_rejected):
            raise TypeError(
                "is_rejected is a function that takes a Response, such as "
                f"lambda response: response.status_code == 403, got {is_rejected!r}"
            )
        if isinstance(transport, TokenRefreshAdapter):
            transport = transport.to_wrap()
        check_one_login(tokens, transport, "transport")
        retries = max_retries if transport is None else getattr(transport, "max_retries", None)
        if isinstance(retries, Retry) and 401 in (retries.status_forcelist or ()):
            raise ValueError(
                "max_retries has 401 in its status_forcelist, which would send the dead token "
                "again and hide the answer: leave 401 out, it is what this adapter handles"
            )
        super().__init__(pool_connections, pool_maxsize, max_retries, pool_block)
        self._source = tokens
        self._transport = transport
        self._is_rejected = is_rejected
        self._spool_bodies = check_bytes("spool_bodies", spool_bodies)
        self._attachment = attachment(tokens, attach, replaces)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        """Send *request* with a good token; its answer is never a 401 that a refresh could spare.

        The arguments are `HTTPAdapter.send`'s, also of a replay. *request* is not changed.

        Raises:
            LoginRequiredError: The login is over, and `when_logged_out` is ``"raise"``.
            RefreshFailedError: No new token can be had now.
            RefreshTimeoutError: Another thread's refresh took too long.
            TokenStoreError: The store failed.
            InsecureTransportError: The token would have gone to a proxy in plain http.
            requests.RequestException: As without this adapter.
        """
        how = {
            "stream": stream,
            "timeout": timeout,
            "verify": verify,
            "cert": cert,
            "proxies": proxies,
        }
        if not self._takes_a_token(request):
            return self._transmit(request, how)
        if proxies:
            refuse_plain_http_to_a_proxy(request, proxies)
        try:
            token = self._source.token()
        except LoginRequiredError as error:
            return self._without_login(request, error, how)
        except TokenRefreshError as error:
            error.request = request
            raise
        if self._spool_bodies:
            request = spooled(request, self._spool_bodies)
        position = None if request.body is None else body_position(request.body)
        response = self._attachment.send(request, token, self._transmit, how)
        if not self._rejects(request, response, token):
            if response.status_code != _UNAUTHORIZED:
                self._accept(request, token)
            return response
        self._source.tell(TokenRejected, replay=False)
        if self._source.is_own(token, _resource_of(request)):
            return response
        return self._answer_for_rejected(request, position, token, response, how)

    def close(self) -> None:
        """Close the connections, those of *transport* included."""
        if self._transport is not None:
            self._transport.close()
        super().close()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool; called when this adapter is made, unpickled, or in a forked child."""
        super().init_poolmanager(*args, **kwargs)
        _adapters.add(self)

    def _leave_connections_to_parent(self) -> None:
        # Kept, because to let go of them is to close them, by a lock that a thread of the parent
        # may have held.
        _left_to_parent.append((self.poolmanager, self.proxy_manager))
        self.proxy_manager = {}
        self.init_poolmanager(self._pool_connections, self._pool_maxsize, block=self._pool_block)

    def to_wrap(self) -> BaseAdapter:
        """Return what another adapter wraps when it is given this one: itself, as the two are for
        different origins. One that `install` has mounted gives way."""
        return self

    def _takes_a_token(self, request: requests.PreparedRequest) -> bool:
        if not self._source.origins.allow(request.url or "") or self._source.refreshing_here():
            return False
        return authorization_of(request) is None or self._attachment.outranks(request)

    def _rejects(
        self, request: requests.PreparedRequest, response: requests.Response, token: Token
    ) -> bool:
        if self._is_rejected is not None:
            return self._is_rejected(response)
        if response.status_code != _UNAUTHORIZED:
            return False
        why = own_answer(response, self._attachment.scheme_of(token))
        if why is not None:
            self._source.passes_on(_resource_of(request), f"its challenge says {why}")
        return why is None

    def _accept(
        self, request: requests.PreparedRequest, token: Token, *, replay: bool = False
    ) -> None:
        if self._source.learns_from(token):
            self._source.accept(token, _resource_of(request), replay=replay)

    def _transmit(
        self, request: requests.PreparedRequest, how: dict[str, Any]
    ) -> requests.Response:
        if self._transport is not None:
            return self._transport.send(request, **how)
        return super().send(request, **how)

    def _without_login(
        self, request: requests.PreparedRequest, error: LoginRequiredError, how: dict[str, Any]
    ) -> requests.Response:
        """Answer a request that cannot have a token, as `when_logged_out` has it."""
        if self._source.when_logged_out == "detach":
            return self._transmit(request, how)
        return self._logged_out(error, request, local_unauthorized(request))

    def _logged_out(
        self,
        error: LoginRequiredError,
        request: requests.PreparedRequest,
        response: requests.Response,
    ) -> requests.Response:
        if self._source.when_logged_out != "raise":
            return response
        set_aside(response)  # who catches an error seldom closes its response
        error.request, error.response = request, _the_401(request, response)
        raise error

    def _answer_for_rejected(
        self,
        request: requests.PreparedRequest,
        position: Any,
        token: Token,
        response: requests.Response,
        how: dict[str, Any],
    ) -> requests.Response:
        """Refresh and replay: what is returned is the last answer, the 401s are its history."""
        resource = _resource_of(request)
        rejections: list[requests.Response] = []
        replays = 0
        try:
            while True:
                set_aside(response)
                rejections.append(response)
                if not rewind(request.body, position):
                    return self._refresh_for_the_next(request, token, response)
                another = self._source.reject(
                    token, resource, replay=replays > 0, is_last=replays == _MOST_REPLAYS
                )
                if another is None:
                    return response
                token, replays = another, replays + 1
                request = with_cookies(request, response)
                response, is_last = self._replay(request, position, token, how, rejections)
                response.history = [*rejections, *response.history]
                if is_last:
                    return response
        except LoginRequiredError as error:
            return self._logged_out(error, request, response)
        except TokenRefreshError as error:
            error.request, error.response = request, _the_401(request, response)
            raise

    def _replay(
        self,
        request: requests.PreparedRequest,
        position: Any,
        token: Token,
        how: dict[str, Any],
        rejections: list[requests.Response],
    ) -> tuple[requests.Response, bool]:
        """Send *request* with a new token; return the answer, and whether it goes to the caller.

        Others may wait for the verdict on that token: there is one on every way out.
        """
        resource, is_last, verdict = _resource_of(request), True, "none"
        self._source.tell(ReplayStarted, trial=self._source.on_trial(token))
        try:
            while True:
                response = self._send_again(request, position, token, how)
                refused = self._rejects(request, response, token)
                if not refused:
                    break
                self._source.tell(TokenRejected, replay=True)
                if not (rewind(request.body, position) and self._source.tries_again(token)):
                    break
                set_aside(response)
                rejections.append(response)
            if refused:
                is_last = self._source.refuse(token, resource)
                verdict = "refused"
            elif response.status_code != _UNAUTHORIZED:
                self._accept(request, token, replay=True)
                verdict = "accepted"
        finally:
            if verdict == "none":
                self._source.give_up(token)
            self._source.tell(ReplayEnded, verdict=verdict)
        return response, is_last

    def _send_again(
        self, request: requests.PreparedRequest, position: Any, token: Token, how: dict[str, Any]
    ) -> requests.Response:
        try:
            return self._attachment.send(request, token, self._transmit, how)
        except requests.ConnectionError as error:
            if not (may_go_out_again(error, request.method) and rewind(request.body, position)):
                raise
        return self._attachment.send(request, token, self._transmit, how)

    def _refresh_for_the_next(
        self, request: requests.PreparedRequest, token: Token, response: requests.Response
    ) -> requests.Response:
        _log.warning(
            "the body of a %s request was sent once and cannot be sent again, so its caller gets "
            "the 401; pass bytes or a file, or spool_bodies=BYTES to the adapter",
            request.method,
        )
        try:
            self._source.reject(token, _resource_of(request), can_replay=False)
        except LoginRequiredError:
            raise
        except TokenRefreshError as error:
            _log.warning("nor could the token be refreshed for the next request: %s", error)
        return response


def _resource_of(request: requests.PreparedRequest) -> Resource:
    return resource_of(request.method, request.url)


def _the_401(request: requests.PreparedRequest, response: requests.Response) -> requests.Response:
    if response.status_code == _UNAUTHORIZED:
        return response
    # is_rejected took it for a rejection; who handles the error looks for a 401.
    unauthorized = local_unauthorized(request)
    unauthorized.history = [*response.history, response]
    return unauthorized


_adapters: weakref.WeakSet[TokenRefreshAdapter] = weakref.WeakSet()
_left_to_parent: list[object] = []


def _after_fork_in_child() -> None:
    # On a connection that two processes send on, each may read the answer to the other's request.
    for adapter in list(_adapters):
        adapter._leave_connections_to_parent()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows has none
    os.register_at_fork(after_in_child=_after_fork_in_child)
