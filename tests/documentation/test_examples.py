"""The programs in examples/, as somebody copies them; only the port of the server is another."""

from __future__ import annotations

import ast
import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from requests_tokenrefresh import log_in
from requests_tokenrefresh.cli.server import DemoServer
from tests.support.demo_server import agree, demo_server
from tests.support.forms import press
from tests.support.logins import Clock
from tests.support.valkey_server import ValkeyServer

EXAMPLES = Path(__file__).parents[2] / "examples"
ROOT = EXAMPLES.parent
SHOWN = "127.0.0.1:8401"
TOKEN_SECONDS = 60.0  # of the server's clock, which stands still
GOOD = "the token is good"


def sources(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in (".py", ".ipynb")]


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def server(clock: Clock) -> Iterator[DemoServer]:
    with demo_server(clock=clock, token_seconds=TOKEN_SECONDS) as server:
        yield server


@pytest.fixture
def expire(clock: Clock) -> Callable[[], None]:
    """Let all access tokens die; a refresh token lives on."""
    return lambda: clock.advance(TOKEN_SECONDS)


@pytest.fixture
def folder(tmp_path: Path, server: DemoServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the examples, to work in; and a home with nothing in it."""
    copy = tmp_path / "examples"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path in sources(copy):
        here = path.read_text("utf-8").replace(SHOWN, urlsplit(server.url).netloc)
        path.write_text(here, "utf-8")
    monkeypatch.chdir(copy)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(
        "requests_tokenrefresh.interactive._browser._run",
        lambda _browser, address, timeout=None: [agree(address)] if address else True,
    )
    monkeypatch.setenv("BROWSER", "there is one")
    return copy


@pytest.fixture
def login(folder: Path, server: DemoServer) -> None:
    """Somebody has logged in, as `requests-tokenrefresh login` does."""
    log_in(
        server.url,
        client_id="demo",
        origins=None,
        store=folder / "token.json",
        browser=agree,
        say=lambda _text: None,
    )


def run(name: str, *arguments: str) -> Any:
    """Return what the program ends with."""
    before, sys.argv = sys.argv, [name, *arguments]
    try:
        runpy.run_path(name, run_name="__main__")
    except SystemExit as end:
        return end.code
    finally:
        sys.argv = before
    return 0


def refreshes_in(server: DemoServer) -> int:
    return server.authorization.counts()["refreshes"]


def test_each_says_how_it_is_run() -> None:
    told = [path for path in sources(EXAMPLES) if "serve --port 8401" in path.read_text("utf-8")]
    assert {str(path.relative_to(EXAMPLES)) for path in told} == {
        "celery_tasks.py",
        "django_site/manage.py",
        "fetch.py",
        "fetch_pages.py",
        "flask_app.py",
        "notebook.ipynb",
    }


# -- A script --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("login")
def test_the_script_fetches_all_pages_with_one_refresh(
    server: DemoServer, expire: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = refreshes_in(server)
    expire()
    assert run("fetch_pages.py") == 0
    assert capsys.readouterr().out.splitlines() == [GOOD] * 100
    assert refreshes_in(server) == before + 1


@pytest.mark.usefixtures("folder")
def test_the_script_ends_with_3_if_nobody_has_logged_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fetch_pages.py") == 3
    assert "nobody has logged in" in capsys.readouterr().err


# -- A command that logs in ------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
@pytest.mark.long("servers")
def test_the_command_logs_in_and_gets_and_logs_out(
    expire: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fetch.py", "login") == 0
    assert capsys.readouterr().out == "Logged in.\n"
    expire()
    assert run("fetch.py", "get", "/data") == 0
    assert json.loads(capsys.readouterr().out)["message"] == GOOD
    assert run("fetch.py", "get", "/nothing").startswith("404 Client Error")
    assert run("fetch.py", "logout") == 0
    assert capsys.readouterr().out == "Logged out.\n"
    said = run("fetch.py", "get", "/data")
    assert said.startswith("nobody has logged in")
    assert said.endswith("To log in: fetch.py login")


# -- Flask -----------------------------------------------------------------------------------------


@pytest.fixture
def app(folder: Path) -> Any:
    return runpy.run_path(str(folder / "flask_app.py"))["app"]


def log_in_to(app: Any) -> Any:
    """Return the browser of a visitor who has just come back from the issuer."""
    visitor = app.test_client()
    assert visitor.get("/").headers["Location"] == "/login"
    with requests.Session() as browser:
        page = browser.get(visitor.get("/login").headers["Location"], timeout=20)
        back = press(browser, page, "Log in as alice").headers["Location"]
    assert visitor.get(back).headers["Location"] == "/"
    return visitor


def test_visitors_of_the_flask_application_have_a_login_each_that_outlives_its_token(
    app: Any, expire: Callable[[], None]
) -> None:
    one, another = log_in_to(app), log_in_to(app)
    expire()
    assert [visitor.get("/").get_json()["message"] for visitor in (one, another)] == [GOOD, GOOD]
    assert one.post("/logout").get_data(as_text=True) == "Logged out."
    assert one.get("/").headers["Location"] == "/login"
    assert another.get("/").get_json()["message"] == GOOD


def test_a_visitor_of_the_flask_application_whose_login_is_over_is_asked_to_log_in(
    app: Any, server: DemoServer, expire: Callable[[], None]
) -> None:
    visitor = log_in_to(app)
    [stored] = Path("~/.local/state/flask_app").expanduser().glob("*.json")
    refresh_token = json.loads(stored.read_text())["refresh_token"]
    form = {"token": refresh_token, "client_id": "demo"}
    requests.post(f"{server.url}/oauth/revoke", data=form, timeout=20)
    expire()
    assert visitor.get("/").headers["Location"] == "/login"


def test_a_visitor_of_the_flask_application_who_says_no_is_told_so(app: Any) -> None:
    visitor = app.test_client()
    with requests.Session() as browser:
        page = browser.get(visitor.get("/login").headers["Location"], timeout=20)
        back = press(browser, page, "Refuse").headers["Location"]
    answer = visitor.get(back)
    assert answer.status_code == 403
    assert answer.get_data(as_text=True).startswith("You are not logged in: ")
    assert visitor.get(back).headers["Location"] == "/login"  # that attempt is over


# -- Django ----------------------------------------------------------------------------------------


@pytest.mark.long("servers")
@pytest.mark.usefixtures("login")
def test_the_django_command_acts_with_the_login_in_the_file(
    folder: Path, server: DemoServer, expire: Callable[[], None]
) -> None:
    before = refreshes_in(server)
    expire()
    command = [sys.executable, str(folder / "django_site" / "manage.py"), "fetch_report"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"{GOOD}\n"
    assert refreshes_in(server) == before + 1


# -- Celery ----------------------------------------------------------------------------------------


@pytest.mark.long("servers")
def test_the_module_of_the_celery_workers_logs_in_and_orders_a_report(
    folder: Path, valkey: ValkeyServer, expire: Callable[[], None]
) -> None:
    """What the workers make of it is in test_workers_documented."""
    program = folder / "celery_tasks.py"
    program.write_text(program.read_text().replace("redis://127.0.0.1:6379/0", valkey.url))
    assert run("celery_tasks.py") == 0
    assert valkey.command("LLEN", "celery") == 1
    expire()
    tasks = runpy.run_path(str(program))
    assert tasks["fetch"].apply(["january"]).get()["message"] == GOOD


# -- A notebook ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_the_cells_of_the_notebook_run_one_after_the_other(expire: Callable[[], None]) -> None:
    notebook = json.loads(Path("notebook.ipynb").read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    for cell in cells[:-1]:
        exec(cell, names)
    expire()
    last = ast.parse(cells[-1], mode="eval")  # what a notebook shows
    assert eval(compile(last, "cell", "eval"), names)["message"] == GOOD
