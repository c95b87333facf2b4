"""One login in many processes: what a source makes of what its siblings do with the store."""

from __future__ import annotations

import pytest

from requests_tokenrefresh import (
    LoginRequiredError,
    MemoryTokenStore,
    RefreshFailedError,
    StoreDataLostError,
    StoreUnavailableError,
    Token,
    TokenSource,
)
from requests_tokenrefresh.events import LoggedIn, RefreshEnded
from tests.support.logins import (
    DATA,
    START,
    Clock,
    Heard,
    Refresher,
    make_source,
)
from tests.support.troubled_store import Store, siblings

INVALID_GRANT = LoginRequiredError("refused", reason="invalid_grant")


def outcomes(heard: Heard) -> list[str]:
    return [event.outcome for event in heard.of(RefreshEnded)]  # type: ignore[attr-defined]


def next_token(source: TokenSource) -> str:
    """Return the access token that the next request goes out with."""
    return source.token().access_token


# -- a glance at the store, before queueing for its lock ----


def test_what_a_sibling_has_left_already_is_adopted_without_queueing_for_the_lock() -> None:
    heard, store, refresher = Heard(), Store(), Refresher()
    source = make_source(refresher, store=store, listeners=[heard])
    store.save(siblings())
    store.busy = True
    store.patience.clear()
    assert source.refresh(source.token()) == siblings()
    assert (refresher.calls, store.patience, outcomes(heard)) == ([], [], ["adopted"])


def test_an_early_refresh_finds_what_a_sibling_has_left_as_well() -> None:
    clock, store, refresher = Clock(), Store(), Refresher()
    source = make_source(refresher, store=store, clock=clock, random=lambda: 0.0)
    clock.advance(3300)
    store.save(Token("siblings", "refresh-s", issued_at=clock(), expires_at=clock() + 3600))
    store.busy = True
    assert next_token(source) == "siblings"
    assert refresher.calls == []


def test_a_glance_finds_nothing_new_and_the_lock_is_queued_for() -> None:
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store)
    store.patience.clear()
    assert source.refresh(source.token()).access_token == "access-1"
    assert store.patience == [30.0]


def test_a_store_may_send_requests_of_its_own_at_a_glance_and_in_turn() -> None:
    """They pass through the adapter, and those of the trial do not."""
    store, seen = Store(), list[bool]()
    source = make_source(store=store, trial_timeout=60)

    def look() -> None:
        seen.append(source.refreshing_here())
        store.before["lock"] = lambda: store.before.update(load=look_again)

    def look_again() -> None:
        seen.append(source.refreshing_here())

    store.before["load"] = look
    new = source.reject(source.token(), DATA)
    assert seen == [True, True]
    assert source.on_trial(new)
    assert not source.refreshing_here()


def test_a_store_that_only_this_process_has_is_not_glanced_at() -> None:
    class Counting(MemoryTokenStore):
        loads = 0

        def load(self) -> Token | None:
            self.loads += 1
            return super().load()

    store = Counting()
    source = make_source(store=store)
    source.refresh(source.token())
    assert store.loads == 1
    source.logout()
    with pytest.raises(LoginRequiredError):
        source.token()
    assert store.loads == 1


# -- a refresh that fails, while a sibling's does not ----


@pytest.mark.parametrize("retry_after", [0.5, 3600])
def test_who_backs_off_goes_on_with_what_a_sibling_has_got_meanwhile(retry_after: float) -> None:
    clock, store, heard = Clock(), Store(), Heard()
    refresher = Refresher(RefreshFailedError("503", retry_after=retry_after))
    source = make_source(refresher, store=store, clock=clock, listeners=[heard])
    old = source.token()
    with pytest.raises(RefreshFailedError):
        source.refresh(old)
    store.save(siblings())
    assert source.refresh(old) == siblings()
    assert len(refresher.calls) == 1
    assert len(heard.of(LoggedIn)) == 1  # the login at the start; it has never ended


def test_who_backs_off_looks_at_the_store_once_a_second() -> None:
    clock, store = Clock(), Store()
    refresher = Refresher(RefreshFailedError("503", retry_after=3600))
    source = make_source(refresher, store=store, clock=clock)
    old = source.token()
    with pytest.raises(RefreshFailedError):
        source.refresh(old)
    looks: list[float] = []
    store.load = lambda: looks.append(clock())  # type: ignore[method-assign]
    for _ in range(20):
        with pytest.raises(RefreshFailedError):
            source.refresh(old)
        clock.advance(0.125)
    assert looks == [START, START + 1, START + 2]


