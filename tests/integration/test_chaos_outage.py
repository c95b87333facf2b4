"""The authorization server is out of order for a minute, which passes at the test's command."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest

from requests_tokenrefresh import TokenStore
from tests.support.length import long
from tests.support.login_site import Fault, LoginSite, rotate, unavailable
from tests.support.threads import wait_until
from tests.support.workers import Worker, Workers, on_all

_PROCESSES = 8
_OUTAGE = 60.0  # seconds

# When one of them asks, with the longest delays that the jitter can draw, the others being shorter
# in proportion: 0.5 s that double up to 30 s.
_BACKOFF = (0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5)

_FAULTS: dict[str, tuple[Callable[[LoginSite], Fault], tuple[float, ...]]] = {
    "hangs": (lambda site: site.hang, _BACKOFF),
    "resets": (lambda site: site.reset, _BACKOFF),
    "answers 503": (lambda _site: unavailable(), _BACKOFF),
    # ... and a tenth on top, as no two processes are to come back at once.
    "asks to wait": (lambda _site: unavailable(retry_after=20), (0.0, 22.0, 44.0, 66.0)),
}


@pytest.mark.parametrize(
    "fault", ["asks to wait", *long("stores", "hangs", "resets", "answers 503")]
)
@pytest.mark.parametrize("store_at", ["file"], indirect=True)
def test_a_minute_without_the_token_endpoint_costs_as_many_calls_as_the_backoff_has_steps(
    workers: Workers, site: LoginSite, store: TokenStore, fault: str
) -> None:
    """For all of them together: a pause, and how it grows, is the login's. All clocks agree."""
    make_fault, attempts = _FAULTS[fault]
    # What was lost on the way is asked for once more at once.
    each = 2 if fault == "resets" else 1
    eight = workers.start(_PROCESSES, clock_stands=True, clock_at=time.time(), draw=1.0)
    assert on_all(eight, lambda worker: worker.start_get()) == {"200": _PROCESSES}
    for worker in eight:
        worker.be_patient(0.02 if fault == "hangs" else 10.0)
    site.expire_tokens()
    site.fault = make_fault(site)
    now = 0.0
    for calls, (due, next_due) in enumerate(itertools.pairwise(attempts), start=1):
        for at in (due, min(next_due - 0.125, _OUTAGE)):
            _let_time_pass(eight, at - now)
            now = at
            endings = on_all(eight, lambda worker: worker.start_get())
            assert endings == {"RefreshFailedError": _PROCESSES}
            # Who hangs up soon may do so before the server has seen what was asked.
            wait_until(lambda asked=calls * each: site.token_requests >= asked)
            assert site.token_requests == calls * each
    assert (now, site.refreshes, site.reuses) == (_OUTAGE, 0, 0)

    site.fault = None
    for worker in eight:
        worker.be_patient(10.0)
    _let_time_pass(eight, attempts[-1] - now)
    assert on_all(eight, lambda worker: worker.start_get()) == {"200": _PROCESSES}
    assert site.token_requests == (len(attempts) - 1) * each + 1
    assert (site.refreshes, site.reuses) == (1, 0)
    assert site.generation(store.load()) == 1


@pytest.mark.parametrize("site", ["accept"], indirect=True)
@pytest.mark.parametrize("store_at", ["file"], indirect=True)
def test_a_lost_reply_costs_one_request_where_the_server_accepts_its_refresh_token_again(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    four = workers.start(4)
    assert on_all(four, lambda worker: worker.start_get()) == {"200": 4}
    site.expire_tokens()
    site.fault = site.lose_one_reply
    assert on_all(four, lambda worker: worker.start_get()) == {"200": 4}
    assert (site.token_requests, site.refreshes, site.reuses) == (2, 2, 1)
    assert site.generation(store.load()) == 2


def test_a_process_that_backs_off_goes_on_with_what_a_stranger_has_got_meanwhile(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """The server asked to wait for an hour; then it answered a program that knows no pause."""
    waiting, other = workers.start(2, clock_stands=True)
    assert on_all([waiting, other], lambda worker: worker.start_get()) == {"200": 2}
    site.expire_tokens()
    site.fault = unavailable(retry_after=3600)
    assert on_all([waiting, other], lambda worker: worker.start_get()) == {"RefreshFailedError": 2}
    assert site.token_requests == 1
    site.fault = None
    rotate(site, store)
    _let_time_pass([waiting, other], 1.0)
    assert on_all([waiting, other], lambda worker: worker.start_get()) == {"200": 2}
    assert (site.token_requests, site.refreshes, site.reuses) == (2, 1, 0)


def _let_time_pass(workers: list[Worker], seconds: float) -> None:
    for worker in workers:
        worker.advance(seconds)
