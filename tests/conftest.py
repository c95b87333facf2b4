"""Servers that are gone when their test ends, and patience on a busy machine."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator

import hypothesis
import pytest

from tests.support.length import leave_out_what_is_long
from tests.support.servers import Handler, HTTPServer, RawServer
from tests.support.threats import mark_attacks

# The last by the name of its entry point: where that is installed, pytest knows it already.
pytest_plugins = [
    *("tests.support.databases", "tests.support.secrecy"),
    "pytest_requests_tokenrefresh",
]

# An example may be slow because the machine is busy, which says nothing about the code. Examples
# that nobody has seen are for those who look for them: tox -e fuzzing, tox -e model.
hypothesis.settings.register_profile(
    "busy",
    deadline=None,
    derandomize=True,
    max_examples=10,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("busy")

# A shell starts what it runs in the background with Ctrl-C ignored, and so all that is started from
# there. What is handled here is not ignored by child processes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Programs are run as most people run them: with this, what they forget to flush is seen as well.
os.environ.pop("PYTHONUNBUFFERED", None)

# With mutants it only matters whether there is a counter-example, not how small it can be made.
hypothesis.settings.register_profile(
    "mutation",
    hypothesis.settings.get_profile("busy"),
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


@hypothesis.given(hypothesis.strategies.none())
def _draw_nothing(_nothing: None) -> None:
    """Let Hypothesis look for who holds its random numbers, before that is frozen and not found."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Tests live to the end: to look among them for garbage takes a quarter of what they take."""
    _draw_nothing()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark_attacks(items)
    leave_out_what_is_long(config, items)


@pytest.fixture
def http_server() -> Iterator[Callable[..., HTTPServer]]:
    """Start an `HTTPServer`: ``http_server(handler, host="127.0.0.1")``."""
    with contextlib.ExitStack() as servers:

        def start(handler: Handler, *, host: str = "127.0.0.1") -> HTTPServer:
            return servers.enter_context(HTTPServer(handler, host=host))

        yield start


@pytest.fixture
def raw_server() -> Iterator[Callable[..., RawServer]]:
    """Start a `RawServer`: ``raw_server(script, host="127.0.0.1")``."""
    with contextlib.ExitStack() as servers:

        def start(script: Callable[[socket.socket], None], *, host: str = "127.0.0.1") -> RawServer:
            return servers.enter_context(RawServer(script, host=host))

        yield start


@pytest.fixture
def no_more_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on the test can start no threads; its servers can.

    As at the end of a program on Python 3.12, or where a process may have no more of them.
    """
    refused, start = threading.current_thread(), threading.Thread.start

    def start_or_raise(thread: threading.Thread) -> None:
        if threading.current_thread() is refused:
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(thread)

    return lambda: monkeypatch.setattr(threading.Thread, "start", start_or_raise)
