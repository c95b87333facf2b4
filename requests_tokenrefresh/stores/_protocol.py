"""What a token store promises. Anything that keeps these promises can be passed as `store=`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from .._token import Token


@runtime_checkable
class TokenStore(Protocol):
    """A place for the token of one login, shared by all who act for it.

    All methods are safe from any thread. Each raises `TokenStoreError` when the backend cannot be
    reached, may not be used, or holds content it did not write; none of them ever clears or
    overwrites a stored token because of such an error.
    """

    shared: bool
    """Whether another process that opens the same store sees the same token."""

    def load(self) -> Token | None:
        """Return the stored token, or None if there is none."""

    def save(self, token: Token) -> None:
        """Replace the stored token, atomically and durably: once this returns, a crash of the
        process does not lose *token*, and at no moment could a reader have seen half of it."""

    def clear(self) -> None:
        """Forget the stored token; no error if there is none."""

    def lock(self, timeout: float) -> AbstractContextManager[object]:
        """Return a context manager that holds the turn to refresh.

        Waits at most *timeout* seconds to enter; 0 tries once. `load`, `save` and `clear` work
        inside it on the thread that holds it. It is free again within a bound after its holder
        was killed, and never taken from a holder that is alive and merely slow.

        Raises:
            StoreLockTimeoutError: Somebody else held the lock all that time.
        """
