"""`FileTokenStore`: a login in a file, shared by every process that opens the same path.

The file is only ever replaced as a whole, so reading takes no lock. The lock is a second file
beside it.
"""

from __future__ import annotations

import functools
import glob
import os
import shlex
import stat
import tempfile
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from .._errors import TokenStoreError
from .._token import Token
from ._content import LARGEST, Cipher, check_cipher, decode, encode
from ._file_lock import file_lock
from ._file_system import make_folder, os_errors_explained

# On Windows access lists decide, and the mode only repeats the read-only flag.
_MODE_TELLS_WHO_MAY_READ = os.name == "posix"

# Seconds after which a temporary file is taken for one that a killed process has left behind. A
# writer that is slower than that finds its own gone: its save fails, and nothing is overwritten.
_LEFT_BEHIND = 60.0

_OTHERS_MAY_READ_OR_WRITE = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


class FileTokenStore:
    """Keeps the token in a JSON file that only its owner can read.

    The file holds what `Token.to_mapping` returns. A token reply (RFC 6749 section 5.1) put there
    by hand is read as well; its ``expires_in`` counts from the file's modification time. Anything
    else in the file is an error, and is neither overwritten nor cleared.

    The file is created with mode 0600, in folders that are created with 0700; the mode of a folder
    that exists is not changed. A file that belongs to somebody else, or that others can read or
    write, is refused (except on Windows, where the mode does not tell). If *path* is a symbolic
    link, the file it points to is replaced, and the link stays. Beside the token stays an empty
    file, with ``.lock`` added to the name: the lock. A process that is killed while it saves may
    leave a third one, ``.NAME.????????.tmp``; a later `save` or `clear` removes it.

    Safe from any thread and process, and after a fork. Pickles as its path and its cipher, keys
    included.

    Args:
        path: Of the token file, which need not exist yet; ``~`` is expanded, and a relative path
            counts from the current folder of this moment.
        cipher: Encrypts what the file holds; None to write it as it is.

    Attributes:
        path: The same, as an absolute `pathlib.Path`.

    Raises:
        TypeError: *path* is neither a str nor an `os.PathLike` of one.
        ValueError: *path* cannot name a file.
    """

    shared = True

    def __init__(self, path: str | os.PathLike[str], *, cipher: Cipher | None = None) -> None:
        self.path = _absolute(path)
        self._cipher = check_cipher(cipher)

    def __repr__(self) -> str:
        return f"FileTokenStore({str(self.path)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Spelled out because a pathlib.Path does not unpickle in every version of Python.
        return functools.partial(type(self), cipher=self._cipher), (str(self.path),)

    def load(self) -> Token | None:
        """Return the stored token, or None if there is no such file.

        Raises:
            StoreUnavailableError: The file cannot be read.
            StoreContentError: It holds something else than a token. It is left as it was.
            TokenStoreError: It belongs to somebody else or is not private, or is no regular file.
        """
        return self._load(_behind_links(self.path))

    def save(self, token: Token) -> None:
        """Replace the stored token: the file holds the old one or the new one, never half of it,
        and the new one is on the disk when this returns.

        Raises:
            StoreUnavailableError: The file cannot be written. It is left as it was.
            StoreContentError, TokenStoreError: As for `load`, or *token* cannot be stored. The file
                is left as it was.
        """
        path = _behind_links(self.path)
        content = encode(token, _called(path), self._cipher)
        self._load(path)
        with os_errors_explained(f"cannot write {_called(path)}, which is as it was"):
            make_folder(path.parent)
            _replace(path, content)
        _sync_folder(path.parent)
        _remove_leftovers(path)

    def clear(self) -> None:
        """Remove the file; no error if there is none.

        Raises:
            StoreUnavailableError: The file cannot be removed. It is left as it was.
            StoreContentError, TokenStoreError: As for `load`.
        """
        path = _behind_links(self.path)
        if self._load(path) is not None:
            with os_errors_explained(f"cannot remove {_called(path)}, which is as it was"):
                path.unlink(missing_ok=True)
            _sync_folder(path.parent)
        _remove_leftovers(path)

    def lock(self, timeout: float) -> AbstractContextManager[None]:
        """Hold the turn to refresh, among all threads and processes that open the same path.

        Waits at most *timeout* seconds to enter; 0 tries once. Not reentrant. The operating system
        frees the lock at the moment its holder dies. A child forked inside the context does not
        hold the lock, and leaving the context there does not free it.

        Raises:
            StoreLockTimeoutError: Another thread or process held the lock all that time.
            StoreUnavailableError: The lock file cannot be opened, or its file system has no locks.
            TypeError, ValueError: *timeout* is not a number of seconds that can be waited for.
        """
        return file_lock(Path(f"{_behind_links(self.path)}.lock"), timeout)

    def _load(self, path: Path) -> Token | None:
        with os_errors_explained(f"cannot read {_called(path)}"):
            try:
                content, written_at = _read(path)
            except FileNotFoundError:
                return None
        return decode(content, _called(path), self._cipher, written_at=written_at)


