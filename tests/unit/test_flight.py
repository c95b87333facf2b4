"""Rules 1 to 4 of the flight: the hot path, naming the rejected token, the leader, the trial."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from requests_tokenrefresh import (
    MemoryTokenStore,
    RefreshFailedError,
    Token,
)
from requests_tokenrefresh.events import RefreshEnded, RefreshStarted, WaitEnded
from tests.support.doors import (
    flying,
    let_waits_end_too_late,
    lock_is_free,
    without_the_lock,
)
from tests.support.logins import (
    DATA,
    START,
    Clock,
    Heard,
    Refresher,
    first_token,
    make_source,
    wait_for_waiters,
)
from tests.support.threads import run_together, start_together, wait_until

# -- 1: the hot path ---------------------------------------------------------------------------


def test_a_good_token_is_returned_without_taking_the_lock() -> None:
    source = make_source()
    with without_the_lock(source):
        assert source.token().access_token == "access-0"


def test_accepting_a_proven_token_takes_no_lock() -> None:
    source = make_source()
    token = source.token()
    assert source.learns_from(token) is True
    source.accept(token, DATA)
    with without_the_lock(source):
        assert source.learns_from(token) is False


# -- 2: name the token you reject --------------------------------------------------------------


def test_refresh_returns_another_token_than_the_rejected_one() -> None:
    refresher = Refresher()
    source = make_source(refresher)
    assert source.refresh(source.token()).access_token == "access-1"
    assert [token and token.refresh_token for token in refresher.calls] == ["refresh-0"]


def test_a_late_rejection_refreshes_nothing() -> None:
    refresher = Refresher()
    source = make_source(refresher)
    old = source.token()
    new = source.refresh(old)
    assert source.refresh(old) is new
    assert source.reject(old, DATA) is new
    assert len(refresher.calls) == 1


def test_generations_are_told_apart_when_the_endpoint_returns_the_same_string() -> None:
    refresher = Refresher("access-0", "access-0")
    source = make_source(refresher)
    old = source.token()
    new = source.refresh(old)
    assert (new.access_token, new is old) == (old.access_token, False)
    assert source.refresh(old) is new
    assert len(refresher.calls) == 1


def test_a_refresher_that_returns_the_rejected_object_makes_a_new_generation() -> None:
    source = make_source(lambda token: token)
    old = source.token()
    assert source.refresh(old) is not old


def test_a_reply_without_a_refresh_token_keeps_the_old_one() -> None:
    source = make_source(Refresher({"access_token": "b"}, "c", Token("d")))
    tokens = [source.token()]
    for _ in range(3):
        tokens.append(source.refresh(tokens[-1]))
    assert [(t.access_token, t.refresh_token) for t in tokens[1:]] == [
        ("b", "refresh-0"),
        ("c", "refresh-0"),
        ("d", "refresh-0"),
    ]


def test_a_rejected_token_is_not_handed_out_again() -> None:
    """Requests that have not left yet wait for the flight that a 401 has opened."""
    refresher = Refresher()
    refresher.gate.clear()
    source = make_source(refresher)
    old = source.token()
    leader = start_together(1, lambda: source.refresh(old))
    assert refresher.started.wait(5)
    later = start_together(20, source.token)
    wait_for_waiters(source, 20)
    refresher.gate.set()
    assert {outcome.result().access_token for outcome in later.outcomes()} == {"access-1"}
    assert leader.outcomes()[0].result().access_token == "access-1"
    assert len(refresher.calls) == 1


def test_refresh_takes_the_token_object_and_nothing_else() -> None:
    with pytest.raises(TypeError, match=r"the Token object that token\(\) returned, got str"):
        make_source().refresh("access-0")  # type: ignore[arg-type]


# -- 3: one leader -----------------------------------------------------------------------------


def test_fifty_rejections_cause_one_refresh() -> None:
    """Forty-nine waiters share the leader's token."""
    heard, refresher = Heard(), Refresher()
    refresher.gate.clear()
    source = make_source(refresher, listeners=[heard])
    old = source.token()
    callers = start_together(50, lambda: source.refresh(old))
    wait_for_waiters(source, 49)
    refresher.gate.set()
    tokens = [outcome.result() for outcome in callers.outcomes()]
    assert len({id(token) for token in tokens}) == 1
    assert len(refresher.calls) == 1
    assert len(heard.of(RefreshStarted)) == 1


