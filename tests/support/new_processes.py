"""New processes that start in milliseconds: with nothing of the test, and no threads.

They fork from a server process, which has everything imported. A process that is spawned would
import it all again, and that takes half a second.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import BaseContext

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


def new_processes() -> BaseContext:
    """Return what starts them. Their environment is that of the first test that has started one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():  # on Windows
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    return context