def test_who_backs_off_does_not_take_the_rejected_token_for_news() -> None:
    store = Store()
    source = make_source(Refresher(RefreshFailedError("503", retry_after=3600)), store=store)
    old = source.token()
    for _ in range(2):
        with pytest.raises(RefreshFailedError):
            source.refresh(old)


def test_a_token_that_still_works_is_no_reason_to_look() -> None:
    clock, store = Clock(), Store()
    refresher = Refresher(RefreshFailedError("503", retry_after=3600))
    source = make_source(refresher, store=store, clock=clock, random=lambda: 0.0)
    clock.advance(3300)
    assert next_token(source) == "access-0"
    store.fails["load"] = AssertionError("looked")
    assert next_token(source) == "access-0"


def test_a_login_that_comes_while_somebody_looks_is_not_replaced() -> None:
    store = Store()
    source = make_source(Refresher(RefreshFailedError("503", retry_after=3600)), store=store)
    old = source.token()
    with pytest.raises(RefreshFailedError):
        source.refresh(old)
    store.save(siblings())
    store.after["load"] = lambda: source.login("ours")
    assert source.refresh(old).access_token == "ours"


@pytest.mark.parametrize("failure", [RefreshFailedError("no answer"), OSError("no answer")])
def test_a_refresh_that_failed_while_a_sibling_had_one_ends_well(failure: Exception) -> None:
    store, heard = Store(), Heard()

    def while_a_sibling_refreshes() -> None:
        store.save(siblings())
        raise failure

    source = make_source(Refresher(while_a_sibling_refreshes), store=store, listeners=[heard])
    assert source.refresh(source.token()) == siblings()
    assert outcomes(heard) == ["adopted"]


def test_who_queued_for_the_lock_in_vain_finds_what_has_been_saved_meanwhile() -> None:
    store, heard = Store(), Heard()
    source = make_source(store=store, listeners=[heard])
    store.busy = True
    store.before["lock"] = lambda: store.save(siblings())
    assert source.refresh(source.token()) == siblings()
    assert outcomes(heard) == ["adopted"]


def test_a_refresh_that_failed_says_why_although_the_store_fails_as_well() -> None:
    store, refresher = Store(), Refresher()

    def while_the_store_dies() -> None:
        store.fails["load"] = StoreUnavailableError("down")
        raise RefreshFailedError("no answer")

    refresher.answers.append(while_the_store_dies)
    source = make_source(refresher, store=store)
    with pytest.raises(RefreshFailedError, match="no answer"):
        source.refresh(source.token())


# -- a store that has lost its data ----


def lost(store: Store) -> None:
    store.clear()
    store.fails["load"] = StoreDataLostError("restarted empty")


def test_a_refresh_token_is_not_used_again_when_the_store_has_lost_its_data() -> None:
    """A sibling may have used it already; it is told from an error, and no login ends."""
    clock, store, refresher = Clock(), Store(), Refresher()
    source = make_source(refresher, store=store, clock=clock)
    lost(store)
    old = source.token()
    with pytest.raises(StoreDataLostError):
        source.refresh(old)
    assert refresher.calls == []
    del store.fails["load"]
    store.save(siblings())
    clock.advance(30)
    assert source.refresh(old) == siblings()


def test_a_login_without_a_refresh_token_starts_afresh_in_a_store_that_has_lost_its_data() -> None:
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store, logged_in=False)
    source.login("access-0")
    lost(store)
    assert source.refresh(source.token()).access_token == "access-1"
    assert refresher.calls == [Token("access-0")]


def test_an_unattended_login_starts_afresh_in_a_store_that_has_lost_its_data() -> None:
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store, login=lambda: "fresh")
    lost(store)
    assert source.refresh(source.token()).access_token == "fresh"
    assert refresher.calls == []


def test_a_fresh_login_that_is_refused_at_its_trial_leaves_what_a_sibling_has_stored() -> None:
    store = Store()
    source = make_source(store=store, login=lambda: "fresh", when_trial_refused="log_out")
    lost(store)
    fresh = source.reject(source.token(), DATA)
    del store.fails["load"]
    store.save(siblings())
    assert source.refuse(fresh, DATA) is False
    assert store.load() == siblings()
    assert source.reject(fresh, DATA, replay=True) == siblings()
