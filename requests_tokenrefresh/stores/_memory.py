"""`MemoryTokenStore`: a login that ends with its process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from .._errors import StoreLockTimeoutError
from .._token import Token
from ._timeout import check_timeout


class MemoryTokenStore:
    """Keeps the token in this object and nowhere else.

    Safe from any thread. It is not shared: a forked child goes on with a copy of its own, and
    pickling is refused, because the copy would be another login that looks like this one.
    """

    shared = False

    def __init__(self) -> None:
        self._token: Token | None = None
        # By process id. A fork copies a lock as it stands; one that a thread of the parent holds
        # would stay held in the child, where that thread does not exist.
        self._locks: dict[int, threading.Lock] = {}

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a MemoryTokenStore does not pickle: another process would get a copy of the login "
            "and the two would revoke each other's tokens; share a FileTokenStore(path) instead"
        )

    def load(self) -> Token | None:
        """Return the stored token, or None if there is none."""
        return self._token

    def save(self, token: Token) -> None:
        """Replace the stored token."""
        self._token = token

    def clear(self) -> None:
        """Forget the stored token; no error if there is none."""
        self._token = None

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        """Hold the turn to refresh, among the threads of this process.

        Waits at most *timeout* seconds to enter; 0 tries once. Not reentrant.

        Raises:
            StoreLockTimeoutError: Another thread held the lock all that time.
            TypeError, ValueError: *timeout* is not a number of seconds that can be waited for.
        """
        check_timeout(timeout)
        turn = self._locks.setdefault(os.getpid(), threading.Lock())
        if not turn.acquire(timeout=timeout):
            raise StoreLockTimeoutError(
                f"another thread held the lock of the token store for {timeout:g} s; try again"
            )
        try:
            yield
        finally:
            turn.release()
