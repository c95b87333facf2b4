"""Bytes and text that may be logged."""

from __future__ import annotations


class Secret(bytes):
    """Bytes that do not show in a log, nor in a traceback with its variables."""

    def __repr__(self) -> str:
        return f"<{len(self)} secret bytes>"


class SecretText(str):
    """Likewise. What `str()` makes of it shows it, and so does a format."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} secret characters>"
