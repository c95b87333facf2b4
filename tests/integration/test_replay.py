"""A replay is the same request: bodies, cookies, connections, redirects, over real HTTP."""

from __future__ import annotations

import errno
import gzip
import io
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from requests_tokenrefresh import LoginRequiredError, TokenRefreshAdapter, TokenSource
from requests_tokenrefresh._replay import _hang_up
from tests.support.logins import Refresher, wait_for_waiters
from tests.support.servers import HTTPServer, RawServer, Received, Reply, read_request
from tests.support.threads import run_together, start_together

EXPIRED = Reply(401, b"expired", [("WWW-Authenticate", 'Bearer error="invalid_token"')])


def accepts(token: str, good: Reply | None = None, bad: Reply = EXPIRED) -> Callable[..., Reply]:
    def handler(request: Received) -> Reply:
        return (good or Reply()) if request.headers["Authorization"] == f"Bearer {token}" else bad

    return handler


def source_for(*urls: str, refresher: Any = None, **options: Any) -> TokenSource:
    source = TokenSource(refresher or Refresher(), origins=list(urls), **options)
    source.login({"access_token": "access-0", "refresh_token": "refresh-0", "expires_in": 3600})
    return source


def session_for(source: TokenSource, **options: Any) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", TokenRefreshAdapter(source, **options))
    return session


@pytest.fixture
def api(http_server: Callable[..., HTTPServer]) -> HTTPServer:
    """Accepts the first token that is refreshed, and no other."""
    return http_server(accepts("access-1"))  # type: ignore[no-any-return]


# -- bodies ------------------------------------------------------------------------------------


class Lines:
    """Iterable again and again."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"one "
        yield b"two"


@pytest.mark.parametrize(
    "body",
    [
        lambda: None,
        lambda: b"bytes",
        lambda: "stré",
        lambda: {"a": "1"},
        lambda: io.BytesIO(b"in memory"),
        Lines,
    ],
    ids=["none", "bytes", "str", "form", "file object", "iterable"],
)
def test_a_body_is_sent_again_as_it_is_sent_without_the_adapter(
    api: HTTPServer, body: Callable[[], Any]
) -> None:
    with session_for(source_for(api.url)) as session, requests.Session() as without:
        without.trust_env = False
        assert session.post(f"{api.url}/x?y=1", data=body()).status_code == 200
        without.post(f"{api.url}/x?y=1", data=body(), headers={"Authorization": "none"})
    first, second, plain = (
        ("POST", "/x?y=1", r.body, {**dict(r.headers.items()), "Authorization": ""})
        for r in api.requests
    )
    assert first == second == plain


def test_json_is_sent_again(api: HTTPServer) -> None:
    with session_for(source_for(api.url)) as session:
        session.put(api.url, json={"a": [1]})
    assert [r.body for r in api.requests] == [b'{"a": [1]}'] * 2


def test_a_file_is_sent_again_from_where_the_caller_had_read_to(
    api: HTTPServer, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"header\nthe rest")
    with path.open("rb") as file, session_for(source_for(api.url)) as session:
        file.readline()
        session.post(api.url, data=file)
    assert [r.body for r in api.requests] == [b"the rest"] * 2


def test_a_multipart_upload_is_sent_again(api: HTTPServer) -> None:
    with session_for(source_for(api.url)) as session:
        session.post(api.url, files={"f": ("name.txt", io.BytesIO(b"content"))}, data={"a": "1"})
    first, second = (r.body for r in api.requests)
    assert first == second
    assert b"content" in second


@pytest.mark.parametrize("kind", ["iterator", "pipe", "closed file", "stream without a position"])
def test_a_body_that_is_gone_is_not_replaced_by_an_empty_one(api: HTTPServer, kind: str) -> None:
    class Once(io.BytesIO):
        def read(self, *size: Any) -> bytes:
            data = super().read(*size)
            if kind == "closed file" and not data:
                self.close()
            return data

    class Stream:
        def __init__(self) -> None:
            self._rest = io.BytesIO(b"once")

        def read(self, size: int = -1) -> bytes:
            return self._rest.read(size)

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._rest)

    reading, writing = os.pipe()
    os.write(writing, b"once")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, session_for(source_for(api.url)) as session:
        body = {
            "iterator": iter([b"once"]),
            "pipe": pipe,
            "closed file": Once(b"once"),
            "stream without a position": Stream(),
        }[kind]
        response = session.post(api.url, data=body)
        assert (response.status_code, response.content) == (401, b"expired")
        assert [r.body for r in api.requests] == [b"once"]
        assert session.get(api.url).status_code == 200


@pytest.mark.parametrize(
    "body", [lambda: iter([b"on", "cé"]), lambda: pipe_with(b"once"), lambda: TextStream()]
)
def test_a_spooled_body_is_sent_again(api: HTTPServer, body: Callable[[], Any]) -> None:
    with session_for(source_for(api.url), spool_bodies=1000) as session:
        response = session.post(api.url, data=body())
    assert response.status_code == 200
    first, second = (r.body for r in api.requests)
    assert first == second
    assert first in (b"once", "oncé".encode())


class TextStream:
    def __init__(self) -> None:
        self._rest = io.StringIO("once")

    def read(self, size: int = -1) -> str:
        return self._rest.read(size)


def pipe_with(content: bytes) -> Any:
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return _ClosesAtTheEnd(reading)


class _ClosesAtTheEnd:
    def __init__(self, descriptor: int) -> None:
        self._pipe = os.fdopen(descriptor, "rb")

    def read(self, size: int = -1) -> bytes:
        data = b"" if self._pipe.closed else self._pipe.read(size)
        if size and not data:
            self._pipe.close()
        return data

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(16384), b"")


class Encoder:
    """A stream that knows its length, as requests-toolbelt's MultipartEncoder does."""

    len = 4

    def __init__(self) -> None:
        self.read = io.BytesIO(b"once").read


