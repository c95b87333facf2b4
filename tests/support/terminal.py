"""A program on a terminal of its own, which a test types at."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.support.secrecy import tell_output

_ROOT = Path(__file__).parents[2]
_PATIENCE = 30.0  # seconds


class Terminal:
    """A program whose standard input is a terminal, and its two outputs pipes; ends with its
    ``with`` block.

    Args:
        source: The program. It may import from `tests.support`.
        arguments: Its ``sys.argv[1:]``.
        stdin: ``tty``, ``null``, or ``closed``.
        environ: Beside the environment that there is.

    Attributes:
        shown: What the terminal has shown: the echo, and nothing else.
    """

    def __init__(
        self,
        source: str,
        *arguments: object,
        stdin: str = "tty",
        environ: dict[str, str] | None = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = b""
        self.said = ""
        program = dedent(source)
        if stdin == "closed":
            program = "import sys; sys.stdin = None\n" + program
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", program, *map(str, arguments)],
            cwd=_ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "no_proxy": "*", **(environ or {})},
            stdin=theirs if stdin == "tty" else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0) and None,
        )
        self._theirs = theirs

    def __enter__(self) -> Terminal:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(self, *_exc: object) -> None:
        tell_output(self.said, self.shown)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        os.close(self._ours)
        os.close(self._theirs)

    def hear(self, words: str) -> str:
        """Wait until the program has written *words*; return all it has written."""
        end = time.monotonic() + _PATIENCE
        while words not in self.said:
            assert time.monotonic() < end, f"{words!r} is not in {self.said!r}"
            self._read(0.2)
        return self.said

    def type(self, text: str) -> None:
        """Type, or paste, *text*."""
        data = text.encode()
        while data:
            # A terminal takes only so much at once.
            _, ready, _ = select.select([], [self._ours], [], _PATIENCE)
            assert ready, "nobody reads what is typed"
            data = data[os.write(self._ours, data[:512]) :]

    def modes(self) -> list[Any]:
        """Return how the terminal is set."""
        return termios.tcgetattr(self._theirs)

    def wait(self) -> int:
        """Wait for the end, and return the status."""
        end = time.monotonic() + _PATIENCE
        while self._process.poll() is None:
            assert time.monotonic() < end, self.said
            self._read(0.05)
        while self._read(0):
            pass
        return self._process.returncode

    def _read(self, seconds: float) -> bool:
        assert self._process.stdout is not None
        out = self._process.stdout.fileno()
        ready, _, _ = select.select([out, self._ours], [], [], seconds)
        got = b""
        if out in ready:
            got = os.read(out, 65536)
            self.said += got.decode()
        if self._ours in ready:
            self.shown += os.read(self._ours, 65536)
        return bool(got)
