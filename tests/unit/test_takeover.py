"""Rule 7: nobody is left behind. Interrupts, forks, and a refresher that calls itself."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    MemoryTokenStore,
    RefreshFailedError,
    StoreUnavailableError,
    Token,
)
from requests_tokenrefresh.events import RefreshEnded, RefreshStarted
from tests.support.doors import (
    INTO_A_FLIGHT,
    OUT_OF_A_FLIGHT,
    flying,
    holding_the_lock,
    lock_is_free,
)
from tests.support.logins import DATA, Clock, Heard, Refresher, make_source, wait_for_waiters
from tests.support.threads import start_together
from tests.support.troubled_store import Store


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_when_the_leader_is_interrupted_a_waiter_takes_over(interrupt: type[BaseException]) -> None:
    heard, refresher = Heard(), Refresher(interrupt())
    refresher.gate.clear()
    source = make_source(refresher, listeners=[heard])
    old = source.token()
    callers = start_together(10, lambda: source.refresh(old))
    wait_for_waiters(source, 9)
    refresher.gate.set()
    outcomes = callers.outcomes()
    assert [type(o.error) for o in outcomes if o.error] == [interrupt]
    assert {o.value.access_token for o in outcomes if o.value} == {"access-2"}
    assert len(refresher.calls) == 2
    assert [e.outcome for e in heard.of(RefreshEnded)] == ["abandoned", "refreshed"]  # type: ignore[attr-defined]
    assert len(heard.of(RefreshStarted)) == 2


def test_an_interrupt_between_publication_and_trial_lets_the_waiters_go() -> None:
    def interrupt(event: object) -> None:
        if isinstance(event, RefreshEnded):
            raise KeyboardInterrupt

    source = make_source(trial_timeout=60, listeners=[interrupt])
    old = source.token()
    with pytest.raises(KeyboardInterrupt):
        source.reject(old, DATA)
    assert source.token().access_token == "access-1"


def test_the_refreshing_thread_knows_that_it_is() -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(source.refreshing_here())
        seen.extend(in_another_thread(source.refreshing_here))

    source = make_source(Refresher(look))
    source.refresh(source.token())
    assert seen == [True, False]
    assert not source.refreshing_here()


def in_another_thread(function: Callable[[], bool]) -> list[bool]:
    return [outcome.result() for outcome in start_together(1, function).outcomes()]


def test_a_refresher_that_asks_its_own_source_gets_an_error_and_no_deadlock() -> None:
    refresher = Refresher(lambda: source.token())
    source = make_source(refresher)
    with pytest.raises(RefreshFailedError, match="must work without one"):
        source.refresh(source.token())


def test_a_refresher_may_ask_for_the_current_token_while_it_still_works() -> None:
    """An early refresh stops nobody, not even itself."""
    seen: list[str] = []

    def refresh(_token: Token | None) -> str:
        seen.append(source.token().access_token)
        return "new"

    clock = Clock()
    source = make_source(refresh, clock=clock)
    clock.advance(3580)
    assert source.token().access_token == "new"
    assert seen == ["access-0"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_fork_the_child_starts_without_a_flight(tmp_path: object) -> None:
    refresher = Refresher()
    source = make_source(refresher, store=FileTokenStore(f"{tmp_path}/token.json"))
    old = source.token()
    refresher.gate.clear()
    leader = start_together(1, lambda: source.refresh(old))
    assert refresher.started.wait(5)
    with holding_the_lock(source):
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: the point here
            child = os.fork()
        if child == 0:
            answer = b"?"
            try:
                free = flying(source) is None and lock_is_free(source)
                answer = b"free" if free else b"stuck"
            finally:
                os.write(writing, answer)
                os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"free"
    os.waitpid(child, 0)
    refresher.gate.set()
    leader.outcomes()


def test_a_thread_that_leads_may_ask_again_while_its_token_is_on_trial() -> None:
    source = make_source(trial_timeout=60)
    old = source.token()
    new = source.reject(old, DATA)
    assert source.reject(old, DATA) is new


@pytest.mark.parametrize("where", INTO_A_FLIGHT, ids=["opened", "about to lead"])
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, TimeoutError])
def test_an_interrupt_on_the_way_into_a_flight_strands_nobody(
    where: tuple[str, str], early: bool, interrupt: type[BaseException]
) -> None:
    """Python looks for signals where a function begins, and a handler may raise any exception."""
    clock = Clock()
    source = make_source(clock=clock, monotonic=time.monotonic, wait_timeout=5)
    old = source.token()
    if early:
        clock.advance(3580)

    def handler(frame: FrameType, event: str, _argument: object) -> None:
        if (event, frame.f_code.co_name) == where:
            raise interrupt

    sys.setprofile(handler)
    try:
        with pytest.raises(interrupt):
            source.token() if early else source.refresh(old)
    finally:
        sys.setprofile(None)
    others = start_together(3, lambda: source.refresh(old)).outcomes(timeout=4)
    assert {o.result().access_token for o in others} == {"access-1"}


@pytest.mark.parametrize("where", OUT_OF_A_FLIGHT)
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, TimeoutError])
def test_an_interrupt_while_a_new_token_is_published_strands_nobody(
    where: tuple[str, str], interrupt: type[BaseException]
) -> None:
    refresher = Refresher()
    source = make_source(refresher, monotonic=time.monotonic, wait_timeout=5)
    old = source.token()

    def handler(frame: FrameType, event: str, _argument: object) -> None:
        if (event, frame.f_code.co_name) == where:
            sys.setprofile(None)  # one signal
            raise interrupt

    def reject() -> Token | None:
        sys.setprofile(handler)
        try:
            return source.reject(old, DATA)
        finally:
            sys.setprofile(None)

    [first] = start_together(1, reject).outcomes(timeout=4)
    others = start_together(3, lambda: source.refresh(old)).outcomes(timeout=4)
    assert {o.result().access_token for o in others} == {"access-1"}
    assert len(refresher.calls) == 1
    if interrupt is KeyboardInterrupt:
        assert isinstance(first.error, KeyboardInterrupt)
    else:  # it ends where an error of the store would
        assert first.result() == others[0].result()


def callers(frame: FrameType) -> list[str]:
    """Return the names of the function that begins, and of the one that has called it."""
    return [frame.f_code.co_name, "" if frame.f_back is None else frame.f_back.f_code.co_name]


def test_an_interrupt_while_those_who_wait_are_woken_lets_nobody_sleep_on() -> None:
    refresher = Refresher()
    source = make_source(refresher, monotonic=time.monotonic, wait_timeout=60)
    old = source.token()
    refresher.gate.clear()

    def handler(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and callers(frame) == ["notify", "_become"]:
            sys.setprofile(None)  # one signal
            raise KeyboardInterrupt

    def refresh() -> Token:
        sys.setprofile(handler)
        try:
            return source.refresh(old)
        finally:
            sys.setprofile(None)

    leader = start_together(1, refresh)
    assert refresher.started.wait(5)
    waiters = start_together(9, lambda: source.refresh(old))
    wait_for_waiters(source, 9)
    refresher.gate.set()
    assert {o.result().access_token for o in waiters.outcomes(timeout=10)} == {"access-1"}
    assert isinstance(leader.outcomes()[0].error, KeyboardInterrupt)


def test_an_interrupt_while_saving_does_not_lose_the_new_token() -> None:
    """Its refresh token exists nowhere else, and the old one is spent."""

    class Interrupted(MemoryTokenStore):
        def save(self, token: Token) -> None:
            if token.access_token == "access-1":
                raise KeyboardInterrupt
            super().save(token)

    refresher = Refresher()
    source = make_source(refresher, store=Interrupted())
    old = source.token()
    with pytest.raises(KeyboardInterrupt):
        source.refresh(old)
    assert source.refresh(old).access_token == "access-1"
    assert len(refresher.calls) == 1


def test_an_interrupt_while_saving_goes_on_also_where_saving_fails_then() -> None:
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store)
    old = source.token()

    def interrupt() -> None:
        store.fails["save"] = StoreUnavailableError("down")
        raise KeyboardInterrupt

    store.before["save"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        source.refresh(old)
    assert source.refresh(old).access_token == "access-1"
    assert len(refresher.calls) == 1


def test_an_early_refresh_that_was_interrupted_is_tried_again() -> None:
    clock, refresher = Clock(), Refresher(KeyboardInterrupt())
    source = make_source(refresher, clock=clock)
    clock.advance(3580)
    with pytest.raises(KeyboardInterrupt):
        source.token()
    assert source.token().access_token == "access-0"
    clock.advance(1)
    assert source.token().access_token == "access-2"


def test_a_store_whose_lock_swallows_errors_strands_nobody() -> None:
    class Swallowing(MemoryTokenStore):
        @contextmanager
        def lock(self, timeout: float) -> Iterator[None]:
            with suppress(Exception), super().lock(timeout):
                yield

    heard = Heard()
    source = make_source(Refresher(RefreshFailedError("no")), store=Swallowing(), listeners=[heard])
    assert source.refresh(source.token()).access_token == "access-2"
    outcomes = [event.outcome for event in heard.of(RefreshEnded)]  # type: ignore[attr-defined]
    assert outcomes == ["transient", "refreshed"]


def exit_code_of_a_fork(function: Callable[[], bool]) -> int:
    """Fork; return 0 if *function* returns True in the child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: the point here
        child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if function() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_was_forked_during_an_early_refresh_refreshes_early_itself(
    tmp_path: object,
) -> None:
    clock, heard, refresher = Clock(), Heard(), Refresher()
    store = FileTokenStore(f"{tmp_path}/token.json")
    source = make_source(refresher, clock=clock, store=store, listeners=[heard])
    clock.advance(3580)
    refresher.gate.clear()
    leader = start_together(1, source.token)
    assert refresher.started.wait(5)

    def early_refreshes_once_asked() -> int:
        assert source.token().access_token == "access-0"
        return [event.why for event in heard.of(RefreshStarted)].count("early")  # type: ignore[attr-defined]

    assert early_refreshes_once_asked() == 1
    assert exit_code_of_a_fork(lambda: early_refreshes_once_asked() == 2) == 0
    refresher.gate.set()
    leader.outcomes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_refreshes_early_no_sooner_than_its_parent() -> None:
    heard = Heard()
    source = make_source(listeners=[heard])
    source.token()

    def goes_on() -> bool:
        return source.token().access_token == "access-0" and not heard.of(RefreshStarted)

    assert exit_code_of_a_fork(goes_on) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_saves_at_once_what_its_parent_could_not() -> None:
    """It may be short-lived, or the only one that goes on."""
    store = Store()
    source = make_source(store=store)
    store.fails["save"] = StoreUnavailableError("down")
    source.refresh(source.token())
    del store.fails["save"]

    def saves() -> bool:
        return source.token().access_token == "access-1" and store.saved[-1] == "access-1"

    assert exit_code_of_a_fork(saves) == 0
    assert store.saved == ["access-0"]
