"""Nobody is left behind, and no token is lost: interrupts and forks around what a store does."""

from __future__ import annotations

import os
import threading
import warnings
from pathlib import Path

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    StoreUnavailableError,
    Token,
)
from requests_tokenrefresh.events import Event, RefreshStarted
from tests.support.logins import DATA, Clock, Refresher, make_source
from tests.support.threads import start_together
from tests.support.troubled_store import Store, siblings

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def interrupt() -> None:
    raise KeyboardInterrupt


def fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: the point here
        return os.fork()


def test_an_interrupt_after_a_failed_save_does_not_lose_the_new_token() -> None:
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store)
    old = source.token()
    store.before["save"] = lambda: store.before.update(load=interrupt)
    store.fails["save"] = StoreUnavailableError("down")
    with pytest.raises(KeyboardInterrupt):
        source.refresh(old)
    assert source.refresh(old).access_token == "access-1"
    assert len(refresher.calls) == 1


def test_the_new_token_of_an_interrupted_leader_yields_to_what_has_been_stored_since() -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)
    store.before["save"] = interrupt
    store.fails["save"] = StoreUnavailableError("down")
    with pytest.raises(KeyboardInterrupt):
        source.refresh(source.token())
    store.fails.clear()
    store.save(siblings())
    clock.advance(1)
    source.token()
    assert source.token() == store.load() == siblings()


@pytest.mark.parametrize("what", ["load", "save"])
def test_an_interrupt_after_the_answer_does_not_keep_it_out_of_the_store(what: str) -> None:
    """The program may end with it, and the refresh token that is stored is spent."""
    store = Store()

    def answer() -> None:
        store.before[what] = interrupt

    source = make_source(Refresher(answer), store=store)
    with pytest.raises(KeyboardInterrupt):
        source.refresh(source.token())
    assert store.load() == source.token() == Token("access-1", "refresh-1")


def test_the_new_token_of_an_interrupted_leader_was_issued_and_is_no_old_one() -> None:
    store = Store()
    source = make_source(store=store)
    store.before["save"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        source.refresh(source.token())
    new = source.token()
    assert source.refuse(new, DATA) is True  # an old one would be refreshed
    assert source.token() is new


def test_a_save_that_is_interrupted_is_finished_first() -> None:
    """Whoever is interrupted mostly ends, and with him what only he knows."""
    store = Store()
    source = make_source(store=store)
    old = source.token()
    store.before["save"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        source.refresh(old)
    assert store.load() == Token("access-1", "refresh-1")


def test_an_interrupt_while_the_lock_is_given_back_ends_the_trial() -> None:
    """The new token is saved and in use then, and its leader will not send anything."""
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store)
    old = source.token()
    store.fails["unlock"] = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        source.reject(old, DATA)
    new = source.token()
    assert (new.access_token, source.on_trial(new)) == ("access-1", False)
    assert source.reject(old, DATA) is new
    assert len(refresher.calls) == 1


def test_a_displaced_leader_that_is_interrupted_leaves_the_new_login_in_the_store() -> None:
    store = Store()
    source = make_source(store=store)

    def log_in_meanwhile() -> None:
        source.login("newer")
        store.before["save"] = interrupt  # of the leader, once its own late write is done

    store.before["save"] = log_in_meanwhile
    with pytest.raises(KeyboardInterrupt):
        source.refresh(source.token())
    assert store.saved == ["access-0", "newer", "access-1", "newer"]


def test_an_interrupt_of_a_displaced_leaders_last_write_leaves_no_turn_behind() -> None:
    store = Store()

    def log_in() -> None:
        source.login("newer")
        store.before["save"] = interrupt

    source = make_source(Refresher(log_in), store=store)
    with pytest.raises(KeyboardInterrupt):
        source.refresh(source.token())
    assert not source.refreshing_here()
    store.patience.clear()
    source.login("newest")
    assert store.patience == [30.0]  # beside a leader it would take no lock


@needs_fork
def test_a_child_forked_by_the_refresher_does_not_put_the_spent_token_back(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "token.json")
    parent, saved, forked = os.getpid(), os.pipe(), list[int]()

    def refresh(_token: Token | None) -> str:
        forked.append(fork())
        if os.getpid() == parent:
            return "new"
        os.close(saved[1])
        os.read(saved[0], 1)  # until the parent has saved
        raise SystemExit

    source = make_source(refresh, store=store)
    try:
        source.refresh(source.token())
    finally:
        if os.getpid() != parent:
            os._exit(0)
    for end in saved[::-1]:
        os.close(end)
    assert os.waitstatus_to_exitcode(os.waitpid(forked[0], 0)[1]) == 0
    assert store.load() == Token("new", "refresh-0")


@needs_fork
def test_a_child_saves_what_its_parent_could_not() -> None:
    parent, about_to, go_on = os.getpid(), threading.Event(), threading.Event()

    def hold(event: Event) -> None:
        if isinstance(event, RefreshStarted) and event.why == "early" and os.getpid() == parent:
            about_to.set()
            assert go_on.wait(10)

    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock, listeners=[hold])
    store.fails["save"] = StoreUnavailableError("down")
    source.refresh(source.token())
    clock.advance(1)
    saving = start_together(1, source.token)
    assert about_to.wait(5)
    child = fork()
    if child == 0:
        stored = None
        try:
            store.fails.clear()
            source.token()
            stored = store.load()
        finally:
            os._exit(0 if stored == Token("access-1", "refresh-1") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    go_on.set()
    assert saving.outcomes()[0].result().access_token == "access-1"
