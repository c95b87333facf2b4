"""Who is trusted with a login on this machine: this user, and root. Everybody else is another."""

from __future__ import annotations

import functools
import os
import stat
from pathlib import Path

MODE_TELLS_WHO_MAY_READ = os.name == "posix"
"""On Windows access lists decide, and the mode only repeats the read-only flag."""

if MODE_TELLS_WHO_MAY_READ:  # pragma: no branch  # Windows has none of the two
    import grp
    import pwd

_ROOT = 0

_OVERFLOW = Path("/proc/sys/kernel/overflowuid")
_MAPPED = Path("/proc/self/uid_map")


def is_of_another(status: os.stat_result) -> bool:
    """Return whether it belongs to neither this user nor root, who may read and write all."""
    return MODE_TELLS_WHO_MAY_READ and status.st_uid not in (_ROOT, os.geteuid())


def has_no_known_owner(status: os.stat_result) -> bool:
    """Return whether it belongs to somebody that has no number here: in a sandbox (Flatpak, bwrap,
    a container without root) the root of the machine, and whoever else there is."""
    return status.st_uid == _stand_in()


def others_may_write(folder: Path, status: os.stat_result) -> bool:
    """Return whether *folder*, which *status* is of, can be written by others, be it sticky or not.

    Root's group counts as root: OpenShift runs what it does not know in it, by a number that has no
    name, and lets that group write. So does a group that only this user is in: Debian, Fedora and
    their like give each user one of the same name, and with it the umask 002, which lets it write.
    (Debian's sshd takes it so as well.)
    """
    if status.st_mode & stat.S_IWOTH:
        return True
    if not status.st_mode & stat.S_IWGRP:
        return False
    # With an access list, these bits are what it grants at most, to whomever it names.
    is_trusted = status.st_gid == _ROOT or _is_alone_in(status.st_gid, os.geteuid())
    return not is_trusted or _has_access_list(folder)


@functools.lru_cache(maxsize=16)  # a directory service may have many users to list
def _is_alone_in(gid: int, uid: int) -> bool:
    """Return whether the group is the own one of *uid*, and nobody else is in it."""
    try:
        group = grp.getgrgid(gid)
    except KeyError:  # a container has no names for them, perhaps
        return gid == uid and _born_into(gid) <= {uid}
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return False
    return group.gr_name == name and set(group.gr_mem) <= {name} and _born_into(gid) <= {uid}


def _born_into(gid: int) -> set[int]:
    return {user.pw_uid for user in pwd.getpwall() if user.pw_gid == gid}


def _has_access_list(folder: Path) -> bool:
    if not hasattr(os, "getxattr"):  # macOS: what its lists grant is not in the mode
        return False
    try:
        os.getxattr(folder, "system.posix_acl_access")
    except OSError:  # it has none, nor has its file system
        return False
    return True


@functools.cache
def _stand_in() -> int | None:
    """Return the number that stands for all users who have none here; None if all have one."""
    try:
        number = int(_OVERFLOW.read_text())
        lines = _MAPPED.read_text().splitlines()
        ranges = [(int(first), int(count)) for first, _, count in map(str.split, lines)]
    except (OSError, ValueError):  # no Linux
        return None
    is_a_user = any(first <= number < first + count for first, count in ranges)
    return None if is_a_user else number
