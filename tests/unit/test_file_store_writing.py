"""How a `FileTokenStore` writes, and who may read what it has written."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    StoreUnavailableError,
    Token,
    TokenStoreError,
)
from requests_tokenrefresh.stores import _file_privacy, _file_way
from tests.support.other_users import pretend_to_be_another
from tests.support.threads import run_together
from tests.support.token_files import (
    NEW,
    OLD,
    is_busy,
    mode_of,
    names,
    on_the_token,
    put,
    refusal,
    running,
    save,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token.json"


@pytest.fixture
def store(path: Path) -> FileTokenStore:
    return FileTokenStore(path)


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


# Who may read it


def test_the_file_and_the_new_folders_above_it_are_for_their_owner_alone(no_umask, tmp_path):
    tmp_path.chmod(0o755)
    path = tmp_path / "a" / "b" / "token.json"
    store = FileTokenStore(path)
    store.save(OLD)
    store.save(NEW)
    assert mode_of(path) == 0o600
    assert [mode_of(folder) for folder in path.parents[:3]] == [0o700, 0o700, 0o755]


def test_the_lock_comes_first_with_the_same_modes(no_umask, tmp_path):
    path = tmp_path / "a" / "b" / "token.json"
    with FileTokenStore(path).lock(0):
        pass
    assert mode_of(path.with_name("token.json.lock")) == 0o600
    assert [mode_of(folder) for folder in path.parents[:2]] == [0o700, 0o700]


def test_reading_creates_nothing(tmp_path):
    store = FileTokenStore(tmp_path / "a" / "token.json")
    assert store.load() is None
    store.clear()
    assert names(tmp_path) == []


@on_the_token
@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o644, 0o666], ids="{:04o}".format)
def test_a_file_open_to_others_is_refused_with_the_way_to_close_it(store, path, operation, mode):
    store.save(OLD)
    content = path.read_bytes()
    path.chmod(mode)
    message = refusal(TokenStoreError, operation, store)
    assert f"(mode {mode:04o})" in message
    assert f"chmod 600 {path}" in message
    assert (path.read_bytes(), mode_of(path)) == (content, mode)


def test_the_command_that_closes_it_is_quoted(tmp_path):
    store = FileTokenStore(tmp_path / "my token.json")
    put(store.path, b"{}", 0o644)
    assert f"chmod 600 '{tmp_path}/my token.json'" in refusal(
        TokenStoreError, FileTokenStore.load, store
    )


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700], ids="{:04o}".format)
def test_a_file_of_its_owner_alone_is_read(store, path, mode):
    store.save(OLD)
    path.chmod(mode)
    assert store.load() == OLD


@on_the_token
def test_a_file_of_somebody_else_is_refused(store, path, operation, monkeypatch):
    store.save(OLD)
    content = path.read_bytes()
    pretend_to_be_another(monkeypatch)
    message = refusal(TokenStoreError, operation, store)
    assert f"{path} belongs to another user (uid {path.stat().st_uid})" in message
    assert path.read_bytes() == content


def test_where_the_mode_does_not_tell_it_is_not_asked(store, path, monkeypatch):
    """Windows says 0666 of every file that can be written."""
    monkeypatch.setattr(_file_privacy, "MODE_TELLS_WHO_MAY_READ", False)
    store.save(OLD)
    path.chmod(0o666)
    assert store.load() == OLD


def test_where_the_mode_does_not_tell_links_are_followed_and_folders_made(tmp_path, monkeypatch):
    monkeypatch.setattr(_file_way, "MODE_TELLS_WHO_MAY_READ", False)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real").chmod(0o777)
    FileTokenStore(tmp_path / "link" / "a" / "b" / "token.json").save(OLD)
    assert FileTokenStore(tmp_path / "real" / "a" / "b" / "token.json").load() == OLD


# How it is written


def test_each_step_is_on_the_disk_before_the_next(no_umask, store, path, monkeypatch):
    store.save(OLD)
    steps: list[tuple[str, object]] = []
    fsync, replace = os.fsync, Path.replace

    def told_fsync(fd: int) -> None:
        fsync(fd)
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            steps.append(("folder synced", store.load()))
        else:
            assert stat.S_IMODE(status.st_mode) == 0o600
            steps.append(("file synced", status.st_size))

    def told_replace(source: Path, target: Path) -> None:
        assert (source.parent, target) == (path.parent, path)
        steps.append(("replaced", store.load()))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", told_fsync)
    monkeypatch.setattr(Path, "replace", told_replace)
    store.save(NEW)
    size = path.stat().st_size
    assert steps == [("file synced", size), ("replaced", OLD), ("folder synced", NEW)]


def test_the_folder_is_synced_after_clearing(store, path, monkeypatch):
    store.save(OLD)
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(path.exists()))
    store.clear()
    assert synced == [False]


def test_a_folder_that_cannot_be_synced_is_no_error(store, monkeypatch):
    """EINVAL is what some network file systems answer; the token is in place by then."""
    fsync = os.fsync

    def for_files_only(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", for_files_only)
    store.save(NEW)
    assert store.load() == NEW
    store.clear()
    assert store.load() is None


def test_a_full_disk_leaves_the_old_token_and_nothing_else(store, path):
    store.save(OLD)
    limit_and_save = """
