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

from .._errors import TokenStoreError
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
    refuse_folder_that_shares,
    refuse_second_name,
    refuse_unless_private,
    refuse_unless_regular,
    told_of,
    without_check,
)
from ._file_system import (
    IN_THE_WAY,
    NO_PERMISSION,
    NO_ROOM,
    open_at_once,
    os_errors_explained,
)
from ._file_trust import MODE_TELLS_WHO_MAY_READ
from ._file_way import Place, Way, absolute
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
    write, is refused, and so is one that is found by a link of somebody else, or in a folder that
    is somebody else's or that others can write (except on Windows, where the mode does not tell).
    This user and root are trusted; a sticky folder such as ``/tmp``, and a group that only this
    user is in, let nobody else replace what is there. If *path* is a symbolic link, the file it
    points to is replaced, and the link stays.

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
        cipher: Encrypts what the file holds, its name (without its folder's) with it: what has been
            copied from a file of another name is refused. None to write it as it is.
        private: Whether to refuse a file, and folders on the way to it, that are not this user's
            alone. False is for mounted secrets, logins that several users share, and drives whose
            files have no mode of their own: whoever can write there can read, replace and end this
            login. Links of others are refused all the same, as they may lead to another login.
            Then a file that is replaced keeps its group and mode, and others can wait for the lock
            and see a pause.

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
        self.path = absolute(path)
        self._cipher = check_cipher(cipher)
        self.private = private
        self._without = without_check(self.path)
        self._way = Way(self.path, private=private, found=_called(self.path), without=self._without)
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
            TokenStoreError: It, or the way to it, is another's or not private, or it is no regular
                file.
        """
        place = self._way.look()
        token = self._load(place)
        # A mounted secret is renewed by moving a link, and its old file is gone at once.
        while token is None and place != (moved := self._way.look()):
            place = moved
            token = self._load(place)
        return token

    def save(self, token: Token) -> None:
        """Replace the stored token: the file holds the old one or the new one, never half of it,
        and the new one is on the disk when this returns.

        Raises:
            StoreUnavailableError: The file cannot be written. It is left as it was.
            StoreContentError, TokenStoreError: As for `load`, or *token* cannot be stored. The file
                is left as it was.
        """
        place = self._prepared()
        path = place.path
        content = encode(token, _called(path), self._cipher, login=path.name)
        self._load(place)
        with self._changing("write", path):
            self._draft(path, content).put_in_place()
        self._pause_of(place).end()
        sync_folder(path.parent)
        remove_leftovers(path)

    def clear(self) -> None:
        """Remove the file; no error if there is none.

        Raises:
            StoreUnavailableError: The file cannot be removed. It is left as it was.
            StoreContentError, TokenStoreError: As for `load`.
        """
        place = self._way.look()
        path = place.path
        if self._load(place) is not None:
            with self._changing("remove", path):
                path.unlink(missing_ok=True)
            sync_folder(path.parent)
        self._pause_of(place).end()
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
        place = self._prepared()
        path = place.path
        self._load(place)
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
        return self._pause_of(self._way.look()).load()

    def save_pause(self, pause: StoredPause | None) -> None:
        """Keep *pause*; None ends it.

        Raises:
            StoreUnavailableError: It cannot be written.
        """
        place = self._prepared()
        self._pause_of(place).save(pause, like=self._model(place.path))

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        """Hold the turn to refresh, among all threads and processes that open the same path.

        Waits at most *timeout* seconds to enter; 0 tries once. Not reentrant. The operating system
        frees the lock at the moment its holder dies. A child forked inside the context does not
        hold the lock, and leaving the context there does not free it.

        Raises:
            StoreLockTimeoutError: Another thread or process held the lock all that time.
            StoreUnavailableError: The lock file cannot be opened, or its file system has no locks.
            TokenStoreError: As for `load`, and no lock file has been made; or the lock is another
                user's, or no regular file.
            TypeError, ValueError: *timeout* is not a number of seconds that can be waited for.
        """
        check_timeout(timeout)
        place = self._prepared()
        # Or `sudo`, tried once and refused, would leave a lock that nobody else can open.
        with _reading(place.path), suppress(FileNotFoundError):
            self._refuse_unfit(place, place.path.lstat())
        beside = place.beside(f"{place.path.name}.lock")
        advice = functools.partial(self._advice, place.path)
        with file_lock(beside, timeout, private=self.private, advice=advice):
            self._here.turn = turn = _Turn()
            try:
                yield
            finally:
                self._here.turn = None
                turn.end()

    def _prepared(self) -> Place:
        """Return the place, whose folder is there.

        Behind links, as replacing one instead of the file would detach whoever manages it, and two
        names would have two locks.
        """
        with self._changing("write", self.path):
            return self._way.prepare()

    def _pause_of(self, place: Place) -> FilePause:
        return FilePause(place.beside(f"{place.path.name}.pause"), private=self.private)

    def _load(self, place: Place) -> Token | None:
        path = place.path
        with _reading(path):
            try:
                with open(path, "rb", opener=open_at_once) as file:
                    status = os.fstat(file.fileno())
                    self._refuse_unfit(place, status)
                    content = Secret(file.read(LARGEST + 1))
            except FileNotFoundError:
                return None
        return decode(
            content, _called(path), self._cipher, login=path.name, written_at=status.st_mtime
        )

    def _refuse_unfit(self, place: Place, status: os.stat_result) -> None:
        refuse_unless_regular(place.path, status)
        if self.private:
            refuse_unless_private(place.path, status, without=self._without)
        refuse_second_name(place, status)

    @contextmanager
    def _changing(self, verb: str, path: Path) -> Iterator[None]:
        problem = f"cannot {verb} {_called(path)}, which is as it was"
        with os_errors_explained(problem, functools.partial(self._advice, path)):
            try:
                yield
            except TokenStoreError:
                raise  # an OSError by way of requests
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
        turn = self._turn()
        kept = turn.take(path) if turn is not None else None
        if kept is not None:
            with suppress(OSError):  # it is too small, or somebody has removed it
                if kept.rewrite(content):
                    return kept
        check = functools.partial(refuse_folder_that_shares, without=self._without)
        return Draft(path, content, like=self._model(path), check=check if self.private else None)

    def _model(self, path: Path) -> os.stat_result | None:
        """Return the status of the file whose group and mode a new one gets."""
        if self.private or not MODE_TELLS_WHO_MAY_READ:
            return None
        try:
            return path.lstat()
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
