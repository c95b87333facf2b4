"""Eight processes with one login, at a token endpoint that is asked too often."""

from __future__ import annotations

import time

import pytest

from tests.support.login_site import LoginSite
from tests.support.servers import Received, Reply
from tests.support.threads import wait_until
from tests.support.workers import Worker, Workers, on_all

_PROCESSES = 8


def slow_down(_request: Received) -> Reply:
    return Reply(429, b"", [("Retry-After", "3")])


def test_eight_processes_ask_once_in_each_pause(workers: Workers, site: LoginSite) -> None:
    """Also those that are new, and start during a pause. All clocks agree."""
    now = time.time()

    def start(count: int) -> list[Worker]:
        return workers.start(count, clock_stands=True, clock_at=now, draw=1.0)

    fleet = start(_PROCESSES)
    assert on_all(fleet, lambda worker: worker.start_get()) == {"200": _PROCESSES}
    site.expire_tokens()
    site.fault = slow_down
    for pause in (1, 2):
        for seconds in (1.5, 1.75, 0.125):  # of 3.3: a tenth is jitter
            endings = on_all(fleet, lambda worker: worker.start_get(threads=4))
            assert endings == {"RefreshFailedError": 4 * len(fleet)}
            assert site.token_requests == pause
            now += seconds
            for worker in fleet:
                worker.advance(seconds)
            fleet += start(1) if seconds == 1.5 else []
    site.fault = None
    assert on_all(fleet, lambda worker: worker.start_get(threads=4)) == {"200": 4 * len(fleet)}
    assert (site.token_requests, site.refreshes, site.reuses) == (3, 1, 0)


@pytest.mark.long("stores")
@pytest.mark.parametrize("store_at", ["file"], indirect=True)
def test_eight_processes_in_real_time_ask_no_more_often_than_they_were_told(
    workers: Workers, site: LoginSite
) -> None:
    eight = workers.start(_PROCESSES)
    assert on_all(eight, lambda worker: worker.start_get()) == {"200": _PROCESSES}
    site.expire_tokens()
    answers = iter([slow_down, slow_down])

    def slow_down_twice(request: Received) -> Reply | None:
        return next(answers, site.process)(request)

    site.fault = slow_down_twice
    loads = [worker.start_load(threads=4) for worker in eight]
    wait_until(lambda: site.refreshes == 1, timeout=30)
    for caught_up in [worker.start_catching_up() for worker in eight]:
        caught_up.result(30)
    for worker in eight:
        worker.enough()
    endings = [load.result(30) for load in loads]
    assert {kind for ended in endings for kind in ended} <= {"200", "RefreshFailedError"}
    assert (site.token_requests, site.refreshes, site.reuses) == (3, 1, 0)
    assert on_all(eight, lambda worker: worker.start_get(threads=4)) == {"200": 4 * _PROCESSES}
