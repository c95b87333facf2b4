"""Whether a text gives a secret away, in whatever spelling a server may repeat it.

A text is read in all ways of `_READINGS`, and what comes of that again: what is in base64 may be
percent-encoded. Of a text and of a secret only letters and digits count, without case and accents.
They are alike if eight in a row are the same, or so many shorter pieces that it is no accident: of
a secret that was cut up. So too much is taken for a secret rather than too little.
"""

from __future__ import annotations

import base64
import codecs
import html
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_plus

SHORTEST = 4  # characters; less is no secret (the 1 in ?version=1)
_RUN = 8  # characters in a row that are as good as all of the secret
_PIECE = 4  # likewise, of which it takes several
_FEWEST, _MOST = 4, 15  # pieces that it takes, of a short secret and of a long one
_SHARE = 6  # pieces that a secret has, for which it takes one more
_DEEPEST = 3  # readings of readings

_HEX = "[0-9A-Fa-f]"
_ESCAPE = re.compile(
    rf"\\U({_HEX}{{8}})|(?:\\u|%u|U\+)({_HEX}{{4}})|\\[ux]{{0*({_HEX}+)}}|(?:\\x|0x)({_HEX}{{2}})"
)
_CODES = (
    (re.compile(r"\b[01]{8}\b"), 2),
    (re.compile(r"(?<=\\)[0-3]?[0-7]{1,2}"), 8),
    (re.compile(r"(?<!\d)(?:[3-9]\d|1[01]\d|12[0-7])(?!\d)"), 10),
    (re.compile(rf"(?<==){_HEX}{{2}}"), 16),
)
_TAG = re.compile(r"<[^<>]*>")
_NO_HEX, _HEX_DIGITS = re.compile(r"0x|[\W_]"), re.compile(rf"{_HEX}{{{2 * SHORTEST},}}")
_NO_BASE64, _NO_BASE32 = re.compile("[^A-Za-z0-9+/]"), re.compile("[^A-Z2-7]")
_BASE32 = str.maketrans(
    string.ascii_uppercase + "234567", string.digits + string.ascii_uppercase[:22]
)
_LEGIBLE = re.compile(rb"[\x20-\x7e]{6,}")


@dataclass(frozen=True, repr=False)
class _Trace:
    """What is compared. Without a repr, for tools that show variables."""

    letters: str
    pieces: frozenset[str]

    @classmethod
    def of(cls, letters: str) -> _Trace:
        return cls(letters, _in_a_row(_PIECE, letters))


