"""A login at a terminal: what is pasted there, Ctrl-C, and where there is none."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.support.length import long
from tests.support.person import Issuer, is_open
from tests.support.servers import HTTPServer, Reply

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is of POSIX")

PROGRAM = """
import sys
from requests_tokenrefresh.interactive import _paste
from requests_tokenrefresh.interactive._by_code import log_in_by_code
from requests_tokenrefresh.refreshers import AuthorizationCodeGrant

url, redirect_uri = sys.argv[1:]
grant = AuthorizationCodeGrant(
    f"{url}/token", client_id="reports", authorization_url=f"{url}/authorize"
)
terminal = _paste.terminal()
print("terminal:", terminal is not None)
token = log_in_by_code(
    grant, redirect_uri, opens=False, browser=None, terminal=terminal, timeout=60, say=print,
    keep=lambda token: token,
)
print("logged in:", token.access_token == "a-token")
"""
BACK = "http://127.0.0.1/callback"


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def start(issuer: Issuer, http_server: Callable[..., HTTPServer]):
    from tests.support.terminal import Terminal

    url = http_server(issuer).url
    return lambda redirect_uri=BACK, **arguments: Terminal(PROGRAM, url, redirect_uri, **arguments)


def address(said: str) -> str:
    [url] = [line for line in said.splitlines() if line.startswith("http")]
    return url


def answer(said: str, **others: str) -> str:
    asked = {name: one for name, [one] in parse_qs(urlsplit(address(said)).query).items()}
    fields = {"code": "the-code-that-is-secret", "state": asked["state"], **others}
    return f"{asked['redirect_uri']}?{urlencode(fields)}"


@pytest.mark.parametrize("end", ["\n", *long("terminals", "\r", "\r\n")])
def test_a_pasted_address_logs_in(start, issuer: Issuer, end: str) -> None:
    with start() as terminal:
        terminal.type(answer(terminal.hear("(60 s)")) + end)
        assert terminal.wait() == 0
        assert "logged in: True" in terminal.said
        assert len(issuer.exchanges) == 1


@pytest.mark.long("terminals")
def test_a_pasted_address_may_have_5000_characters_and_more(start, issuer: Issuer) -> None:
    """A terminal that edits lines would cut it at 4,095."""
    code = "c" * 9000
    with start() as terminal:
        terminal.type(answer(terminal.hear("(60 s)"), code=code) + "\n")
        assert terminal.wait() == 0
    assert issuer.exchanges[0]["code"] == [code]


def test_what_is_pasted_is_not_shown_and_the_terminal_is_as_it_was(start) -> None:
    with start() as terminal:
        before = terminal.modes()
        terminal.type(answer(terminal.hear("(60 s)")) + "\n")
        assert terminal.wait() == 0
        assert "secret" not in terminal.said + terminal.shown.decode()
        assert terminal.modes() == before


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("the-code-that-is-secret", "it has no state"),
        *long(
            "terminals",
            ("http://127.0.0.1/callback?code=x&state=y", "not that of this attempt"),
            ("yes please", "it has no state"),
        ),
    ],
)
def test_what_is_no_answer_says_so_and_the_next_one_counts(start, pasted: str, words: str) -> None:
    with start() as terminal:
        said = terminal.hear("(60 s)")
        terminal.type(pasted + "\n")
        assert "Paste the whole address" in terminal.hear(words)
        terminal.type(f"oops\x15{answer(said)}x\x7f\n")
        assert terminal.wait() == 0
        assert "secret" not in terminal.said


@pytest.mark.long("terminals")
def test_the_redirect_address_may_be_elsewhere(start, issuer: Issuer) -> None:
    """Then nothing is listened at, and the address is pasted."""
    with start("https://app.example.com/done") as terminal:
        terminal.type(answer(terminal.hear("(60 s)")) + "\n")
        assert terminal.wait() == 0
    assert issuer.exchanges[0]["redirect_uri"] == ["https://app.example.com/done"]


def test_ctrl_c_ends_it_within_a_second_and_nothing_listens_any_more(start, issuer: Issuer) -> None:
    with start() as terminal:
        before = terminal.modes()
        said = terminal.hear("(60 s)")
        port = urlsplit(answer(said)).port
        assert port is not None
        assert is_open(port)
        typed_at = time.monotonic()
        terminal.type("\x03")
        assert terminal.wait() != 0
        assert time.monotonic() - typed_at < 1.5  # a second, and the end of Python
        assert "KeyboardInterrupt" in terminal.said
        assert terminal.modes() == before
        assert not is_open(port)
        assert issuer.exchanges == []


@pytest.mark.long("terminals")
@pytest.mark.parametrize("stdin", ["closed", *long("terminals", "null")])
def test_without_a_terminal_the_browser_can_still_come_back(start, issuer, stdin: str) -> None:
    from tests.support.person import ask

    with start(stdin=stdin) as terminal:
        back = urlsplit(answer(terminal.hear("(60 s)")))
        assert "terminal: False" in terminal.said
        assert back.port is not None
        assert ask(back.port, f"{back.path}?{back.query}").status == 200
        assert terminal.wait() == 0


@pytest.mark.long("terminals")
def test_the_address_is_one_plain_line(start) -> None:
    with start(environ={"TERM": "dumb", "COLUMNS": "80", "PYTHONIOENCODING": "ascii"}) as terminal:
        said = terminal.hear("(60 s)")
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/authorize\?[!-~]{200,}", address(said))
        assert "\x1b" not in said


@pytest.mark.long("terminals")
def test_ctrl_d_is_no_answer_and_no_end(start, issuer: Issuer) -> None:
    from tests.support.person import ask

    with start() as terminal:
        back = urlsplit(answer(terminal.hear("(60 s)")))
        terminal.type("\x04")
        assert back.port is not None
        assert ask(back.port, f"{back.path}?{back.query}").status == 200
        assert terminal.wait() == 0


DEVICE = """
import sys
from requests_tokenrefresh.interactive._by_device import log_in_by_device
from requests_tokenrefresh.refreshers import DeviceCodeGrant

url = sys.argv[1]
grant = DeviceCodeGrant(
    f"{url}/token", client_id="tv", device_authorization_url=f"{url}/device_authorization"
)
log_in_by_device(grant, timeout=300, say=print, keep=lambda token: print("ke" + "pt"))
"""


@pytest.mark.long("terminals")
def test_ctrl_c_ends_the_waiting_for_a_device_within_a_second(http_server) -> None:
    from tests.support.terminal import Terminal

    begun = {
        "device_code": "d",
        "user_code": "QKBB-LQDC",
        "verification_uri": "https://auth.example.com/device",
        "expires_in": 600,
        "interval": 60,
    }
    server = http_server(lambda request: Reply.json(begun))
    with Terminal(DEVICE, server.url) as terminal:
        terminal.hear("enter QKBB-LQDC (5 min)")
        typed_at = time.monotonic()
        terminal.type("\x03")
        assert terminal.wait() != 0
        assert time.monotonic() - typed_at < 1.5  # a second, and the end of Python
        assert "kept" not in terminal.said
    assert len(server.requests) == 1
