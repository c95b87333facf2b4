"""A pytest plugin that puts our adapter in the way of every request another project's tests send.

``--way`` says how:

* ``plain``: not at all.
* ``in-place``: `requests.adapters.HTTPAdapter` is our adapter, so each session mounts it, and what
  is derived from `HTTPAdapter` derives from ours.
* ``mounted``: only what a session mounts by itself is ours, for tests that replace methods of
  `HTTPAdapter`.
* ``in-front``: each adapter a session sends with, whatever it is, is the transport of ours.
* ``installed``: `install` mounts ours on each session, beside what it has. What counts is the
  session: no test meets the origin.

No name but this machine's can be resolved, so a test that needs a network fails at once, plain too.
The address that requests' tests take for one that never answers is one of this machine that does
not: it has as many connections waiting as it takes.
With ``+token`` behind it, the source has a token, otherwise none; it is for an origin that no test
meets. No way reaches what is sent without `requests.Session`: by an adapter's own `send`, or by
urllib3.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from requests_tokenrefresh import (
    FileTokenStore,
    RefreshTokenGrant,
    TokenRefreshAdapter,
    TokenSource,
    install,
)

_PARAMETERS = list(inspect.signature(HTTPAdapter).parameters)
_SEND = requests.Session.send.__code__
_HERE = re.compile(r"localhost|127\..*|::1|0\.0\.0\.0|")
_SILENT = "10.255.255.1"

# A file, so that sessions pickle.
_directory = tempfile.TemporaryDirectory()
_tokens = TokenSource(
    RefreshTokenGrant("https://auth.example.com/token", client_id="suite"),
    origins=["https://never-met.example.com"],
    store=FileTokenStore(Path(_directory.name) / "token.json"),
)

_running: str | None = None  # the test's name
_outcomes: dict[str, str] = {}
_reached: dict[str | None, None] = {}
_crowd: list[socket.socket] = []  # whom nobody accepts, and who stay


class Ours(TokenRefreshAdapter):
    """Takes what `HTTPAdapter` takes, and notes which tests it serves."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.update(zip(_PARAMETERS, args, strict=False))
        super().__init__(_tokens, **options)

    def send(self, *args: Any, **how: Any) -> requests.Response:
        """Send as `TokenRefreshAdapter` does."""
        _reached[_running] = None
        return super().send(*args, **how)


def _stay_on_this_machine() -> None:
    resolve = socket.getaddrinfo

    def resolve_here(host: str | bytes | None, *args: Any, **options: Any) -> Any:
        if host == _SILENT:
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", _silent_address())]
        if not _HERE.fullmatch(host.decode() if isinstance(host, bytes) else host or ""):
            raise socket.gaierror(socket.EAI_NONAME, "tests stay on this machine")
        return resolve(host, *args, **options)

    socket.getaddrinfo = resolve_here


@functools.cache
def _silent_address() -> Any:
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    _crowd.append(listener)
    while True:
        visitor = socket.socket()
        _crowd.append(visitor)
        visitor.settimeout(0.1)
        try:
            visitor.connect(listener.getsockname())
        except TimeoutError:
            return listener.getsockname()


def _swap(way: str) -> None:
    if way in ("in-place", "mounted"):
        requests.sessions.HTTPAdapter = Ours
    if way == "in-place":
        requests.adapters.HTTPAdapter = Ours
    if way == "in-front":
        requests.Session.get_adapter = _with_ours_in_front(requests.Session.get_adapter)
    if way == "installed":
        install(_tokens)
        requests.Session.mount = _noting_ours(requests.Session.mount)


def _noting_ours(mount: Any) -> Any:
    def mount_and_note(session: requests.Session, prefix: str, adapter: BaseAdapter) -> None:
        if isinstance(adapter, TokenRefreshAdapter):
            _reached[_running] = None
        mount(session, prefix, adapter)

    return mount_and_note


def _with_ours_in_front(get_adapter: Any) -> Any:
    fronts: WeakKeyDictionary[BaseAdapter, Ours] = WeakKeyDictionary()

    def get_front(session: requests.Session, url: str) -> BaseAdapter:
        adapter = get_adapter(session, url)
        if sys._getframe(1).f_code is not _SEND:  # a test that wants to see what is mounted
            return adapter
        if adapter not in fronts:
            fronts[adapter] = Ours(transport=adapter)
        return fronts[adapter]

    return get_front


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the way, and where the outcomes go."""
    parser.addoption("--way", required=True)
    parser.addoption("--outcomes", type=Path, required=True)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Swap before anything of theirs is imported."""
    way, _, held = early_config.known_args_namespace.way.partition("+")
    if held:
        _tokens.login({"access_token": "secret", "refresh_token": "secret", "expires_in": 3600})
    _swap(way)
    _stay_on_this_machine()


def pytest_runtest_logstart(nodeid: str) -> None:
    """Note which test is running."""
    global _running
    _running = nodeid


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how the test ended, which is how the first of its phases did that did not pass."""
    if _outcomes.get(report.nodeid, "passed") == "passed":
        _outcomes[report.nodeid] = "xfailed" if hasattr(report, "wasxfail") else report.outcome


def pytest_unconfigure(config: pytest.Config) -> None:
    """Write it all down."""
    found = {"outcomes": _outcomes, "reached": [name for name in _reached if name]}
    config.getoption("outcomes").write_text(json.dumps(found))
    _directory.cleanup()
