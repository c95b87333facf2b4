"""How long something takes, for a person."""

from __future__ import annotations

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Return *seconds* in the largest unit that fits, and the next unless there are none of it."""
    rest = int(seconds)
    words: list[str] = []
    for unit, size in _UNITS:
        if rest >= size or words:
            words.append(f"{rest // size} {unit}")
            rest %= size
    return " ".join(word for word in words[:2] if not word.startswith("0 ")) or "0 s"
