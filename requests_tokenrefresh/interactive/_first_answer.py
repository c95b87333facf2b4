"""The first right answer to an attempt wins, by whatever way it comes."""

from __future__ import annotations

import threading
import time

from ..refreshers._authorization_answer import problem_with
from ..refreshers._device_pace import timed_out

# Seconds between two looks: on some systems a wait is not interrupted by Ctrl-C, so none is long.
_LOOK = 0.2


class FirstAnswer:
    """Where the answer to the attempt with *state* is waited for. Safe from any thread."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._turn = threading.Lock()
        self._there = threading.Event()
        self._query: str | None = None  # guarded by _turn; never another once it is there

    def offer(self, query: str) -> str:
        """Take *query*, the query of an answer; return what is wrong with it, or nothing."""
        problem = problem_with(query, self._state)
        if problem:
            return problem
        with self._turn:
            if self._query is None:
                self._query = query
                self._there.set()
            # A browser may ask twice for one page.
            return "" if query == self._query else "another answer came before it"

    def wait(self, until: float) -> None:
        """Wait for the answer.

        Args:
            until: When to give up, in monotonic seconds.

        Raises:
            LoginFailedError: There was none.
        """
        while not self._there.wait(max(0.0, min(_LOOK, until - time.monotonic()))):
            if time.monotonic() >= until:
                raise timed_out()

    def answer(self) -> str:
        """Return the answer, as what comes behind an address."""
        return f"?{self._query}"
