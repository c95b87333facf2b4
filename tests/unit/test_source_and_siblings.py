"""One login in many processes: what a source makes of what its siblings do with the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from requests_tokenrefresh import (
    LoginRequiredError,
    MemoryTokenStore,
    RefreshFailedError,
    StoreDataLostError,
    StoreLockLostError,
    StoreUnavailableError,
    Token,
    TokenSource,
)
from requests_tokenrefresh.events import LoggedIn, RefreshEnded
from tests.support.logins import START, Clock, Heard, Refresher, make_source
from tests.support.threads import run_together
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


def test_what_is_found_at_a_glance_does_not_outlive_a_logout_meanwhile() -> None:
    class LoggedOutMeanwhile(Store):
        then: Callable[[], None] | None = None

        def load(self) -> Token | None:
            stored = super().load()
            then, self.then = self.then, None
            if then is not None:
                then()
            return stored

    store = LoggedOutMeanwhile()
    source = make_source(store=store)
    store.save(siblings())
    store.then = source.logout
    with pytest.raises(LoginRequiredError, match="logged out by logout"):
        source.refresh(source.token())
    assert store.load() is None


# -- a login that another process begins ----


def test_when_another_process_logs_in_again_this_one_goes_on() -> None:
    clock, store, heard = Clock(), Store(), Heard()
    source = make_source(Refresher(INVALID_GRANT), store=store, clock=clock, listeners=[heard])
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    store.save(siblings())
    assert next_token(source) == "siblings"
    assert len(heard.of(LoggedIn)) == 2  # the login at the start, and this one


@pytest.mark.parametrize("end", ["logout", "emptied", "trial"])
def test_however_the_login_ended_the_next_one_may_begin_elsewhere(end: str) -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)
    token = source.token()
    if end == "logout":
        source.logout()
    elif end == "emptied":
        store.clear()
    else:
        token = source.reject(token)
    with pytest.raises(LoginRequiredError):
        source.refuse(token) if end == "trial" else source.refresh(token)
    store.save(siblings())
    clock.advance(1)
    assert next_token(source) == "siblings"


def test_while_the_login_is_over_the_store_is_looked_at_once_a_second() -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)
    source.logout()
    looks: list[float] = []
    store.load = lambda: looks.append(clock())  # type: ignore[assignment,method-assign,func-returns-value]
    for _ in range(40):
        assert [o.error.reason for o in run_together(2, source.token)] == ["logged_out"] * 2  # type: ignore[union-attr]
        clock.advance(0.125)
    assert looks == [START, START + 1, START + 2, START + 3, START + 4]


def test_a_store_that_may_still_hold_the_login_that_is_over_is_not_looked_at() -> None:
    """Neither a logout nor a refusal is undone because the store could not be cleared."""
    store, refresher = Store(), Refresher(INVALID_GRANT)
    store.fails["clear"] = StoreUnavailableError("down")
    source = make_source(refresher, store=store)
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    with pytest.raises(LoginRequiredError):
        source.token()
    assert len(refresher.calls) == 1

    other = make_source(store=store)
    with pytest.raises(StoreUnavailableError):
        other.logout()
    with pytest.raises(LoginRequiredError):
        other.token()


def test_a_store_that_fails_then_leaves_the_login_over(caplog: pytest.LogCaptureFixture) -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)
    source.logout()
    store.save(siblings())
    store.fails["load"] = OSError("secret")
    with pytest.raises(LoginRequiredError):
        source.token()
    assert "cannot see what another process has stored" in caplog.text
    assert "secret" not in caplog.text
    del store.fails["load"]
    clock.advance(1)
    assert next_token(source) == "siblings"


def test_a_login_here_comes_before_one_that_is_found_meanwhile() -> None:
    class LoggedInMeanwhile(Store):
        source: TokenSource

        def load(self) -> Token | None:
            self.source.login("ours")
            return siblings()

    store = LoggedInMeanwhile()
    source = store.source = make_source(store=store)
    source.logout()
    assert next_token(source) == "ours"


# -- a refresh that fails, while a sibling's does not ----


def test_who_backs_off_goes_on_with_what_a_sibling_has_got_meanwhile() -> None:
    clock, store, heard = Clock(), Store(), Heard()
    refresher = Refresher(RefreshFailedError("503", retry_after=3600))
    source = make_source(refresher, store=store, clock=clock, listeners=[heard])
    with pytest.raises(RefreshFailedError):
        source.refresh(source.token())
    store.save(siblings())
    assert next_token(source) == "siblings"
    assert len(refresher.calls) == 1
    assert len(heard.of(LoggedIn)) == 1  # the login at the start; it has never ended


def test_who_backs_off_looks_at_the_store_once_a_second() -> None:
    clock, store = Clock(), Store()
    source = make_source(Refresher(RefreshFailedError("503", retry_after=3600)), store=store)
    source._monotonic = clock
    with pytest.raises(RefreshFailedError):
        source.refresh(source.token())
    looks: list[float] = []
    store.load = lambda: looks.append(clock())  # type: ignore[assignment,method-assign,func-returns-value]
    for _ in range(20):
        with pytest.raises(RefreshFailedError):
            source.token()
        clock.advance(0.125)
    assert looks == [START, START + 1, START + 2]


def test_who_backs_off_does_not_take_the_rejected_token_for_news() -> None:
    store = Store()
    source = make_source(Refresher(RefreshFailedError("503", retry_after=3600)), store=store)
    with pytest.raises(RefreshFailedError):
        source.refresh(source.token())
    with pytest.raises(RefreshFailedError):
        source.token()


def test_a_token_that_still_works_is_no_reason_to_look() -> None:
    clock, store = Clock(), Store()
    refresher = Refresher(RefreshFailedError("503", retry_after=3600))
    source = make_source(refresher, store=store, clock=clock, random=lambda: 0.0)
    clock.advance(3300)
    assert next_token(source) == "access-0"
    store.fails["load"] = AssertionError("looked")
    assert next_token(source) == "access-0"


def test_a_token_that_could_not_be_saved_is_no_reason_to_look_while_backing_off() -> None:
    clock, store = Clock(), Store()
    refresher = Refresher(None, RefreshFailedError("503", retry_after=3600))
    source = unsaved(store, clock, refresher)
    store.fails["save"] = StoreUnavailableError("down")
    with pytest.raises(RefreshFailedError):
        source.refresh(source.token())
    store.save = None  # type: ignore[method-assign,assignment]
    store.load = None  # type: ignore[method-assign,assignment]
    with pytest.raises(RefreshFailedError):
        source.token()


def test_a_login_that_comes_while_somebody_looks_is_not_replaced() -> None:
    class LoggedInMeanwhile(Store):
        source: TokenSource | None = None

        def load(self) -> Token | None:
            source, self.source = self.source, None
            if source is not None:
                source.login("ours")
                return siblings()
            return super().load()

    store = LoggedInMeanwhile()
    source = make_source(Refresher(RefreshFailedError("503", retry_after=3600)), store=store)
    with pytest.raises(RefreshFailedError):
        source.refresh(source.token())
    store.source = source
    assert next_token(source) == "ours"


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
    class SavedMeanwhile(Store):
        @contextmanager
        def lock(self, timeout: float) -> Iterator[None]:
            if self.busy:
                self.save(siblings())
            with super().lock(timeout):
                yield

    store, heard = SavedMeanwhile(), Heard()
    source = make_source(store=store, listeners=[heard])
    store.busy = True
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


# -- a token that could not be saved ----


def unsaved(store: Store, clock: Clock, refresher: Refresher, **options: object) -> TokenSource:
    """Return a source whose ``access-1`` is in no store, one second before it tries again."""
    source = make_source(refresher, store=store, clock=clock, **options)
    store.fails["save"] = StoreUnavailableError("down")
    clock.advance(60)
    assert source.refresh(source.token()).access_token == "access-1"
    del store.fails["save"]
    return source


def test_a_token_that_could_not_be_saved_replaces_the_one_it_was_made_from() -> None:
    """By whatever clock that one was issued."""
    clock, store = Clock(), Store()
    store.save(Token("access-0", "refresh-0", issued_at=START + 300, expires_at=START + 3600))
    source = unsaved(store, clock, Refresher(), logged_in=False)
    clock.advance(1)
    source.token()
    assert store.load() == Token("access-1", "refresh-1")


def test_a_token_that_could_not_be_saved_yields_to_a_newer_login() -> None:
    clock, store, refresher = Clock(), Store(), Refresher()
    source = unsaved(store, clock, refresher)
    store.save(Token("newer", "refresh-n", issued_at=clock() + 0.5, expires_at=clock() + 3600))
    clock.advance(1)
    source.token()
    assert next_token(source) == "newer"
    assert store.load().access_token == "newer"  # type: ignore[union-attr]
    assert len(refresher.calls) == 1


def test_a_newer_login_that_has_expired_meanwhile_is_what_to_refresh_with() -> None:
    clock, store, refresher = Clock(), Store(), Refresher()
    source = unsaved(store, clock, refresher)
    newer = Token("newer", "refresh-n", issued_at=clock() + 0.5, expires_at=clock() + 1)
    store.save(newer)
    clock.advance(10)
    assert source.refresh(source.token()).access_token == "access-2"
    assert refresher.calls[1] == newer


def test_a_token_that_could_not_be_saved_does_not_undo_a_logout_elsewhere() -> None:
    clock, store = Clock(), Store()
    source = unsaved(store, clock, Refresher())
    store.clear()
    clock.advance(1)
    with pytest.raises(LoginRequiredError, match="emptied by another process"):
        source.token()
    assert store.load() is None


def test_a_login_that_could_not_be_saved_needs_no_login_in_the_store() -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)
    store.clear()
    store.fails["save"] = StoreUnavailableError("down")
    with pytest.raises(StoreUnavailableError):
        source.login("ours")
    del store.fails["save"]
    clock.advance(1)
    assert next_token(source) == "ours"
    assert store.load() == Token("ours")


# -- a store that gave the lock to another ----


def test_a_leader_that_lost_the_lock_goes_on_with_what_its_successor_has_saved() -> None:
    clock, store, heard = Clock(), Store(), Heard()

    def while_another_refreshes() -> str:
        clock.advance(20)
        store.save(Token("successors", "r", issued_at=clock(), expires_at=clock() + 3600))
        store.fails["save"] = StoreLockLostError("too late")
        return "late"

    source = make_source(
        Refresher(while_another_refreshes), store=store, clock=clock, listeners=[heard]
    )
    assert source.refresh(source.token()).access_token == "successors"
    assert outcomes(heard) == ["adopted"]
    assert store.load().access_token == "successors"  # type: ignore[union-attr]


def test_a_leader_that_lost_the_lock_keeps_its_token_until_its_successor_has_one() -> None:
    clock, store = Clock(), Store()
    store_fails = StoreLockLostError("too late")
    refresher = Refresher(lambda: store.fails.update(save=store_fails) or "late")
    source = make_source(refresher, store=store, clock=clock)
    assert source.refresh(source.token()).access_token == "late"
    del store.fails["save"]
    clock.advance(1)
    source.token()
    assert store.load() == Token("late", "refresh-0")


def test_a_leader_that_lost_the_lock_to_a_logout_ends_the_login() -> None:
    store, refresher = Store(), Refresher()

    def while_another_logs_out() -> str:
        store.clear()
        store.fails["save"] = StoreLockLostError("too late")
        return "late"

    refresher.answers.append(while_another_logs_out)
    source = make_source(refresher, store=store)
    with pytest.raises(LoginRequiredError, match="emptied by another process"):
        source.refresh(source.token())
    del store.fails["save"]
    with pytest.raises(LoginRequiredError):
        source.token()
    assert store.load() is None


def test_a_login_during_a_flight_stands_where_the_store_refuses_the_leaders_late_write() -> None:
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store)

    def while_somebody_logs_in() -> str:
        source.login("newer")
        store.fails["save"] = StoreLockLostError("too late")
        return "late"

    refresher.answers.append(while_somebody_logs_in)
    assert source.refresh(source.token()).access_token == "newer"
    assert store.load() == Token("newer")


def test_an_interrupt_after_a_failed_save_does_not_lose_the_new_token() -> None:
    store = Store()
    source = make_source(store=store)
    old = source.token()
    glance = store.load

    def interrupted_at_the_third_look() -> Token | None:
        looks.append(None)
        if len(looks) == 3:
            raise KeyboardInterrupt
        return glance()

    looks: list[None] = []
    store.load = interrupted_at_the_third_look  # type: ignore[method-assign]
    store.fails["save"] = StoreUnavailableError("down")
    with pytest.raises(KeyboardInterrupt):
        source.refresh(old)
    assert next_token(source) == "access-1"


# -- a store that has lost its data ----


def lost(store: Store) -> None:
    store.clear()
    store.fails["load"] = StoreDataLostError("restarted empty")


def test_a_refresh_token_is_not_used_again_when_the_store_has_lost_its_data() -> None:
    """A sibling may have used it already; it is told from an error, and no login ends."""
    clock, store, refresher = Clock(), Store(), Refresher()
    source = make_source(refresher, store=store, clock=clock)
    lost(store)
    with pytest.raises(StoreDataLostError):
        source.refresh(source.token())
    assert refresher.calls == []
    del store.fails["load"]
    store.save(siblings())
    clock.advance(30)
    assert next_token(source) == "siblings"


def test_a_token_that_could_not_be_saved_is_put_into_a_store_that_has_lost_its_data() -> None:
    clock, store = Clock(), Store()
    source = unsaved(store, clock, Refresher())
    lost(store)
    clock.advance(1)
    source.token()
    del store.fails["load"]
    assert store.load() == Token("access-1", "refresh-1")


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
