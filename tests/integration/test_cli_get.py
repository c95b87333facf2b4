"""`get`: one request with the stored login, over real HTTP."""

import base64
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from click.testing import Result

from requests_tokenrefresh import FileTokenStore, Token
from requests_tokenrefresh.cli.command import command
from requests_tokenrefresh.cli.one_client import CLIENT_ID
from requests_tokenrefresh.cli.server import DemoServer
from tests.support.cli_runner import cli_runner
from tests.support.demo_server import demo_server
from tests.support.logins import Clock
from tests.support.servers import HTTPServer, Received, Reply, read_request

NOWHERE = "http://127.0.0.1:1"  # nobody may listen there
PROGRAM = [sys.executable, "-m", "requests_tokenrefresh"]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[DemoServer]:
    with demo_server(clock=clock, token_seconds=10) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> FileTokenStore:
    return FileTokenStore(tmp_path / "token.json")


@pytest.fixture
def another_machine(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of one that is not known to be this one, which it is."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host: object, *args: object, **how: object) -> object:
        return look_up("127.0.0.1" if host == "api.internal" else host, *args, **how)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,api.internal")
    return "api.internal"


def log_in(server: DemoServer, store: FileTokenStore) -> Token:
    reply = requests.post(f"{server.url}/login", timeout=10).json()
    token = Token.from_mapping(reply, received_at=time.time())
    store.save(token)
    return token


def arguments(
    url: str, store: FileTokenStore, *more: str, token_url: str = f"{NOWHERE}/token"
) -> list[str]:
    where = ["--store", str(store.path), "--token-url", token_url, "--client-id", CLIENT_ID]
    return ["get", url, *where, *more]


def get(
    url: str,
    store: FileTokenStore,
    *more: str,
    token_url: str = f"{NOWHERE}/token",
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
) -> Result:
    line = arguments(url, store, *more, token_url=token_url)
    return cli_runner().invoke(command, line, input=stdin, env=env)


def get_data(server: DemoServer, store: FileTokenStore, *more: str) -> Result:
    return get(f"{server.url}/data", store, *more, token_url=f"{server.url}/oauth/token")


@pytest.fixture
def echo(
    http_server: Callable[..., HTTPServer], store: FileTokenStore
) -> Callable[..., HTTPServer]:
    """Start a server that answers everything with the same reply; a login for it is stored."""
    store.save(Token("access-secret", "refresh-secret"))

    def start(reply: Reply | None = None) -> HTTPServer:
        return http_server(lambda _request: reply or Reply(body=b"ok"))

    return start


# -- The login -----------------------------------------------------------------------------------


def test_the_stored_token_is_sent_and_the_body_is_printed(server, store):
    token = log_in(server, store)
    result = get_data(server, store)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["message"] == "the token is good"
    assert result.stderr == ""
    assert store.load() == token


def test_a_rejected_token_is_refreshed_and_the_new_one_saved(server, store, clock):
    old = log_in(server, store)
    clock.advance(10)
    result = get_data(server, store)
    assert result.exit_code == 0
    assert result.stderr == ""
    new = store.load()
    assert new.access_token != old.access_token
    assert new.refresh_token != old.refresh_token
    assert server.authorization.counts() | {"accepted": 1, "rejected": 1, "refreshes": 1} == (
        server.authorization.counts()
    )


def test_a_token_known_to_be_expired_is_refreshed_before_anything_is_sent(server, store):
    old = log_in(server, store)
    store.save(Token(old.access_token, old.refresh_token, expires_at=1.0))
    assert get_data(server, store).exit_code == 0
    counts = server.authorization.counts()
    assert (counts["rejected"], counts["refreshes"]) == (0, 1)


def test_the_next_command_goes_on_with_the_saved_token(server, store, clock):
    log_in(server, store)
    clock.advance(10)
    assert [get_data(server, store).exit_code for _ in range(3)] == [0, 0, 0]
    assert server.authorization.counts()["refreshes"] == 1


def test_without_a_login_it_is_time_to_log_in(server, store):
    result = get_data(server, store)
    assert result.exit_code == 3
    assert "log in" in result.stderr


def test_a_revoked_login_is_over(server, store, clock):
    token = log_in(server, store)
    form = {"grant_type": "refresh_token", "refresh_token": token.refresh_token}
    for _ in range(2):
        requests.post(f"{server.url}/oauth/token", data=form | {"client_id": CLIENT_ID}, timeout=10)
    result = get_data(server, store)
    assert result.exit_code == 3
    assert "invalid_grant" in result.stderr
    assert token.refresh_token not in result.output
    assert store.load() is None


def test_a_netrc_entry_does_not_take_the_place_of_the_token(echo, store, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    server = echo()
    assert get(server.url, store, env={"NETRC": None, "HOME": str(tmp_path)}).exit_code == 0
    assert server.requests[0].headers["Authorization"] == "Bearer access-secret"


def test_the_token_stands_where_the_server_wants_it(echo, store):
    server = echo()
    store.save(Token("the-token"))
    assert get(server.url, store, "--attach", "X-Auth-Token").exit_code == 0
    assert get(server.url, store, "--attach", "Authorization: token").exit_code == 0
    first, second = (request.headers for request in server.requests)
    assert (first["X-Auth-Token"], first["Authorization"]) == ("the-token", None)
    assert second["Authorization"] == "token the-token"


def test_a_place_that_is_no_header_is_a_usage_error(store):
    result = get(NOWHERE, store, "--attach", "X Auth")
    assert result.exit_code == 2
    assert "attach is the name of a header" in result.stderr


def test_the_token_goes_to_the_server_of_the_url_only(echo, store):
    elsewhere = echo()
    server = echo(Reply(302, headers=[("Location", elsewhere.url)]))
    result = get(server.url, store, "-i")
    assert result.exit_code == 0
    assert f"Location: {elsewhere.url}" in result.stdout
    assert elsewhere.requests == []


# -- The client's secret -------------------------------------------------------------------------


def refreshed_with(http_server, store, *more: str, **how: object) -> tuple[str | None, str]:
    """Refresh; return what the token endpoint was sent: the Authorization header, and the form."""
    store.save(Token("old", "refresh-secret", expires_at=1.0))
    server = http_server(lambda _request: Reply.json({"access_token": "new"}))
    assert get(server.url, store, *more, token_url=f"{server.url}/token", **how).exit_code == 0
    asked = server.requests[0]
    return asked.headers["Authorization"], asked.body.decode()


BASIC = "Basic " + base64.b64encode(f"{CLIENT_ID}:s3cret".encode()).decode()


def test_a_public_client_sends_its_id_in_the_form(http_server, store):
    authorization, form = refreshed_with(http_server, store)
    assert authorization is None
    assert f"client_id={CLIENT_ID}" in form


def test_the_secret_comes_from_the_environment(http_server, store):
    env = {"REQUESTS_TOKENREFRESH_CLIENT_SECRET": "s3cret"}
    assert refreshed_with(http_server, store, env=env)[0] == BASIC


def test_the_secret_comes_from_a_file(http_server, store, tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    options = ("--client-secret-file", str(tmp_path / "secret"))
    assert refreshed_with(http_server, store, *options)[0] == BASIC


def test_the_secret_comes_from_standard_input(http_server, store):
    options = ("--client-secret-file", "-")
    assert refreshed_with(http_server, store, *options, stdin=b"s3cret\r\n")[0] == BASIC


def test_the_secret_goes_into_the_form_if_the_server_wants_it_there(http_server, store):
    authorization, form = refreshed_with(
        http_server,
        store,
        "--client-auth=post",
        env={"REQUESTS_TOKENREFRESH_CLIENT_SECRET": "s3cret"},
    )
    assert authorization is None
    assert "client_secret=s3cret" in form


# -- The request ---------------------------------------------------------------------------------


def test_a_get_carries_nothing_that_was_not_asked_for(echo, store):
    server = echo()
    get(f"{server.url}/list?page=2", store)
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("GET", "/list?page=2", b"")
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["Content-Type"] is None


def test_headers_and_method_are_sent_as_written(echo, store):
    server = echo()
    get(server.url, store, "-X", "PATCH", "-H", "X-Name: é", "-H", "accept-encoding: gzip")
    (request,) = server.requests
    assert request.method == "PATCH"
    assert request.headers["X-Name"].encode("latin-1") == "é".encode()
    assert request.headers["Accept-Encoding"] == "gzip"


def test_data_is_posted_as_a_form(echo, store):
    server = echo()
    get(server.url, store, "-d", "name=é")
    (request,) = server.requests
    assert (request.method, request.body) == ("POST", "name=é".encode())
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_data_comes_from_a_file_or_from_standard_input(echo, store, tmp_path):
    server = echo()
    (tmp_path / "body").write_bytes(b"\x00\xff")
    get(server.url, store, "-d", f"@{tmp_path / 'body'}", "-H", "Content-Type: image/x")
    get(server.url, store, "-X", "PUT", "-d", "@-", stdin=b"\xff\x00")
    first, second = server.requests
    assert (first.method, first.body) == ("POST", b"\x00\xff")
    assert first.headers.get_all("Content-Type") == ["image/x"]
    assert (second.method, second.body) == ("PUT", b"\xff\x00")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["-H", "no colon"], "write it as 'NAME: VALUE'"),
        (["-H", "two words: x"], "write it as 'NAME: VALUE'"),
        (["-H", "X: a\r\nY: b"], "in header"),
        (["-X", "GET /other"], "not the name of a method"),
        (["-d", "@/nowhere/at/all"], "No such file"),
        (["--timeout", "0"], "0.0 is not in the range"),
        (["--client-secret-file", "/nowhere/at/all"], "No such file"),
    ],
)
def test_options_that_make_no_request_are_usage_errors(echo, store, options, problem):
    server = echo()
    result = get(server.url, store, *options)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("example.com", "the URL is not an http or https URL"),
        ("ftp://example.com/", "the URL is not an http or https URL"),
        ("https://ann:pw@example.com/", "the URL is not an http or https URL"),
        ("http://example.com/", "the URL is plain http"),
    ],
)
def test_a_url_that_no_token_may_go_to_is_a_usage_error(store, url, problem):
    result = get(url, store)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert "pw" not in result.output


