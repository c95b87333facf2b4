"""Whether the refresh under way is an early one, which its caller does not need yet.

In a context variable, because a refresher takes nothing but the token: it holds for all that is
called from there on the same thread, a grant inside a function of the user's own included.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_early: ContextVar[bool] = ContextVar("_early", default=False)


@contextmanager
def refreshing(*, early: bool) -> Iterator[None]:
    """Within it, a refresh is under way."""
    before = _early.set(early)
    try:
        yield
    finally:
        _early.reset(before)


def is_early() -> bool:
    """Return whether the refresh under way is an early one."""
    return _early.get()
