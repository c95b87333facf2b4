"""`login()` and `logout()` in one process, and what the others make of it."""

from __future__ import annotations

import pytest

from requests_tokenrefresh import TokenStore
from tests.support.login_site import LoginSite
from tests.support.valkey_server import ValkeyServer
from tests.support.workers import Worker, Workers, on_all


def test_logout_in_one_process_outlives_the_refresh_of_another(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    refreshing, leaving = workers.start(2)
    assert on_all([refreshing, leaving], lambda worker: worker.start_get()) == {"200": 2}
    site.expire_tokens()
    gate = site.hold()
    request = refreshing.start_get()
    assert gate.arrived.wait(10)
    leaving.hold("before the lock")
    logout = leaving.start_logout()
    leaving.reach("before the lock")
    assert leaving.get() == {"LoginRequiredError: logged_out": 1}
    leaving.release("before the lock")
    gate.open()
    assert request.result(10) == {"200": 1}
    logout.result(10)
    assert store.load() is None
    assert leaving.get() == {"LoginRequiredError: logged_out": 1}
    site.expire_tokens()
    assert refreshing.get(2) == {"LoginRequiredError: logged_out_elsewhere": 2}
    assert (site.token_requests, site.refreshes, site.reuses) == (1, 1, 0)
    assert leaving.report().logged_out == ["logged_out"]
    assert refreshing.report().logged_out == ["logged_out_elsewhere"]


def test_a_login_in_one_process_is_a_login_in_all(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """However each of them was logged out, and at the next look: once a second, at most."""
    first, *others = workers.start(4, clock_stands=True)
    everybody = [first, *others]
    assert on_all(everybody, lambda worker: worker.start_get()) == {"200": 4}
    first.logout()
    site.expire_tokens()
    assert on_all(others, lambda worker: worker.start_get()) == {
        "LoginRequiredError: logged_out_elsewhere": 3
    }
    told = {"LoginRequiredError: logged_out_elsewhere": 5}
    assert [_looks_of(other, seconds=0.0) for other in others] == [(told, 1)] * 3
    first.login(site.log_in())
    assert first.get() == {"200": 1}
    assert [_looks_of(other, seconds=0.875) for other in others] == [(told, 0)] * 3
    assert [_looks_of(other, seconds=0.125) for other in others] == [({"200": 5}, 1)] * 3
    assert (site.token_requests, site.reuses) == (0, 0)

    site.expire_tokens()
    assert on_all(everybody, lambda worker: worker.start_get()) == {"200": 4}
    assert site.token_requests == 1
    assert site.generation(store.load()) == 2


def test_a_login_after_a_refusal_is_a_login_in_all(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    refused, told, first = workers.start(3, clock_stands=True)
    assert on_all([refused, told, first], lambda worker: worker.start_get()) == {"200": 3}
    site.revoke()
    assert refused.get() == {"LoginRequiredError: invalid_grant": 1}
    assert told.get() == {"LoginRequiredError: logged_out_elsewhere": 1}
    first.login(site.log_in())
    for worker in (refused, told):
        worker.advance(1.0)
        assert worker.get(3) == {"200": 3}
    assert (site.token_requests, site.reuses) == (1, 1)
    assert site.generation(store.load()) == 1


def test_a_new_token_that_could_not_be_saved_is_saved_when_the_store_is_well(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    having, lacking = workers.start(2, clock_stands=True)
    assert on_all([having, lacking], lambda worker: worker.start_get()) == {"200": 2}
    site.expire_tokens()
    having.break_store()
    assert having.get(2) == {"200": 2}
    assert (site.refreshes, site.generation(store.load())) == (1, 0)
    having.break_store(False)
    having.advance(1.0)
    assert having.get() == {"200": 1}
    assert site.generation(store.load()) == 1
    assert lacking.get(2) == {"200": 2}
    assert (site.token_requests, site.reuses) == (1, 0)


@pytest.mark.parametrize("store_at", ["restarting redis"], indirect=True)
def test_a_store_that_came_back_empty_is_given_the_token_that_one_process_could_not_save(
    workers: Workers, site: LoginSite, store: TokenStore, restarting_valkey: ValkeyServer
) -> None:
    having, lacking = workers.start(2, clock_stands=True)
    assert on_all([having, lacking], lambda worker: worker.start_get()) == {"200": 2}
    site.expire_tokens()
    having.break_store()
    assert having.get(2) == {"200": 2}
    restarting_valkey.stop()
    restarting_valkey.start()
    having.break_store(False)
    assert lacking.get() == {"StoreDataLostError": 1}
    having.advance(1.0)
    assert having.get() == {"200": 1}
    assert site.generation(store.load()) == 1
    lacking.advance(1.0)
    assert lacking.get(2) == {"200": 2}
    assert (site.token_requests, site.refreshes, site.reuses) == (1, 1, 0)


@pytest.mark.parametrize("store_at", ["restarting redis"], indirect=True)
def test_a_store_that_came_back_empty_ends_no_login_and_uses_no_refresh_token_twice(
    workers: Workers, site: LoginSite, store: TokenStore, restarting_valkey: ValkeyServer
) -> None:
    """Whether a sibling has used the one that is known, nobody can tell: `login()` begins anew."""
    first, *others = workers.start(3, clock_stands=True, draw=0.0)
    everybody = [first, *others]
    assert on_all(everybody, lambda worker: worker.start_get()) == {"200": 3}
    restarting_valkey.stop()
    restarting_valkey.start()
    assert on_all(everybody, lambda worker: worker.start_get()) == {"200": 3}  # still good
    site.expire_tokens()
    assert on_all(everybody, lambda worker: worker.start_get(2)) == {"StoreDataLostError": 6}
    first.login(site.log_in())
    assert on_all(everybody, lambda worker: worker.start_get(2)) == {"200": 6}
    assert (site.token_requests, site.reuses) == (0, 0)
    assert site.generation(store.load()) == 1


def _looks_of(worker: Worker, *, seconds: float) -> tuple[object, int]:
    """Let time pass, and five requests be made; return their endings, and the loads they cost."""
    before = worker.report().loads
    worker.advance(seconds)
    return worker.get(5), worker.report().loads - before
