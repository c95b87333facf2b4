"""`kill -9` of the process that refreshes: before the token request, during it, and after."""

from __future__ import annotations

from concurrent.futures import Future

from requests_tokenrefresh import TokenStore
from tests.support.login_site import LoginSite
from tests.support.worker import Endings
from tests.support.workers import Worker, Workers, on_all

_THREADS = 4
_PROMPTLY = 10.0  # seconds, on a busy machine; who would wait for the lock in vain would wait 30


def test_killed_before_the_token_request_it_is_followed_by_another(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    leader, *others = _who_have_had_an_answer(workers)
    site.expire_tokens()
    leader.hold("before the token request")
    leader.start_get()
    leader.reach("before the token request")
    follow = [_start_and_queue(other) for other in others]
    leader.kill()
    assert [future.result(_PROMPTLY) for future in follow] == [{"200": _THREADS}] * len(others)
    assert (site.token_requests, site.refreshes, site.reuses) == (1, 1, 0)
    assert site.generation(store.load()) == 1
    _login_goes_on(site, others)


def test_killed_while_it_waits_for_the_answer_it_is_followed_by_another(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """Its request is never processed: the server finds it gone."""
    leader, *others = _who_have_had_an_answer(workers)
    site.expire_tokens()
    gate = site.hold()
    leader.start_get()
    assert gate.arrived.wait(10)
    follow = [_start_and_queue(other) for other in others]
    leader.kill()
    gate.forget()
    assert [future.result(_PROMPTLY) for future in follow] == [{"200": _THREADS}] * len(others)
    assert (site.token_requests, site.refreshes, site.reuses) == (2, 1, 0)
    assert site.generation(store.load()) == 1
    _login_goes_on(site, others)


def test_killed_between_the_reply_and_the_save_it_takes_the_login_along(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """The new token was nowhere else: one asks with the old one, and all are told."""
    leader, *others = _who_have_had_an_answer(workers)
    site.expire_tokens()
    leader.hold("after the reply")
    leader.start_get()
    leader.reach("after the reply")
    follow = [_start_and_queue(other) for other in others]
    leader.kill()
    endings = [future.result(_PROMPTLY) for future in follow]
    told = [f"LoginRequiredError: {why}" for why in ("invalid_grant", "logged_out_elsewhere")]
    assert sorted(endings, key=str) == [
        {told[0]: _THREADS},
        *[{told[1]: _THREADS}] * (len(others) - 1),
    ]
    assert (site.token_requests, site.refreshes, site.reuses) == (2, 1, 1)
    assert store.load() is None
    # Nobody asks again.
    assert [set(other.get(2)) for other in others] == [set(ending) for ending in endings]
    assert site.token_requests == 2


def test_killed_after_the_save_it_leaves_the_new_token_to_the_others(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    leader, *others = _who_have_had_an_answer(workers)
    site.expire_tokens()
    leader.hold("before the token request")
    leader.hold("after the save")
    leader.start_get()
    leader.reach("before the token request")
    follow = [_start_and_queue(other) for other in others[1:]]
    leader.release("before the token request")
    leader.reach("after the save")
    assert others[0].get() == {"200": 1}  # without the lock, which the leader holds
    leader.kill()
    assert [future.result(_PROMPTLY) for future in follow] == [{"200": _THREADS}] * len(follow)
    assert (site.token_requests, site.refreshes, site.reuses) == (1, 1, 0)
    assert site.generation(store.load()) == 1
    _login_goes_on(site, others)


def _who_have_had_an_answer(workers: Workers) -> list[Worker]:
    four = workers.start(4)
    assert on_all(four, lambda worker: worker.start_get()) == {"200": 4}
    return four


def _start_and_queue(worker: Worker) -> Future[Endings]:
    worker.hold("before the lock")
    future = worker.start_get(threads=_THREADS)
    worker.reach("before the lock")
    worker.release("before the lock")
    return future


def _login_goes_on(site: LoginSite, others: list[Worker]) -> None:
    site.expire_tokens()
    requests = site.token_requests
    assert on_all(others, lambda worker: worker.start_get()) == {"200": len(others)}
    assert (site.token_requests, site.reuses) == (requests + 1, 0)
