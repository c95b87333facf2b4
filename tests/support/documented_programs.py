"""Programs that the documentation shows with the command that starts them, run as it says."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from requests_tokenrefresh import FileTokenStore, Token
from tests.support.documents import save_scripts, shown_command
from tests.support.example_com import ExampleCom
from tests.support.server_process import ServerProcess
from tests.support.threads import wait_until

PATIENCE = 30.0  # seconds for what other processes do; then the test fails

LOGIN = {"access_token": "access-0", "refresh_token": "refresh-0"}


def log_in(home: Path) -> None:
    """Begin the login of those who keep it in a file below their home."""
    store = FileTokenStore(home / ".config/reports/token.json")
    store.save(Token.from_mapping(LOGIN, received_at=0))


class Program(ServerProcess):
    """A program of a page that serves, in a folder that is its home and has the page's scripts.

    Args:
        page: The document.
        name: The first word of its command line.
        addresses: As for `save_scripts`.
    """

    crash_signal = "SIGTERM"  # so that it takes its workers along, if the tests have been killed

    def __init__(self, page: Path, name: str, addresses: Mapping[str, str]) -> None:
        super().__init__(name)
        self.words = shown_command(page, name)
        save_scripts(page, addresses, self.folder)

    def close(self) -> None:
        if self._process is not None:
            os.killpg(self.pid, signal.SIGKILL)
        super().close()

    def _command(self) -> list[str]:
        return [sys.executable, "-m", *self.words]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.folder)}


class Gunicorn(Program):
    """Two workers, that answer on a port of ours."""

    def __init__(self, page: Path, addresses: Mapping[str, str]) -> None:
        super().__init__(page, "gunicorn", addresses)

    @property
    def threads(self) -> int:
        """How many requests each worker answers at once."""
        return int(self.words[self.words.index("--threads") + 1])

    @property
    def workers(self) -> list[int]:
        """The process ids of all that were started."""
        return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", self.log)]

    def get(self) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}/", timeout=PATIENCE)

    def _environment(self) -> dict[str, str]:
        bind = f"--bind 127.0.0.1:{self.port}"
        return {**super()._environment(), "GUNICORN_CMD_ARGS": bind}

    def _is_ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return len(self.workers) == 2


@contextmanager
def only(worker: int, server: Gunicorn) -> Iterator[None]:
    """Let the other worker stand still, so that this one takes the requests."""
    [other] = set(server.workers) - {worker}
    os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it has been killed meanwhile
            os.kill(other, signal.SIGCONT)


def get_by_every_thread(
    server: Gunicorn, site: ExampleCom, clients: Executor
) -> list[Future[requests.Response]]:
    """Let the token expire, and every thread of every worker meet that at once."""
    site.expire()
    site.hold_rejections(2 * server.threads)
    answers = []
    for number, worker in enumerate(server.workers, start=1):
        with only(worker, server):
            answers += [clients.submit(server.get) for _ in range(server.threads)]
            wait_until(lambda so_far=number * server.threads: site.rejections == so_far, PATIENCE)
    return answers
