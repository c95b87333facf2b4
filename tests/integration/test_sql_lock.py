"""The turn of `SQLTokenStore`: whom it keeps out, how it is waited for, and how it is lost."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import pytest
import sqlalchemy as sa

from requests_tokenrefresh import (
    SQLTokenStore,
    StoredPause,
    StoreLockLostError,
    StoreLockTimeoutError,
    StoreUnavailableError,
    Token,
    TokenStoreError,
)
from tests.support.new_processes import new_processes
from tests.support.sql_logins import (
    close_connection,
    commit_and_lose_connection,
    connected,
    end_all_connections,
    kind_of,
    once,
    statements,
    stored,
    waiting_for_a_lock,
)
from tests.support.threads import run_together, start_together, wait_until

OLD = Token("old-access", "old-refresh", issued_at=1_690_000_000.0)
NEW = Token("new-access", "new-refresh", issued_at=1_700_000_000.0)
NEWER = Token("newer-access", "newer-refresh", issued_at=1_700_000_010.0)
PAUSE = StoredPause(1_700_000_000.125, 2.5, 3)


@pytest.fixture(params=["postgres", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    """Each kind of database with a server."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """A user's engine, with a pool."""
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> SQLTokenStore:
    store = SQLTokenStore(engine, name="reports")
    store.save(OLD)
    return store


@pytest.fixture
def sibling(url: str) -> SQLTokenStore:
    return SQLTokenStore(url, name="reports")


def is_busy(store: SQLTokenStore) -> bool:
    try:
        with store.lock(0):
            return False
    except StoreLockTimeoutError:
        return True


# Waiting


def test_a_waiter_is_woken_by_the_server_and_asks_once(store, sibling, engine, url):
    with sibling.lock(0), statements(engine) as sent:

        def adopt() -> Token | None:
            with store.lock(60):
                return store.load()

        waiter = start_together(1, adopt)
        wait_until(lambda: waiting_for_a_lock(url) == 1)
        sibling.save(NEW)
        assert sent == ["lock"]
        assert waiter.running == 1
    with statements(engine) as rest:
        assert waiter.outcomes()[0].result() == NEW
    assert sent.count("lock") + rest.count("lock") == 1


def test_a_waiter_takes_three_statements(store, sibling, engine, url):
    with statements(engine) as sent:

        def adopt() -> Token | None:
            with store.lock(60):
                return store.load()

        with sibling.lock(0):
            waiter = start_together(1, adopt)
            wait_until(lambda: waiting_for_a_lock(url) == 1)
        assert waiter.outcomes()[0].result() == OLD
    assert sent == ["lock", "SELECT", "unlock"]


def test_waiters_enter_one_after_the_other(store, sibling, url):
    with sibling.lock(0):

        def count() -> None:
            with store.lock(60):
                number = store.load().access_token
                store.save(Token(f"{number}+"))

        waiters = start_together(4, count)
        wait_until(lambda: waiting_for_a_lock(url) == 4)
        sibling.save(Token("0"))
    assert [outcome.error for outcome in waiters.outcomes()] == [None] * 4
    assert store.load() == Token("0++++")


def test_a_time_out_of_a_fraction_is_a_whole_second_on_mysql(mariadb, monkeypatch):
    """MySQL would round half a second to none."""
    engine = sa.create_engine(mariadb, poolclass=sa.NullPool)
    store = SQLTokenStore(engine, name="reports")
    store.load()
    seconds = []

    def hear(_connection, _cursor, statement, parameters, *_rest) -> None:
        if kind_of(statement) == "lock":
            seconds.append(parameters["seconds"])

    sa.event.listen(engine, "before_cursor_execute", hear)
    for timeout in (0, 0.25, 1e9):
        with store.lock(timeout):
            pass
    monkeypatch.setattr(engine.dialect, "is_mariadb", False)
    for timeout in (0, 0.25, 1e9):
        with store.lock(timeout):
            pass
    year = 365 * 24 * 3600
    assert seconds == [0, pytest.approx(0.25, abs=0.2), year, 0, 1, year]


def test_a_time_out_may_be_longer_than_postgresql_can_wait(postgres):
    store = SQLTokenStore(postgres, name="reports")
    with store.lock(1e9):
        assert is_busy(store)


