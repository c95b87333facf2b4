"""Other users of this machine, real ones: only root can be somebody else."""

from __future__ import annotations

import codecs
import json
import os
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from requests_tokenrefresh import FileTokenStore, TokenStoreError
from requests_tokenrefresh.stores import _file_way

NOBODY = 65534  # whose login it is
STRANGER = 4711  # who would like to have it

codecs.lookup("ascii")  # filelock needs it, and another user may not read this Python's files

only_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else"
)


def own(path: Path, uid: int, gid: int | None = None) -> None:
    """Give *path*, be it a link, to the user."""
    os.chown(path, uid, uid if gid is None else gid, follow_symlinks=False)


def pretend_to_be_another(patches: pytest.MonkeyPatch) -> int:
    """Be somebody else than whoever makes the files, who owns all folders; return who that was.

    For everybody, and only as far as this process is asked who it is.
    """
    owner = os.geteuid()
    patches.setattr(os, "geteuid", lambda: owner + 1)
    patches.setattr(_file_way, "is_of_another", lambda _status: False)
    return owner


@contextmanager
def being(uid: int) -> Iterator[None]:
    """Be that user inside the context."""
    before = os.geteuid()
    _become(uid)
    try:
        yield
    finally:
        _become(before)


def _become(uid: int) -> None:
    os.seteuid(0)
    os.setegid(uid)
    os.seteuid(uid)


def as_user(uid: int, *calls: Callable[[], object]) -> list[str]:
    """Return what each of *calls* returns, made by the user in a process of his own; or the message
    of its error."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 and newer do not fork without a word where there are threads, and the workers
        # of pytest-xdist have one that listens. The child needs nothing of it.
        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writing, "w") as answer:
                os.setgroups([])
                _become(uid)
                json.dump([_outcome(call) for call in calls], answer)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            # What measures the tests writes at the exit, where only root may. From a sandbox of its
            # own there is no way back.
            with suppress(OSError):
                _become(0)
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as answer:
        answers = answer.read()
    _, status = os.waitpid(child, 0)
    assert status == 0
    outcomes: list[str] = json.loads(answers)
    return outcomes


def _outcome(call: Callable[[], object]) -> str:
    try:
        return str(call())
    except TokenStoreError as error:
        return str(error)


def told(path: Path, *calls: Any, uid: int = NOBODY, **options: Any) -> list[str]:
    """Return what each of *calls* of the user's store of *path* returns, or is told."""
    store = FileTokenStore(path, **options)
    return as_user(uid, *(lambda call=call: call(store) for call in calls))  # type: ignore[misc]
