"""Every code block of the documentation is run, in order, against real servers on this machine."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from requests_tokenrefresh import FileTokenStore, TokenRefreshAdapter, TokenSource
from requests_tokenrefresh.cli.server import DemoServer
from tests.support.authlib_logins import AuthlibLogins, Client
from tests.support.demo_server import demo_server
from tests.support.documents import RunDocument
from tests.support.example_com import HOSTS, ExampleCom
from tests.support.file_keyring import use_file_keyring
from tests.support.logins import Clock
from tests.support.servers import HTTPServer
from tests.support.threads import run_together
from tests.support.valkey_server import ValkeyServer
from tests.support.wsgi import answers_of

ROOT = Path(__file__).parents[2]
DATABASES = {
    "redis://redis.example.com/0": "valkey_url",
    "postgresql+psycopg://db.example.com/app": "postgres",
}
"""What the documents call them, and the fixtures that have the addresses of real ones."""

HOUR = 3600.0  # seconds

FOR_THE_DEMO_SERVER = [ROOT / "README.md", ROOT / "docs" / "tutorial.md"]
LOGGING_IN = ROOT / "docs" / "logging-in.md"
FOR_OTHER_TESTS = [ROOT / "docs" / "coming-from.md", ROOT / "docs" / "processes.md", LOGGING_IN]
FOR_EXAMPLE_COM = [
    path
    for path in sorted((ROOT / "docs").glob("*.md"))
    if path not in [*FOR_THE_DEMO_SERVER, *FOR_OTHER_TESTS]
    and "```python\n" in path.read_text(encoding="utf-8")
]


def name(path: Path) -> str:
    return path.name


@pytest.fixture(autouse=True)
def a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home, a folder to work in and a keyring, for whatever a document saves."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("BROWSER", f"{sys.executable} -m tests.support.plain_browser %s")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    use_file_keyring(tmp_path, monkeypatch)


@pytest.fixture
def clock() -> Clock:
    """The demo server's."""
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[DemoServer]:
    """The demo's server. Its tokens live for an hour, and not for the ten seconds of the tutorial:
    by the client's clock, which goes on, these may pass while a busy machine runs one block."""
    with demo_server(clock=clock, token_seconds=HOUR) as server:
        yield server


@pytest.fixture
def valkey_url(valkey: ValkeyServer) -> str:
    return valkey.url


def on_the_demo_server(path: Path, server: DemoServer, clock: Clock) -> RunDocument:
    """The document, with the demo server's origin in the place of those that it shows."""

    def ten_seconds_pass() -> None:
        clock.advance(HOUR)
        store = FileTokenStore("token.json")
        token = store.load()
        assert token is not None
        store.save(dataclasses.replace(token, expires_at=time.time()))

    addresses = dict.fromkeys([*HOSTS, "http://127.0.0.1:8401"], server.url)
    addresses["127.0.0.1:8401"] = server.url.removeprefix("http://")
    return RunDocument(path, addresses, {"ten_seconds_pass": ten_seconds_pass})


@pytest.mark.parametrize("path", FOR_THE_DEMO_SERVER, ids=name)
def test_every_block_runs_on_the_demo_server(path: Path, server: DemoServer, clock: Clock) -> None:
    for example in on_the_demo_server(path, server, clock).examples():
        example.evaluate()


def test_the_readme_survives_expiry_under_fifty_threads(server: DemoServer, clock: Clock) -> None:
    """Its login and its first block, changed in nothing but the addresses."""
    readme = on_the_demo_server(ROOT / "README.md", server, clock)
    for example in readme.examples():
        example.evaluate()
        if "session" in readme.names:
            break
    clock.advance(HOUR)
    session = readme.names["session"]
    outcomes = run_together(50, lambda: session.get(f"{server.url}/data"))

    assert [outcome.result().status_code for outcome in outcomes] == [200] * 50
    counts = server.authorization.counts()
    assert (counts["expiries"], counts["refreshes"], counts["reuses"]) == (1, 1, 0)


@pytest.mark.parametrize("path", FOR_EXAMPLE_COM, ids=name)
def test_every_block_runs_on_example_com(
    path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(logging.getLogger("requests_tokenrefresh"), "level", logging.NOTSET)
    monkeypatch.setenv("REPORTS_SECRET", "secret")
    monkeypatch.setenv("REPORTS_PASSWORD", "password")
    text = path.read_text(encoding="utf-8")
    databases = {
        shown: request.getfixturevalue(fixture)
        for shown, fixture in DATABASES.items()
        if shown in text
    }
    with ExampleCom() as server:
        reply = {"access_token": "access-0", "refresh_token": "refresh-0", "expires_in": 3600}
        Path("reply.json").write_text(json.dumps(reply))
        Path("report.csv").write_text("date,total\n")
        addresses = dict.fromkeys(HOSTS, server.url) | databases
        names = {"server": server, "reply": reply, "survives_expiry": _survives_expiry(server)}
        for example in RunDocument(path, addresses, names).examples():
            example.evaluate()


def test_a_person_logs_in_as_described(
    http_server: Callable[..., HTTPServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # else it refuses plain http
    monkeypatch.setenv("BROWSER", f"{sys.executable} -m tests.support.browser %s")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("REPORTS_SECRET", "secret")
    logins = AuthlibLogins((Client("reports"), Client("webapp", "secret")))
    logins.url = http_server(answers_of(logins.app)).url
    document = RunDocument(LOGGING_IN, dict.fromkeys(HOSTS, logins.url), {})
    for example in document.examples():
        example.evaluate()


def _survives_expiry(server: ExampleCom) -> Callable[..., None]:
    """Return what invisible blocks use to see that their recipe works."""

    def survives_expiry(login: TokenSource | requests.Session, path: str = "/reports") -> None:
        session = login
        if isinstance(login, TokenSource):
            session = requests.Session()
            session.mount(server.url, TokenRefreshAdapter(login))
        server.expire()
        dead = server.given
        assert session.get(server.url + path).status_code == 200
        assert server.given == dead + 1

    return survives_expiry
