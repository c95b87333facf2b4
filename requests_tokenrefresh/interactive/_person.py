"""What the person at the terminal is told while a login is waited for: all on standard error."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

from ._duration import duration
from ._invitation import Invitation


class Person:
    """Tells the person, and on a terminal how long there is left; until its ``with`` block ends.

    Plain text, in which an address has a line to itself, however long: so it can be copied. Safe
    from any thread.

    Args:
        beside: Called with each invitation; returns what is told below it.

    Attributes:
        asked: Whether there was something to tell.
    """

    def __init__(self, beside: Callable[[Invitation], str] | None = None) -> None:
        self.asked = False
        self._beside = beside
        self._over = threading.Event()
        self._turn = threading.Lock()
        self._shown = ""  # of the time left; guarded by _turn

    def __enter__(self) -> Person:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        with self._turn:
            self._show("")

    def __call__(self, text: str) -> None:
        """Tell *text*."""
        self.asked = True
        with self._turn:
            self._show("")
            _write(f"{text}\n")
            if not isinstance(text, Invitation):
                return
            if self._beside is not None:
                _write(f"{self._beside(text)}\n")
        if _can_overwrite():
            ends = time.monotonic() + text.seconds
            threading.Thread(
                target=self._count_down, args=(ends,), name="login-clock", daemon=True
            ).start()

    def _count_down(self, ends: float) -> None:
        while True:
            left = max(0.0, ends - time.monotonic())
            with self._turn:
                if self._over.is_set():
                    return
                self._show(f"Waiting: {duration(left)} left")
            self._over.wait(left % 1 or 1)

    def _show(self, text: str) -> None:
        """Overwrite what is shown of the time left."""
        if self._shown or text:
            blank = "\r" + " " * len(self._shown) + "\r"
            _write(f"{blank if self._shown else ''}{text}")
        self._shown = text


def _write(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _can_overwrite() -> bool:
    """Whether standard error is a terminal that goes back to the beginning of a line."""
    return (
        sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    )
