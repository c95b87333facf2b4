"""The user's engine, or one made from a URL, as the store uses it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import AssertionPool, NullPool, SingletonThreadPool, StaticPool

from .._door import check_text
from .._errors import StoreUnavailableError, TokenStoreError
from ._sql_locks import LOCKS
from ._sqlite_file import make_private

T = TypeVar("T")

# PostgreSQL commits by itself, which spares it BEGIN and COMMIT. SQLite does not, even if a user's
# engine says so: two updates are one step there. MySQL is left as it is: its drivers have to tell
# the server, and SQLAlchemy takes no notice if the connection turns out to be dead by then.
_COMMITS = {
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
    "sqlite": {"isolation_level": "SERIALIZABLE"},
}

_EXAMPLE = "postgresql+psycopg://user:password@host/database"


class Database:
    """Where the logins are.

    What statements carry stays out of logs and errors.

    Attributes:
        url: What it was opened with; None for an engine of the user's.
        place: The same for people, without user and password.
        kind: The name of SQLAlchemy's dialect.

    Raises:
        TypeError, ValueError: *engine* is no such thing, or of no use to a store.
    """

    def __init__(self, engine: Engine | URL | str) -> None:
        self.url: URL | None = None
        if isinstance(engine, Engine):
            self._engine = engine
        else:
            self.url = _parsed(engine)
            self._engine = _opened(self.url)
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "do_connect", _before_sqlite_opens_it)
        _refuse_unfit(self._engine)
        url = self._engine.url
        self.place = URL.create(
            url.drivername, host=url.host, port=url.port, database=url.database
        ).render_as_string()
        self.kind = self._engine.dialect.name
        # A view of the same engine, on the same pool: what is set here is for the store alone.
        self._view = self._engine.execution_options(**_COMMITS.get(self.kind, {}))
        self._view.hide_parameters = True

    def connect(self) -> AbstractContextManager[Connection]:
        """Return a connection, which goes back to the pool with the context."""
        return self._view.connect()

    def on_any(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* returns on any connection."""
        with self.connect() as connection:
            return work(connection)

    def run(self, problem: str, attempt: Callable[[], T]) -> T:
        """Return what *attempt* returns; if its connection is dead, what it returns then.

        One that has waited in the pool may have died there, without anybody noticing. The other
        connections of the pool are as old, and gone by the second attempt.

        Args:
            problem: What an error's message begins with.
            attempt: Fit to be made twice.

        Raises:
            TokenStoreError: What *attempt* raised, as `run_once`.
        """
        return self.run_once(problem, lambda: _with_another_attempt(attempt))

    def run_once(self, problem: str, work: Callable[[], T]) -> T:
        """Return what *work* returns; what it raises comes out as a `TokenStoreError`."""
        try:
            return work()
        except TokenStoreError:
            raise
        except Exception as error:
            failure = _failure(problem, error)
        # Raised out here, because what was caught carries the statement's parameters, the token
        # among them, and would travel along as the context.
        raise failure

    def start_afresh(self) -> object:
        """Leave all connections alone, in the child of a fork: they are the parent's.

        Returns:
            What has to be kept: connections may say goodbye to the server when they are deleted.
        """
        left = self._engine.pool
        self._engine.dispose(close=False)
        return left


def _with_another_attempt(attempt: Callable[[], T]) -> T:
    try:
        return attempt()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return attempt()


def _failure(problem: str, error: Exception) -> TokenStoreError:
    if isinstance(error, PoolTimeoutError):
        return StoreUnavailableError(f"{problem}: no connection is free: {error.args[0]}")
    if not isinstance(error, DBAPIError):  # an event's listener, or the engine's creator
        kind = StoreUnavailableError if isinstance(error, OSError) else TokenStoreError
        return kind(f"{problem}: {type(error).__name__}")
    passes = isinstance(error, OperationalError | InterfaceError | InternalError)
    kind = StoreUnavailableError if passes or error.connection_invalidated else TokenStoreError
    return kind(f"{problem}: {_reason(error)}")


def _reason(error: DBAPIError) -> str:
    """Say what the driver said, unless that may repeat what the statement carried."""
    original = error.orig
    kind = type(original).__name__
    # While connecting, nothing was carried; SQLite names tables and files, and hardly a value.
    if error.statement is None or error.connection_invalidated or _is_sqlite(original):
        words, _, _value = str(original).partition(" with text ")  # that it could not decode
        return f"{kind}: {' '.join(words.split())}"
    # PostgreSQL puts values into the detail only.
    said = getattr(getattr(original, "diag", None), "message_primary", None)
    if said is not None:
        return f"{kind}: {said}"
    code = next(iter(getattr(original, "args", ())), None)
    return f"{kind} {code}" if isinstance(code, int) else kind


def _is_sqlite(error: object) -> bool:
    return isinstance(error, sqlite3.Error)


def _parsed(url: URL | str) -> URL:
    if not isinstance(url, str | URL):
        raise TypeError(
            "engine is a sqlalchemy.Engine (an AsyncEngine is none) or a database's URL, "
            f"such as {_EXAMPLE!r}; got {type(url).__name__}"
        )
    if isinstance(url, str):
        check_text("engine", url)
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        pass
    # Raised out here: what was caught may repeat the URL, and with it the password.
    raise ValueError(f"engine is not a URL that SQLAlchemy understands, such as {_EXAMPLE!r}")


def _opened(url: URL) -> Engine:
    try:
        # A login is looked at once in a while. A pool would keep a connection open all the time
        # in every process of a fleet.
        return create_engine(url, poolclass=NullPool)
    except NoSuchModuleError:
        raise ValueError(_unsupported(url.drivername)) from None
    except ImportError as error:
        raise ImportError(
            f"{url.drivername} needs a driver that is not installed ({error.name}): "
            "pip install 'psycopg[binary]' and write postgresql+psycopg://, or "
            "pip install pymysql and write mysql+pymysql://"
        ) from error


def _before_sqlite_opens_it(
    _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]
) -> None:
    make_private(arguments[0], options)


def _refuse_unfit(engine: Engine) -> None:
    url, dialect = engine.url, engine.dialect
    if dialect.name not in LOCKS:
        raise ValueError(_unsupported(dialect.name))
    if dialect.is_async:
        raise ValueError(
            f"{url.drivername} is for asyncio; name another driver, such as postgresql+psycopg"
        )
    if dialect.name == "sqlite" and _is_in_memory(url):
        raise ValueError(
            "an SQLite database in memory is not shared with anybody: use MemoryTokenStore(), or "
            "pass the path of a file, such as sqlite:////var/lib/reports/logins.sqlite"
        )
    if isinstance(engine.pool, StaticPool | SingletonThreadPool | AssertionPool):
        raise ValueError(
            f"the engine's {type(engine.pool).__name__} lends one connection to several users at "
            "once, and the lock goes by connections; use QueuePool or NullPool"
        )


def _unsupported(name: str) -> str:
    return f"SQLTokenStore is for PostgreSQL, MySQL, MariaDB and SQLite, got {name!r}"


def _is_in_memory(url: URL) -> bool:
    name, how = url.database, url.query
    is_said = how.get("mode") == "memory" or how.get("vfs") == "memdb"
    return not name or ":memory:" in name or is_said
