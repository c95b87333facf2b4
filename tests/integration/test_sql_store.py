"""What `SQLTokenStore` writes into a database, and what it makes of what it finds there.

What it shares with other stores is in test_sql_contract.
"""

from __future__ import annotations

import itertools
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import nullcontext

import pymysql
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from requests_tokenrefresh import (
    SQLTokenStore,
    StoreContentError,
    StoreDataLostError,
    StoredPause,
    StoreLockLostError,
    StoreUnavailableError,
    Token,
    TokenStoreError,
)
from requests_tokenrefresh.stores._sql_rows import LoginRow
from tests.support.ports import reserve_port
from tests.support.sql_logins import LOGINS, change_row, connected, once, statements, stored
from tests.support.threads import run_together
from tests.support.tracebacks import shown_by_tools

OLD = Token("old-access", "old-refresh", issued_at=1_690_000_000.0)
NEW = Token("new-access", "new-refresh", issued_at=1_700_000_000.0)
NEWER = Token("newer-access", "newer-refresh", issued_at=1_700_000_010.0)
PAUSE = StoredPause(1_700_000_000.125, 2.5, 3)
LATER = StoredPause(1_700_000_060.5, 60.0, 4)

DATABASES = ["sqlite_url", "postgres", "mariadb"]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    """Each kind of database."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """A user's engine, with a pool."""
    with connected(url):  # whose database other tests open by its URL as well
        pass
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> SQLTokenStore:
    return SQLTokenStore(engine, name="reports")


# How much of it


def test_a_turn_costs_four_statements_and_a_look_one(store, engine, url):
    store.save(OLD)
    with statements(engine) as sent, store.lock(0):
        store.load()
        store.save(NEW)
    with statements(engine) as looking:
        store.load()
    lock, unlock = (["PRAGMA"], []) if url.startswith("sqlite") else (["lock"], ["unlock"])
    assert sent == [*lock, "SELECT", "UPDATE", *unlock]
    assert looking == ["SELECT"]


def test_a_turn_that_adopts_a_token_writes_nothing(store, engine, url):
    store.save(OLD)
    with statements(engine) as sent, store.lock(5):
        store.load()
    lock, unlock = (["PRAGMA"], []) if url.startswith("sqlite") else (["lock"], ["unlock"])
    assert sent == [*lock, "SELECT", *unlock]


def test_a_save_outside_a_turn_costs_two(store, engine):
    store.save(OLD)
    with statements(engine) as sent:
        store.save(NEW)
        store.clear()
    assert sent == ["SELECT", "UPDATE"] * 2


def test_a_save_without_a_look_in_its_turn_looks_first(store, engine):
    store.save(OLD)
    with statements(engine) as sent, store.lock(0):
        store.save(NEW)
        store.save(OLD)
    assert [kind for kind in sent if kind.isupper() and kind != "PRAGMA"] == [
        "SELECT",
        "UPDATE",
        "UPDATE",
    ]


