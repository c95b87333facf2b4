"""`FileTokenStore`: a login in a file, shared by every process that opens the same path.

The file is only ever replaced as a whole, so reading takes no lock. The lock is a second file
beside it, and a pause a third.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from .._token import Token
from ._content import LARGEST, Cipher, check_cipher, decode, encode
from ._file_draft import (
    MOUNT_THE_FOLDER,
    Draft,
    refuse_irreplaceable,
    remove_leftovers,
    sync_folder,
)
from ._file_lock import file_lock
from ._file_pause import FilePause
from ._file_privacy import (
    MODE_TELLS_WHO_MAY_READ,
    refuse_folder_that_shares,
    refuse_unless_private,
    refuse_unless_regular,
    told_of,
)
from ._file_system import (
    IN_THE_WAY,
    NO_PERMISSION,
    NO_ROOM,
    make_folder,
    open_at_once,
    os_errors_explained,
)
from ._file_way import behind_links
from ._protocol import StoredPause
from ._secret import Secret
from ._timeout import check_timeout

# Bytes of disk that the successor of a token may need more than it: a longer id_token, say.
_ROOM_TO_GROW = 4096


class FileTokenStore:
    """Keeps the token in a JSON file that only its owner can read.

    The file holds what `Token.to_mapping` returns. A token reply (RFC 6749 section 5.1) put there
    by hand is read as well; its ``expires_in`` counts from the file's modification time. Anything
    else in the file is an error, and is neither overwritten nor cleared.

    The file is created with mode 0600, in folders that are created with 0700; the mode of a folder
    that exists is not changed. A file that belongs to somebody else, or that others can read or
    write, is refused, and so is one that is found by a link of somebody else or in a folder that
    others can write (except on Windows, where the mode does not tell). If *path* is a symbolic
    link, the file it points to is replaced, and the link stays.

    Beside the token stays an empty file, with ``.lock`` added to the name: the lock; and one with
    ``.pause``, as long as the token endpoint is not to be asked again. So the folder has to be one
    for all who share the login: a file that is mounted by itself into a container is read, and
    neither refreshed nor replaced. A process that is killed while it saves may leave a file
    ``.NAME.????????.tmp``; a later `save` or `clear` removes it.

    It can tell beforehand whether a token can be saved (`ChecksSaving`), and keeps a pause
    (`KeepsPause`).

    Safe from any thread and process, and after a fork. Pickles as its path and its cipher, keys
    included.

    Args:
        path: Of the token file, which need not exist yet; ``~`` is expanded, and a relative path
            counts from the current folder of this moment.
        cipher: Encrypts what the file holds; None to write it as it is.
        private: Whether to refuse a file that is not this user's alone. False is for mounted
            secrets, logins that several users share, and drives whose files have no mode of their
            own. Then a file that is replaced keeps its group and mode, and others can wait for the
            lock and see a pause.

    Attributes:
        path: The same, as an absolute `pathlib.Path`.
        private: The same.

    Raises:
        TypeError: *path* is neither a str nor an `os.PathLike` of one.
        ValueError: *path* cannot name a file.
    """

    shared = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        cipher: Cipher | None = None,
        private: bool = True,
    ) -> None:
        self.path = _absolute(path)
        self._cipher = check_cipher(cipher)
        self.private = private
        self._here = threading.local()  # .turn: of this thread, while it has the lock

    def __repr__(self) -> str:
        return f"FileTokenStore({str(self.path)!r}{'' if self.private else ', private=False'})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Spelled out because a pathlib.Path does not unpickle in every version of Python.
        again = functools.partial(type(self), cipher=self._cipher, private=self.private)
        return again, (str(self.path),)

    def load(self) -> Token | None:
        """Return the stored token, or None if there is no such file.

        Raises:
            StoreUnavailableError: The file cannot be read.
            StoreContentError: It holds something else than a token. It is left as it was.
            TokenStoreError: It belongs to somebody else or is not private, or is no regular file.
        """
        path = self._place()
        token = self._load(path)
        # A mounted secret is renewed by moving a link, and its old file is gone at once.
        while token is None and path != (moved := self._place()):
            path = moved
            token = self._load(path)
        return token

    def save(self, token: Token) -> None:
        """Replace the stored token: the file holds the old one or the new one, never half of it,
        and the new one is on the disk when this returns.

        Raises:
            StoreUnavailableError: The file cannot be written. It is left as it was.
            StoreContentError, TokenStoreError: As for `load`, or *token* cannot be stored. The file
                is left as it was.
        """
        path = self._place()
        content = encode(token, _called(path), self._cipher)
        self._load(path)
        with self._changing("write", path):
            self._draft(path, content).put_in_place()
        self._pause_of(path).end()
        sync_folder(path.parent)
        remove_leftovers(path)

    def clear(self) -> None:
        """Remove the file; no error if there is none.

        Raises:
            StoreUnavailableError: The file cannot be removed. It is left as it was.
            StoreContentError, TokenStoreError: As for `load`.
        """
        path = self._place()
        if self._load(path) is not None:
            with self._changing("remove", path):
                path.unlink(missing_ok=True)
            sync_folder(path.parent)
        self._pause_of(path).end()
        remove_leftovers(path)

    def ensure_can_save(self) -> None:
        """Raise what `save` would, if it would. Nothing that is stored changes.

        Inside `lock`, the room on the disk that was found is kept for a `save` in the same turn.

        Raises:
            StoreUnavailableError: The file could not be written: the disk is full, the folder
                read-only or another's.
            StoreContentError, TokenStoreError: As for `load`, or the file cannot be replaced: it is
                mounted by itself, say.
        """
        path = self._place()
        self._load(path)
        refuse_irreplaceable(path)
        with self._changing("write", path):
            # Noise, as a file system that compresses would find room for zeros.
            draft = self._draft(path, os.urandom(_size_of(path) + _ROOM_TO_GROW))
        turn = self._turn()
        if turn is None:
            draft.discard()
        else:
            turn.draft = draft

    def load_pause(self) -> StoredPause | None:
        """Return the pause, or None if there is none.

        Raises:
            StoreUnavailableError: It cannot be read.
        """
        return self._pause_of(self._place()).load()

    def save_pause(self, pause: StoredPause | None) -> None:
        """Keep *pause*; None ends it.

        Raises:
            StoreUnavailableError: It cannot be written.
        """
        path = self._place()
        self._pause_of(path).save(pause, like=self._model(path))

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        """Hold the turn to refresh, among all threads and processes that open the same path.

        Waits at most *timeout* seconds to enter; 0 tries once. Not reentrant. The operating system
        frees the lock at the moment its holder dies. A child forked inside the context does not
        hold the lock, and leaving the context there does not free it.

        Raises:
            StoreLockTimeoutError: Another thread or process held the lock all that time.
            StoreUnavailableError: The lock file cannot be opened, or its file system has no locks.
            TokenStoreError: The token file belongs to somebody else or is not private, or is no
                regular file. No lock file has been made.
            TypeError, ValueError: *timeout* is not a number of seconds that can be waited for.
        """
        check_timeout(timeout)
        path = self._place()
        # Or `sudo`, tried once and refused, would leave a lock that nobody else can open.
        with _reading(path), suppress(FileNotFoundError):
            self._refuse_unfit(path, path.stat())
        mode = 0o600 if self.private else None
        advice = functools.partial(self._advice, path)
        with file_lock(Path(f"{path}.lock"), timeout, mode=mode, advice=advice):
            self._here.turn = turn = _Turn()
            try:
                yield
            finally:
                self._here.turn = None
                turn.end()

    def _place(self) -> Path:
        # Looked up every time, as a link may be set or moved while we live. Replacing the link
        # instead of the file would detach whoever manages it, and two names would have two locks.
        return behind_links(self.path, private=self.private)

    def _pause_of(self, path: Path) -> FilePause:
        return FilePause(Path(f"{path}.pause"), private=self.private)

    def _load(self, path: Path) -> Token | None:
        with _reading(path):
            try:
                with open(path, "rb", opener=open_at_once) as file:
                    status = os.fstat(file.fileno())
                    self._refuse_unfit(path, status)
                    content = Secret(file.read(LARGEST + 1))
            except FileNotFoundError:
                return None
        return decode(content, _called(path), self._cipher, written_at=status.st_mtime)

    def _refuse_unfit(self, path: Path, status: os.stat_result) -> None:
        refuse_unless_regular(path, status)
        if self.private:
            refuse_unless_private(path, status)

    @contextmanager
    def _changing(self, verb: str, path: Path) -> Iterator[None]:
        problem = f"cannot {verb} {_called(path)}, which is as it was"
        with os_errors_explained(problem, functools.partial(self._advice, path)):
            try:
                yield
            except OSError:
                refuse_irreplaceable(path)  # that says more
                raise

    def _advice(self, path: Path, error: OSError) -> str:
        """Return what can be done about *error*, which stands against changing *path*."""
        if error.errno in NO_ROOM:
            return "make room there, and try again"
        if error.errno in IN_THE_WAY:
            return MOUNT_THE_FOLDER
        if error.errno in NO_PERMISSION:
            return (
                f"let this user write into {path.parent}; or, if the refresh token does not "
                f"rotate, keep the login in memory: TokenSource(..., token={self!r}.load()) "
                "without store="
            )
        return ""

    def _draft(self, path: Path, content: bytes) -> Draft:
        """Return a draft that holds *content*: one that this turn has kept, if that will do."""
        make_folder(path.parent)
        turn = self._turn()
        kept = turn.take(path) if turn is not None else None
        if kept is not None:
            with suppress(OSError):  # it is too small, or somebody has removed it
                kept.rewrite(content)
                return kept
        check = refuse_folder_that_shares if self.private else None
        return Draft(path, content, like=self._model(path), check=check)

    def _model(self, path: Path) -> os.stat_result | None:
        """Return the status of the file whose group and mode a new one gets."""
        if self.private or not MODE_TELLS_WHO_MAY_READ:
            return None
        try:
            return path.stat()
        except FileNotFoundError:
            return None

    def _turn(self) -> _Turn | None:
        """Return the turn that this thread of this process is in."""
        turn: _Turn | None = getattr(self._here, "turn", None)
        return turn if turn is not None and turn.is_here else None


class _Turn:
    """One thread's time with the lock.

    Attributes:
        draft: Has the room on the disk for the token that this turn will save.
    """

    def __init__(self) -> None:
        self.draft: Draft | None = None
        self._process = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is the process that has the lock, and not one forked from it."""
        return os.getpid() == self._process

    def take(self, path: Path) -> Draft | None:
        """Return the draft for *path*, which is the caller's from now on."""
        draft, self.draft = self.draft, None
        if draft is None or draft.path == path:
            return draft
        draft.discard()
        return None

    def end(self) -> None:
        """Give the room back."""
        if self.draft is not None and self.is_here:
            self.draft.discard()


def _absolute(path: str | os.PathLike[str]) -> Path:
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(name, str):
        raise TypeError(
            f"path is a str or an os.PathLike of one, got {type(path).__name__}; "
            'pass the path of the token file, such as "~/.config/reports/token.json"'
        )
    if not name or "\0" in name or not _is_written(name):
        raise ValueError(
            f"path {name!r} cannot name a file; "
            'pass the path of the token file, such as "~/.config/reports/token.json"'
        )
    try:
        return Path(name).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"path {name!r}: there is no such home; write the path out") from None


def _is_written(name: str) -> bool:
    """Return whether the system can write *name*: not one with half a character, unless Python has
    made that of a byte."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _called(path: Path) -> str:
    return f"the token file {path}"


def _reading(path: Path) -> AbstractContextManager[None]:
    def advice(error: OSError) -> str:
        return told_of(path) if error.errno in NO_PERMISSION else ""

    return os_errors_explained(f"cannot read {_called(path)}", advice)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
