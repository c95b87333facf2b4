"""How a server may spell what it was sent, so that a reader, or a program, can undo it."""

from __future__ import annotations

import base64
import codecs
import html
import json
import unicodedata
from collections.abc import Callable
from urllib.parse import quote


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def for_urls(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def in_base32(text: str) -> str:
    return base64.b32encode(text.encode()).decode()


def each(spell: Callable[[int], str], between: str = "") -> Callable[[str], str]:
    """Return what spells a text character for character."""
    return lambda text: between.join(spell(ord(c)) for c in text)


def wide(code: int) -> str:
    return chr(code + 0xFEE0) if chr(code).isalnum() else chr(code)


# Each can be undone, also what another has made.
REVERSIBLE: dict[str, Callable[[str], str]] = {
    "backwards": lambda text: text[::-1],
    "with dashes": "-".join,
    "with blanks": " ".join,
    "in base64": in_base64,
    "in base64, for URLs": for_urls,
    "in base64, without padding": lambda text: in_base64(text).rstrip("="),
    "in base64, after a byte": lambda text: for_urls(f"?{text}"),
    "in base64, after two bytes": lambda text: for_urls(f"??{text}!").rstrip("="),
    "in base32": in_base32,
    "in hex": lambda text: text.encode().hex(),
    "percent-encoded": each("%{:02x}".format),
    "percent-encoded where it must be": lambda text: quote(text, safe=""),
    "as entities": each("&#{};".format),
    "as hexadecimal entities": each("&#x{:x};".format),
    "as escapes of JSON": each("\\u{:04x}".format),
    "as escapes of Python": each("\\x{:02x}".format),
    "rotated": lambda text: codecs.encode(text, "rot13"),
}

SPELLINGS: dict[str, Callable[[str], str]] = {
    **REVERSIBLE,
    "in base64, in capitals": lambda text: in_base64(text).upper(),
    "in base64, in small letters": lambda text: in_base64(text).lower(),
    "in base64, with dashes": lambda text: "-".join(in_base64(text)),
    "in base64, in lines": lambda text: "\n".join(
        in_base64(text)[n : n + 5] for n in range(0, len(in_base64(text)), 5)
    ),
    "in base64, of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "in base64, of JSON": lambda text: in_base64(json.dumps({"a": text})),
    "in base64, three times": lambda text: in_base64(in_base64(in_base64(text))),
    "in base64, of capitals": lambda text: in_base64(text.upper()),
    "in base32, in small letters": lambda text: in_base32(text).lower(),
    "in hex, in capitals": lambda text: text.encode().hex().upper(),
    "in hex, with colons": lambda text: text.encode().hex(":"),
    "in hex, as C has it": each("0x{:02x}".format, ", "),
    "in hex, of UTF-16": lambda text: text.encode("utf-16-be").hex(),
    "in hex, read from its end": lambda text: text.encode().hex()[::-1],
    "percent-encoded twice": each("%25{:02X}".format),
    "percent-encoded three times": each("%2525{:02x}".format),
    "as entities of entities": lambda text: html.escape(each("&#{};".format)(text)),
    "as escapes of C": each("\\{:03o}".format),
    "percent-encoded, rotated, as escapes": lambda text: each("\\x{:02x}".format)(
        codecs.encode(each("%{:02x}".format)(text), "rot13")
    ),
    "as short escapes of C": each("\\{:o}".format),
    "as escapes of JavaScript": each("\\u{{{:x}}}".format),
    "as long escapes": each("\\U{:08x}".format),
    "as escapes of old browsers": each("%u{:04x}".format),
    "as code points": each("U+{:04X}".format, " "),
    "as quoted-printable": each("={:02X}".format),
    "as numbers": each("{}".format, " "),
    "as bits": each("{:08b}".format, " "),
    "in the other case": str.swapcase,
    "in wide letters": each(wide),
    "in bold letters": lambda text: "".join(
        chr(0x1D41A + ord(c) - ord("a")) if "a" <= c <= "z" else c for c in text
    ),
    "with accents": lambda text: unicodedata.normalize("NFC", "\u0301".join(text)),
    "with tags between": "<i></i>".join,
    "with brackets": each(lambda code: f"[{chr(code)}]"),
    "with a letter between": "x".join,
    "each twice": each(lambda code: 2 * chr(code)),
}
