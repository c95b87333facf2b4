"""The processes that this package starts, and what they know of it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from requests_tokenrefresh.cli.client_secret import VARIABLE
from requests_tokenrefresh.cli.server import ServerSettings
from requests_tokenrefresh.cli.server_process import server_process
from requests_tokenrefresh.interactive._browser import is_there, open_address
from tests.support.threads import wait_until


def start_server() -> None:
    with server_process(ServerSettings()):
        pass


STARTED: dict[str, Callable[[], object]] = {
    "a browser": lambda: open_address("https://auth.example.com/", "true %s", lambda: None),
    "a look for one": lambda: is_there("true %s"),
    "the demo's server": start_server,
}


@pytest.mark.skipif(sys.platform == "win32", reason="the interpreter is a script of a shell")
@pytest.mark.parametrize("start", STARTED.values(), ids=STARTED)
def test_no_child_has_the_clients_secret(start, tmp_path: Path, monkeypatch) -> None:
    """It has all else: where the screen is, what a proxy is called."""
    seen = tmp_path / "seen"
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nenv > {seen}.part\nmv {seen}.part {seen}\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv(VARIABLE, "s3cret")
    monkeypatch.setenv("DISPLAY", ":7")
    start()
    wait_until(seen.exists, 20)
    wait_until(lambda: all(one.name != "login-browser" for one in threading.enumerate()), 20)
    environ = dict(line.partition("=")[::2] for line in seen.read_text().splitlines())
    assert "s3cret" not in seen.read_text()
    assert (environ["DISPLAY"], environ["PATH"]) == (":7", os.environ["PATH"])
