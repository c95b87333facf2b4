"""The fixtures of the tests with processes: a site to log in to, a store, and workers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from requests_tokenrefresh import FileTokenStore, MemoryTokenStore, TokenStore
from tests.support.example_com import ExampleCom
from tests.support.length import long
from tests.support.login_site import LoginSite
from tests.support.page_site import PageSite
from tests.support.valkey_server import ValkeyServer
from tests.support.worker import StoreAt
from tests.support.workers import Workers


@pytest.fixture
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoginSite]:
    """A site with reuse detection; indirectly parametrized, what else it does about reuse."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # else it refuses plain http
    with closing(LoginSite(reuse=getattr(request, "param", "revoke"))) as site:
        yield site


@pytest.fixture
def example_com(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExampleCom]:
    """A site that child processes reach too, who use the package, and `tests`, as they are here."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with ExampleCom() as site:
        yield site


@pytest.fixture(params=["file", *long("stores", "redis", "sqlite", "postgresql")])
def store_at(request: pytest.FixtureRequest) -> StoreAt:
    """Each of the shared stores in turn; indirectly parametrized, those that are named."""
    return _PLACES[request.param](request)


@pytest.fixture
def store(store_at: StoreAt) -> Iterator[TokenStore]:
    """The store, as the test itself looks into it."""
    with store_at.opened() as store:
        yield store


@pytest.fixture
def workers(store_at: StoreAt, store: TokenStore, site: LoginSite) -> Iterator[Workers]:
    """Starts workers, who find a login in the store."""
    if not hasattr(signal, "SIGSTOP"):
        pytest.skip("processes cannot be stopped, nor started quickly, on this system")
    store.save(site.log_in())
    with closing(Workers(store_at, site)) as workers:
        yield workers


@pytest.fixture
def pages() -> Iterator[PageSite]:
    """A site with a login, with pages that its token opens, and ``/forbidden``."""
    with PageSite() as site:
        yield site


@pytest.fixture(params=["memory", "file"])
def login_store(request: pytest.FixtureRequest, tmp_path: Path) -> TokenStore:
    """An empty store of a program, of each kind in turn."""
    return MemoryTokenStore() if request.param == "memory" else FileTokenStore(tmp_path / "login")


@pytest.fixture
def restarting_valkey(valkey_server: Callable[..., ValkeyServer]) -> ValkeyServer:
    """The server behind the store "restarting redis": it keeps nothing over a restart."""
    return valkey_server()


def _file(request: pytest.FixtureRequest) -> StoreAt:
    return StoreAt("file", str(request.getfixturevalue("tmp_path") / "login.json"))


def _redis(request: pytest.FixtureRequest) -> StoreAt:
    return StoreAt("redis", request.getfixturevalue("valkey").url, {"lease": _LEASE})


def _restarting_redis(request: pytest.FixtureRequest) -> StoreAt:
    return StoreAt("redis", request.getfixturevalue("restarting_valkey").url)


def _sqlite(request: pytest.FixtureRequest) -> StoreAt:
    return StoreAt("sql", request.getfixturevalue("sqlite_url"))


def _postgresql(request: pytest.FixtureRequest) -> StoreAt:
    return StoreAt("sql", request.getfixturevalue("postgres"))


_LEASE = 0.75  # seconds

_PLACES: dict[str, Callable[[pytest.FixtureRequest], StoreAt]] = {
    "file": _file,
    "redis": _redis,
    "restarting redis": _restarting_redis,
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}
