"""A `FileTokenStore` and other users: files that are not this user's alone, and locks of others.

Where the tests run as root, another user is a real one as well.
"""

import errno
import os
import pickle
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    StoredPause,
    StoreUnavailableError,
    TokenStoreError,
)
from requests_tokenrefresh.stores import _file, _file_privacy, _file_way
from tests.support.other_users import NOBODY, STRANGER, only_root, own, pretend_to_be_another, told
from tests.support.token_files import (
    NEW,
    OLD,
    ensure_can_save,
    identity,
    lock,
    mode_of,
    names,
    put,
    refusal,
    save,
)

PAUSE = StoredPause(1_700_000_000.125, 2.5, 3)

everything = pytest.mark.parametrize(
    "operation",
    [FileTokenStore.load, save, FileTokenStore.clear, ensure_can_save, lock],
    ids=["load", "save", "clear", "ensure_can_save", "lock"],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token.json"


@pytest.fixture
def store(path: Path) -> FileTokenStore:
    return FileTokenStore(path)


@pytest.fixture
def a_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


# Who is refused, and told how to go on


@everything
def test_a_file_that_others_can_read_is_refused_by_all_and_no_lock_is_made(store, path, operation):
    store.save(OLD)
    path.chmod(0o640)
    assert refusal(TokenStoreError, operation, store) == (
        f"the token file {path} can be read or written by other users (mode 0640); make it "
        f"private: chmod 600 {path}; or, if whoever can read it may have the login, give up this "
        f"check: FileTokenStore({str(path)!r}, private=False), --no-private on the command line"
    )
    assert names(path.parent) == [path.name]


@everything
def test_a_file_of_another_user_is_refused_by_all_and_no_lock_is_made(
    store, path, operation, monkeypatch
):
    """`sudo` once, and the lock would be root's for ever."""
    store.save(OLD)
    owner = pretend_to_be_another(monkeypatch)
    assert refusal(TokenStoreError, operation, store) == (
        f"the token file {path} belongs to another user (uid {owner}), who can read and replace "
        f"the login in it; make it yours: sudo chown {owner + 1} {path}; or, if whoever can read "
        f"it may have the login, give up this check: FileTokenStore({str(path)!r}, private=False), "
        "--no-private on the command line"
    )
    assert names(path.parent) == [path.name]


@everything
def test_with_the_check_given_up_all_goes_on(path, operation, monkeypatch):
    FileTokenStore(path).save(OLD)
    path.chmod(0o644)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    operation(FileTokenStore(path, private=False))


@everything
def test_what_is_no_regular_file_is_refused_with_the_check_given_up_too(path, operation):
    os.mkfifo(path, 0o600)
    store = FileTokenStore(path, private=False)
    assert refusal(TokenStoreError, operation, store).startswith(f"{path} is not a regular file")
    assert names(path.parent) == [path.name]


def test_giving_up_the_check_is_seen_and_pickles(path):
    store = FileTokenStore(path, private=False)
    assert repr(store) == f"FileTokenStore({str(path)!r}, private=False)"
    put(path, b'{"access_token": "a"}', 0o644)
    assert pickle.loads(pickle.dumps(store)).load().access_token == "a"
    with pytest.raises(TokenStoreError):
        pickle.loads(pickle.dumps(FileTokenStore(path))).load()


def test_a_file_that_cannot_be_read_names_its_owner(store, path, monkeypatch):
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    store.save(OLD)
    monkeypatch.setattr(_file, "open_at_once", refuse)
    user = os.geteuid()
    assert refusal(StoreUnavailableError, FileTokenStore.load, store) == (
        f"cannot read the token file {path}: {os.strerror(errno.EACCES)}; it belongs to uid {user} "
        f"with mode 0600, and this is uid {user}; make it yours: sudo chown {user} {path}"
    )


@pytest.mark.parametrize("lacks", ["a mode that tells", "the file, by now"])
def test_one_whose_owner_cannot_be_told_says_so_much_less(store, path, monkeypatch, lacks):
    def refuse(path: str, flags: int) -> int:
        if lacks == "the file, by now":
            Path(path).unlink()
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    store.save(OLD)
    monkeypatch.setattr(_file, "open_at_once", refuse)
    monkeypatch.setattr(_file_privacy, "MODE_TELLS_WHO_MAY_READ", lacks == "the file, by now")
    assert refusal(StoreUnavailableError, FileTokenStore.load, store) == (
        f"cannot read the token file {path}: {os.strerror(errno.EACCES)}"
    )


def test_a_lock_of_another_user_is_told_with_the_way_to_remove_it(store, path, monkeypatch):
    def refuse(self: filelock.FileLock) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with store.lock(0):
        pass
    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    pretend_to_be_another(monkeypatch)
    assert refusal(StoreUnavailableError, lock, store) == (
        f"cannot lock {path}.lock: {os.strerror(errno.EACCES)}; another user has made it, and "
        f"nothing is in it; remove it: sudo rm {path}.lock"
    )


def test_a_lock_that_cannot_be_made_is_told_with_the_way_to_do_without(store, path, monkeypatch):
    def refuse(self: filelock.FileLock) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    message = refusal(StoreUnavailableError, lock, store)
    assert f"cannot lock {path}.lock: {os.strerror(errno.EACCES)}; let this user write" in message
    assert f"TokenSource(..., token={store!r}.load()) without store=" in message


# Real users


CALLS: list[Callable[[FileTokenStore], object]] = [
    FileTokenStore.load,
    lambda store: store.save(NEW),
    FileTokenStore.clear,
    FileTokenStore.ensure_can_save,
    lambda store: store.lock(0).__enter__(),
    lambda store: store.save_pause(PAUSE),
]


def save_in_a_turn(store: FileTokenStore) -> None:
    with store.lock(0):
        store.save(OLD)


@only_root
class TestOfAnotherUser:
    @pytest.fixture
    def home(self) -> Iterator[Path]:
        """The folder of another user, in one that he can enter."""
        with tempfile.TemporaryDirectory() as folder:
            os.chown(folder, NOBODY, NOBODY)
            yield Path(folder)

    def test_root_who_tries_once_leaves_no_lock_behind(self, home):
        path = home / "token.json"
        assert told(path, save) == ["None"]
        message = refusal(TokenStoreError, lock, FileTokenStore(path))
        assert f"belongs to another user (uid {NOBODY})" in message
        assert names(home) == ["token.json"]
        assert told(path, save_in_a_turn, lambda store: store.load().access_token) == [
            "None",
            OLD.access_token,
        ]

    def test_what_root_has_left_is_told_with_the_way_to_have_it(self, home):
        path = home / "token.json"
        roots = FileTokenStore(path, private=False)  # it is not root's folder
        with roots.lock(0):
            pass
        Path(f"{path}.lock").chmod(0o600)
        [refused] = told(path, lock)
        assert f"remove it: sudo rm {path}.lock" in refused
        Path(f"{path}.lock").unlink()
        roots.save(OLD)
        unread, refused = told(path, FileTokenStore.load, lock)
        assert f"it belongs to uid 0 with mode 0600, and this is uid {NOBODY}" in unread
        assert f"sudo chown {NOBODY} {path}" in unread
        assert "belongs to another user (uid 0)" in refused
        path.chmod(0o644)
        [unread] = told(path, FileTokenStore.load)
        assert "belongs to another user (uid 0)" in unread

    def test_a_folder_that_root_has_left_closed_is_told(self, home):
        path = home / "reports" / "more" / "token.json"
        FileTokenStore(path, private=False).save(OLD)
        for message in told(path, FileTokenStore.load, lock, ensure_can_save):
            assert f"the folder {home / 'reports'} belongs to uid 0 with mode 0700, and" in message
            assert f"this is uid {NOBODY}; run as that user, or keep it in a folder" in message

    def test_a_folder_of_another_user_can_be_read_and_says_how_to_do_without(self, home):
        path = home / "secret" / "token.json"
        path.parent.mkdir(mode=0o755)
        FileTokenStore(path, private=False).save(OLD)
        os.chown(path, NOBODY, NOBODY)
        read, *refused = told(
            path,
            lambda store: store.load().access_token,
            lock,
            FileTokenStore.ensure_can_save,
            save,
        )
        assert read == OLD.access_token
        for message in refused:
            assert f"let this user write into {path.parent}; or, if" in message
            assert f"token=FileTokenStore({str(path)!r}).load()) without store=" in message


# The way to the file: links, and folders

ALONE = 4242  # has no name, nor has his group


@only_root
class TestOfAStranger:
    """Each user trusts himself and root, and nobody else."""

    @pytest.fixture
    def shared(self) -> Iterator[Path]:
        """A folder like /tmp, with one of nobody's in it, and his login in that."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o1777)
            (folder / "own").mkdir(mode=0o700)
            own(folder / "own", NOBODY)
            assert told(folder / "own" / "token.json", lambda store: store.save(OLD)) == ["None"]
            yield folder

    @pytest.mark.parametrize("target", ["own/token.json", "own/another", "own", "nowhere/x"])
    def test_a_link_that_another_has_made_is_not_followed(self, shared, target):
        """Another login would be sent, or a file be made anywhere; dangling or not."""
        link = shared / "token.json"
        link.symlink_to(shared / target)
        own(link, STRANGER)
        path = link / "token.json" if target == "own" else link
        for message in told(path, *CALLS):
            assert f"the link {link}, by which the token file {path} is found, belongs" in message
            assert f"(uid {STRANGER}), who can point it elsewhere; remove it, or pass" in message
        assert names(shared / "own") == ["token.json"]

    def test_nor_one_that_an_own_link_leads_to(self, shared):
        (shared / "theirs").symlink_to("own")
        own(shared / "theirs", STRANGER)
        mine = shared / "own" / "link"
        mine.symlink_to("../theirs/token.json")
        own(mine, NOBODY)
        [message] = told(mine, FileTokenStore.load)
        assert f"the link {shared / 'theirs'}, by which" in message

    @pytest.mark.parametrize("owner", [NOBODY, 0])
    @pytest.mark.parametrize("target", ["own/token.json", "own/../own/token.json", "own/new"])
    def test_ones_own_links_and_those_of_root_work(self, shared, owner, target):
        link = shared / "link"
        link.symlink_to(target)
        own(link, owner)
        save, load, lock = CALLS[1], CALLS[0], CALLS[4]
        answers = told(link, save, lambda store: load(store) == NEW, lambda it: lock(it) is None)
        assert answers == ["None", "True", "True"]
        assert link.is_symlink()

    @pytest.mark.parametrize("mode", [0o777, 0o757, 0o775])
    @pytest.mark.parametrize("name", ["token.json", "below/token.json"])
    def test_a_folder_that_others_can_write_is_refused(self, shared, mode, name):
        folder = shared / "own"
        (folder / "below").mkdir(mode=0o700)
        own(folder / "below", NOBODY)
        own(folder, NOBODY, STRANGER)
        folder.chmod(mode)
        for message in told(folder / name, *CALLS):
            found = f"in which the token file {folder / name} is found, can be written by other"
            assert f"the folder {folder}, {found}" in message
            assert f"(mode {mode:04o})" in message
            assert f"chmod go-w {folder}" in message
            assert "private=False" in message

    def test_so_is_one_of_another_user(self, shared):
        own(shared / "own", STRANGER)
        (shared / "own").chmod(0o755)
        [message] = told(shared / "own" / "token.json", FileTokenStore.load)
        assert f"belongs to another user (uid {STRANGER}), who can put another file in" in message

    @pytest.mark.parametrize(("group", "may"), [(ALONE, True), (0, True), (STRANGER, False)])
    def test_a_group_of_ones_own_may_write(self, shared, group, may):
        """Many systems give each user one, and the umask to go with it."""
        for path in (shared / "own", shared / "own" / "token.json"):
            own(path, ALONE, group)
        (shared / "own").chmod(0o775)
        path = shared / "own" / "token.json"
        [answer] = told(path, lambda store: store.load() == OLD, uid=ALONE)
        assert (answer == "True") is may

    @pytest.mark.parametrize("owner", [NOBODY, STRANGER])
    def test_whose_the_folder_is_can_be_given_up(self, shared, owner):
        own(shared / "own", owner)
        (shared / "own").chmod(0o777)
        save, load = CALLS[1], CALLS[0]
        path = shared / "own" / "token.json"
        answers = told(path, save, lambda store: load(store) == NEW, private=False)
        assert answers == ["None", "True"]

    def test_a_link_of_another_is_not_followed_then_either(self, shared):
        """Whoever may have this login may not have another one."""
        link = shared / "token.json"
        link.symlink_to("own/token.json")
        own(link, STRANGER)
        for message in told(link, *CALLS, private=False):
            assert f"the link {link}, by which the token file {link} is found, belongs" in message

    @pytest.mark.parametrize(("owner", "counts"), [(STRANGER, False), (NOBODY, True)])
    def test_a_pause_that_another_has_put_there_is_none(self, shared, owner, counts):
        path = shared / "token.json"
        pause = Path(f"{path}.pause")
        pause.write_text("9999999999.0 3600.0 1\n")
        own(pause, owner)
        [answer] = told(path, lambda store: store.load_pause() is not None)
        assert answer == str(counts)


def test_links_that_go_round_in_circles_are_an_error(path):
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)
    with pytest.raises(TokenStoreError):
        FileTokenStore(path).load()


# A login that several users share


def test_a_file_that_is_not_private_keeps_its_group_and_mode(path, a_umask):
    store = FileTokenStore(path, private=False)
    store.save(OLD)
    assert mode_of(path) == 0o600
    group = max([os.getegid(), *os.getgroups()])
    os.chown(path, -1, group)
    path.chmod(0o660)
    with store.lock(0):
        store.ensure_can_save()
        store.save(NEW)
        store.save_pause(PAUSE)
    pause = path.with_name("token.json.pause")
    assert [mode_of(file) for file in (path, pause)] == [0o660] * 2
    assert [file.stat().st_gid for file in (path, pause)] == [group] * 2
    assert mode_of(path.with_name("token.json.lock")) == 0o644


def test_a_group_that_cannot_be_kept_is_not_let_in(path, monkeypatch):
    """The mode would be for another group."""

    def refuse(fd: int, user: int, group: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    store = FileTokenStore(path, private=False)
    store.save(OLD)
    path.chmod(0o660)
    monkeypatch.setattr(os, "chown", refuse)
    store.save(NEW)
    assert mode_of(path) == 0o600


# Drives whose files have no mode of their own


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is created is everybody's, as on a drive of Windows under WSL."""
    make = tempfile.mkstemp

    def make_for_all(**options: object) -> tuple[int, str]:
        fd, name = make(**options)
        os.fchmod(fd, 0o777)
        return fd, name

    monkeypatch.setattr(tempfile, "mkstemp", make_for_all)


@pytest.mark.parametrize("operation", [save, ensure_can_save])
def test_a_drive_without_modes_is_told_at_the_first_save(store, path, drive, operation):
    """And not when the token is needed, and cannot be read."""
    message = refusal(TokenStoreError, operation, store)
    assert f"a token file in {path.parent} is not private: a new file there" in message
    assert f"belongs to uid {os.geteuid()} and has mode 0777" in message
    assert f"FileTokenStore({str(path)!r}, private=False)" in message
    assert names(path.parent) == []


def test_on_a_drive_without_modes_the_check_can_be_given_up(path, drive):
    store = FileTokenStore(path, private=False)
    with store.lock(0):
        store.ensure_can_save()
        store.save(NEW)
    assert store.load() == NEW


@pytest.mark.parametrize("operation", [save, ensure_can_save])
def test_a_share_that_makes_every_file_another_users_is_told_at_the_first_save(
    store, path, monkeypatch, operation
):
    pretend_to_be_another(monkeypatch)
    message = refusal(TokenStoreError, operation, store)
    assert f"belongs to uid {path.parent.stat().st_uid} and has mode 0600" in message
    assert names(path.parent) == []


# Mounted secrets


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A secret as Kubernetes mounts it: a link, to a file in a folder behind another link."""
    folder = tmp_path / "mounted"
    (folder / "..one").mkdir(parents=True)
    put(folder / "..one" / "token.json", b'{"access_token": "one"}', 0o440)
    (folder / "..data").symlink_to("..one")
    (folder / "token.json").symlink_to("..data/token.json")
    return folder / "token.json"


def renew(mounted: Path) -> None:
    """Replace the secret, as the kubelet does."""
    folder = mounted.parent
    (folder / "..two").mkdir()
    put(folder / "..two" / "token.json", b'{"access_token": "two"}', 0o440)
    (folder / "..data_tmp").symlink_to("..two")
    (folder / "..data_tmp").replace(folder / "..data")
    (folder / "..one" / "token.json").unlink()
    (folder / "..one").rmdir()


def test_a_mounted_file_is_read_behind_its_links(mounted):
    store = FileTokenStore(mounted, private=False)
    assert store.load().access_token == "one"
    renew(mounted)
    assert store.load().access_token == "two"
    message = refusal(TokenStoreError, FileTokenStore.load, FileTokenStore(mounted))
    assert "(mode 0440)" in message
    assert f"FileTokenStore({str(mounted)!r}, private=False)" in message  # "..two" is gone tomorrow


def test_a_mounted_file_that_is_renewed_while_it_is_read_is_no_logout(mounted, monkeypatch):
    """The file is gone between the look behind the links and its opening."""
    look = _file_way.Way.look

    def renew_after_the_first_look(way: _file_way.Way) -> _file_way.Place:
        found = look(way)
        monkeypatch.setattr(_file_way.Way, "look", look)
        renew(mounted)
        return found

    monkeypatch.setattr(_file_way.Way, "look", renew_after_the_first_look)
    assert FileTokenStore(mounted, private=False).load().access_token == "two"


def test_a_mounted_file_that_is_taken_away_is_a_logout(mounted):
    (mounted.parent / "..one" / "token.json").unlink()
    assert FileTokenStore(mounted, private=False).load() is None


# A pause


def test_a_pause_is_a_file_of_its_own(store, path):
    store.save(OLD)
    before = identity(path)
    store.save_pause(PAUSE)
    pause = path.with_name("token.json.pause")
    assert pause.read_text() == "1700000000.125 2.5 3\n"
    assert mode_of(pause) == 0o600
    assert identity(path) == before
    store.save_pause(None)
    assert names(path.parent) == ["token.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"soon 2 3",
        b"1",
        b"1 2",
        b"1 2 x",
        b"1 2 -1",
        b"1 -2 1",
        b"1 2 3 4",
        b"nan 2 1",
        b"1 nan 1",
        b"inf 2 1",
        b"1 inf 1",
        b"\xff 2 1",
    ],
)
def test_a_pause_that_is_no_moment_is_none(store, path, content):
    put(path.with_name("token.json.pause"), content)
    assert store.load_pause() is None


def test_a_pause_that_is_a_pipe_is_none_and_not_waited_for(store, path):
    os.mkfifo(path.with_name("token.json.pause"), 0o600)
    assert store.load_pause() is None


def test_a_pause_that_cannot_be_ended_is_no_reason_not_to_be_logged_in(store, path):
    (path.with_name("token.json.pause")).mkdir()
    store.save(OLD)
    assert store.load() == OLD
    assert store.load_pause() is None


def test_what_a_killed_process_has_left_of_a_pause_is_removed(store, path):
    left = path.with_name(".token.json.pause.abcdefgh.tmp")
    put(left, b"")
    os.utime(left, (0, 0))
    store.save_pause(PAUSE)
    assert stat.S_ISREG(path.with_name("token.json.pause").stat().st_mode)
    assert names(path.parent) == ["token.json.pause"]