def test_to_make_sure_costs_one_to_three_statements_and_a_pause_one(store, engine, url):
    store.save(OLD)
    with store.lock(0):
        store.load()
        with statements(engine) as sent:
            store.ensure_can_save()
            store.load_pause()
            store.save_pause(PAUSE)
            store.save(NEW)
    kind = sa.make_url(url).get_backend_name()
    to_make_sure = {
        "postgresql": ["UPDATE"],
        "sqlite": ["UPDATE", "UPDATE"],
    }.get(kind, ["START", "UPDATE", "UPDATE"])
    assert sent == [*to_make_sure, "SELECT", "UPDATE", "UPDATE"]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        *((database, {}) for database in DATABASES),
        ("sqlite_url", {"isolation_level": "AUTOCOMMIT"}),
        ("postgres", {"isolation_level": "SERIALIZABLE"}),
        ("mariadb", {"isolation_level": "AUTOCOMMIT"}),
    ],
    indirect=["url"],
)
def test_nobody_sees_how_it_is_made_sure_that_a_token_can_be_saved(url, options, monkeypatch):
    """The row is written as it is: one who looks in between has seen no version that is gone."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, **options)
    store, other = SQLTokenStore(engine, name="reports"), SQLTokenStore(engine, name="reports")
    store.save(OLD)
    update = LoginRow._update
    looks = []

    def update_and_let_another_look(*arguments):
        changed = update(*arguments)
        looks.append(other.load())
        return changed

    monkeypatch.setattr(LoginRow, "_update", update_and_let_another_look)
    with store.lock(0):
        assert store.load() == OLD
        store.ensure_can_save()
    assert looks
    assert {*looks, other.load()} == {OLD}


# Rows


def test_a_row_has_the_name_the_token_and_a_version_that_grows(store, url):
    before = time.time_ns() // 1000
    store.save(OLD)
    store.save(NEW)
    [(name, content, version)] = stored(url)
    assert name == "reports"
    assert b'"new-refresh"' in content
    assert version > before
    store.clear()
    [(name, content, later)] = stored(url)
    assert (name, content) == ("reports", None)
    assert later > version


def test_a_version_grows_though_the_clock_does_not(store, url, monkeypatch):
    store.save(OLD)
    [(_, _, version)] = stored(url)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    store.save(NEW)
    assert stored(url)[0][2] == version + 1


def test_names_are_logins_of_their_own(engine):
    """Also those that MySQL would take for the same."""
    names = ["reports", "Reports", "réports", "报告", "a/b", "x" * 255]
    stores = [SQLTokenStore(engine, name=name) for name in names]
    for name, store in zip(names, stores, strict=True):
        store.save(Token(f"of {name[:7]}".encode().hex()))
    for name, store in zip(names, stores, strict=True):
        assert store.load() == Token(f"of {name[:7]}".encode().hex())
    with stores[0].lock(0), stores[1].lock(0), stores[2].lock(0):
        stores[0].clear()
    assert [store.load() is None for store in stores] == [True] + [False] * 5


def test_tables_are_apart(engine):
    first, second = (SQLTokenStore(engine, name="reports", table=name) for name in ("a", "b"))
    first.save(OLD)
    assert second.load() is None
    with first.lock(0), second.lock(0):
        second.save(NEW)
    assert first.load() == OLD


@pytest.mark.parametrize("url", ["postgres", "mariadb"], indirect=True)  # SQLite has one writer
def test_what_the_user_has_not_committed_stays_so(store, engine):
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE orders (number INTEGER)"))
    store.load()
    with engine.connect() as connection:
        connection.execute(sa.text("INSERT INTO orders VALUES (1)"))
        store.save(NEW)
        with store.lock(0):
            store.load()
        connection.rollback()
        assert connection.execute(sa.text("SELECT count(*) FROM orders")).scalar() == 0
    assert store.load() == NEW


def test_the_users_connections_are_as_they_were(store, engine):
    """The pool's connections come back without autocommit, and without our time-outs."""
    with store.lock(1):
        store.save(NEW)
    with engine.connect() as connection:
        connection.execute(sa.delete(LOGINS))
        connection.rollback()
        if engine.dialect.name == "postgresql":
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"
    assert store.load() == NEW


# The table


def test_the_table_is_created_once_by_eight_threads_at_once(url):
    names = itertools.count()

    def save() -> Token | None:
        store = SQLTokenStore(url, name=f"login-{next(names)}")
        store.save(NEW)
        return store.load()

    assert [outcome.result() for outcome in run_together(8, save)] == [NEW] * 8
    assert len(stored(url)) == 8


def test_eight_first_saves_of_one_login_leave_one_row(url):
    def save() -> None:
        SQLTokenStore(url, name="reports").save(NEW)

    assert [outcome.error for outcome in run_together(8, save)] == [None] * 8
    assert len(stored(url)) == 1


def test_a_table_that_was_defined_by_the_user_is_the_same(engine, store):
    metadata = sa.MetaData()
    table = SQLTokenStore.define_table(metadata, "other_logins")
    metadata.create_all(engine)
    SQLTokenStore(engine, name="reports", table="other_logins").save(NEW)
    store.save(NEW)
    columns = [
        [(column["name"], repr(column["type"]), column["nullable"]) for column in columns]
        for columns in map(sa.inspect(engine).get_columns, ("token_logins", "other_logins"))
    ]
    assert columns[0] == columns[1]
    assert metadata.tables == {"other_logins": table}


def test_a_table_may_be_in_a_schema(postgres):
    with connected(postgres) as connection:
        connection.execute(sa.text("CREATE SCHEMA IF NOT EXISTS auth"))
        connection.execute(sa.text("DROP TABLE IF EXISTS auth.logins"))
    store = SQLTokenStore(postgres, name="reports", table="auth.logins")
    with store.lock(0):
        store.save(NEW)
    assert SQLTokenStore(postgres, name="reports", table="auth.logins").load() == NEW


