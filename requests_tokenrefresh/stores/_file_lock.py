"""The turn to refresh as a lock on a file, for stores that have no server to keep it."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .._errors import StoreLockTimeoutError
from .._on_demand import import_the_rest_of
from ._file_privacy import refuse_lock_of_others
from ._file_system import (
    NO_LOCKS,
    NO_PERMISSION,
    no_advice,
    os_errors_explained,
)
from ._file_way import Place
from ._timeout import check_timeout

import_the_rest_of("filelock")

# Seconds between two looks at a busy lock. A waiter enters half of it after the holder has left, in
# the median; a look takes 0.2 ms of processor time.
_POLL_INTERVAL = 0.01

_MODE = 0o600  # of a lock that is this user's alone


@contextmanager
def file_lock(
    place: Place,
    timeout: float,
    *,
    private: bool = True,
    advice: Callable[[OSError], str] = no_advice,
) -> Iterator[None]:
    """Hold the lock on the file at *place*, among all threads and processes that open it.

    The file stays when the lock is free: whoever had opened a deleted one would hold a lock that
    nobody else can see.

    Waits at most *timeout* seconds to enter; 0 tries once. Not reentrant. The operating system
    frees the lock at the moment its holder dies. A child forked inside the context does not hold
    the lock, and leaving the context there does not free it.

    Args:
        private: Whether it is this user's alone. If not, the umask says who can wait for it, and
            it may be another user's.
        advice: What can be done about an error that has nothing to do with locks.

    Raises:
        StoreLockTimeoutError: Another thread or process held the lock all that time.
        StoreUnavailableError: The file cannot be opened, or its file system has no locks.
        TokenStoreError: It is no regular file, or another may have put it there.
        TypeError, ValueError: *timeout* is not a number of seconds that can be waited for.
    """
    check_timeout(timeout)
    turn = _acquire(place, timeout, private, advice)
    try:
        yield
    finally:
        with os_errors_explained(f"cannot free the lock {place.path}"):
            turn.release()


def _acquire(
    place: Place, timeout: float, private: bool, advice: Callable[[OSError], str]
) -> FileLock:
    path = place.path
    # A new object each time: filelock lets the same one in again, and with it another thread.
    new_lock = functools.partial(FileLock, mode=_MODE) if private else FileLock
    turn = new_lock(
        path,
        timeout=timeout,
        poll_interval=_POLL_INTERVAL,
        # Windows would delete the file, and a system without flock be given a soft lock, which
        # outlives a holder that is killed.
        preserve_lock_file=True,
    )

    def what_next(error: OSError) -> str:
        if error.errno in NO_LOCKS:
            return (
                "its file system has no locks: keep the login on a disk of this machine, or in a "
                "RedisTokenStore or SQLTokenStore"
            )
        if error.errno in NO_PERMISSION and _belongs_to_another(path):
            rm = f"sudo rm {shlex.quote(str(path))}"
            return f"another user has made it, and nothing is in it; remove it: {rm}"
        return advice(error)

    with os_errors_explained(f"cannot lock {path}", what_next):
        refuse_lock_of_others(place, private=private)
        if place.is_shared:
            _make(path, private)
            refuse_lock_of_others(place, private=private)
        try:
            turn.acquire()
        except Timeout:
            raise StoreLockTimeoutError(
                f"another thread or process held {path} for {timeout:g} s; try again"
            ) from None  # which says no more, and the path as it is
    return turn


def _make(path: Path, private: bool) -> None:
    """Make the file, unless there is one. If others were faster, theirs is not opened by that."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _MODE if private else 0o666))


def _belongs_to_another(path: Path) -> bool:
    try:
        return hasattr(os, "geteuid") and path.stat().st_uid != os.geteuid()
    except OSError:
        return False
