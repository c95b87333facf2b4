"""Token endpoints that misbehave below HTTP, and what the environment adds to a request."""

from __future__ import annotations

import errno
import functools
import gzip
import multiprocessing
import re
import socket
import ssl
import threading
import time
import traceback
import tracemalloc
import zlib
from base64 import b64decode
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from requests.auth import HTTPDigestAuth
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import IncompleteRead, ProtocolError

from requests_tokenrefresh import mount
from requests_tokenrefresh._errors import InsecureTransportError, RefreshFailedError
from requests_tokenrefresh._token import Token
from requests_tokenrefresh.refreshers import ClientCredentialsGrant, RefreshTokenGrant
from requests_tokenrefresh.refreshers._early import refreshing
from tests.support.logins import Clock, make_source
from tests.support.servers import Reply, read_request, reset
from tests.support.threads import run_together, wait_until

REFRESH_TOKEN = "rt-5f2d9c1b7a3e"
API_KEY = "k-77c0ffee42"
SECRETS = (REFRESH_TOKEN, API_KEY)
OLD = Token("old-access-token", REFRESH_TOKEN)
BODY = b'{"access_token": "new-access-token"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ANSWER = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY

DEADLINE = 0.4  # seconds, in which a busy machine connects
NOT_IN_TIME = f"no complete answer within {DEADLINE} s"
LONG_PAST_IT = 10.0


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No proxies, bundles or netrc of whoever runs the tests."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    wait_until(lambda: not exchanges())


def exchanges():
    return [t for t in threading.enumerate() if t.name == "token-endpoint-exchange"]


def grant(server, **arguments):
    return RefreshTokenGrant(f"{server.url}/token?key={API_KEY}", **arguments)


def failure(refresher):
    with pytest.raises(RefreshFailedError) as caught:
        refresher(OLD)
    # As tools show it that add the variables of every frame.
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert not any(secret in line for line in shown.format() for secret in SECRETS)
    return caught.value


def answers(answer):
    """A script that reads the request, sends *answer*, and ends it by hanging up."""

    def script(connection):
        read_request(connection)
        connection.sendall(answer)

    return script


# -- The deadline ---------------------------------------------------------------------------------


def drip(connection, data, until):
    """Send *data* a byte at a time, for ever repeating its last one until the time *until*."""
    sent = 0
    while time.monotonic() < until:
        connection.sendall(data[sent : sent + 1] or data[-1:])
        sent += 1
        time.sleep(0.01)


def drips_headers(connection, until):
    drip(connection, b"HTTP/1.1 200 OK\r\nX: y", until)
    connection.sendall(ANSWER[len(b"HTTP/1.1 200 OK") :])


def drips_a_body(connection, until):
    connection.sendall(HEAD + b"Connection: close\r\n\r\n")
    drip(connection, b" ", until)
    connection.sendall(BODY)


def drips_chunks(connection, until):
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while time.monotonic() < until:
        connection.sendall(b"1\r\n \r\n")
        time.sleep(0.01)
    connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))


def says_nothing(connection, until):
    connection.settimeout(until - time.monotonic())
    assert connection.recv(1) == b"", "the client sent something more"
    raise ConnectionError


@pytest.mark.parametrize(
    "misbehave",
    [drips_headers, drips_a_body, drips_chunks, says_nothing],
)
def test_a_server_that_is_slow_for_ever_is_cut_at_the_deadline(raw_server, misbehave):
    """Each would end well at last, and no single wait comes near a socket's timeout."""
    hung_up = threading.Event()

    def script(connection):
        try:
            read_request(connection)  # on a very busy machine it hangs up before that
            misbehave(connection, time.monotonic() + LONG_PAST_IT)
        except ConnectionError:
            hung_up.set()

    server = raw_server(script)
    error = failure(grant(server, deadline=DEADLINE))
    assert str(error) == (
        f"the exchange with the token endpoint {server.url}/token failed "
        f"(Timeout: {NOT_IN_TIME}); try again later"
    )
    assert isinstance(error.__cause__, requests.Timeout)
    assert hung_up.wait(LONG_PAST_IT)
    assert server.accepted == 1


