"""What a login is given, checked before anything is made of it; errors say what to pass."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any

# Python makes one of each byte that is not UTF-8, in a file's name, the environment, an argument.
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


def check_callable(name: str, value: object, wanted: str) -> None:
    if not callable(value):
        raise TypeError(f"{name} is {wanted}, got {type(value).__name__}")


def check_refresher(value: object) -> None:
    wanted = "a grant, or a function that takes a Token"
    if isinstance(value, type):
        raise TypeError(f"refresher is {wanted}, got {value.__name__} itself: make one of it")
    check_callable("refresher", value, wanted)


def check_callables(name: str, values: object) -> None:
    if not isinstance(values, Iterable):
        raise TypeError(f"{name} is a list of functions, got {type(values).__name__}")


def check_mapping(name: str, value: Mapping[str, Any] | None, example: str) -> Mapping[str, Any]:
    """Return *value*, or an empty one for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is a mapping, such as {example}, got {type(value).__name__}")
    return value


def check_bytes(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number of bytes, got {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} is a number of bytes, 0 or more, got {value!r}")
    return value


def check_unattended(login: object) -> None:
    if getattr(login, "asks_a_person", False):
        raise TypeError(
            f"login is called while others wait, and {type(login).__name__} asks a person: log in "
            "first, by log_in() or its begin() and finish(), and pass the token, or the store"
        )


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(f"{name} is {', '.join(others)} or {last}, got {value!r}")


def check_text(name: str, text: str) -> None:
    """Refuse what no encoding has. The message does not repeat it: it may be a secret."""
    if _HALF_A_CHARACTER.search(text):
        raise ValueError(
            f"{name} has half a character, which can be neither sent nor stored: pass whole ones "
            "(Python makes halves of bytes that are not UTF-8)"
        )


def check_seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number of seconds, got {type(value).__name__}")
    if not 0 <= value <= threading.TIMEOUT_MAX:
        raise ValueError(f"{name} is a number of seconds, 0 or more, got {value!r}")
    return float(value)
