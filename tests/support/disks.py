"""Disks in trouble: real ones where this user may mount them, and everywhere made-up ones.

Both kinds say no at the same place: when a new file is to be made beside the old one, and when one
is to take the other's place.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, Protocol

import pytest

from requests_tokenrefresh.stores import _file_draft

_SIZE = 512 * 1024  # bytes
_BLOCK = 4096  # bytes, of which a full disk has not one


class Disk(Protocol):
    """A small disk that is empty, at *folder*."""

    folder: Path

    def fill(self) -> None:
        """Leave no room on it."""

    def make_room(self) -> None:
        """Take back `fill`."""

    def make_read_only(self) -> None:
        """Take no more writes, whoever has a file open."""

    def make_writable(self) -> None:
        """Take back `make_read_only`."""

    def mount(self, path: Path) -> None:
        """Mount another file, with the same content, at the file *path* alone."""


class RealDisk:
    """A file system in memory, as Linux mounts it for root.

    It may be filled in the middle of a turn, made read-only, and have one of its files hidden.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mounted: list[Path] = []
        self._mount(folder, "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "tmpfs")

    def give_to(self, user: str) -> None:
        """Let the server write there that runs as *user*."""
        shutil.chown(self.folder, user)

    def fill(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(b"x" * _BLOCK)

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()

    def make_read_only(self) -> None:
        self._mount(self.folder, "--bind", str(self.folder))
        self._run("mount", "-o", "remount,bind,ro", str(self.folder))

    def make_writable(self) -> None:
        self._run("umount", "--lazy", str(self._mounted.pop()))

    def mount(self, path: Path) -> None:
        other = self.folder / "on the host.json"
        other.write_bytes(path.read_bytes())
        other.chmod(0o600)
        self._mount(path, "--bind", str(other))

    def close(self) -> None:
        for place in reversed(self._mounted):
            self._run("umount", "--lazy", str(place))

    def _mount(self, place: Path, *options: str) -> None:
        self._run("mount", *options, str(place))
        self._mounted.append(place)

    @staticmethod
    def _run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True)


class MadeUpDisk:
    """A folder in which the calls fail that would fail."""

    def __init__(self, folder: Path, patches: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patches = patches

    def fill(self) -> None:
        self._patches.setattr(tempfile, "mkstemp", _refusing(errno.ENOSPC))

    def make_room(self) -> None:
        self._patches.undo()

    def make_read_only(self) -> None:
        self._patches.setattr(tempfile, "mkstemp", _refusing(errno.EROFS))
        for change in ("replace", "unlink"):
            self._patches.setattr(Path, change, _refusing(errno.EROFS))

    def make_writable(self) -> None:
        self._patches.undo()

    def mount(self, path: Path) -> None:
        mounts = self.folder / "mountinfo"
        escaped = str(path).replace("\\", r"\134").replace(" ", r"\040")
        others = _file_draft._MOUNTS.read_text() if _file_draft._MOUNTS.exists() else ""
        mounts.write_text(
            others
            + f"36 24 0:22 /on\\040the\\040host.json {escaped} rw,noatime - ext4 /dev/vda rw\n"
        )
        self._patches.setattr(_file_draft, "_MOUNTS", mounts)
        for change, which in (("replace", 1), ("unlink", 0)):
            self._patches.setattr(Path, change, _except(path, which, getattr(Path, change)))

    def close(self) -> None:
        pass


def _refusing(number: int) -> object:
    def refuse(*_arguments: object, **_keywords: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


def _except(path: Path, which: int, change: Callable[..., Any]) -> Callable[..., Any]:
    """As *change*, but not for *path* as the argument *which*."""

    def change_unless_mounted(*arguments: Any, **keywords: Any) -> Any:
        if arguments[which] == path:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return change(*arguments, **keywords)

    return change_unless_mounted


def _may_mount() -> bool:
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            RealDisk(Path(folder)).close()
        except (OSError, subprocess.CalledProcessError):
            return False
    return True


KINDS = ["made-up disk", *(["real disk"] if _may_mount() else [])]


@contextmanager
def disk_at(folder: Path, kind: str, patches: pytest.MonkeyPatch) -> Iterator[Disk]:
    """An empty disk of one of `KINDS` at *folder*, which is created."""
    folder.mkdir(mode=0o700)
    disk = RealDisk(folder) if kind == "real disk" else MadeUpDisk(folder, patches)
    try:
        yield disk
    finally:
        patches.undo()
        disk.close()


@contextmanager
def disk_for_servers() -> Iterator[RealDisk]:
    """A real disk that a server finds which runs as another user."""
    with tempfile.TemporaryDirectory(dir="/tmp") as way:  # root's own $TMPDIR may be closed to it
        Path(way).chmod(0o711)
        folder = Path(way, "disk")
        folder.mkdir()
        disk = RealDisk(folder)
        try:
            yield disk
        finally:
            disk.close()


@pytest.fixture(params=KINDS)
def disk(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Disk]:
    with disk_at(tmp_path / "a disk", request.param, monkeypatch) as made:
        yield made