@pytest.mark.parametrize(
    ("url", "token_url"),
    [
        ("https://example.com/", "http://example.com/token"),
        ("http://example.com/", "https://example.com/token"),
    ],
)
def test_plain_http_to_another_machine_is_a_usage_error_that_names_the_option(
    store, url, token_url
):
    result = get(url, store, token_url=token_url)
    assert result.exit_code == 2
    assert "pass --allow-http if everybody on that network" in " ".join(result.stderr.split())


def test_plain_http_to_another_machine_can_be_allowed(http_server, store, another_machine):
    """Nothing is said of it: whoever calls has just said it."""

    def answer(request: Received) -> Reply:
        if request.path == "/oauth/token":
            return Reply.json({"access_token": "new"})
        good = request.headers["Authorization"] == "Bearer new"
        return Reply(200 if good else 401, b"the token is good")

    store.save(Token("old", "refresh-secret"))
    url = http_server(answer).url.replace("127.0.0.1", another_machine)
    result = get(f"{url}/data", store, "--allow-http", token_url=f"{url}/oauth/token")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "the token is good"


# -- The answer ----------------------------------------------------------------------------------


def test_the_body_is_printed_byte_by_byte_as_it_came(echo, store):
    body = bytes(range(256)) * 1000
    server = echo(Reply(body=body, headers=[("Content-Encoding", "gzip")]))
    assert get(server.url, store).stdout_bytes == body