def test_a_user_who_may_not_create_tables_can_use_one_that_exists(postgres):
    SQLTokenStore(postgres, name="reports").save(OLD)
    with connected(postgres) as connection:
        _make_user(connection)
        connection.execute(sa.text("GRANT SELECT, INSERT, UPDATE ON token_logins TO worker"))
    theirs = SQLTokenStore(postgres.replace("postgres@", "worker@"), name="reports")
    with theirs.lock(0):
        assert theirs.load() == OLD
        theirs.save(NEW)
    assert theirs.load() == NEW


def test_a_user_who_may_not_create_the_missing_table_is_told_what_to_do(postgres):
    with connected(postgres) as connection:
        _make_user(connection)
    theirs = SQLTokenStore(postgres.replace("postgres@", "worker@"), name="reports")
    with pytest.raises(TokenStoreError, match=r"InsufficientPrivilege\): create it .*define_table"):
        theirs.load()


def _make_user(connection: sa.Connection) -> None:
    connection.execute(sa.text("DROP ROLE IF EXISTS worker"))
    connection.execute(sa.text("CREATE ROLE worker LOGIN"))
    connection.execute(sa.text("GRANT USAGE ON SCHEMA public TO worker"))


def test_a_user_who_may_not_read_the_table_is_told_so(postgres):
    SQLTokenStore(postgres, name="reports").save(OLD)
    with connected(postgres) as connection:
        _make_user(connection)
    theirs = SQLTokenStore(postgres.replace("postgres@", "worker@"), name="reports")
    with pytest.raises(TokenStoreError, match="permission denied for table token_logins") as raised:
        theirs.load()
    assert not isinstance(raised.value, StoreUnavailableError)


# Whether it can be written


def read_only_sqlite(request: pytest.FixtureRequest) -> tuple[str, str]:
    url: str = request.getfixturevalue("sqlite_url")
    return url, url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"


def read_only_postgres(request: pytest.FixtureRequest) -> tuple[str, str]:
    """As a replica is; its locks work."""
    url: str = request.getfixturevalue("postgres")
    return url, url + "?options=-c%20default_transaction_read_only%3Don"


def read_only_mariadb(request: pytest.FixtureRequest) -> tuple[str, str]:
    url: str = request.getfixturevalue("mariadb")
    with connected(url) as connection:
        connection.exec_driver_sql("CREATE USER IF NOT EXISTS reader@127.0.0.1")
        connection.exec_driver_sql("GRANT SELECT ON logins.* TO reader@127.0.0.1")
    return url, url.replace("root@", "reader@")


# Encrypted, for one login


def test_the_row_of_another_login_is_not_taken_for_this_one(url):
    cipher = Fernet(Fernet.generate_key())
    alice, bob = (SQLTokenStore(url, name=name, cipher=cipher) for name in ("alice", "bob"))
    alice.save(OLD)
    bob.save(NEW)
    with connected(url) as connection:
        query = sa.select(LOGINS.c.token).where(LOGINS.c.name == "alice")
        theirs = connection.execute(query).scalar()
        connection.execute(sa.update(LOGINS).values(token=theirs).where(LOGINS.c.name == "bob"))
    for refused in (bob.load, lambda: bob.save(NEWER), bob.clear):
        with pytest.raises(
            StoreContentError, match="was encrypted under another name, or under none"
        ):
            refused()
    assert alice.load() == OLD


def test_nor_is_one_of_the_same_name_in_another_table(url):
    """Of another issuer, say: its token would go where this one may."""
    cipher = Fernet(Fernet.generate_key())
    here = SQLTokenStore(url, name="alice", cipher=cipher)
    there = SQLTokenStore(url, name="alice", table="other_logins", cipher=cipher)
    here.save(OLD)
    there.save(NEW)
    with connected(url) as connection:
        theirs = connection.exec_driver_sql("SELECT token FROM other_logins").scalar()
        connection.execute(sa.update(LOGINS).values(token=theirs))
        connection.exec_driver_sql("DROP TABLE other_logins")
    with pytest.raises(StoreContentError, match="was encrypted under another name, or under none"):
        here.load()


# What others may have written into the other columns


ALL = [
    SQLTokenStore.load,
    lambda store: store.save(NEW),
    SQLTokenStore.clear,
    SQLTokenStore.ensure_can_save,
    lambda store: store.save_pause(PAUSE),
]


