"""What is left to a leader when login() or logout() has taken the place of its flight: nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from requests_tokenrefresh import (
    LoginRequiredError,
    MemoryTokenStore,
    RefreshFailedError,
    StoreLockLostError,
    StoreUnavailableError,
    Token,
)
from requests_tokenrefresh.events import Event, LoggedIn, RefreshEnded
from tests.support.logins import START, Clock, Heard, Refresher, make_source
from tests.support.threads import Callers, Outcome, run_together, start_together
from tests.support.troubled_store import Store, siblings

REFUSED = LoginRequiredError("refused", reason="invalid_grant")
EXPIRED = Token("imported", "refresh-i", issued_at=START - 3600, expires_at=START - 1)


def elsewhere(function: Callable[[], object]) -> Outcome[object]:
    """Call *function* on another thread and return how that ended."""
    return run_together(1, function)[0]


def outcomes(heard: Heard) -> list[str]:
    return [event.outcome for event in heard.of(RefreshEnded)]  # type: ignore[attr-defined]


# -- what it was about to do ----


@pytest.mark.parametrize("newer", [None, "newer"], ids=["logout", "login"])
def test_a_leader_that_was_displaced_in_the_queue_writes_nothing_when_its_turn_comes(
    newer: str | None,
) -> None:
    """By then a sibling has stored what follows."""
    heard, store = Heard(), Store()
    source = make_source(store=store, listeners=[heard])
    old = source.token()

    def while_it_queues() -> None:
        source.login(newer) if newer else source.logout()
        store.save(siblings())

    store.before["lock"] = while_it_queues
    with suppress(LoginRequiredError):
        source.refresh(old)
    assert store.load() == siblings()
    assert outcomes(heard) == ["discarded"]


def test_a_leader_that_was_displaced_during_its_glance_does_not_queue() -> None:
    heard, store = Heard(), Store()
    source = make_source(store=store, listeners=[heard])
    old = source.token()
    store.save(siblings())
    store.after["load"] = lambda: source.login("newer")
    store.patience.clear()
    assert source.refresh(old) == Token("newer")
    assert store.patience == [30.0]  # login()'s own
    assert outcomes(heard) == ["discarded"]


def test_what_is_found_at_a_glance_does_not_outlive_a_logout_meanwhile() -> None:
    store = Store()
    source = make_source(store=store)
    store.save(siblings())
    store.after["load"] = source.logout
    with pytest.raises(LoginRequiredError, match="logged out by logout"):
        source.refresh(source.token())
    assert store.load() is None


def test_a_displaced_leader_does_not_spend_the_refresh_token_of_the_login_that_came() -> None:
    heard, store, refresher = Heard(), Store(), Refresher()
    source = make_source(refresher, store=store, listeners=[heard])
    old = source.token()

    def when_its_turn_has_come() -> None:
        store.before["load"] = lambda: elsewhere(lambda: source.login(EXPIRED))

    store.before["lock"] = when_its_turn_has_come
    assert source.refresh(old).access_token == "access-1"
    assert refresher.calls == [EXPIRED]
    assert outcomes(heard) == ["discarded", "refreshed"]


def test_who_waited_for_a_displaced_flight_does_not_get_an_expired_token() -> None:
    def log_in() -> None:
        source.login(EXPIRED)

    source = make_source(Refresher(log_in))
    assert source.refresh(source.token()).access_token == "access-2"


def test_the_unattended_login_is_not_called_after_a_logout_during_the_refresh() -> None:
    def refuse_after_a_logout() -> LoginRequiredError:
        source.logout()
        return REFUSED

    logins = Refresher("fresh")
    source = make_source(Refresher(refuse_after_a_logout), login=logins)
    with pytest.raises(LoginRequiredError, match="logged out by logout"):
        source.refresh(source.token())
    assert logins.calls == []


@pytest.mark.parametrize("failure", [REFUSED, RefreshFailedError("503"), OSError("reset")])
def test_a_displaced_flight_is_told_as_discarded_however_it_failed(failure: Exception) -> None:
    heard = Heard()

    def fail_after_a_logout() -> Exception:
        source.logout()
        return failure

    source = make_source(Refresher(fail_after_a_logout), listeners=[heard])
    with pytest.raises(LoginRequiredError, match="logged out by logout"):
        source.refresh(source.token())
    assert outcomes(heard) == ["discarded"]


def test_a_displaced_leader_is_refreshing_here_until_it_leaves() -> None:
    """Its requests pass through, instead of waiting for what it holds up."""
    seen: list[bool] = []

    def log_in() -> None:
        source.login("newer")
        seen.append(source.refreshing_here())
        seen.append(run_together(1, source.refreshing_here)[0].result())

    source = make_source(Refresher(log_in))
    source.refresh(source.token())
    assert seen == [True, False]
    assert not source.refreshing_here()


# -- what it has written ----


def test_what_a_leader_saves_after_a_logout_is_not_taken_for_a_new_login() -> None:
    store, seen = Store(), list[Outcome[object]]()
    source = make_source(store=store)
    store.before["save"] = lambda: elsewhere(source.logout)
    store.after["save"] = lambda: seen.append(elsewhere(source.token))
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    assert isinstance(seen[0].error, LoginRequiredError)
    assert store.load() is None


def test_what_a_leader_saved_after_a_logout_and_could_not_clear_is_no_new_login_either() -> None:
    store = Store()
    source = make_source(store=store)
    store.before["save"] = lambda: elsewhere(source.logout)
    store.after["save"] = lambda: store.fails.update(clear=StoreUnavailableError("down"))
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    assert store.load() == Token("access-1", "refresh-1")
    with pytest.raises(LoginRequiredError):
        source.token()


def test_a_displaced_leader_that_cannot_clear_a_refused_token_leaves_the_new_login_alone() -> None:
    clock, store = Clock(), Store()

    def refuse_after_a_login() -> LoginRequiredError:
        source.login("newer")
        store.fails["clear"] = StoreUnavailableError("down")
        store.save(Token("access-0", "refresh-0"))  # a sibling that ignores the lock
        return REFUSED

    source = make_source(Refresher(refuse_after_a_login), store=store, clock=clock)
    newer = source.refresh(source.token())
    assert (newer, store.load()) == (Token("newer"), Token("newer"))
    store.fails.clear()
    store.clear()  # another process logs out, and in again
    with pytest.raises(LoginRequiredError, match="emptied by another process"):
        source.refresh(newer)
    store.save(siblings())
    clock.advance(1)
    assert source.token() == siblings()


# -- a store with a fence ----


class Fenced(Store):
    """A write from outside the turn supersedes it: its own are refused from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.holder: int | None = None
        self.superseded = False

    def _do(self, what: str) -> None:
        super()._do(what)
        if what not in ("save", "clear"):
            return
        if self.holder == threading.get_ident() and self.superseded:
            raise StoreLockLostError("too late")
        self.superseded = self.holder not in (None, threading.get_ident())

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        with super().lock(timeout):
            self.holder, self.superseded = threading.get_ident(), False
            yield
            self.holder = None


