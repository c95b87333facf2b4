"""A storm: many threads released at once, just after the token they share has died."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.contenders import (
    Contender,
    careful_hook,
    singleflight,
    succeeds,
    this_package,
)
from tests.benchmarks.report import table
from tests.benchmarks.server import Counts, Server

_SIZES = (10, 50, 200, 500)  # threads
_ROUNDS = 7
_DATA = 0.005  # seconds
_TOKEN = 0.1  # seconds

# A Barrier lets its threads out one by one, the last of 500 long after the first has its answer.
# So it only says when: from this many seconds later all of them run.
_HOLD = 0.3

_CONTENDERS: dict[str, Contender] = {
    "this package": this_package,
    "careful hook": careful_hook,
    "singleflight-auth": singleflight,
}


@dataclass(frozen=True)
class _Storm:
    wall: float  # seconds from the release to the last answer
    failures: int
    counts: Counts


def report() -> str:
    """Return the table: every contender in every round, each size on its own."""
    with closing(Server(data=_DATA, token=_TOKEN)) as server:
        rows = [row for size in _SIZES for row in _rows(size, _rounds(server, size))]
    return table(
        ["threads", "", "wall, ms", "to the better peer", "refreshes", "failures", "401s"], rows
    )


def _rounds(server: Server, size: int) -> dict[str, list[_Storm]]:
    storms: dict[str, list[_Storm]] = {name: [] for name in _CONTENDERS}
    order = list(_CONTENDERS)
    for _ in range(_ROUNDS):
        for name in order:
            storms[name].append(_storm(_CONTENDERS[name], server, size))
        order.append(order.pop(0))  # nobody always follows the same neighbour
    return storms


def _rows(size: int, storms: dict[str, list[_Storm]]) -> list[list[object]]:
    walls = {name: median(storm.wall for storm in those) for name, those in storms.items()}
    better_peer = min(walls["careful hook"], walls["singleflight-auth"])
    return [
        [
            size,
            name,
            f"{walls[name] * 1e3:.0f}",
            f"{walls[name] / better_peer:.2f}",
            _range([storm.counts.refreshes for storm in those]),
            sum(storm.failures for storm in those),
            f"{median(storm.counts.rejections for storm in those):.0f}",
        ]
        for name, those in storms.items()
    ]


def _range(numbers: list[int]) -> str:
    """Return ``1``, or ``1-3`` if the rounds differ."""
    return "-".join(str(number) for number in sorted({min(numbers), max(numbers)}))


def _storm(contender: Contender, server: Server, size: int) -> _Storm:
    """Let a token die in use: every thread has had an answer before."""
    released = 0.0
    ended = [0.0] * size
    answered = [False] * size

    def let_the_token_die() -> None:
        nonlocal released
        server.kill_token()
        released = time.perf_counter() + _HOLD

    def request_twice(place: int) -> None:
        before = succeeds(session, url)
        all_have_one.wait()
        time.sleep(max(0.0, released - time.perf_counter()))
        answered[place] = succeeds(session, url) and before
        ended[place] = time.perf_counter()

    url = f"{server.url}/data"
    all_have_one = threading.Barrier(size, action=let_the_token_die)
    threads = [threading.Thread(target=request_twice, args=(place,)) for place in range(size)]
    with contender(server, size) as session:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return _Storm(max(ended) - released, answered.count(False), server.counts())
