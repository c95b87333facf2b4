"""A real MariaDB server, if the machine has one."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import pymysql

from tests.support.server_process import MissingServer, ServerProcess

_DATABASE = "logins"


class MariaDBServer(ServerProcess):
    """One MariaDB, with one database; its data stay until the end.

    Args:
        options: More of its command line: ``"--innodb-lock-wait-timeout=1"``.
        durable: Have every commit on disk before it is answered. Without it, commits are faster.
    """

    def __init__(self, *options: str, durable: bool = True) -> None:
        self._server = find_program("mariadbd")
        self._installer = find_program("mariadb-install-db")
        super().__init__("mariadb")
        self._options = [f"--innodb-flush-log-at-trx-commit={int(durable)}", *options]

    def _command(self) -> Sequence[str | Path]:
        return [
            self._server,
            "--no-defaults",
            f"--datadir={self._data}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self._socket}",
            f"--pid-file={self.folder / 'pid'}",
            f"--tmpdir={self.folder}",
            *self._as_root(),
            *self._options,
        ]

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": _PROGRAMS, "LC_ALL": "C"}

    @property
    def url(self) -> str:
        """Its database, for SQLAlchemy."""
        # Without the last, PyMySQL reads the machine's certificates for each connection: 15 ms.
        options = "charset=utf8mb4&ssl_disabled=true"
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{_DATABASE}?{options}"

    def start(self) -> None:
        if not self._data.exists():
            self._run(
                self._installer,
                "--no-defaults",
                f"--datadir={self._data}",
                # A server that starts removes temporary tables, whosever they are.
                f"--tmpdir={self.folder}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
                "--innodb-log-file-size=8M",
                *self._as_root(),
            )
        super().start()
        self._execute(f"CREATE DATABASE IF NOT EXISTS {_DATABASE}")

    def clear(self) -> None:
        """Disconnect everybody, and forget all tables."""
        self._execute("KILL USER root")  # this connection too, when the statement has ended
        self._execute(f"DROP DATABASE {_DATABASE}", f"CREATE DATABASE {_DATABASE}")

    @property
    def _socket(self) -> Path:
        return self.folder / "socket"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _as_root(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []  # it wants to be told

    def _execute(self, *statements: str) -> None:
        # To log in by TCP takes 45 ms: its packets wait for delayed acknowledgements.
        address = {"unix_socket": str(self._socket), "ssl_disabled": True}
        with pymysql.connect(user="root", **address) as connection:
            for statement in statements:
                connection.cursor().execute(statement)

    def _is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:  # PyMySQL leaks the socket of a refusal
            probe.connect(str(self._socket))
        try:
            self._execute("SELECT 1")
        except pymysql.OperationalError:
            return False
        return True


# An ordinary user's PATH has no sbin, where Debian keeps the server.
_PROGRAMS = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin"


def find_program(name: str) -> Path:
    """Return where a program of MariaDB is; skip the test if it is not."""
    program = shutil.which(name, path=_PROGRAMS)
    if program is None:
        # No wheel has it; and CI does without, as its tests are not in a run of all tests.
        raise MissingServer(
            f"no {name}: on Debian apt-get install mariadb-server, on macOS brew install mariadb"
        )
    return Path(program)
