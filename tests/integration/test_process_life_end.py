"""The end of a program: requests that go on after its last line, and refreshes under way then."""

from __future__ import annotations

from pathlib import Path

import pytest

from requests_tokenrefresh import FileTokenStore
from tests.support.example_com import ExampleCom
from tests.support.length import long
from tests.support.scripts import Script, run

SESSION = """
import atexit, sys, threading
from concurrent.futures import ThreadPoolExecutor
from tests.support.sessions import open_session, say, status

url, path = sys.argv[1:]
session = open_session(url, path)

def get():
    try:
        say(status(session, url))
    except BaseException as error:
        say(type(error).__name__, error)

over = threading.Event()
threading._register_atexit(over.set)  # what a ThreadPoolExecutor waits by for its threads

def get_after_the_end():
    over.wait()
    get()
"""

IN_AN_EXECUTOR = """
pool = ThreadPoolExecutor(2)
for _ in range(3):
    pool.submit(get_after_the_end)
"""

IN_THREADS = """
for _ in range(3):
    threading.Thread(target=get_after_the_end).start()
"""

AT_EXIT = """
for _ in range(3):
    atexit.register(get)
"""


@pytest.mark.parametrize(
    "last_lines",
    [IN_AN_EXECUTOR, AT_EXIT, *long("process-life", IN_THREADS)],
    ids=["in an executor", "atexit", "in threads"],
)
def test_an_expiry_after_the_last_line_of_a_program_is_refreshed_and_saved(
    example_com: ExampleCom, tmp_path: Path, last_lines: str
) -> None:
    """On Python 3.12 nothing can start a thread then."""
    example_com.expire()
    ended = run(SESSION + last_lines, example_com.url, tmp_path / "token.json")
    assert (ended.status, ended.noise) == (0, "")
    assert ended.said == ["200"] * 3
    assert (example_com.token_requests, example_com.given) == (1, 2)
    assert stored(tmp_path) == "access-2"


COUNTING_MODULES = """
import requests
requests.get(url)  # which imports some for its first request
before = set(sys.modules)
get()
say("imported:", *sorted(set(sys.modules) - before))
"""


def test_a_refresh_imports_nothing(example_com: ExampleCom, tmp_path: Path) -> None:
    """After the last line of a program it may be too late to."""
    example_com.expire()
    ended = run(SESSION + COUNTING_MODULES, example_com.url, tmp_path / "token.json")
    assert (ended.status, ended.noise, ended.said) == (0, "", ["200", "imported:"])
    assert (example_com.token_requests, stored(tmp_path)) == (1, "access-2")


UNDER_WAY = """
threading._register_atexit(say, "the last line has passed")
threading.Thread(target=get, daemon=%s).start()
input()
"""


def test_a_program_that_ends_during_a_refresh_waits_for_it_and_saves_the_token(
    example_com: ExampleCom, tmp_path: Path
) -> None:
    example_com.expire()
    gate = example_com.hold()
    with Script(SESSION + UNDER_WAY % False, example_com.url, tmp_path / "token.json") as script:
        assert gate.arrived.wait(10)
        script.tell()
        assert script.hear() == "the last line has passed"
        gate.open()
        ended = script.end()
    assert (ended.status, ended.noise, ended.said) == (0, "", ["200"])
    assert (example_com.token_requests, stored(tmp_path)) == (1, "access-2")


@pytest.mark.long("process-life")
def test_a_refresh_on_a_daemon_thread_ends_with_the_program_and_leaves_the_turn_to_others(
    example_com: ExampleCom, tmp_path: Path
) -> None:
    example_com.expire()
    gate = example_com.hold()
    with Script(SESSION + UNDER_WAY % True, example_com.url, tmp_path / "token.json") as script:
        assert gate.arrived.wait(10)
        script.tell()
        ended = script.end(8)
    assert (ended.status, ended.noise, ended.said) == (0, "", ["the last line has passed"])
    gate.forget()
    assert stored(tmp_path) == "access-0"
    ended = run(SESSION + "get()", example_com.url, tmp_path / "token.json")
    assert (ended.noise, ended.said) == ("", ["200"])
    assert (example_com.token_requests, stored(tmp_path)) == (2, "access-2")


def stored(folder: Path) -> str | None:
    token = FileTokenStore(folder / "token.json").load()
    return None if token is None else token.access_token
