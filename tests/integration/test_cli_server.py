"""The demo's server over real HTTP, in this process and in its own."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests
import urllib3

from requests_tokenrefresh.cli.login_records import Login
from requests_tokenrefresh.cli.one_client import CLIENT_ID
from requests_tokenrefresh.cli.server import DemoServer, ServerSettings
from requests_tokenrefresh.cli.server_process import server_process
from tests.support.demo_server import demo_server
from tests.support.hostile import HOSTILE, harmful
from tests.support.logins import Clock
from tests.support.servers import reset
from tests.support.threads import wait_until


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[DemoServer]:
    with demo_server(clock=clock, token_seconds=10) as server:
        yield server


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def log_in(server: DemoServer, client: requests.Session) -> dict[str, str]:
    return client.post(f"{server.url}/login").json()


def ask(server: DemoServer, client: requests.Session, login: dict[str, str]) -> requests.Response:
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    return client.get(f"{server.url}/data", headers=headers)


def refresh(
    server: DemoServer, client: requests.Session, login: dict[str, str]
) -> requests.Response:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": login["refresh_token"],
        "client_id": CLIENT_ID,
    }
    return client.post(f"{server.url}/oauth/token", data=form)


def counts(server: DemoServer, client: requests.Session) -> Login:
    return Login(**client.get(f"{server.url}/counts").json())


def raw_exchange(server: DemoServer, request: bytes) -> bytes:
    """Send *request*, in which ``HOST`` is the server's; return what the first read gives."""
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(request.replace(b"HOST", server.url.rpartition("/")[2].encode()))
        return connection.recv(1 << 16)


def head_and_error(answer: bytes) -> tuple[bytes, object]:
    """Return the head of *answer*, and the error that its body tells as JSON."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, json.loads(body)["error"]


def test_a_good_token_gets_the_data(server, client):
    answer = ask(server, client, log_in(server, client))
    assert answer.status_code == 200
    assert answer.json() == {"message": "the token is good", "bytes_received": 0}


def test_a_post_gets_the_data_too_and_its_query_does_not_matter(server, client):
    headers = {"Authorization": f"Bearer {log_in(server, client)['access_token']}"}
    answer = client.post(f"{server.url}/data?page=2", data=b"12345", headers=headers)
    assert answer.json()["bytes_received"] == 5


def test_an_expired_token_is_answered_401_with_a_bearer_challenge(server, client, clock):
    login = log_in(server, client)
    clock.advance(10)
    answer = ask(server, client, login)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="demo", error="invalid_token"'


def test_a_request_without_a_token_is_challenged_without_an_error_code(server, client):
    answer = client.get(f"{server.url}/data")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="demo"'


def test_a_refresh_rotates_both_tokens(server, client, clock):
    login = log_in(server, client)
    clock.advance(10)
    answer = refresh(server, client, login)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["refresh_token"] != login["refresh_token"]
    assert ask(server, client, login).status_code == 401
    assert ask(server, client, answer.json()).status_code == 200
    assert counts(server, client) == Login(accepted=1, rejected=1, expiries=1, refreshes=1)


def test_a_refresh_token_that_comes_twice_revokes_the_login(server, client):
    login = log_in(server, client)
    renewed = refresh(server, client, login).json()
    answer = refresh(server, client, login)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})
    assert ask(server, client, renewed).status_code == 401
    assert refresh(server, client, renewed).status_code == 400
    assert counts(server, client) == Login(
        rejected=1, refreshes=1, refused=2, reuses=1, revoked=True
    )


def test_a_new_login_begins_new_counts(server, client):
    ask(server, client, log_in(server, client))
    log_in(server, client)
    assert counts(server, client) == Login()


def test_many_requests_take_one_connection(server):
    host, port = server.server_address[:2]
    with urllib3.HTTPConnectionPool(host, port) as pool:
        for method, path in [("POST", "/login"), ("GET", "/data"), ("GET", "/nowhere")] * 3:
            pool.request(method, path, body=b"123" if method == "POST" else None)
        assert (pool.num_connections, pool.num_requests) == (1, 9)


def test_an_answer_leaves_in_one_piece(server):
    answer = raw_exchange(server, b"GET /counts HTTP/1.1\r\nHost: HOST\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert body.endswith(b"}\n")


def test_an_unknown_path_is_404(server, client):
    answer = client.delete(f"{server.url}/data")
    assert answer.status_code == 501
    answer = client.get(f"{server.url}/nowhere")
    assert answer.status_code == 404
    assert answer.json() == {"error": "nothing answers to GET /nowhere"}


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Transfer-Encoding: chunked", b"411"),
        (b"Transfer-Encoding: gzip", b"501"),
        (b"Content-Length: -1", b"400"),
        (b"Content-Length: +5", b"400"),
        (b"Content-Length: 5\r\nContent-Length: 0", b"400"),
        (b"Content-Length: 9999999", b"413"),
        (b"Content-Length: " + b"9" * 5000, b"413"),
    ],
)
def test_a_body_that_cannot_be_read_ends_the_connection(server, header, status, capsys):
    answer = raw_exchange(server, b"POST /data HTTP/1.1\r\nHost: HOST\r\n" + header + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close" in answer
    assert capsys.readouterr().err == ""


def test_a_request_of_http_0_9_says_no_host_and_gets_nothing(server, capsys):
    answer = raw_exchange(server, b"GET /login\r\n\r\n")
    assert json.loads(answer)["error"].startswith("say one Host")
    assert capsys.readouterr().err == ""


def test_half_a_body_is_not_taken_for_a_whole_one(server, client):
    login = log_in(server, client)
    form = f"grant_type=refresh_token&client_id={CLIENT_ID}&refresh_token={login['refresh_token']}"
    head = b"POST /oauth/token HTTP/1.1\r\nHost: HOST\r\nContent-Length: 999\r\n\r\n"
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        address = server.url.rpartition("/")[2].encode()
        connection.sendall(head.replace(b"HOST", address) + form.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert counts(server, client) == Login()


def test_a_client_that_falls_silent_is_left(server, monkeypatch, capsys):
    monkeypatch.setattr(server.RequestHandlerClass, "timeout", 0.05)
    request = b"POST /data HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9\r\n\r\n1"
    assert raw_exchange(server, request) == b""
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("method", [b"GET", b"POST", b"DELETE", b"HEAD"])
def test_a_page_whose_name_means_this_machine_meanwhile_gets_nothing(server, client, method):
    """DNS rebinding: to the browser it is the page's own server, and so are its answers."""
    login = log_in(server, client)
    port = b"%d" % server.server_port
    for path in (b"/login", b"/data", b"/counts", b"/oauth/token", b"/nowhere"):
        answer = raw_exchange(
            server,
            method + b" " + path + b" HTTP/1.1\r\nHost: evil.example:" + port + b"\r\n\r\n",
        )
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"access_token" not in answer
    assert counts(server, client) == Login()  # of the login that began before
    assert ask(server, client, login).status_code == 200


