"""Who but its owner may read or replace the login in a file, and what can be done about it."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from .._errors import TokenStoreError
from ._file_trust import MODE_TELLS_WHO_MAY_READ, is_of_another
from ._file_way import Place

OTHERS_MAY_READ_OR_WRITE = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


def refuse_unless_regular(path: Path, status: os.stat_result) -> None:
    """Refuse a folder, a device and the like.

    Raises:
        TokenStoreError: *status*, which is that of *path*, is not a regular file's.
    """
    if not stat.S_ISREG(status.st_mode):
        raise TokenStoreError(f"{path} is not a regular file; pass the path of another one")


def refuse_unless_private(path: Path, status: os.stat_result, *, without: str) -> None:
    """Refuse a token file that is not its owner's alone, or not this user's.

    Args:
        without: How to do without this check, as the end of an error.

    Raises:
        TokenStoreError: *status*, which is that of *path*, says so.
    """
    if not MODE_TELLS_WHO_MAY_READ:
        return
    if status.st_uid != os.geteuid():
        raise TokenStoreError(
            f"the token file {path} belongs to another user (uid {status.st_uid}), who can read "
            f"and replace the login in it; make it yours: {_chown(path)}; {without}"
        )
    if status.st_mode & OTHERS_MAY_READ_OR_WRITE:
        raise TokenStoreError(
            f"the token file {path} can be read or written by other users "
            f"(mode {stat.S_IMODE(status.st_mode):04o}); make it private: "
            f"chmod 600 {shlex.quote(str(path))}; {without}"
        )


def may_be_of_others(place: Place, status: os.stat_result, *, private: bool) -> bool:
    """Return whether others may have put there what is at *place*: where they can, it is another
    user's (which *private* minds), or a file from elsewhere, by a second name."""
    is_anothers = private and is_of_another(status)
    return place.is_shared and (is_anothers or status.st_nlink > 1)


def refuse_second_name(place: Place, status: os.stat_result) -> None:
    """Refuse a file of this user's that others may have put there: it may be another login.

    Raises:
        TokenStoreError: *status*, which is that of the file at *place*, says so.
    """
    if may_be_of_others(place, status, private=False):
        path = shlex.quote(str(place.path))
        raise TokenStoreError(
            f"{place.path} has another name as well (a hard link), and others can write into its "
            "folder: it may be a file from elsewhere; remove it if it is, or else put a copy in "
            f"its place: cp -p {path} {path}.copy && mv {path}.copy {path}"
        )


def refuse_lock_of_others(place: Place, *, private: bool) -> None:
    """Refuse a lock, if there is one, that is none of this login's.

    Args:
        private: Whether to refuse one that another user has put there, too.

    Raises:
        TokenStoreError: It is such a lock, or a link, a folder, a device.
        OSError: It cannot be asked.
    """
    try:
        status = place.path.lstat()
    except FileNotFoundError:
        return
    rm = "sudo rm" if is_of_another(status) else "rm"
    rm += " -r" if stat.S_ISDIR(status.st_mode) else ""
    remove = f"remove it: {rm} {shlex.quote(str(place.path))}"
    if not stat.S_ISREG(status.st_mode):
        raise TokenStoreError(f"{place.path} is not a regular file, as a lock is; {remove}")
    if is_of_another(status) and may_be_of_others(place, status, private=private):
        raise TokenStoreError(
            f"{place.path} belongs to another user (uid {status.st_uid}), who can keep this lock "
            f"for ever; keep the login in a folder of your own, or {remove}"
        )
    if may_be_of_others(place, status, private=False):
        raise TokenStoreError(
            f"{place.path} has another name as well (a hard link), and others can write into its "
            f"folder: it may be a file from elsewhere; {remove}"
        )


def refuse_folder_that_shares(path: Path, status: os.stat_result, *, without: str) -> None:
    """Refuse to put the token file *path* where even a new file is not its writer's alone.

    Args:
        without: As for `refuse_unless_private`.

    Raises:
        TokenStoreError: *status*, that of a new file made with mode 0600, says so.
    """
    if not MODE_TELLS_WHO_MAY_READ:
        return
    others_may = status.st_mode & OTHERS_MAY_READ_OR_WRITE
    if status.st_uid != os.geteuid() or others_may:
        raise TokenStoreError(
            f"a token file in {path.parent} is not private: a new file there belongs to uid "
            f"{status.st_uid} and has mode {stat.S_IMODE(status.st_mode):04o}, as on a drive of "
            "Windows or of the network; pass a path on a disk of this system, such as "
            f"~/.config/reports/token.json; {without}"
        )


def without_check(path: Path) -> str:
    """Return how to do without the checks of a store of *path*: that which it was given, as the one
    behind its links is another tomorrow, in a mounted secret."""
    return (
        f"or, if whoever can read it may have the login, give up this check: "
        f"FileTokenStore({str(path)!r}, private=False), --no-private on the command line"
    )


def told_of(path: Path) -> str:
    """Return whose *path* is and how to get at it, for an error that says "Permission denied"; or
    whose the folder is that cannot be entered on the way to it."""
    if not MODE_TELLS_WHO_MAY_READ:
        return ""
    try:
        closed = _closed_folder(path)
        status = (closed or path).lstat()
    except OSError:  # somebody has removed it meanwhile
        return ""
    whose = (
        f"belongs to uid {status.st_uid} with mode {stat.S_IMODE(status.st_mode):04o}, and this is "
        f"uid {os.geteuid()}"
    )
    if closed is not None:
        return f"the folder {closed} {whose}; run as that user, or keep it in a folder of your own"
    return f"it {whose}; make it yours: {_chown(path)}"


def _closed_folder(path: Path) -> Path | None:
    for one in (*reversed(path.parents), path):
        try:
            one.lstat()
        except PermissionError:
            return one.parent
    return None


def _chown(path: Path) -> str:
    return f"sudo chown {os.geteuid()} {shlex.quote(str(path))}"
