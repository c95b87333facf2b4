"""Real signals to a process whose main thread leads a refresh, or waits for one."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.support.example_com import ExampleCom
from tests.support.length import long
from tests.support.scripts import Script

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows cannot send these to another process"
)

OTHERS = 3
QUICK = 8.0  # seconds; whoever waits for the answer that the gate holds waits for ten and more

PROGRAM = """
import signal, sys, threading
from tests.support.sessions import (
    open_source, say, say_status, session_with, status, wait_for_waiters, wait_until_refreshing
)

url, path, main_leads, others = sys.argv[1], sys.argv[2], sys.argv[3] == "leads", int(sys.argv[4])
tokens = open_source(url, path, random=lambda: 0.0)  # a failed refresh may be tried again at once
session = session_with(tokens, url)

def get(name):
    say_status(name, session, url)

def follow():
    wait_until_refreshing(tokens)
    for _ in range(others):
        threading.Thread(target=get, args=["other"]).start()
    wait_for_waiters(tokens, others + (not main_leads))
    say("all wait")

def time_out(*_):
    raise TimeoutError("the handler's own")

handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: lambda *_: sys.exit(7),
            signal.SIGALRM: time_out}

def once(number, frame):
    signal.signal(number, signal.SIG_IGN)
    handlers[number](number, frame)

for number in handlers:
    signal.signal(number, once)
threading.Thread(target=follow).start()
if not main_leads:
    threading.Thread(target=get, args=["leader"]).start()
    wait_until_refreshing(tokens)
"""

ENDING = [
    ("SIGINT", "KeyboardInterrupt"),
    *long("process-life", ("SIGTERM", "SystemExit")),
]


@pytest.mark.long("process-life")
@pytest.mark.parametrize(
    ("number", "raised"), [*ENDING, *long("process-life", ("SIGALRM", "TimeoutError"))]
)
def test_a_signal_to_a_waiting_main_thread_ends_its_wait_and_nobody_elses(
    example_com: ExampleCom, tmp_path: Path, number: str, raised: str
) -> None:
    example_com.expire()
    gate = example_com.hold()
    program = PROGRAM + "get('main')"
    with Script(program, example_com.url, tmp_path / "token.json", "waits", OTHERS) as script:
        assert script.hear() == "all wait"
        assert gate.arrived.wait(10)
        assert script.signal(number, QUICK) == f"main {raised}"
        gate.open()
        ended = script.end()
    assert (ended.status, ended.noise) == (0, "")
    assert sorted(ended.said) == ["leader 200", *["other 200"] * OTHERS]
    assert (example_com.token_requests, example_com.given) == (1, 2)


@pytest.mark.parametrize(("number", "raised"), ENDING)
def test_a_signal_to_a_leading_main_thread_lets_another_take_over(
    example_com: ExampleCom, tmp_path: Path, number: str, raised: str
) -> None:
    example_com.expire()
    gate = example_com.hold()
    program = PROGRAM + "get('main')"
    with Script(program, example_com.url, tmp_path / "token.json", "leads", OTHERS) as script:
        assert script.hear() == "all wait"
        assert gate.arrived.wait(10)
        assert script.signal(number, QUICK) == f"main {raised}"
        ended = script.end(QUICK)
        gate.forget()
    assert (ended.status, ended.noise) == (0, "")
    assert ended.said == ["other 200"] * OTHERS
    assert (example_com.token_requests, example_com.given) == (2, 2)


@pytest.mark.long("process-life")
def test_an_ordinary_exception_of_a_handler_in_the_leader_is_a_failure_of_the_refresh(
    example_com: ExampleCom, tmp_path: Path
) -> None:
    """It cannot be told from what a refresher raises: who holds a 401 gets the error, and may try
    again; those who hold none yet go on."""
    example_com.expire()
    gate = example_com.hold()
    program = PROGRAM + "get('main'); get('main')"
    with Script(program, example_com.url, tmp_path / "token.json", "leads", OTHERS) as script:
        assert script.hear() == "all wait"
        assert gate.arrived.wait(10)
        first = script.signal("SIGALRM", QUICK)
        ended = script.end(QUICK)
        gate.forget()
    assert ended.status == 0
    assert "at the earliest: TimeoutError while getting a new token" in ended.noise
    assert sorted([first, *ended.said]) == [
        "main 200",
        "main RefreshFailedError",
        *["other 200"] * OTHERS,
    ]
    assert (example_com.token_requests, example_com.given) == (2, 2)


@pytest.mark.parametrize(
    ("number", "status", "last_line"),
    [("SIGTERM", 7, []), *long("process-life", ("SIGINT", -signal.SIGINT, ["KeyboardInterrupt"]))],
)
def test_a_signal_that_ends_a_program_during_a_refresh_ends_it_at_once(
    example_com: ExampleCom, tmp_path: Path, number: str, status: int, last_line: list[str]
) -> None:
    example_com.expire()
    gate = example_com.hold()
    program = PROGRAM + "status(session, url)"
    with Script(program, example_com.url, tmp_path / "token.json", "leads", 0) as script:
        assert script.hear() == "all wait"
        assert gate.arrived.wait(10)
        assert script.signal(number, QUICK) is None
        ended = script.end()
        gate.forget()
    assert ended.status == status
    assert ended.noise.splitlines()[-1:] == last_line
    assert example_com.token_requests == 1
