"""`FileTokenStore`: a login in a file, shared by every process that opens the same path.

The file is only ever replaced as a whole, so reading takes no lock. The lock is a second file
beside it, which is never deleted: whoever had opened a deleted one would hold a lock that
nobody else can see.
"""

from __future__ import annotations

import functools
import os
import shlex
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .._errors import StoreLockTimeoutError, StoreUnavailableError, TokenStoreError
from .._token import Token
from ._content import LARGEST, Cipher, check_cipher, decode, encode
from ._timeout import check_timeout

# Seconds between two looks at a busy lock. A waiter enters half of it after the holder has left, in
# the median; a look takes 0.2 ms of processor time.
_POLL_INTERVAL = 0.01

# On Windows access lists decide, and the mode only repeats the read-only flag.
_MODE_TELLS_WHO_MAY_READ = os.name == "posix"

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
    file, with ``.lock`` added to the name: the lock.

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
            TokenStoreError: The file cannot be read, is not private, or holds something else
                than a token. It is left as it was.
        """
        return self._load(_behind_links(self.path))

    def save(self, token: Token) -> None:
        """Replace the stored token: the file holds the old one or the new one, never half of it,
        and the new one is on the disk when this returns.

        Raises:
            TokenStoreError: The file cannot be written, or `load` would refuse what it holds now.
                It is left as it was.
        """
        path = _behind_links(self.path)
        content = encode(token, _called(path), self._cipher)
        self._load(path)
        with _os_errors_explained(f"cannot write {_called(path)}, which is as it was"):
            _make_folder(path.parent)
            _replace(path, content)
        _sync_folder(path.parent)

    def clear(self) -> None:
        """Remove the file; no error if there is none.

        Raises:
            TokenStoreError: The file cannot be removed, or `load` would refuse what it holds.
                It is left as it was.
        """
        path = _behind_links(self.path)
        if self._load(path) is None:
            return
        with _os_errors_explained(f"cannot remove {_called(path)}, which is as it was"):
            path.unlink(missing_ok=True)
        _sync_folder(path.parent)

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        """Hold the turn to refresh, among all threads and processes that open the same path.

        Waits at most *timeout* seconds to enter; 0 tries once. Not reentrant. The operating system
        frees the lock at the moment its holder dies. A child forked inside the context does not
        hold the lock, and leaving the context there does not free it.

        Raises:
            StoreLockTimeoutError: Another thread or process held the lock all that time.
            TokenStoreError: The lock file cannot be opened, or its file system has no locks.
            TypeError, ValueError: *timeout* is not a number of seconds that can be waited for.
        """
        check_timeout(timeout)
        turn = _acquire(Path(f"{_behind_links(self.path)}.lock"), timeout)
        try:
            yield
        finally:
            with _os_errors_explained(f"cannot free the lock {turn.lock_file}"):
                turn.release()

    def _load(self, path: Path) -> Token | None:
        with _os_errors_explained(f"cannot read {_called(path)}"):
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


@contextmanager
def _os_errors_explained(problem: str) -> Iterator[None]:
    try:
        yield
    except TokenStoreError:
        raise  # an OSError by way of requests, and explained already
    except OSError as error:
        raise StoreUnavailableError(f"{problem}: {error.strerror or error}") from error


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


def _make_folder(folder: Path) -> None:
    """Create *folder* and whatever is missing above it, for this user alone."""
    if not folder.parent.exists():
        _make_folder(folder.parent)  # mkdir(parents=True) would leave their mode to the umask
    folder.mkdir(mode=0o700, exist_ok=True)


def _replace(path: Path, content: bytes) -> None:
    # 0600 from the first byte, under a name that is nobody else's: what a killed process leaves
    # behind is in nobody's way.
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


def _acquire(path: Path, timeout: float) -> FileLock:
    # A new object each time: filelock lets the same one in again, and with it another thread.
    turn = FileLock(
        path,
        timeout=timeout,
        mode=0o600,
        poll_interval=_POLL_INTERVAL,
        # Windows would delete the file, and a system without flock be given a soft lock, which
        # outlives a holder that is killed.
        preserve_lock_file=True,
    )
    with _os_errors_explained(f"cannot lock {path}"):
        _make_folder(path.parent)
        try:
            turn.acquire()
        except Timeout as error:
            raise StoreLockTimeoutError(
                f"another thread or process held {path} for {timeout:g} s; try again"
            ) from error
    return turn
