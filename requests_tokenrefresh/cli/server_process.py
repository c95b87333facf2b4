"""The demo's server in a process of its own, as the process that wants it sees it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from subprocess import PIPE, Popen
from typing import IO, Any, cast

import requests

from ..interactive._environment import for_a_child
from .login_records import Login
from .server import ServerSettings


class ServerProcess:
    """A running server.

    Attributes:
        url: Its origin.
    """

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self._session = session

    @property
    def data_url(self) -> str:
        """What the tokens protect."""
        return f"{self.url}/data"

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return f"{self.url}/oauth/token"

    def log_in(self) -> dict[str, Any]:
        """Begin a login; return its first token reply (RFC 6749 section 5.1)."""
        return cast("dict[str, Any]", self._ask("POST", "/login"))

    def counts(self) -> Login:
        """Return what happened to the login that began last."""
        return Login(**self._ask("GET", "/counts"))

    def _ask(self, method: str, path: str) -> Any:
        response = self._session.request(method, f"{self.url}{path}", timeout=10)
        response.raise_for_status()
        return response.json()


@contextmanager
def server_process(settings: ServerSettings) -> Iterator[ServerProcess]:
    """Start a server; stop it at the end of the ``with`` block, or when this process dies.

    Raises:
        OSError: It did not start.
    """
    command = [sys.executable, "-m", f"{__package__}.server", json.dumps(asdict(settings))]
    # Closing its standard input stops it. So does the death of this process, however it dies.
    with (
        Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=for_a_child()) as process,  # noqa: S603  # nosec B603  # our own
        requests.Session() as session,
    ):
        session.trust_env = False  # a proxy would look for 127.0.0.1 on its own machine
        url = cast("IO[str]", process.stdout).readline().strip()
        if not url:
            raise OSError("the demo's server did not start; what it wrote above says why")
        yield ServerProcess(url, session)
