"""The one place for foreign text: what a server, a store, a file's name, a token or another library
says, on its way to an error, the log, a terminal, a picture or a page.

A terminal obeys control characters. A line end in a log begins a line that nobody has logged. What
turns the direction of writing, or shows nothing, makes one name look like another. Half of a
surrogate pair cannot be written at all. Whatever of these comes in goes out as an escape.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping
from typing import TypeVar

E = TypeVar("E", bound=BaseException)

# What `str.isprintable` takes for printable and is not seen: Unicode's default-ignorable characters
# that are letters or marks by their category, and the blank of Braille.
_NOT_SEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def printable(text: object) -> str:
    """Return *text* in one line, with an escape (``\\x1b``, ``\\u202e``) for each character that is
    not seen as it is. What is printable already comes back unchanged."""
    if not isinstance(text, str):
        text = str(text)
    if _is_seen(text):
        return text
    return "".join(c if _is_seen(c) else c.encode("unicode_escape").decode() for c in text)


def in_one_line(text: str) -> str:
    """Return the words of *text*, a space between two: what is not seen separates them too."""
    return " ".join("".join(c if _is_seen(c) else " " for c in text).split())


def raised_in(error: BaseException) -> list[BaseException]:
    """Return *error* and all that a report of it may show: what it was raised from, while, with or
    for."""
    found: dict[int, BaseException] = {}
    left: list[BaseException] = [error]
    while left:
        one = left.pop()
        if id(one) not in found:
            found[id(one)] = one
            of_a_group = getattr(one, "exceptions", None) or ()
            more = (one.__cause__, one.__context__, *one.args, *of_a_group)
            left += [inner for inner in more if isinstance(inner, BaseException)]
    return list(found.values())


def plainly(error: E) -> E:
    """Return *error*, which others have raised, and which says what it says printably from now on;
    so does all that it was raised from."""
    for one in raised_in(error):
        one.args = tuple(printable(arg) if isinstance(arg, str) else arg for arg in one.args)
    return error


def traceback_of(error: BaseException) -> str:
    """Return the traceback of *error*, without a line end: each of its frames has its lines, and
    what was said with it has one."""
    told = traceback.TracebackException.from_exception(error).format()
    # Frames are indented; a message is not, as the name of its class comes first.
    parts = (part.splitlines() if part.startswith(" ") else [part.strip("\n")] for part in told)
    return "\n".join(printable(line) for lines in parts for line in lines)


class _Printably(logging.Filter):
    """Lets every record through, and makes what others have said in it printable."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, Mapping):  # logging takes it out of the tuple
            record.args = {name: _plain(arg) for name, arg in record.args.items()}
        else:
            record.args = tuple(map(_plain, record.args or ()))
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = traceback_of(record.exc_info[1])  # which formatters take as it is
        return True


# All of the package logs by this name, so here is every record that it makes.
logging.getLogger("requests_tokenrefresh").addFilter(_Printably())


def _plain(said: object) -> object:
    return printable(said) if isinstance(said, str | BaseException) else said


def _is_seen(text: str) -> bool:
    return text.isprintable() and not _NOT_SEEN.search(text)
