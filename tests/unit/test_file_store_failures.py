"""A `FileTokenStore` where the system says no: to the file, or to its lock.

Failures are had from the system where it can be made to fail, for root as for anybody.
"""

import errno
import fcntl
import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    StoreLockTimeoutError,
    StoreUnavailableError,
    TokenStoreError,
)
from tests.support.token_files import (
    OLD,
    is_busy,
    lock,
    on_the_token,
    refusal,
    save,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token.json"


@pytest.fixture
def store(path: Path) -> FileTokenStore:
    return FileTokenStore(path)


# When the system says no


def under_a_file(folder: Path) -> Path:
    (folder / "file").write_bytes(b"")
    return folder / "file" / "token.json"


def a_folder(folder: Path) -> Path:
    (folder / "token.json").mkdir()
    return folder / "token.json"


def a_name_too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


def a_link_to_itself(folder: Path) -> Path:
    (folder / "token.json").symlink_to("token.json")
    return folder / "token.json"


@on_the_token
@pytest.mark.parametrize(
    ("place", "number"),
    [
        (under_a_file, errno.ENOTDIR),
        (a_folder, errno.EISDIR),
        (a_name_too_long, errno.ENAMETOOLONG),
        (a_link_to_itself, errno.ELOOP),
    ],
)
def test_an_error_of_the_system_names_the_file_and_itself(tmp_path, operation, place, number):
    path = place(tmp_path)
    with pytest.raises(StoreUnavailableError, match="cannot read the token file") as raised:
        operation(FileTokenStore(path))
    assert raised.value.__cause__.errno == number
    assert str(path) in str(raised.value)
    assert str(raised.value).endswith(os.strerror(number))


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path):
    store = FileTokenStore(tmp_path / ("x" * 300) / "token.json")
    with pytest.raises(StoreUnavailableError) as raised:
        lock(store)
    assert raised.value.__cause__.errno == errno.ENAMETOOLONG


def read_only(*args: object, **kwargs: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def way_out(store: FileTokenStore) -> str:
    """What an error says that has to do with permission."""
    return (
        f"; let this user write into {store.path.parent}; or, if the refresh token does not "
        f"rotate, keep the login in memory: TokenSource(..., token={store!r}.load()) without store="
    )


def test_saving_to_a_read_only_file_system_leaves_the_token(store, path, monkeypatch):
    store.save(OLD)
    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    message = f"cannot write the token file {path}, which is as it was: "
    told = refusal(StoreUnavailableError, save, store)
    assert told == message + os.strerror(errno.EROFS) + way_out(store)
    assert store.load() == OLD


def test_clearing_on_a_read_only_file_system_leaves_the_token(store, path, monkeypatch):
    store.save(OLD)
    monkeypatch.setattr(Path, "unlink", read_only)
    message = f"cannot remove the token file {path}, which is as it was: "
    told = refusal(StoreUnavailableError, FileTokenStore.clear, store)
    assert told == message + os.strerror(errno.EROFS) + way_out(store)
    assert store.load() == OLD


def test_an_error_without_a_text_is_told_as_it_is(store, monkeypatch):
    def refuse(fd: int) -> None:
        raise OSError("the cable is out")

    monkeypatch.setattr(os, "fsync", refuse)
    assert refusal(StoreUnavailableError, save, store).endswith(
        "which is as it was: the cable is out"
    )


@on_the_token
def test_a_pipe_is_refused_without_waiting_for_its_writer(store, path, operation):
    os.mkfifo(path, 0o600)
    assert refusal(TokenStoreError, operation, store).startswith(f"{path} is not a regular file")
    assert stat.S_ISFIFO(path.stat().st_mode)


@on_the_token
def test_a_device_is_refused(store, path, operation):
    path.symlink_to("/dev/zero")
    assert refusal(TokenStoreError, operation, store).startswith("/dev/zero is not a regular file")
    assert stat.S_ISCHR(Path("/dev/zero").stat().st_mode)


# The lock


def test_the_lock_file_is_beside_the_token_and_stays(store, path):
    with store.lock(0):
        held = path.with_name("token.json.lock").stat().st_ino
    with store.lock(0):
        assert path.with_name("token.json.lock").stat().st_ino == held


def test_two_stores_of_one_process_exclude_each_other(store, path):
    with store.lock(0):
        assert is_busy(FileTokenStore(path))


def test_other_paths_have_other_locks(store, tmp_path):
    with store.lock(0), FileTokenStore(tmp_path / "other.json").lock(0):
        pass


def test_a_busy_lock_names_itself(store, path):
    with store.lock(0), pytest.raises(StoreLockTimeoutError) as raised:
        lock(store)
    assert f"held {path}.lock for 0 s; try again" in str(raised.value)


def test_a_busy_lock_is_looked_at_a_hundred_times_a_second(store, monkeypatch):
    """A process that waits enters 5 ms after its predecessor has left, in the median."""
    naps: list[float] = []
    here = threading.get_ident()

    def nap(seconds: float) -> None:
        if threading.get_ident() == here:
            naps.append(seconds)

    monkeypatch.setattr("time.sleep", nap)
    with store.lock(0), pytest.raises(StoreLockTimeoutError):
        store.lock(0.03).__enter__()
    assert naps
    assert max(naps) == 0.01


ELSEWHERE = (
    "; its file system has no locks: keep the login on a disk of this machine, or in a "
    "RedisTokenStore or SQLTokenStore"
)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOLCK, ELSEWHERE),
        (errno.ENOSYS, ELSEWHERE),
        (errno.EOPNOTSUPP, ELSEWHERE),
        (errno.EIO, ""),
    ],
)
def test_a_file_system_without_locks_is_not_a_busy_lock(store, path, monkeypatch, number, advice):
    def refuse(fd: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    store.save(OLD)
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert (
        refusal(StoreUnavailableError, lock, store)
        == f"cannot lock {path}.lock: {os.strerror(number)}{advice}"
    )
    assert store.load() == OLD


def test_a_folder_that_is_there_and_is_not_is_no_reason_to_try_for_ever(tmp_path, monkeypatch):
    """A file system that spells its name another way, or keeps to an older answer."""

    def refuse(folder: Path, *_arguments: object, **_options: object) -> None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(Path, "mkdir", refuse)
    store = FileTokenStore(tmp_path / "below" / "token.json")
    assert os.strerror(errno.ENOENT) in refusal(StoreUnavailableError, save, store)


def test_a_lock_file_that_is_a_folder_is_an_error(store, path):
    path.with_name("token.json.lock").mkdir()
    assert refusal(TokenStoreError, lock, store) == (
        f"{path}.lock is not a regular file, as a lock is; remove it: rm -r {path}.lock"
    )


def test_a_lock_file_that_is_a_link_is_not_followed(store, path, tmp_path):
    (tmp_path / "victim").write_bytes(b"precious")
    path.with_name("token.json.lock").symlink_to("victim")
    assert "token.json.lock is not a regular file" in refusal(TokenStoreError, lock, store)
    assert (tmp_path / "victim").read_bytes() == b"precious"


def lock_and_leave(store: FileTokenStore) -> None:
    with store.lock(0):
        pass


def test_a_lock_that_cannot_be_freed_is_an_error_of_the_store(store, monkeypatch):
    flock = fcntl.flock

    def no_unlocking(fd: int, operation: int) -> None:
        if operation == fcntl.LOCK_UN:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", no_unlocking)
    message = f"cannot free the lock {store.path}.lock: {os.strerror(errno.EIO)}"
    assert refusal(StoreUnavailableError, lock_and_leave, store) == message
