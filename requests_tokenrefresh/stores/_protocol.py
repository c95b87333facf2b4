"""What a token store promises. Anything that keeps these promises can be passed as `store=`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from .._token import Token


@runtime_checkable
class TokenStore(Protocol):
    """A place for the token of one login, shared by all who act for it.

    All methods are safe from any thread, and after `os.fork` in the child too. A store whose
    `shared` is true pickles, without the token, and its copy is the same store.

    Errors are told apart, and none of them ever clears or overwrites what is stored:

    =========================  ===================================================================
    `StoreLockTimeoutError`    busy: somebody else holds the lock
    `StoreUnavailableError`    dead: the backend cannot be reached, read or written
    `StoreContentError`        corrupt: what is stored is not a token
    `StoreDataLostError`       lost: the backend has restarted without the login, or with an old one
    `StoreLockLostError`       too late: the lock has passed to another; nothing was written
    `TokenStoreError`          anything else, such as a file that others can read
    =========================  ===================================================================

    Lost and too late are for stores that can tell; the others are owed by all.
    `requests_tokenrefresh.testing` has the tests that a store must pass.
    """

    shared: bool
    """Whether another process that opens the same store sees the same token."""

    def load(self) -> Token | None:
        """Return the stored token, or None if there is none: nobody has logged in, or somebody has
        logged out. Takes no lock, and works while another holds it."""

    def save(self, token: Token) -> None:
        """Replace the stored token, atomically and durably: once this returns, a crash of the
        process does not lose *token*, and at no moment could a reader have seen half of it.

        Outside `lock`, it always replaces. On a thread that is inside `lock`, it may refuse.

        Raises:
            StoreLockLostError: The lock has passed to another meanwhile, or somebody outside it has
                called `save` or `clear`. The refusal and the write are one step of the backend.
        """

    def clear(self) -> None:
        """Forget the stored token; no error if there is none. Otherwise as `save`."""

    def lock(self, timeout: float) -> AbstractContextManager[object]:
        """Return a context manager that holds the turn to refresh.

        Waits at most *timeout* seconds to enter; 0 tries once. `load`, `save` and `clear` work
        inside it on the thread that holds it, and outside it on any other. It is not reentrant. It
        is free again within a bound after its holder was killed, and never taken from a holder that
        is alive and merely slow. What is raised inside it comes out as it is.

        Raises:
            StoreLockTimeoutError: Somebody else held the lock all that time.
            TypeError, ValueError: *timeout* is not a number of seconds that can be waited for.
        """
