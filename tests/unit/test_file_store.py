"""What is `FileTokenStore`'s own; what it shares with the others is in test_store_contract.

Failures are had from the system where it can be made to fail, for root as for anybody.
"""

import errno
import fcntl
import json
import os
import pickle
import stat
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import requests_tokenrefresh
from requests_tokenrefresh._errors import StoreLockTimeoutError, TokenStoreError
from requests_tokenrefresh._token import Token
from requests_tokenrefresh.stores import FileTokenStore, _file
from tests.support.threads import run_together

OLD = Token("old-access", refresh_token="old-refresh", issued_at=1_700_000_000.0)
NEW = Token("new-access", refresh_token="new-refresh", issued_at=1_700_003_600.0)

FIELDS = {"access_token", "refresh_token", "token_type", "expires_in", "expires_at", "issued_at"}

CORRUPT = {
    "nothing": b"",
    "half a token": b'{"access_token": "secret-access", "refresh_tok',
    "no JSON": b"\x89PNG\r\n\x1a\n",
    "no UTF-8": b'{"access_token": "secret-access\xff"}',
    "a list": b'["access_token"]',
    "null": b"null",
    "an error reply": b'{"error": "invalid_grant"}',
    "a field of the wrong type": b'{"access_token": "secret-access", "expires_at": "soon"}',
    "a secret with a line end": b'{"access_token": "secret-access\\r\\nX: y"}',
    "nested too deep": b'{"access_token": "secret-access", "x": ' + b"[" * 200_000,
    "a number too long": b'{"access_token": "secret-access", "x": ' + b"1" * 5_000 + b"}",
    "too large": b'{"access_token": "secret-access"}' + b" " * 1024 * 1024,
}


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