def test_what_is_no_header_is_in_no_log(raw_server, caplog):
    """urllib3 would write it there."""

    def repeat(connection: socket.socket) -> None:
        sent = connection.recv(65536).rpartition(b"\r\n")[2]
        head = b"HTTP/1.1 400 Bad Request\r\nno header " + sent + b"\r\nX: y\r\n" + sent
        connection.sendall(head + b"\r\n\r\n")

    caplog.set_level("DEBUG", "urllib3")
    with pytest.raises(RefreshFailedError, match="answered 400"):
        RefreshTokenGrant(raw_server(repeat).url)(OLD)
    assert REFRESH_TOKEN not in caplog.text


def test_a_server_that_hurries_for_ever_is_cut_at_the_deadline(raw_server):
    """So many interim answers (RFC 9110 section 15.2) never leave anything to wait for.

    Newer Pythons count them, and end it long before.
    """

    def script(connection):
        read_request(connection)
        until = time.monotonic() + LONG_PAST_IT
        while time.monotonic() < until:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
        connection.sendall(ANSWER)

    server = raw_server(script)
    told = str(failure(grant(server, deadline=DEADLINE)))
    assert NOT_IN_TIME in told or "interim responses" in told
    wait_until(lambda: not exchanges(), timeout=LONG_PAST_IT / 2)


def test_a_name_that_resolves_after_the_deadline_is_sent_nothing(http_server, monkeypatch):
    """It would rotate the token, with nobody there to receive the new one."""
    server = http_server(lambda _: Reply(body=BODY))
    resolve, resolver = socket.getaddrinfo, threading.Event()

    def slow_resolver(*args, **kwargs):
        assert resolver.wait(10)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow_resolver)
    assert NOT_IN_TIME in str(failure(grant(server, deadline=DEADLINE)))
    assert len(exchanges()) == 1
    resolver.set()
    wait_until(lambda: not exchanges())
    wait_until(lambda: server.connections == 1)
    server.close()
    assert server.requests == []


def test_an_interrupt_cuts_the_exchange(raw_server, monkeypatch):
    asked, hung_up = threading.Event(), threading.Event()

    def script(connection):
        read_request(connection)
        asked.set()
        assert connection.recv(1) == b""
        hung_up.set()

    def interrupt(*_):
        assert asked.wait(5)
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        grant(raw_server(script))(OLD)
    assert hung_up.wait(5)


def test_a_single_wait_has_a_timeout_of_its_own(raw_server):
    gate = threading.Event()

    def script(connection):
        read_request(connection)
        gate.wait(10)

    server = raw_server(script)
    error = failure(grant(server, timeout=(5.0, 0.1)))
    gate.set()
    assert "ReadTimeoutError" in str(error)
    assert server.accepted == 1


# -- Broken connections ---------------------------------------------------------------------------


def test_a_refused_connection_is_transient():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(RefreshTokenGrant(f"http://127.0.0.1:{port}/token?key={API_KEY}"))
    assert f"http://127.0.0.1:{port}/token failed (NewConnectionError: " in str(error)


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
NOTHING = b""
HALF_A_BODY = HEAD + b"Content-Length: 100\r\n\r\n" + BODY
HALF_A_CHUNK = CHUNKED + b"%x\r\n%b" % (len(BODY) + 1, BODY)
NO_LAST_CHUNK = CHUNKED + b"%x\r\n%b\r\n" % (len(BODY), BODY)


def resets(connection):
    read_request(connection)
    reset(connection)


