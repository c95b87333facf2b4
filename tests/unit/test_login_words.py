"""What a person is told, and what they type: without a program of its own for each."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import responses

from requests_tokenrefresh import LoginFailedError
from requests_tokenrefresh.interactive import _listener, _paste, _person
from requests_tokenrefresh.interactive._browser import is_there
from requests_tokenrefresh.interactive._by_code import log_in_by_code
from requests_tokenrefresh.interactive._by_device import log_in_by_device
from requests_tokenrefresh.interactive._invitation import Invitation
from requests_tokenrefresh.interactive._listener import Listener
from requests_tokenrefresh.interactive._loopback import Loopback, loopback_of
from requests_tokenrefresh.interactive._pages import LOGGED_IN
from requests_tokenrefresh.interactive._paste import Line, pasting, terminal
from requests_tokenrefresh.interactive._person import Person
from requests_tokenrefresh.refreshers import AuthorizationCodeGrant
from tests.support.person import ask, is_open
from tests.support.threads import start_together, wait_until
from tests.unit.test_device_code import PENDING, TOKEN, Site

posix = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is of POSIX")


@pytest.fixture
def tty() -> Iterator[tuple[int, int]]:
    """Two ends of a terminal: the person's, and the program's."""
    import pty

    ours, theirs = pty.openpty()
    yield ours, theirs
    for one in (ours, theirs):
        os.close(one)


@pytest.fixture
def told(tty, monkeypatch) -> Iterator[Callable[[], str]]:
    """Standard error is a terminal; return what has come there so far."""
    person, program = tty
    os.set_blocking(person, False)
    came = bytearray()

    def told() -> str:
        with contextlib.suppress(BlockingIOError):
            came.extend(os.read(person, 1000))
        return came.decode().replace("\r\n", "\n")

    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(os.dup(program), "w") as stderr:
        monkeypatch.setattr(_person, "sys", SimpleNamespace(stderr=stderr))
        yield told


def runs(thread: str) -> bool:
    return any(one.name == thread for one in threading.enumerate())


@posix
@pytest.mark.parametrize("opens", [True, False])
def test_what_is_said_fits_what_there_is(tty, opens: bool) -> None:
    _, program = tty
    said: list[str] = []
    grant = AuthorizationCodeGrant(
        "https://auth.example.com/token",
        client_id="c",
        authorization_url="https://auth.example.com/authorize",
    )

    def give_up() -> None:
        log_in_by_code(
            grant,
            "http://127.0.0.1/callback",
            opens=opens,
            browser=said.append,
            terminal=program,
            timeout=0,
            say=said.append,
            keep=print,
        )

    with pytest.raises(Exception, match="in time"):
        give_up()
    first, address, last = said[0].splitlines()
    assert first.startswith("Log in in the browser" if opens else "Open this address")
    assert address.startswith("https://auth.example.com/authorize?")
    assert "paste" in last
    assert last.endswith("(0 s)")


@posix
def test_a_browser_that_cannot_be_opened_is_said(tty, raw_server) -> None:
    said: list[str] = []
    failed = threading.Event()

    def broken(address: str) -> None:
        raise OSError

    def say(text: str) -> None:
        said.append(text)
        if "No browser" in text:
            failed.set()

    grant = AuthorizationCodeGrant(
        "https://auth.example.com/token",
        client_id="c",
        authorization_url="https://auth.example.com/authorize",
    )
    with pytest.raises(Exception, match="in time"):
        log_in_by_code(
            grant,
            "http://127.0.0.1/callback",
            opens=True,
            browser=broken,
            terminal=None,
            timeout=0.1,
            say=say,
            keep=print,
        )
    assert failed.wait(10)


@posix
def test_the_time_that_is_left_is_told_until_the_end_and_then_blanked_out(told) -> None:
    with Person() as person:
        person(Invitation("Open it.", address="https://auth.example.com/", seconds=90))
        wait_until(lambda: re.fullmatch(r"Open it\.\nWaiting: .* left", told()))
    wait_until(lambda: not runs("login-clock"))
    wait_until(lambda: re.search(r"left\r {8,}\r\Z", told()))


@posix
def test_what_is_no_invitation_is_told_without_a_clock(told) -> None:
    with Person() as person:
        person("No browser could be opened here.")
        assert not runs("login-clock")
    wait_until(lambda: told() == "No browser could be opened here.\n")


@posix
def test_each_line_is_taken_as_it_is_ended(tty) -> None:
    person, program = tty
    lines: list[str] = []
    with pasting(program, lines.append):
        os.write(person, b"one\n\n two \n")
        wait_until(lambda: lines == ["one", "two"])


@pytest.mark.parametrize(
    "pasted",
    [
        b"\x1b[200~http://a/?b=c\x1b[201~",
        b"'http://a/?b=c'",
        b'\t"http://a/?b=c" ',
        b"<http://a/?b=c>",
    ],
)
def test_what_stands_around_an_address_is_none_of_it(pasted: bytes) -> None:
    assert list(Line().add(pasted + b"\n")) == ["http://a/?b=c"]


@posix
def test_a_terminal_that_goes_away_is_no_error() -> None:
    import pty

    person, program = pty.openpty()
    with pasting(program, print):
        os.close(person)
        wait_until(lambda: not runs("login-paste"))
    os.close(program)


@posix
def test_nor_is_one_that_may_not_be_read_any_more(tty, monkeypatch) -> None:
    """By an orphan, whose shell has ended and left it in the background."""
    person, program = tty
    read = os.read

    def refuse(descriptor: int, most: int) -> bytes:
        if descriptor == program:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, most)

    monkeypatch.setattr(_paste.os, "read", refuse)
    with pasting(program, print):
        os.write(person, b"anything\n")
        wait_until(lambda: not runs("login-paste"))


def test_a_line_that_never_ends_is_cut() -> None:
    line = Line()
    assert list(line.add(b"x" * 100_000)) == []
    [text] = line.add(b"y\n")
    assert len(text) == 64 * 1024


@posix
def test_who_is_in_the_background_does_not_read(tty, monkeypatch) -> None:
    """Whoever reads there is stopped."""
    _, program = tty
    stdin = os.fdopen(os.dup(program))
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(os, "tcgetpgrp", lambda _descriptor: os.getpgrp())
    assert terminal() == stdin.fileno()
    monkeypatch.setattr(os, "tcgetpgrp", lambda _descriptor: os.getpgrp() + 1)
    assert terminal() is None
    stdin.close()
    assert terminal() is None
    monkeypatch.setattr(sys, "stdin", None)
    assert terminal() is None


@pytest.mark.parametrize(
    ("begun", "lines"),
    [
        (
            {},
            ["On any device open https://auth.example.com/enter and enter QKBB-LQDC (5 min)."],
        ),
        (
            {"expires_in": 42, "verification_uri_complete": "https://auth.example.com/enter?c=Q"},
            [
                "On any device open https://auth.example.com/enter and enter QKBB-LQDC (42 s).",
                "Or open this address, which has the code:",
                "https://auth.example.com/enter?c=Q",
            ],
        ),
    ],
)
def test_what_is_said_of_a_device(begun, lines) -> None:
    """RFC 8628 section 3.3.1: the code too where an address has it."""
    said: list[str] = []
    with responses.RequestsMock() as mock:
        grant = Site(mock, PENDING, TOKEN, **begun).grant()
        token = log_in_by_device(grant, timeout=300.0, say=said.append, keep=lambda one: one)
    assert token.access_token == "a"
    assert [one for text in said for one in text.splitlines()] == lines


def test_an_interpreter_that_is_not_there_opens_no_browser(monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert not is_there(None)


@pytest.mark.parametrize(
    ("uri", "loopback"),
    [
        ("http://127.0.0.1/callback", Loopback("127.0.0.1", None, "/callback")),
        ("http://127.0.0.1:8400/a?b=c", Loopback("127.0.0.1", 8400, "/a?b=c")),
        ("http://127.8.8.8", Loopback("127.8.8.8", None, "")),
        ("http://LOCALHOST/x", Loopback("localhost", None, "/x")),
        ("http://[::1]:8400/", Loopback("::1", 8400, "/")),
        ("https://127.0.0.1/callback", None),
        ("https://app.example.com/callback", None),
        ("http://127.0.0.1.example.com/", None),
        ("com.example.app:/callback", None),
    ],
)
def test_what_is_on_the_loopback(uri: str, loopback: Loopback | None) -> None:
    """RFC 8252 section 7.3: an address, with any port; a name of it is section 8.3's."""
    assert loopback_of(uri) == loopback


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_it_listens_on_ipv6_if_that_is_the_address() -> None:
    """RFC 8252 section 7.3."""
    listener = Listener(Loopback("::1", None, "/callback"))
    try:
        assert listener.redirect_uri.startswith("http://[::1]:")
        port = int(listener.redirect_uri.split("]:")[1].split("/")[0])
        socket.create_connection(("::1", port)).close()
    finally:
        listener.close()


