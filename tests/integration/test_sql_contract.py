"""`SQLTokenStore` keeps what every token store promises, on each kind of database."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from requests_tokenrefresh import SQLTokenStore
from tests.support.postgres_server import PostgresServer
from tests.support.quick_contract import QuickContract
from tests.support.sql_logins import LOGINS, connected


class SQLContract(QuickContract):
    lock_is_free_within = 0.5  # at once, but processor time has to be had

    @pytest.fixture
    def store(self, url: str) -> SQLTokenStore:
        return SQLTokenStore(url, name="contract")

    @pytest.fixture
    def corrupt(self, url: str) -> Callable[[bytes], object]:
        def insert(content: bytes) -> None:
            with connected(url) as connection:
                LOGINS.create(connection)
                row = {"name": "contract", "token": content, "version": 1}
                connection.execute(sa.insert(LOGINS).values(row))

        return insert


class TestSQLite(SQLContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    @pytest.fixture
    def outage(self, tmp_path: Path) -> AbstractContextManager[object]:
        return a_folder_for_the_file(tmp_path / "logins.sqlite")


@pytest.mark.long("stores")
class TestPostgreSQL(SQLContract):
    @pytest.fixture
    def url(self, postgres: str) -> str:
        return postgres

    @pytest.fixture
    def outage(self, shared_postgres: PostgresServer) -> AbstractContextManager[object]:
        return stopped(shared_postgres)


@pytest.mark.long("stores")
class TestMariaDB(SQLContract):
    @pytest.fixture
    def url(self, mariadb: str) -> str:
        return mariadb

    @pytest.fixture
    def outage(self, mariadb: str) -> AbstractContextManager[object]:
        return locked_out(mariadb)


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@contextmanager
def locked_out(url: str) -> Iterator[None]:
    """The server runs, and lets nobody in: it takes its time to start again."""
    with connected(url) as connection:
        connection.exec_driver_sql("ALTER USER CURRENT_USER() ACCOUNT LOCK")
        try:
            yield
        finally:
            connection.exec_driver_sql("ALTER USER CURRENT_USER() ACCOUNT UNLOCK")


@contextmanager
def a_folder_for_the_file(path: Path) -> Iterator[None]:
    away = path.rename(path.with_name("away"))
    path.mkdir()
    yield
    path.rmdir()
    away.rename(path)
