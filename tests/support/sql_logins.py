"""What tests of `SQLTokenStore` see of its statements and rows, and do to its connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from requests_tokenrefresh import SQLTokenStore

LOGINS = SQLTokenStore.define_table(sa.MetaData())


@contextmanager
def statements(engine: sa.Engine) -> Iterator[list[str]]:
    """Give a list of the statements that the engine sends in the context, as `kind_of` them."""
    sent: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(kind_of(statement))

    sa.event.listen(engine, "before_cursor_execute", hear)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", hear)


def kind_of(statement: str) -> str:
    """Return ``lock``, ``unlock``, or the statement's first word."""
    if "advisory_unlock" in statement or "RELEASE_LOCK" in statement:
        return "unlock"
    if "advisory_lock" in statement or "GET_LOCK" in statement:
        return "lock"
    return statement.split()[0]


def once(
    engine: sa.Engine,
    when: Literal["before", "after"],
    kind: str,
    action: Callable[[sa.Connection, Any], object],
) -> None:
    """Call *action* with the connection and its cursor, before or after the server executes the
    first statement of that *kind*, from now on."""
    done: list[str] = []

    def act(connection: sa.Connection, cursor: Any, statement: str, *_rest: Any) -> None:
        if kind_of(statement) == kind and not done:
            done.append(statement)
            action(connection, cursor)

    sa.event.listen(engine, f"{when}_cursor_execute", act)


def close_connection(connection: sa.Connection, _cursor: Any) -> None:
    """What a driver finds when the server has hung up: what comes next fails."""
    connection.connection.dbapi_connection.close()


def lose_connection(connection: sa.Connection, _cursor: Any) -> None:
    """What a driver does when the server hangs up."""
    driver = connection.connection.dbapi_connection
    driver.close()
    if connection.dialect.name == "postgresql":
        raise connection.dialect.dbapi.OperationalError("server closed the connection unexpectedly")
    raise connection.dialect.dbapi.OperationalError(2013, "Lost connection to server")


def commit_and_lose_connection(connection: sa.Connection, cursor: Any) -> None:
    """The same, when the server has done what it was asked to, and nobody has heard of it."""
    connection.connection.dbapi_connection.commit()
    lose_connection(connection, cursor)


def end_all_connections(url: str) -> None:
    """Have the server end the connections of all others."""
    with connected(url) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            return
        others = connection.exec_driver_sql(
            "SELECT id FROM information_schema.processlist"
            " WHERE user = 'root' AND id <> CONNECTION_ID()"
        ).scalars()
        for number in others.all():
            connection.exec_driver_sql(f"KILL {number}")


def waiting_for_a_lock(url: str) -> int:
    """Return how many connections wait for a lock that another has."""
    with connected(url) as connection:
        query = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            if connection.dialect.name == "postgresql"
            else "SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock'"
        )
        return connection.exec_driver_sql(query).scalar_one()


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """A connection of the test's own, which commits by itself."""
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).touch(mode=0o600)
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def stored(url: str) -> list[tuple[Any, ...]]:
    """Return name, token and version of each row of the table."""
    columns = LOGINS.c
    query = sa.select(columns.name, columns.token, columns.version)
    with connected(url) as connection:
        return [tuple(row) for row in connection.execute(query)]


def change_row(url: str, **values: Any) -> None:
    """Set columns of the only row."""
    with connected(url) as connection:
        connection.execute(sa.update(LOGINS).values(values))
