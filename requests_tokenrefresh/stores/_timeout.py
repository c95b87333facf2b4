"""What a store's `lock()` takes as its timeout."""

from __future__ import annotations

from threading import TIMEOUT_MAX


def check_timeout(timeout: float) -> None:
    """Refuse what a lock would take for "wait forever", or could not wait for.

    Raises:
        TypeError: *timeout* is not a number.
        ValueError: *timeout* is negative, not a number (NaN), or more than a thread can wait.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout is a number of seconds, got {type(timeout).__name__}")
    if not 0 <= timeout <= TIMEOUT_MAX:
        raise ValueError(
            f"timeout must be from 0 (try once) to {TIMEOUT_MAX:g} seconds, got {timeout!r}"
        )