def test_include_prints_status_and_headers_before_the_body(echo, store):
    headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Name", "\xe9")]
    server = echo(Reply(body=b"body", headers=headers))
    assert get(server.url, store, "--include").stdout_bytes == (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Name: \xe9\r\n"
        b"Content-Length: 4\r\n\r\nbody"
    )


def test_an_error_status_is_exit_code_1_and_its_body_is_printed(echo, store):
    result = get(echo(Reply(404, b"nothing here")).url, store)
    assert result.exit_code == 1
    assert result.stdout == "nothing here"
    assert result.stderr == "Error: the server answered 404 Not Found\n"


def test_a_body_that_breaks_off_is_worth_another_try(echo, store):
    reply = Reply(body=b"half", headers=[("Content-Length", "8")], close=True)
    result = get(echo(reply).url, store)
    assert result.exit_code == 4
    assert result.stdout == "half"
    assert "IncompleteRead" in result.stderr


def test_a_server_out_of_reach_is_worth_another_try(store):
    store.save(Token("access-secret"))
    result = get(f"{NOWHERE}/?key=secret", store)
    assert result.exit_code == 4
    assert "refused" in result.stderr
    assert "secret" not in result.output


def test_a_silent_server_is_given_up_after_the_timeout(raw_server, store):
    done = threading.Event()
    store.save(Token("access-secret"))
    server = raw_server(lambda _connection: done.wait(10))
    result = get(server.url, store, "--timeout", "0.05")
    done.set()
    assert result.exit_code == 4
    assert "timed out" in result.stderr


