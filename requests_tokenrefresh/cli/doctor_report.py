"""The text that `doctor` writes: what is told, in sections, and what is wrong, in the end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .._foreign import printable
from ..refreshers._quote import NOT_SHOWN, Secrets

_LONGEST = 1000  # characters of one fact
_INDENT = "  "
_WIDTH = 23  # of the names


class Report:
    """Facts and findings. Whatever is told here may be foreign: in the text it is printable, is cut
    where it is very long, gives no secret away, and does not say where this user's home is.

    Attributes:
        findings: What is wrong, and what to do about it; empty if nothing is known to be.
    """

    def __init__(self) -> None:
        self.findings: list[str] = []
        self._told: list[tuple[str, object]] = []  # a name and a value; a title has none
        self._secrets = Secrets(frozenset())

    def hide(self, secrets: Iterable[str]) -> None:
        """Let nothing that resembles one of *secrets* be in the text, nor in what was told before
        they were known."""
        self._secrets = self._secrets.beside(secrets)

    def begin(self, title: str) -> None:
        """Begin a section."""
        self._told.append((title, None))

    def tell(self, name: str, value: object) -> None:
        """Add a fact to the section."""
        self._told.append((name, "not known" if value is None else value))

    def find(self, problem: object) -> None:
        """Add something that is wrong."""
        self.findings.append(str(problem))

    def text(self) -> str:
        """Return all of it, without a line end."""
        return "\n".join(["requests-tokenrefresh doctor", *self._lines()])

    def _lines(self) -> Iterator[str]:
        for name, value in self._told:
            if value is None:
                yield ""
                yield self._shown(name)
            else:
                yield f"{_INDENT}{name + ':':<{_WIDTH}}{self._shown(value)}"
        yield ""
        yield "found" if self.findings else "found nothing that is known to be wrong"
        for number, problem in enumerate(self.findings, 1):
            yield f"{_INDENT}{number}. {self._shown(problem)}"

    def _shown(self, value: object) -> str:
        whole = str(value)
        text = whole[:_LONGEST]
        if self._secrets.repeated_in(text):
            return NOT_SHOWN
        return _without_home(printable(text)) + ("…" if text != whole else "")


def _without_home(line: str) -> str:
    """The name of a user is often that of a person."""
    try:
        home = printable(Path.home())
    except RuntimeError:  # there is none
        return line
    return line if home == "/" else re.sub(rf"{re.escape(home)}(?![\w.-])", "~", line)