@pytest.mark.parametrize("version", [-1, -(2**63), 10**18, 2**63 - 1])
def test_a_version_that_no_write_gave_is_corrupt(url, version):
    store = SQLTokenStore(url, name="reports")
    store.save(OLD)
    change_row(url, version=version)
    for refused in ALL:
        with pytest.raises(StoreContentError, match="its version is no number"):
            refused(SQLTokenStore(url, name="reports"))
    assert [row[2] for row in stored(url)] == [version]


NOT_UTF_8 = "CAST(X'7333637265740dff' AS TEXT)"  # "s3cret", and then no character


@pytest.mark.parametrize("version", ["'5 apples'", "''", "X'ff'", "5.5", "9e999", NOT_UTF_8])
def test_nor_is_one_that_sqlite_keeps_in_a_column_of_numbers(sqlite_url, version):
    store = SQLTokenStore(sqlite_url, name="reports")
    store.save(OLD)
    with connected(sqlite_url) as connection:
        connection.exec_driver_sql(f"UPDATE token_logins SET version = {version}")
    for refused in ALL:
        with pytest.raises(StoreContentError, match="its version is no number") as raised:
            refused(store)
        assert "s3cret" not in shown_by_tools(raised.value)


def test_text_that_sqlite_cannot_decode_is_no_token_and_not_repeated(sqlite_url):
    store = SQLTokenStore(sqlite_url, name="reports")
    store.save(OLD)
    with connected(sqlite_url) as connection:
        connection.exec_driver_sql(f"UPDATE token_logins SET token = {NOT_UTF_8}")
    for refused in ALL[:-1]:
        with pytest.raises(StoreContentError, match="does not hold a token") as raised:
            refused(store)
        assert "s3cret" not in shown_by_tools(raised.value)


@pytest.mark.parametrize("pause", ["5", "X'ff'", "1e300", "'soon'", NOT_UTF_8])
def test_what_sqlite_keeps_for_a_pause_and_is_none_counts_as_none(sqlite_url, pause):
    store = SQLTokenStore(sqlite_url, name="reports")
    store.save(OLD)
    with connected(sqlite_url) as connection:
        connection.exec_driver_sql(f"UPDATE token_logins SET pause = {pause}")
    assert (store.load(), store.load_pause()) == (OLD, None)
    store.save_pause(PAUSE)
    assert store.load_pause() == PAUSE


@pytest.mark.parametrize("place", [read_only_sqlite, read_only_postgres, read_only_mariadb])
@pytest.mark.parametrize("is_in_turn", [True, False])
def test_what_cannot_be_written_is_found_before_anything_is_asked(request, place, is_in_turn):
    url, read_only = place(request)
    SQLTokenStore(url, name="reports").save(OLD)
    store = SQLTokenStore(read_only, name="reports")
    assert store.load() == OLD
    with store.lock(0) if is_in_turn else nullcontext():
        with pytest.raises(TokenStoreError, match="cannot write the login 'reports'"):
            store.ensure_can_save()
        with pytest.raises(TokenStoreError, match="cannot write the pause of the login 'reports'"):
            store.save_pause(PAUSE)
    assert (store.load(), store.load_pause()) == (OLD, None)


def test_a_server_that_counts_only_what_it_has_changed_is_understood(mariadb):
    """As MySQL does unless the driver asks for another count, which SQLAlchemy sees to."""
    address = sa.make_url(mariadb)

    def connect() -> pymysql.Connection:
        return pymysql.connect(
            host=address.host, port=address.port, user=address.username, database=address.database
        )

    engine = sa.create_engine("mysql+pymysql://", creator=connect)
    store = SQLTokenStore(engine, name="reports")
    store.save(OLD)
    with store.lock(0):
        store.load()
        store.ensure_can_save()
        for _ in range(2):
            store.save_pause(PAUSE)
        store.save(NEW)
    assert store.load() == NEW
    engine.dispose()


def test_a_login_that_is_no_token_is_not_one_to_save_over(store, url):
    store.save(OLD)
    change_row(url, token=b"null")
    with pytest.raises(StoreContentError):
        store.ensure_can_save()


# A pause


def test_a_pause_before_the_first_login_is_kept_and_is_no_login(store, url):
    store.save_pause(None)
    assert stored(url) == []
    with store.lock(0):
        assert store.load() is None
        store.save_pause(PAUSE)
        assert store.load() is None
        store.save_pause(LATER)
    assert SQLTokenStore(url, name="reports").load_pause() == LATER
    assert stored(url) == [("reports", None, 0)]
    store.save(OLD)
    assert (store.load(), store.load_pause()) == (OLD, None)


