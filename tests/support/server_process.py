"""Server programs as child processes of the tests, each in a folder that goes with it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

from tests.support.ports import reserve_port

S = TypeVar("S", bound="ServerProcess")

_POLL = 0.005
_STOP_TIMEOUT = 10.0  # seconds; then it is killed

# Its standard input is the tests' process: each line is the server's process id, or empty while
# there is none; the end of it is the end of the tests, also when they were killed.
_WATCHDOG = """
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
    kill -s "$1" "$pid"; kill -s CONT "$pid"
fi
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$2" && break  # it may be writing its last
    sleep 0.2
done
"""


class ServerProcess:
    """One server: the same port, and the same folder, through all its starts.

    Made and started by `with`, stopped and its folder removed at the end of it. The folder and
    the process are also gone soon after the tests' process was killed. Ctrl-C reaches the tests
    only, and they stop the server.

    Args:
        name: What the folder's name begins with.

    Attributes:
        port: On 127.0.0.1. Nobody else is given it, also while the server is stopped.
        folder: For the data, and the log.
    """

    stop_signal = "SIGTERM"
    """What `stop` sends: the server ends in good order, whoever is connected."""

    crash_signal = "SIGKILL"
    """What `kill` sends: the server ends at once, and tidies up nothing."""

    refuses_root = False
    """Whether it has to run as `nobody` when the tests run as root."""

    start_timeout = 20.0
    """Seconds until it answers."""

    def __init__(self, name: str) -> None:
        if sys.platform == "win32":
            pytest.skip("these servers are crashed and paused by signals, which Windows has not")
        self._user = "nobody" if self.refuses_root and os.geteuid() == 0 else None
        self.port, self._reservation = reserve_port()
        # Root's own $TMPDIR may be closed to another user.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp" if self._user else None))
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None  # None: stopped
        self._watchdog = subprocess.Popen(
            ["sh", "-c", _WATCHDOG, "watchdog", self.crash_signal[3:], self.folder],
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )

    def _command(self) -> Sequence[str | Path]:
        """Return the program and its arguments."""
        raise NotImplementedError

    def _environment(self) -> Mapping[str, str]:
        """Return its environment."""
        return os.environ

    def _is_ready(self) -> bool:
        """Say whether it answers; called until it does. An `OSError` means no."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The process id; only while it runs."""
        assert self._process is not None, "the server is stopped"
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written so far, in all its runs."""
        return self._log_file.read_text(errors="replace")

    def __enter__(self: S) -> S:  # noqa: PYI019 - typing.Self came with Python 3.11
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self._process is None, "the server runs already"
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._user,
            )
        self._tell_watchdog(str(self._process.pid))
        self._wait_until_ready()

    def stop(self) -> None:
        """Ask it to end, and wait until it has. May be called again."""
        if self._process is None:
            return
        self._send("SIGCONT")
        self._send(self.stop_signal)
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def kill(self) -> None:
        """Crash it: `crash_signal`, and wait until it is gone; also while it stands still."""
        self._send(self.crash_signal)
        self._send("SIGCONT")
        self._reap()

    def pause(self) -> None:
        """Return when it stands still: it accepts connections, and answers nothing."""
        self._send("SIGSTOP")
        os.waitpid(self.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._send("SIGCONT")

    def close(self) -> None:
        """Crash it, which is quickest, and remove its folder. May be called again."""
        if self._process is not None:
            self.kill()
        self._reservation.close()
        self._watchdog.communicate()

    def _run(self, *command: str | Path) -> None:
        """Run a program to its end, as the user and in the folder of the server."""
        with self._log_file.open("ab") as log:
            ended = subprocess.run(
                command,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                user=self._user,
            )
        assert ended.returncode == 0, f"{command} ended with {ended.returncode}:\n{self.log}"

    @property
    def _log_file(self) -> Path:
        return self.folder / "log"

    def _send(self, name: str) -> None:
        os.kill(self.pid, signal.Signals[name])

    def _reap(self) -> None:
        assert self._process is not None
        self._process.wait(_STOP_TIMEOUT)
        self._process = None
        self._tell_watchdog("")

    def _tell_watchdog(self, pid: str) -> None:
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.write(f"{pid}\n".encode())

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        end = time.monotonic() + self.start_timeout
        while not self._answers():
            status = self._process.poll()
            if status is not None:
                self._reap()
                raise AssertionError(f"the server ended with status {status}:\n{self.log}")
            if time.monotonic() > end:
                raise AssertionError(f"no answer for {self.start_timeout} s:\n{self.log}")
            time.sleep(_POLL)

    def _answers(self) -> bool:
        try:
            return self._is_ready()
        except OSError:
            return False


def find_wheel(package: str) -> Path | None:
    """Return the folder of an installed package, which is not imported; None: not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


class MissingServer(pytest.skip.Exception):
    """Skips a test, for want of a server. It says how to have one."""


def unavailable(reason: str) -> NoReturn:
    """Skip the test, for want of a server; on CI, fail it, unless on Windows."""
    if os.environ.get("CI") and sys.platform != "win32":
        pytest.fail(reason)
    raise MissingServer(reason)
