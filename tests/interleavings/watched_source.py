"""The login under a scheduler: the very code of the package, whose shared fields are points.

Whoever accesses a field is checked to have `turn`, as far as that field needs it. What is read or
written without it is a point: with it, nobody can come in between.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests_tokenrefresh
from requests_tokenrefresh import MemoryTokenStore, StoreLockTimeoutError, Token

from . import scheduler
from .scheduler import Lock, Touch

PACKAGE = Path(requests_tokenrefresh.__file__).parent

# Each after those that it imports from; what they import from other files is the real one.
FILES = (
    "_evidence",
    "_hand",
    "_login",
    "_backoff",
    "_rules",
    "_flight",
    "_asking",
    "_keeping",
    "_renewal",
    "_telling",
    "_getting",
    "_ending",
    "_source",
)

# What may be done with a field without turn. Nothing: it is accessed only with it.
NOTHING: frozenset[str] = frozenset()
READ = frozenset({"read"})
READ_AND_WRITE = frozenset({"read", "write"})  # only by the leader of a flight
OF_FLIGHTS = {"login": READ}
OF_A_FLIGHT = {
    "pilot": NOTHING,
    "opinions": NOTHING,
    "repeats": NOTHING,
    "patience": NOTHING,
    "waiters": NOTHING,
    "trial_ends": NOTHING,
    "token": READ,
    "landed": READ,
    "brought": READ_AND_WRITE,
    "follows": READ_AND_WRITE,
    "shun": READ_AND_WRITE,
}
OF_KEEPING = {"in_turn": READ_AND_WRITE}

Edit = tuple[str, str, str]
"""A file, and what to replace in it by what."""


class _Field:
    """A field of an object that has a number as its `thing`: when it is made."""

    def __init__(self, turn_of: Callable[[Any], Any], without_turn: frozenset[str]) -> None:
        self._turn_of = turn_of
        self._without_turn = without_turn

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, _type: type | None = None) -> Any:
        self._touch(owner, "read")
        return owner.__dict__[self._name]

    def __set__(self, owner: Any, value: Any) -> None:
        # To write what is there already is nothing that anybody could see.
        if owner.__dict__.get(self._name, self) is not value:
            self._touch(owner, "write")
        owner.__dict__[self._name] = value

    def _touch(self, owner: Any, how: str) -> None:
        if scheduler.here() is None or "thing" not in owner.__dict__:
            return
        free, has_turn = self._without_turn, self._turn_of(owner)._is_owned()
        scheduler.must(has_turn or how in free, f"{self._name}: {how} without turn")
        if not free and (how == "write" or self._name == "waiters"):  # which is changed in place
            self._turn_of(owner).changes()
        if free and (how == "write" or "write" in free or not has_turn):
            scheduler.point(f"{how}s {self._name}", Touch(f"{owner.thing}.{self._name}", how))


def load_source(*edits: Edit) -> dict[str, Any]:
    """Return the files of a login, by their names, as modules of their own under the scheduler.

    Args:
        edits: Of these files; what is replaced stands in its file exactly once.
    """
    real = {name: sys.modules[f"requests_tokenrefresh.{name}"] for name in FILES}
    modules: dict[str, Any] = {}
    try:
        for name in FILES:
            code = _compiled(name, tuple(edit for edit in edits if edit[0] == name))
            modules[name] = _loaded(name, code)
    finally:
        for name, module in real.items():
            sys.modules[f"requests_tokenrefresh.{name}"] = module
    return modules


@functools.cache
def _compiled(name: str, edits: tuple[Edit, ...]) -> types.CodeType:
    path = PACKAGE / f"{name}.py"
    text = path.read_text()
    for _, old, new in edits:
        assert text.count(old) == 1, f"this stands {text.count(old)} times in {path.name}: {old}"
        text = text.replace(old, new)
    return compile(text, str(path), "exec")


def _loaded(name: str, code: types.CodeType) -> types.ModuleType:
    full_name = f"requests_tokenrefresh.{name}"
    spec = importlib.util.spec_from_loader(full_name, loader=None, origin=code.co_filename)
    assert spec is not None
    module: Any = importlib.util.module_from_spec(spec)
    module.__package__ = "requests_tokenrefresh"
    sys.modules[full_name] = module  # where those that come after it look for it
    exec(code, vars(module))
    if hasattr(module, "threading"):
        module.threading = scheduler.as_threading
    if name == "_flight":
        module.Flight = _watched(module.Flight, lambda flight: flight.news._lock, OF_A_FLIGHT)
        flights = _watched(module.Flights, lambda flights: flights.turn, OF_FLIGHTS)
        module.Flights = _telling_of_changes(flights)
    if name == "_keeping":
        module.Keeping = _watched(module.Keeping, lambda keeping: keeping._flights.turn, OF_KEEPING)
    return module  # type: ignore[no-any-return]


def _watched(
    kind: type, turn_of: Callable[[Any], Any], without_turn: dict[str, frozenset[str]]
) -> type:
    def make(self: Any, *args: Any, **options: Any) -> None:
        kind.__init__(self, *args, **options)  # type: ignore[misc]
        self.thing = scheduler.thing()

    fields = {name: _Field(turn_of, allowed) for name, allowed in without_turn.items()}
    return type(kind.__name__, (kind,), {"__init__": make, **fields})


def _telling_of_changes(flights: type) -> type:
    """Return *flights*, which call their `on_change`, if it is set, with the login before and after
    each change, with turn."""

    def become(self: Any, after: Any) -> None:
        before = self.login
        flights._become(self, after)  # type: ignore[attr-defined]
        if self.on_change is not None and after is not before:
            self.on_change(before, after)

    return type("Flights", (flights,), {"_become": become, "on_change": None})


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
        scheduler.foreign_code(label, Touch("store", how))


class PausingStore(Store):
    """One that keeps a pause beside the token."""

    def __init__(self) -> None:
        super().__init__()
        self._pause: float | None = None

    def load_pause(self) -> float | None:
        self._point("loads the pause", "read")
        return self._pause

    def save_pause(self, until: float | None) -> None:
        self._point("saves the pause", "write")
        self._pause = until

    def save(self, token: Token) -> None:
        super().save(token)
        self._pause = None

    def clear(self) -> None:
        super().clear()
        self._pause = None