def test_a_login_during_a_flight_stands_where_the_store_refuses_the_leaders_late_write() -> None:
    store = Fenced()
    refresher = Refresher(lambda: elsewhere(lambda: source.login("newer")).result())
    source = make_source(refresher, store=store)
    assert source.refresh(source.token()) == Token("newer")
    assert store.load() == Token("newer")


def test_after_a_logout_that_superseded_the_leader_a_login_elsewhere_is_found() -> None:
    clock, store = Clock(), Fenced()
    source = make_source(store=store, clock=clock)
    old = source.token()

    def when_its_turn_has_come() -> None:
        store.after["load"] = lambda: elsewhere(source.logout)

    store.before["lock"] = when_its_turn_has_come
    with pytest.raises(LoginRequiredError):
        source.refresh(old)
    assert store.load() is None
    store.save(siblings())
    clock.advance(1)
    assert source.token() == siblings()


def test_nobody_adopts_what_a_displaced_leader_has_written_last() -> None:
    store, moved_on = Store(), threading.Event()
    leaders: list[Callers[Token]] = []

    def refresh_the_newer() -> None:
        store.after["load"] = store.before["lock"] = moved_on.set
        leaders.append(start_together(1, lambda: source.refresh(source.token())))
        assert moved_on.wait(10)

    def log_in() -> None:
        elsewhere(lambda: source.login("newer")).result()
        store.after["save"] = refresh_the_newer

    source = make_source(Refresher(lambda: store.before.update(save=log_in)), store=store)
    assert source.refresh(source.token()).access_token == "access-2"
    assert leaders[0].outcomes()[0].result().access_token == "access-2"
    assert store.saved[-3:] == ["access-1", "newer", "access-2"]


