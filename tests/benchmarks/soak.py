"""A soak: busy threads for a while, with tokens that live for moments only."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from statistics import quantiles

from tests.benchmarks.contenders import (
    Contender,
    careful_hook,
    singleflight,
    succeeds,
    this_package,
)
from tests.benchmarks.report import table
from tests.benchmarks.server import Counts, Server

_THREADS = 32
_DURATION = 10.0  # seconds
_DATA = 0.005  # seconds
_TOKEN = 0.02  # seconds
_LIFETIME = 0.2  # seconds

_CONTENDERS: dict[str, Contender] = {
    # As it comes. It knows the lifetime from expires_in: leeway and early shrink to a tenth and a
    # fifth of it, and min_refresh_interval does not apply to a token that has expired.
    "this package": this_package,
    # As little as the others know: a 401 says that a token is dead, at any age.
    "this package, lifetime unknown": partial(this_package, told=False, min_refresh_interval=0.0),
    "careful hook": careful_hook,
    "singleflight-auth": singleflight,
}


@dataclass(frozen=True)
class _Soak:
    latencies: list[float]  # seconds; of failures as well
    failures: int
    counts: Counts


def report() -> str:
    """Return the table: one contender after the other."""
    with closing(Server(data=_DATA, token=_TOKEN, lifetime=_LIFETIME)) as server:
        soaks = {name: _soak(contender, server) for name, contender in _CONTENDERS.items()}
    locks = _percentile(soaks["careful hook"], 99)
    return table(
        [
            f"{_THREADS} threads, {_DURATION:g} s",
            "requests",
            "failures",
            "refreshes",
            "needless",
            "reused",
            "401s",
            "p50, ms",
            "p99, ms",
            "p99 to the hook",
        ],
        [
            [
                name,
                len(soak.latencies),
                soak.failures,
                soak.counts.refreshes,
                soak.counts.needless,
                soak.counts.reused,
                soak.counts.rejections,
                f"{_percentile(soak, 50) * 1e3:.1f}",
                f"{_percentile(soak, 99) * 1e3:.1f}",
                f"{_percentile(soak, 99) / locks:.2f}",
            ]
            for name, soak in soaks.items()
        ],
    )


def _percentile(soak: _Soak, percent: int) -> float:
    return quantiles(soak.latencies, n=100)[percent - 1]


def _soak(contender: Contender, server: Server) -> _Soak:
    latencies: list[list[float]] = [[] for _ in range(_THREADS)]
    failures = [0] * _THREADS

    def work(place: int) -> None:
        while time.perf_counter() < ends:
            started = time.perf_counter()
            failures[place] += not succeeds(session, url)
            latencies[place].append(time.perf_counter() - started)

    url = f"{server.url}/data"
    threads = [threading.Thread(target=work, args=(place,)) for place in range(_THREADS)]
    with contender(server, _THREADS) as session:
        ends = time.perf_counter() + _DURATION
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return _Soak([one for those in latencies for one in those], sum(failures), server.counts())
