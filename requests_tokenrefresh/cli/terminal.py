"""An answer on a terminal: whatever the server sends, it moves no cursor and changes no title."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterable, Iterator

from .._foreign import printable


def on_a_terminal(head: Iterable[bytes], body: Iterable[bytes]) -> Iterator[bytes]:
    """Return *head*, of which each is one line, and *body*, of which nothing is left but text, its
    tabs and its line ends; in the characters that standard output has.

    All is taken for UTF-8. Bytes that are none are shown by their numbers, and so is what is not
    printable.
    """
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder("utf-8")("backslashreplace"), translate=True
    )
    for line in head:
        yield _encoded(printable(line.decode("utf-8", "backslashreplace")) + "\n")
    for piece in body:
        yield _encoded(_text(decoder.decode(piece)))
    yield _encoded(_text(decoder.decode(b"", final=True)))


def _text(decoded: str) -> str:
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in decoded.split("\n"))


def _encoded(text: str) -> bytes:
    return text.encode(sys.stdout.encoding, "backslashreplace")
