"""New processes that start in milliseconds: with nothing of the test, and no threads.

They fork from a server process, which has everything imported. A process that is spawned would
import it all again, and that takes half a second.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.context import BaseContext
from typing import Any

_IMPORTED = [
    "requests_tokenrefresh.testing._processes",
    "tests.support.worker",
    "filelock",
    "redis",
    # What SQLAlchemy imports at the first use would else be imported by each of them.
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "psycopg",
]

_FORKS = "forkserver" in multiprocessing.get_all_start_methods()  # not on Windows
_usual = multiprocessing.get_context("forkserver" if _FORKS else "spawn")


class _Environment:
    """Where this is unpickled, the environment becomes what it is here.

    That of the server is the one of the first test that has started it.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _set_environment, (dict(os.environ),)


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


class _Process(_usual.Process):  # type: ignore[name-defined,misc]
    def __init__(self, *arguments: Any, **how: Any) -> None:
        self._environment = _Environment()  # the first attribute: unpickled before the arguments
        super().__init__(*arguments, **how)


class _NewProcesses(type(_usual)):  # type: ignore[misc]
    Process = _Process


def new_processes() -> BaseContext:
    """Return what starts them, in the environment of the test."""
    if _FORKS:
        _usual.set_forkserver_preload(_IMPORTED)
    return _NewProcesses()
