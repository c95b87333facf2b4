"""The address that a person pastes, where the browser cannot bring the answer by itself.

A terminal that edits lines cuts them at 4,095 characters, and shows them; the code is in there. So
both are off while it is waited for.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import threading
from collections.abc import Callable, Iterator

_LONGEST = 64 * 1024  # bytes
_POLL = 0.05  # seconds, where a console cannot be waited for
_ERASE, _KILL = b"\b\x7f", b"\x15"

# What a terminal puts around what is pasted, if a program before this one wanted it so.
_PASTED = re.compile(r"\x1b\[20[01]~")
_AROUND = " \t\"'<>"  # what mails and shells put there: none of it is in a URI


def terminal() -> int | None:
    """Return the descriptor of standard input if it is a terminal that this program may read."""
    try:
        descriptor = sys.stdin.fileno()
        if not os.isatty(descriptor):
            return None
        # Whoever reads in the background is stopped.
        if sys.platform != "win32" and os.tcgetpgrp(descriptor) != os.getpgrp():
            return None
    except (AttributeError, ValueError, OSError):  # there is none, or it is closed, or a stand-in
        return None
    return descriptor


@contextlib.contextmanager
def pasting(descriptor: int | None, take: Callable[[str], object]) -> Iterator[None]:
    """While inside, call *take* with each line that is typed or pasted, on another thread.

    Args:
        descriptor: What `terminal` returned; None: nothing is read.
    """
    if descriptor is None:
        yield
        return
    stop = threading.Event()
    with _unedited(descriptor), _wakeable() as (wakes, wake):
        reader = threading.Thread(
            target=_read, args=(descriptor, wakes, stop, take), name="login-paste", daemon=True
        )
        reader.start()
        try:
            yield
        finally:
            stop.set()
            os.write(wake, b".")
            reader.join()


class Line:
    """What has been typed of a line so far."""

    def __init__(self) -> None:
        self._typed = bytearray()

    def add(self, data: bytes) -> Iterator[str]:
        """Take *data*, and return the lines that it ends."""
        for byte in data:
            if byte in b"\r\n":
                yield _PASTED.sub("", self._typed.decode(errors="replace")).strip(_AROUND)
                self._typed.clear()
            elif byte in _ERASE:
                del self._typed[-1:]
            elif byte in _KILL:
                self._typed.clear()
            elif len(self._typed) < _LONGEST:
                self._typed.append(byte)


if sys.platform == "win32":

    def _read(
        descriptor: int, wakes: int, stop: threading.Event, take: Callable[[str], object]
    ) -> None:
        import msvcrt

        line = Line()
        while not stop.wait(_POLL):
            while msvcrt.kbhit():
                for text in filter(None, line.add(msvcrt.getwch().encode())):
                    take(text)

    @contextlib.contextmanager
    def _unedited(descriptor: int) -> Iterator[None]:
        yield  # a console is read key by key

else:
    import termios

    def _read(
        descriptor: int, wakes: int, stop: threading.Event, take: Callable[[str], object]
    ) -> None:
        line = Line()
        while True:
            select.select([descriptor, wakes], [], [])
            if stop.is_set():
                return
            try:
                data = os.read(descriptor, 4096)
            except OSError:
                return  # the terminal has gone
            if not data or b"\x04" in data:
                return  # the person has nothing to say
            for text in filter(None, line.add(data)):
                take(text)

    @contextlib.contextmanager
    def _unedited(descriptor: int) -> Iterator[None]:
        before = termios.tcgetattr(descriptor)
        during = termios.tcgetattr(descriptor)
        during[3] &= ~(termios.ICANON | termios.ECHO)  # Ctrl-C is as it was
        during[6][termios.VMIN], during[6][termios.VTIME] = 1, 0
        termios.tcsetattr(descriptor, termios.TCSADRAIN, during)
        try:
            yield
        finally:
            with contextlib.suppress(termios.error):  # the terminal has gone
                # What was typed too late is no command for the shell.
                termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


@contextlib.contextmanager
def _wakeable() -> Iterator[tuple[int, int]]:
    reads, writes = os.pipe()
    try:
        yield reads, writes
    finally:
        os.close(reads)
        os.close(writes)