LOST = {
    "a reset": resets,
    "no answer": answers(NOTHING),
    "half a body": answers(HALF_A_BODY),
    "half a chunk": answers(HALF_A_CHUNK),
    "no last chunk": answers(NO_LAST_CHUNK),
    "a chunk of no size": answers(CHUNKED + b"zz\r\n"),
}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_a_lost_answer_is_asked_for_once_more_at_once(raw_server, lose):
    """The server may have rotated the token, and may honour the old one for a few seconds more."""
    scripts = [lose, answers(ANSWER)]
    server = raw_server(lambda connection: scripts.pop(0)(connection))
    assert grant(server)(OLD).access_token == "new-access-token"
    assert server.accepted == 2


class HalfReadError(IncompleteRead, ProtocolError):
    """As urllib3-future has it: nothing is wrapped around it."""


CLOSED = ProtocolError("Remote end closed connection without response")
CLOSED.__cause__ = ConnectionResetError()  # as well; not among its arguments


@pytest.mark.parametrize("lost", [CLOSED, HalfReadError(1, 2)], ids=repr)
def test_an_answer_is_known_to_be_lost_on_urllib3_future(http_server, monkeypatch, lost):
    ways = [lost]
    urlopen = HTTPConnectionPool.urlopen

    def lose_once(*args, **kwargs):
        if ways:
            raise ways.pop()
        return urlopen(*args, **kwargs)

    monkeypatch.setattr(HTTPConnectionPool, "urlopen", lose_once)
    server = http_server(lambda _: Reply.json({"access_token": "new-access-token"}))
    assert grant(server)(OLD).access_token == "new-access-token"
    assert not ways


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_an_answer_that_is_lost_twice_is_transient(raw_server, lose):
    server = raw_server(lose)
    assert re.search(r"\((ProtocolError|InvalidChunkLength): ", str(failure(grant(server))))
    assert server.accepted == 2


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_an_early_refresh_asks_once(raw_server, lose):
    """Its token still works, so nobody has to send the old refresh token again at once."""
    server = raw_server(lose)
    with refreshing(early=True):
        failure(grant(server))
    assert server.accepted == 1


def test_the_source_tells_its_refresher_of_an_early_refresh(raw_server):
    """Also where the grant is called by a function of the user's own."""
    server, clock = raw_server(resets), Clock()
    own = grant(server)
    source = make_source(lambda token: own(token), clock=clock, random=lambda: 0.0)
    clock.advance(3600 - 100)
    assert source.token().access_token == "access-0"
    assert server.accepted == 1
    clock.advance(100)
    with pytest.raises(RefreshFailedError):
        source.token()
    assert server.accepted == 3


def test_both_attempts_share_the_deadline(raw_server):
    """The second is cut in the middle of its answer."""
    gate = threading.Event()

    def is_slow(connection):
        read_request(connection)
        gate.wait(LONG_PAST_IT)

    scripts = [resets, is_slow]
    server = raw_server(lambda connection: scripts.pop(0)(connection))
    started = time.monotonic()
    assert NOT_IN_TIME in str(failure(grant(server, deadline=DEADLINE)))
    assert time.monotonic() - started < LONG_PAST_IT / 2
    gate.set()
    assert server.accepted == 2


@pytest.fixture
def connects(monkeypatch):
    """Count the connections that are tried; the first ones fail as they are told to."""
    tried, failures = [], []
    create = urllib3.util.connection.create_connection

    def connect(address, *args, **kwargs):
        tried.append(address)
        if failures:
            raise failures.pop(0)
        return create(address, *args, **kwargs)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", connect)
    return tried, failures


NOBODY_THERE = {
    "refused": ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    "unreachable": OSError(errno.EHOSTUNREACH, "No route to host"),
    "no such name": socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
}


@pytest.mark.parametrize("problem", NOBODY_THERE.values(), ids=NOBODY_THERE)
def test_who_cannot_be_reached_is_tried_once_more_at_once(raw_server, connects, problem):
    tried, failures = connects
    server = raw_server(answers(ANSWER))
    failures.append(problem)
    assert grant(server)(OLD).access_token == "new-access-token"
    assert (len(tried), server.accepted) == (2, 1)