def test_a_page_of_another_site_begins_no_login(server, client):
    login = log_in(server, client)
    ask(server, client, login)
    page = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = client.post(f"{server.url}/login", headers=page)
    assert answer.status_code == 403
    assert counts(server, client) == Login(accepted=1)


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /<script>\x1b[31m\xc2\x9b HTTP/1.1",
        b"<script>\x1b[31m / HTTP/1.1",
        b"GET / HTTP/<script>\x1b[31m",
        b"GET / <script>\x1b[31m\r HTTP/1.1",
        b"\x1b[31m<script>",
        b"GET http://[<script>\x1b[31m HTTP/1.1",
        b"GET //[<script>\x1b[31m HTTP/1.1",
    ],
)
def test_what_a_client_has_sent_is_repeated_in_no_page_and_no_status_line(
    server, capsys, request_line
):
    # HTTP 0.9 is answered without a head; and with a body only.
    answer = raw_exchange(server, request_line + b"\r\nHost: HOST\r\n\r\n")
    assert b"\x1b" not in answer
    assert b"text/html" not in answer
    head, _ = head_and_error(answer if answer.startswith(b"HTTP/") else b"\r\n\r\n" + answer)
    assert b"<script>" not in head
    assert capsys.readouterr() == ("", "")


def test_a_burst_of_connections_is_queued_not_dropped():
    """Nobody accepts here: a short backlog would leave most of them without an answer."""
    with DemoServer(ServerSettings()) as server:
        connections = []
        try:
            for _ in range(300):
                address = server.server_address[:2]
                connections.append(socket.create_connection(address, timeout=5))
        finally:
            for connection in connections:
                connection.close()
        assert len(connections) == 300


def test_a_client_that_hangs_up_is_no_error(client, clock, capsys):
    with demo_server(clock=clock, data_seconds=0.05) as server:
        connection = socket.create_connection(server.server_address[:2], timeout=10)
        connection.sendall(b"GET /data HTTP/1.1\r\nHost: HOST\r\n\r\n" * 2)
        reset(connection)
        client.get(f"{server.url}/data")  # a later answer: the first one has been tried by then
    assert capsys.readouterr().err == ""


def test_a_defect_of_the_server_is_shown(server, capsys):
    try:
        raise ZeroDivisionError(HOSTILE)
    except ZeroDivisionError:
        server.handle_error(None, ("127.0.0.1", 1))
    shown = capsys.readouterr().err
    assert "ZeroDivisionError" in shown
    assert "in test_a_defect_of_the_server_is_shown" in shown
    assert harmful(shown, lines=True) == set()


# -- In a process of its own ---------------------------------------------------------------------


def test_the_process_serves_until_its_block_ends(client):
    with server_process(ServerSettings(token_seconds=60)) as server:
        login = server.log_in()
        headers = {"Authorization": f"Bearer {login['access_token']}"}
        assert client.get(server.data_url, headers=headers).status_code == 200
        assert server.counts() == Login(accepted=1)
        assert login["expires_in"] == 60
    assert refuses_connections(server.url)


def test_the_process_dies_with_its_parent():
    code = """
import time
from requests_tokenrefresh.cli.server_process import server_process
from requests_tokenrefresh.cli.server import ServerSettings
with server_process(ServerSettings()) as server:
    print(server.url, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        url = parent.stdout.readline().strip()
        assert not refuses_connections(url)
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: refuses_connections(url))


def test_the_process_leaves_ctrl_c_to_its_parent(client):
    """A terminal sends it to both; the child has to live until the parent has read its counts."""
    code = "import sys; from requests_tokenrefresh.cli import server; server.main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "{}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        url = process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        assert client.get(f"{url}/counts").status_code == 200
    assert process.returncode == 0


def test_a_process_that_does_not_start_is_an_error(capfd):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ServerSettings(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="did not start"), server_process(settings):
            raise AssertionError("it cannot have started")
    assert os.strerror(errno.EADDRINUSE) in capfd.readouterr().err


def refuses_connections(url: str) -> bool:
    host, _, port = url.rpartition("/")[2].partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionError:  # reset, if the listener went away in between
        return True
    return False
