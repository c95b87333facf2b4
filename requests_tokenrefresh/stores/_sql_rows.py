"""One row for each login: its token, and a version that grows with each write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    CursorResult,
    Dialect,
    Executable,
    LargeBinary,
    MetaData,
    String,
    Table,
    cast,
    insert,
    inspect,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import UserDefinedType

from .._errors import StoreContentError, TokenStoreError
from ._content import LARGEST
from ._secret import Secret
from ._sql_names import LONGEST_NAME

_LONGEST_PAUSE = 100  # characters; it takes thirty
# They would not write a row that is the same afterwards, however full the disk: so it is changed
# and changed back, of which nobody sees anything before the commit.
_SKIP_WHAT_STAYS_THE_SAME = ("mariadb", "mysql", "sqlite")
_DIGITS = 18  # of a version, at most: a BIGINT has room for more writes than there will be


@dataclass(frozen=True)
class Row:
    """A login as it is stored, or `ABSENT`.

    Attributes:
        version: Grows with each write.
        content: What `encode` made of the token; None: somebody has logged out.
    """

    version: int
    content: Secret | None


ABSENT = Row(-1, None)
_BEFORE_ALL = Row(0, None)  # a pause is kept, and nobody has logged in yet


def define_table(metadata: MetaData, name: str, schema: str | None) -> Table:
    """Add the table of logins to *metadata*, and return it."""
    return Table(
        name,
        metadata,
        Column(
            "name",
            # By default, MySQL takes É for e.
            String(LONGEST_NAME)
            .with_variant(_exactly_compared(), "mysql")
            .with_variant(_exactly_compared(), "mariadb"),
            primary_key=True,
        ),
        # The length makes MySQL choose a type that holds it.
        Column("token", LargeBinary(LARGEST), nullable=True),
        Column("version", BigInteger, nullable=False),
        Column("pause", String(_LONGEST_PAUSE), nullable=True),
        schema=schema,
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )


class LoginRow:
    """The row of the login *name* in *table*.

    Nothing is left uncommitted. The table is created when it turns out to be missing.

    Args:
        where: What to call it in an error.
    """

    def __init__(self, table: Table, name: str, where: str) -> None:
        self._table = table
        self._name = name
        self._where = where

    def read(self, connection: Connection) -> Row:
        """Return the row as it stands.

        Raises:
            StoreContentError: It has a version that none of ours has.
        """
        columns = self._table.c
        found = self._look(connection, columns.version, columns.token)
        if found is None:
            return ABSENT
        version, content = found
        if version is None or not version.isdigit() or len(version) > _DIGITS:
            raise StoreContentError(
                f"{self._where} does not hold a login (its version is no number); "
                "it was left as it was: rename it and log in again"
            )
        return Row(int(version), content)

    def swap(self, connection: Connection, old: Row, new: Row) -> Row:
        """Replace *old* by *new* in one step, if it is *old* still.

        Returns:
            *new*, or else what has taken the place of *old*.

        Raises:
            TokenStoreError: The database did nothing, as rules and triggers can tell it to.
        """
        if self._swapped(connection, old, new):
            return new
        found = self.read(connection)
        if found == old:
            raise TokenStoreError(
                f"the database did not replace a row of {self._table.fullname}, and gave no error: "
                "is there a trigger, or a policy of row security?"
            )
        return found

    def touch(self, connection: Connection, row: Row) -> bool:
        """Write *row* as it is, in one step; return whether it is *row* still.

        So a database that takes no writes says so, also if the row is absent.
        """
        if connection.dialect.name in _SKIP_WHAT_STAYS_THE_SAME:
            if connection.dialect.name != "sqlite":
                # A user's engine may have told it to commit each statement.
                connection.exec_driver_sql("START TRANSACTION")
            there = self._update(connection, row, {"version": row.version + 1})
            raised = replace(row, version=row.version + 1)
            there = there and self._update(connection, raised, {"version": row.version})
            connection.commit()
        else:
            there = self._updated(connection, row, {"version": row.version})
        return there or self.read(connection).version == row.version

    def read_pause(self, connection: Connection) -> bytes | None:
        """Return the pause as it was written; None if there is none."""
        found = self._look(connection, self._table.c.pause)
        return None if found is None else found[0]

    def write_pause(self, connection: Connection, row: Row, pause: str | None) -> Row | None:
        """Replace the pause, if the row is *row* still. One that is absent begins.

        Returns:
            The row, whose version is the same; None if another has taken its place.
        """
        if row != ABSENT:
            return row if self._changed(connection, row, {"pause": pause}) else None
        if pause is None:
            return row
        first = {"name": self._name, "token": None, "version": _BEFORE_ALL.version, "pause": pause}
        return _BEFORE_ALL if self._inserted(connection, first) else None

    def _look(
        self, connection: Connection, *columns: Column[Any]
    ) -> tuple[Secret | None, ...] | None:
        """Return what *columns* hold, whatever that is; None if there is no row."""
        # SQLite keeps what it is given, be the column of another type, and repeats text that cannot
        # be read in its error.
        raw = connection.dialect.name == "sqlite"
        query = select(
            *(type_coerce(cast(it, LargeBinary) if raw else it, _Content()) for it in columns)
        )
        found = self._execute(connection, query.where(self._table.c.name == self._name)).first()
        connection.commit()
        return None if found is None else tuple(found)

    def _changed(self, connection: Connection, row: Row, values: dict[str, Any]) -> bool:
        # MySQL may count rows that it found, or only those that were not so before.
        changed = self._updated(connection, row, values)
        return changed or self.read(connection).version == row.version

    def _updated(self, connection: Connection, row: Row, values: dict[str, Any]) -> bool:
        changed = self._update(connection, row, values)
        connection.commit()
        return changed

    def _update(self, connection: Connection, row: Row, values: dict[str, Any]) -> bool:
        columns = self._table.c
        change = update(self._table).values(values)
        change = change.where(columns.name == self._name, columns.version == row.version)
        return self._execute(connection, change).rowcount == 1

    def _swapped(self, connection: Connection, old: Row, new: Row) -> bool:
        values = {"token": new.content, "version": new.version, "pause": None}
        if old == ABSENT:
            return self._inserted(connection, {"name": self._name, **values})
        return self._updated(connection, old, values)

    def _inserted(self, connection: Connection, values: dict[str, Any]) -> bool:
        try:
            self._execute(connection, insert(self._table).values(values))
        except IntegrityError:
            if self.read(connection) == ABSENT:
                raise  # it is not for a row that is there by now
            return False
        connection.commit()
        return True

    def _execute(self, connection: Connection, statement: Executable) -> CursorResult[Any]:
        try:
            return connection.execute(statement)
        except (ProgrammingError, OperationalError) as error:
            if error.connection_invalidated or not _may_miss_a_table(error):
                raise
        refusal = self._create(connection)
        try:
            return connection.execute(statement)
        except DBAPIError:
            if self._is_there(connection):
                raise
        raise TokenStoreError(
            f"there is no table {self._table.fullname}, and it cannot be created ({refusal}): "
            "create it with what SQLTokenStore.define_table describes, or as a user who may"
        )

    def _is_there(self, connection: Connection) -> bool:
        return inspect(connection).has_table(self._table.name, schema=self._table.schema)

    def _create(self, connection: Connection) -> str:
        """Create the table, or return what stands against it."""
        try:
            connection.execute(CreateTable(self._table, if_not_exists=True))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            # Also if another is creating it at this moment, IF NOT EXISTS or not.
            return type(error.orig).__name__
        return ""


def _may_miss_a_table(error: ProgrammingError | OperationalError) -> bool:
    # It would be a ProgrammingError, but SQLite's are all the same.
    return isinstance(error, ProgrammingError) or "no such table" in str(error.orig)


class _Content(UserDefinedType[bytes]):
    """What a column holds, as a `Secret`: results show in SQLAlchemy's debug log."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Secret | None]:
        return _secret


def _secret(value: Any) -> Secret | None:
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return Secret(value)
    return Secret(str(value).encode())


def _exactly_compared() -> mysql.VARCHAR:
    return mysql.VARCHAR(LONGEST_NAME, charset="utf8mb4", collation="utf8mb4_bin")
