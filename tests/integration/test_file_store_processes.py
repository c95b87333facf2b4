"""A `FileTokenStore` among processes: killed at the wrong moment, forked, out of room.

What every shared store promises about processes is in `TokenStoreContract`.
"""

import errno
import json
import logging
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from requests_tokenrefresh import FileTokenStore, StoreUnavailableError, Token, TokenSource
from tests.support.logins import ORIGIN, Clock, Refresher, make_source
from tests.support.new_processes import new_processes
from tests.support.token_files import NEW, OLD, is_busy, names

NOBODY = 65534

CANNOT_FORK = not hasattr(os, "fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token.json"


class Child:
    """A new process, or a fork, that runs *work*, with a pipe to it."""

    def __init__(self, how: str, work: Callable[..., None], *arguments: object) -> None:
        context = new_processes() if how == "new" else multiprocessing.get_context(how)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def tell(self, what: object) -> None:
        self._pipe.send(what)

    def hear(self) -> object:
        assert self._pipe.poll(30), "the child says nothing"
        return self._pipe.recv()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        self.kill()
        self._process.close()
        self._pipe.close()


@contextmanager
def child(work: Callable[..., None], *arguments: object, how: str = "new") -> Iterator[Child]:
    process = Child(how, work, *arguments)
    try:
        yield process
    finally:
        process.close()


# Killed


def save_and_stop_before_the_rename(pipe: Connection, path: Path) -> None:
    rename = Path.replace

    def stop_and_rename(source: Path, target: Path) -> None:
        pipe.send("written")
        pipe.recv()
        rename(source, target)

    Path.replace = stop_and_rename
    try:
        FileTokenStore(path).save(NEW)
    except StoreUnavailableError as error:
        pipe.send((error.__cause__.errno, FileTokenStore(path).load()))
    pipe.send("saved")


def leave_a_half_saved_token(path: Path, *, age: float) -> Path:
    """Kill a process between the write and the rename, *age* seconds ago."""
    with child(save_and_stop_before_the_rename, path) as writer:
        assert writer.hear() == "written"
        writer.kill()
    [left] = path.parent.glob(".token.json.*.tmp")
    assert NEW.refresh_token.encode() in left.read_bytes()
    then = time.time() - age
    os.utime(left, (then, then))
    return left


@pytest.mark.parametrize(
    "use", [lambda store: store.save(OLD), FileTokenStore.clear], ids=["save", "clear"]
)
def test_what_a_killed_process_left_is_removed_by_the_next_save_or_clear(path, use):
    left = leave_a_half_saved_token(path, age=61)
    assert FileTokenStore(path).load() is None
    assert left.exists()
    use(FileTokenStore(path))
    assert not left.exists()


def test_what_may_be_of_a_live_writer_is_left_alone(path):
    with child(save_and_stop_before_the_rename, path) as writer:
        assert writer.hear() == "written"
        FileTokenStore(path).save(OLD)
        FileTokenStore(path).clear()
        writer.tell("go on")
        assert writer.hear() == "saved"
    assert FileTokenStore(path).load() == NEW
    assert names(path.parent) == ["token.json"]


def test_a_writer_so_slow_that_it_was_taken_for_dead_overwrites_nothing(path):
    with child(save_and_stop_before_the_rename, path) as writer:
        assert writer.hear() == "written"
        [written] = path.parent.glob(".token.json.*.tmp")
        os.utime(written, (0, 0))
        FileTokenStore(path).save(OLD)
        writer.tell("go on")
        assert writer.hear() == (errno.ENOENT, OLD)


def test_files_of_others_are_no_leftovers(path):
    others = [".token.json.old.abcdefgh.tmp", ".token.json.tmp", "token.json.abcdefgh.tmp"]
    for name in others:
        path.with_name(name).touch()
        os.utime(path.with_name(name), (0, 0))
    FileTokenStore(path).save(NEW)
    FileTokenStore(path).clear()
    assert names(path.parent) == sorted(others)


def test_a_name_with_brackets_stands_for_itself(tmp_path):
    for name in (".[ab].json.abcdefgh.tmp", ".a.json.abcdefgh.tmp"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    FileTokenStore(tmp_path / "[ab].json").save(NEW)
    assert names(tmp_path) == [".a.json.abcdefgh.tmp", "[ab].json"]


def test_a_leftover_that_cannot_be_removed_is_no_error(path):
    left = path.with_name(".token.json.abcdefgh.tmp")
    left.mkdir()
    os.utime(left, (0, 0))
    FileTokenStore(path).save(NEW)
    FileTokenStore(path).clear()
    assert left.exists()


def hold_the_lock_and_fork(pipe: Connection, path: Path) -> None:
    with FileTokenStore(path).lock(0):
        fork = os.fork()
        if fork == 0:
            pipe.send(os.getpid())  # it has closed by now what it has of the lock
            with suppress(EOFError):
                pipe.recv()  # nothing comes; it ends when the test does
            os._exit(0)
        os.waitpid(fork, 0)


@pytest.mark.skipif(CANNOT_FORK, reason="this system does not fork")
def test_the_lock_of_a_killed_process_is_free_though_its_fork_lives(path):
    with child(hold_the_lock_and_fork, path) as holder:
        fork = holder.hear()
        assert is_busy(FileTokenStore(path))
        holder.kill()
        os.kill(fork, 0)
        assert not is_busy(FileTokenStore(path))


# Born


def token_of_this_process(token: Token | None) -> str:
    return f"access-of-{os.getpid()}"


def refresh(pipe: Connection, source: TokenSource) -> None:
    pipe.send((os.getpid(), source.refresh(source.token())))


@pytest.mark.parametrize(
    "how", ["new", pytest.param("fork", marks=pytest.mark.skipif(CANNOT_FORK, reason="no fork"))]
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_what_a_child_refreshes_its_parent_adopts(path, how):
    parent = TokenSource(token_of_this_process, origins=[ORIGIN], store=path)
    parent.login(OLD)
    with child(refresh, parent, how=how) as other:
        pid, token = other.hear()
    assert token.access_token == f"access-of-{pid}"
    assert pid != os.getpid()
    assert parent.refresh(parent.token()) == token


# Out of room


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose permissions bind whoever writes to it: in the tests of root, nobody."""
    with tempfile.TemporaryDirectory(prefix="tokenrefresh-tests-") as name:
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


class Login:
    """A login whose source is used by a child that is told which method to call.

    Every token lives an hour of a clock that the child moves.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = Clock()
        self._refresher = Refresher()
        self._log: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: self._log.append(record.getMessage())
        logging.getLogger("requests_tokenrefresh").addHandler(handler)
        self._store = FileTokenStore(folder / "token.json")
        self._source = make_source(
            self._refresher, logged_in=False, store=self._store, clock=self._clock
        )
        self._source.login({"access_token": "access-0", "refresh_token": "r", "expires_in": 3600})

    def token_after(self, seconds: float) -> tuple[str, int]:
        """Return the token in use or the error, and how many refreshes there have been."""
        self._clock.advance(seconds)
        try:
            told = self._source.token().access_token
        except StoreUnavailableError as error:
            told = str(error)
        return told, len(self._refresher.calls)

    def let_happen_while_the_server_answers(self, method: str) -> None:
        self._refresher.answers.append(getattr(self, method))

    def log(self) -> list[str]:
        told, self._log[:] = list(self._log), []
        return told

    def take_permission(self) -> None:
        self._folder.chmod(0o500)

    def give_permission(self) -> None:
        self._folder.chmod(0o700)

    def fill(self) -> None:
        """No file may grow beyond ten bytes; as on a full disk, it exists and cannot be written."""
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, most))

    def make_room(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def use_a_login(pipe: Connection, folder: Path) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    login = Login(folder)
    while True:
        method, *arguments = pipe.recv()
        pipe.send(getattr(login, method)(*arguments))


TROUBLES = [
    ("take_permission", "give_permission", errno.EACCES),
    ("fill", "make_room", errno.EFBIG),
]


def stored(folder: Path) -> str:
    return json.loads((folder / "token.json").read_bytes())["access_token"]


@pytest.mark.skipif(os.name != "posix", reason="needs permissions and limits that can be set")
@pytest.mark.parametrize(("begin", "end", "number"), TROUBLES)
def test_a_folder_that_cannot_be_written_for_a_while_costs_no_refresh_token(
    folder, begin, end, number
):
    """It is found before anything is asked, and what is stored is used as long as it lives."""
    with child(use_a_login, folder) as user:

        def do(method: str, *arguments: object) -> object:
            user.tell((method, *arguments))
            return user.hear()

        assert do("token_after", 3600) == ("access-1", 1)
        do(begin)
        assert do("token_after", 3540) == ("access-1", 1)
        for _ in range(2):
            told, refreshes = do("token_after", 60)
            assert told.startswith(
                f"cannot write the token file {folder / 'token.json'}, which is as it was: "
                f"{os.strerror(number)}; "
            )
            assert refreshes == 1
        assert names(folder) == ["token.json", "token.json.lock"]
        do(end)
        assert do("token_after", 60) == ("access-2", 2)
        assert stored(folder) == "access-2"


@pytest.mark.skipif(os.name != "posix", reason="needs permissions and limits that can be set")
@pytest.mark.parametrize(("begin", "end", "number"), TROUBLES)
def test_a_login_outlives_a_folder_that_cannot_be_written_any_more_when_the_answer_is_there(
    folder, begin, end, number
):
    """The token lives on in memory, and is saved as soon as that is possible again."""
    with child(use_a_login, folder) as user:

        def do(method: str, *arguments: object) -> object:
            user.tell((method, *arguments))
            return user.hear()

        assert do("token_after", 3600) == ("access-1", 1)
        assert (stored(folder), do("log")) == ("access-1", [])

        do("let_happen_while_the_server_answers", begin)
        assert do("token_after", 3600) == ("access-2", 2)
        [told] = do("log")
        assert told.startswith(
            "a token could not be saved; it is in use, and only in memory: "
            f"cannot write the token file {folder / 'token.json'}, which is as it was: "
            f"{os.strerror(number)}; "
        )
        assert do("token_after", 60) == ("access-2", 2)
        assert stored(folder) == "access-1"

        do("log")
        do(end)
        assert do("token_after", 60) == ("access-2", 2)
        assert (stored(folder), do("log")) == ("access-2", [])
        assert do("token_after", 3600) == ("access-3", 3)
        assert stored(folder) == "access-3"