def put(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def is_busy(store: FileTokenStore) -> bool:
    try:
        with store.lock(0):
            return False
    except StoreLockTimeoutError:
        return True


def save(store: FileTokenStore) -> None:
    store.save(NEW)


def lock(store: FileTokenStore) -> None:
    store.lock(0).__enter__()


def lock_and_leave(store: FileTokenStore) -> None:
    with store.lock(0):
        pass


def refusal(operation: Callable[[FileTokenStore], object], store: FileTokenStore) -> str:
    """Return the message of the error that *operation* ends with."""
    with pytest.raises(TokenStoreError) as raised:
        operation(store)
    assert not isinstance(raised.value, StoreLockTimeoutError)
    assert "secret" not in str(raised.value)
    return str(raised.value)


on_the_token = pytest.mark.parametrize(
    "operation", [FileTokenStore.load, save, FileTokenStore.clear], ids=["load", "save", "clear"]
)


# The path


def test_it_is_shared():
    assert FileTokenStore.shared is True


def test_the_home_is_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    store = FileTokenStore("~/.config/reports/token.json")
    store.save(NEW)
    assert store.path == tmp_path / ".config" / "reports" / "token.json"
    assert store.path.is_file()


def test_a_relative_path_stays_where_it_was_said(monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = FileTokenStore("token.json")
    monkeypatch.chdir("elsewhere")
    store.save(NEW)
    assert (tmp_path / "token.json").is_file()


@pytest.mark.parametrize("wrong", [None, 7, b"/nowhere/token.json", FileTokenStore("t")])
def test_what_is_no_path_is_refused(wrong):
    with pytest.raises(TypeError, match="pass the path of the token file"):
        FileTokenStore(wrong)


def test_a_path_of_bytes_is_refused_behind_fspath_too():
    class BytesPath:
        def __fspath__(self) -> bytes:
            return b"/nowhere/token.json"

    with pytest.raises(TypeError, match="got BytesPath"):
        FileTokenStore(BytesPath())


@pytest.mark.parametrize("wrong", ["", "token\0.json"])
def test_a_path_that_cannot_name_a_file_is_refused(wrong):
    with pytest.raises(ValueError, match="pass the path of the token file"):
        FileTokenStore(wrong)


def test_the_home_of_nobody_is_refused():
    with pytest.raises(ValueError, match="there is no such home"):
        FileTokenStore("~nobody-of-this-name/token.json")


def test_it_shows_its_path(store, path):
    assert repr(store) == f"FileTokenStore({str(path)!r})"


def test_it_pickles_as_its_path(store, path):
    make, arguments = store.__reduce__()
    assert (make.func, arguments) == (FileTokenStore, (str(path),))
    assert pickle.loads(pickle.dumps(store)).path == path


# What is in the file


def test_the_file_is_json_for_people_too(store, path):
    store.save(NEW)
    assert json.loads(path.read_text()) == NEW.to_mapping()
    assert path.read_text().endswith("}\n")


def test_a_token_reply_put_there_by_hand_counts_from_when_it_was_written(store, path):
    reply = b'{"access_token": "a", "token_type": "bearer", "expires_in": 60, "scope": "x"}'
    put(path, reply)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    token = store.load()
    assert token == Token("a")
    assert (token.issued_at, token.expires_at) == (1_700_000_000.0, 1_700_000_060.0)
    assert token.extra == {"scope": "x"}


def test_a_token_reply_put_there_by_hand_is_replaced_and_cleared_like_our_own(store, path):
    put(path, b'{"access_token": "a"}')
    store.save(NEW)
    assert store.load() == NEW
    put(path, b'{"access_token": "a"}')
    store.clear()
    assert not path.exists()


@on_the_token
@pytest.mark.parametrize("content", CORRUPT.values(), ids=CORRUPT)
def test_other_content_is_an_error_that_leaves_it_as_it_was(store, path, operation, content):
    put(path, content)
    message = refusal(operation, store)
    assert str(path) in message
    assert "it was left as it was: move it away and log in again" in message
    assert path.read_bytes() == content
    assert names(path.parent) == [path.name]


def test_the_error_about_other_content_carries_none_of_it(store, path):
    put(path, CORRUPT["half a token"])
    with pytest.raises(TokenStoreError) as raised:
        store.load()
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert b"secret" not in pickle.dumps(raised.value)


def test_the_largest_file_that_is_written_can_be_read(store, path):
    padding = "x" * (1024 * 1024 - len(json.dumps(NEW.to_mapping(), indent=2)) - 14)
    largest = Token("new-access", "new-refresh", issued_at=NEW.issued_at, extra={"pad": padding})
    store.save(largest)
    assert path.stat().st_size == 1024 * 1024
    assert store.load().extra == {"pad": padding}
    too_large = Token("a", issued_at=NEW.issued_at, extra={"pad": padding + "x" * 100})
    assert "bytes, 1048576 are the limit" in refusal(lambda _: store.save(too_large), store)
    assert store.load() == largest


def test_a_huge_file_is_not_read_to_its_end(store, path):
    put(path, b"")
    os.truncate(path, 64 * 1024 * 1024)
    tracemalloc.start()
    try:
        assert "it is larger than 1048576 bytes" in refusal(FileTokenStore.load, store)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("field", [b"bytes", {1, 2}, 10**5_000], ids=["bytes", "set", "digits"])
def test_a_token_that_is_not_plain_json_is_an_error_and_the_old_one_stays(store, field):
    store.save(OLD)
    message = refusal(lambda _: store.save(Token("secret", extra={"field": field})), store)
    assert "extra fields are not plain JSON" in message
    assert store.load() == OLD


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("stores") / "token.json"


words = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
secrets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
almost_replies = st.fixed_dictionaries(
    {"access_token": secrets | words},
    optional=dict.fromkeys(
        sorted(FIELDS - {"access_token"}), secrets | st.integers() | json_values
    ),
)
contents = st.binary() | (json_values | almost_replies).map(json.dumps).map(str.encode)


@settings(max_examples=100, deadline=None)
@given(contents)
def test_any_content_is_a_token_or_an_error_and_stays(scratch, content):
    put(scratch, content)
    with suppress(TokenStoreError):
        assert isinstance(FileTokenStore(scratch).load(), Token)
    assert scratch.read_bytes() == content


times = st.floats(min_value=0, max_value=1e12)
tokens = st.builds(
    Token,
    secrets,
    refresh_token=st.none() | secrets,
    token_type=st.sampled_from(["Bearer", "bearer", "JWT", "Token"]),
    expires_at=times,
    issued_at=times,
    extra=st.dictionaries(words.filter(lambda name: name not in FIELDS), json_values, max_size=3),
)


@settings(max_examples=50, deadline=None)
@given(tokens)
def test_any_token_comes_back_as_it_was(scratch, token):
    scratch.unlink(missing_ok=True)
    FileTokenStore(scratch).save(token)
    loaded = FileTokenStore(scratch).load()
    assert loaded == token
    assert loaded.to_mapping() == token.to_mapping()


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
    message = refusal(operation, store)
    assert f"(mode {mode:04o})" in message
    assert f"chmod 600 {path}" in message
    assert (path.read_bytes(), mode_of(path)) == (content, mode)


def test_the_command_that_closes_it_is_quoted(tmp_path):
    store = FileTokenStore(tmp_path / "my token.json")
    put(store.path, b"{}", 0o644)
    assert f"chmod 600 '{tmp_path}/my token.json'" in refusal(FileTokenStore.load, store)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700], ids="{:04o}".format)
