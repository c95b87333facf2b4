"""The way to a file: nobody else may turn it, by a link or in a folder.

Who owns a link points it where he likes, and who can write into a folder can put another file, or
another folder, in the place of what is in it; in a sticky one, such as /tmp, he can put there what
has a name that is free. What has been found can be used by its path, as long as nobody can turn
the way to it; and what is at its end is looked at once more when it is opened.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from .._errors import TokenStoreError
from ._file_trust import (
    MODE_TELLS_WHO_MAY_READ,
    has_no_known_owner,
    is_of_another,
    others_may_write,
)

_MOST_LINKS = 40  # as Linux has it


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return the path that *path* means now, from the current folder and home.

    Raises:
        TypeError: It is none.
        ValueError: It cannot name a file.
    """
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


@dataclass(frozen=True)
class Place:
    """Where a file is, or is to be.

    Attributes:
        path: Without links in it, also where nothing is there yet.
        is_shared: Whether others can put files into its folder.
        missing: The first folder above it that is not there.
    """

    path: Path
    is_shared: bool = False
    missing: Path | None = None

    def beside(self, name: str) -> Place:
        """Return the place of another file in the same folder."""
        return replace(self, path=self.path.with_name(name))


class Way:
    """The way to *path*.

    Args:
        path: An absolute one.
        private: Whether to refuse a folder that is not this user's, nor root's, or that others can
            write. A link of another user is refused in any case.
        found: What is there, for an error: ``the token file /home/…``.
        without: How to do without the check of folders, as the end of an error.
    """

    def __init__(self, path: Path, *, private: bool, found: str, without: str) -> None:
        self.path = path
        self._private = private
        self._found = found
        self._without = without

    def look(self) -> Place:
        """Return where it leads now: a link may be set or moved while we live.

        Raises:
            TokenStoreError: Others can turn it.
        """
        if not MODE_TELLS_WHO_MAY_READ:
            path = Path(os.path.realpath(self.path))
            above = (folder for folder in reversed(path.parents) if not folder.exists())
            return Place(path, missing=next(above, None))
        here, ahead, links = Path(self.path.anchor), deque(self.path.parts[1:]), 0
        met = _Met()
        while ahead:
            name = ahead.popleft()
            if name == "..":
                here = here.parent
                continue
            self._enter(here, met)
            target = self._target(here / name, met) if links < _MOST_LINKS else None
            if target is None:
                here /= name
            else:
                links += 1
                ahead.extendleft(reversed(target.relative_to(target.anchor).parts))
                here = Path(target.anchor) if target.is_absolute() else here
        return Place(here, met.is_shared, met.missing)

    def prepare(self) -> Place:
        """As `look`, after making the folders that are missing, for this user alone.

        Raises:
            OSError: One cannot be made.
            TokenStoreError: As `look`.
        """
        place, made = self.look(), None
        while place.missing not in (None, made):  # or what opens the file says more
            made = place.missing
            with suppress(FileExistsError):  # another was faster: it is looked at as well
                made.mkdir(mode=0o700)
            place = self.look()
        return place

    def _enter(self, folder: Path, met: _Met) -> None:
        """Look at who can put something else in the place of what is in *folder*."""
        try:
            status = folder.lstat()
        except FileNotFoundError:
            met.missing = met.missing or folder
            return
        except OSError:
            return  # what opens the file says more
        if not stat.S_ISDIR(status.st_mode):
            return  # likewise
        is_anothers = is_of_another(status) and not has_no_known_owner(status)
        are_let_in = others_may_write(folder, status)
        is_sticky = bool(status.st_mode & stat.S_ISVTX)
        if self._private and is_anothers:
            raise self._folder_of_another(folder, status)
        if self._private and are_let_in and not is_sticky:
            raise self._folder_for_others(folder, status)
        met.is_turned = met.is_turned or is_anothers or (are_let_in and not is_sticky)
        met.is_shared = met.is_turned or are_let_in

    def _target(self, link: Path, met: _Met) -> Path | None:
        """Return where *link* points; None if it is no link.

        Raises:
            TokenStoreError: Another has made it.
        """
        try:
            status = link.lstat()
            target = link.readlink() if stat.S_ISLNK(status.st_mode) else None
        except OSError:
            return None  # nothing is there, or what opens it says more
        is_roots = has_no_known_owner(status) and not met.is_shared
        if target is not None and is_of_another(status) and not is_roots:
            raise TokenStoreError(
                f"the link {link}, by which {self._found} is found, belongs to another user (uid "
                f"{status.st_uid}), who can point it elsewhere; remove it, or pass the path of the "
                "file"
            )
        return target

    def _folder_of_another(self, folder: Path, status: os.stat_result) -> TokenStoreError:
        return TokenStoreError(
            f"the folder {folder}, in which {self._found} is found, belongs to another user (uid "
            f"{status.st_uid}), who can put another file in its place; run as that user, or keep "
            f"it in a folder of your own; {self._without}"
        )

    def _folder_for_others(self, folder: Path, status: os.stat_result) -> TokenStoreError:
        return TokenStoreError(
            f"the folder {folder}, in which {self._found} is found, can be written by other users "
            f"(mode {stat.S_IMODE(status.st_mode):04o}), who can put another file in its place; "
            f"keep others out: chmod go-w {shlex.quote(str(folder))}; if that is refused or "
            "changes nothing, as on volumes and on drives of Windows, use another folder; "
            f"{self._without}"
        )


@dataclass
class _Met:
    """What has been met on the way so far.

    Attributes:
        is_turned: Whether others can put another folder in the place of one.
        is_shared: Whether others can put something into the folder that was met last.
        missing: The first folder that is not there.
    """

    is_turned: bool = False
    is_shared: bool = False
    missing: Path | None = None
