"""Forks: in the middle of a flight, and after connections were made."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from requests_tokenrefresh import TokenRefreshAdapter, TokenSource
from tests.support.example_com import ExampleCom
from tests.support.length import long
from tests.support.scripts import Script
from tests.support.servers import HTTPServer, Reply

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

IN_FLIGHT = """
    import multiprocessing, os, sys, threading, warnings
    from requests_tokenrefresh.events import RefreshStarted, WaitStarted
    from tests.support.sessions import open_session, say, status

    warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: the point here

    def listen(event):
        if isinstance(event, (RefreshStarted, WaitStarted)):
            say(name, type(event).__name__)

    def get():
        say(name, status(session, url))

    def in_child():
        global name
        name = "child"
        get()

    name, (url, path, how) = "parent", sys.argv[1:]
    session = open_session(url, path, listeners=[listen])
    get()
    input()
    leader = threading.Thread(target=get)
    leader.start()
    input()
    if how == "os.fork":
        child = os.fork()
        if child == 0:
            try:
                in_child()
            finally:
                os._exit(0)
    else:
        process = multiprocessing.get_context("fork").Process(target=in_child)
        process.start()
    get()
    leader.join()
    if how == "os.fork":
        os.waitpid(child, 0)
    else:
        process.join()
"""


@pytest.mark.parametrize("how", ["os.fork", *long("process-life", "multiprocessing")])
def test_parent_and_child_of_a_fork_in_mid_flight_share_its_refresh(
    example_com: ExampleCom, tmp_path: Path, how: str
) -> None:
    """The child begins a flight of its own, and waits for its turn at the store."""
    with Script(IN_FLIGHT, example_com.url, tmp_path / "token.json", how) as script:
        assert [script.hear(), script.hear()] == ["parent RefreshStarted", "parent 200"]
        example_com.expire()
        gate = example_com.hold()
        script.tell()
        assert script.hear() == "parent RefreshStarted"
        assert gate.arrived.wait(10)
        script.tell()
        assert sorted([script.hear(), script.hear()]) == [
            "child RefreshStarted",
            "parent WaitStarted",
        ]
        gate.open()
        ended = script.end()
    assert (ended.status, ended.noise) == (0, "")
    assert sorted(ended.said) == ["child 200", "parent 200", "parent 200"]
    assert (example_com.token_requests, example_com.given) == (1, 2)


# -- connections -----------------------------------------------------------------------------------


def pages_of_two_children(
    session: requests.Session, url: str, *, first: Callable[[], object] = lambda: None
) -> list[str]:
    """Get a page in each of two forks, one after the other; return what they were given."""
    pages = []
    for number in range(2):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            page = b"?"
            try:
                first()
                page = session.get(f"{url}/child-{number}", timeout=10).content
            finally:
                os.write(writing, page)
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            pages.append(pipe.read())
        os.waitpid(child, 0)
    return pages


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_sends_on_no_connection_of_its_parent(
    http_server: Callable[..., HTTPServer], tmp_path: Path
) -> None:
    """Two that send on one may each read the answer to the other's request."""
    server = http_server(lambda request: Reply(body=request.path.encode()))
    with session_on(TokenRefreshAdapter(login(server, tmp_path)), server) as session:
        session.get(f"{server.url}/parent")
        assert pages_of_two_children(session, server.url) == ["/child-0", "/child-1"]
        session.get(f"{server.url}/parent")
    assert [(request.path, request.connection) for request in server.requests] == [
        ("/parent", 1),
        ("/child-0", 2),
        ("/child-1", 3),
        ("/parent", 1),
    ]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_session_that_is_closed_in_the_child_leaves_the_connections_of_its_transport_too(
    http_server: Callable[..., HTTPServer], tmp_path: Path
) -> None:
    """A wrapped adapter goes on as it did, here and in a fork; closing is the remedy it has."""
    server = http_server(lambda request: Reply(body=request.path.encode()))
    adapter = TokenRefreshAdapter(login(server, tmp_path), transport=HTTPAdapter())
    with session_on(adapter, server) as session:
        session.get(f"{server.url}/parent")
        pages = pages_of_two_children(session, server.url, first=session.close)
        session.get(f"{server.url}/parent")
    assert pages == ["/child-0", "/child-1"]
    assert [request.connection for request in server.requests] == [1, 2, 3, 1]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_keeps_the_settings_of_the_pool(
    http_server: Callable[..., HTTPServer], tmp_path: Path
) -> None:
    server = http_server(lambda request: Reply(body=request.path.encode()))
    adapter = TokenRefreshAdapter(
        login(server, tmp_path), pool_connections=3, pool_maxsize=4, pool_block=True
    )
    child = os.fork()
    if child == 0:
        status = 1
        try:
            pools = adapter.poolmanager
            settings = pools.pools._maxsize, dict(pools.connection_pool_kw)
            status = 0 if settings == (3, {"maxsize": 4, "block": True}) else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_does_not_let_go_of_its_parents_pool(
    http_server: Callable[..., HTTPServer], tmp_path: Path
) -> None:
    """Closing takes a lock that another thread of the parent may have held."""
    server = http_server(lambda request: Reply(body=request.path.encode()))
    adapter = TokenRefreshAdapter(login(server, tmp_path))
    pool = weakref.ref(adapter.poolmanager)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            gc.collect()
            kept = pool()
            status = 0 if kept is not None and kept is not adapter.poolmanager else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def login(server: HTTPServer, folder: Path) -> TokenSource:
    return TokenSource(lambda _: "new", origins=[server.url], store=folder / "t", token="good")


def session_on(adapter: TokenRefreshAdapter, server: HTTPServer) -> requests.Session:
    session = requests.Session()
    session.mount(server.url, adapter)
    return session