def _absolute(path: str | os.PathLike[str]) -> Path:
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(name, str):
        raise TypeError(
            f"path is a str or an os.PathLike of one, got {type(path).__name__}; "
            'pass the path of the token file, such as "~/.config/reports/token.json"'
        )
    if not name or "\0" in name:
        raise ValueError(
            f"path {name!r} cannot name a file; "
            'pass the path of the token file, such as "~/.config/reports/token.json"'
        )
    try:
        return Path(name).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"path {name!r}: there is no such home; write the path out") from None


def _behind_links(path: Path) -> Path:
    # Looked up every time, as a link may be set or moved while we live. Replacing the link instead
    # of the file would detach whoever manages it, and two names would have two locks.
    return Path(os.path.realpath(path))


def _called(path: Path) -> str:
    return f"the token file {path}"


def _read(path: Path) -> tuple[bytes, float]:
    """Return what the file holds, and when it was written, in epoch seconds."""
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        _refuse_unless_private(path, status)
        return file.read(LARGEST + 1), status.st_mtime


def _open_at_once(path: str, flags: int) -> int:
    # Opening a named pipe would otherwise wait for somebody to write to it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _refuse_unless_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise TokenStoreError(f"{path} is not a regular file; pass the path of another one")
    if not _MODE_TELLS_WHO_MAY_READ:
        return
    if status.st_uid != os.geteuid():
        raise TokenStoreError(
            f"the token file {path} belongs to another user (uid {status.st_uid}), who can read "
            "and replace the login in it; pass the path of a file of your own"
        )
    if status.st_mode & _OTHERS_MAY_READ_OR_WRITE:
        raise TokenStoreError(
            f"the token file {path} can be read or written by other users "
            f"(mode {stat.S_IMODE(status.st_mode):04o}); make it private: "
            f"chmod 600 {shlex.quote(str(path))}"
        )


def _replace(path: Path, content: bytes) -> None:
    # 0600 from the first byte, under a name that is nobody else's: what a killed process leaves
    # behind is in nobody's way, and `_remove_leftovers` knows it.
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)  # or a crash after the rename may leave an empty file in its place
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Make the change of name survive a power failure as well, where the system can."""
    # Windows opens no folders, and not every network file system syncs one. The change is made by
    # now: an error would say that it was not.
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _remove_leftovers(path: Path) -> None:
    """Remove what killed processes have left of a token that they were writing to *path*."""
    # As `_replace` names them. Eight characters, so that those of "token.json.old" are not meant.
    leftovers = path.parent.glob(f".{glob.escape(path.name)}.????????.tmp")
    with suppress(OSError):  # one whose writer lives and was faster; the next save looks again
        for leftover in leftovers:
            if leftover.lstat().st_mtime < time.time() - _LEFT_BEHIND:
                leftover.unlink()
