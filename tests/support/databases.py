"""Fixtures: real servers and databases. None is started before a test asks for it.

A server that cannot be had here skips the tests that ask for it, with the reason. On CI (the
environment variable ``CI`` is set) it fails them, if pip could have brought it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.support.mariadb_server import MariaDBServer
from tests.support.postgres_server import PostgresServer
from tests.support.server_process import MissingServer
from tests.support.valkey_server import ValkeySentinel, ValkeyServer


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[ValkeyServer]:
    """The server behind `valkey`; use that."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[PostgresServer]:
    """The server behind `postgres`; use that."""
    with PostgresServer(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def shared_mariadb() -> Iterator[MariaDBServer]:
    """The server behind `mariadb`; use that."""
    with MariaDBServer(durable=False) as server:
        yield server


@pytest.fixture
def valkey(shared_valkey: ValkeyServer) -> ValkeyServer:
    """A Valkey without data, shared by all tests of this run: neither stop nor configure it."""
    shared_valkey.clear()
    return shared_valkey


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[ValkeyServer]:
    """A Valkey Cluster of one node, shared by all tests of this run; its data stay."""
    with ValkeyServer(cluster=True) as server:
        yield server


@pytest.fixture
def postgres(shared_postgres: PostgresServer) -> str:
    """The URL of a PostgreSQL database without tables; the server is shared by all tests."""
    shared_postgres.clear()
    return shared_postgres.url


@pytest.fixture
def mariadb(shared_mariadb: MariaDBServer) -> str:
    """The URL of a MariaDB database without tables; the server is shared by all tests."""
    shared_mariadb.clear()
    return shared_mariadb.url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite database, whose file does not exist yet."""
    return f"sqlite:///{tmp_path / 'logins.sqlite'}"


@pytest.fixture
def valkey_server() -> Iterator[Callable[..., ValkeyServer]]:
    """Start a Valkey of the test's own: ``valkey_server(durable=True)``, as `ValkeyServer`."""
    with contextlib.ExitStack() as servers:
        yield lambda *options, **settings: servers.enter_context(ValkeyServer(*options, **settings))


@pytest.fixture
def valkey_sentinel() -> Iterator[Callable[..., ValkeySentinel]]:
    """Start a Sentinel: ``valkey_sentinel(primary, name="logins", replicas=1)``."""
    with contextlib.ExitStack() as servers:
        yield lambda *args, **settings: servers.enter_context(ValkeySentinel(*args, **settings))


@pytest.fixture
def postgres_server() -> Iterator[Callable[..., PostgresServer]]:
    """Start a PostgreSQL of the test's own, as `PostgresServer`: for tests that crash it."""
    with contextlib.ExitStack() as servers:
        yield lambda *options, **settings: servers.enter_context(
            PostgresServer(*options, **settings)
        )


@pytest.fixture
def mariadb_server() -> Iterator[Callable[..., MariaDBServer]]:
    """Start a MariaDB of the test's own, as `MariaDBServer`: for tests that crash it."""
    with contextlib.ExitStack() as servers:
        yield lambda *options, **settings: servers.enter_context(
            MariaDBServer(*options, **settings)
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have a missing server told of in one line, whatever the number of tests that want it: as
    skipped where it was looked for."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, MissingServer):
        place = call.excinfo.traceback[-1]
        report.longrepr = (str(place.path), place.lineno + 1, str(call.excinfo.value))
    return report