def test_a_servers_own_time_out_for_statements_means_that_the_lock_was_busy(postgres):
    store = SQLTokenStore(postgres, name="reports")
    hasty = SQLTokenStore(f"{postgres}?options=-c statement_timeout=50", name="reports")
    with store.lock(0), pytest.raises(StoreLockTimeoutError):
        hasty.lock(60).__enter__()
    with hasty.lock(0):
        assert is_busy(store)


def test_a_wait_that_the_server_ends_is_an_error(store, sibling, url):
    with sibling.lock(0):
        waiter = start_together(1, lambda: store.lock(60).__enter__())
        wait_until(lambda: waiting_for_a_lock(url) == 1)
        end_the_waiting_statement(url)
        [outcome] = waiter.outcomes()
    assert isinstance(outcome.error, StoreLockTimeoutError | StoreUnavailableError)
    assert not is_busy(store)


def end_the_waiting_statement(url: str) -> None:
    with connected(url) as connection:
        if url.startswith("postgresql"):
            connection.exec_driver_sql(
                "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted"
            )
            return
        query = "SELECT id FROM information_schema.processlist WHERE state = 'User lock'"
        number = connection.exec_driver_sql(query).scalar_one()
        connection.exec_driver_sql(f"KILL QUERY {number}")


# Few connections


def test_a_turn_needs_one_connection(url):
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    store = SQLTokenStore(engine, name="reports")
    with store.lock(0):
        store.save(OLD)
        assert store.load() == OLD
        store.clear()
        store.ensure_can_save()
        store.save_pause(PAUSE)
        assert store.load_pause() == PAUSE
        [outcome] = run_together(1, store.load)
        assert isinstance(outcome.error, StoreUnavailableError)
        assert "no connection is free: QueuePool limit of size 1" in str(outcome.error)
    assert store.load() is None
    engine.dispose()


def test_a_turn_whose_connection_broke_gives_its_place_in_the_pool_to_the_save(url):
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    store = SQLTokenStore(engine, name="reports")
    with store.lock(0):
        store.load()
        end_all_connections(url)
        store.save(NEW)
    assert store.load() == NEW
    engine.dispose()


def test_a_turn_keeps_no_transaction_open(store, url):
    """It would hold up the server's clean-up, or be ended for being idle."""
    with store.lock(1):
        seen = [open_transactions(url)]
        store.load()
        seen.append(open_transactions(url))
        store.save(NEW)
        seen.append(open_transactions(url))
    assert seen == [0, 0, 0]


def test_a_turn_sees_what_others_have_written_since_it_looked(store):
    with store.lock(0):
        assert store.load() == OLD
        run_together(1, lambda: store.save(NEWER))[0].result()
        assert store.load() == NEWER


def open_transactions(url: str) -> int:
    with connected(url) as connection:
        if url.startswith("postgresql"):
            query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        else:
            query = "SELECT count(*) FROM information_schema.innodb_trx"
        return connection.exec_driver_sql(query).scalar_one()


# A turn that has lost its lock


def test_a_turn_without_its_lock_does_not_look(store, url):
    with store.lock(0):
        assert store.load() == OLD
        end_all_connections(url)
        assert not is_busy(store)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="cannot read the login 'reports'"):
                store.load()
    assert store.load() == OLD


def test_a_turn_without_its_lock_does_not_say_that_it_can_save(store, url):
    with store.lock(0):
        store.load()
        end_all_connections(url)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="cannot write the login 'reports'"):
                store.ensure_can_save()
            with pytest.raises(StoreUnavailableError, match="cannot read the pause"):
                store.load_pause()
    assert store.load() == OLD


def test_a_turn_without_its_lock_may_save_what_nobody_has_overtaken(store, sibling, url):
    with store.lock(0):
        store.load()
        end_all_connections(url)
        with sibling.lock(0):
            assert sibling.load() == OLD
            store.save(NEW)
            with pytest.raises(StoreLockLostError, match="somebody else has written"):
                sibling.save(NEWER)
    assert store.load() == NEW


