"""The programs of docs/processes.md, each in a process of its own, in a home of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.documented_programs import PATIENCE, Gunicorn, get_by_every_thread, log_in
from tests.support.documents import save_scripts
from tests.support.example_com import HOSTS, ExampleCom
from tests.support.length import long

PAGE = Path(__file__).parents[2] / "docs" / "processes.md"

GOOD = {"message": "the token is good"}


@pytest.fixture
def home(example_com: ExampleCom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the scripts, and the login."""
    monkeypatch.setenv("HOME", str(tmp_path))
    save_scripts(PAGE, dict.fromkeys(HOSTS, example_com.url), tmp_path)
    log_in(tmp_path)
    return tmp_path


@pytest.mark.long("process-life")
@pytest.mark.parametrize(
    "name", ["executor", "gevent", *long("process-life", "joblib", "dask", "eventlet")]
)
def test_both_fetches_meet_one_expiry_and_one_refresh_serves_them(
    example_com: ExampleCom, home: Path, name: str
) -> None:
    example_com.expire()
    example_com.hold_rejections(2)
    done = subprocess.run(
        [sys.executable, f"reports_{name}.py"],
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stdout in (f"{[GOOD, GOOD]}\n", f"{(GOOD, GOOD)}\n")
    assert (example_com.rejections, example_com.token_requests) == (2, 1)
    assert sorted(example_com.opened) == ["/reports/february", "/reports/january"]


@pytest.mark.parametrize(
    ("number", "status", "last_words"),
    [
        (signal.SIGINT, 0, ("good-bye\n", "")),
        *long("process-life", (signal.SIGTERM, 1, ("", "told to end\n"))),
    ],
)
def test_the_loop_ends_at_a_signal(
    home: Path, number: signal.Signals, status: int, last_words: tuple[str, str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "reports_loop.py"],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as loop:
        try:
            assert loop.stdout is not None
            assert loop.stdout.readline() == f"{GOOD}\n"
            while loop.poll() is None:  # one just before the sleep is noticed after it
                loop.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    loop.wait(1)
            assert (loop.communicate(), loop.returncode) == (last_words, status)
        finally:
            loop.kill()


def test_all_threads_of_workers_that_gunicorn_forked_off_a_used_session_refresh_once(
    example_com: ExampleCom, home: Path
) -> None:
    server = Gunicorn(PAGE, dict.fromkeys(HOSTS, example_com.url))
    log_in(server.folder)
    with server, ThreadPoolExecutor(4) as clients:
        answers = get_by_every_thread(server, example_com, clients)
        assert [answer.result().text for answer in answers] == [str(GOOD)] * 4
    assert (example_com.token_requests, example_com.given) == (1, 2)
    before, *after = example_com.requests
    assert before.path == "/reports/settings"
    assert before.connection not in [request.connection for request in after]
