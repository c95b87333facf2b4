"""A `FileTokenStore` on disks that take no more: told before anything is spent, with what to do."""

import errno
import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from requests_tokenrefresh import FileTokenStore, StoreUnavailableError, Token, TokenStoreError
from requests_tokenrefresh.stores import _file_draft
from requests_tokenrefresh.testing._processes import OtherProcess
from tests.support.disks import Disk, MadeUpDisk, disk
from tests.support.token_files import (
    NEW,
    OLD,
    ensure_can_save,
    identity,
    names,
    refusal,
    save,
)

__all__ = ["disk"]  # a fixture

either_way = pytest.mark.parametrize("operation", [ensure_can_save, save])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token.json"


@pytest.fixture
def store(path: Path) -> FileTokenStore:
    return FileTokenStore(path)


def store_on(disk: Disk) -> FileTokenStore:
    """A store on *disk*, that holds `OLD`."""
    store = FileTokenStore(disk.folder / "token.json")
    store.save(OLD)
    return store


def drafts(folder: Path) -> list[str]:
    return [name for name in names(folder) if name.endswith(".tmp")]


# Full, or read-only


@either_way
def test_a_full_disk_is_told_and_is_good_again_when_there_is_room(disk, operation):
    store = store_on(disk)
    disk.fill()
    assert refusal(StoreUnavailableError, operation, store) == (
        f"cannot write the token file {store.path}, which is as it was: "
        f"{os.strerror(errno.ENOSPC)}; make room there, and try again"
    )
    assert store.load() == OLD
    assert drafts(disk.folder) == []
    disk.make_room()
    operation(store)


def test_the_room_that_was_found_is_kept_for_the_turn(disk):
    store = store_on(disk)
    with store.lock(0):
        store.ensure_can_save()
        disk.fill()
        store.save(NEW)
    assert store.load() == NEW
    assert drafts(disk.folder) == []


def test_the_room_that_was_found_is_enough_for_a_longer_token(disk):
    store = store_on(disk)
    longer = Token("new-access", extra={"id_token": "e" * 3000})
    with store.lock(0):
        store.ensure_can_save()
        disk.fill()
        store.save(longer)
    assert store.load() == longer


@either_way
def test_a_folder_gone_read_only_is_told_with_the_way_to_do_without(disk, operation):
    store = store_on(disk)
    with store.lock(0):
        disk.make_read_only()
        message = refusal(StoreUnavailableError, operation, store)
        assert store.load() == OLD
    assert os.strerror(errno.EROFS) in message
    assert f"let this user write into {disk.folder}" in message
    assert f"TokenSource(..., token={store!r}.load()) without store=" in message


def test_what_a_read_only_folder_holds_can_be_read_and_kept_in_memory(disk):
    store = store_on(disk)
    disk.make_read_only()
    assert store.load() == OLD
    assert store.load_pause() is None


# A file that no other can take the place of


@pytest.mark.parametrize("operation", [ensure_can_save, save, FileTokenStore.clear])
def test_a_file_that_is_mounted_by_itself_is_read_and_not_replaced(disk, operation):
    store = store_on(disk)
    disk.mount(store.path)
    assert refusal(TokenStoreError, operation, store) == (
        f"{store.path} is mounted by itself, and cannot be replaced; mount the folder that holds "
        "it instead: its lock has to be in the same place for all who share the login"
    )
    assert store.load() == OLD
    assert drafts(disk.folder) == []


def test_where_nobody_lists_the_mounts_it_is_found_by_the_save(tmp_path, monkeypatch):
    disk = MadeUpDisk(tmp_path, monkeypatch)
    store = store_on(disk)
    disk.mount(store.path)
    monkeypatch.setattr(_file_draft, "_MOUNTS", tmp_path / "absent")
    store.ensure_can_save()
    message = refusal(StoreUnavailableError, save, store)
    assert os.strerror(errno.EBUSY) in message
    assert "mount the folder that holds it instead" in message
    assert store.load() == OLD


def test_what_is_mounted_elsewhere_is_in_nobodys_way(disk):
    store = store_on(disk)
    other = FileTokenStore(disk.folder / "token.json.old")
    other.save(OLD)
    disk.mount(other.path)
    ensure_can_save(store)