def test_a_turn_without_its_lock_cannot_undo_what_another_has_done(store, sibling, url):
    with store.lock(0):
        store.load()
        end_all_connections(url)
        with sibling.lock(0):
            sibling.save(NEWER)
        for late in (lambda: store.save(NEW), store.clear):
            with pytest.raises(StoreLockLostError, match="nothing was written"):
                late()
    assert store.load() == NEWER


def test_a_turn_without_its_lock_that_has_not_looked_does_not_save(store, url):
    with store.lock(0):
        end_all_connections(url)
        with pytest.raises(StoreUnavailableError):
            store.save(NEW)
        with pytest.raises(StoreUnavailableError, match="the lock with it"):
            store.save(NEW)
    assert store.load() == OLD


def test_a_first_save_is_refused_if_another_was_first(url):
    store, sibling = (SQLTokenStore(url, name="reports") for _ in range(2))
    with store.lock(0):
        assert store.load() is None
        run_together(1, lambda: sibling.save(NEWER))[0].result()
        with pytest.raises(StoreLockLostError):
            store.save(NEW)
    assert store.load() == NEWER


def test_a_save_from_outside_refuses_the_turn_unless_it_has_looked_again(store):
    with store.lock(0):
        assert store.load() == OLD
        run_together(1, lambda: store.save(NEWER))[0].result()
        with pytest.raises(StoreLockLostError):
            store.save(NEW)
        assert store.load() == NEWER
        store.save(NEW)
    assert store.load() == NEW


def test_a_turn_inside_a_lost_one_is_a_turn_of_its_own(store, url):
    with store.lock(0):
        store.load()
        end_all_connections(url)
        with store.lock(0):
            assert store.load() == OLD
            store.save(NEWER)
        with pytest.raises(StoreLockLostError):
            store.save(NEW)
    assert store.load() == NEWER


# Interrupted


def raising(error: type[BaseException]) -> Callable[..., None]:
    def act(*_statement: object) -> None:
        raise error

    return act


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_waiter_that_fails_as_it_enters_does_not_keep_the_lock(store, sibling, engine, error):
    """Also not in the pool, if the error is a listener's, and the connection fine."""
    once(engine, "after", "lock", raising(error))
    with pytest.raises((KeyboardInterrupt, TokenStoreError)):
        store.lock(0).__enter__()
    with sibling.lock(5):
        assert sibling.load() == OLD


