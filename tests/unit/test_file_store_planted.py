"""What a stranger may have put where a `FileTokenStore` looks: under the name of the login, of its
lock, of its pause and of its draft. All of it is real, and so are the users.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from requests_tokenrefresh import FileTokenStore, StoredPause
from requests_tokenrefresh.stores import _file_trust, _file_way
from tests.support.other_users import NOBODY, STRANGER, as_user, being, only_root, own, told
from tests.support.token_files import NEW, OLD, mode_of, names, put

pytestmark = only_root

PAUSE = StoredPause(1_700_000_000.125, 2.5, 3)
LONG = b"9999999999.0 3600.0 1\n"  # a pause

load = FileTokenStore.load
save: Callable[[FileTokenStore], object] = lambda store: store.save(NEW)  # noqa: E731


def lock(store: FileTokenStore) -> str:
    with store.lock(0):
        return "held"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder like /tmp, with one of nobody's in it, and another login of his in that."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o1777)
        (folder / "own").mkdir(mode=0o700)
        put(folder / "own" / "other.json", b'{"access_token": "another-login"}')
        put(folder / "own" / "pause", LONG)
        for path in (folder / "own", *(folder / "own").iterdir()):
            own(path, NOBODY)
        yield folder


def a_file(path: Path, _target: Path) -> None:
    put(path, b'{"access_token": "a-strangers"}')
    own(path, STRANGER)
    path.chmod(0o666)


def a_second_name(path: Path, target: Path) -> None:
    """As a stranger can give to any file, where the system does not keep him from it."""
    os.link(target, path)


def a_link(path: Path, target: Path) -> None:
    path.symlink_to(target)
    own(path, STRANGER)


def a_link_to_nothing(path: Path, target: Path) -> None:
    path.symlink_to(target.with_name("nothing"))
    own(path, STRANGER)


def a_folder(path: Path, _target: Path) -> None:
    path.mkdir()
    own(path, STRANGER)
    path.chmod(0o777)


def a_pipe(path: Path, _target: Path) -> None:
    os.mkfifo(path)
    own(path, STRANGER)
    path.chmod(0o666)


def a_device(path: Path, _target: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero
    own(path, STRANGER)
    path.chmod(0o666)


PLANTED = [a_file, a_second_name, a_link, a_link_to_nothing, a_folder, a_pipe, a_device]
planted = pytest.mark.parametrize("plant", PLANTED)
private = pytest.mark.parametrize("private", [True, False])


# Under the name of the login


@planted
@private
def test_no_login_is_taken_from_what_a_stranger_has_put_there(shared, plant, private):
    path = shared / "token.json"
    plant(path, shared / "own" / "other.json")
    before = path.lstat()
    answers = told(path, load, save, FileTokenStore.clear, lock, private=private)
    if plant is a_file and not private:  # whose it is does not matter then
        assert "a-strangers" in told(path, lambda store: load(store).access_token, private=False)
        return
    assert all(str(path) in answer for answer in answers)
    assert os.path.samestat(path.lstat(), before)
    assert names(shared / "own") == ["other.json", "pause"]
    assert names(shared) == ["own", "token.json"]


@pytest.mark.parametrize("plant", [a_file, a_second_name, a_link, a_link_to_nothing])
def test_nor_from_what_comes_there_between_looking_and_opening(shared, plant, monkeypatch):
    path = shared / "token.json"
    look = _file_way.Way.look

    def look_and_be_overtaken(way: _file_way.Way) -> _file_way.Place:
        place = look(way)
        monkeypatch.setattr(_file_way.Way, "look", look)
        with being(0):
            plant(path, shared / "own" / "other.json")
        return place

    monkeypatch.setattr(_file_way.Way, "look", look_and_be_overtaken)
    [answer] = told(path, load)
    assert str(path) in answer
    assert "Token(" not in answer


# Under the name of a folder that is not there yet


@pytest.mark.parametrize("plant", [a_folder, a_link])
@pytest.mark.parametrize("call", [save, lock, FileTokenStore.ensure_can_save])
def test_a_folder_that_a_stranger_makes_first_is_not_used(shared, plant, call, monkeypatch):
    path = shared / "reports" / "more" / "token.json"
    mkdir = Path.mkdir

    def be_overtaken(folder: Path, *arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(Path, "mkdir", mkdir)
        with being(0):
            plant(folder, shared / "own")
        mkdir(folder, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", be_overtaken)
    [answer] = told(path, call)
    assert f"{shared / 'reports'}, " in answer
    assert f"belongs to another user (uid {STRANGER})" in answer
    assert names(shared / "own") == ["other.json", "pause"]


# Under the name of the lock


@planted
@private
def test_a_lock_of_a_stranger_is_not_waited_for_nor_opened(shared, plant, private):
    path = shared / "token.json"
    beside = Path(f"{path}.lock")
    victim = shared / "own" / "other.json"
    plant(beside, victim)
    before, content = beside.lstat(), victim.read_bytes()
    [answer] = told(path, lock, private=private)
    if plant is a_file and not private:  # filelock has a word to say, by its version
        assert answer == "held" or "another user has made it, and nothing is in it" in answer
        return
    assert answer.startswith(str(beside))
    assert re.search(rf"rm (-r )?{re.escape(str(beside))}", answer)
    assert ("remove it: sudo rm " in answer) == (before.st_uid == STRANGER)
    after = beside.lstat()
    # Not when it was read last: this test itself reads what a second name leads to.
    assert os.path.samestat(after, before)
    assert (after.st_mtime_ns, victim.read_bytes()) == (before.st_mtime_ns, content)
    assert names(shared / "own") == ["other.json", "pause"]


@pytest.mark.parametrize("plant", [a_file, a_second_name, a_link, a_link_to_nothing, a_pipe])
def test_nor_is_one_that_comes_there_just_before_it_is_made(shared, plant, monkeypatch):
    path = shared / "token.json"
    beside, victim = Path(f"{path}.lock"), shared / "own" / "other.json"
    before = victim.read_bytes()
    make = os.open

    def be_overtaken(name: Any, flags: int, *mode: int) -> int:
        if name == beside:
            monkeypatch.setattr(os, "open", make)
            with being(0):
                plant(beside, victim)
        return make(name, flags, *mode)

    monkeypatch.setattr(os, "open", be_overtaken)
    [answer] = told(path, lock)
    assert answer.startswith(str(beside))
    assert victim.read_bytes() == before
    assert names(shared / "own") == ["other.json", "pause"]


@private
def test_ones_own_lock_in_a_folder_of_all_is_used_again(shared, private):
    path = shared / "token.json"
    assert told(path, lock, lock, save, lock, private=private) == ["held", "held", "None", "held"]
    assert mode_of(Path(f"{path}.lock")) & 0o022 == 0


# Under the name of the pause


@planted
def test_a_pause_of_a_stranger_is_none(shared, plant):
    path = shared / "token.json"
    beside, victim = Path(f"{path}.pause"), shared / "own" / "pause"
    plant(beside, victim)
    assert told(path, FileTokenStore.load_pause, save) == ["None"] * 2
    told(path, lambda store: store.save_pause(PAUSE))
    assert victim.read_bytes() == LONG


# Under the name of the draft


@pytest.mark.parametrize("plant", [a_file, a_second_name, a_link, a_link_to_nothing])
def test_what_takes_the_place_of_a_draft_is_not_written_to(shared, plant):
    """Where others may write, and a turn has kept the room for what it will save."""
    folder = shared / "own"
    folder.chmod(0o777)
    victim = folder / "other.json"
    before = victim.read_bytes()

    def save_after_all(store: FileTokenStore) -> None:
        with store.lock(0):
            store.ensure_can_save()
            [draft] = folder.glob(".token.json.*.tmp")
            draft.unlink()
            with being(0):
                plant(draft, victim)
            store.save(NEW)

    answers = told(folder / "token.json", save_after_all, lambda it: load(it) == NEW, private=False)
    assert answers == ["None", "True"]
    assert victim.read_bytes() == before
    assert names(folder) == ["other.json", "pause", "token.json", "token.json.lock"]


# Who is a stranger


@pytest.mark.parametrize(
    ("group", "name", "listed", "born", "may"),
    [
        (4712, "me", [], [], True),  # Debian, with its umask 002
        (4712, "me", ["stranger"], [], False),
        (4712, "me", [], ["stranger"], False),
        (4712, "staff", ["me"], [], False),
        (4712, None, [], [], False),  # an fsGroup of Kubernetes
        (NOBODY, None, [], [], True),  # a container without names
        (NOBODY, None, [], ["stranger"], False),
        (0, "root", [], ["operator"], True),  # OpenShift, on images of Red Hat
    ],
)
def test_a_group_may_write_that_nobody_else_is_in(
    shared, group, name, listed, born, may, monkeypatch
):
    """Be he listed, or born into it."""
    folder = shared / "own"
    own(folder, NOBODY, group)
    folder.chmod(0o2775)
    me = () if name is None else (as_user_entry("me", NOBODY, group),)
    everybody = [*me, *(as_user_entry(one, STRANGER, group) for one in born)]
    named = {} if name is None else {group: type("Group", (), {"gr_name": name, "gr_mem": listed})}
    monkeypatch.setattr("pwd.getpwuid", {one.pw_uid: one for one in me}.__getitem__)
    monkeypatch.setattr("pwd.getpwall", lambda: everybody)
    monkeypatch.setattr("grp.getgrgid", named.__getitem__)
    _file_trust._is_alone_in.cache_clear()
    [answer] = told(folder / "token.json", load)
    _file_trust._is_alone_in.cache_clear()
    assert answer == "None" if may else "can be written by other users (mode 2775)" in answer


def test_nor_one_that_has_a_name_if_this_user_has_none(shared, monkeypatch):
    """A number in a container, in a group of its image."""
    folder = shared / "own"
    own(folder, NOBODY, 4712)
    folder.chmod(0o2775)
    staff = type("Group", (), {"gr_name": "staff", "gr_mem": []})
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    monkeypatch.setattr("grp.getgrgid", {4712: staff}.__getitem__)
    [answer] = told(folder / "token.json", load)
    assert "can be written by other users (mode 2775)" in answer


def test_where_neither_access_lists_nor_sandboxes_can_be_asked_of_the_mode_decides(
    shared, monkeypatch
):
    """macOS has none of this interface."""
    monkeypatch.delattr(os, "getxattr")
    monkeypatch.setattr(_file_trust, "_OVERFLOW", shared / "nothing")
    folder = shared / "own"
    own(folder, NOBODY, 0)
    folder.chmod(0o770)

    def load_anew(store: FileTokenStore) -> object:
        _file_trust._stand_in.cache_clear()
        return store.load()

    assert told(folder / "token.json", load_anew) == ["None"]


def as_user_entry(name: str, uid: int, gid: int) -> Any:
    return type("User", (), {"pw_name": name, "pw_uid": uid, "pw_gid": gid})


def test_nor_one_that_an_access_list_lets_in(shared):
    """Its bits are then what the list grants at most, and the group is another."""
    folder = shared / "own"
    folder.chmod(0o770)
    own(folder, 4712)
    assert told(folder / "token.json", load, uid=4712) == ["None"]
    entries = [(0x01, 7, -1), (0x02, 7, STRANGER), (0x04, 0, -1), (0x10, 7, -1), (0x20, 0, -1)]
    packed = b"".join(
        tag.to_bytes(2, "little")
        + may.to_bytes(2, "little")
        + (who & 0xFFFFFFFF).to_bytes(4, "little")
        for tag, may, who in entries
    )
    try:
        os.setxattr(folder, "system.posix_acl_access", b"\2\0\0\0" + packed)
    except OSError:
        pytest.skip("the file system has no access lists")
    [answer] = told(folder / "token.json", load, uid=4712)
    assert "can be written by other users (mode 0770)" in answer


def test_in_a_sandbox_whose_root_has_no_number_the_folders_of_root_can_be_entered(shared):
    """Flatpak, bwrap and their like: whatever is not this user's belongs to the same number."""
    put(shared / "own" / "token.json", b'{"access_token": "a"}')
    own(shared / "own" / "token.json", NOBODY)
    (shared / "roots").symlink_to("own")
    below = shared / "own" / "theirs"
    below.mkdir(mode=0o755)
    own(below, STRANGER)

    def enter() -> str:
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        libc = ctypes.CDLL(None)
        libc.prctl(4, 1)  # PR_SET_DUMPABLE: or it may not say who it is in there
        if libc.unshare(0x10000000):  # CLONE_NEWUSER
            return "not permitted"
        Path("/proc/self/uid_map").write_text(f"1000 {NOBODY} 1\n")
        _file_trust._stand_in.cache_clear()
        assert Path("/").stat().st_uid == 65534 != os.geteuid()
        return FileTokenStore(shared / "own" / "token.json").load().access_token

    def follow() -> object:
        return FileTokenStore(shared / "roots" / "token.json").load()

    entered, followed = as_user(0, enter, follow)
    if entered == "not permitted":
        pytest.skip("no user namespace may be made here")
    assert entered == "a"
    assert f"the link {shared / 'roots'}, by which" in followed  # it may be a stranger's