class Traces:
    """What some secrets are known by, in whatever spelling. Immutable."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)
        self._traces = [_Trace.of(letters) for one in self._secrets for letters in _spelled(one)]
        self._pieces = frozenset[str]().union(*(trace.pieces for trace in self._traces))

    def are_in(self, text: str) -> bool:
        """Return whether so much of one of the secrets is in *text* that nobody should read it."""
        return bool(self._secrets) and any(map(self._are_read_in, _readings(text)))

    def have_a_piece_like(self, text: str) -> bool:
        """Return whether *text* may be a part of one of them, too short to tell by itself."""
        letters = _bare(text)
        pieces = _in_a_row(min(_PIECE, len(letters)), letters) if letters else ()
        return any(piece in trace.letters for trace in self._traces for piece in pieces)

    def _are_read_in(self, reading: str) -> bool:
        if any(secret in reading for secret in self._secrets):  # which may have no letters
            return True
        read = _Trace.of(_bare(reading))
        if read.pieces.isdisjoint(self._pieces):  # as almost always
            return False
        return any(_are_alike(read, trace) for trace in self._traces)


def _are_alike(text: _Trace, secret: _Trace) -> bool:
    if len(secret.letters) <= _RUN:
        return secret.letters in text.letters
    common = text.pieces & secret.pieces
    if len(common) >= min(_MOST, max(_FEWEST, len(secret.pieces) // _SHARE)):
        return True
    return bool(common) and any(run in text.letters for run in _in_a_row(_RUN, secret.letters))


def _in_a_row(length: int, letters: str) -> frozenset[str]:
    return frozenset(letters[n : n + length] for n in range(len(letters) - length + 1))


def _bare(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
    return "".join(filter(str.isalnum, text)).casefold()


def _spelled(secret: str) -> set[str]:
    """Return *secret* bare, and as it is in base64, wherever that begins within a longer one: a
    reading of it would need its case."""
    content = secret.encode(errors="replace")
    whole = ((content[n:], len(content[n:]) * 8 // 6) for n in range(3))
    in_base64 = {_bare(base64.b64encode(piece).decode()[:length]) for piece, length in whole}
    return {letters for letters in {_bare(secret), *in_base64} if len(letters) >= SHORTEST}


# -- Readings ------------------------------------------------------------------------------------


def _readings(text: str) -> Iterator[str]:
    """Return *text*, and what it may mean."""
    met = {text}
    level = [text]
    for _ in range(_DEEPEST):
        yield from level
        found = dict.fromkeys(new for one in level for read in _READINGS for new in read(one))
        level = [new for new in found if new not in met and len(new) >= SHORTEST]
        met.update(level)
    yield from level


def _backwards(text: str) -> Iterator[str]:
    yield text[::-1]


def _unescaped(text: str) -> Iterator[str]:
    """Escapes of JSON and programs, of URLs, of HTML: one after the other, or one of them alone."""
    for unescape in (_of_programs, unquote_plus, html.unescape):
        text = unescape(text)
        yield text


def _of_programs(text: str) -> str:
    return _with_characters(text, _ESCAPE, 16)


def _without_tags(text: str) -> Iterator[str]:
    yield _TAG.sub("", text)


def _from_codes(text: str) -> Iterator[str]:
    """Numbers of characters, and quoted-printable."""
    for pattern, base in _CODES:
        yield _with_characters(text, pattern, base)


def _from_hex(text: str) -> Iterator[str]:
    for digits in _HEX_DIGITS.findall(_NO_HEX.sub("", text)):
        yield from _from_bits(int(digits, 16), 4 * len(digits), 4)


def _from_base64(text: str) -> Iterator[str]:
    """What is no letter of it may stand between, and it may begin anywhere."""
    for variant in {text, text.replace("-", "+").replace("_", "/")}:
        letters = _NO_BASE64.sub("", variant)
        content = base64.b64decode(letters + "A" * (-len(letters) % 4))
        yield from _from_bits(int.from_bytes(content, "big"), 8 * len(content), 2)


def _from_base32(text: str) -> Iterator[str]:
    letters = _NO_BASE32.sub("", text.upper())
    yield from _from_bits(int(letters.translate(_BASE32) or "0", 32), 5 * len(letters), 1)


def _from_bits(number: int, length: int, step: int) -> Iterator[str]:
    """Return what may be text in *number* of *length* bits, whose bytes may begin at each *step*:
    ASCII or UTF-16. Most that is decoded is none."""
    for begin in range(0, 8, step):
        content = (number >> begin).to_bytes(length // 8 + 1, "big")
        if words := _LEGIBLE.findall(content.replace(b"\0", b"")):
            yield b" ".join(words).decode("ascii")


def _every_second(text: str) -> Iterator[str]:
    """What has another letter after each of its own."""
    yield text[::2]
    yield text[1::2]


def _rotated(text: str) -> Iterator[str]:
    yield codecs.encode(text, "rot13")


def _with_characters(text: str, numbers: re.Pattern[str], base: int) -> str:
    """Return *text* with characters in place of the *numbers* in it, of which the group is one."""

    def character(found: re.Match[str]) -> str:
        number = int(found[found.lastindex or 0], base)
        return chr(number) if number < 0x110000 else ""

    return numbers.sub(character, text)


_READINGS: tuple[Callable[[str], Iterator[str]], ...] = (
    _backwards,
    _unescaped,
    _without_tags,
    _from_codes,
    _from_hex,
    _from_base64,
    _from_base32,
    _every_second,
    _rotated,
)