def test_a_file_of_its_owner_alone_is_read(store, path, mode):
    store.save(OLD)
    path.chmod(mode)
    assert store.load() == OLD


@on_the_token
def test_a_file_of_somebody_else_is_refused(store, path, operation, monkeypatch):
    store.save(OLD)
    content = path.read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    message = refusal(operation, store)
    assert f"{path} belongs to another user (uid {path.stat().st_uid})" in message
    assert path.read_bytes() == content


def test_where_the_mode_does_not_tell_it_is_not_asked(store, path, monkeypatch):
    """Windows says 0666 of every file that can be written."""
    monkeypatch.setattr(_file, "_MODE_TELLS_WHO_MAY_READ", False)
    store.save(OLD)
    path.chmod(0o666)
    assert store.load() == OLD


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
        f"{os.strerror(errno.EFBIG)}\n"
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
    assert os.strerror(errno.ENOSPC) in refusal(save, store)


def test_what_a_killed_process_left_behind_is_in_nobodys_way(store, path):
    store.save(OLD)
    left = path.with_name(".token.json.abcdefgh.tmp")
    put(left, b'{"access_to')
    store.save(NEW)
    store.clear()
    assert store.load() is None
    assert left.read_bytes() == b'{"access_to'


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
    with pytest.raises(TokenStoreError, match="cannot read the token file") as raised:
        operation(FileTokenStore(path))
    assert raised.value.__cause__.errno == number
    assert str(path) in str(raised.value)
    assert str(raised.value).endswith(os.strerror(number))


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path):
    store = FileTokenStore(tmp_path / ("x" * 300) / "token.json")
    with pytest.raises(TokenStoreError) as raised:
        lock(store)
    assert raised.value.__cause__.errno == errno.ENAMETOOLONG