@pytest.mark.parametrize(
    "problem", [TimeoutError("timed out"), TimeoutError(errno.ETIMEDOUT, "Connection timed out")]
)
def test_who_takes_too_long_to_answer_the_phone_is_not(raw_server, connects, problem):
    tried, failures = connects
    failures.append(problem)
    failure(grant(raw_server(answers(ANSWER))))
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (HEAD, "an empty body"),
        (b"220 smtp.example.com ESMTP\r\n", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "LineTooLong"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "got more than 100 headers"),
        (HEAD + b"Content-Encoding: gzip\r\n\r\nplain", "DecodeError"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nplain", "InvalidHeader"),
    ],
)
def test_an_answer_that_is_none_is_transient_and_not_lost(raw_server, answer, cause):
    server = raw_server(answers(answer))
    assert cause in str(failure(grant(server)))
    assert server.accepted == 1


def test_the_connection_is_closed_after_the_answer(raw_server):
    closed = threading.Event()

    def script(connection):
        read_request(connection)
        connection.sendall(ANSWER)
        assert connection.recv(1) == b""
        closed.set()

    assert grant(raw_server(script))(OLD).access_token == "new-access-token"
    assert closed.wait(5)


# -- Size -----------------------------------------------------------------------------------------

LIMIT = 1024 * 1024


def padded(size):
    return BODY + b" " * (size - len(BODY))


@pytest.mark.parametrize("framing", ["whole", "chunked"])
def test_a_gigabyte_is_cut_at_the_bound(http_server, framing):
    piece, sent = b" " * LIMIT, []

    def gigabyte():
        for _ in range(1024):
            yield piece
            sent.append(len(piece))

    headers = [("Content-Length", str(1024 * LIMIT))] if framing == "whole" else []
    server = http_server(lambda _: Reply(body=gigabyte(), headers=headers))
    assert "the reply is larger than 1048576 bytes" in str(failure(grant(server)))
    server.close()
    assert sum(sent) < 64 * LIMIT  # what the sockets' buffers took


@functools.cache
def bomb():
    """A hundred kilobytes, which unpack to a hundred megabytes."""
    packer = zlib.compressobj(wbits=31)
    zeros = bytes(LIMIT)
    return b"".join(packer.compress(zeros) for _ in range(100)) + packer.flush()


def bomb_in_a_bomb():
    return gzip.compress(bomb())


@pytest.mark.parametrize(
    ("encoding", "make_body"),
    [
        ("gzip", bomb),
        ("gzip, gzip", bomb_in_a_bomb),
        ("gzip", lambda: gzip.compress(b"") * (LIMIT // 20 + 1)),
        ("gzip", lambda: gzip.compress(padded(LIMIT + 1))),
        ("identity", lambda: padded(LIMIT + 1)),
    ],
    ids=["bomb", "bomb in a bomb", "nothing at length", "just over", "just over, plain"],
)
def test_the_bound_counts_before_and_after_decompression(http_server, encoding, make_body):
    body = make_body()
    server = http_server(lambda _: Reply(body=body, headers=[("Content-Encoding", encoding)]))
    assert "the reply is larger than 1048576 bytes" in str(failure(grant(server)))


@pytest.mark.parametrize(
    ("encoding", "make_body"), [("gzip", bomb), ("gzip, gzip", bomb_in_a_bomb)]
)
def test_what_is_too_large_is_not_unpacked_first(http_server, encoding, make_body):
    body = make_body()
    server = http_server(lambda _: Reply(body=body, headers=[("Content-Encoding", encoding)]))
    tracemalloc.start()
    try:
        failure(grant(server))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50 * LIMIT


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
        ("identity", bytes),
    ],
)
def test_a_reply_as_large_as_the_bound_is_read(http_server, encoding, pack):
    body = pack(padded(LIMIT))
    server = http_server(lambda _: Reply(body=body, headers=[("Content-Encoding", encoding)]))
    assert grant(server)(OLD).access_token == "new-access-token"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WWW-Authenticate", "Bearer " + "a=b, " * 12_000),
        ("Set-Cookie", "a=b; " + "c=d; " * 12_000),
        ("Content-Type", "a/b; " + "c=d; " * 12_000),
        ("Content-Encoding", "," * 60_000),
        ("Location", "https://a/" + "%a" * 30_000),
        ("Retry-After", "9" * 60_000),
        ("Date", "1:" * 30_000),
        ("X" * 50_000, "y" * 10_000),
    ],
    ids=lambda text: text[:16],
)
@pytest.mark.parametrize("status", [200, 302])
def test_a_head_of_six_megabytes_is_not_looked_at(raw_server, name, value, status):
    """As many lines as http.client takes, each as long as it takes; some took minutes."""
    line = f"{name}: {value}\r\n".encode()

    def script(connection):
        read_request(connection)
        connection.sendall(f"HTTP/1.1 {status} X\r\n".encode() + line * 97 + b"\r\n" + BODY)

    error = failure(grant(raw_server(script)))
    assert "the reply's head is larger than 65536 bytes" in str(error)


