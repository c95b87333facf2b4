"""What `SQLTokenStore` takes, refuses, and shows of itself, before it meets a database."""

import pickle
import subprocess
import sys

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlalchemy.pool import AssertionPool, SingletonThreadPool, StaticPool

from requests_tokenrefresh import SQLTokenStore, Token

POSTGRESQL = "postgresql+psycopg://reports:secret@db.example.com:5432/app?sslpassword=secret"


def store_at(url: object = POSTGRESQL, **arguments: object) -> SQLTokenStore:
    return SQLTokenStore(url, **{"name": "reports", **arguments})


# The engine


@pytest.mark.parametrize("url", [POSTGRESQL, sa.make_url(POSTGRESQL)], ids=["str", "URL"])
def test_it_is_made_from_a_url_without_connecting(url):
    assert store_at(url).shared is True


def test_it_is_made_from_an_engine_which_stays_as_it_is():
    engine = sa.create_engine(POSTGRESQL)
    pool = engine.pool
    store_at(engine)
    assert engine.pool is pool
    assert engine.hide_parameters is False
    assert not engine.get_execution_options()


@pytest.mark.parametrize("wrong", [None, 7, b"sqlite:///logins", sa.Engine, object()])
def test_what_is_no_engine_is_refused(wrong):
    with pytest.raises(TypeError, match=r"a sqlalchemy\.Engine .* or a database's URL"):
        store_at(wrong)


def test_an_engine_for_asyncio_is_refused():
    class AsyncEngine:  # the real one needs greenlet
        sync_engine = sa.create_engine("postgresql+psycopg_async://db.example.com/app")

    with pytest.raises(TypeError, match="an AsyncEngine is none"):
        store_at(AsyncEngine())
    with pytest.raises(ValueError, match=r"psycopg_async is for asyncio; name another driver"):
        store_at(AsyncEngine.sync_engine)


@pytest.mark.parametrize("wrong", ["", "logins.sqlite", "secret@host", "postgresql://h:secret/x"])
def test_what_is_no_url_is_refused_and_not_repeated(wrong):
    with pytest.raises(ValueError, match="not a URL that SQLAlchemy understands") as raised:
        store_at(wrong)
    assert "secret" not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize("url", ["nosuchdb://host/app", "mssql+nosuchdriver://host/app"])
def test_a_database_that_nobody_knows_is_refused_by_its_name(url):
    with pytest.raises(ValueError, match=r"MySQL, MariaDB and SQLite, got '(nosuchdb|mssql)"):
        store_at(url)


def test_a_database_without_a_lock_here_is_refused_by_its_name():
    class Dialect(sa.create_engine("sqlite://").dialect.__class__):
        name = "oracle"

    engine = sa.create_engine("sqlite:///logins.sqlite")
    engine.dialect = Dialect()
    with pytest.raises(ValueError, match="got 'oracle'"):
        store_at(engine)


def test_a_missing_driver_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ImportError, match=r"pip install 'psycopg\[binary\]'"):
        store_at("postgresql+psycopg2://db.example.com/app")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:logins?mode=memory&uri=true",
        "sqlite:///file:/logins?vfs=memdb&uri=true",
    ],
)
def test_a_database_in_memory_is_refused(url):
    with pytest.raises(ValueError, match=r"MemoryTokenStore\(\)"):
        store_at(url)


@pytest.mark.parametrize("pool", [StaticPool, SingletonThreadPool, AssertionPool])
def test_a_pool_that_lends_one_connection_twice_is_refused(pool):
    engine = sa.create_engine("postgresql+psycopg://db.example.com/app", poolclass=pool)
    with pytest.raises(ValueError, match=f"{pool.__name__}.*use QueuePool or NullPool"):
        store_at(engine)


# The other arguments


@pytest.mark.parametrize("wrong", [None, 7, b"reports"])
def test_a_name_that_is_no_str_is_refused(wrong):
    with pytest.raises(TypeError, match='name is a str, such as "reports"'):
        store_at(name=wrong)


@pytest.mark.parametrize(
    "wrong", ["", "x" * 256, " reports", "reports ", "a\0b", "\ud800"], ids=ascii
)
def test_a_name_that_not_every_database_can_tell_apart_is_refused(wrong):
    with pytest.raises(ValueError, match="name"):
        store_at(name=wrong)


@pytest.mark.parametrize("wrong", [None, 7, sa.Table("logins", sa.MetaData())])
def test_a_table_that_is_no_str_is_refused(wrong):
    with pytest.raises(TypeError, match='table is a str, such as "token_logins"'):
        store_at(table=wrong)


@pytest.mark.parametrize("wrong", ["", ".", "a.", ".a", "a.b.c", "x" * 64, "a\nb"], ids=ascii)
def test_a_table_that_cannot_be_named_so_is_refused(wrong):
    with pytest.raises(ValueError, match="does not name a table"):
        store_at(table=wrong)
    with pytest.raises(ValueError, match="does not name a table"):
        SQLTokenStore.define_table(sa.MetaData(), wrong)


def test_a_cipher_that_is_none_is_refused():
    with pytest.raises(TypeError, match="cipher is an object with"):
        store_at(cipher=b"key")


# What it shows


def test_it_shows_where_it_is_and_no_password():
    shown = repr(store_at(table="auth.logins"))
    assert shown == (
        "SQLTokenStore('postgresql+psycopg://db.example.com:5432/app', "
        "name='reports', table='auth.logins')"
    )
    assert "secret" not in f"{vars(store_at())}"


def test_it_pickles_with_its_url_and_its_cipher(tmp_path):
    url = f"sqlite:///{tmp_path / 'logins.sqlite'}"
    store = store_at(url, table="logins", cipher=Fernet(Fernet.generate_key()))
    copy = pickle.loads(pickle.dumps(store))
    store.save(Token("access"))
    assert copy.load() == Token("access")
    assert repr(copy) == repr(store)


def test_a_pickle_keeps_the_password():
    copy = pickle.loads(pickle.dumps(store_at()))
    assert copy.__reduce__()[1] == (sa.make_url(POSTGRESQL),)


def test_it_does_not_pickle_with_an_engine():
    with pytest.raises(TypeError, match="pass the database's URL instead"):
        pickle.dumps(store_at(sa.create_engine(POSTGRESQL)))


# SQLAlchemy is optional


def test_it_is_not_imported_before_it_is_needed():
    code = "import sys, requests_tokenrefresh; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "use", ["SQLTokenStore('sqlite:///x', name='x')", "SQLTokenStore.define_table(None)"]
)
def test_without_it_is_said_what_to_install(use):
    code = f"""
import sys
sys.modules["sqlalchemy"] = None
from requests_tokenrefresh import SQLTokenStore
try:
    {use}
except ImportError as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'requests-tokenrefresh[sql]'" in done.stderr
