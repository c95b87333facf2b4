"""SIGSTOP of the process that refreshes, for longer than others wait, and SIGCONT."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from requests_tokenrefresh import TokenStore
from tests.support.length import long
from tests.support.login_site import LoginSite
from tests.support.threads import wait_until
from tests.support.valkey_server import ValkeyServer
from tests.support.worker import Endings, Point
from tests.support.workers import Worker, Workers, on_all


@pytest.mark.parametrize("point", ["before the token request", "after the reply"])
@pytest.mark.parametrize(
    "store_at", ["file", *long("stores", "sqlite", "postgresql")], indirect=True
)
def test_a_stopped_process_keeps_a_lock_without_lease_and_the_login_survives(
    workers: Workers, site: LoginSite, store: TokenStore, point: Point
) -> None:
    (leader,) = workers.start(1)
    others = workers.start(3, wait_timeout=0.2, draw=0.0)  # so that they do not back off
    assert on_all([leader, *others], lambda worker: worker.start_get()) == {"200": 4}
    site.expire_tokens()
    request = _stop_at(leader, point)
    endings = on_all(others, lambda worker: worker.start_get(2))
    assert endings == {"StoreLockTimeoutError": 6}
    assert site.generation(store.load()) == 0
    leader.resume()
    leader.release(point)
    assert request.result(10) == {"200": 1}
    assert site.generation(store.load()) == 1
    assert on_all(others, lambda worker: worker.start_get()) == {"200": 3}
    assert (site.token_requests, site.refreshes, site.reuses) == (1, 1, 0)


@pytest.mark.parametrize("site", ["accept"], indirect=True)
@pytest.mark.parametrize("store_at", ["redis"], indirect=True)
def test_the_late_save_of_a_leader_who_lost_its_lease_replaces_nothing(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """It has generation 1 in hand, while another has saved generation 2."""
    leader, *others = _who_have_had_an_answer(workers)
    site.expire_tokens()
    request = _stop_at(leader, "before the save")
    assert (site.refreshes, site.generation(store.load())) == (1, 0)
    assert on_all(others, lambda worker: worker.start_get()) == {"200": 3}
    assert (site.refreshes, site.generation(store.load())) == (2, 2)
    leader.resume()
    leader.release("before the save")
    assert request.result(10) == {"200": 1}
    assert (leader.report().saves_refused, site.generation(store.load())) == (1, 2)
    assert leader.report().flights == {"adopted": 2}  # the first token, and this one

    site.expire_tokens()
    assert on_all([leader, *others], lambda worker: worker.start_get()) == {"200": 4}
    assert (site.refreshes, site.generation(store.load())) == (3, 3)


@pytest.mark.parametrize("store_at", ["redis"], indirect=True)
def test_the_late_save_of_a_leader_does_not_bring_back_a_login_that_is_over(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """Another has asked with the old refresh token, which ended the login for all."""
    leader, *others = _who_have_had_an_answer(workers)
    site.expire_tokens()
    request = _stop_at(leader, "before the save")
    assert on_all(others, lambda worker: worker.start_get()) == {
        "LoginRequiredError: invalid_grant": 1,
        "LoginRequiredError: logged_out_elsewhere": 2,
    }
    assert store.load() is None
    leader.resume()
    leader.release("before the save")
    (ending,) = request.result(10)
    assert ending.startswith("LoginRequiredError: ")
    assert (leader.report().saves_refused, store.load()) == (1, None)
    assert (site.token_requests, site.reuses) == (2, 1)


@pytest.mark.parametrize("site", ["refuse"], indirect=True)
@pytest.mark.parametrize("store_at", ["redis"], indirect=True)
def test_the_late_request_of_a_leader_who_lost_its_lease_harms_nobody(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """It asks with a refresh token that has been rotated, and adopts what it is refused for."""
    leader, *others = _who_have_had_an_answer(workers)
    site.expire_tokens()
    request = _stop_at(leader, "before the token request")
    assert on_all(others, lambda worker: worker.start_get()) == {"200": 3}
    assert (site.token_requests, site.refreshes, site.generation(store.load())) == (1, 1, 1)
    leader.resume()
    leader.release("before the token request")
    assert request.result(10) == {"200": 1}
    assert (site.token_requests, site.refreshes, site.generation(store.load())) == (2, 1, 1)


@pytest.mark.parametrize("store_at", ["redis"], indirect=True)
def test_a_waiter_who_is_stopped_takes_the_turn_of_others_for_a_lease_at_most(
    workers: Workers, site: LoginSite, valkey: ValkeyServer
) -> None:
    """The server wakes whoever has waited longest, and does not know that it is stopped."""
    leader, stopped, other, _ = _who_have_had_an_answer(workers)
    site.expire_tokens()
    leader.hold("before the token request")
    requests = [leader.start_get()]
    leader.reach("before the token request")
    for place, waiter in enumerate((stopped, other), start=1):
        requests.append(waiter.start_get())
        wait_until(lambda waiting=place: _blocked_clients(valkey) == waiting)
    stopped.stop()
    leader.release("before the token request")
    assert requests[0].result(10) == {"200": 1}
    assert requests[2].result(10) == {"200": 1}
    stopped.resume()
    assert requests[1].result(10) == {"200": 1}
    assert (site.token_requests, site.refreshes, site.reuses) == (1, 1, 0)


@pytest.mark.parametrize("store_at", ["redis"], indirect=True)
def test_a_leader_who_lost_its_lease_and_got_no_answer_goes_on_with_the_others_token(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    leader, *others = workers.start(4)
    assert on_all([leader, *others], lambda worker: worker.start_get()) == {"200": 4}
    site.expire_tokens()
    gate = site.hold()
    request = leader.start_get()
    assert gate.arrived.wait(10)
    leader.stop()
    assert on_all(others, lambda worker: worker.start_get()) == {"200": 3}
    assert site.generation(store.load()) == 1
    gate.forget()
    leader.resume()
    assert request.result(10) == {"200": 1}
    assert (site.token_requests, site.refreshes, site.reuses) == (2, 1, 0)
    assert site.generation(store.load()) == 1


@pytest.mark.parametrize(
    "store_at", ["file", *long("stores", "sqlite", "postgresql")], indirect=True
)
def test_who_waited_in_vain_for_the_lock_goes_on_with_what_has_been_saved_meanwhile(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """The leader has saved the new token, and stands still before it leaves the lock."""
    (leader,) = workers.start(1)
    (other,) = workers.start(1, wait_timeout=1.0, draw=0.0)
    assert on_all([leader, other], lambda worker: worker.start_get()) == {"200": 2}
    site.expire_tokens()
    leader.hold("before the token request")
    leader.start_get()
    leader.reach("before the token request")
    other.hold("before the lock")
    request = other.start_get()
    other.reach("before the lock")
    other.release("before the lock")
    leader.hold("after the save")
    leader.release("before the token request")
    leader.reach("after the save")
    leader.stop()
    assert site.generation(store.load()) == 1
    assert request.result(10) == {"200": 1}


def _blocked_clients(valkey: ValkeyServer) -> int:
    return int(valkey.command("INFO", "clients")["blocked_clients"])


def _who_have_had_an_answer(workers: Workers) -> list[Worker]:
    four = workers.start(4)
    assert on_all(four, lambda worker: worker.start_get()) == {"200": 4}
    return four


def _stop_at(leader: Worker, point: Point) -> Future[Endings]:
    leader.hold(point)
    request = leader.start_get()
    leader.reach(point)
    leader.stop()
    return request
