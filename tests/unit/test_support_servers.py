"""The servers and threads the other tests rely on."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import requests
from urllib3.exceptions import ProtocolError

from tests.support.servers import HTTPServer, RawServer, Reply, read_request, reset
from tests.support.threads import run_together, start_together, wait_until


def echo(request):
    return Reply(body=request.body)


def test_a_session_keeps_its_connection_over_unread_bodies(http_server):
    server = http_server(lambda _: Reply(401))
    with requests.Session() as session:
        for body in (b"x" * 100_000, iter([b"chunk", b"ed"]), b""):
            assert session.post(f"{server.url}/a?b=c", data=body).status_code == 401
    assert server.connections == 1
    assert [r.number for r in server.requests] == [1, 2, 3]
    assert [r.body for r in server.requests] == [b"x" * 100_000, b"chunked", b""]
    assert {(r.method, r.path, r.connection) for r in server.requests} == {("POST", "/a?b=c", 1)}


def test_request_headers_ignore_case_and_keep_every_value(raw_server, http_server):
    server = http_server(echo)
    with socket.create_connection(server.url[7:].split(":")) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\n\r\n")
        while client.recv(4096):
            pass
    [request] = server.requests
    assert request.headers["x-A"] == "1"
    assert request.headers.get_all("X-a") == ["1", "2"]
    assert request.headers["absent"] is None


def test_a_reply_can_stream_in_chunks_or_with_a_length(http_server):
    def handler(request):
        headers = [("Content-Length", "4")] if request.path == "/sized" else []
        return Reply(body=iter([b"ab", b"", b"cd"]), headers=headers)

    server = http_server(handler)
    with requests.Session() as session:
        sized, chunked = session.get(f"{server.url}/sized"), session.get(f"{server.url}/chunked")
    assert sized.content == chunked.content == b"abcd"
    assert sized.headers["Content-Length"] == "4"
    assert chunked.headers["Transfer-Encoding"] == "chunked"
    assert server.connections == 1


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
@pytest.mark.parametrize("body", [b"body", [b"bo", b"dy"]], ids=["whole", "streamed"])
def test_an_answer_without_a_body_keeps_the_connection(http_server, method, status, body):
    server = http_server(lambda _: Reply(status, body))
    with requests.Session() as session:
        assert session.request(method, server.url).content == b""
        assert session.request(method, server.url).status_code == status
    assert server.connections == 1


def test_a_reply_can_close_its_connection(http_server):
    server = http_server(lambda _: Reply(419, close=True))
    with requests.Session() as session:
        for _ in range(2):
            answer = session.get(server.url)
            assert (answer.status_code, answer.headers["Connection"]) == (419, "close")
    assert [r.connection for r in server.requests] == [1, 2]


def test_a_json_reply_names_its_type(http_server):
    server = http_server(lambda _: Reply.json({"a": 1}, 400))
    answer = requests.get(server.url)
    assert (answer.status_code, answer.json()) == (400, {"a": 1})
    assert answer.headers["Content-Type"] == "application/json"


def test_a_handler_can_hang_up_without_an_answer(http_server):
    server = http_server(lambda _: None)
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "rest", [b"Content-Length: 5\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_a_request_that_breaks_off_is_not_recorded(http_server, rest):
    server = http_server(echo)
    with socket.create_connection(server.url[7:].split(":")) as client:
        client.sendall(b"POST / HTTP/1.1\r\n" + rest)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert server.requests == []


def test_small_answers_meet_no_delayed_acknowledgement(http_server):
    server = http_server(echo)
    with requests.Session() as session:
        taken = []
        for _ in range(40):
            start = time.monotonic()
            session.post(server.url, data=b"x")
            taken.append(time.monotonic() - start)
    # On Linux each of the later ones would take 40 ms; without, most take one.
    assert min(taken[20:]) < 0.03


def test_five_hundred_threads_connect_at_once(http_server):
    server = http_server(echo)

    def call():
        with socket.create_connection(server.url[7:].split(":"), timeout=20) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return client.recv(12)

    assert {outcome.result() for outcome in run_together(500, call)} == {b"HTTP/1.1 200"}
    assert server.connections == len(server.requests) == 500


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost", "::1"])
def test_a_server_listens_where_it_is_told(http_server, host):
    try:
        server = http_server(echo, host=host)
    except OSError as error:
        pytest.skip(f"this machine has no {host}: {error}")
    assert requests.post(server.url, data=b"here").content == b"here"


def test_closing_is_quick_and_leaves_no_thread_with_connections_still_open():
    before = set(threading.enumerate())
    with HTTPServer(echo) as server, requests.Session() as session:
        session.get(server.url)
        with socket.create_connection(server.url[7:].split(":")):
            wait_until(lambda: server.connections == 2)
            start = time.monotonic()
            server.close()
            assert time.monotonic() - start < 5  # 10 ms on an idle machine
    assert set(threading.enumerate()) <= before
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url)


def test_a_script_can_answer_garbage(raw_server):
    def script(connection):
        assert read_request(connection).body == b"body"
        connection.sendall(b"SMTP ready\r\n\r\n")

    server = raw_server(script)
    with pytest.raises(requests.ConnectionError):
        requests.post(server.url, data=b"body")
    assert server.accepted == 1


def test_a_script_can_truncate_its_answer(raw_server):
    def script(connection):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    with requests.get(raw_server(script).url, stream=True) as answer:
        answer.raw.enforce_content_length = True
        with pytest.raises(ProtocolError, match="4 bytes read, 5 more"):
            answer.raw.read()


def test_a_script_can_reset_its_connection(raw_server):
    def script(connection):
        read_request(connection)
        reset(connection)

    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        requests.get(raw_server(script).url)


def test_a_client_that_sends_nothing_ends_a_script_quietly():
    asked = threading.Event()

    def script(connection):
        asked.set()
        read_request(connection)
        pytest.fail("there was no request to read")

    with RawServer(script) as server:
        socket.create_connection(server.url[7:].split(":")).close()
        assert asked.wait(5)


def test_callers_run_at_the_same_time_and_report_each_end():
    everyone = threading.Barrier(3)

    def call():
        return everyone.wait(5)

    assert sorted(o.result() for o in run_together(3, call)) == [0, 1, 2]


def test_a_callers_exception_is_kept_for_it():
    def interrupt():
        raise KeyboardInterrupt

    [outcome] = run_together(1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        outcome.result()


def test_callers_that_hang_fail_the_test_with_their_stacks():
    gate = threading.Event()

    def wait_at_the_gate():
        gate.wait()

    callers = start_together(2, wait_at_the_gate)
    with pytest.raises(AssertionError, match=r"2 of 2 calls(?s:.*)wait_at_the_gate"):
        callers.outcomes(timeout=0.01)
    assert callers.running == 2
    gate.set()
    assert [o.error for o in callers.outcomes()] == [None, None]


def test_waiting_for_what_does_not_come_fails_the_test():
    with pytest.raises(AssertionError, match="never_true"):
        wait_until(never_true, timeout=0.01)


def never_true():
    return False
