"""Browsers as they are: they block, print, fail, want the terminal, or are not there."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from textwrap import dedent

import pytest

from requests_tokenrefresh import LoginFailedError
from requests_tokenrefresh.interactive._browser import has_screen, is_there, open_address
from requests_tokenrefresh.interactive._way import Chances, can_open_browser, choose
from tests.support.threads import wait_until

ADDRESS = "https://auth.example.com/authorize?state=s&scope=a%20b"


@pytest.fixture
def browser(tmp_path: Path):
    """Return a command that runs *source* as a browser, with the address in sys.argv[1]."""

    def write(source: str) -> str:
        program = tmp_path / "browser.py"
        program.write_text(dedent(source))
        return f"{sys.executable} {program} %s"

    return write


def failed() -> None:
    raise AssertionError("it could be opened")


def test_the_browser_gets_the_address_as_it_is(browser, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    command = browser(f"import sys; open({str(seen)!r}, 'w').write(sys.argv[1])")
    open_address(ADDRESS, command, failed)
    wait_until(lambda: seen.exists() and seen.read_text() == ADDRESS, 20)


def test_dollar_browser_is_the_usual_one(browser, tmp_path: Path, monkeypatch) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv(
        "BROWSER", browser(f"import sys; open({str(seen)!r}, 'w').write(sys.argv[1])")
    )
    assert can_open_browser(None)
    open_address(ADDRESS, None, failed)
    wait_until(lambda: seen.exists() and seen.read_text() == ADDRESS, 20)


@pytest.mark.skipif(sys.platform == "win32", reason="it is Linux in Windows")
def test_wslview_is_the_usual_one_where_it_is(tmp_path: Path, monkeypatch) -> None:
    seen = tmp_path / "seen"
    wslview = tmp_path / "wslview"
    wslview.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}\n')
    wslview.chmod(0o755)
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert can_open_browser(None)
    open_address(ADDRESS, None, failed)
    wait_until(lambda: seen.exists() and seen.read_text() == ADDRESS, 20)


def test_a_browser_that_blocks_holds_up_nobody(browser, tmp_path: Path) -> None:
    started, end = tmp_path / "started", tmp_path / "end"
    command = browser(f"""
        import pathlib, time
        pathlib.Path({str(started)!r}).touch()
        while not pathlib.Path({str(end)!r}).exists():
            time.sleep(0.01)
    """)
    open_address(ADDRESS, command, failed)
    wait_until(started.exists, 20)
    assert any(thread.name == "login-browser" for thread in threading.enumerate())
    end.touch()
    wait_until(lambda: all(t.name != "login-browser" for t in threading.enumerate()), 20)


@pytest.mark.skipif(sys.platform == "win32", reason="sessions are of POSIX")
def test_ctrl_c_here_does_not_end_the_browser(browser, tmp_path: Path) -> None:
    """A terminal sends it to a whole group of processes."""
    seen = tmp_path / "seen"
    open_address(
        ADDRESS,
        browser(f"import os; open({str(seen)!r}, 'w').write(f'{{os.getsid(0)}}.')"),
        failed,
    )
    wait_until(lambda: seen.exists() and seen.read_text().endswith("."), 20)
    assert seen.read_text() != f"{os.getsid(0)}."


def test_a_browser_that_prints_prints_nothing_here(
    browser, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    printed = tmp_path / "printed"
    command = browser(f"""
        import pathlib, sys
        print("to stdout", flush=True)
        print("to stderr", file=sys.stderr, flush=True)
        assert sys.stdin.read() == ""
        pathlib.Path({str(printed)!r}).touch()
    """)
    open_address(ADDRESS, command, failed)
    wait_until(printed.exists, 20)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["no-such-browser-here", "false", "w3m %s", "/usr/bin/lynx %s"])
def test_a_browser_that_cannot_be_opened_is_said(command: str, monkeypatch, tmp_path: Path) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))  # and there is no other
    said = threading.Event()
    open_address(ADDRESS, command, said.set)
    assert said.wait(20)


@pytest.mark.parametrize("command", ["w3m %s", "/usr/bin/lynx %s"])
def test_a_browser_on_the_terminal_is_none(command: str, monkeypatch) -> None:
    monkeypatch.setenv("BROWSER", command)
    assert not can_open_browser(None)


def test_a_function_may_be_the_browser() -> None:
    opened: list[str] = []
    assert is_there(opened.append)
    open_address(ADDRESS, opened.append, failed)
    wait_until(lambda: opened == [ADDRESS])


def test_a_function_that_raises_has_opened_nothing() -> None:
    def broken(address: str) -> None:
        raise OSError(address)

    said = threading.Event()
    open_address(ADDRESS, broken, said.set)
    assert said.wait(10)


def test_a_frozen_program_does_not_start_itself(monkeypatch) -> None:
    """Its sys.executable is no Python."""
    opened: list[str] = []
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr("subprocess.run", failed)

    class Browser:
        def open(self, address: str) -> bool:
            opened.append(address)
            return True

    monkeypatch.setattr("webbrowser.get", lambda name: Browser())
    assert is_there(None)
    open_address(ADDRESS, None, failed)
    wait_until(lambda: opened == [ADDRESS])


@pytest.mark.parametrize(
    ("environ", "platform", "wslview", "screen"),
    [
        ({}, "linux", None, False),
        ({"DISPLAY": ":0"}, "linux", None, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", None, True),
        ({"DISPLAY": ""}, "linux", None, False),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "1 2 3 4"}, "linux", None, False),
        ({"SSH_TTY": "/dev/pts/1"}, "darwin", None, False),
        ({"BROWSER": "firefox", "SSH_CONNECTION": "1 2 3 4"}, "linux", None, True),
        ({"BROWSER": ""}, "linux", None, False),
        ({}, "darwin", None, True),
        ({}, "win32", None, True),
        ({}, "linux", "/usr/bin/wslview", True),
    ],
)
def test_where_there_is_a_screen(environ, platform, wslview, screen, monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("requests_tokenrefresh.interactive._browser.which", lambda name: wslview)
    assert has_screen(environ) is screen


def chances(letters: str) -> Chances:
    """Return what there is: c(ode), d(evice), b(rowser), t(erminal), l(istening)."""
    return Chances(
        code="c" in letters,
        device="d" in letters,
        browser=lambda: "b" in letters,
        terminal="t" in letters,
        listens="l" in letters,
    )


@pytest.mark.parametrize(
    ("how", "there", "way"),
    [
        ("auto", "cdbtl", "browser"),
        ("auto", "cbl", "browser"),
        ("auto", "cbt", "browser"),
        ("auto", "cdb", "device"),
        ("auto", "cdtl", "device"),
        ("auto", "dbtl", "device"),
        ("auto", "d", "device"),
        ("auto", "ctl", "paste"),
        ("auto", "ct", "paste"),
        ("browser", "cl", "browser"),
        ("device", "cdbtl", "device"),
        ("paste", "cdbtl", "paste"),
    ],
)
def test_the_way(how, there, way) -> None:
    assert choose(how, chances(there)) == way


@pytest.mark.parametrize(
    ("how", "there", "words"),
    [
        ("auto", "cl", "no browser can be opened"),
        ("auto", "b", "neither an authorization endpoint nor a device"),
        ("auto", "bt", "neither an authorization endpoint nor a device"),
        ("device", "cbtl", "no device authorization endpoint"),
        ("browser", "dbtl", "no authorization endpoint"),
        ("browser", "cdb", "no terminal"),
        ("paste", "cdbl", "no terminal"),
        ("paste", "dbtl", "no authorization endpoint"),
    ],
)
def test_no_way(how, there, words) -> None:
    with pytest.raises(LoginFailedError, match=words) as caught:
        choose(how, chances(there))
    assert caught.value.reason == "no_way"