def test_a_spooled_body_of_known_length_is_sent_with_its_length(api: HTTPServer) -> None:
    with session_for(source_for(api.url), spool_bodies=1000) as session:
        response = session.post(api.url, data=Encoder(), timeout=5)
    assert response.status_code == 200
    assert [r.body for r in api.requests] == [b"once", b"once"]
    assert [r.headers.get("Content-Length") for r in api.requests] == ["4", "4"]
    assert [r.headers.get("Transfer-Encoding") for r in api.requests] == [None, None]


def test_what_is_too_long_to_spool_is_sent_as_it_comes_and_once(api: HTTPServer) -> None:
    with session_for(source_for(api.url), spool_bodies=5) as session:
        response = session.post(api.url, data=iter([b"123", b"456", b"789"]))
    assert response.status_code == 401
    assert [r.body for r in api.requests] == [b"123456789"]


def test_spooling_does_not_touch_the_callers_request(api: HTTPServer) -> None:
    body = iter([b"once"])
    request = requests.Request("POST", api.url, data=body).prepare()
    with session_for(source_for(api.url), spool_bodies=100) as session:
        session.send(request)
    assert request.body is body


# -- connections -------------------------------------------------------------------------------


@pytest.fixture
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with ``read``, all that urllib3 before 2.2 has, or with what is there."""
    if request.param == "read":
        for kind in HTTPResponse.__mro__:
            monkeypatch.delattr(kind, "read1", raising=False)


BY_READ_AND_READ1 = pytest.mark.parametrize("reading", ["read", "read1"], indirect=True)


@BY_READ_AND_READ1
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.usefixtures("reading")
def test_the_connection_of_the_401_carries_the_replay(
    http_server: Callable[..., HTTPServer], stream: bool, chunked: bool
) -> None:
    body: Any = [b"ex", b"pired"] if chunked else b"expired"
    server = http_server(accepts("access-1", Reply(200, b"good"), Reply(401, body)))
    with session_for(source_for(server.url)) as session:
        response = session.get(server.url, stream=stream)
        assert response.content == b"good"
        (rejection,) = response.history
        assert rejection.content == b"expired"
        raw = rejection.raw
        assert (raw.status, raw.reason, raw.version) == (401, "Unauthorized", 11)
    assert [r.connection for r in server.requests] == [1, 1]


def test_one_blocking_connection_is_enough(api: HTTPServer) -> None:
    with session_for(source_for(api.url), pool_block=True, pool_maxsize=1) as session:
        statuses = run_together(8, lambda: session.get(api.url, timeout=20).status_code)
    assert {outcome.result() for outcome in statuses} == {200}
    assert api.connections == 1


def test_an_error_gives_the_connection_of_its_401_back(
    http_server: Callable[..., HTTPServer],
) -> None:
    server = http_server(accepts("again"))
    source = source_for(server.url, when_trial_refused="log_out")
    with session_for(source, pool_block=True, pool_maxsize=1) as session:
        with pytest.raises(LoginRequiredError) as caught:
            session.get(server.url)
        source.login("again")
        assert session.get(server.url, timeout=20).status_code == 200
        assert caught.value.response.content == b"expired"
    assert server.connections == 1


def test_streaming_goes_on_after_a_replay(http_server: Callable[..., HTTPServer]) -> None:
    server = http_server(accepts("access-1", Reply(200, [b"a", b"b", b"c"])))
    with (
        session_for(source_for(server.url)) as session,
        session.get(server.url, stream=True) as response,
    ):
        assert b"".join(response.iter_content(1)) == b"abc"


@BY_READ_AND_READ1
@pytest.mark.parametrize("size", [64 * 1024 - 1, 1_000_000])
@pytest.mark.usefixtures("reading")
def test_a_401_is_read_up_to_64_kib_and_its_connection_closed_beyond(
    http_server: Callable[..., HTTPServer], size: int
) -> None:
    server = http_server(accepts("access-1", bad=Reply(401, b"x" * size)))
    with session_for(source_for(server.url), pool_block=True, pool_maxsize=1) as session:
        response = session.get(server.url, timeout=20)
        (rejection,) = response.history
        assert response.status_code == 200
        assert 64 * 1024 - 1 <= len(rejection.content) <= min(size, 80 * 1024)
    assert [r.connection for r in server.requests] == ([1, 1] if size < 64 * 1024 else [1, 2])


def test_a_compressed_401_is_kept_compressed(http_server: Callable[..., HTTPServer]) -> None:
    bomb = gzip.compress(b"0" * 30_000_000)
    assert len(bomb) < 64 * 1024
    bad = Reply(401, bomb, [("Content-Encoding", "gzip")])
    server = http_server(accepts("access-1", bad=bad))
    source = source_for(server.url)
    with session_for(source) as session:
        (rejection,) = session.get(server.url).history
        assert len(rejection.raw._fp.getvalue()) == len(bomb)
        assert rejection.content[:3] == b"000"
        with session.get(server.url, headers={"Authorization": "Basic dTpw"}, stream=True) as plain:
            as_it_comes = plain.raw.read()
        source.refresh(source.token())  # to access-2, which is not good either
        with session.get(server.url, stream=True) as refused:
            assert refused.raw.read() == as_it_comes == bomb


class Canned(HTTPAdapter):
    """A transport that has its answers ready, as a cache or a mock; whoever reads them decodes."""

    def send(self, request: requests.PreparedRequest, **_how: Any) -> requests.Response:  # type: ignore[override]
        good = request.headers["Authorization"] == "Bearer access-1"
        raw = HTTPResponse(
            io.BytesIO(gzip.compress(b"good" if good else b"expired")),
            headers={"Content-Encoding": "gzip"},
            status=200 if good else 401,
            preload_content=False,
        )
        return self.build_response(request, raw)


@BY_READ_AND_READ1
@pytest.mark.usefixtures("reading")
def test_an_answer_that_is_no_sockets_is_kept_as_it_is() -> None:
    source = source_for("http://localhost")
    with session_for(source, transport=Canned()) as session:
        response = session.get("http://localhost/")
    assert (response.text, [r.text for r in response.history]) == ("good", ["expired"])


@BY_READ_AND_READ1
@pytest.mark.usefixtures("reading")
def test_an_answer_that_is_no_sockets_decodes_itself_as_it_did_before() -> None:
    source = source_for("http://localhost")
    with session_for(source, transport=Canned()) as session:
        response = session.get("http://localhost/", stream=True)
    assert [r.raw.read() for r in (response, *response.history)] == [b"good", b"expired"]


def test_with_no_descriptor_left_to_end_the_reading_by_the_replay_goes_out_all_the_same(
    http_server: Callable[..., HTTPServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> socket.socket:
        raise OSError(errno.EMFILE, "too many open files")

    server = http_server(accepts("access-1", bad=Reply(401, b"expired", close=True)))
    with session_for(source_for(server.url)) as session:
        monkeypatch.setattr("socket.fromfd", fail)
        response = session.get(server.url)
    assert (response.status_code, [r.status_code for r in response.history]) == (200, [401])


def test_hanging_up_on_a_server_that_was_faster_is_no_error() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    _hang_up(ours)
    ours.close()
    _hang_up(ours)


@pytest.mark.parametrize(
    ("reading", "close", "drip", "longest"),
    [
        pytest.param("read", False, 0.1, 0.5, id="dripping, by read"),
        pytest.param("read1", False, 0.1, 0.5, id="dripping"),
        pytest.param("read1", False, 30, None, id="stalled"),
        pytest.param("read", True, 0.1, 0.5, id="dripping to the close, by read"),
        pytest.param("read1", True, 0.1, 0.5, id="dripping to the close"),
        pytest.param("read1", True, 30, 0.5, id="stalled before the close"),
    ],
    indirect=["reading"],
)
@pytest.mark.usefixtures("reading")
def test_a_slow_401_holds_up_the_replay_for_a_second_at_most(
    http_server: Callable[..., HTTPServer],
    monkeypatch: pytest.MonkeyPatch,
    close: bool,
    drip: float,
    longest: float | None,
) -> None:
    """Socket timeouts are per recv, and there is none here: only a total limit helps.

    One waits for the second; with *longest*, less is enough to see that there is a limit.
    """
    if longest is not None:
        monkeypatch.setattr("requests_tokenrefresh._replay._LONGEST_SET_ASIDE", longest)
    done = threading.Event()

    def slowly() -> Iterator[bytes]:
        for _ in range(100):
            yield b"."
            if done.wait(drip):
                return

    bad = Reply(401, slowly(), [("Content-Length", "1000")], close=close)
    server = http_server(accepts("access-1", bad=bad))
    with session_for(source_for(server.url)) as session:
        begun = time.monotonic()
        response = session.get(server.url)
        took = time.monotonic() - begun
        done.set()
    assert response.status_code == 200
    assert 0.9 < took / (longest or 1.0) < 20
    assert set(response.history[0].content) == {ord(".")}
    assert [r.connection for r in server.requests] == [1, 2]


@BY_READ_AND_READ1
@pytest.mark.parametrize(
    ("answer", "rest"),
    [
        (b"Content-Length: 9\r\n\r\nhal", b"hal"),
        (b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000, b""),
    ],
    ids=["half", "no chunk"],
)
@pytest.mark.usefixtures("reading")
def test_a_401_that_breaks_off_is_no_reason_to_fail(
    raw_server: Callable[..., RawServer], answer: bytes, rest: bytes
) -> None:
    def script(connection: socket.socket) -> None:
        while True:
            request = read_request(connection)
            if request.headers["Authorization"] == "Bearer access-1":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            else:
                connection.sendall(b"HTTP/1.1 401 No\r\n" + answer)
                return

    server = raw_server(script)
    with session_for(source_for(server.url)) as session:
        response = session.get(server.url)
        assert (response.status_code, response.history[0].content) == (200, rest)


def test_an_http_1_0_server_that_hangs_up_after_each_answer_is_fine(
    http_server: Callable[..., HTTPServer],
) -> None:
    server = http_server(accepts("access-1", bad=Reply(401, b"expired", close=True)))
    with session_for(source_for(server.url)) as session:
        response = session.get(server.url)
        assert (response.status_code, response.history[0].content) == (200, b"expired")
    assert [r.connection for r in server.requests] == [1, 2]


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
NOT_YOU = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\n\r\nexpired"


class ClosesAfterItsReject:
    """The script of a server that closes after its 401, and is slower than the replay.

    Attributes:
        requests: What was sent, in order, on whatever connection.
    """

    def __init__(self, *, closes: int = 1, begins: bytes = b"") -> None:
        self._closes = closes  # so many replays are not answered
        self._begins = begins  # what they get instead of an answer
        self.requests: list[Received] = []

    def __call__(self, connection: socket.socket) -> None:
        while True:
            request = read_request(connection)
            self.requests.append(request)
            if request.headers["Authorization"] == "Bearer access-0":
                connection.sendall(NOT_YOU)
            elif self._closes:
                self._closes -= 1
                connection.sendall(self._begins)
                return
            else:
                connection.sendall(OK)

    @property
    def sent(self) -> list[tuple[str, bytes]]:
        return [(it.headers["Authorization"] or "", it.body) for it in self.requests]


@pytest.mark.parametrize("method", ["GET", "get", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
def test_a_replay_whose_connection_was_closed_goes_out_once_more(
    raw_server: Callable[..., RawServer], method: str
) -> None:
    script = ClosesAfterItsReject()
    server = raw_server(script)
    with session_for(source_for(server.url)) as session:
        response = session.request(method, server.url, data=b"body")
        assert (response.status_code, len(response.history)) == (200, 1)
    assert script.sent == [("Bearer access-0", b"body"), *[("Bearer access-1", b"body")] * 2]
    assert server.accepted == 2


def test_a_file_is_sent_from_where_it_stood_then_too(raw_server: Callable[..., RawServer]) -> None:
    script = ClosesAfterItsReject()
    server = raw_server(script)
    body = io.BytesIO(b"header\nthe rest")
    body.readline()
    with session_for(source_for(server.url)) as session:
        assert session.put(server.url, data=body).status_code == 200
    assert [body for _, body in script.sent] == [b"the rest"] * 3


@pytest.mark.parametrize("method", ["POST", "PATCH", "ODD"])
def test_what_may_have_happened_already_is_not_asked_for_twice(
    raw_server: Callable[..., RawServer], method: str
) -> None:
    script = ClosesAfterItsReject()
    server = raw_server(script)
    with session_for(source_for(server.url)) as session, pytest.raises(requests.ConnectionError):
        session.request(method, server.url, data=b"body")
    assert script.sent == [("Bearer access-0", b"body"), ("Bearer access-1", b"body")]


def test_twice_is_enough(raw_server: Callable[..., RawServer]) -> None:
    script = ClosesAfterItsReject(closes=2)
    server = raw_server(script)
    source = source_for(server.url)
    with session_for(source) as session, pytest.raises(requests.ConnectionError):
        session.get(server.url)
    assert len(script.requests) == 3
    assert not source.on_trial(source.token())


def test_an_answer_that_has_begun_is_not_asked_for_again(
    raw_server: Callable[..., RawServer],
) -> None:
    script = ClosesAfterItsReject(begins=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal")
    server = raw_server(script)
    with (
        session_for(source_for(server.url)) as session,
        session.get(server.url, stream=True) as response,
    ):
        assert response.raw.read(3) == b"hal"
    assert len(script.requests) == 2


def test_a_first_request_goes_out_once_as_without_the_adapter(
    raw_server: Callable[..., RawServer],
) -> None:
    server = raw_server(read_request)
    with session_for(source_for(server.url)) as session, pytest.raises(requests.ConnectionError):
        session.get(server.url)
    assert server.accepted == 1


class BreaksOnce(HTTPAdapter):
    """Answers 401 first, raises *error* at the second request, and answers 200 then."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._answers: list[Any] = [401, error, 200]

    def send(self, request: requests.PreparedRequest, *_args: Any, **_how: Any) -> Any:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code = answer
        response.raw = HTTPResponse(io.BytesIO(), status=answer, preload_content=False)
        response.request, response.url = request, request.url or ""
        return response


