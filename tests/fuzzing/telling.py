"""What is told while something hostile is read: errors, and our log. No secret may be in it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

ACCESS = "at-0b7f6c2d9e58"
REFRESH = "rt-5f2d9c1b7a3e"


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def shown(error: BaseException) -> str:
    """Return all that a report of *error* and of its causes shows."""
    lines = traceback.format_exception(error)
    return "".join(lines) + repr(error) + repr(vars(error))


@contextmanager
def no_secret_told(*secrets: str) -> Iterator[list[str]]:
    """Fail if one of *secrets* is in our log, or in what is put into the list.

    urllib3 has a log of its own, in which it repeats URLs, and headers that it cannot parse.
    """
    said = _Said()
    log = logging.getLogger("requests_tokenrefresh")
    level = log.level
    log.addHandler(said)
    log.setLevel(logging.DEBUG)
    told: list[str] = []
    try:
        yield told
    finally:
        log.removeHandler(said)
        log.setLevel(level)
    everything = "\n".join([*told, *said.lines])
    assert not any(secret in everything for secret in secrets)
