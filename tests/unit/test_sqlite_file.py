"""The file of an SQLite database that is opened by its URL: this user's alone, as a token file."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from requests_tokenrefresh import SQLTokenStore, StoreUnavailableError, Token, TokenStoreError
from requests_tokenrefresh.stores import _sqlite_file
from tests.support.other_users import STRANGER, only_root, own
from tests.support.sql_logins import connected

OLD = Token("old-access", "old-refresh", issued_at=1_690_000_000.0)
NEW = Token("new-access", "new-refresh", issued_at=1_700_000_000.0)

FORMS = {
    "a path": "sqlite:///{}",
    "a driver": "sqlite+pysqlite:///{}",
    "a URI": "sqlite:///file:{}?uri=true",
    "a URI with slashes": "sqlite:///file://{}?uri=true&cache=private",
    "a URI that names this machine": "sqlite:///file://localhost{}?uri=true&mode=rwc",
}

CALLS = {
    "load": SQLTokenStore.load,
    "save": lambda store: store.save(NEW),
    "clear": SQLTokenStore.clear,
    "ensure_can_save": SQLTokenStore.ensure_can_save,
    "load_pause": SQLTokenStore.load_pause,
    "save_pause": lambda store: store.save_pause(None),
    "lock": lambda store: store.lock(0).__enter__(),
}

BESIDE = ["-journal", "-wal", "-shm"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logins.sqlite"


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def store_at(path: Path, form: str = "a path") -> SQLTokenStore:
    return SQLTokenStore(FORMS[form].format(path), name="reports")


def modes(folder: Path) -> dict[str, int]:
    return {it.name: it.stat().st_mode & 0o777 for it in folder.iterdir()}


# How it is made


@pytest.mark.usefixtures("no_umask")
@pytest.mark.parametrize("form", FORMS)
def test_it_is_private_from_the_first_byte_whatever_the_umask(path, form):
    store_at(path, form).save(OLD)
    assert modes(path.parent) == {path.name: 0o600}


@pytest.mark.usefixtures("no_umask")
@pytest.mark.parametrize(("how", "beside"), [("delete", BESIDE[:1]), ("wal", BESIDE[1:])])
def test_so_is_what_sqlite_puts_beside_it(path, how, beside):
    store_at(path).save(OLD)
    with connected(f"sqlite:///{path}") as connection:
        connection.exec_driver_sql(f"PRAGMA journal_mode = {how}")
        store_at(path).save(NEW)
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.exec_driver_sql("UPDATE token_logins SET version = version + 1")
        found = modes(path.parent)
        connection.exec_driver_sql("ROLLBACK")
    assert found == dict.fromkeys([path.name, *(path.name + ending for ending in beside)], 0o600)


@pytest.mark.usefixtures("no_umask")
def test_an_own_link_leads_to_it_also_before_it_is_there(path, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    link = tmp_path / "link.sqlite"
    link.symlink_to("elsewhere/logins.sqlite")
    store_at(link).save(OLD)
    assert store_at(tmp_path / "elsewhere" / "logins.sqlite").load() == OLD
    assert modes(tmp_path / "elsewhere") == {path.name: 0o600}


@pytest.mark.usefixtures("no_umask")
def test_a_relative_path_is_made_private_too(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    SQLTokenStore("sqlite:///logins.sqlite", name="reports").save(OLD)
    assert modes(path.parent) == {path.name: 0o600}


@pytest.mark.parametrize("how", ["mode=ro", "mode=rw"])
def test_one_that_has_to_be_there_is_not_made(path, how):
    store = SQLTokenStore(f"sqlite:///file:{path}?{how}&uri=true", name="reports")
    with pytest.raises(StoreUnavailableError, match="unable to open"):
        store.load()
    assert modes(path.parent) == {}


# What is refused


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o602], ids="{:04o}".format)
def test_one_that_others_can_read_or_write_is_refused(path, mode, call):
    store_at(path).save(OLD)
    path.chmod(mode)
    with pytest.raises(TokenStoreError) as raised:
        call(store_at(path))
    assert str(raised.value) == (
        f"the database {path} can be read or written by other users (mode {mode:04o}); make it "
        f"private: chmod 600 {path}; or, if whoever can read it may have the logins, pass an "
        "engine of your own: SQLTokenStore(sqlalchemy.create_engine(...), ...)"
    )
    path.chmod(0o600)
    assert store_at(path).load() == OLD


@pytest.mark.parametrize("form", [*FORMS, "mode=ro", "mode=rw", "immutable=1"])
def test_so_it_is_however_it_is_opened(path, form):
    store_at(path).save(OLD)
    path.chmod(0o644)
    url = FORMS.get(form, f"sqlite:///file:{{}}?{form}&uri=true").format(path)
    with pytest.raises(TokenStoreError, match="can be read or written by other users"):
        SQLTokenStore(url, name="reports").load()


@pytest.mark.parametrize("ending", BESIDE)
def test_so_is_what_lies_beside_it(path, ending):
    """Of a database that was open to others a while ago, and has what they could read still."""
    store_at(path).save(OLD)
    beside = path.with_name(path.name + ending)
    beside.touch(mode=0o644)
    beside.chmod(0o644)
    with pytest.raises(TokenStoreError, match=rf"chmod 600 {re.escape(str(beside))};"):
        store_at(path).load()
    beside.chmod(0o600)
    assert store_at(path).load() == OLD


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (0o777, r"can be written by other users \(mode 0777\).*chmod go-w "),
        (0o1777, r"others can put a journal beside it.*a folder of your own"),
    ],
)
def test_a_folder_that_others_can_write_is_refused(path, mode, told):
    """They could put another database there, or what SQLite takes for its own journal."""
    path.parent.chmod(mode)
    with pytest.raises(TokenStoreError, match=told) as raised:
        store_at(path).save(OLD)
    assert "SQLTokenStore(sqlalchemy.create_engine(...), ...)" in str(raised.value)
    assert modes(path.parent) == {}


@only_root
class TestOfAnother:
    @pytest.fixture
    def shared(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as name:
            Path(name).chmod(0o1777)
            yield Path(name)

    @pytest.mark.parametrize("ending", ["", *BESIDE])
    def test_a_file_is_refused(self, path, ending):
        store_at(path).save(OLD)
        file = path.with_name(path.name + ending)
        file.touch(mode=0o600)
        own(file, STRANGER)
        with pytest.raises(TokenStoreError) as raised:
            store_at(path).load()
        assert f"the database {file} belongs to another user (uid {STRANGER})" in str(raised.value)
        assert f"sudo chown 0 {file}" in str(raised.value)

    @pytest.mark.parametrize("target", ["logins.sqlite", "nothing"])
    def test_a_link_is_not_followed(self, path, shared, target):
        store_at(path).save(OLD)
        link = shared / "link.sqlite"
        link.symlink_to(path.with_name(target))
        own(link, STRANGER)
        with pytest.raises(TokenStoreError) as raised:
            store_at(link).save(NEW)
        assert f"the link {link}, by which the database {link} is found" in str(raised.value)
        assert store_at(path).load() == OLD
        assert modes(path.parent) == {path.name: 0o600}

    def test_a_folder_is_refused(self, path):
        own(path.parent, STRANGER)
        with pytest.raises(TokenStoreError, match=rf"belongs to another user \(uid {STRANGER}\)"):
            store_at(path).save(OLD)


# What is left alone


def test_where_the_mode_does_not_tell_it_is_not_asked(path, monkeypatch):
    """Windows says 0666 of every file that can be written."""
    store_at(path).save(OLD)
    path.chmod(0o666)
    monkeypatch.setattr(_sqlite_file, "MODE_TELLS_WHO_MAY_READ", False)
    assert store_at(path).load() == OLD


def test_with_an_engine_of_ones_own_all_that_is_left_to_its_owner(path):
    path.touch()
    path.chmod(0o644)
    path.parent.chmod(0o1777)
    with ExitStack() as stack:
        engine = sa.create_engine(f"sqlite:///{path}")
        stack.callback(engine.dispose)
        store = SQLTokenStore(engine, name="reports")
        store.save(OLD)
        with store.lock(0):
            assert store.load() == OLD
    assert path.stat().st_mode & 0o777 == 0o644