def test_the_first_pause_gives_way_to_a_login_at_the_same_moment(url, engine):
    store, sibling = (SQLTokenStore(it, name="reports") for it in (engine, url))
    sibling.load()  # creates the table
    once(engine, "before", "INSERT", lambda *_: sibling.save(OLD))
    store.save_pause(PAUSE)
    assert (store.load(), store.load_pause()) == (OLD, None)


def test_a_turn_that_is_over_keeps_no_pause(store):
    store.save(OLD)
    with store.lock(0):
        store.load()
        run_together(1, lambda: store.save(NEWER))[0].result()
        with pytest.raises(StoreLockLostError, match="nothing was written"):
            store.save_pause(PAUSE)
        with pytest.raises(StoreLockLostError):
            store.ensure_can_save()
    assert (store.load(), store.load_pause()) == (NEWER, None)


# Lost


def test_a_row_that_has_gone_is_lost_until_somebody_saves(store, url):
    sibling = SQLTokenStore(url, name="reports")
    store.save(OLD)
    assert sibling.load() == OLD
    with connected(url) as connection:
        connection.execute(sa.delete(LOGINS))
    for seen in (store, sibling, store):
        with pytest.raises(StoreDataLostError, match="is gone"):
            seen.load()
    store.save(NEW)
    assert (store.load(), sibling.load()) == (NEW, NEW)


def test_a_table_that_has_gone_is_lost_until_somebody_saves(store, url):
    store.save(OLD)
    with connected(url) as connection:
        LOGINS.drop(connection)
    with pytest.raises(StoreDataLostError):
        store.load()
    store.save(NEW)
    assert store.load() == NEW


def test_a_row_from_before_is_lost_until_somebody_saves(store, url):
    sibling = SQLTokenStore(url, name="reports")
    store.save(OLD)
    [(_, content, version)] = stored(url)
    store.save(NEW)
    store.save(NEW)
    assert sibling.load() == NEW
    change_row(url, token=content, version=version)  # a backup
    for seen in (store, sibling):
        with pytest.raises(StoreDataLostError, match=f"now has {version};"):
            seen.load()
    with store.lock(0):
        with pytest.raises(StoreDataLostError):
            store.load()
        store.save(NEW)
    assert (store.load(), sibling.load()) == (NEW, NEW)


def test_a_save_of_somebody_who_has_not_met_what_was_lost_ends_it_too(store, url):
    store.save(OLD)
    [(_, content, version)] = stored(url)
    for _ in range(3):
        store.save(NEW)
    change_row(url, token=content, version=version)
    SQLTokenStore(url, name="reports").save(NEW)
    assert store.load() == NEW


def test_a_save_outgrows_the_lost_version_though_the_clock_is_behind(store, url, monkeypatch):
    store.save(OLD)
    version = stored(url)[0][2]
    change_row(url, version=version - 10)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    store.save(NEW)
    assert stored(url)[0][2] == version + 1
    assert store.load() == NEW


def test_a_logout_is_no_loss(store, url):
    store.save(OLD)
    SQLTokenStore(url, name="reports").clear()
    assert store.load() is None


def test_a_look_that_was_overtaken_by_a_save_is_no_loss(store, engine):
    """The look has read the old row, and before it goes on, another thread has saved."""
    store.save(OLD)
    overtaken = []

    def overtake(*_connection: object) -> None:
        if not overtaken:
            overtaken.append(True)
            run_together(1, lambda: store.save(NEW))[0].result()

    sa.event.listen(engine, "checkin", overtake)
    assert store.load() == OLD
    assert store.load() == NEW


# Content of others


def test_what_was_put_there_by_hand_is_read(sqlite_url):
    """SQLite keeps text as text in a column for bytes."""
    SQLTokenStore(sqlite_url, name="reports").clear()
    change_row(sqlite_url, token=sa.text("""'{"access_token": "by-hand", "scope": "é"}'"""))
    assert SQLTokenStore(sqlite_url, name="reports").load().extra == {"scope": "é"}


def test_a_number_is_no_token(sqlite_url):
    store = SQLTokenStore(sqlite_url, name="reports")
    store.clear()
    change_row(sqlite_url, token=sa.text("7"))
    with pytest.raises(StoreContentError, match="the login 'reports' in the table token_logins"):
        store.load()


