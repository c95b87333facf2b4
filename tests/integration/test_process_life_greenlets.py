"""Greenlets in the place of threads: the real gevent and eventlet, which patch a whole process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.example_com import ExampleCom
from tests.support.length import long
from tests.support.scripts import Script

CALLERS = 10

GEVENT = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent
from gevent import GreenletExit, Timeout, sleep, spawn

def interrupt(greenlet, error):
    greenlet.kill(error, block=False)

def join(greenlets):
    gevent.joinall(greenlets)
"""

EVENTLET = """
import warnings
warnings.simplefilter("ignore")  # eventlet says that it is deprecated
import eventlet
eventlet.monkey_patch()
from eventlet import Timeout, sleep, spawn
from greenlet import GreenletExit

def interrupt(greenlet, error):
    eventlet.spawn_after(0, greenlet.throw, error)

def join(greenlets):
    for greenlet in greenlets:
        greenlet.wait()
"""

GREEN = pytest.mark.parametrize(
    "patched", [GEVENT, *long("process-life", EVENTLET)], ids=["gevent", "eventlet"]
)

SESSION = """
import os, sys
from tests.support.sessions import (
    open_source, say, say_status, session_with, wait_for_waiters, wait_until_refreshing
)

url, path, callers = sys.argv[1], sys.argv[2], int(sys.argv[3])
tokens = open_source(url, path)
session = session_with(tokens, url)

def get(name):
    say_status(name, session, url)

def told():
    while not os.path.exists(path + ".told"):  # input() would stop all greenlets
        sleep(0.001)
"""

ONE_EXPIRY = """
def beat():
    wait_until_refreshing(tokens)
    wait_for_waiters(tokens, callers - 1)
    for _ in range(20):
        sleep(0.001)
    say("the others go on")

join([spawn(beat), *(spawn(get, "caller") for _ in range(callers))])
"""

INTERRUPTED = """
leader = spawn(get, "leader")
wait_until_refreshing(tokens)
waiters = [spawn(get, "waiter") for _ in range(callers - 1)]
wait_for_waiters(tokens, callers - 1)
say("all wait")
told()
hit = leader if sys.argv[4] == "leader" else waiters[0]
interrupt(hit, {"Timeout": Timeout(60), "KeyboardInterrupt": KeyboardInterrupt(),
                "GreenletExit": GreenletExit()}[sys.argv[5]])
join([leader, *waiters])
"""


@GREEN
def test_ten_greenlets_meet_one_expiry_and_refresh_once_while_others_go_on(
    example_com: ExampleCom, tmp_path: Path, patched: str
) -> None:
    example_com.expire()
    dead = example_com.given
    example_com.hold_rejections(CALLERS)
    gate = example_com.hold()
    program = patched + SESSION + ONE_EXPIRY
    with Script(program, example_com.url, tmp_path / "token.json", CALLERS) as script:
        assert gate.arrived.wait(10)
        assert script.hear() == "the others go on"
        gate.open()
        ended = script.end()
    assert (ended.status, ended.noise) == (0, "")
    assert ended.said == ["caller 200"] * CALLERS
    assert (example_com.token_requests, example_com.given) == (1, dead + 1)
    assert example_com.rejections == CALLERS


@pytest.mark.long("process-life")
@pytest.mark.parametrize(
    ("patched", "error"),
    [
        (GEVENT, "Timeout"),
        *long(
            "process-life",
            (GEVENT, "GreenletExit"),
            (GEVENT, "KeyboardInterrupt"),
            (EVENTLET, "Timeout"),
        ),
    ],
    ids=["gevent.Timeout", "gevent.GreenletExit", "gevent, KeyboardInterrupt", "eventlet.Timeout"],
)
def test_when_the_leading_greenlet_is_interrupted_another_takes_over(
    example_com: ExampleCom, tmp_path: Path, patched: str, error: str
) -> None:
    example_com.expire()
    dead = example_com.given
    gate = example_com.hold()
    program = patched + SESSION + INTERRUPTED
    arguments = example_com.url, tmp_path / "token.json", 4, "leader", error
    with Script(program, *arguments) as script:
        assert script.hear() == "all wait"
        assert gate.arrived.wait(10)
        (tmp_path / "token.json.told").touch()
        ended = script.end()
        gate.forget()
    assert (ended.status, ended.noise) == (0, "")
    assert sorted(ended.said) == [f"leader {error}", "waiter 200", "waiter 200", "waiter 200"]
    assert (example_com.token_requests, example_com.given) == (2, dead + 1)


@GREEN
@pytest.mark.long("process-life")
def test_a_waiting_greenlet_that_is_interrupted_leaves_and_strands_nobody(
    example_com: ExampleCom, tmp_path: Path, patched: str
) -> None:
    example_com.expire()
    dead = example_com.given
    gate = example_com.hold()
    program = patched + SESSION + INTERRUPTED
    arguments = example_com.url, tmp_path / "token.json", 4, "waiter", "Timeout"
    with Script(program, *arguments) as script:
        assert script.hear() == "all wait"
        assert gate.arrived.wait(10)
        (tmp_path / "token.json.told").touch()
        assert script.hear() == "waiter Timeout"
        gate.open()
        ended = script.end()
    assert (ended.status, ended.noise) == (0, "")
    assert sorted(ended.said) == ["leader 200", "waiter 200", "waiter 200"]
    assert (example_com.token_requests, example_com.given) == (1, dead + 1)


TIMED_OUT = """
timeout = Timeout(None)  # which rises by hand

def hurried():
    with timeout:
        get("the first")

first = spawn(hurried)
wait_until_refreshing(tokens)
say("it waits")
told()
interrupt(first, timeout)
join([first])
get("the next")
"""


@GREEN
@pytest.mark.long("process-life")
def test_after_a_timeout_of_the_only_caller_the_next_one_refreshes(
    example_com: ExampleCom, tmp_path: Path, patched: str
) -> None:
    """gevent.Timeout is no `Exception`, and hits wherever the greenlet is."""
    example_com.expire()
    dead = example_com.given
    gate = example_com.hold()
    program = patched + SESSION + TIMED_OUT
    with Script(program, example_com.url, tmp_path / "token.json", 1) as script:
        assert script.hear() == "it waits"
        assert gate.arrived.wait(10)
        (tmp_path / "token.json.told").touch()
        ended = script.end()
        gate.forget()
    assert (ended.status, ended.noise) == (0, "")
    assert ended.said == ["the first Timeout", "the next 200"]
    assert (example_com.token_requests, example_com.given) == (2, dead + 1)