def read_only(*args: object, **kwargs: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_saving_to_a_read_only_file_system_leaves_the_token(store, path, monkeypatch):
    store.save(OLD)
    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    message = f"cannot write the token file {path}, which is as it was: "
    assert refusal(save, store) == message + os.strerror(errno.EROFS)
    assert store.load() == OLD


def test_clearing_on_a_read_only_file_system_leaves_the_token(store, path, monkeypatch):
    store.save(OLD)
    monkeypatch.setattr(Path, "unlink", read_only)
    message = f"cannot remove the token file {path}, which is as it was: "
    assert refusal(FileTokenStore.clear, store) == message + os.strerror(errno.EROFS)
    assert store.load() == OLD


def test_an_error_without_a_text_is_told_as_it_is(store, monkeypatch):
    def refuse(fd: int) -> None:
        raise OSError("the cable is out")

    monkeypatch.setattr(os, "fsync", refuse)
    assert refusal(save, store).endswith("which is as it was: the cable is out")


@on_the_token
def test_a_pipe_is_refused_without_waiting_for_its_writer(store, path, operation):
    os.mkfifo(path, 0o600)
    assert refusal(operation, store).startswith(f"{path} is not a regular file")
    assert stat.S_ISFIFO(path.stat().st_mode)


@on_the_token
def test_a_device_is_refused(store, path, operation):
    path.symlink_to("/dev/zero")
    assert refusal(operation, store).startswith("/dev/zero is not a regular file")
    assert stat.S_ISCHR(Path("/dev/zero").stat().st_mode)


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


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_without_locks_is_not_a_busy_lock(store, path, monkeypatch, number):
    def refuse(fd: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    store.save(OLD)
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert refusal(lock, store) == f"cannot lock {path}.lock: {os.strerror(number)}"
    assert store.load() == OLD


def test_a_lock_file_that_is_a_folder_is_an_error(store, path):
    path.with_name("token.json.lock").mkdir()
    assert refusal(lock, store) == f"cannot lock {path}.lock: {os.strerror(errno.EISDIR)}"


def test_a_lock_file_that_is_a_link_is_not_followed(store, path, tmp_path):
    (tmp_path / "victim").write_bytes(b"precious")
    path.with_name("token.json.lock").symlink_to("victim")
    assert refusal(lock, store) == f"cannot lock {path}.lock: {os.strerror(errno.ELOOP)}"
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_a_lock_that_cannot_be_freed_is_an_error_of_the_store(store, monkeypatch):
    flock = fcntl.flock

    def no_unlocking(fd: int, operation: int) -> None:
        if operation == fcntl.LOCK_UN:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", no_unlocking)
    message = f"cannot free the lock {store.path}.lock: {os.strerror(errno.EIO)}"
    assert refusal(lock_and_leave, store) == message


# Processes


@contextmanager
def running(code: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """A Python that runs *code*, and is gone when the test is."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=Path(requests_tokenrefresh.__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


HOLD_UNTIL_TOLD = """
import sys
from requests_tokenrefresh.stores import FileTokenStore
with FileTokenStore(sys.argv[1]).lock(0):
    print("held", flush=True)
    sys.stdin.readline()
print("left", flush=True)
sys.stdin.readline()
"""

# The child goes on in the middle of the parent's turn, tries to take a turn of its own, and leaves.
FORK_WHILE_HELD = """
import os, sys
from requests_tokenrefresh._errors import StoreLockTimeoutError
from requests_tokenrefresh.stores import FileTokenStore
store = FileTokenStore(sys.argv[1])
child = None
with store.lock(0):
    child = os.fork()
    if child == 0:
        try:
            store.lock(0).__enter__()
        except StoreLockTimeoutError:
            print("the child is refused", flush=True)
    else:
        os.waitpid(child, 0)
        print("the child is gone", flush=True)
        sys.stdin.readline()
if child == 0:
    os._exit(0)
"""

FORK_WHILE_HELD_AND_WAIT = """
import os, sys
from requests_tokenrefresh.stores import FileTokenStore
with FileTokenStore(sys.argv[1]).lock(0):
    if (child := os.fork()) == 0:
        print(os.getpid(), flush=True)
        sys.stdin.readline()
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_another_process_is_excluded_until_it_leaves(store, path):
    with running(HOLD_UNTIL_TOLD, path) as other:
        assert other.stdout.readline() == "held\n"
        assert is_busy(store)
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "left\n"
        assert not is_busy(store)


def test_the_lock_of_a_killed_process_is_free(store, path):
    with running(HOLD_UNTIL_TOLD, path) as other:
        assert other.stdout.readline() == "held\n"
        assert is_busy(store)
        other.kill()
        other.wait()
        assert not is_busy(store)


def test_a_child_forked_inside_the_lock_neither_holds_it_nor_frees_it(store, path):
    with running(FORK_WHILE_HELD, path) as parent:
        assert parent.stdout.readline() == "the child is refused\n"
        assert parent.stdout.readline() == "the child is gone\n"
        assert is_busy(store)
        parent.communicate("\n", timeout=30)
    assert not is_busy(store)


def test_the_lock_of_a_killed_process_is_free_though_its_child_lives(store, path):
    with running(FORK_WHILE_HELD_AND_WAIT, path) as parent:
        child = int(parent.stdout.readline())
        assert is_busy(store)
        parent.kill()
        parent.wait()
        os.kill(child, 0)
        assert not is_busy(store)
        parent.stdin.close()