def test_a_holder_that_is_interrupted_as_it_leaves_does_not_keep_the_lock(store, sibling, engine):
    once(engine, "before", "unlock", raising(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), store.lock(0):
        pass
    with sibling.lock(5):
        assert sibling.load() == OLD


def test_a_holder_that_cannot_unlock_closes_its_connection(store, sibling, engine):
    once(engine, "before", "unlock", raising(ValueError))
    with store.lock(0):
        store.save(NEW)
    with sibling.lock(5):
        assert sibling.load() == NEW


def test_a_holder_whose_connection_breaks_as_it_leaves_is_not_told(store, sibling, engine):
    once(engine, "before", "unlock", close_connection)
    with store.lock(0):
        store.save(NEW)
    with sibling.lock(5):
        assert sibling.load() == NEW


def test_a_lock_that_is_not_where_it_was_taken_is_logged(store, engine, caplog):
    """As behind a pooler that gives each statement another session."""

    def unlock(connection: sa.Connection, cursor) -> None:
        everything = (
            "SELECT pg_advisory_unlock_all()"
            if connection.dialect.name == "postgresql"
            else "SELECT RELEASE_ALL_LOCKS()"
        )
        cursor.execute(everything)

    once(engine, "before", "unlock", unlock)
    with caplog.at_level(logging.WARNING), store.lock(0):
        pass
    [record] = caplog.records
    assert "a pooler between, in transaction mode?" in record.message


# Forks


def spawned(work: Callable[..., None], *arguments: object) -> Iterator[object]:
    """Yield what *work* sends, in a new process, which has no threads."""
    new = new_processes()
    ours, theirs = new.Pipe(duplex=False)
    process = new.Process(target=work, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    with ours:
        while True:
            try:
                assert ours.poll(60)
                yield ours.recv()
            except EOFError:
                break
    process.join()
    assert process.exitcode == 0
    process.close()


def fork_with_a_pool(pipe: Connection, url: str) -> None:
    """Fork within a turn, with another connection idle in the pool."""
    engine = sa.create_engine(url)
    store = SQLTokenStore(engine, name="reports")
    store.save(OLD)
    with engine.connect(), store.lock(0):
        pass
    with store.lock(0):
        store.load()
        before = session_of(engine)
        child = os.fork()
        if child == 0:
            pipe.send(("child", session_of(engine) != before, is_busy(store)))
            store.save(NEW)
        else:
            os.waitpid(child, 0)
    if child == 0:
        pipe.send(("child", is_busy(store), store.load()))
        engine.dispose()
        os._exit(0)
    pipe.send(("parent", session_of(engine) == before, store.load()))
    with store.lock(0):
        pipe.send(("parent", is_busy(store)))
    engine.dispose()


def session_of(engine: sa.Engine) -> int:
    name = "pg_backend_pid" if engine.dialect.name == "postgresql" else "connection_id"
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"SELECT {name}()").scalar_one()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_has_connections_of_its_own_and_leaves_the_parents_alone(url):
    assert list(spawned(fork_with_a_pool, url)) == [
        ("child", True, True),
        ("child", True, NEW),
        ("parent", True, NEW),
        ("parent", True),
    ]


# Broken connections

BREAKS = {"before": close_connection, "after": commit_and_lose_connection}


def test_connections_that_died_in_the_pool_are_not_noticed(store, url):
    for operation in (store.load, lambda: store.save(NEW), store.clear, lambda: is_busy(store)):
        end_all_connections(url)
        operation()
    assert store.load() is None


@pytest.mark.parametrize("when", BREAKS)
def test_a_connection_that_breaks_at_the_write_is_not_noticed(store, engine, url, when):
    """Whether the server had done it by then, or not: it is written once."""
    with statements(engine) as sent:
        once(engine, when, "UPDATE", BREAKS[when])
        store.save(NEW)
    assert store.load() == NEW
    assert sent == ["SELECT", "UPDATE", "SELECT"] + (["UPDATE"] if when == "before" else [])


@pytest.mark.parametrize("when", BREAKS)
def test_a_connection_that_breaks_at_the_write_of_a_turn_is_not_noticed(store, engine, when):
    with store.lock(0):
        store.load()
        with statements(engine) as sent:
            once(engine, when, "UPDATE", BREAKS[when])
            store.save(NEW)
        wait_until(lambda: not is_busy(store))  # the server may not have noticed yet
    assert store.load() == NEW
    assert sent == ["UPDATE", "UPDATE"] + (["SELECT"] if when == "after" else [])


def test_a_turn_goes_on_after_a_save_on_another_connection(store, engine):
    once(engine, "after", "UPDATE", commit_and_lose_connection)
    with store.lock(0):
        store.load()
        store.save(NEW)
        store.save(NEWER)
    assert store.load() == NEWER


def test_a_connection_that_breaks_twice_is_an_error(store, engine, url):
    [row] = stored(url)

    def lose_it_again(connection: sa.Connection, cursor: object) -> None:
        once(engine, "before", "UPDATE", close_connection)
        close_connection(connection, cursor)

    once(engine, "before", "UPDATE", lose_it_again)
    with pytest.raises(StoreUnavailableError, match="cannot write the login 'reports'"):
        store.save(NEW)
    assert stored(url) == [row]


def test_a_connection_that_breaks_at_the_creation_of_the_table_is_not_noticed(url):
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    once(engine, "before", "CREATE", close_connection)
    store = SQLTokenStore(engine, name="reports")
    store.save(NEW)
    assert store.load() == NEW


@pytest.mark.long("stores")
def test_a_server_that_restarts_within_a_turn_takes_the_save(postgres_server):
    server = postgres_server(durable=False)
    store = SQLTokenStore(server.url, name="reports")
    store.save(OLD)
    with store.lock(0):
        store.load()
        server.stop()
        with pytest.raises(StoreUnavailableError, match=r"Connection refused|terminating"):
            store.save(NEW)
        server.start()
        store.save(NEW)
    assert store.load() == NEW
