"""A terminal of our own, and what programs write to it."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.support.secrecy import tell_output


class Shown(NamedTuple):
    """What a program that ran on a terminal has left there.

    Attributes:
        output: What stood there in the end, standard output and errors as they came.
        exit_code: The program's.
    """

    output: bytes
    exit_code: int


def run_on_terminal(command: Sequence[str], *, timeout: float = 30.0, **how: Any) -> Shown:
    """Run *command* with standard output and errors on a terminal of 80 columns."""
    ours, theirs = os.openpty()
    pieces: list[bytes] = []
    over = threading.Event()

    def read() -> None:
        while select.select([ours], [], [], 0.0 if over.is_set() else 0.05)[0] or not over.is_set():
            if select.select([ours], [], [], 0.0)[0]:
                pieces.append(os.read(ours, 1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        how = {"stdin": subprocess.DEVNULL, **how}
        with subprocess.Popen(list(command), stdout=theirs, stderr=theirs, **how) as process:
            end = time.monotonic() + timeout
            try:
                exit_code = process.wait(max(0.0, end - time.monotonic()))
            finally:
                process.kill()
    finally:
        over.set()
        reader.join()
        os.close(ours)
        os.close(theirs)
    output = b"".join(pieces)
    tell_output(output)
    return Shown(output.replace(b"\r\n", b"\n"), exit_code)
