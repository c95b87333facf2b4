"""Whether a text gives a secret away, in whatever spelling a server may repeat it.

Of a text its decodings are looked at, and of a secret its encodings, both without what is neither a
letter nor a digit, and in small letters. Eight characters in a row that both have are as good as
all of the secret. So too much is taken for a secret rather than too little.
"""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote_plus

SHORTEST = 4  # characters; less is no secret (the 1 in ?version=1)
_TELLING = 8  # characters
_DEEPEST = 3  # escapes within escapes
_UNICODE_ESCAPE = re.compile(r"\\(?:u|x|U0000)([0-9A-Fa-f]{2,4})")


def gives_away(text: str, secret: str) -> bool:
    """Return whether so much of *secret* is in *text* that nobody should read it."""
    spellings = _encoded(secret)
    return any(
        _share_a_run(decoded, spelling) for decoded in _decoded(text) for spelling in spellings
    )


def _share_a_run(text: str, secret: str) -> bool:
    length = min(_TELLING, len(secret))
    return any(secret[n : n + length] in text for n in range(len(secret) - length + 1))


def _decoded(text: str) -> Iterator[str]:
    """Return what *text* may mean, and the same from its end to its beginning."""
    for _ in range(_DEEPEST + 1):
        bare = _bare(text)
        yield bare
        yield bare[::-1]
        before, text = text, _unescaped(text)
        if text == before:
            return


def _unescaped(text: str) -> str:
    text = _UNICODE_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return unquote_plus(html.unescape(text))


def _encoded(secret: str) -> set[str]:
    """Return *secret* as it may be found in a text: as it is, in hex, and in base64 wherever that
    begins within a longer one."""
    content = secret.encode(errors="replace")
    pieces = (base64.b64encode(content[begin:]).decode() for begin in range(3))
    spellings = {_bare(secret), content.hex(), *map(_bare, pieces)}
    return {spelling for spelling in spellings if len(spelling) >= SHORTEST}


def _bare(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text))).casefold()
