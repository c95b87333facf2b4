"""`demo`, `serve` and `login`'s prompt, as commands in processes of their own."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests

from requests_tokenrefresh import (
    FileTokenStore,
    RefreshTokenGrant,
    Token,
    TokenRefreshAdapter,
    TokenSource,
    events,
)
from requests_tokenrefresh.cli import demo
from requests_tokenrefresh.cli.command import command
from requests_tokenrefresh.cli.server_process import server_process
from requests_tokenrefresh.cli.timeline import SentRequest
from tests.support.cli_runner import cli_runner

PROGRAM = [sys.executable, "-m", "requests_tokenrefresh"]

# A refresh takes longer than any thread rests, so that every thread meets the same expiry: what
# becomes of the hook is no matter of luck.
SMALL = ["--threads=6", "--expiries=2", "--token-seconds=0.5", "--rate=100"]
SMALL += ["--refresh-seconds=0.12"]


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, str]:
    """Run the demo once; return what it printed and drew."""
    picture = tmp_path_factory.mktemp("demo") / "timeline.svg"
    result = subprocess.run(
        [*PROGRAM, "demo", *SMALL, "--json", "--svg", str(picture)],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert result.stderr == b""
    return json.loads(result.stdout), picture.read_text(encoding="utf-8")


@pytest.fixture
def figures(demonstration: tuple[dict, str]) -> dict[str, dict]:
    return {run["approach"]: run for run in demonstration[0]["runs"]}


def test_the_same_job_is_done_three_times(demonstration):
    report, _ = demonstration
    assert [run["approach"] for run in report["runs"]] == list(demo.APPROACHES)
    assert report["settings"]["threads"] == 6
    assert [run["requests"] for run in report["runs"]] == 3 * [6 * 18]


def test_without_handling_everything_after_the_first_expiry_fails(figures):
    run = figures["no handling"]
    assert run["failed"] == run["rejected"] > 0
    assert (run["expiries"], run["refreshes"], run["replays"]) == (1, 0, 0)
    assert run["login_revoked"] is False


def test_the_unlocked_hook_loses_its_login(figures):
    run = figures["unlocked hook"]
    assert run["login_revoked"] is True
    assert run["refreshes"] == run["replays"] == 1
    assert run["refreshes_refused"] >= run["failed"] > 0


def test_the_adapter_loses_no_request_and_refreshes_once_per_expiry(demonstration, figures):
    run = figures["this adapter"]
    assert run["failed"] == 0
    assert run["refreshes"] == run["expiries"] >= 2
    assert run["refreshes_refused"] == 0
    assert run["replays"] == run["rejected"] > 0
    assert run["login_revoked"] is False
    assert demonstration[0]["flawless"] is True


def test_the_picture_shows_the_adapters_timeline(demonstration):
    root = ElementTree.fromstring(demonstration[1])
    kinds = {element.get("class") for element in root.iter()}
    assert {"request", "rejected", "waiting", "refresh", "trial"} <= kinds
    assert "6 threads share one login" in root.findtext("{http://www.w3.org/2000/svg}desc")


def test_people_get_a_table_and_a_timeline():
    result = cli_runner().invoke(
        command, ["demo", "--threads=3", "--expiries=1", "--token-seconds=0.5", "--rate=40"]
    )
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for approach in demo.APPROACHES:
        assert sum(line.startswith(f" {approach} ") for line in lines) == 1
    assert "One expired token, one refresh" in lines
    assert sum(line.startswith("thread ") for line in lines) == 3


@pytest.mark.long("terminals")
def test_an_announced_expiry_is_met_ahead_of_time():
    settings = demo.DemoSettings(
        threads=3, expiries=3, token_seconds=0.4, refresh_seconds=0.01, rate=100, announce=True
    )
    with server_process(settings.server) as server, ThreadPoolExecutor(settings.threads) as pool:
        run = demo.drive("this adapter", server, pool, settings, lambda _sent: None)
    reasons = {event.why for event in run.events if isinstance(event, events.RefreshStarted)}
    assert run.failed == 0
    assert run.refreshes >= 3
    assert reasons & {"early", "preemptive"}


BRIEF = ["--threads=2", "--expiries=1", "--token-seconds=0.05", "--rate=200"]
BRIEF += ["--refresh-seconds=0.001"]


@pytest.fixture
def flawed_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The approach without handling stands in for an adapter with a defect."""
    monkeypatch.setitem(demo.APPROACHES, "this adapter", demo.no_handling)


@pytest.mark.long("terminals")
@pytest.mark.usefixtures("flawed_adapter")
def test_a_flaw_of_the_adapter_is_exit_code_1():
    result = cli_runner().invoke(command, ["demo", *BRIEF])
    assert result.exit_code == 1
    assert "Error: the adapter lost " in result.stderr
    assert "thread 0" not in result.stdout  # nothing was refreshed


@pytest.mark.long("terminals")
@pytest.mark.usefixtures("flawed_adapter")
def test_without_a_refresh_there_is_no_picture(tmp_path):
    picture = tmp_path / "timeline.svg"
    result = cli_runner().invoke(command, ["demo", *BRIEF, "--json", "--svg", str(picture)])
    assert result.exit_code == 1
    assert "no picture" in result.stderr
    assert not picture.exists()


