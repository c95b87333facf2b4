"""The command as somebody types it: on a terminal of 80 columns, or on less than one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_PATIENCE = 30.0  # seconds
_SIZE = struct.pack("HHHH", 24, 80, 0, 0)  # rows, columns

NO_COLOR = {"TERM": "xterm-256color", "NO_COLOR": "1"}
DUMB = {"TERM": "dumb"}
ASCII = {
    "LC_ALL": "C",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
    "PYTHONIOENCODING": "",
    "TERM": "xterm",
}
USUAL = {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}


class TypedCommand:
    """A running ``requests-tokenrefresh``; killed at the end of its ``with`` block.

    Args:
        arguments: Those of the command.
        stdin: ``tty``, ``null``, or ``closed``.
        stderr_is_tty: Whether standard error is the terminal too, or a pipe. Standard output is
            always a pipe.
        environ: Beside the environment that there is.
        program: What Python runs, if not the command.

    Attributes:
        out: What it has written to standard output.
        told: What it has written to standard error. On a terminal the echo is in it.
    """

    def __init__(
        self,
        *arguments: object,
        stdin: str = "tty",
        stderr_is_tty: bool = True,
        environ: dict[str, str] | None = None,
        program: Sequence[str] = ("-m", "requests_tokenrefresh"),
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, _SIZE)
        self._theirs = theirs

        def settle() -> None:
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
            if stdin == "closed":
                os.close(0)

        without = {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "NO_COLOR", "COLUMNS", "LINES"}
        usual = {name: value for name, value in os.environ.items() if name not in without}
        self._process = subprocess.Popen(
            [sys.executable, *program, *map(str, arguments)],
            cwd=_ROOT,
            env={**usual, "no_proxy": "*", **USUAL, **(environ or {})},
            stdin=theirs if stdin == "tty" else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs if stderr_is_tty else subprocess.PIPE,
            start_new_session=True,
            preexec_fn=settle,
        )
        assert self._process.stdout is not None
        self._from_out = self._process.stdout.fileno()
        errors = self._process.stderr
        self._from_err = self._ours if errors is None else errors.fileno()
        self._open = {self._from_out, self._from_err}
        self._read_of = dict.fromkeys(self._open, b"")
        self.out = ""
        self.told = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> TypedCommand:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(self, *_exc: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        os.close(self._ours)
        os.close(self._theirs)

    def hear(self, words: str) -> str:
        """Wait until it has told *words*; return all that it has told."""
        end = time.monotonic() + _PATIENCE
        while words not in self.told:
            assert time.monotonic() < end, f"{words!r} is not in {self.told!r}"
            assert self._process.poll() is None or self._read(0), self.told + self.out
            self._read(0.1)
        return self.told

    def type(self, text: str) -> None:
        """Type *text*; ``"\\x03"`` is Ctrl-C."""
        os.write(self._ours, text.encode())

    def modes(self) -> list[Any]:
        """Return how the terminal is set."""
        return termios.tcgetattr(self._theirs)

    def wait(self) -> int:
        """Wait for its end, and return the exit code."""
        end = time.monotonic() + _PATIENCE
        while self._process.poll() is None:
            assert time.monotonic() < end, self.told
            self._read(0.05)
        while self._read(0):
            pass
        return self._process.returncode

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select(list(self._open), [], [], seconds)
        for one in ready:
            try:
                got = os.read(one, 1 << 16)
            except OSError:  # nobody has the terminal any more
                got = b""
            if not got:
                self._open.discard(one)
            self._read_of[one] += got
        self.out = self._read_of[self._from_out].decode(errors="replace")
        told = self._read_of[self._from_err].decode(errors="replace")
        self.told = told.replace("\r\n", "\n")
        return bool(ready)