def test_how_long_a_caller_has_waited_is_told() -> None:
    clock, heard, refresher = Clock(), Heard(), Refresher()
    refresher.gate.clear()
    source = make_source(refresher, clock=clock, listeners=[heard])
    old = source.token()
    callers = start_together(2, lambda: source.refresh(old))
    wait_for_waiters(source, 1)
    clock.advance(2.5)
    refresher.gate.set()
    callers.outcomes()
    (ended,) = heard.of(WaitEnded)
    assert ended.at == START + 2.5
    assert ended.seconds == 2.5  # type: ignore[attr-defined]


def test_the_lock_is_free_while_foreign_code_runs() -> None:
    """The store, the refresher, the listeners and on_logout are called without it."""
    seen: list[str] = []

    def look(what: str) -> None:
        if lock_is_free(source):
            seen.append(what)

    class Store(MemoryTokenStore):
        def load(self) -> Token | None:
            look("load")
            return super().load()

        def save(self, token: Token) -> None:
            look("save")
            super().save(token)

        def clear(self) -> None:
            look("clear")
            super().clear()

        def lock(self, timeout: float) -> Any:
            look("lock")
            return super().lock(timeout)

    refresher = Refresher(lambda: look("refresher"))
    source = make_source(
        refresher,
        store=Store(),
        logged_in=False,
        on_logout=lambda _: look("on_logout"),
        listeners=[lambda event: look(type(event).__name__)],
    )
    source.login(first_token())
    source.refresh(source.token())
    source.logout()
    assert seen == [
        *("LoggedIn", "lock", "save"),
        *("RefreshStarted", "lock", "load", "refresher", "load", "save", "RefreshEnded"),
        *("lock", "clear", "LoggedOut", "on_logout"),
    ]


def test_a_listener_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()

    def broken(_event: object) -> None:
        raise ZeroDivisionError

    source = make_source(listeners=[broken, heard])
    source.refresh(source.token())
    assert [type(event).__name__ for event in heard.events] == [
        "LoggedIn",
        "RefreshStarted",
        "RefreshEnded",
    ]
    assert "a listener raised" in caplog.text


# -- 4: trial first, then the crowd ------------------------------------------------------------


def stage_a_trial(**options: Any) -> Any:
    """Return a source, the leader's new token on trial, and 20 callers that wait for it."""
    source = make_source(clock=Clock(), monotonic=time.monotonic, **options)
    old = source.token()
    new = source.reject(old, DATA)
    waiters = start_together(20, lambda: source.reject(old, DATA))
    return source, new, waiters


def test_waiters_wait_for_the_trial_and_go_when_it_is_accepted() -> None:
    source, new, waiters = stage_a_trial(trial_timeout=60)
    wait_for_waiters(source, 20)
    assert source.on_trial(new)
    assert waiters.running == 20
    source.accept(new, DATA)
    assert all(outcome.result() is new for outcome in waiters.outcomes())
    assert not source.on_trial(new)
    assert source.token() is new


def test_requests_that_have_not_left_wait_for_the_trial_too() -> None:
    source, new, waiters = stage_a_trial(trial_timeout=60)
    later = start_together(5, source.token)
    wait_for_waiters(source, 25)
    source.accept(new, DATA)
    assert all(outcome.result() is new for outcome in later.outcomes() + waiters.outcomes())