def test_a_token_endpoint_out_of_reach_is_worth_another_try_and_is_told_once(store):
    """In a process of its own: where nobody listens to the log, warnings go to standard error."""
    store.save(Token("old", "refresh-secret", expires_at=1.0))
    line = [*PROGRAM, *arguments("http://127.0.0.1:2/", store)]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 4
    assert result.stderr.count("token endpoint") == 1
    assert store.load().refresh_token == "refresh-secret"


def test_a_store_that_others_can_read_is_refused(server, store):
    log_in(server, store)
    store.path.chmod(0o644)
    result = get_data(server, store)
    assert result.exit_code == 5
    assert "chmod 600" in result.stderr
    assert server.authorization.counts()["accepted"] == 0


def test_a_store_that_others_can_read_can_be_taken_by_name(server, store, clock):
    log_in(server, store)
    store.path.chmod(0o640)
    clock.advance(10)
    assert get_data(server, store, "--no-private").exit_code == 0
    shared = FileTokenStore(store.path, private=False)
    assert shared.load() is not None
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o640


def test_a_refreshed_login_that_cannot_be_saved_is_told(http_server, store):
    """The old refresh token is used up, and the new one ends with this process."""

    def answer(request: Received) -> Reply:
        if request.path == "/data":
            return Reply(404, b"nothing here")
        store.path.chmod(0o644)  # the store refuses such a file
        return Reply.json({"access_token": "new"})

    store.save(Token("old", "refresh-secret", expires_at=1.0))
    server = http_server(answer)
    result = get(f"{server.url}/data", store, token_url=f"{server.url}/token")
    assert result.exit_code == 5
    assert result.stdout == "nothing here"
    assert "refreshed and could not be saved" in result.stderr
    assert result.stderr.count("chmod 600") == 1


# -- The process ---------------------------------------------------------------------------------


def test_ctrl_c_ends_it_quietly(raw_server, store):
    asked, done = threading.Event(), threading.Event()

    def hold(connection: socket.socket) -> None:
        read_request(connection)
        asked.set()
        done.wait(10)

    store.save(Token("access-secret"))
    server = raw_server(hold)
    with subprocess.Popen(
        [*PROGRAM, *arguments(server.url, store)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert asked.wait(10)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=10)
        done.set()
    assert (process.returncode, stdout, stderr) == (130, b"", b"")


def test_a_reader_that_goes_away_ends_it_quietly(echo, store):
    server = echo(Reply(body=b"x" * 10_000_000))
    with subprocess.Popen(
        [*PROGRAM, *arguments(server.url, store)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.read(1) == b"x"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.long("terminals")
def test_a_reader_that_was_never_there_ends_it_quietly(echo, store):
    """A short answer stays in the buffer, and would be lost at exit without a word."""
    server = echo()
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as pipe:
        line = [*PROGRAM, *arguments(server.url, store)]
        result = subprocess.run(line, stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (result.returncode, result.stderr) == (141, b"")
