"""A program beside the workers that ignores the lock of the store."""

from __future__ import annotations

import pytest

from requests_tokenrefresh import TokenStore
from tests.support.login_site import LoginSite, rotate
from tests.support.workers import Workers, on_all

_PROCESSES, _THREADS = 8, 4
_EACH = 2


def test_what_a_stranger_has_rotated_is_adopted_by_all(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    eight = workers.start(_PROCESSES)
    assert on_all(eight, lambda worker: worker.start_get()) == {"200": _PROCESSES}
    rotate(site, store)
    endings = on_all(eight, lambda worker: worker.start_get(_EACH, threads=_THREADS))
    assert endings == {"200": _EACH * _PROCESSES * _THREADS}
    assert (site.token_requests, site.refreshes, site.reuses) == (1, 1, 0)
    assert site.generation(store.load()) == 1


@pytest.mark.parametrize("site", ["refuse"], indirect=True)
def test_a_stranger_who_is_quicker_than_the_leader_costs_no_request(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """The leader holds the lock, and is about to ask with the old refresh token."""
    leader, *others = workers.start(_PROCESSES)
    assert on_all([leader, *others], lambda worker: worker.start_get()) == {"200": _PROCESSES}
    site.expire_tokens()
    leader.hold("before the token request")
    leading = leader.start_get(_EACH, threads=_THREADS)
    leader.reach("before the token request")
    rotate(site, store)
    following = [other.start_get(_EACH, threads=_THREADS) for other in others]
    leader.release("before the token request")
    endings = [future.result(30) for future in (leading, *following)]
    assert endings == [{"200": _EACH * _THREADS}] * _PROCESSES
    assert (site.token_requests, site.refreshes, site.reuses) == (2, 1, 1)
    assert site.generation(store.load()) == 1