def test_the_leader_itself_does_not_wait_for_its_own_trial() -> None:
    """A body that is made by another request of the same thread, say."""
    source = make_source(trial_timeout=60)
    new = source.reject(source.token(), DATA)
    assert source.token() is new
    assert source.on_trial(new)


def test_waiters_go_when_the_trial_has_no_verdict() -> None:
    source, new, waiters = stage_a_trial(trial_timeout=60)
    wait_for_waiters(source, 20)
    source.give_up(new)
    assert all(outcome.result() is new for outcome in waiters.outcomes())


def test_waiters_go_when_the_trial_takes_too_long() -> None:
    source, new, waiters = stage_a_trial(trial_timeout=0.05)
    assert all(outcome.result() is new for outcome in waiters.outcomes())
    assert not source.on_trial(new)


def test_a_waiter_that_wakes_to_an_expired_token_gets_the_next() -> None:
    clock = Clock()
    source = make_source(Refresher(lifetime=60), clock=clock, trial_timeout=60)
    old = source.token()
    new = source.reject(old, DATA)
    waiter = start_together(1, lambda: source.reject(old, DATA))
    wait_for_waiters(source, 1)
    clock.advance(60)  # the trial took that long
    source.accept(new, DATA)
    assert waiter.outcomes()[0].result().access_token == "access-2"


@pytest.mark.parametrize("state", ["being refreshed", "on trial"])
def test_a_waiter_that_wakes_to_a_token_that_was_rejected_waits_for_the_next(state: str) -> None:
    """In the moment between, others have used it, and have met a 401."""
    refresher, others = Refresher(), list[Any]()

    def meanwhile(event: object) -> None:
        if not isinstance(event, WaitEnded) or others:
            return
        if state == "being refreshed":
            refresher.gate.clear()
        others.append(start_together(1, lambda: source.reject(new, DATA)))
        wait_until(lambda: flying(source))
        if state == "on trial":
            others[0].outcomes()

    source = make_source(refresher, trial_timeout=60, listeners=[meanwhile])
    old = source.token()
    new = source.reject(old, DATA)
    waiter = start_together(1, lambda: source.reject(old, DATA))
    wait_for_waiters(source, 1)
    source.accept(new, DATA)
    wait_for_waiters(source, 1)
    refresher.gate.set()
    newest = others[0].outcomes()[0].result()
    source.accept(newest, DATA)
    assert waiter.outcomes()[0].result() is newest
    assert newest.access_token == "access-2"


def test_waiters_from_before_the_refresh_go_when_the_trial_takes_too_long() -> None:
    """They sleep without knowing when the trial will end; one of them is told, for all."""
    refresher = Refresher()
    refresher.gate.clear()
    source = make_source(refresher, monotonic=time.monotonic, trial_timeout=0.05)
    old = source.token()
    callers = start_together(20, lambda: source.reject(old, DATA))
    wait_for_waiters(source, 19)
    refresher.gate.set()
    outcomes = callers.outcomes(timeout=10)  # wait_timeout, which would do as well, is 30
    assert {outcome.result().access_token for outcome in outcomes} == {"access-1"}


def test_a_waiter_that_is_interrupted_hands_on_the_time_of_the_trial() -> None:
    refresher = Refresher()
    refresher.gate.clear()
    interrupted = threading.Event()

    def interrupting_monotonic() -> float:
        # The first waiter that asks how long the trial goes on is interrupted right there: it is
        # the first to look again, after all have lain down.
        if (
            refresher.gate.is_set()
            and threading.current_thread().name != leader_name[0]
            and not interrupted.is_set()
        ):
            interrupted.set()
            raise KeyboardInterrupt
        return time.monotonic()

    leader_name: list[str] = []
    refresher.answers.append(lambda: leader_name.append(threading.current_thread().name))
    source = make_source(refresher, trial_timeout=0.05, monotonic=interrupting_monotonic)
    old = source.token()
    callers = start_together(10, lambda: source.reject(old, DATA))
    wait_for_waiters(source, 9)
    refresher.gate.set()
    outcomes = callers.outcomes(timeout=10)
    assert interrupted.is_set()
    assert [type(o.error) for o in outcomes if o.error] == [KeyboardInterrupt]
    assert {o.value.access_token for o in outcomes if o.value} == {"access-1"}