def after_retries(cause: Exception) -> MaxRetryError:
    return MaxRetryError(HTTPConnectionPool("api"), "/", cause)


def no_connection(cause: Exception) -> NewConnectionError:
    error = NewConnectionError(HTTPConnection("api"), "no connection")
    error.__cause__ = cause
    return error


def aborted(cause: Exception) -> ProtocolError:
    return ProtocolError("Connection aborted.", cause)


def closed_before_an_answer(cause: Exception) -> ProtocolError:
    """What urllib3-future has for it."""
    error = ProtocolError("Remote end closed connection without response")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "method", "again"),
    [
        (requests.ConnectionError(closed_before_an_answer(ConnectionResetError())), "GET", True),
        (requests.ConnectionError(closed_before_an_answer(ConnectionResetError())), "POST", False),
        (requests.ConnectionError(closed_before_an_answer(TimeoutError())), "GET", False),
        (requests.ConnectionError(aborted(ConnectionResetError())), "GET", True),
        (requests.ConnectionError(aborted(BrokenPipeError())), "GET", True),
        (requests.ConnectionError(aborted(ConnectionAbortedError())), "POST", False),
        (requests.ConnectionError(after_retries(aborted(ConnectionResetError()))), "GET", True),
        (requests.exceptions.SSLError(after_retries(SSLError(ssl.SSLEOFError()))), "GET", True),
        (requests.exceptions.SSLError(SSLError(ssl.SSLZeroReturnError())), "GET", True),
        (requests.exceptions.SSLError(SSLError(ssl.SSLEOFError())), "POST", False),
        (requests.exceptions.SSLError(SSLError(ssl.SSLCertVerificationError())), "GET", False),
        (requests.ConnectionError(after_retries(no_connection(OSError()))), "POST", True),
        (
            requests.exceptions.ProxyError(
                after_retries(ProxyError("no proxy", no_connection(OSError())))
            ),
            "POST",
            True,
        ),
        (requests.ConnectionError(after_retries(no_connection(TimeoutError()))), "GET", False),
        (requests.ConnectTimeout(after_retries(ConnectTimeoutError())), "GET", False),
        (requests.ReadTimeout(ReadTimeoutError(HTTPConnectionPool("api"), "/", "")), "GET", False),
        (requests.ConnectionError(aborted(HTTPException("odd"))), "GET", False),
        (requests.ConnectionError("of somebody else's adapter"), "GET", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_only_a_connection_that_was_closed_or_never_had_is_tried_again(
    error: requests.RequestException, method: str, again: bool
) -> None:
    transport = BreaksOnce(error)
    with session_for(source_for("http://localhost"), transport=transport) as session:
        if again:
            assert session.request(method, "http://localhost/").status_code == 200
        else:
            with pytest.raises(type(error)) as caught:
                session.request(method, "http://localhost/")
            assert caught.value is error
    assert transport._answers == ([] if again else [200])


class GoneAfterTwo(io.BytesIO):
    """A file that somebody closes when it has been rewound once."""

    def __init__(self) -> None:
        super().__init__(b"body")
        self._rewinds = 0

    def seek(self, *position: int) -> int:
        self._rewinds += 1
        if self._rewinds > 3:  # requests measures it first, to its end and back
            raise ValueError("I/O operation on closed file")
        return super().seek(*position)


def test_a_body_that_is_gone_is_not_sent_a_second_time() -> None:
    transport = BreaksOnce(requests.ConnectionError(aborted(ConnectionResetError())))
    body = GoneAfterTwo()
    with (
        session_for(source_for("http://localhost"), transport=transport) as session,
        pytest.raises(requests.ConnectionError),
    ):
        session.put("http://localhost/", data=body)
    assert transport._answers == [200]


def test_a_storm_at_a_server_that_closes_after_each_401_costs_nobody_an_answer(
    raw_server: Callable[..., RawServer],
) -> None:
    all_have_come = threading.Barrier(50)

    def script(connection: socket.socket) -> None:
        while read_request(connection).headers["Authorization"] == "Bearer access-1":
            connection.sendall(OK)
        all_have_come.wait(30)
        connection.sendall(NOT_YOU)

    server = raw_server(script)
    refresher = Refresher()
    with session_for(source_for(server.url, refresher=refresher), pool_maxsize=50) as session:
        outcomes = run_together(50, lambda: session.get(server.url))
    assert [outcome.result().status_code for outcome in outcomes] == [200] * 50
    assert len(refresher.calls) == 1


def test_where_no_thread_can_be_started_the_rest_of_a_last_answer_is_not_waited_for(
    raw_server: Callable[..., RawServer],
    no_more_threads: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("requests_tokenrefresh._replay._LONGEST_SET_ASIDE", 60)
    done = threading.Event()

    def script(connection: socket.socket) -> None:
        if read_request(connection).headers["Authorization"] == "Bearer access-1":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\nexpired")
        done.wait(30)

    server = raw_server(script)
    no_more_threads()
    with session_for(source_for(server.url)) as session:
        started = time.monotonic()
        response = session.get(server.url)
        assert time.monotonic() - started < 20  # else until the server closes
        done.set()
    assert response.status_code == 200
    assert response.history[0].content in (b"expired", b"")  # whether it came with the head


def test_a_replay_keeps_to_the_callers_timeout(http_server: Callable[..., HTTPServer]) -> None:
    done = threading.Event()

    def handler(request: Received) -> Reply:
        if request.number == 2:
            done.wait(10)
        return EXPIRED

    server = http_server(handler)
    with session_for(source_for(server.url)) as session:
        with pytest.raises(requests.ReadTimeout):
            session.get(server.url, timeout=(5, 0.2))
        done.set()
    assert len(server.requests) == 2


# -- cookies -----------------------------------------------------------------------------------


@pytest.fixture
def cookie_api(http_server: Callable[..., HTTPServer]) -> HTTPServer:
    bad = Reply(401, b"", [("Set-Cookie", "csrf=1; Path=/"), ("Set-Cookie", "lb=b; Path=/")])
    return http_server(accepts("access-1", bad=bad))  # type: ignore[no-any-return]


def test_the_cookies_of_the_401_are_in_the_replay_and_in_the_session(
    cookie_api: HTTPServer,
) -> None:
    with session_for(source_for(cookie_api.url)) as session:
        session.cookies.set("mine", "0")
        session.get(cookie_api.url)
        assert dict(session.cookies) == {"mine": "0", "csrf": "1", "lb": "b"}
    sent = [set((r.headers["Cookie"] or "").split("; ")) for r in cookie_api.requests]
    assert sent == [{"mine=0"}, {"mine=0", "csrf=1", "lb=b"}]


def test_a_cookie_header_that_the_caller_wrote_stays_as_it_is(cookie_api: HTTPServer) -> None:
    with session_for(source_for(cookie_api.url)) as session:
        session.get(cookie_api.url, headers={"Cookie": "own=1"})
    assert [r.headers["Cookie"] for r in cookie_api.requests] == ["own=1", "own=1"]


def test_a_request_without_a_jar_takes_the_cookies_too(cookie_api: HTTPServer) -> None:
    request = requests.PreparedRequest()
    request.prepare_method("GET")
    request.prepare_url(cookie_api.url, None)
    request.prepare_headers({})
    adapter = TokenRefreshAdapter(source_for(cookie_api.url))
    assert adapter.send(request).status_code == 200
    adapter.close()
    assert cookie_api.requests[1].headers["Cookie"] == "csrf=1; lb=b"


# -- redirects ---------------------------------------------------------------------------------


def test_a_redirect_to_another_origin_takes_no_token_along(
    http_server: Callable[..., HTTPServer],
) -> None:
    foreign = http_server(lambda _: Reply(), host="127.0.0.2")
    server = http_server(
        accepts("access-1", Reply(302, b"", [("Location", f"{foreign.url}/elsewhere")]))
    )
    with session_for(source_for(server.url)) as session:
        response = session.get(server.url)
    assert response.url == f"{foreign.url}/elsewhere"
    assert [r.headers["Authorization"] for r in foreign.requests] == [None]


def test_a_redirect_within_the_origins_is_sent_with_the_token(
    http_server: Callable[..., HTTPServer],
) -> None:
    other = http_server(accepts("access-1"))
    server = http_server(lambda _: Reply(302, b"", [("Location", f"{other.url}/x")]))
    with session_for(source_for(server.url, other.url)) as session:
        assert session.get(server.url).status_code == 200
    assert [r.headers["Authorization"] for r in other.requests] == [
        "Bearer access-0",
        "Bearer access-1",
    ]


# -- together ----------------------------------------------------------------------------------


def test_a_storm_costs_one_refresh_and_few_rejections(api: HTTPServer) -> None:
    """Requests that have not left when the first 401 arrives are not sent with the dead token."""
    refresher = Refresher()
    with session_for(source_for(api.url, refresher=refresher), pool_maxsize=50) as session:
        outcomes = run_together(50, lambda: session.get(api.url, timeout=20).status_code)
    assert [outcome.result() for outcome in outcomes] == [200] * 50
    assert len(refresher.calls) == 1


@pytest.mark.parametrize(
    ("when_trial_refused", "endings"), [("return", [401] * 20), ("log_out", ["trial_refused"] * 20)]
)
def test_a_refused_trial_spares_the_server_the_waiters_requests(
    http_server: Callable[..., HTTPServer], when_trial_refused: Any, endings: list[Any]
) -> None:
    """Nineteen have sent nothing; where nothing ends, they go once the trial is over."""
    refresher = Refresher()
    refresher.gate.clear()
    server = http_server(accepts("nothing"))
    source = source_for(server.url, refresher=refresher, when_trial_refused=when_trial_refused)
    with session_for(source, pool_maxsize=20) as session:
        callers = start_together(1, lambda: session.get(server.url, timeout=20))
        assert refresher.started.wait(5)
        late = start_together(19, lambda: session.get(server.url, timeout=20))
        wait_for_waiters(source, 19)
        refresher.gate.set()
        outcomes: list[Any] = callers.outcomes() + late.outcomes()
    assert [o.error.reason if o.error else o.value.status_code for o in outcomes] == endings
    assert len(server.requests) == (2 if when_trial_refused == "log_out" else 21)
    assert len(refresher.calls) == 1
