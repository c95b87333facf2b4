"""The turn to refresh as a lock of the database: it falls when its holder's connection does.

All but SQLite keep it for a session, not for a transaction. A lock of a transaction would fall
with the save, or else need a second connection for the save; and where waiters have taken all
connections, the holder would wait for them and they for the holder. Nor would the transaction be
welcome: it is idle for as long as the token endpoint takes, which holds up the clean-up of old
rows and is what ``idle_in_transaction_session_timeout`` ends.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Executable, Table, text
from sqlalchemy.exc import DBAPIError

from .._errors import StoreLockTimeoutError, StoreUnavailableError
from ._file_lock import file_lock
from ._file_way import Place

_log = logging.getLogger("requests_tokenrefresh")

_LONGEST_MS = 2**31 - 1  # of lock_timeout
_LONGEST = 365 * 24 * 3600  # of GET_LOCK, in seconds

# lock_not_available, and query_canceled: by a statement_timeout shorter than ours.
_BUSY = ("55P03", "57014")


@contextmanager
def _advisory_lock(
    connection: Connection, table: Table, name: str, timeout: float
) -> Iterator[None]:
    """PostgreSQL: the server wakes the first waiter when the holder unlocks or disconnects."""
    # Without the schema, which another may have from its search_path.
    key = int.from_bytes(_digest(table, name)[:8], "big", signed=True)
    if timeout == 0:
        enter = text("SELECT pg_try_advisory_lock(:key)").bindparams(key=key)
    else:
        # In one statement, so that the setting goes with it: the session is the pool's.
        enter = text(
            "SELECT pg_advisory_lock(:key) IS NOT NULL"
            " WHERE set_config('lock_timeout', :ms, true) IS NOT NULL"
        ).bindparams(key=key, ms=str(min(math.ceil(timeout * 1000), _LONGEST_MS)))
    _enter(connection, enter, name, timeout)
    try:
        yield
    finally:
        _leave(connection, text("SELECT pg_advisory_unlock(:key)").bindparams(key=key))


@contextmanager
def _named_lock(connection: Connection, table: Table, name: str, timeout: float) -> Iterator[None]:
    """MySQL and MariaDB: as on PostgreSQL, under a name that all databases of the server share."""
    # 62 characters of 64. The digest is made here, where the connection's charset has no say.
    lock = "CONCAT('requests_tokenrefresh.', SHA1(CONCAT(COALESCE(:schema, DATABASE()), :login)))"
    login = {"schema": table.schema, "login": _digest(table, name).hex()}
    # MySQL would round to whole seconds, half a second to none.
    is_exact = getattr(connection.dialect, "is_mariadb", False)
    seconds = min(timeout if is_exact else math.ceil(timeout), _LONGEST)
    enter = text(f"SELECT GET_LOCK({lock}, :seconds)").bindparams(seconds=seconds, **login)
    _enter(connection, enter, name, timeout)
    try:
        yield
    finally:
        _leave(connection, text(f"SELECT RELEASE_LOCK({lock})").bindparams(**login))


@contextmanager
def _lock_beside_the_database(
    connection: Connection, table: Table, name: str, timeout: float
) -> Iterator[None]:
    """SQLite: its own locks would keep out those who only want to read or write."""
    # SQLite knows best what a relative path or a URI has led to.
    [path] = [
        file
        for _, database, file in connection.exec_driver_sql("PRAGMA database_list")
        if database == "main"
    ]
    with file_lock(Place(Path(f"{path}.{_digest(table, name).hex()[:16]}.lock")), timeout):
        yield


LOCKS: dict[str, Callable[[Connection, Table, str, float], AbstractContextManager[None]]] = {
    "postgresql": _advisory_lock,
    "mysql": _named_lock,
    "mariadb": _named_lock,
    "sqlite": _lock_beside_the_database,
}
"""By the name of SQLAlchemy's dialect: holds the lock of a login on the connection.

Waits at most as many seconds as it is told; 0 tries once.
"""


def _digest(table: Table, name: str) -> bytes:
    return hashlib.sha256(f"{table.name}\n{name}".encode()).digest()


def _enter(connection: Connection, statement: Executable, name: str, timeout: float) -> None:
    try:
        entered = connection.execute(statement).scalar()
    except BaseException as error:
        if _sqlstate(error) not in _BUSY:
            connection.invalidate()  # it may hold the lock by now: closed, it does not
            raise
        entered = False
    if entered is None:
        raise StoreUnavailableError("the database gave up waiting for the lock; try again")
    if not entered:
        raise StoreLockTimeoutError(
            f"another thread or process held the lock of the login {name!r} for {timeout:.3g} s; "
            "try again"
        )


def _leave(connection: Connection, statement: Executable) -> None:
    if connection.invalidated:
        return  # the lock went with it
    try:
        freed = connection.execute(statement).scalar()
    except BaseException as error:
        connection.invalidate()
        if isinstance(error, Exception):
            return
        raise
    if not freed:
        _log.warning(
            "the lock of a login was not with the connection that took it: is there a pooler "
            "between, in transaction mode? Give SQLTokenStore the address of the database itself"
        )


def _sqlstate(error: BaseException) -> object:
    """Return PostgreSQL's code for *error*, where psycopg, psycopg2 and pg8000 have it."""
    original = error.orig if isinstance(error, DBAPIError) else None
    code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if code is None and original is not None and original.args:
        [said, *_] = original.args
        return said.get("C") if isinstance(said, dict) else None
    return code