def test_with_no_trial_timeout_nobody_waits_for_the_trial() -> None:
    source = make_source(trial_timeout=0)
    old = source.token()
    new = source.reject(old, DATA)
    assert not source.on_trial(new)
    assert run_together(3, lambda: source.reject(old, DATA))[0].result() is new


def test_the_public_refresh_opens_no_trial() -> None:
    source = make_source(trial_timeout=60)
    new = source.refresh(source.token())
    assert source.token() is new
    assert not source.on_trial(new)


def test_events_tell_how_a_flight_went() -> None:
    heard = Heard()
    source = make_source(listeners=[heard])
    source.refresh(source.token())
    (started,) = heard.of(RefreshStarted)
    (ended,) = heard.of(RefreshEnded)
    assert (started.why, ended.outcome) == ("reactive", "refreshed")
    assert started.thread == threading.current_thread().name


def test_a_late_401_that_meets_an_expired_token_is_replayed_with_the_new_one() -> None:
    clock = Clock()
    source = make_source(clock=clock)
    oldest = source.token()
    source.refresh(oldest)
    clock.advance(3600)
    assert source.reject(oldest, DATA).access_token == "access-2"


def test_an_adopted_token_that_is_refused_has_grown_old_and_ends_nothing() -> None:
    """A sibling stored it hours ago; its refusal says nothing about its refresh token."""
    store, refresher = MemoryTokenStore(), Refresher()
    source = make_source(refresher, store=store, trial_timeout=60)
    old = source.token()
    store.save(Token("siblings", "refresh-s"))
    adopted = source.reject(old, DATA)
    waiters = start_together(3, lambda: source.reject(old, DATA))
    wait_for_waiters(source, 3)
    assert source.refuse(adopted, DATA) is False
    assert source.reject(adopted, DATA).access_token == "access-1"
    source.accept(source.token(), DATA)
    assert {o.result().access_token for o in waiters.outcomes()} == {"access-1"}
    assert refresher.calls == [Token("siblings", "refresh-s")]


def test_an_adopted_token_that_is_refused_is_handed_to_nobody_any_more() -> None:
    store = MemoryTokenStore()
    source = make_source(store=store, trial_timeout=60)
    old = source.token()
    store.save(Token("siblings", "refresh-s"))
    adopted = source.reject(old, DATA)
    assert source.refuse(adopted, DATA) is False
    assert not source.on_trial(adopted)
    assert source.token().access_token == "access-1"


def test_a_waiter_waits_no_longer_for_a_trial_than_wait_timeout() -> None:
    source = make_source(monotonic=time.monotonic, wait_timeout=0.05, trial_timeout=60)
    old = source.token()
    new = source.reject(old, DATA)
    waiters = start_together(3, lambda: source.reject(old, DATA))
    assert {o.result().access_token for o in waiters.outcomes(timeout=10)} == {"access-1"}
    assert source.on_trial(new)


def test_who_has_waited_too_long_just_when_the_flight_lands_shares_what_came_of_it() -> None:
    """It can land between the end of the wait and the turn of who has waited."""
    refresher = Refresher(RefreshFailedError("the token endpoint is down"))
    refresher.gate.clear()
    source = make_source(refresher)
    old = source.token()
    leader = start_together(1, lambda: source.refresh(old))
    assert refresher.started.wait(5)
    let_waits_end_too_late(source)
    waiter = start_together(1, lambda: source.refresh(old))
    wait_for_waiters(source, 1)
    refresher.gate.set()
    errors = [callers.outcomes()[0].error for callers in (leader, waiter)]
    assert {type(error) for error in errors} == {RefreshFailedError}
    assert len(refresher.calls) == 1