import resource, sys
from requests_tokenrefresh import stores, _errors, _token
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, unlimited[1]))
try:
    stores.FileTokenStore(sys.argv[1]).save(_token.Token("secret-access" * 100))
except _errors.TokenStoreError as error:
    print(error.__cause__.errno, error)
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
"""
    with running(limit_and_save, path) as process:
        told, _ = process.communicate(timeout=30)
    assert told == (
        f"{errno.EFBIG} cannot write the token file {path}, which is as it was: "
        f"{os.strerror(errno.EFBIG)}; make room there, and try again\n"
    )
    assert store.load() == OLD
    assert names(path.parent) == [path.name]


def test_an_interrupted_save_leaves_the_old_token_and_nothing_else(store, path, monkeypatch):
    store.save(OLD)

    def interrupt(fd: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patches, pytest.raises(KeyboardInterrupt):
        patches.setattr(os, "fsync", interrupt)
        store.save(NEW)
    assert store.load() == OLD
    assert names(path.parent) == [path.name]


def test_a_failed_save_is_told_even_if_its_temporary_cannot_be_removed(store, monkeypatch):
    def lose_the_file(fd: int) -> None:
        [temporary] = store.path.parent.glob(".token.json.*.tmp")
        temporary.unlink()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", lose_the_file)
    assert os.strerror(errno.ENOSPC) in refusal(StoreUnavailableError, save, store)


def test_a_reader_never_sees_half_a_token(store):
    """Six writers replace tokens of very different sizes under the eyes of two readers."""
    sizes = (1, 10, 1_000, 60_000)
    store.save(Token("a"))
    workers = iter(range(8))

    def work() -> None:
        reader = next(workers) < 2
        for size in sizes * 3:
            if reader:
                assert len(store.load().access_token) in sizes
            else:
                store.save(Token("a" * size))

    assert [outcome.error for outcome in run_together(8, work)] == [None] * 8
    assert len(store.load().access_token) == sizes[-1]
    assert names(store.path.parent) == ["token.json"]


# Links


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    link = tmp_path / "token.json"
    link.symlink_to("dotfiles/token.json")
    store = FileTokenStore(link)
    assert store.load() is None
    store.save(OLD)
    store.save(NEW)
    assert link.readlink() == Path("dotfiles/token.json")
    assert FileTokenStore(dotfiles / "token.json").load() == NEW
    store.clear()
    assert link.is_symlink()
    assert not link.exists()


def test_the_file_behind_a_link_has_one_lock(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    link.symlink_to(real)
    with FileTokenStore(link).lock(0):
        assert is_busy(FileTokenStore(real))
    assert names(tmp_path) == ["link.json", "real.json.lock"]
