"""What the command writes on a terminal, where whoever it speaks of would be obeyed."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from requests_tokenrefresh import FileTokenStore, Token
from requests_tokenrefresh.cli.command import command
from tests.support.cli_runner import cli_runner
from tests.support.hostile import HOSTILE, IN_A_LINE, IN_BYTES, harmful
from tests.support.servers import HTTPServer, RawServer, Reply, read_request
from tests.support.terminals import Shown, run_on_terminal

PROGRAM = [sys.executable, "-m", "requests_tokenrefresh"]
NOWHERE = "http://127.0.0.1:1/token"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")


@pytest.fixture
def store(tmp_path: Path) -> FileTokenStore:
    store = FileTokenStore(tmp_path / "token.json")
    store.save(Token("access-secret", "refresh-secret"))
    return store


def get(url: str, store: FileTokenStore, *more: str) -> list[str]:
    where = ["--store", str(store.path), "--token-url", NOWHERE, "--client-id", "a"]
    return [*PROGRAM, "get", url, *where, *more]


def run(line: list[str], *, stdin: str = "") -> Result:
    """Run what does not look whether there is a terminal, in this process."""
    result = cli_runner().invoke(command, line[len(PROGRAM) :], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert harmful(result.stdout + result.stderr, lines=True) == set()
    return result


def text_of(shown: Shown) -> str:
    """What stands on the terminal, which nobody has disturbed."""
    text = shown.output.decode()
    assert harmful(text.replace("\t", ""), lines=True) == set()
    return text


def answers(status_line: bytes, *headers: bytes, body: bytes = b"") -> Callable[..., None]:
    length = b"Content-Length: %d" % len(body)
    head = b"\r\n".join([status_line, *headers, length, b"", b""])

    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head + body)

    return answer


# -- get -----------------------------------------------------------------------------------------


BODY = [
    (b"plain\nlines\n", "plain\nlines\n"),
    (b"dos\r\nlines\r\n", "dos\nlines\n"),
    (b"a\ttab", "a\ttab"),
    ("Jeton r\u00e9voqu\u00e9 \u65e5\u672c".encode(), "Jeton r\u00e9voqu\u00e9 \u65e5\u672c"),
    (b"\x1b]0;owned\x07\x1b[2J\0\b\x7f", r"\x1b]0;owned\x07\x1b[2J\x00\x08\x7f"),
    (b"seen\rhidden", "seen\nhidden"),  # as a file of an old Mac has it
    (b"\xc2\x9b31m", r"\x9b31m"),
    (b"\x9b31m", r"\x9b31m"),  # no UTF-8, and a terminal that knows none obeys it
    (b"caf\xe9", r"caf\xe9"),
    ("a\u202eb\u2028c\u200b".encode(), r"a\u202eb\u2028c\u200b"),
    (b"\xed\xa0\x80", r"\xed\xa0\x80"),
]


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_body_is_printed_so_that_a_terminal_obeys_nothing_of_it(
    http_server: Callable[..., HTTPServer], store: FileTokenStore, in_pieces: bool
) -> None:
    """A character, or the end of a line, may come in two pieces."""
    whole = b"|".join(sent for sent, _ in BODY) + b"\r\n|\xe2\x80"
    body = [bytes([byte]) for byte in whole] if in_pieces else whole
    server = http_server(lambda _request: Reply(body=body))
    ran = run_on_terminal(get(server.url, store))
    shown = "|".join(shown for _, shown in BODY) + "\n|\\xe2\\x80"
    assert (text_of(ran), ran.exit_code) == (shown, 0)


def test_nothing_of_an_answer_is_obeyed(
    raw_server: Callable[..., RawServer], store: FileTokenStore
) -> None:
    script = answers(
        b"HTTP/1.1 404 OK\rX-Forged: 1 " + IN_A_LINE,
        "X-A: \xe9".encode(),
        b"X-B: " + IN_A_LINE,
        b"X-C: folded\r\n " + IN_A_LINE,
        b"X-D" + IN_A_LINE + b": a",
        b"Set-Cookie: a=" + IN_A_LINE,
        b"Location: http://127.0.0.1/" + IN_A_LINE,
        b"WWW-Authenticate: Bearer error=" + IN_A_LINE,
        b"Content-Type: text/plain; charset=" + IN_A_LINE,
        body=IN_BYTES,
    )
    ran = run_on_terminal(get(raw_server(script).url, store, "-i"))
    text = text_of(ran)
    assert text.startswith("HTTP/1.1 404 OK\\rX-Forged: 1 <b>\\x1b[31m")
    assert "\nX-A: \xe9\n" in text
    assert "Error: the server answered 404 OK\\rX-Forged" in text
    assert ran.exit_code == 1


def test_an_answer_stands_before_what_is_said_of_it(
    http_server: Callable[..., HTTPServer], store: FileTokenStore
) -> None:
    server = http_server(lambda _request: Reply(404, b"no such report\n"))
    ran = run_on_terminal(get(server.url, store))
    assert text_of(ran) == "no such report\nError: the server answered 404 Not Found\n"


@pytest.mark.parametrize(
    "reply",
    [
        IN_BYTES,
        IN_A_LINE + b"\r\n\r\n",
        b"HTTP/1.1 " + IN_A_LINE + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + IN_A_LINE + b"\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + IN_A_LINE + b"\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + IN_A_LINE + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf",
        b"HTTP/1.1 200 " + b"\x1b[2J" * 20_000 + b"\r\n\r\n",
    ],
    ids=["no HTTP", "a line", "a status", "a header", "a length", "a chunk", "half", "too long"],
)
def test_nothing_of_a_broken_answer_is_obeyed(
    raw_server: Callable[..., RawServer], store: FileTokenStore, reply: bytes
) -> None:
    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(reply)

    result = run(get(raw_server(answer).url, store))
    assert "Error: " in result.stderr or reply.endswith(b"body")


@pytest.mark.long("terminals")
def test_to_a_pipe_the_bytes_go_as_they_came_though_errors_go_to_a_terminal(
    raw_server: Callable[..., RawServer], store: FileTokenStore
) -> None:
    script = answers(b"HTTP/1.1 404 " + IN_A_LINE, body=IN_BYTES)
    ours, theirs = os.openpty()
    try:
        line = get(raw_server(script).url, store)
        ran = subprocess.run(line, stdout=subprocess.PIPE, stderr=theirs, check=False)
        shown = os.read(ours, 1 << 16).decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        os.close(theirs)
    assert (ran.returncode, ran.stdout) == (1, IN_BYTES)
    assert harmful(shown, lines=True) == set()
    assert shown.startswith("Error: the server answered 404 <b>\\x1b[31m")


@pytest.mark.long("terminals")
def test_a_terminal_that_knows_few_characters_gets_escapes(
    http_server: Callable[..., HTTPServer], store: FileTokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    server = http_server(lambda _request: Reply(body="\xe9\u65e5".encode()))
    ran = run_on_terminal(get(server.url, store))
    assert (ran.output, ran.exit_code) == (b"\xe9\\u65e5", 0)


def test_what_the_token_endpoint_says_is_not_obeyed(
    raw_server: Callable[..., RawServer], store: FileTokenStore
) -> None:
    store.save(Token("access-secret", "refresh-secret", expires_at=1.0))
    body = json.dumps({"error": HOSTILE, "error_description": HOSTILE}).encode()
    script = answers(b"HTTP/1.1 400 " + IN_A_LINE, b"Location: " + IN_A_LINE, body=body)
    result = run(get(NOWHERE, store, "--token-url", raw_server(script).url))
    assert "[31m" in result.stderr
    assert result.exit_code == 4


# -- login, status, logout -----------------------------------------------------------------------


def hostile_login(path: Path) -> None:
    claims = dict.fromkeys(("sub", "email", "preferred_username", "iss", "azp", HOSTILE), HOSTILE)
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    extra = {"id_token": f"e30.{body}.a", "scope": HOSTILE, HOSTILE: HOSTILE}
    FileTokenStore(path).save(Token("access-secret", "refresh-secret", extra=extra))


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["doctor"]])
def test_what_a_token_claims_is_not_obeyed(tmp_path: Path, words: list[str]) -> None:
    hostile_login(tmp_path / "token.json")
    result = run([*PROGRAM, *words, "--store", str(tmp_path / "token.json")])
    assert "<b>" in result.stdout
    assert result.exit_code == 0


@pytest.mark.long("terminals")
def test_a_claim_that_a_terminal_cannot_write_is_an_escape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    path = tmp_path / "token.json"
    FileTokenStore(path).save(Token("access-secret", extra={"scope": "\u65e5"}))
    ran = run_on_terminal([*PROGRAM, "status", "--store", str(path)])
    assert r"\u65e5" in text_of(ran)
    assert ran.exit_code == 0


# A name is bytes, of which these are some that are no UTF-8, and has neither / nor NUL.
FILE_NAME = IN_BYTES.replace(b"\0", b"").replace(b"/", b"").replace(b"\n", b"\n[") + b"\xff"


@pytest.mark.parametrize("name", ["status", "login", "logout", "doctor"])
@pytest.mark.parametrize("trouble", ["none", "no file", "shared", "no token", "folder"])
def test_what_a_file_is_called_is_not_obeyed(tmp_path: Path, name: str, trouble: str) -> None:
    path = tmp_path / os.fsdecode(FILE_NAME)
    if trouble == "folder":
        path.mkdir()
    elif trouble != "no file":
        hostile_login(path)
    if trouble == "shared":
        path.chmod(0o644)
    if trouble == "no token":
        path.write_bytes(IN_BYTES)
    result = run([*PROGRAM, name, "--store", str(path)], stdin='{"access_token": "access-secret"}')
    # Of a login that is there these two tell more than its path.
    tells_more = trouble == "none" and name in ("status", "logout")
    assert tells_more or r"\x1b[31m" in result.stdout + result.stderr


GET = ["get", "https://a", "--store", "/dev/null/x", "--token-url", "https://a", "--client-id", "a"]


@pytest.mark.parametrize(
    "line",
    [
        ["a{}"],
        ["--{}"],
        ["status", "--{}"],
        ["status", "--store", "/dev/null/x", "{}"],
        ["status", "--store", ""],
        ["serve", "--port", "{}"],
        ["demo", "--rate", "{}"],
        ["demo", "--svg", "/dev/null/{}/x.svg"],
        ["get", "{}", *GET[2:]],
        ["get", "https://a/{}", *GET[2:]],
        [*GET, "--token-url", "{}"],
        [*GET, "--client-id", "{}"],
        [*GET, "-X{}"],
        [*GET, "-H{}"],
        [*GET, "-d@{}"],
        ["get", "--client-secret-file", "/dev/null/{}"],
        ["get", "--client-auth", "{}"],
        ["get", "--timeout", "{}"],
        ["doctor", "--store", "/dev/null/x", "--url", "https://{}"],
    ],
    ids=lambda line: " ".join(line)[:40],
)
def test_what_a_script_has_put_on_the_command_line_is_not_obeyed(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = os.fsdecode(FILE_NAME)
    arguments = [one.format(hostile) for one in line]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / hostile))  # no request leaves
    monkeypatch.chdir(tmp_path)
    result = run([*PROGRAM, *arguments])
    assert "Error: " in result.stderr
    assert result.exit_code in (1, 2, 4)