@pytest.mark.parametrize("length", [64 * 1024 - 100, 64 * 1024 + 1])
def test_a_head_is_read_up_to_64_kib(raw_server, length):
    lines = [b"X-%04d: " % number + b"y" * 1016 for number in range(length // 1024)]

    def script(connection):
        read_request(connection)
        rest = b"Z: " + b"z" * (length - sum(len(line) - 2 for line in lines) - 1)
        head = b"\r\n".join([b"HTTP/1.1 200 OK", *lines, rest])
        connection.sendall(head + b"\r\n\r\n" + BODY)

    refresher = grant(raw_server(script))
    if length > 64 * 1024:
        assert "the reply's head is larger" in str(failure(refresher))
    else:
        assert refresher(OLD).access_token == "new-access-token"


@pytest.mark.parametrize("codings", ["identity, " * 5, ", ,identity,, " * 5, " ,, "])
def test_what_is_packed_five_times_is_unpacked(http_server, codings):
    server = http_server(lambda _: Reply(body=BODY, headers=[("Content-Encoding", codings)]))
    assert grant(server)(OLD).access_token == "new-access-token"


@pytest.mark.parametrize("codings", ["identity, " * 6, "gzip, " * 9_000, "a, , b" * 9_000])
def test_what_is_packed_more_often_is_not_unpacked(http_server, codings):
    server = http_server(lambda _: Reply(body=BODY, headers=[("Content-Encoding", codings)]))
    error = str(failure(grant(server)))
    assert "packed more than 5 times" in error or "Too many content encodings" in error


def test_the_bound_can_be_another(http_server):
    server = http_server(lambda _: Reply(body=padded(101)))
    assert "larger than 100 bytes" in str(failure(grant(server, max_reply_bytes=100)))
    assert grant(server, max_reply_bytes=101)(OLD).access_token == "new-access-token"


# -- Where it goes --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_carries_nothing_elsewhere(http_server, status):
    elsewhere = http_server(lambda _: Reply(body=BODY))
    headers = [("Location", f"{elsewhere.url}/token?x=1")]
    server = http_server(lambda _: Reply(status, headers=headers))
    error = failure(grant(server))
    assert f"answered {status} (a redirect to {elsewhere.url}/token, not" in str(error)
    assert (len(server.requests), elsewhere.connections) == (1, 0)


def test_a_redirect_that_cannot_be_read_says_so(http_server):
    server = http_server(lambda _: Reply(307, headers=[("Location", "http://\xff\xfe[")]))
    assert "(a redirect to nowhere)" in str(failure(grant(server)))


@pytest.mark.parametrize("secret", [None, "client-secret"])
def test_netrc_does_not_overwrite_the_client(http_server, tmp_path, secret):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login netrc password netrc\n")
    server = http_server(lambda _: Reply(body=BODY))
    assert requests.post(server.url).request.headers["Authorization"]  # it would, otherwise
    grant(server, client_id="reports", client_secret=secret)(OLD)
    authorization = server.requests[-1].headers["Authorization"]
    if secret is None:
        assert authorization is None
    else:
        assert b64decode(authorization.removeprefix("Basic ")) == b"reports:client-secret"


def test_the_environments_proxy_counts(raw_server, environment):
    asked = []

    def script(connection):
        asked.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 502 No\r\n\r\n")

    environment.setenv("https_proxy", raw_server(script).url)
    error = failure(RefreshTokenGrant("https://auth.example.test/token"))
    assert "(ProxyError: " in str(error)
    assert "; check proxies= and the environment's HTTPS_PROXY and NO_PROXY: " in str(error)
    assert "later" not in str(error)
    [request] = asked
    assert request.startswith(b"CONNECT auth.example.test:443 ")


def test_plain_http_does_not_leave_the_machine_through_the_environments_proxy(
    http_server, environment
):
    proxy = http_server(lambda _: Reply(502))
    environment.setenv("http_proxy", proxy.url)
    server = http_server(lambda _: Reply(body=BODY))
    assert grant(server)(OLD).access_token == "new-access-token"
    assert proxy.connections == 0


@pytest.mark.parametrize("key", ["all", "http", "http://{}", "all://{}"])
def test_nor_where_an_auth_has_set_another_url(http_server, key):
    """What proxies= has is for the URL that the grant was made with."""
    proxy, server = (http_server(lambda _: Reply(502)) for _ in range(2))

    def auth(request):
        request.url = f"{server.url}/token"
        return request

    proxies = {key.format("127.0.0.1"): proxy.url, "https": proxy.url}
    refresher = RefreshTokenGrant("https://auth.example.test/token", auth=auth, proxies=proxies)
    with pytest.raises(InsecureTransportError, match="leave that out of proxies=, or use https"):
        refresher(OLD)
    assert (proxy.connections, server.connections) == (0, 0)


def test_a_proxy_that_was_asked_for_is_used(raw_server):
    asked = []

    def script(connection):
        asked.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 502 No\r\n\r\n")

    proxies = {"https": raw_server(script).url}
    failure(RefreshTokenGrant("https://auth.example.test/token", proxies=proxies))
    [request] = asked
    assert request.startswith(b"CONNECT auth.example.test:443 ")


def test_a_proxy_that_nobody_can_reach_is_tried_once_more(connects):
    tried, failures = connects
    failures += [ConnectionRefusedError(), ConnectionRefusedError()]
    proxies = {"https": "http://127.0.0.1:1"}
    error = failure(RefreshTokenGrant("https://auth.example.test/token", proxies=proxies))
    assert "; check proxies= and " in str(error)
    assert tried == [("127.0.0.1", 1)] * 2


def test_a_proxy_that_is_slow_for_ever_is_cut_at_the_deadline(raw_server, environment):
    hung_up = threading.Event()

    def script(connection):
        connection.recv(4096)
        try:
            drip(connection, b"H", time.monotonic() + LONG_PAST_IT)
        except ConnectionError:
            hung_up.set()

    environment.setenv("https_proxy", raw_server(script).url)
    refresher = RefreshTokenGrant("https://auth.example.test/token", deadline=DEADLINE)
    assert NOT_IN_TIME in str(failure(refresher))
    assert hung_up.wait(LONG_PAST_IT)


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The paths of a certificate for localhost, good for servers and clients, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = [tmp_path_factory.mktemp("tls") / name for name in ("cert.pem", "key.pem")]
    paths[0].write_bytes(signed.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(paths[0]), str(paths[1])


@pytest.fixture
def tls_server(raw_server, certificate):
    """Start a server of one script for each TLS connection; returns its https URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(certificate[0])

    def start(script, verify_mode=ssl.CERT_NONE):
        context.verify_mode = verify_mode

        def secured(connection):
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    script(tls)
            except ssl.SSLError as error:
                raise ConnectionError from error

        return raw_server(secured).url.replace("http://127.0.0.1", "https://localhost")

    return start


def test_a_certificate_that_nobody_knows_names_the_argument_that_helps(
    tls_server, certificate, http_server
):
    """The session's own bundle knows it, and is not asked."""
    api = http_server(lambda _: Reply(401))
    session = requests.Session()
    session.verify = certificate[0]
    source = make_source(
        RefreshTokenGrant(tls_server(answers(ANSWER))), origins=[api.url], clock=time.time
    )
    mount(session, source)
    with pytest.raises(RefreshFailedError) as caught:
        session.get(api.url)
    told = str(caught.value)
    assert "CERTIFICATE_VERIFY_FAILED" in told
    assert "; pass verify= with the CA bundle that its certificate is signed by, or cert= " in told
    assert "what your session has for verify and cert does not count here" in told
    assert "later" not in told


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["http", "none"])
def test_a_server_that_speaks_no_tls_is_not_told_to_need_a_certificate(raw_server, answer):
    def say(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    url = raw_server(say).url.replace("http:", "https:")
    with pytest.raises(RefreshFailedError) as caught:
        RefreshTokenGrant(url)(OLD)
    assert "the server does not seem to speak TLS there: check the URL" in str(caught.value)
    assert "verify=" not in str(caught.value)


@pytest.mark.parametrize("arguments", [{"verify": "/no/such/bundle"}, {"cert": "/no/such/cert"}])
def test_so_does_a_bundle_or_a_certificate_that_is_not_there(arguments):
    told = str(failure(RefreshTokenGrant("https://127.0.0.1:1/token", **arguments)))
    assert "; pass verify= " in told
    assert "later" not in told


def test_the_environments_ca_bundle_counts(tls_server, certificate, environment):
    url = tls_server(answers(ANSWER))
    assert "(SSLError: " in str(failure(RefreshTokenGrant(url)))
    environment.setenv("REQUESTS_CA_BUNDLE", certificate[0])
    assert RefreshTokenGrant(url)(OLD).access_token == "new-access-token"


def test_verify_names_a_ca_bundle(tls_server, certificate):
    url = tls_server(answers(ANSWER))
    assert RefreshTokenGrant(url, verify=certificate[0])(OLD).access_token == "new-access-token"


def test_cert_is_shown_to_a_server_that_asks_for_one(tls_server, certificate):
    """Mutual TLS (RFC 8705)."""
    shown = []

    def script(connection):
        read_request(connection)
        shown.append(connection.getpeercert(binary_form=True))
        connection.sendall(ANSWER)

    url = tls_server(script, verify_mode=ssl.CERT_REQUIRED)
    login = ClientCredentialsGrant(
        url, client_id="reports", cert=certificate, verify=certificate[0]
    )
    assert login().access_token == "new-access-token"
    assert shown == [ssl.PEM_cert_to_DER_cert(Path(certificate[0]).read_text())]


@pytest.mark.parametrize("misbehave", [drips_headers, drips_a_body])
def test_a_tls_server_that_is_slow_for_ever_is_cut_at_the_deadline(
    tls_server, certificate, misbehave
):
    hung_up = threading.Event()

    def script(connection):
        read_request(connection)
        try:
            misbehave(connection, time.monotonic() + LONG_PAST_IT)
        except OSError:
            hung_up.set()

    refresher = RefreshTokenGrant(tls_server(script), verify=certificate[0], deadline=DEADLINE)
    assert NOT_IN_TIME in str(failure(refresher))
    assert hung_up.wait(LONG_PAST_IT)


def test_a_tls_handshake_that_never_ends_is_cut_at_the_deadline(raw_server):
    hung_up = threading.Event()

    def script(connection):
        while connection.recv(4096):
            pass
        hung_up.set()

    url = raw_server(script).url.replace("http:", "https:")
    assert "no complete answer" in str(failure(RefreshTokenGrant(url, deadline=DEADLINE)))
    assert hung_up.wait(LONG_PAST_IT)


# -- Who asks -------------------------------------------------------------------------------------


def digest_server(http_server, challenge_body=b""):
    def handler(request):
        if (request.headers["Authorization"] or "").startswith("Digest "):
            return Reply(body=BODY)
        challenge = ("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')
        return Reply(401, challenge_body, [challenge])

    return http_server(handler)


def test_digest_authentication_asks_twice(http_server):
    """Its first request is refused unread: only the second one is the attempt."""
    server = digest_server(http_server)
    refresher = ClientCredentialsGrant(f"{server.url}/token", auth=HTTPDigestAuth("id", "secret"))
    assert refresher().access_token == "new-access-token"
    assert [request.body for request in server.requests] == [b"grant_type=client_credentials"] * 2


def test_a_challenge_is_bounded_like_any_reply(http_server):
    server = digest_server(http_server, challenge_body=padded(LIMIT + 1))
    refresher = ClientCredentialsGrant(f"{server.url}/token", auth=HTTPDigestAuth("id", "secret"))
    assert "larger than 1048576 bytes" in str(failure(refresher))
    assert len(server.requests) == 1


def test_one_grant_serves_many_threads(http_server):
    server = http_server(lambda request: Reply(body=BODY))
    shared = grant(server, client_id="reports", client_secret="secret")
    outcomes = run_together(16, lambda: shared(OLD))
    assert [outcome.result().refresh_token for outcome in outcomes] == [REFRESH_TOKEN] * 16
    assert (len(server.requests), server.connections) == (16, 16)


def refresh_into(results, refresher):
    results.send(refresher(OLD).access_token)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_during_an_exchange_can_refresh(http_server):
    asked, gate = threading.Event(), threading.Event()

    def handler(request):
        if request.number == 1:
            asked.set()
            assert gate.wait(10)
        return Reply(body=BODY)

    shared = grant(http_server(handler))
    thread = threading.Thread(target=shared, args=(OLD,))
    thread.start()
    assert asked.wait(5)
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    with receiver, sender:
        child = fork.Process(target=refresh_into, args=(sender, shared))
        child.start()
        try:
            assert receiver.poll(10)
            assert receiver.recv() == "new-access-token"
        finally:
            gate.set()
            child.join(10)
            thread.join(10)
    assert child.exitcode == 0


def test_where_no_thread_can_be_started_the_exchange_goes_without(http_server, no_more_threads):
    server = http_server(lambda request: Reply(body=BODY))
    no_more_threads()
    assert grant(server)(OLD).access_token == "new-access-token"
    assert len(server.requests) == 1


def test_where_no_thread_can_be_started_a_failure_is_told_as_ever(http_server, no_more_threads):
    server = http_server(lambda request: None)
    no_more_threads()
    assert "closed connection without response" in str(failure(grant(server)))
    assert len(server.requests) == 2


def test_an_interrupt_as_soon_as_the_exchange_has_begun_ends_it(http_server, monkeypatch):
    asked, hung_up = threading.Event(), threading.Event()

    def handler(request):
        asked.set()
        assert hung_up.wait(LONG_PAST_IT)

    server = http_server(handler)
    start = threading.Thread.start

    def start_and_interrupt(thread):
        start(thread)
        if thread.name == "token-endpoint-exchange":
            assert asked.wait(5)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        grant(server)(OLD)
    wait_until(lambda: not exchanges())
    hung_up.set()