def test_localhost_is_one_family_where_there_is_only_one(monkeypatch) -> None:
    """A container without IPv6: nobody else can have that half."""
    from requests_tokenrefresh.interactive import _loopback

    bind = _loopback._listening

    def only_ipv4(host: str, port: int) -> socket.socket:
        if ":" in host:
            raise OSError(_loopback.errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return bind(host, port)

    monkeypatch.setattr(_loopback, "_listening", only_ipv4)
    [one] = Loopback("localhost", None, "/").bind()
    one.close()


def test_localhost_tries_another_port_if_one_half_is_taken(monkeypatch) -> None:
    from requests_tokenrefresh.interactive import _loopback

    bind, tries = _loopback._listening, []

    def taken_at_first(host: str, port: int) -> socket.socket:
        tries.append(host)
        if len(tries) == 2:
            raise OSError(_loopback.errno.EADDRINUSE, "Address already in use")
        return bind(host, port)

    monkeypatch.setattr(_loopback, "_listening", taken_at_first)
    for one in Loopback("localhost", None, "/").bind():
        one.close()
    assert tries[2:4] == ["127.0.0.1", "::1"][: len(tries) - 2]


def test_localhost_that_is_never_free_in_both_halves_is_taken(monkeypatch) -> None:
    from requests_tokenrefresh.interactive import _loopback

    def taken(host: str, port: int) -> socket.socket:
        raise OSError(_loopback.errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(_loopback, "_listening", taken)
    with pytest.raises(LoginFailedError, match="Address already in use"):
        Loopback("localhost", None, "/").bind()


def test_a_connection_that_is_lost_before_it_is_taken_is_only_that() -> None:
    """Or there are too many open files, for a moment."""

    class Busy(socket.socket):
        lost = 0

        def accept(self):  # type: ignore[no-untyped-def]
            if Busy.lost < 3:
                Busy.lost += 1
                raise ConnectionAbortedError
            return super().accept()

    listening = Busy()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    loopback = Loopback("127.0.0.1", None, "/")
    object.__setattr__(loopback, "bind", lambda: [listening])
    listener = Listener(loopback)
    try:
        assert ask(listening.getsockname()[1], "/").status == 400
        assert Busy.lost == 3
    finally:
        listener.close()


def test_a_listener_that_is_closed_without_a_word_shows_no_page() -> None:
    """Ctrl-C: there is nothing that would be true."""
    listener = Listener(Loopback("127.0.0.1", None, "/callback"))
    offered = threading.Event()
    listener.expect(lambda query: offered.set() or "")
    port = int(listener.redirect_uri.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as browser:
        request = f"GET /callback?x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        browser.sendall(request.encode())
        assert offered.wait(10)
        closed_at = time.monotonic()
        listener.close()
        assert time.monotonic() - closed_at < 1
        assert browser.recv(100) == b""


def test_the_port_is_closed_at_once_and_the_connection_once_the_page_has_left(monkeypatch) -> None:
    listener = Listener(Loopback("127.0.0.1", None, "/callback"))
    listener.expect(lambda query: "")
    port = int(listener.redirect_uri.split(":")[2].split("/")[0])
    show, shows, goes_on = _listener._Conversation._show, threading.Event(), threading.Event()

    def slowly(self: object, page: object) -> None:
        shows.set()
        assert goes_on.wait(10)
        show(self, page)  # type: ignore[arg-type]

    monkeypatch.setattr(_listener._Conversation, "_show", slowly)
    monkeypatch.setattr(_listener, "_GRACE", 20.0)
    with socket.create_connection(("127.0.0.1", port)) as browser:
        browser.sendall(f"GET /callback?x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        listener.tell(LOGGED_IN)
        assert shows.wait(10)
        closing = start_together(1, listener.close)
        wait_until(lambda: not is_open(port))
        assert closing.running == 1
        goes_on.set()
        closing.outcomes()
        shown = b"".join(iter(lambda: browser.recv(65536), b""))
    assert b"<h1>Logged in</h1>" in shown
    assert shown.endswith(b"</html>\n")


def test_where_threads_cannot_be_had_a_connection_is_dropped(no_more_threads, monkeypatch) -> None:
    listener = Listener(Loopback("127.0.0.1", None, "/callback"))
    port = int(listener.redirect_uri.split(":")[2].split("/")[0])

    class NoThread:
        def __init__(self, **_arguments: object) -> None:
            pass

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_listener.threading, "Thread", NoThread)
    with socket.create_connection(("127.0.0.1", port)) as browser:
        assert browser.recv(1) == b""
    monkeypatch.undo()
    listener.close()
