"""Another process that has the same store open, and does with it what it is told."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any, cast

from .. import ChecksSaving, KeepsPause, StoredPause, Token, TokenStore

_PATIENCE = 60.0  # seconds
_PATIENCE_WITH_EXIT = 5.0


class OtherProcess:
    """A new process, not a fork, that is given a pickled copy of *store*.

    What it is told to do is the name of a method of `_Worker`, with its arguments.

    Args:
        new: A context of `multiprocessing`; by default a Python of its own, with the environment
            of the test.
    """

    def __init__(self, store: TokenStore, new: Any = None) -> None:
        new = new or multiprocessing.get_context("spawn")
        self._orders, theirs = new.Pipe()
        self._process = new.Process(target=_obey, args=(store, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def do(self, method: str, *arguments: object) -> Any:
        """Return what the method returns there, or raise what it raises."""
        try:
            self._orders.send((method, arguments))
            if not self._orders.poll(_PATIENCE):
                raise AssertionError(f"the other process has not done {method!r} in time")
            value, error, trace = self._orders.recv()
        except (EOFError, ConnectionError):
            raise AssertionError("the other process has died; see what it wrote") from None
        if error is not None:
            raise error from RuntimeError(f"in the other process:\n{trace}")
        return value

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        self._process.kill()
        self._process.join()

    def end(self) -> None:
        """Let it go, or kill it if it does not."""
        self._orders.close()
        self._process.join(_PATIENCE_WITH_EXIT)
        self.kill()
        self._process.close()


def _obey(store: TokenStore, orders: Connection) -> None:
    worker = _Worker(store)
    while True:
        try:
            method, arguments = orders.recv()
        except EOFError:
            return
        orders.send(worker.outcome(method, arguments))


class _Worker:
    """What the other process can do."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._turn = ExitStack()

    def load(self) -> Token | None:
        return self._store.load()

    def save(self, token: Token) -> None:
        self._store.save(token)

    def clear(self) -> None:
        self._store.clear()

    def ensure_can_save(self) -> None:
        cast("ChecksSaving", self._store).ensure_can_save()

    def load_pause(self) -> StoredPause | None:
        return cast("KeepsPause", self._store).load_pause()

    def save_pause(self, pause: StoredPause | None) -> None:
        cast("KeepsPause", self._store).save_pause(pause)

    def enter(self, timeout: float) -> None:
        self._turn.enter_context(self._store.lock(timeout))

    def leave(self) -> None:
        self._turn.close()

    def save_in_a_turn(self, token: Token) -> None:
        with self._store.lock(0):
            self._store.save(token)

    def fork(self, method: str, *arguments: object) -> Any:
        """Do it in a fork of this process."""
        outcomes, theirs = multiprocessing.Pipe(duplex=False)
        child = os.fork()
        if child == 0:
            theirs.send(self.outcome(method, arguments))
            os._exit(0)
        theirs.close()
        value, error, _ = outcomes.recv()
        os.waitpid(child, 0)
        outcomes.close()
        if error is not None:
            raise error
        return value

    def outcome(self, method: str, arguments: tuple[object, ...]) -> tuple[object, ...]:
        try:
            return getattr(self, method)(*arguments), None, None
        except Exception as error:
            return None, error, traceback.format_exc()
