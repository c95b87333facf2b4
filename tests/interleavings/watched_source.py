"""The login under a scheduler: the very code of `_source.py`, whose shared fields are points.

Whoever accesses a field that `_turn` guards is checked to have it. Where a field is read without it
as well, the reads without and the writes are points: with it, nobody can come in between.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests_tokenrefresh
from requests_tokenrefresh import MemoryTokenStore, StoreLockTimeoutError, Token

from . import scheduler
from .scheduler import Lock, RLock, Touch

SOURCE = Path(requests_tokenrefresh.__file__).with_name("_source.py")

# Accessed only with _turn.
GUARDED = {
    "_born",
    "_failures",
    "_issued",
    "_look_at",
    "_look_beside_at",
    "_may_linger",
    "_refused",
    "_retry_at",
}
# Written only with _turn, and read without it, too.
ALSO_READ_WITHOUT = {
    "_early_from",
    "_failure",
    "_flight",
    "_over",
    "_proven",
    "_ready",
    "_rejected",
    "_seed",
    "_token",
    "_unsaved",
    "_unsaved_ancestor",
    "_was_stored",
}
# Written only by the leader of a flight, who need not have _turn.
OF_THE_LEADER = {"_in_turn"}

# The same of a flight.
OF_FLIGHTS = {"done", "error", "token", "trial_ends"}
OF_ITS_LEADER = {"ancestor", "brought"}


class _Field:
    """A field of an object that has a `_turn`, and a number as its `thing`: when it is made."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, _type: type | None = None) -> Any:
        if scheduler.here() is not None and "thing" in owner.__dict__:
            self._touch(owner, "read")
        return owner.__dict__[self._name]

    def __set__(self, owner: Any, value: Any) -> None:
        if scheduler.here() is not None and "thing" in owner.__dict__:
            self._touch(owner, "write")
        owner.__dict__[self._name] = value

    def _touch(self, owner: Any, how: str) -> None:
        scheduler.point(f"{how}s {self._name}", Touch(f"{owner.thing}.{self._name}", how))


class _GuardedField(_Field):
    def _touch(self, owner: Any, how: str) -> None:
        assert owner._turn._is_owned(), f"{self._name}: {how} without _turn"


class _AlsoReadWithout(_Field):
    def _touch(self, owner: Any, how: str) -> None:
        if how == "write":
            assert owner._turn._is_owned(), f"{self._name}: written without _turn"
        elif owner._turn._is_owned():
            return
        super()._touch(owner, how)


def load_source(*edits: tuple[str, str]) -> types.ModuleType:
    """Return `_source.py` as a module of its own, under the scheduler.

    Args:
        edits: What to replace by what; each stands in the file exactly once.
    """
    text = SOURCE.read_text()
    for old, new in edits:
        assert text.count(old) == 1, f"this stands {text.count(old)} times in _source.py: {old}"
        text = text.replace(old, new)
    name = "requests_tokenrefresh._source_under_schedule"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(SOURCE))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__package__ = "requests_tokenrefresh"
    sys.modules[name] = module  # where dataclasses and typing look for what is in it
    exec(compile(text, str(SOURCE), "exec"), vars(module))
    del sys.modules[name]
    module.threading = scheduler.as_threading  # type: ignore[attr-defined]
    module._Flight = _watched_flight(module._Flight)  # type: ignore[attr-defined]
    module.TokenSource = _watched_source(module.TokenSource)  # type: ignore[attr-defined]
    return module


def _watched_flight(flight: type) -> type:
    def make(self: Any, *args: Any, turn: RLock, **options: Any) -> None:
        flight.__init__(self, *args, turn=turn, **options)  # type: ignore[misc]
        self.thing, self._turn = scheduler.thing(), turn

    fields: dict[str, Any] = {name: _AlsoReadWithout() for name in OF_FLIGHTS}
    fields |= {name: _Field() for name in OF_ITS_LEADER}
    return type("_Flight", (flight,), {"__init__": make, **fields})


def _watched_source(source: type) -> type:
    def make(self: Any, *args: Any, **options: Any) -> None:
        source.__init__(self, *args, **options)  # type: ignore[misc]
        self.thing = scheduler.thing()

    fields: dict[str, Any] = {name: _GuardedField() for name in GUARDED}
    fields |= {name: _AlsoReadWithout() for name in ALSO_READ_WITHOUT}
    fields |= {name: _Field() for name in OF_THE_LEADER}
    return type("TokenSource", (source,), {"__init__": make, **fields})


class Store(MemoryTokenStore):
    """A store that other processes share: what is done with it are points.

    Attributes:
        refuses_to_save: How many more times saving fails.
        saved: The access tokens of all that was saved.
    """

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.refuses_to_save = 0
        self.saved: set[str] = set()
        self._lock = Lock()
        self._lock.name = "the store's lock"

    def load(self) -> Token | None:
        self._point("loads", "read")
        return super().load()

    def save(self, token: Token) -> None:
        self._point(f"saves {token.access_token}", "write")
        if self.refuses_to_save:
            self.refuses_to_save -= 1
            raise OSError("the disk is full")
        super().save(token)
        self.saved.add(token.access_token)

    def clear(self) -> None:
        self._point("clears the store", "write")
        super().clear()

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        if not self._lock.acquire(timeout > 0, timeout if timeout > 0 else -1):
            raise StoreLockTimeoutError("the lock of the store is somebody else's")
        try:
            yield
        finally:
            self._lock.release()

    def _point(self, label: str, how: str) -> None:
        scheduler.point(label, Touch("store", how), waits=True)
