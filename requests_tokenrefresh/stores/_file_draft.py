"""How a file is replaced as a whole, and what can be told beforehand of whether it can be."""

from __future__ import annotations

import glob
import os
import re
import shlex
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .._errors import TokenStoreError
from ._file_system import open_at_once

try:
    import fcntl
except ImportError:  # pragma: no cover  # Windows
    fcntl = None  # type: ignore[assignment]

# Seconds after which a draft is taken for one that a killed process has left behind. A writer that
# is slower than that finds its own gone: its save fails, and nothing is overwritten.
_LEFT_BEHIND = 60.0

_MOUNTS = Path("/proc/self/mountinfo")

# What Linux keeps of a file beside its mode (ioctl_iflags(2)).
_GET_FLAGS = 0x8000_6601 | (8 if sys.maxsize > 2**32 else 4) << 16
_IMMUTABLE_OR_APPEND_ONLY = 0x10 | 0x20


MOUNT_THE_FOLDER = (
    "mount the folder that holds it instead: its lock has to be in the same place for all who "
    "share the login"
)


class Draft:
    """What is to take the place of a file: beside it, on the disk, under a name of its own.

    Args:
        path: Whose place it is.
        content: What is in it.
        like: Whose group and mode it gets; None: its writer alone may read and write it.
        check: Is given *path* and the status of the draft before anything is in it, and raises if
            that will not do.

    Raises:
        OSError: It cannot be written. There is none then.
    """

    def __init__(
        self,
        path: Path,
        content: bytes,
        *,
        like: os.stat_result | None = None,
        check: Callable[[Path, os.stat_result], None] | None = None,
    ) -> None:
        # 0600 from the first byte, under a name that is nobody else's: what a killed process leaves
        # behind is in nobody's way, and `remove_leftovers` knows it.
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        self.path = path
        self._draft = Path(name)
        self._made = os.fstat(fd)
        try:
            with os.fdopen(fd, "wb") as file:
                if like is not None:
                    with suppress(OSError):
                        os.chown(fd, -1, like.st_gid)  # or the mode is for the wrong group
                        os.fchmod(fd, stat.S_IMODE(like.st_mode))
                if check is not None:
                    check(path, os.fstat(fd))
                file.write(content)
                file.flush()
                os.fsync(fd)  # or a crash after the rename may leave an empty file in its place
        except BaseException:
            self.discard()
            raise

    def rewrite(self, content: bytes) -> bool:
        """Replace what is in it, and return whether that is possible: it is not if others have put
        something else in its place. It is gone then, and if it cannot be written."""
        try:
            with open(self._draft, "r+b", opener=open_at_once) as file:
                is_ours = os.path.samestat(os.fstat(file.fileno()), self._made)
                if is_ours:
                    file.write(content)
                    file.truncate()
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            self.discard()
            raise
        if not is_ours:
            self.discard()
        return is_ours

    def put_in_place(self) -> None:
        """Replace the file in one step. The draft is gone if that is not possible."""
        try:
            self._draft.replace(self.path)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove it."""
        with suppress(OSError):
            self._draft.unlink()


def refuse_irreplaceable(path: Path) -> None:
    """Refuse a file that no other can take the place of, though its folder can be written.

    Raises:
        TokenStoreError: It is one.
        OSError: It cannot be asked.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if _is_mounted(path):
        raise TokenStoreError(
            f"{path} is mounted by itself, and cannot be replaced; {MOUNT_THE_FOLDER}"
        )
    folder = path.parent.stat()
    if folder.st_mode & stat.S_ISVTX and _user() not in (0, status.st_uid, folder.st_uid):
        raise TokenStoreError(
            f"{path} belongs to another user (uid {status.st_uid}), and in a sticky folder such as "
            f"{path.parent} only its owner can replace it; keep it in a folder of your own"
        )
    if _is_immutable(path):
        raise TokenStoreError(
            f"{path} is immutable, or can only be appended to; make it an ordinary file: "
            f"sudo chattr -i -a {shlex.quote(str(path))}"
        )


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _is_mounted(path: Path) -> bool:
    """Say whether something is mounted at *path*: on Linux, where containers are."""
    # Neither st_dev nor os.path.ismount tells, as both ends may be of one file system.
    wanted = os.fsencode(path)
    try:
        mounts = _MOUNTS.read_bytes()
    except OSError:
        return False
    return any(_plain(line.split(b" ", 5)[4]) == wanted for line in mounts.splitlines())


def _plain(escaped: bytes) -> bytes:
    # Spaces, tabs, line ends and backslashes are written as three octal digits.
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), escaped)


def _is_immutable(path: Path) -> bool:
    with suppress(OSError, AttributeError):  # it cannot be read, its file system has no flags
        fd = open_at_once(str(path), os.O_RDONLY)
        try:
            flags = fcntl.ioctl(fd, _GET_FLAGS, bytes(8))
        finally:
            os.close(fd)
        return bool(int.from_bytes(flags[:4], sys.byteorder) & _IMMUTABLE_OR_APPEND_ONLY)
    return False


def sync_folder(folder: Path) -> None:
    """Make the change of name survive a power failure as well, where the system can."""
    # Windows opens no folders, and not every network file system syncs one. The change is made by
    # now: an error would say that it was not.
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes have left of what they were writing to *path*."""
    # As `Draft` names them. Eight characters, so that those of "token.json.old" are not meant.
    leftovers = path.parent.glob(f".{glob.escape(path.name)}.????????.tmp")
    with suppress(OSError):  # one whose writer lives and was faster; the next save looks again
        for leftover in leftovers:
            if leftover.lstat().st_mtime < time.time() - _LEFT_BEHIND:
                leftover.unlink()
