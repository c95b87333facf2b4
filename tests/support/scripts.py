"""Programs of a few lines, each in a process of its own, and a test that talks to them.

For what happens once in the life of a process: its end, a signal, a library that patches Python.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

_ROOT = Path(__file__).parents[2]
_PATIENCE = 30.0  # seconds for whatever is waited for; then the test fails
_ONCE_MORE = 0.25  # seconds until a signal is sent again


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        status: As `subprocess.Popen.returncode`.
        said: The lines that it wrote and nobody has heard.
        noise: What it wrote to its standard error.
    """

    status: int
    said: list[str]
    noise: str


class Script:
    """A program that runs until it ends, or its ``with`` block does.

    Args:
        source: The program. It may import from `tests.support`.
        arguments: Its ``sys.argv[1:]``.
    """

    def __init__(self, source: str, *arguments: object) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            # So that what hangs shows where, when it is aborted.
            [sys.executable, "-X", "faulthandler", "-c", dedent(source), *map(str, arguments)],
            cwd=_ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "no_proxy": "*"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name="script-reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> Script:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill it, unless it has ended. May be called again."""
        self._process.kill()
        self._process.communicate()
        self._reader.join()
        self._errors.close()

    def hear(self) -> str:
        """Return the next line that it writes."""
        try:
            line = self._lines.get(timeout=_PATIENCE)
        except queue.Empty:
            raise self._failure("has written nothing") from None
        assert line is not None, f"it has ended instead of writing a line:\n{self._noise()}"
        return line

    def tell(self, line: str = "") -> None:
        """Write *line* to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def signal(self, name: str, timeout: float) -> str | None:
        """Send a signal until the program has something to say about it, or has ended.

        Once is not always enough: Python does not notice one that comes between its last look for
        signals and the beginning of a wait before the wait is over.

        Args:
            name: ``"SIGINT"``. The program is to ignore it from the second time on.
            timeout: Seconds for all of it.

        Returns:
            The line that it wrote; None if it has ended instead.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self._process.send_signal(signal.Signals[name])
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=_ONCE_MORE)
                if line is None:
                    self._lines.put(None)  # for `end`
                return line
        raise self._failure(f"has not noticed {name} for {timeout:g} s")

    def end(self, timeout: float = _PATIENCE) -> Ended:
        """Wait until it has ended by itself, at most *timeout* seconds."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._failure(f"has not ended within {timeout:g} s") from None
        said = list(iter(self._lines.get, None))
        return Ended(status, said, self._noise())

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _noise(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def _failure(self, problem: str) -> AssertionError:
        self._process.send_signal(signal.SIGABRT)
        self._process.wait()
        return AssertionError(f"the program {problem}:\n{self._noise()}")


def run(source: str, *arguments: object) -> Ended:
    """Run a program to its end."""
    with Script(source, *arguments) as script:
        return script.end()