@contextmanager
def made_immutable(path: Path, patches: pytest.MonkeyPatch) -> Iterator[None]:
    """What ``chattr +i`` does: by itself where this user may, or made up."""

    def flags(fd: int, request: int, buffer: bytes) -> bytes:
        assert (request, os.fstat(fd).st_ino) == (_file_draft._GET_FLAGS, path.stat().st_ino)
        return (0x10).to_bytes(4, "little") + bytes(4)

    with patches.context() as these:
        try:
            subprocess.run(["chattr", "+i", path], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            these.setattr(fcntl, "ioctl", flags)
            yield
            return
        try:
            yield
        finally:
            subprocess.run(["chattr", "-i", path], check=True)


def test_a_file_that_is_immutable_is_told_with_the_way_to_change_that(store, path, monkeypatch):
    store.save(OLD)
    with made_immutable(path, monkeypatch):
        assert refusal(TokenStoreError, ensure_can_save, store) == (
            f"{path} is immutable, or can only be appended to; make it an ordinary file: "
            f"sudo chattr -i -a {path}"
        )
        assert store.load() == OLD
    store.ensure_can_save()


def test_a_file_system_that_has_no_such_flags_is_asked_nothing_more(store, monkeypatch):
    def refuse(fd: int, request: int, buffer: bytes) -> bytes:
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    store.save(OLD)
    monkeypatch.setattr(fcntl, "ioctl", refuse)
    store.ensure_can_save()


def test_anothers_file_in_a_sticky_folder_is_only_its_owners_to_replace(tmp_path, monkeypatch):
    store = FileTokenStore(tmp_path / "token.json", private=False)
    store.save(OLD)
    tmp_path.chmod(0o1777)
    store.ensure_can_save()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    message = refusal(TokenStoreError, ensure_can_save, store)
    assert f"belongs to another user (uid {owner})" in message
    assert "keep it in a folder of your own" in message
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    store.ensure_can_save()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    tmp_path.chmod(0o777)
    store.ensure_can_save()


# What it takes, and what it leaves


def test_to_make_sure_changes_nothing_and_leaves_nothing_behind(store, path):
    store.save(OLD)
    before = identity(path)
    store.ensure_can_save()
    with store.lock(0):
        store.ensure_can_save()
        assert len(drafts(path.parent)) == 1
    assert names(path.parent) == ["token.json", "token.json.lock"]
    assert identity(path) == before


def test_to_make_sure_outside_a_turn_keeps_no_room(store, path):
    store.ensure_can_save()
    assert names(path.parent) == []


def test_who_asks_twice_has_one_draft(store, path):
    with store.lock(0):
        store.ensure_can_save()
        [draft] = drafts(path.parent)
        store.ensure_can_save()
        assert drafts(path.parent) == [draft]


def test_a_turn_makes_one_file_for_both_the_check_and_the_save(store, monkeypatch):
    made: list[str] = []
    make = tempfile.mkstemp

    def told(**keywords: object) -> tuple[int, str]:
        made.append("a file")
        return make(**keywords)

    monkeypatch.setattr(tempfile, "mkstemp", told)
    with store.lock(0):
        store.ensure_can_save()
        store.save(OLD)
        store.save(NEW)
    assert made == ["a file", "a file"]


def test_a_draft_that_somebody_has_removed_is_not_missed(store, path):
    store.save(OLD)
    with store.lock(0):
        store.ensure_can_save()
        for draft in drafts(path.parent):
            (path.parent / draft).unlink()
        store.save(NEW)
    assert store.load() == NEW


def test_a_draft_is_for_the_file_it_was_made_for(tmp_path):
    """The link is moved between the check and the save."""
    link = tmp_path / "link.json"
    link.symlink_to("one.json")
    store = FileTokenStore(link)
    with store.lock(0):
        store.ensure_can_save()
        link.unlink()
        link.symlink_to("two.json")
        store.save(NEW)
    assert names(tmp_path) == ["link.json", "one.json.lock", "two.json"]


def test_an_interrupted_save_leaves_no_draft_and_can_be_repeated(store, path, monkeypatch):
    store.save(OLD)

    def interrupt(fd: int) -> None:
        raise KeyboardInterrupt

    with store.lock(0):
        store.ensure_can_save()
        with monkeypatch.context() as patches, pytest.raises(KeyboardInterrupt):
            patches.setattr(os, "fsync", interrupt)
            store.save(NEW)
        assert drafts(path.parent) == []
        assert store.load() == OLD
        store.save(NEW)
    assert store.load() == NEW


def test_a_fork_leaves_the_draft_to_its_parent(store, path):
    worker = OtherProcess(store)
    worker.do("enter", 0)
    worker.do("ensure_can_save")
    [draft] = drafts(path.parent)
    for method, arguments in (("ensure_can_save", ()), ("save", (OLD,)), ("leave", ())):
        worker.do("fork", method, *arguments)
        assert draft in drafts(path.parent)
    worker.do("save", NEW)
    assert drafts(path.parent) == []
    worker.do("leave")
    worker.end()
    assert store.load() == NEW


def test_what_a_killed_process_leaves_is_removed_by_a_later_save(store, path):
    worker = OtherProcess(store)
    worker.do("enter", 0)
    worker.do("ensure_can_save")
    worker.kill()
    [draft] = drafts(path.parent)
    store.save(OLD)
    assert drafts(path.parent) == [draft]  # it may be somebody's who lives
    os.utime(path.parent / draft, (0, 0))
    store.save(NEW)
    assert drafts(path.parent) == []
