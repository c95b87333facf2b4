"""A store for tests of what a `TokenSource` makes of a store in trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from requests_tokenrefresh import FileTokenStore, MemoryTokenStore, StoreLockTimeoutError, Token
from tests.support.logins import START


def _nothing() -> None:
    pass


def siblings(access_token: str = "siblings", lifetime: float = 3600) -> Token:
    return Token(access_token, "refresh-s", issued_at=START, expires_at=START + lifetime)


class Troubled:
    """What makes a store fail, be busy, and be written to by a sibling that ignores the lock.

    Attributes:
        before: What to do before the next ``"load"``, ``"save"``, ``"clear"`` or ``"lock"``, once.
        after: What to do after the next ``"load"``, ``"save"`` or ``"clear"`` is done, once.
        fails: What these raise, and leaving the lock: ``"unlock"``.
        busy: Whether the lock is a sibling's.
        patience: How long callers of `lock` wanted to wait, in seconds.
        saved: The access tokens that were saved, in order.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.before: dict[str, Callable[[], object]] = {}
        self.after: dict[str, Callable[[], object]] = {}
        self.fails: dict[str, Exception] = {}
        self.busy = False
        self.patience: list[float] = []
        self.saved: list[str] = []

    def _do(self, what: str) -> None:
        self.before.pop(what, _nothing)()
        if what in self.fails:
            raise self.fails[what]

    def load(self) -> Token | None:
        self._do("load")
        stored = super().load()
        self.after.pop("load", _nothing)()
        return stored

    def save(self, token: Token) -> None:
        self._do("save")
        super().save(token)
        self.saved.append(token.access_token)
        self.after.pop("save", _nothing)()

    def clear(self) -> None:
        self._do("clear")
        super().clear()
        self.after.pop("clear", _nothing)()

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        self.patience.append(timeout)
        self._do("lock")
        if self.busy:
            raise StoreLockTimeoutError("busy")
        with super().lock(timeout):
            yield
        self._do("unlock")


class Store(Troubled, MemoryTokenStore):
    """One that would be shared if there were other processes."""

    shared = True


class TroubledFile(Troubled, FileTokenStore):
    """One that is."""