def a_run(failed: int, refreshes: int, refused: int) -> demo.Run:
    sent = [SentRequest("thread_0", 1.0, 2.0, failed=n < failed) for n in range(10)]
    return demo.Run("this adapter", sent, [], 0, refreshes, refused, 5, revoked=False, seconds=1.0)


@pytest.mark.parametrize(
    ("failed", "refreshes", "refused", "flawless"),
    [(0, 5, 0, True), (0, 4, 0, True), (1, 5, 0, False), (0, 6, 0, False), (0, 5, 1, False)],
)
def test_flawless_is_no_request_lost_and_one_refresh_per_expiry(
    failed, refreshes, refused, flawless
):
    assert a_run(failed, refreshes, refused).flawless is flawless


def test_a_picture_that_cannot_be_saved_is_found_out_before_the_demo(tmp_path):
    result = cli_runner().invoke(command, ["demo", "--svg", str(tmp_path / "nowhere" / "x.svg")])
    assert result.exit_code == 2
    assert "there is no folder" in result.stderr


# -- On a terminal -------------------------------------------------------------------------------


def read_until(terminal: int, pattern: str, timeout: float = 20.0) -> str:
    """Return what the terminal shows, as soon as *pattern* is there."""
    shown, end = "", time.monotonic() + timeout
    while not re.search(pattern, shown):
        assert select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0], shown
        shown += os.read(terminal, 1 << 16).decode()
    return shown


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Our end of a terminal, and the program's."""
    ours, theirs = os.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


@contextmanager
def running(*arguments: str, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command; at the end it is gone, whatever the test has come to."""
    with subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, **how) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.long("terminals")
def test_progress_is_live_and_ctrl_c_ends_it_quietly(terminal):
    ours, theirs = terminal
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    job = ["demo", "--json", "--expiries=1000"]  # several minutes, if it were left alone
    with running(*job, stderr=theirs, env=environment) as process:
        shown = read_until(ours, r"[1-9]\d*/\d{5}")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stdout.read() == b""
    shown += read_until(ours, r"\x1b\[\?25h")  # the cursor is back
    assert all(approach in shown for approach in demo.APPROACHES)
    assert "Traceback" not in shown


@pytest.mark.long("terminals")
def test_the_prompt_for_a_login_shows_nothing_of_it(terminal, tmp_path):
    ours, theirs = terminal
    path = tmp_path / "token.json"
    # In a session of its own, or it would ask on the terminal that the tests run on.
    how = {"stdin": theirs, "stderr": subprocess.PIPE, "start_new_session": True}
    with running("login", "--store", str(path), **how) as process:
        read_until(process.stderr.fileno(), r"Token reply \(JSON in one line; not shown\): ")
        os.write(ours, b'{"access_token": "access-secret"}\n')
        assert process.wait(20) == 0
        assert process.stdout.read().decode() == f"Logged in; the login is in {path}.\n"
    assert FileTokenStore(path).load() == Token("access-secret")
    os.write(theirs, b"END")
    assert read_until(ours, "END").strip() == "END"


# -- serve ---------------------------------------------------------------------------------------


def test_serve_is_an_issuer_for_the_commands_that_it_shows(tmp_path, monkeypatch):
    """As they stand there, with a browser that presses the button of its page."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BROWSER", f"{sys.executable} -m tests.support.plain_browser %s")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with running("serve", "--port=0", "--token-seconds=60", stderr=subprocess.PIPE) as process:
        guide = read_until(process.stdout.fileno(), "login --store demo.json\n")
        lines = re.findall(r"^  requests-tokenrefresh (.*)$", guide, re.MULTILINE)
        said = []
        for line in lines:
            result = cli_runner().invoke(command, line.split())
            assert result.exit_code == 0, result.output
            said.append(result.stdout)
        [login, get, logout] = said
        assert login == f"Logged in as alice; the login is in {tmp_path / 'demo.json'}.\n"
        assert "the token is good" in get
        assert logout.endswith("has revoked the login.\n")

        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert (process.stdout.read().strip(), process.stderr.read()) == (b"stopped", b"")


def test_serve_is_a_server_for_a_script_with_a_reply(tmp_path):
    store = tmp_path / "demo.json"
    with running("serve", "--port=0", "--token-seconds=60", stderr=subprocess.PIPE) as process:
        guide = read_until(process.stdout.fileno(), "login --store demo.json\n")
        [line] = re.findall(r"curl -s -X POST (\S+) \| requests-tokenrefresh (.*)", guide)
        reply = requests.post(line[0], timeout=10).content
        words = line[1].replace("demo.json", str(store)).split()
        assert cli_runner().invoke(command, words, input=reply).exit_code == 0

        url = line[0].removesuffix("/login")
        tokens = TokenSource(
            RefreshTokenGrant(f"{url}/oauth/token", client_id="demo"), origins=[url], store=store
        )
        with requests.Session() as session:
            session.mount(url, TokenRefreshAdapter(tokens))
            assert session.get(f"{url}/data", timeout=10).ok


def test_serve_on_a_port_that_is_taken_says_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = cli_runner().invoke(command, ["serve", f"--port={port}"])
    assert result.exit_code == 2
    assert f"port {port} of 127.0.0.1 cannot be had" in result.stderr
