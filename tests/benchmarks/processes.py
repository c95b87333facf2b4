"""Processes that share one login through a store: what an expiry costs them, and the store."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TypeAlias

from tests.benchmarks.report import table
from tests.support.login_site import LoginSite
from tests.support.postgres_server import PostgresServer
from tests.support.servers import Received, Reply
from tests.support.valkey_server import ValkeyServer
from tests.support.worker import Endings, StoreAt
from tests.support.workers import Worker, Workers, on_all

_PROCESSES, _THREADS = 8, 4
_ROUNDS = 9
_TOKEN = 0.1  # seconds until the authorization server answers

_HANDOVERS = 100
_QUEUEING = 0.03  # seconds in which those who come to the lock are sure to wait for it

_Stores: TypeAlias = dict[str, Callable[[], StoreAt]]


def report() -> str:
    """Return the tables, store by store."""
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # else it refuses plain http
    with _stores() as stores:
        return "\n\n".join([_expiries(stores), _handovers(stores)])


@contextmanager
def _stores() -> Iterator[_Stores]:
    """Start the servers; each store that is asked for is a new login."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ValkeyServer() as valkey,
        PostgresServer() as postgres,
    ):
        names = iter(range(1000))

        def file() -> StoreAt:
            return StoreAt("file", str(Path(folder) / f"login-{next(names)}.json"))

        def redis() -> StoreAt:
            valkey.clear()
            return StoreAt("redis", valkey.url)

        def sqlite() -> StoreAt:
            return StoreAt("sql", f"sqlite:///{folder}/logins-{next(names)}.sqlite")

        def postgresql() -> StoreAt:
            postgres.clear()
            return StoreAt("sql", postgres.url)

        yield {"file": file, "Valkey": redis, "SQLite": sqlite, "PostgreSQL": postgresql}


@contextmanager
def _logged_in(place: StoreAt) -> Iterator[tuple[Workers, LoginSite]]:
    with ExitStack() as stack:
        site = stack.enter_context(closing(LoginSite()))
        with place.opened() as store:
            store.save(site.log_in())
        yield stack.enter_context(closing(Workers(place, site))), site


# -- One expiry, all at once -----------------------------------------------------------------------


def _expiries(stores: _Stores) -> str:
    together = _PROCESSES * _THREADS
    rows = []
    for name, place in stores.items():
        one, _ = _walls(place(), processes=1, threads=together)
        many, refreshes = _walls(place(), processes=_PROCESSES, threads=_THREADS)
        rows.append(
            [
                name,
                f"{median(one) * 1e3:.0f}",
                f"{median(many) * 1e3:.0f}",
                f"{median(many) / median(one):.2f}",
                f"{refreshes / _ROUNDS:g}",
            ]
        )
    headings = ["one expiry", f"1 x {together}, ms", f"{_PROCESSES} x {_THREADS}, ms", "ratio"]
    return table([*headings, "refreshes"], rows)


def _walls(place: StoreAt, *, processes: int, threads: int) -> tuple[list[float], int]:
    """Return how long each expiry took, until the last answer, and the refreshes of all."""
    walls = []
    with _logged_in(place) as (workers, site):
        all_of_them = workers.start(processes)
        on_all(all_of_them, lambda worker: worker.start_get(threads=threads))
        site.fault = _slowly(site)
        for _ in range(_ROUNDS):
            site.expire_tokens()
            released = time.perf_counter()
            endings = on_all(all_of_them, lambda worker: worker.start_get(threads=threads))
            walls.append(time.perf_counter() - released)
            assert endings == {"200": processes * threads}
        return walls, site.refreshes


def _slowly(site: LoginSite) -> Callable[[Received], Reply | None]:
    def answer(request: Received) -> Reply | None:
        time.sleep(_TOKEN)
        return site.process(request)

    return answer


# -- From one process to the next ------------------------------------------------------------------


def _handovers(stores: _Stores) -> str:
    rows = []
    for name, place in stores.items():
        windows, alone = _measure_handovers(place(), waiting=1, rounds=_HANDOVERS)
        _, crowded = _measure_handovers(place(), waiting=_PROCESSES - 1, rounds=_HANDOVERS // 4)
        figures = [alone, crowded, windows]
        rows.append([name, *(f"{median(f) * 1e3:.1f} / {_99th(f) * 1e3:.1f}" for f in figures)])
    headings = ["median / 99th percentile, ms", "hand-over, 1 waits"]
    return table([*headings, f"each of {_PROCESSES - 1} that wait", "reply to save"], rows)


def _measure_handovers(
    place: StoreAt, *, waiting: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Return the seconds from the token endpoint's reply to the end of the save, and from there to
    the replay of each who waited for the lock."""
    windows, handovers = [], []
    replied_at = 0.0

    def answer(request: Received) -> Reply | None:
        nonlocal replied_at
        reply = site.process(request)
        replied_at = time.monotonic()
        return reply

    with _logged_in(place) as (workers, site):
        leader, *others = workers.start(1 + waiting)
        on_all([leader, *others], lambda worker: worker.start_get())
        site.fault = answer
        for _ in range(rounds):
            site.expire_tokens()
            leader.hold("before the token request")
            requests = [leader.start_get()]
            leader.reach("before the token request")
            requests += [_queue(other) for other in others]
            time.sleep(_QUEUEING)
            leader.release("before the token request")
            assert [request.result(30) for request in requests] == [{"200": 1}] * (1 + waiting)
            saved_at = leader.report().saved_at or 0.0
            windows.append(saved_at - replied_at)
            handovers += [(other.report().replayed_at or 0.0) - saved_at for other in others]
    return windows, handovers


def _queue(worker: Worker) -> Future[Endings]:
    worker.hold("before the lock")
    request = worker.start_get()
    worker.reach("before the lock")
    worker.release("before the lock")
    return request


def _99th(figures: list[float]) -> float:
    return quantiles(figures, n=100)[98]
