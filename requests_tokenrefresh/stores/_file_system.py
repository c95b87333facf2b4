"""What the stores on this machine's disks ask of the file system."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._errors import StoreUnavailableError, TokenStoreError

NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows: no quota
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
IN_THE_WAY = (errno.EBUSY, errno.EXDEV)  # a rename meets something that is mounted


def no_advice(_error: OSError) -> str:
    """There is nothing to be done about it."""
    return ""


@contextmanager
def os_errors_explained(
    problem: str, advice: Callable[[OSError], str] = no_advice
) -> Iterator[None]:
    """Turn an `OSError` into a `StoreUnavailableError`: *problem*, what the system says of it, and
    what *advice* says, if it is not empty."""
    try:
        yield
    except TokenStoreError:
        raise  # an OSError by way of requests, and explained already
    except OSError as error:
        told = f"{problem}: {error.strerror or error}"
        what_next = advice(error)
        raise StoreUnavailableError(f"{told}; {what_next}" if what_next else told) from error


def open_at_once(path: str | os.PathLike[str], flags: int) -> int:
    """Open as `os.open` does, but no link, as that is none of the way that was looked at; and
    without waiting: a named pipe would, for somebody to write to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
