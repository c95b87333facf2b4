"""Workers that are killed and replaced at random moments, under load and through expiries."""

from __future__ import annotations

import random
import time

import pytest

from requests_tokenrefresh import TokenStore
from tests.support.login_site import LoginSite
from tests.support.threads import wait_until
from tests.support.worker import Endings
from tests.support.workers import Workers

_PROCESSES, _THREADS = 8, 4
_EXPIRIES = 8


@pytest.mark.long("stores")
@pytest.mark.parametrize("store_at", ["file", "redis"], indirect=True)
def test_workers_killed_at_random_cost_the_others_nothing(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """None is killed between a token request and the save, where the login would go with it."""
    draw = random.Random(7)
    loads = {worker: worker.start_load(threads=_THREADS) for worker in workers.start(_PROCESSES)}
    for expiry in range(1, _EXPIRIES + 1):
        for catching_up in [worker.start_catching_up() for worker in loads]:
            catching_up.result(30)
        site.expire_tokens()
        time.sleep(draw.uniform(0.0, 0.02))  # any moment will do
        victim = draw.choice(list(loads))
        del loads[victim]
        victim.kill_between_refreshes()
        (successor,) = workers.start(1)
        loads[successor] = successor.start_load(threads=_THREADS)
        wait_until(lambda last=expiry: site.refreshes >= last)
    for worker in loads:
        worker.enough()
    endings: Endings = Endings()
    for load in loads.values():
        endings.update(load.result(20))
    assert set(endings) == {"200"}
    assert (site.token_requests, site.refreshes, site.reuses) == (_EXPIRIES, _EXPIRIES, 0)
    assert site.generation(store.load()) == _EXPIRIES
