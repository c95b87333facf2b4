"""What is `MemoryTokenStore`'s own; what it shares with the others is in test_store_contract."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import requests_tokenrefresh
from requests_tokenrefresh._errors import StoreLockTimeoutError
from requests_tokenrefresh._token import Token
from requests_tokenrefresh.stores import MemoryTokenStore

FORK_WHILE_ANOTHER_THREAD_HOLDS_THE_LOCK = """
import os, threading
from requests_tokenrefresh.stores import MemoryTokenStore

store = MemoryTokenStore()
held, done = threading.Event(), threading.Event()

def hold():
    with store.lock(0):
        held.set()
        done.wait()

holder = threading.Thread(target=hold)
holder.start()
held.wait()
if (child := os.fork()) == 0:
    with store.lock(0):
        os._exit(23)
_, status = os.waitpid(child, 0)
done.set()
holder.join()
print(os.waitstatus_to_exitcode(status))
"""


def test_it_is_not_shared():
    assert MemoryTokenStore.shared is False


def test_the_token_object_itself_comes_back():
    """Identity tells generations of a token apart within a process."""
    store, token = MemoryTokenStore(), Token("access")
    store.save(token)
    assert store.load() is token


def test_two_stores_are_two_logins():
    one, other = MemoryTokenStore(), MemoryTokenStore()
    one.save(Token("access"))
    assert other.load() is None
    with one.lock(0), other.lock(0):
        pass


def test_a_busy_lock_says_how_long_it_was_waited_for():
    store = MemoryTokenStore()
    with store.lock(0), pytest.raises(StoreLockTimeoutError, match=r"for 0\.05 s; try again"):
        store.lock(0.05).__enter__()


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_copy_is_refused_with_what_to_use_instead(duplicate):
    with pytest.raises(TypeError, match=r"share a FileTokenStore\(path\) instead"):
        duplicate(MemoryTokenStore())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent():
    ran = subprocess.run(
        [sys.executable, "-c", FORK_WHILE_ANOTHER_THREAD_HOLDS_THE_LOCK],
        cwd=Path(requests_tokenrefresh.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ran.stdout == "23\n"
