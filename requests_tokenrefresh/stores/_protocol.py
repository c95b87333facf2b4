"""What a token store promises. Anything that keeps these promises can be passed as `store=`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, runtime_checkable

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

    None of them says anything of what is stored, nor does what it was raised from: a
    `json.JSONDecodeError`, say, has all that it could not read.

    Lost and too late are for stores that can tell; the others are owed by all. What more a store
    can do it says by having the methods of `ChecksSaving` and `KeepsPause`.
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


@runtime_checkable
class ChecksSaving(Protocol):
    """A `TokenStore` that can tell beforehand whether a token can be saved.

    A refresh token that rotates can be used once: if its successor cannot be stored, it is lost
    with the process. So a source asks before it spends one.
    """

    def ensure_can_save(self) -> None:
        """Return if `save` could succeed now, as far as can be told without changing what is
        stored; else raise what `save` would, with what can be done about it.

        Called on a thread that is inside `lock`, the answer is for the `save` in the same turn.

        Raises:
            TokenStoreError: `save` would fail.
        """


class StoredPause(NamedTuple):
    """Until when the issuer is not to be asked, and why not sooner.

    Attributes:
        until: In epoch seconds, by the clock of whoever has saved it. It may have passed, or that
            clock may be wrong.
        seconds: How long it lasted when it was saved. No reader waits for longer than that.
        failures: How often in a row the issuer has failed.
    """

    until: float
    seconds: float
    failures: int


@runtime_checkable
class KeepsPause(Protocol):
    """A `TokenStore` that keeps a pause beside the token: the issuer is in trouble, or has said
    that it is asked too often.

    So a fleet asks once for each pause, and not each process, nor each that starts; and pauses grow
    for all. A pause is advice: nothing is wrong with a login whose pause has been lost. `save` and
    `clear` end it.
    """

    def load_pause(self) -> StoredPause | None:
        """Return the pause that was saved last; None: none was, or it has ended, or what is there
        is no pause.

        Raises:
            TokenStoreError: As `TokenStore.load`.
        """

    def save_pause(self, pause: StoredPause | None) -> None:
        """Keep *pause*; None ends it. The token stays as it is, and a `save` later in the same turn
        is not refused for it.

        Raises:
            StoreLockLostError: As `TokenStore.save`.
            TokenStoreError: It cannot be kept.
        """
