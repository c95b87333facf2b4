"""The way to a token file: nobody else may turn it, by a link or in a folder.

What is trusted is this user, and root. Who owns a link points it where he likes, and who can write
into a folder can put another file, or another folder, in the place of what is in it; in a sticky
one, such as /tmp, only its owner can.
"""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from .._errors import TokenStoreError
from ._file_privacy import MODE_TELLS_WHO_MAY_READ, is_of_another, without_check

if MODE_TELLS_WHO_MAY_READ:  # pragma: no branch  # Windows has none of the two
    import grp
    import pwd

_MOST_LINKS = 40  # as Linux has it


def behind_links(path: Path, *, private: bool) -> Path:
    """Return *path* without links in it, also where nothing is there yet.

    Args:
        private: Whether to look at whose the links and folders are.

    Raises:
        TokenStoreError: One is not this user's, nor root's, or others can write into a folder.
    """
    if private and MODE_TELLS_WHO_MAY_READ:
        _follow(path)
    return Path(os.path.realpath(path))


def _follow(path: Path) -> None:
    """Go to *path* as the system does, and look at all that is on the way."""
    place, ahead, links = Path(path.anchor), list(path.parts[1:]), 0
    _refuse_folder_of_others(path, place, place.stat())
    while ahead:
        name = ahead.pop(0)
        if name == "..":
            place = place.parent
            continue
        try:
            status = (place / name).lstat()
        except OSError:
            return  # nothing is there, or the system says why it cannot be read
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MOST_LINKS:
                return  # the system says so as well
            _refuse_link_of_others(path, place / name, status)
            target = (place / name).readlink()
            ahead = [*target.parts[1 if target.is_absolute() else 0 :], *ahead]
            place = Path(target.anchor) if target.is_absolute() else place
        elif stat.S_ISDIR(status.st_mode):
            place /= name
            if ahead:
                _refuse_folder_of_others(path, place, status)
        else:
            return  # the file


def _refuse_link_of_others(path: Path, link: Path, status: os.stat_result) -> None:
    if is_of_another(status):
        raise TokenStoreError(
            f"the link {link}, by which the token file {path} is found, belongs to another user "
            f"(uid {status.st_uid}), who can point it elsewhere; remove it, or pass the path of "
            f"the file; {without_check(path)}"
        )


def _refuse_folder_of_others(path: Path, folder: Path, status: os.stat_result) -> None:
    if is_of_another(status):
        raise TokenStoreError(
            f"the folder {folder}, in which the token file {path} is found, belongs to another "
            f"user (uid {status.st_uid}), who can put another file in its place; keep it in a "
            f"folder of your own; {without_check(path)}"
        )
    if _others_may_write(status):
        raise TokenStoreError(
            f"the folder {folder}, in which the token file {path} is found, can be written by "
            f"other users (mode {stat.S_IMODE(status.st_mode):04o}), who can put another file in "
            f"its place; keep others out: chmod go-w {shlex.quote(str(folder))}; "
            f"{without_check(path)}"
        )


def _others_may_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_ISVTX:
        return False
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _has_only_this_user(status.st_gid)


def _has_only_this_user(gid: int) -> bool:
    """Return whether the group is root's, or the one that many systems give to each user alone."""
    if gid == 0:
        return True
    try:
        user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(gid)
    except KeyError:
        return gid == os.geteuid()  # a container has no names for them, perhaps
    return group.gr_name == user and set(group.gr_mem) <= {user}
