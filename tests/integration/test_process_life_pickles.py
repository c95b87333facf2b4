"""Sessions that libraries pickle, for processes of their own: joblib, Dask, multiprocessing."""

from __future__ import annotations

import importlib
import multiprocessing
import pickle
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import requests

from requests_tokenrefresh import (
    FileTokenStore,
    MemoryTokenStore,
    Token,
    mount,
)
from tests.support.example_com import ExampleCom
from tests.support.length import long
from tests.support.sessions import open_session, open_source, status
from tests.support.threads import start_together

REMEDY = "Give it a store that processes share, such as store=FileTokenStore(path)"

WORKERS = 2

Library = Callable[[requests.Session, str], list[int]]
"""Gets a page in each of two processes, by the same session.

Each imports itself what takes long to import: the tests are collected more often than run.
"""


def by_joblib(session: requests.Session, url: str) -> list[int]:
    import joblib

    got: list[int] = joblib.Parallel(n_jobs=WORKERS, batch_size=1)(
        joblib.delayed(status)(session, url) for _ in range(WORKERS)
    )
    return got


def by_dask(session: requests.Session, url: str) -> list[int]:
    import dask

    tasks = [dask.delayed(status)(session, url, dask_key_name=f"get-{n}") for n in range(WORKERS)]
    return list(dask.compute(*tasks, scheduler="processes", num_workers=WORKERS, chunksize=1))


def by_distributed(session: requests.Session, url: str) -> list[int]:
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        tasks = [client.submit(status, session, url, pure=False) for _ in range(WORKERS)]
        got: list[int] = client.gather(tasks)
        return got


def by_executor(session: requests.Session, url: str) -> list[int]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=spawn) as pool:
        return list(pool.map(status, [session] * WORKERS, [url] * WORKERS))


def by_pool(session: requests.Session, url: str) -> list[int]:
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        return pool.starmap(status, [(session, url)] * WORKERS, chunksize=1)


# The others are seen to do it in the programs of docs/processes.md.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed")
@pytest.mark.parametrize("library", [by_pool, *long("process-life", by_distributed)])
def test_workers_that_unpickle_a_session_meet_one_expiry_and_refresh_once(
    example_com: ExampleCom, tmp_path: Path, library: Library
) -> None:
    with open_session(example_com.url, str(tmp_path / "token.json")) as session:
        assert status(session, example_com.url) == 200
        example_com.expire()
        dead = example_com.given
        example_com.hold_rejections(WORKERS)
        assert library(session, example_com.url) == [200] * WORKERS
    assert example_com.given == dead + 1
    assert example_com.rejections == WORKERS
    assert example_com.token_requests == 1


# Where each of them shows what the error says: in the message, or in that of its cause, which
# stands above it in the traceback.
@pytest.mark.parametrize(
    ("library", "error", "where"),
    [
        (by_executor, TypeError, "message"),
        (by_pool, TypeError, "message"),
        *long(
            "process-life",
            (by_joblib, pickle.PicklingError, "cause"),
            (by_dask, TypeError, "message"),
        ),
    ],
)
def test_a_session_with_a_login_in_memory_is_refused_with_the_remedy(
    example_com: ExampleCom, library: Library, error: type[Exception], where: str
) -> None:
    with (
        open_session(example_com.url, MemoryTokenStore()) as session,
        pytest.raises(error) as refused,
    ):
        library(session, example_com.url)
    assert (REMEDY in str(refused.value)) is (where == "message")
    assert REMEDY in "".join(traceback.format_exception(refused.value))
    assert example_com.requests == []


@pytest.mark.parametrize(
    "pickler",
    ["pickle", "cloudpickle", *long("process-life", "distributed.protocol.pickle")],
)
def test_no_token_is_in_what_is_pickled(
    example_com: ExampleCom, tmp_path: Path, pickler: str
) -> None:
    """Not the one to start with, those that were stored or are in use, nor one that could not be
    saved."""
    begin, in_store = Token("access-begin", "refresh-begin"), Token("access-old", "refresh-old")
    store = FailingStore(tmp_path / "token.json")
    store.save(in_store)
    source = open_source(example_com.url, store, token=begin)
    first = source.token()
    saved = source.refresh(first)
    store.fails = True
    unsaved = source.refresh(saved)
    assert (first, store.load(), source.token()) == (in_store, saved, unsaved)
    assert [token.access_token for token in (saved, unsaved)] == ["access-1", "access-2"]
    tokens = [begin, in_store, saved, unsaved]
    secrets = [str(s) for token in tokens for s in (token.access_token, token.refresh_token)]
    session = requests.Session()
    mount(session, source)
    pickled = importlib.import_module(pickler).dumps(session)
    assert b"token.json" in pickled
    assert [secret for secret in secrets if secret.encode() in pickled] == []


class FailingStore(FileTokenStore):
    """One that fails to save as soon as it is told to."""

    fails = False

    def save(self, token: Token) -> None:
        if self.fails:
            raise OSError("no space left")
        super().save(token)


def test_a_copy_that_was_pickled_while_a_flight_was_under_way_has_none(
    example_com: ExampleCom, tmp_path: Path
) -> None:
    source = open_source(example_com.url, str(tmp_path / "token.json"))
    old = source.token()
    gate = example_com.hold()
    leader = start_together(1, lambda: source.refresh(old))
    assert gate.arrived.wait(10)
    copy = pickle.loads(pickle.dumps(source))
    gate.open()
    token = leader.outcomes()[0].result()
    assert token.access_token == "access-1"
    assert copy.token() == token
    assert copy.refresh(Token("access-0")) == token
    assert example_com.token_requests == 1
