"""A new token that could not be saved: it is in memory only, and its refresh token nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from requests_tokenrefresh import (
    LoginRequiredError,
    RefreshFailedError,
    StoreDataLostError,
    StoreLockLostError,
    StoreUnavailableError,
    Token,
    TokenSource,
)
from requests_tokenrefresh.events import RefreshEnded
from tests.support.logins import (
    DATA,
    OTHER,
    START,
    Clock,
    Heard,
    Refresher,
    first_token,
    make_source,
    refuse_and_log_out,
)
from tests.support.threads import run_together
from tests.support.troubled_store import Store, siblings

DOWN = StoreUnavailableError("down")
REFUSED = LoginRequiredError("refused", reason="invalid_grant")


def outcomes(heard: Heard) -> list[str]:
    return [event.outcome for event in heard.of(RefreshEnded)]  # type: ignore[attr-defined]


def unsaved(
    store: Store, clock: Clock, refresher: Refresher, *, trial: bool = False, **options: Any
) -> TokenSource:
    """Return a source whose ``access-1`` is in no store, one second before it tries again."""
    source = make_source(refresher, store=store, clock=clock, **options)
    store.fails["save"] = DOWN
    clock.advance(60)
    old = source.token()
    new = source.reject(old, DATA) if trial else source.refresh(old)
    assert new is not None
    assert new.access_token == "access-1"
    del store.fails["save"]
    return source


# -- what it replaces, and what replaces it ----


def test_a_token_that_could_not_be_saved_replaces_the_one_it_was_made_from() -> None:
    """By whatever clock that one was issued."""
    clock, store = Clock(), Store()
    store.save(Token("access-0", "refresh-0", issued_at=START + 300, expires_at=START + 3600))
    source = unsaved(store, clock, Refresher(), logged_in=False)
    clock.advance(1)
    source.token()
    assert store.load() == Token("access-1", "refresh-1")


def test_two_in_a_row_that_could_not_be_saved_replace_the_one_before_them() -> None:
    clock, store = Clock(), Store()
    store.save(Token("access-0", "refresh-0", issued_at=START + 300, expires_at=START + 3600))
    source = unsaved(store, clock, Refresher(), logged_in=False)
    store.fails["save"] = DOWN
    assert source.refresh(source.token()).access_token == "access-2"
    del store.fails["save"]
    clock.advance(1)
    source.token()
    assert source.token().access_token == "access-2"
    assert store.load() == Token("access-2", "refresh-2")


def test_one_that_was_saved_although_the_store_failed_yields_to_what_came_after_it() -> None:
    """The answer of the store was lost, and the clock of the sibling is behind."""
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)

    def lose_the_answer() -> None:
        raise DOWN

    store.after["save"] = lose_the_answer
    assert source.refresh(source.token()) == store.load() == Token("access-1", "refresh-1")
    later = Token("later", "refresh-l", issued_at=START - 300, expires_at=START + 3300)
    store.save(later)
    clock.advance(1)
    source.token()
    assert source.token() == store.load() == later


def test_one_that_was_saved_although_the_store_failed_is_saved_once_more_and_then_left() -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)

    def lose_the_answer() -> None:
        raise DOWN

    store.after["save"] = lose_the_answer
    source.refresh(source.token())
    for _ in range(3):
        clock.advance(1)
        assert source.token().access_token == "access-1"
    assert store.saved == ["access-0", "access-1", "access-1"]
    assert store.patience == [30, 30, 0]


def test_a_store_that_does_not_answer_is_asked_again_before_it_is_saved() -> None:
    clock, store = Clock(), Store()
    source = unsaved(store, clock, Refresher())
    store.save(siblings())
    store.fails["load"] = DOWN
    clock.advance(1)
    assert source.token().access_token == "access-1"
    store.fails.clear()
    assert store.load() == siblings()
    clock.advance(30)
    source.token()
    assert source.token() == store.load() == siblings()


def test_one_whose_store_did_not_even_answer_is_in_use_all_the_same() -> None:
    store = Store()
    source = make_source(store=store)
    old = source.token()
    store.after["load"] = lambda: store.before.update(save=lambda: store.fails.update(load=DOWN))
    store.fails["save"] = DOWN
    assert source.refresh(old).access_token == "access-1"


def test_a_token_that_could_not_be_saved_yields_to_a_newer_login() -> None:
    clock, store, refresher = Clock(), Store(), Refresher()
    source = unsaved(store, clock, refresher)
    store.save(Token("newer", "refresh-n", issued_at=clock() + 0.5, expires_at=clock() + 3600))
    clock.advance(1)
    source.token()
    assert source.token().access_token == "newer"
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
    store.fails["save"] = DOWN
    with pytest.raises(StoreUnavailableError):
        source.login("ours")
    del store.fails["save"]
    clock.advance(1)
    assert source.token().access_token == "ours"
    assert store.load() == Token("ours")


def test_a_login_that_could_not_be_saved_replaces_a_refresh_of_the_one_before() -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)
    store.fails["save"] = DOWN
    with pytest.raises(StoreUnavailableError):
        source.login("ours")
    del store.fails["save"]
    store.save(Token("newer", "refresh-n", issued_at=clock() + 0.5, expires_at=clock() + 3600))
    clock.advance(1)
    source.token()
    assert source.token() == store.load() == Token("ours")


def test_a_login_that_could_not_be_saved_beside_a_leader_outlives_a_logout_elsewhere() -> None:
    """That leader has seen the login before it in the store; this one was never there."""
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)
    old = source.token()

    def log_in() -> None:
        store.fails["save"] = DOWN
        assert isinstance(run_together(1, lambda: source.login("ours"))[0].error, type(DOWN))

    store.before["lock"] = lambda: store.after.update(load=log_in)
    assert source.refresh(old) == Token("ours")
    store.clear()
    del store.fails["save"]
    clock.advance(1)
    source.token()
    assert source.token() == store.load() == Token("ours")


def test_a_full_disk_is_told_once_and_not_every_second(caplog: pytest.LogCaptureFixture) -> None:
    """For each token, however often saving it is tried."""
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)
    store.fails["save"] = DOWN
    for _ in range(2):
        source.refresh(source.token())
        for _second in range(60):
            clock.advance(1)
            source.token()
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["a token could not be saved; it is in use, and only in memory: down"] * 2


# -- when it is doubted ----


def test_a_late_401_to_an_older_token_is_replayed_with_it_also_if_saving_it_is_due() -> None:
    """Whoever holds that 401 has not tried this one."""
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)
    old = source.token()
    store.fails["save"] = DOWN
    new = source.reject(old, DATA)
    assert new is not None
    assert source.refuse(new, DATA)
    assert source.reject(old, OTHER) is new
    clock.advance(1)
    assert source.reject(old, OTHER) is new


# -- when it is refused ----


def test_one_that_is_refused_at_its_trial_takes_the_spent_one_before_it_along() -> None:
    clock, store, refresher = Clock(), Store(), Refresher()
    source = unsaved(store, clock, refresher, trial=True, when_trial_refused="log_out")
    refuse_and_log_out(source, source.token())
    assert store.load() is None
    clock.advance(1)
    with pytest.raises(LoginRequiredError):
        source.token()
    assert len(refresher.calls) == 1


def test_one_that_is_refused_at_its_trial_leaves_what_a_sibling_has_stored_since() -> None:
    clock, store = Clock(), Store()
    source = unsaved(store, clock, Refresher(), trial=True, when_trial_refused="log_out")
    store.save(siblings())
    assert source.refuse(source.token(), DATA) is False
    assert store.load() == siblings()
    assert source.token() == siblings()


def test_the_spent_one_before_it_is_not_found_again_where_it_could_not_be_cleared() -> None:
    clock, store, refresher = Clock(), Store(), Refresher(None, REFUSED)
    source = unsaved(store, clock, refresher)
    store.fails.update(save=DOWN, clear=DOWN)
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    clock.advance(1)
    with pytest.raises(LoginRequiredError):
        source.token()
    assert len(refresher.calls) == 2


@pytest.mark.parametrize("clears", [True, False])
def test_a_login_that_is_refused_unsaved_does_not_bring_back_the_one_before_it(
    clears: bool,
) -> None:
    clock, store = Clock(), Store()
    store.save(siblings())
    source = make_source(Refresher(REFUSED), store=store, clock=clock, logged_in=False)
    store.fails["save"] = DOWN
    with pytest.raises(StoreUnavailableError):
        source.login("ours")
    if not clears:
        store.fails["clear"] = DOWN
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    clock.advance(1)
    with pytest.raises(LoginRequiredError):
        source.token()
    assert store.load() == (None if clears else siblings())


@pytest.mark.parametrize("healed", [False, True])
def test_one_that_is_refused_is_neither_used_nor_saved_again_whatever_becomes_of_login(
    healed: bool,
) -> None:
    clock, store, refresher = Clock(), Store(), Refresher(None, REFUSED)
    logins = Refresher(OSError("unreachable"), "fresh")
    source = unsaved(store, clock, refresher, login=logins)
    store.fails["save"] = DOWN
    with pytest.raises(RefreshFailedError):
        source.refresh(source.token())
    if healed:
        store.fails.clear()
    clock.advance(30)
    assert source.token() == Token("fresh")
    assert len(refresher.calls) == 2


def test_what_was_refused_is_no_newer_one_while_the_unattended_login_is_not_saved() -> None:
    clock, store, refresher = Clock(), Store(), Refresher(REFUSED)
    source = make_source(refresher, store=store, clock=clock, login=lambda: "fresh")
    store.fails.update(clear=DOWN, save=DOWN)
    assert source.refresh(source.token()) == Token("fresh")
    clock.advance(1)
    assert source.token() == Token("fresh")
    store.fails.clear()
    clock.advance(1)
    assert source.token() == store.load() == Token("fresh")
    store.save(siblings())
    assert source.refresh(source.token()) == siblings()


def test_all_that_were_refused_while_the_store_could_not_be_written_are_remembered() -> None:
    """The first of them is the one that it holds."""
    clock, store, no_refresh_token = Clock(), Store(), "there is nothing to ask with"
    refresher = Refresher(REFUSED, LoginRequiredError(no_refresh_token, reason="no_token"))
    logins = Refresher({"access_token": "second"}, {"access_token": "third"})
    source = make_source(refresher, store=store, clock=clock, login=logins)
    store.fails["save"] = DOWN
    for token in ("second", "third"):
        assert source.refresh(source.token()) == Token(token)
    del store.fails["save"]
    assert source.refresh(source.token()).access_token == "access-3"
    assert [token and token.access_token for token in refresher.calls] == [
        "access-0",
        "second",
        "third",
    ]


# -- when refreshing fails ----


def test_a_token_that_could_not_be_saved_is_no_reason_to_look_while_backing_off() -> None:
    clock, store = Clock(), Store()
    refresher = Refresher(None, RefreshFailedError("503", retry_after=3600))
    source = unsaved(store, clock, refresher)
    store.fails["save"] = DOWN
    old = source.token()
    for _ in range(2):
        with pytest.raises(RefreshFailedError):
            source.refresh(old)
        store.fails["load"] = AssertionError("looked")


# -- a store that gave the lock to another ----


@pytest.mark.parametrize("skew", [-300, 20])
@pytest.mark.parametrize("shared", [True, False], ids=["another process", "this one"])
def test_a_leader_that_lost_the_lock_goes_on_with_what_its_successor_has_saved(
    skew: int, shared: bool
) -> None:
    """Whichever of their clocks is ahead."""
    clock, store, heard = Clock(), Store(), Heard()
    store.shared = shared

    def while_another_refreshes() -> str:
        issued_at = clock() + skew
        store.save(Token("successors", "r", issued_at=issued_at, expires_at=issued_at + 3600))
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


# -- a store that has lost its data ----


def test_a_token_that_could_not_be_saved_is_put_into_a_store_that_has_lost_its_data() -> None:
    clock, store = Clock(), Store()
    source = unsaved(store, clock, Refresher())
    store.clear()
    store.fails["load"] = StoreDataLostError("restarted empty")
    clock.advance(1)
    source.token()
    del store.fails["load"]
    assert store.load() == Token("access-1", "refresh-1")


def test_what_follows_the_token_to_start_with_may_find_the_store_empty() -> None:
    """Nobody has emptied it: what was in it could not be read, and is gone."""
    store, clock = Store(), Clock(START + 3600)
    store.fails = {"load": StoreDataLostError("damaged"), "save": DOWN}
    spent = replace(first_token(), refresh_token=None)
    source = make_source(store=store, clock=clock, token=spent, logged_in=False)
    assert source.token().access_token == "access-1"
    store.fails.clear()
    clock.advance(1)
    assert source.token().access_token == "access-1"
    assert store.saved == ["access-1"]
