"""What a login is given, checked before anything is made of it; errors say what to pass."""

from __future__ import annotations

import threading


def check_callable(name: str, value: object, wanted: str) -> None:
    if not callable(value):
        raise TypeError(f"{name} is {wanted}, got {type(value).__name__}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(f"{name} is {', '.join(others)} or {last}, got {value!r}")


def check_seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number of seconds, got {type(value).__name__}")
    if not 0 <= value <= threading.TIMEOUT_MAX:
        raise ValueError(f"{name} is a number of seconds, 0 or more, got {value!r}")
    return float(value)
