"""Text of somebody who wants a terminal to obey, a log to lie, or a name to look like another."""

from __future__ import annotations

import unicodedata

KINDS = {
    "colour": "\x1b[31m",
    "title": "\x1b]0;owned\x07",
    "C1": "\x9b31m",
    "backspace": "\b",
    "CR": "\r",
    "LF": "\n",
    "tab": "\t",
    "NUL": "\0",
    "DEL": "\x7f",
    "form feed": "\f",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "embeddings": "\u202a\u202b\u202c",
    "overrides": "\u202d\u202e",
    "isolates": "\u2066\u2067\u2068\u2069",
    "marks of direction": "\u200e\u200f\u061c",
    "no width": "\u200b\u200c\u200d\u2060\ufeff",
    "no width, in an alphabet": "\u034f\u17b4\u180b\ufe0f\U000e0100",
    "nothing to see": "\u115f\u1160\u3164\uffa0\u2800",
    "soft hyphen": "\xad",
    "tags": "\U000e0041\U000e007f",
    "half a character": "\ud800\udcff",
    "of nobody": "\ue000\ufffe",
}
# Of the default-ignorable characters (Unicode, DerivedCoreProperties) those of no telling category.
_INVISIBLE = [
    *(
        0x34F,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x180B,
        0x180C,
        0x180D,
        0x180F,
        0x3164,
        0xFFA0,
        0x2800,
    ),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
]

HOSTILE = "<b>" + "".join(KINDS.values()) + "</b>"

IN_BYTES = "".join(c for c in HOSTILE if not "\ud800" <= c <= "\udfff").encode()
"""As much of it as UTF-8 has."""

IN_A_LINE = IN_BYTES.replace(b"\n", b"").replace(b"\0", b"")
"""As much of it as a line of an HTTP answer has."""


def harmful(text: str, *, lines: bool = False, by_repr: bool = False) -> set[str]:
    """Return what in *text* a terminal would obey, or a reader not see.

    Args:
        lines: Whether it may have several lines.
        by_repr: Whether it may have what `repr` takes for printable.
    """
    telling = set()
    for c in set(text) - {" "}:
        category = unicodedata.category(c)
        if category[0] == "C" or category in ("Zl", "Zp", "Zs") or ord(c) in _INVISIBLE:
            telling.add(c)
    allowed = {"\n"} if lines else set()
    return telling - allowed - (set(map(chr, _INVISIBLE)) if by_repr else set())