# -- a write of login() beside a leader, which outlasts the leader ----


@pytest.mark.parametrize("sibling", [False, True])
def test_a_slow_write_of_a_login_does_not_stay_over_its_refresh(sibling: bool) -> None:
    """What another process has stored after it stays."""
    store, writing, land, moved_on = Store(), *(threading.Event() for _ in range(3))

    def stall() -> None:
        writing.set()
        assert land.wait(10)

    def log_in() -> None:
        store.before["save"] = stall
        source.login(EXPIRED)
        moved_on.set()

    def queue() -> None:
        if sibling:
            MemoryTokenStore.save(store, siblings())
        moved_on.set()

    def when_the_next_has_saved() -> None:
        store.before["lock"] = queue
        land.set()
        assert moved_on.wait(10)

    refresher = Refresher(None, lambda: store.after.update(save=when_the_next_has_saved))
    source = make_source(refresher, store=store)
    old = source.token()
    refresher.gate.clear()
    leader = start_together(1, lambda: source.refresh(old))
    assert refresher.started.wait(5)
    login = start_together(1, log_in)
    assert writing.wait(5)
    refresher.gate.set()
    assert leader.outcomes()[0].result().access_token == "access-2"
    login.outcomes()[0].result()
    since = store.saved[store.saved.index("access-2") :]
    assert since == ["access-2", "imported"] + ([] if sibling else ["access-2"])
    assert store.load() == (siblings() if sibling else Token("access-2", "refresh-2"))


@pytest.mark.parametrize("sibling", [False, True])
def test_a_login_that_is_saved_last_does_not_come_after_its_refresh(sibling: bool) -> None:
    """Its leader has saved both tokens, and nobody knows the second yet. What another process has
    made of that stays, too."""
    store, saved, moved_on = Store(), threading.Event(), threading.Event()
    leaders: list[Callers[Token]] = []

    def queue() -> None:
        moved_on.set()
        assert leaders[0].outcomes()[0].result().access_token == "access-1"
        if sibling:
            MemoryTokenStore.save(store, siblings())

    def when_the_leader_has_saved() -> None:
        store.before["lock"] = queue
        saved.set()
        assert moved_on.wait(10)

    def refresh_at_once(event: Event) -> None:
        if isinstance(event, LoggedIn):
            leaders.append(start_together(1, lambda: source.refresh(source.token())))
            assert saved.wait(10)

    refresher = Refresher(lambda: store.after.update(save=when_the_leader_has_saved))
    source = make_source(refresher, store=store, logged_in=False, listeners=[refresh_at_once])
    source.login(Token("newer", "refresh-n"))
    moved_on.set()
    leaders[0].outcomes()
    assert source.token() == Token("access-1", "refresh-1")
    assert store.load() == (siblings() if sibling else source.token())


def test_a_slow_write_of_a_login_that_nobody_has_refreshed_waits_for_no_lock() -> None:
    store, writing, land = Store(), threading.Event(), threading.Event()

    def stall() -> None:
        writing.set()
        assert land.wait(10)

    refresher = Refresher()
    source = make_source(refresher, store=store)
    old = source.token()
    refresher.gate.clear()
    leader = start_together(1, lambda: source.refresh(old))
    assert refresher.started.wait(5)
    store.before["save"] = stall
    login = start_together(1, lambda: source.login("newer"))
    assert writing.wait(5)
    refresher.gate.set()
    leader.outcomes()[0].result()
    store.busy = True
    land.set()
    login.outcomes()[0].result()
    assert store.load() == Token("newer")
