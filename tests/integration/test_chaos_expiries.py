"""Eight processes of four threads, through one expiry after the other, under reuse detection.

In `tox -e stores` every store goes through 200 of them, which takes a minute.
"""

from __future__ import annotations

from requests_tokenrefresh import TokenStore
from tests.support.length import at_length
from tests.support.login_site import LoginSite
from tests.support.workers import Workers, on_all

_PROCESSES, _THREADS = 8, 4
_EXPIRIES = 200 if at_length("stores") else 3


def test_each_expiry_costs_eight_processes_one_refresh(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    eight = workers.start(_PROCESSES)
    for expiry in range(1, _EXPIRIES + 1):
        site.expire_tokens()
        endings = on_all(eight, lambda worker: worker.start_get(threads=_THREADS))
        assert endings == {"200": _PROCESSES * _THREADS}
        assert (site.token_requests, site.refreshes, site.reuses) == (expiry, expiry, 0)
    assert site.generation(store.load()) == _EXPIRIES


def test_an_early_refresh_in_one_process_is_one_for_all(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """Though it revokes the access token that the others still send."""
    eight = workers.start(_PROCESSES, clock_stands=True)
    assert on_all(eight, lambda worker: worker.start_get()) == {"200": _PROCESSES}
    for worker in eight:
        worker.advance(3600.0 - 100.0)  # the early window has opened for all, by any jitter
    endings = on_all(eight, lambda worker: worker.start_get(3, threads=_THREADS))
    assert endings == {"200": 3 * _PROCESSES * _THREADS}
    assert (site.token_requests, site.refreshes, site.reuses) == (1, 1, 0)
    assert site.generation(store.load()) == 1
