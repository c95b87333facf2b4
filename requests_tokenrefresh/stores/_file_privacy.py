"""Who but its owner may read or replace the login in a file, and what can be done about it."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from .._errors import TokenStoreError

MODE_TELLS_WHO_MAY_READ = os.name == "posix"
"""On Windows access lists decide, and the mode only repeats the read-only flag."""

OTHERS_MAY_READ_OR_WRITE = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


def is_of_another(status: os.stat_result) -> bool:
    """Return whether it belongs to neither this user nor root, who may read and write all."""
    return MODE_TELLS_WHO_MAY_READ and status.st_uid not in (0, os.geteuid())


def refuse_unless_regular(path: Path, status: os.stat_result) -> None:
    """Refuse a folder, a device and the like.

    Raises:
        TokenStoreError: *status*, which is that of *path*, is not a regular file's.
    """
    if not stat.S_ISREG(status.st_mode):
        raise TokenStoreError(f"{path} is not a regular file; pass the path of another one")


def refuse_unless_private(path: Path, status: os.stat_result) -> None:
    """Refuse a token file that is not its owner's alone, or not this user's.

    Raises:
        TokenStoreError: *status*, which is that of *path*, says so.
    """
    if not MODE_TELLS_WHO_MAY_READ:
        return
    if status.st_uid != os.geteuid():
        raise TokenStoreError(
            f"the token file {path} belongs to another user (uid {status.st_uid}), who can read "
            f"and replace the login in it; make it yours: {_chown(path)}; {without_check(path)}"
        )
    if status.st_mode & OTHERS_MAY_READ_OR_WRITE:
        raise TokenStoreError(
            f"the token file {path} can be read or written by other users "
            f"(mode {stat.S_IMODE(status.st_mode):04o}); make it private: "
            f"chmod 600 {shlex.quote(str(path))}; {without_check(path)}"
        )


def refuse_folder_that_shares(path: Path, status: os.stat_result) -> None:
    """Refuse to put the token file *path* where even a new file is not its writer's alone.

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
            f"~/.config/reports/token.json; {without_check(path)}"
        )


def without_check(path: Path) -> str:
    return (
        f"or, if whoever can read it may have the login, give up this check: "
        f"FileTokenStore({str(path)!r}, private=False), --no-private on the command line"
    )


def told_of(path: Path) -> str:
    """Return whose *path* is and how to get at it, for an error that says "Permission denied"."""
    if not MODE_TELLS_WHO_MAY_READ:
        return ""
    try:
        status = path.stat()
    except OSError:
        return ""
    return (
        f"it belongs to uid {status.st_uid} with mode {stat.S_IMODE(status.st_mode):04o}, and this "
        f"is uid {os.geteuid()}; make it yours: {_chown(path)}"
    )


def _chown(path: Path) -> str:
    return f"sudo chown {os.geteuid()} {shlex.quote(str(path))}"
