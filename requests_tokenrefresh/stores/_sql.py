"""`SQLTokenStore`: a login in a database, shared by every process that can reach it.

A turn is kept by a lock of the database, and a write is refused unless the row is the one this
turn has seen: a holder who has lost the lock without noticing cannot undo what another has done.
"""

from __future__ import annotations

import functools
import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from .._errors import StoreDataLostError, StoreLockLostError, StoreUnavailableError
from .._token import Token
from ._content import Cipher, check_cipher, decode, decode_pause, encode, encode_pause
from ._protocol import StoredPause
from ._secret import Secret
from ._sql_names import checked_name, checked_table
from ._timeout import check_timeout

if TYPE_CHECKING:
    import sqlalchemy

    from ._sql_rows import Row

T = TypeVar("T")


class SQLTokenStore:
    """Keeps the token in a table of PostgreSQL, MySQL, MariaDB or SQLite, by way of SQLAlchemy.

    One row is one login: its `name`, what was made of the `token` (NULL after a logout), a
    `version`, which grows with each write, and a `pause` if there is one. The table is created if
    it is missing; a user who may not create tables can use one that exists, see `define_table`.
    Whoever can read the table, or the file of an SQLite database, has the logins, unless there is a
    *cipher*.

    Every statement is a transaction of its own, on a connection from the engine's pool, so what
    you have not committed yourself is neither seen nor committed. A turn keeps one connection until
    its end, and somebody else's `load` meanwhile takes another: let the pool have two to spare. A
    token is as durable as the server's commits are; on SQLite with ``synchronous=NORMAL`` in WAL
    mode, the last ones may not survive a power failure.

    The lock is a session's: ``pg_advisory_lock`` of PostgreSQL, ``GET_LOCK`` of MySQL and MariaDB.
    The server frees it at the moment the holder's connection ends. If a machine has vanished from
    the network, the server notices by keepalives: set PostgreSQL's ``tcp_keepalives_idle`` to some
    seconds, or wait for hours. A pooler in transaction mode, such as PgBouncer's, hands a turn's
    statements to several sessions, and the lock is nobody's: give this store the address behind it.
    On a cluster, the lock is that of one server: all have to use the same. SQLite has a lock file
    beside the database. From a URL, that is created with mode 0600, and refused if others can read
    or replace it, as the file of a `FileTokenStore` is; with an engine of yours, that is your care.

    It can tell beforehand whether a token can be saved (`ChecksSaving`), and keeps a pause
    (`KeepsPause`).

    Safe from any thread and process. In the child of a fork, an engine that a store uses starts
    with an empty pool. Made from a URL, it pickles, as the URL and the cipher, passwords and keys
    included.

    Args:
        engine: A `sqlalchemy.Engine`, or the URL of a database. From a URL, connections are opened
            when they are needed, and not kept.
        name: Of the login, at most 255 characters. Different names are different logins.
        table: The table's name, or ``schema.name``.
        cipher: Encrypts what the row holds, the *name* and the table's with it: what has been
            copied from another row is refused. None to write it as it is.

    Raises:
        ImportError: SQLAlchemy (``requests-tokenrefresh[sql]``) or the database's driver is not
            installed.
        TypeError: *engine* is neither (an `AsyncEngine` is not), *name* or *table* is not a str.
        ValueError: The database is another, or in memory; the engine's pool lends one connection
            to several users at once; *name* or *table* cannot name a login or a table.
    """

    shared = True

    def __init__(
        self,
        engine: sqlalchemy.Engine | sqlalchemy.URL | str,
        *,
        name: str,
        table: str = "token_logins",
        cipher: Cipher | None = None,
    ) -> None:
        with _its_absence_explained():
            import sqlalchemy

            from ._sql_engine import Database
            from ._sql_locks import LOCKS
            from ._sql_rows import LoginRow
        self._name = checked_name(name)
        self._table = self.define_table(sqlalchemy.MetaData(), table)
        self._cipher = check_cipher(cipher)
        self._login = f"{self._table.name}.{name}"  # no dot is in the first: see `checked_table`
        self._database = Database(engine)
        self._lock = LOCKS[self._database.kind]
        self._where = f"the login {name!r} in the table {table} of {self._database.place}"
        self._row = LoginRow(self._table, name, self._where)
        # The highest version met here; the lower one if two threads race, until the next look.
        self._seen = -1
        self._turns: dict[int, _Turn] = {}  # by thread; each touches its own only
        _stores.add(self)

    def __repr__(self) -> str:
        place, table = self._database.place, self._table.fullname
        return f"SQLTokenStore({place!r}, name={self._name!r}, table={table!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._database.url is None:
            raise TypeError(
                "a SQLTokenStore of an engine does not pickle, as engines do not: "
                "pass the database's URL instead of the engine"
            )
        again = functools.partial(
            type(self), name=self._name, table=self._table.fullname, cipher=self._cipher
        )
        return again, (self._database.url,)

    @staticmethod
    def define_table(
        metadata: sqlalchemy.MetaData, table: str = "token_logins"
    ) -> sqlalchemy.Table:
        """Add the table to your own *metadata*, and return it: for `create_all`, or for Alembic,
        which would propose to drop a table that it has not been told of.

        Raises:
            ImportError: SQLAlchemy is not installed.
            TypeError, ValueError: *table* cannot name a table.
        """
        with _its_absence_explained():
            from ._sql_rows import define_table
        schema, name = checked_table(table)
        return define_table(metadata, name, schema)

    def load(self) -> Token | None:
        """Return the stored token, or None if there is none.

        Raises:
            StoreContentError: The row holds something else than a token, or it was encrypted with
                another key. It is left as it was.
            StoreDataLostError: The row is gone, or older than one this object has met before.
            StoreUnavailableError: The database cannot be reached or read; inside a turn also if
                the connection that held the lock is gone.
            TokenStoreError: There is no table, and it may not be created or read.
        """
        seen = self._seen  # before looking: another thread may write meanwhile
        row = self._look()
        if row.version < seen:
            raise StoreDataLostError(
                f"{self._where} is not what it was: it had version {seen}, and "
                f"{'is gone' if row.version < 0 else f'now has {row.version}'}; was the database "
                "restored from a backup, or has a server taken over that was behind?"
            )
        self._seen = max(self._seen, row.version)
        return self._token_of(row)

    def save(self, token: Token) -> None:
        """Replace the stored token, in a transaction that is committed when this returns.

        Raises:
            StoreLockLostError: Inside a turn: since it last looked, somebody else has written.
            StoreContentError: As `load`. The row is left as it was.
            StoreUnavailableError: The database cannot be reached or written. Whether it was
                written is not known.
            TokenStoreError: The token cannot be stored, or the table may not be created or
                written.
        """
        self._write(encode(token, self._where, self._cipher, login=self._login))

    def clear(self) -> None:
        """Forget the stored token: the row stays, without it. Otherwise as `save`."""
        self._write(None)

    def ensure_can_save(self) -> None:
        """Raise what `save` would, if it would. Nothing that is stored changes.

        Raises:
            StoreLockLostError: Inside a turn: since it last looked, somebody else has written.
            StoreContentError: As `load`.
            StoreUnavailableError: The database cannot be reached or written: it is a replica, say.
                Inside a turn also if the connection that held the lock is gone.
            TokenStoreError: The table may not be created or written.
        """
        seen = self._seen_here()
        self._token_of(seen)  # raises if it is not ours to overwrite
        problem = f"cannot write {self._where}"
        if not self._ask(problem, lambda connection: self._row.touch(connection, seen)):
            raise _too_late(problem)

    def load_pause(self) -> StoredPause | None:
        """Return the pause, or None if there is none.

        Raises:
            StoreUnavailableError: The database cannot be reached or read.
            TokenStoreError: There is no table, and it may not be created or read.
        """
        content = self._ask(f"cannot read the pause of {self._where}", self._row.read_pause)
        return None if content is None else decode_pause(content)

    def save_pause(self, pause: StoredPause | None) -> None:
        """Keep *pause*; None ends it.

        Raises:
            StoreLockLostError: Inside a turn: since it last looked, somebody else has written.
            StoreUnavailableError, TokenStoreError: As for `save`.
        """
        problem = f"cannot write the pause of {self._where}"
        content = None if pause is None else encode_pause(pause).decode()
        turn = self._turns.get(get_ident())
        seen = self._seen_here()

        def write(connection: sqlalchemy.Connection) -> Row | None:
            return self._row.write_pause(connection, seen, content)

        if turn is not None:
            turn.row = self._change_in(turn, problem, write)
        else:  # if another row is there by now, whoever wrote it has ended any pause
            self._database.run(problem, lambda: self._database.on_any(write))

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        """Hold the turn to refresh, among all who use the same table and name.

        Waits at most *timeout* seconds to enter (MySQL, not MariaDB, counts a fraction as a whole
        second); 0 tries once. For a free connection of the pool, it waits as long as the pool does.
        Not reentrant. A child forked inside the context does not hold the lock, and leaving the
        context there does not free it.

        Raises:
            StoreLockTimeoutError: Another held the lock all that time.
            StoreUnavailableError: The database cannot be reached, or the pool has no connection.
            TypeError, ValueError: *timeout* is not a number of seconds that can be waited for.
        """
        check_timeout(timeout)
        turn = self._enter(timeout)
        thread = get_ident()
        outer = self._turns.get(thread)  # only if that one has lost its lock
        self._turns[thread] = turn
        try:
            yield
        finally:
            if self._turns.get(thread) is turn:  # not in the child of a fork
                self._turns.pop(thread)
                if outer is not None:
                    self._turns[thread] = outer
                turn.leave()

    def _enter(self, timeout: float) -> _Turn:
        end = time.monotonic() + timeout
        return self._database.run(
            f"cannot lock {self._where}", lambda: self._begin(max(0.0, end - time.monotonic()))
        )

    def _begin(self, timeout: float) -> _Turn:
        with ExitStack() as stack:
            connection = stack.enter_context(self._database.connect())
            stack.enter_context(self._lock(connection, self._table, self._name, timeout))
            return _Turn(connection, stack.pop_all().close)

    def _look(self) -> Row:
        row = self._ask(f"cannot read {self._where}", self._row.read)
        if (turn := self._turns.get(get_ident())) is not None:
            turn.row = row
        return row

    def _seen_here(self) -> Row:
        """Return the row as this turn has seen it, or as it is."""
        turn = self._turns.get(get_ident())
        return (turn and turn.row) or self._look()

    def _ask(self, problem: str, work: Callable[[sqlalchemy.Connection], T]) -> T:
        """Return what *work* returns, which changes nothing; in a turn, only if that has its lock
        still."""
        turn = self._turns.get(get_ident())
        if turn is None:
            return self._database.run(problem, lambda: self._database.on_any(work))
        if turn.connection.invalidated:
            raise StoreUnavailableError(
                f"{problem}: the connection that held the lock is gone, and the lock with it; "
                "try again"
            )
        return self._database.run_once(problem, lambda: work(turn.connection))

    def _write(self, content: Secret | None) -> None:
        turn = self._turns.get(get_ident())
        row = self._replace(content) if turn is None else self._replace_in(turn, content)
        self._seen = max(self._seen, row.version)

    def _replace(self, content: Secret | None) -> Row:
        """Replace the row, whatever it has become."""
        problem = f"cannot write {self._where}"
        written: Row | None = None

        def replace(connection: sqlalchemy.Connection) -> Row:
            nonlocal written
            row = self._row.read(connection)
            while row != written:  # it is, if the connection broke between write and answer
                self._token_of(row)  # raises if it is not ours to overwrite
                written = self._successor(row, content)
                row = self._row.swap(connection, row, written)
            return row

        return self._database.run(problem, lambda: self._database.on_any(replace))

    def _replace_in(self, turn: _Turn, content: Secret | None) -> Row:
        """Replace the row if it is the one that the turn has seen."""
        seen = self._seen_here()
        self._token_of(seen)  # raises if it is not ours to overwrite
        new = self._successor(seen, content)

        def swap(connection: sqlalchemy.Connection) -> Row | None:
            # It is new as well if the connection broke between write and answer.
            return new if self._row.swap(connection, seen, new) == new else None

        turn.row = self._change_in(turn, f"cannot write {self._where}", swap)
        return turn.row

    def _change_in(
        self, turn: _Turn, problem: str, change: Callable[[sqlalchemy.Connection], Row | None]
    ) -> Row:
        """Return the row that *change* returns: None is refused, as somebody else has written."""

        def attempt() -> Row | None:
            if turn.connection.invalidated:
                return self._database.on_any(change)
            return change(turn.connection)

        row = self._database.run(problem, attempt)
        if row is None:
            raise _too_late(problem)
        return row

    def _successor(self, row: Row, content: Secret | None) -> Row:
        # A number that grows, also beyond those that were lost with the end of a database: so that
        # a new login is not taken for an old one by those who have met higher numbers.
        microseconds = time.time_ns() // 1000
        return type(row)(max(row.version + 1, self._seen + 1, microseconds), content)

    def _token_of(self, row: Row) -> Token | None:
        if row.content is None:
            return None
        return decode(row.content, self._where, self._cipher, login=self._login, written_at=0)

    def _start_afresh(self) -> None:
        _left_to_the_parent.append((self._turns, self._database.start_afresh()))
        self._turns = {}


def _too_late(problem: str) -> StoreLockLostError:
    return StoreLockLostError(
        f"{problem}: somebody else has written since this turn looked; nothing was written"
    )


@dataclass
class _Turn:
    """One thread's time with the lock.

    Attributes:
        connection: Holds the lock, and is this thread's alone.
        leave: Frees the lock, and gives the connection back.
        row: The login as this turn has last seen or written it; None: it has not looked yet.
    """

    connection: sqlalchemy.Connection
    leave: Callable[[], None]
    row: Row | None = None


@contextmanager
def _its_absence_explained() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ImportError(
            "SQLTokenStore needs SQLAlchemy 2: pip install 'requests-tokenrefresh[sql]'"
        ) from error


_stores: weakref.WeakSet[SQLTokenStore] = weakref.WeakSet()

# Never used, and kept for that reason: a connection that is deleted may say goodbye to the server
# in the parent's name.
_left_to_the_parent: list[object] = []


def _after_fork_in_child() -> None:
    for store in _stores:
        store._start_afresh()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows has none
    os.register_at_fork(after_in_child=_after_fork_in_child)
