"""One HTTP exchange that ends in time and fits in memory, whatever the server does.

requests bounds the single wait for a socket. The sum of the waits, the bytes that arrive and
what they decompress to are bounded here.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterable
from concurrent import futures
from io import BytesIO
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.sessions import SessionRedirectMixin
from urllib3 import HTTPResponse, PoolManager

from .._errors import InsecureTransportError
from .._origins import is_read_by_a_proxy
from ._cause import is_lost

if TYPE_CHECKING:
    from requests import Session
else:
    # requests-cache's install_cache puts a subclass in its place, which may answer a request for a
    # token with the one from before.
    _ancestors = requests.Session.__mro__
    Session = _ancestors[_ancestors.index(SessionRedirectMixin) - 1]

# What is read at once; urllib3 before 2.6 unpacks all of it, to as much as a thousand times that.
_PIECE = 16 * 1024  # bytes

# requests makes cookies and more of the head, and http.client takes 6 MB for one.
_LARGEST_HEAD = 64 * 1024  # bytes
_MOST_CODINGS = 5  # of a body

# Seconds after which a lost answer is not asked for again: a process that was stopped meanwhile may
# have lost its turn, and another may have used the refresh token since.
_LATE = 0.5


class ReplyTooLargeError(requests.RequestException):
    """The reply is larger than what was agreed to read."""


class OneExchange(Session):
    """A session for one request.

    A kept connection would hardly ever serve a second one, minutes later, and the server may be
    closing it at that very moment. So each exchange connects, and threads and forked processes have
    nothing to share.

    Args:
        repeats: Whether it asks once more, at once, if nobody could be reached or the connection
            broke within half a second: the answer is lost then, and whoever comes next would ask
            the same.
        deadline: Seconds for all of it, from authentication to the last byte of the reply.
        max_reply_bytes: How large a reply may be, both as it travels and decompressed.
        how: What `requests.Session.request` is told beside the request: ``timeout``, ``verify``...

    Attributes:
        sent: The request as it was prepared; None until then.
        met: What sending it and reading the answer has met. What else goes wrong is not in it, such
            as an `auth` or a hook of the user's own: that may say anything.
    """

    def __init__(self, *, repeats: bool, deadline: float, max_reply_bytes: int, **how: Any) -> None:
        super().__init__()
        self._how = how
        self._repeats = repeats
        self.sent: requests.PreparedRequest | None = None
        self.met: list[Exception] = []  # two threads add to it
        self._deadline = deadline
        self._line = _Line()
        adapter = _Adapter(self, self._line, max_reply_bytes)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def answer_to(self, question: requests.Request) -> requests.Response:
        """Return the answer, its body in memory and decompressed. Closes the session.

        An interrupt passes here, and there are tools that show the variables on its way: no secret
        is among them, since the repr of *question* has its method only.

        Raises:
            requests.Timeout: The deadline passed first. Nothing is sent after that.
            ReplyTooLargeError: There was more to read than *max_reply_bytes*.
            Exception: Whatever requests, urllib3 or a codec make of what the server did.
        """
        # No timeout of a socket can do this: it starts again with each byte, each resolved
        # address and each proxy, and looking up a name has none. So the exchange has a thread of
        # its own, which is left behind at the deadline; cutting the line ends it.
        answer: futures.Future[requests.Response] = futures.Future()
        exchange = threading.Thread(
            target=self._ask,
            args=(answer, question),
            name="token-endpoint-exchange",
            daemon=True,  # one that still looks up a name must not keep the program alive
        )
        try:
            try:
                exchange.start()
            except RuntimeError:
                # There are too many, or the program is ending: on Python 3.12 the threads that are
                # waited for then, and atexit functions, can start none. Better one that takes as
                # long as its single waits than none.
                self._ask(answer, question)
            answered = futures.wait([answer], self._deadline).done
        finally:
            self._line.cut()
        if not answered:
            late = requests.Timeout(f"no complete answer within {self._deadline:g} s")
            self.met.append(late)
            raise late
        return answer.result()

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send *request*, and remember it: an error must not repeat what it carries."""
        self.sent = request
        return super().send(request, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Follow nothing: a 307 would carry the refresh token wherever it points."""
        return None

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Do without the environment's proxy where there is no TLS.

        Plain http is allowed because it does not leave this machine; through a proxy it would.
        """
        settings = super().merge_environment_settings(url, dict(proxies), stream, verify, cert)
        if not url.startswith("https:"):
            settings["proxies"] = proxies
        return settings

    def _ask(self, answer: futures.Future[requests.Response], question: requests.Request) -> None:
        try:
            with self:
                answer.set_result(self._answered(question))
        except BaseException as error:  # it belongs to the thread that waits
            answer.set_exception(error)

    def _answered(self, question: requests.Request) -> requests.Response:
        asked_at = time.monotonic()
        try:
            return self._answered_once(question)
        except Exception as error:
            late = time.monotonic() - asked_at > _LATE
            if not self._repeats or late or self._line.is_cut or not is_lost(error):
                raise
        return self._answered_once(question)

    def _answered_once(self, question: requests.Request) -> requests.Response:
        return self.request(
            str(question.method),
            str(question.url),
            data=question.data,
            headers=question.headers,
            auth=question.auth,
            **self._how,
        )


class _Line:
    """The TCP connections of an exchange; any thread may cut them, once and for all."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._sockets: list[socket.socket] = []  # guarded by _turn
        self.is_cut = False  # guarded by _turn; never False again

    def hold(self, connected: socket.socket) -> socket.socket:
        """Return *connected*, to be cut with the line, or hang up if that has happened already.

        What is held is a duplicate: it stays valid, and a shutdown reaches the connection
        through it, while TLS takes the original over or the connection closes it.
        """
        with self._turn:
            if not self.is_cut:
                self._sockets.append(connected.dup())
                return connected
        connected.close()
        raise TimeoutError("connected after the deadline")

    def cut(self) -> None:
        """Hang up: what is being sent or read fails at once, and nothing is sent any more."""
        with self._turn:
            self.is_cut = True
            for held in self._sockets:
                with contextlib.suppress(OSError), held:  # the server has hung up
                    held.shutdown(socket.SHUT_RDWR)
            self._sockets.clear()


class _Adapter(HTTPAdapter):
    def __init__(self, exchange: OneExchange, line: _Line, max_reply_bytes: int) -> None:
        self._exchange = exchange
        self._line = line
        self._max_reply_bytes = max_reply_bytes
        super().__init__(max_retries=0)  # that is decided where it is known what is asked for

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._hold_connections_of(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        self._hold_connections_of(manager)
        return manager

    def _hold_connections_of(self, manager: PoolManager) -> None:
        pools: dict[str, Any] = dict(manager.pool_classes_by_scheme)
        manager.pool_classes_by_scheme = {s: _held(pools[s], self._line) for s in pools}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            # Here, where nothing can change it any more: an auth may have set another URL.
            if is_read_by_a_proxy(request.url or "", kwargs.get("proxies")):
                raise InsecureTransportError(
                    "a request for a token would go through a proxy in plain http, which could "
                    "read the refresh token: leave that out of proxies=, or use https"
                )
            return self._answer(request, *args, **kwargs)
        except Exception as error:
            self._exchange.met.append(error)
            raise

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Make a response of *resp*, unless its head is too large to look at."""
        if sum(len(name) + len(value) for name, value in resp.headers.items()) > _LARGEST_HEAD:
            resp.close()
            raise ReplyTooLargeError(f"the reply's head is larger than {_LARGEST_HEAD} bytes")
        return super().build_response(req, resp)

    def _answer(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().send(request, *args, **{**kwargs, "stream": True})
        # Here and not in the caller, because a response hook (digest authentication has one) may
        # read the body too.
        with contextlib.closing(response.raw) as raw:
            raw.enforce_content_length = True  # urllib3 before 2 takes half an answer for a whole
            sent = iter(lambda: raw.read(_PIECE, decode_content=False), b"")
            body = _joined(sent, self._max_reply_bytes)
        codings = [it for it in raw.headers.get("Content-Encoding", "").split(",") if it.strip()]
        if len(codings) > _MOST_CODINGS:
            raise ReplyTooLargeError(f"the reply is packed more than {_MOST_CODINGS} times")
        # One coding at a time: together, each would unpack all that the one before it has.
        for coding in reversed(codings):
            encoding = {"Content-Encoding": coding.strip()}
            with HTTPResponse(BytesIO(body), encoding, preload_content=False) as packed:
                unpacked = packed.stream(_PIECE, decode_content=True)
                body = _joined(unpacked, self._max_reply_bytes)
        response.raw = HTTPResponse(BytesIO(body), status=raw.status, preload_content=False)
        return response


class _QuietResponse(http.client.HTTPResponse):
    """Without the lines of its head that are no headers: urllib3 writes them into its log, and a
    server may repeat a token there."""

    def begin(self) -> None:
        super().begin()
        self.msg.defects.clear()
        self.msg.set_payload("")


def _held(pool: Any, line: _Line) -> Any:
    class HeldConnection(pool.ConnectionCls):  # type: ignore[misc]
        response_class = _QuietResponse

        # Right after connect(2), and so before CONNECT, TLS and the request, each of which
        # the other side can draw out.
        def _new_conn(self) -> socket.socket:
            return line.hold(super()._new_conn())

    class HeldPool(pool):  # type: ignore[misc]
        ConnectionCls = HeldConnection

    return HeldPool


def _joined(pieces: Iterable[bytes], limit: int) -> bytes:
    body = b""
    for piece in pieces:
        body += piece
        if len(body) > limit:
            raise ReplyTooLargeError(f"the reply is larger than {limit} bytes")
    return body