def test_a_turn_does_not_overwrite_what_is_no_token(store, url):
    store.save(OLD)
    change_row(url, token=b"null")
    with store.lock(0), pytest.raises(StoreContentError):
        store.save(NEW)
    assert stored(url)[0][1] == b"null"


def test_another_table_of_that_name_is_left_alone(store, engine, url):
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE token_logins (name VARCHAR(9), age INTEGER)"))
    for operation in (store.load, store.clear, lambda: store.save(NEW)):
        with pytest.raises(TokenStoreError, match="the login 'reports'"):
            operation()
    with connected(url) as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM token_logins")).scalar() == 0


# Secrets


def test_no_log_shows_a_secret(url, caplog):
    caplog.set_level(logging.DEBUG, "sqlalchemy")
    engine = sa.create_engine(url, echo="debug")
    store = SQLTokenStore(engine, name="reports")
    store.save(OLD)
    with store.lock(1):
        store.save(NEW)
        assert store.load() == NEW
    engine.dispose()
    assert "UPDATE token_logins SET token" in caplog.text
    assert "secret bytes" in caplog.text
    for secret in ("old-access", "old-refresh", "new-access", "new-refresh"):
        assert secret not in caplog.text
        assert secret.encode().hex() not in caplog.text


def test_no_error_shows_a_secret(store, engine, url):
    """PostgreSQL names the whole row that it refuses, MySQL repeats values, SQLAlchemy all."""
    metadata = sa.MetaData()
    SQLTokenStore.define_table(metadata).append_column(sa.Column("age", sa.Integer, nullable=False))
    metadata.create_all(engine)
    with store.lock(0):
        errors = [_error_of(store), _error_of(store)]
    errors.append(_error_of(store))
    for error in errors:
        assert type(error) is TokenStoreError or "1364" in str(error)
        shown = shown_by_tools(error)
        assert "secret bytes" in shown
        assert "new-access" not in shown
        assert "new-refresh" not in shown
        assert "Failing row" not in shown
        assert error.__context__ is None


def _error_of(store: SQLTokenStore) -> BaseException:
    with pytest.raises(TokenStoreError, match="cannot write the login 'reports'") as raised:
        store.save(NEW)
    return raised.value


def test_an_unreachable_database_is_an_error_without_its_password(unused_port):
    store = SQLTokenStore(
        f"postgresql+psycopg://reports:opensesame@127.0.0.1:{unused_port}/app", name="reports"
    )
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1.*failed") as raised:
        store.load()
    assert "opensesame" not in shown_by_tools(raised.value)


@pytest.fixture
def unused_port() -> Iterator[int]:
    port, reservation = reserve_port()
    with reservation:
        yield port


# Databases that say no, or nothing


def test_a_row_that_the_database_does_not_replace_is_an_error(sqlite_url):
    store = SQLTokenStore(sqlite_url, name="reports")
    store.save(OLD)
    with connected(sqlite_url) as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER keep BEFORE UPDATE ON token_logins BEGIN SELECT RAISE(IGNORE); END"
        )
    with pytest.raises(TokenStoreError, match="is there a trigger"):
        store.save(NEW)
    with store.lock(0), pytest.raises(TokenStoreError, match="is there a trigger"):
        store.save(NEW)
    assert store.load() == OLD


def test_a_database_that_another_is_writing_is_unavailable(sqlite_url):
    store = SQLTokenStore(f"{sqlite_url}?timeout=0", name="reports")
    store.save(OLD)
    with connected(sqlite_url) as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="OperationalError: database is locked"):
            store.save(NEW)
        assert store.load() == OLD
        connection.exec_driver_sql("ROLLBACK")


def test_an_engine_whose_creator_fails_is_an_error_of_the_store():
    secret = "opensesame"

    def failing_with(error: Exception) -> SQLTokenStore:
        def connect() -> sqlite3.Connection:
            raise error

        url = "postgresql+psycopg://db.example.com/app"
        return SQLTokenStore(sa.create_engine(url, creator=connect), name="reports")

    with pytest.raises(StoreUnavailableError, match="OSError"):
        failing_with(OSError(secret)).load()
    with pytest.raises(TokenStoreError, match="KeyError") as raised:
        failing_with(KeyError(secret)).load()
    assert "opensesame" not in shown_by_tools(raised.value)