# What looks alike, and is one's own


def test_second_names_of_ones_own_files_are_fine_in_a_folder_of_ones_own(shared):
    """Backups, and those who save room, give them."""
    path = shared / "own" / "other.json"
    os.link(path, shared / "own" / "backup.json")
    os.link(shared / "own" / "pause", shared / "own" / "other.json.pause")
    answers = told(
        path, lambda it: load(it).access_token, lambda it: it.load_pause().failures, save
    )
    assert answers == ["another-login", "1", "None"]


def test_an_own_login_in_a_folder_of_all_works(shared):
    path = shared / "token.json"
    answers = told(path, save, lambda it: load(it) == NEW, lock, FileTokenStore.ensure_can_save)
    assert answers == ["None", "True", "held", "None"]
    assert told(path, lambda store: store.save(OLD), FileTokenStore.clear) == ["None", "None"]
    assert names(shared) == ["own", "token.json.lock"]


def test_root_trusts_no_user_with_its_login(shared):
    """`sudo`, or a container whose folder is mounted from somebody's home."""
    path = shared / "own" / "token.json"
    answers = told(path, load, save, lock, uid=0)
    assert all(
        f"the folder {shared / 'own'}, in which the token file {path} is found, belongs to another "
        f"user (uid {NOBODY}), who can put another file in its place; run as that user" in answer
        for answer in answers
    )
    assert names(shared / "own") == ["other.json", "pause"]


def test_a_token_is_loaded_by_a_chain_of_links_of_root_and_oneself(shared):
    real = shared / "own" / "dotfiles"
    real.mkdir()
    own(real, NOBODY)
    (shared / "own" / ".config").symlink_to(real)
    (real / "token.json").symlink_to("../other.json")
    (shared / "private").symlink_to(shared)
    for link, owner in (
        (shared / "own" / ".config", NOBODY),
        (real / "token.json", NOBODY),
        (shared / "private", 0),
    ):
        own(link, owner)
    path = shared / "private" / "own" / ".config" / "token.json"
    assert told(path, lambda it: load(it).access_token, save) == ["another-login", "None"]
    assert json.loads((shared / "own" / "other.json").read_text()) == NEW.to_mapping()
