"""A store for tests of what a `TokenSource` makes of a store in trouble."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from requests_tokenrefresh import MemoryTokenStore, StoreLockTimeoutError, Token
from tests.support.logins import START


def siblings(access_token: str = "siblings", lifetime: float = 3600) -> Token:
    return Token(access_token, "refresh-s", issued_at=START, expires_at=START + lifetime)


class Store(MemoryTokenStore):
    """A store that can fail, be busy, and be written to by a sibling that ignores the lock."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.fails: dict[str, Exception] = {}
        self.busy = False
        self.patience: list[float] = []
        self.saved: list[str] = []

    def _do(self, what: str) -> None:
        if what in self.fails:
            raise self.fails[what]

    def load(self) -> Token | None:
        self._do("load")
        return super().load()

    def save(self, token: Token) -> None:
        self._do("save")
        super().save(token)
        self.saved.append(token.access_token)

    def clear(self) -> None:
        self._do("clear")
        super().clear()

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        self.patience.append(timeout)
        self._do("lock")
        if self.busy:
            raise StoreLockTimeoutError("busy")
        with super().lock(timeout):
            yield
        self._do("unlock")
