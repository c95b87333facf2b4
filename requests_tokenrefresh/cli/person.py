"""What the person at the terminal is told while a login is waited for: all on standard error."""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType

import click

from ..interactive._invitation import Invitation
from .qr_code import qr_code
from .stored_login import duration


class Person:
    """Tells the person, and on a terminal how long there is left; until its ``with`` block ends.

    Plain text, in which an address has a line to itself, however long: so it can be copied.

    Args:
        qr: Whether the address is shown as a QR code too.

    Attributes:
        asked: Whether there was something to tell.
    """

    def __init__(self, *, qr: bool) -> None:
        self.asked = False
        self._qr = qr
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

    def say(self, text: str) -> None:
        """Tell *text*. Safe from any thread."""
        self.asked = True
        with self._turn:
            self._show("")
            click.echo(text, err=True)
            if not isinstance(text, Invitation):
                return
            if self._qr and sys.stderr is not None:
                click.echo(qr_code(text.address, sys.stderr), err=True)
        if _can_overwrite():
            ends = time.monotonic() + text.seconds
            threading.Thread(
                target=self._count_down, args=(ends,), name="login-clock", daemon=True
            ).start()

    def _count_down(self, ends: float) -> None:
        while not self._over.is_set():
            left = max(0.0, ends - time.monotonic())
            with self._turn:
                if not self._over.is_set():
                    self._show(f"Waiting: {duration(left)} left")
            self._over.wait(left % 1 or 1)

    def _show(self, text: str) -> None:
        """Overwrite what is shown of the time left."""
        if self._shown or text:
            blank = "\r" + " " * len(self._shown) + "\r"
            click.echo(f"{blank if self._shown else ''}{text}", nl=False, err=True)
        self._shown = text


def _can_overwrite() -> bool:
    """Whether standard error is a terminal that goes back to the beginning of a line."""
    return (
        sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    )
