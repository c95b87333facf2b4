"""`login` on terminals as they are: what is shown there, what is typed, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from requests_tokenrefresh import FileTokenStore
from requests_tokenrefresh.cli.server import DemoServer
from tests.support.demo_server import demo_server
from tests.support.length import long
from tests.support.person import is_open
from tests.support.servers import Reply
from tests.support.typed_command import ASCII, DUMB, NO_COLOR, USUAL, TypedCommand

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is of POSIX")

TERMINALS = ["usual", "no colour", "dumb", "ASCII"]
CLOCK = re.compile(r"\rWaiting: 4 min \d+ s left")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with demo_server(clock=time.monotonic, interval=0.1) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> FileTokenStore:
    return FileTokenStore(tmp_path / "t.json")


def login(server: DemoServer, store: FileTokenStore, *more: str) -> list[object]:
    where = ["--issuer", server.url, "--client-id", "demo", "--store", store.path]
    return ["login", *where, *more]


def address_in(told: str) -> str:
    [address] = [line for line in told.splitlines() if line.startswith("http")]
    return address


def answer_to(address: str) -> str:
    """Return where the browser ends up that somebody opens *address* with."""
    answer = requests.get(f"{address}&prompt=none", allow_redirects=False, timeout=20)
    return answer.headers["Location"]


def enter(server: DemoServer, told: str) -> None:
    """Enter the code that was *told* on another device."""
    [code] = re.findall(r"enter ([A-Z]{4}-[A-Z]{4}) \(", told)
    form = {"user_code": code, "decision": "agree"}
    assert "Logged in" in requests.post(f"{server.url}/device", data=form, timeout=20).text


@pytest.mark.parametrize(
    "environ", [USUAL, *long("terminals", NO_COLOR, DUMB, ASCII)], ids=TERMINALS
)
def test_an_address_is_one_plain_unbroken_line_and_the_answer_can_be_pasted(server, store, environ):
    """Eighty columns, of which the address takes more; and nothing but a clock is drawn."""
    with TypedCommand(*login(server, store, "--no-browser"), environ=environ) as command:
        address = address_in(command.hear("(300 s)"))
        if environ is not DUMB:
            command.hear("\rWaiting:")
        command.type(answer_to(address) + "\n")
        assert command.wait() == 0, command.told
    assert command.out == f"Logged in as alice; the login is in {store.path}.\n"
    assert len(address) > 240
    assert dict(parse_qsl(urlsplit(address).query))["code_challenge_method"] == "S256"
    assert "\x1b" not in command.told
    assert "code=" not in command.told.replace(address, "")
    assert (CLOCK.search(command.told) is None) is (environ is DUMB)
    last = command.told.rsplit("\n", 1)[-1].split("\r")
    assert last[-1] == ""  # nothing of the clock is left
    assert store.load().refresh_token is not None


@pytest.mark.long("terminals")
def test_what_is_logged_of_a_login_begins_a_line(http_server, store):
    """And does not stand behind the time that was left."""
    agreed = threading.Event()

    def issuer(request):
        if request.path == "/device":
            begun = {"device_code": "d", "user_code": "u", "interval": 0.1, "expires_in": 60}
            return Reply.json({**begun, "verification_uri": "https://auth.example.com/device"})
        if not agreed.is_set():
            return Reply.json({"error": "authorization_pending"}, 400)
        return Reply.json({"access_token": "a", "token_type": "Bearer"})

    url = http_server(issuer).url
    line = ["--token-url", f"{url}/token", "--device-url", f"{url}/device", "--client-id", "demo"]
    with TypedCommand("login", *line, "--store", store.path) as command:
        command.hear("Waiting:")
        agreed.set()
        assert command.wait() == 0, command.told
    assert "\rthe login came without a refresh token" in command.told


PROGRAM = """
import logging, sys
from requests_tokenrefresh import log_in
log_in(sys.argv[1], client_id="demo", origins=None, store=sys.argv[2], how="device", timeout=300)
logging.getLogger("requests_tokenrefresh").warning("and goes on")
"""


@pytest.mark.parametrize(
    ("environ", "is_tty"),
    [(USUAL, True), *long("terminals", (DUMB, True), (USUAL, False))],
    ids=["usual", "dumb", "pipe"],
)
def test_a_program_tells_the_time_that_is_left_too(server, store, environ, is_tty):
    with TypedCommand(
        server.url, store.path, program=["-c", PROGRAM], stderr_is_tty=is_tty, environ=environ
    ) as program:
        told = program.hear("(5 min)")
        if environ is USUAL and is_tty:
            told = program.hear("\rWaiting: 4 min")
        enter(server, told)
        assert program.wait() == 0, program.told
    assert program.told.endswith("\r" * (environ is USUAL and is_tty) + "and goes on\n")
    assert ("Waiting" in program.told) is (environ is USUAL and is_tty)
    assert "\x1b" not in program.told


@pytest.mark.long("terminals")
@pytest.mark.parametrize("stdin", ["closed", *long("terminals", "null")])
@pytest.mark.parametrize("is_tty", [True, *long("terminals", False)], ids=["tty", "pipe"])
def test_without_a_terminal_to_type_at_another_device_is_the_way(server, store, stdin, is_tty):
    """RFC 8628 section 3.3."""
    line = login(server, store, "--timeout", "60")
    with TypedCommand(*line, stdin=stdin, stderr_is_tty=is_tty) as command:
        enter(server, command.hear("(1 min)"))
        assert command.wait() == 0, command.told
    assert command.out == f"Logged in as alice; the login is in {store.path}.\n"
    assert "\x1b" not in command.told
    assert is_tty or "Waiting" not in command.told


@pytest.mark.parametrize(
    ("environ", "is_tty", "shown"),
    [
        (USUAL, True, "█ ▄▄▄▄▄ █"),
        (ASCII, True, "There is no QR code: this is not a terminal with UTF-8."),
        *long(
            "terminals",
            (NO_COLOR, True, "█ ▄▄▄▄▄ █"),
            (USUAL, False, "There is no QR code: this is not a terminal with UTF-8."),
        ),
    ],
    ids=["UTF-8", "ASCII", "no colour", "pipe"],
)
@pytest.mark.long("terminals")
def test_a_qr_code_is_for_terminals_that_can_show_it(server, store, environ, is_tty, shown):
    """RFC 8628 section 3.3.1."""
    line = login(server, store, "--device", "--qr")
    with TypedCommand(*line, environ=environ, stderr_is_tty=is_tty) as command:
        told = command.hear(shown)
        enter(server, told)
        assert command.wait() == 0, command.told
    assert "\x1b" not in command.told
    assert max(len(line) for line in told.splitlines() if "█" in line or "(" in line) <= 80


@pytest.mark.long("terminals")
def test_a_qr_code_that_is_too_wide_is_left_out(server, store):
    line = login(server, store, "--no-browser", "--qr", "--param", f"x={'y' * 400}")
    with TypedCommand(*line) as command:
        command.hear("(There is no QR code: it takes 97 columns.)")
        command.type("\x03")
        assert command.wait() == 130
    assert "█" not in command.told


@pytest.mark.parametrize("way", ["--no-browser", *long("terminals", "--device")])
def test_ctrl_c_ends_it_with_nothing_stored_and_the_port_closed(server, store, way):
    """RFC 8252 section 8.3: nobody listens longer than is needed."""
    with TypedCommand(*login(server, store, way)) as command:
        before = command.modes() if way == "--device" else None
        told = command.hear("Waiting:")
        asked = dict(parse_qsl(urlsplit(address_in(told)).query))
        began = time.monotonic()
        command.type("\x03")
        assert command.wait() == 130
        assert time.monotonic() - began < 10  # measured: 0.1 to 0.4
        assert before is None or command.modes() == before
        assert "Traceback" not in command.told
        if way == "--no-browser":
            port = urlsplit(asked["redirect_uri"]).port
            assert not is_open(port)
    assert command.out == ""
    assert list(store.path.parent.iterdir()) == []


@pytest.mark.long("terminals")
def test_a_command_that_is_ended_leaves_the_terminal_as_it_was(server, store):
    """By `timeout`, say: what is typed afterwards is shown again."""
    with TypedCommand(*login(server, store, "--no-browser")) as command:
        before = command.modes()
        command.hear("Waiting:")
        assert command.modes() != before
        os.kill(command.pid, signal.SIGTERM)
        assert command.wait() == 143, command.told
        assert command.modes() == before
        assert "Traceback" not in command.told
    assert list(store.path.parent.iterdir()) == []


@pytest.mark.long("terminals")
def test_a_name_that_the_terminal_has_no_letters_for_is_shown_by_their_numbers(tmp_path):
    store = FileTokenStore(tmp_path / "Zoë.json")
    with TypedCommand("login", "--store", store.path, stdin="null", environ=ASCII) as command:
        assert command.wait() == 2  # nothing is no reply
    assert "Traceback" not in command.told
    with TypedCommand("logout", "--store", store.path, environ=ASCII) as command:
        assert command.wait() == 0, command.told
    assert "there is no login in" in command.out


@pytest.mark.parametrize(
    ("line", "said"),
    [([], "no token reply"), (["--client-id", "x", "--client-secret-file", "-"], "is closed")],
)
@pytest.mark.long("terminals")
def test_what_is_to_be_read_from_a_closed_input_is_missed(store, line, said):
    where = ["--issuer", "https://auth.example.com"] if line else []
    with TypedCommand("login", "--store", store.path, *where, *line, stdin="closed") as command:
        assert command.wait() == 2
    assert said in command.told
    assert "Traceback" not in command.told
