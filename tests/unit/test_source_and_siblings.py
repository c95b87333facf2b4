"""One login in many processes: what a source makes of what its siblings do with the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

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
    first_token,
    make_source,
)
from tests.support.troubled_store import Store, TroubledFile, siblings

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
    assert store.loads == 2  # in turn: before the issuer is asked, and before saving
    source.logout()
    with pytest.raises(LoginRequiredError):
        source.token()
    assert store.loads == 2


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


def test_who_backs_off_from_the_first_refresh_of_all_finds_what_a_sibling_has_got() -> None:
    """Both were started with the same dead token, and nothing was stored."""
    clock, store = Clock(), Store()
    refresher = Refresher(RefreshFailedError("429", retry_after=3600))
    source = make_source(
        refresher, logged_in=False, token=first_token(-10), store=store, clock=clock
    )
    with pytest.raises(RefreshFailedError):
        source.token()
    clock.advance(1)
    with pytest.raises(RefreshFailedError):
        source.token()
    store.save(siblings())
    clock.advance(1)
    assert source.token() == siblings()
    assert len(refresher.calls) == 1


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


@pytest.mark.parametrize("kind", [Store, TroubledFile], ids=["memory", "file"])
@pytest.mark.parametrize("lifetime", [3600, 0.5], ids=["good", "expired already"])
def test_what_another_program_has_written_while_the_issuer_was_answering_stays(
    kind: type[Store], lifetime: float, tmp_path: Path
) -> None:
    """It does not use our lock, and its word is newer than what the refresh began with."""
    store = kind(tmp_path / "token.json") if kind is TroubledFile else kind()
    clock, heard = Clock(), Heard()
    theirs = siblings(lifetime=lifetime)
    refresher = Refresher(lambda: store.save(theirs) or clock.advance(1))
    source = make_source(refresher, store=store, clock=clock, listeners=[heard])
    new = source.refresh(source.token())
    if lifetime == 3600:
        assert (new, store.load()) == (theirs, theirs)
        assert outcomes(heard) == ["adopted"]
    else:  # it is refreshed in its turn
        assert (new.access_token, store.load()) == ("access-2", new)
        assert refresher.calls == [first_token(), theirs]
    assert "access-1" not in store.saved


def test_a_store_that_was_emptied_while_the_issuer_was_answering_stays_empty() -> None:
    store, reasons = Store(), list[str]()
    source = make_source(Refresher(store.clear), store=store, on_logout=reasons.append)
    with pytest.raises(LoginRequiredError) as caught:
        source.refresh(source.token())
    assert caught.value.reason == "logged_out_elsewhere"
    assert (store.load(), reasons) == (None, ["logged_out_elsewhere"])


def test_a_store_that_does_not_answer_then_is_no_reason_to_lose_the_new_token() -> None:
    store = Store()

    def down() -> None:
        store.fails["load"] = StoreUnavailableError("down")

    source = make_source(Refresher(down), store=store)
    new = source.refresh(source.token())
    assert new == Token("access-1", "refresh-1")
    store.fails.clear()
    assert store.load() == new


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


@pytest.mark.parametrize("early", [True, False])
def test_siblings_do_not_take_a_refusal_for_a_logout_where_the_login_is_unattended(
    early: bool,
) -> None:
    """While the login server is down for one, the other is not logged out, and brings the next."""
    clock, store, reasons = Clock(), Store(), list[str]()
    down, refused = (
        Refresher(RefreshFailedError("down", retry_after=60.0)),
        Refresher(INVALID_GRANT),
    )
    refused_too = Refresher(INVALID_GRANT)
    options: dict[str, Any] = {"store": store, "clock": clock, "random": lambda: 0.0}
    options.update(on_logout=reasons.append, logged_in=False)
    one = make_source(refused, login=down, **options)
    other = make_source(refused_too, login=lambda: "fresh", **options)
    one.login(first_token())
    old, same = one.token(), other.token()
    if early:
        clock.advance(3300)
        assert one.token() is old
    else:
        with pytest.raises(RefreshFailedError, match="down"):
            one.refresh(old)
    assert other.refresh(same) == Token("fresh")
    assert (len(refused.calls), len(down.calls)) == (1, 1)
    # What was refused is not sent again.
    assert refused_too.calls == [replace(old, refresh_token=None)]
    assert one.refresh(old) == Token("fresh")
    assert reasons == []


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
