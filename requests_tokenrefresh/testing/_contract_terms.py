"""What the tests of `TokenStoreContract` have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .. import StoreLockTimeoutError, Token, TokenStore
from ._threads import run_together

T = TypeVar("T")

OLD = Token("old-access", refresh_token="old-refresh", issued_at=1_690_000_000.0)
NEW = Token(
    "new-access",
    refresh_token="new-refresh",
    token_type="JWT",
    expires_at=1_700_003_600.5,
    issued_at=1_700_000_000.25,
    extra={"scope": "read write", "name": "Zoë ☃ 🔑", "nested": {"list": [1, None, True, 0.5]}},
)
NEWER = Token("newer-access", refresh_token="newer-refresh", issued_at=1_700_000_010.0)

PATIENCE = 60.0  # seconds that a lock is waited for where it must come free

OPERATIONS: dict[str, Callable[[TokenStore], object]] = {
    "load": lambda store: store.load(),
    "save": lambda store: store.save(NEWER),
    "clear": lambda store: store.clear(),
    "lock": lambda store: store.lock(0).__enter__(),
}


def all_said(error: BaseException) -> str:
    """What *error* says, and all that it was raised from: messages, arguments and attributes."""
    said, left = [], [error]
    while left:
        one = left.pop()
        said.append(f"{one} {one!r} {vars(one)}")
        causes = (one.__cause__, one.__context__)
        left += [cause for cause in causes if cause is not None]
    return "\n".join(said)


def is_busy(store: TokenStore) -> bool:
    """Whether somebody holds the lock."""
    try:
        with store.lock(0):
            return False
    except StoreLockTimeoutError:
        return True


def on_another_thread(work: Callable[[], T]) -> T:
    """Return what *work* returns there, or raise what it raises."""
    [outcome] = run_together(1, work, PATIENCE)
    return outcome.result()
