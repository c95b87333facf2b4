"""What a source does with its store: adopt, save then publish, give way, learn of a logout."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    LoginRequiredError,
    RefreshFailedError,
    StoreLockTimeoutError,
    StoreUnavailableError,
    Token,
    TokenSource,
    TokenStoreError,
)
from requests_tokenrefresh.events import RefreshEnded
from tests.support.logins import (
    DATA,
    ORIGIN,
    START,
    Clock,
    Heard,
    Refresher,
    first_token,
    make_source,
    refuse_and_log_out,
    wait_for_waiters,
)
from tests.support.threads import Callers, run_together, start_together
from tests.support.troubled_store import Store, siblings

# -- whose token -------------------------------------------------------------------------------


def test_the_stored_login_comes_before_the_one_to_start_with() -> None:
    store = Store()
    store.save(siblings())
    source = make_source(store=store, token="seed", logged_in=False)
    assert source.token().access_token == "siblings"


def test_an_empty_store_leaves_the_login_to_start_with() -> None:
    refresher = Refresher()
    source = make_source(refresher, token=first_token(), logged_in=False)
    assert source.token().access_token == "access-0"
    assert refresher.calls == []


def test_a_login_to_start_with_that_cannot_be_saved_is_used_and_saving_is_tried_again() -> None:
    store, refresher, clock = Store(), Refresher(), Clock()
    source = make_source(refresher, store=store, clock=clock, token=first_token(), logged_in=False)
    store.fails["save"] = TokenStoreError("full")
    assert source.token().access_token == "access-0"
    del store.fails["save"]
    clock.advance(1)
    assert source.token().access_token == "access-0"
    assert (store.load(), refresher.calls) == (first_token(), [])


def test_a_logout_while_the_login_to_start_with_is_saved_wins() -> None:
    heard, store = Heard(), Store()
    source = make_source(store=store, token=first_token(), logged_in=False, listeners=[heard])
    store.before["save"] = lambda: run_together(1, source.logout)
    with pytest.raises(LoginRequiredError, match="logged out by logout"):
        source.token()
    assert store.load() is None
    assert [e.outcome for e in heard.of(RefreshEnded)] == ["discarded"]  # type: ignore[attr-defined]


def test_an_expired_login_to_start_with_is_refreshed() -> None:
    refresher = Refresher()
    source = make_source(refresher, token=first_token(issued_at=0), logged_in=False)
    assert source.token().access_token == "access-1"
    assert refresher.calls == [Token("access-0", "refresh-0")]


def test_after_a_logout_the_login_to_start_with_is_spent() -> None:
    source = make_source(token=first_token(), logged_in=False)
    source.logout()
    with pytest.raises(LoginRequiredError):
        source.token()


def test_what_a_sibling_has_refreshed_is_adopted_without_a_request() -> None:
    heard, store, refresher = Heard(), Store(), Refresher()
    source = make_source(refresher, store=store, listeners=[heard])
    store.save(siblings())
    assert source.refresh(source.token()).access_token == "siblings"
    assert refresher.calls == []
    assert store.saved == ["access-0", "siblings"]
    assert [e.outcome for e in heard.of(RefreshEnded)] == ["adopted"]  # type: ignore[attr-defined]


def test_what_a_sibling_left_and_has_expired_since_is_what_to_refresh_with() -> None:
    store, refresher, clock = Store(), Refresher(), Clock()
    source = make_source(refresher, store=store, clock=clock)
    store.save(siblings(lifetime=10))
    clock.advance(100)
    assert source.refresh(source.token()).access_token == "access-1"
    assert refresher.calls == [siblings()]


def test_the_rejected_access_token_is_not_adopted_under_another_refresh_token() -> None:
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store)
    store.save(siblings("access-0"))
    assert source.refresh(source.token()).access_token == "access-1"
    assert refresher.calls == [siblings("access-0")]


def test_a_store_that_a_sibling_has_emptied_ends_the_login_without_a_request() -> None:
    reasons: list[str] = []
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store, on_logout=reasons.append)
    store.clear()
    with pytest.raises(LoginRequiredError, match="emptied by another process"):
        source.refresh(source.token())
    assert (refresher.calls, reasons) == ([], ["logged_out_elsewhere"])


# -- save, then publish ------------------------------------------------------------------------


def test_a_new_token_is_saved_before_anybody_can_use_it() -> None:
    class Watching(Store):
        def save(self, token: Token) -> None:
            if token.access_token == "access-1":
                callers.append(start_together(1, source.token))
                wait_for_waiters(source, 1)
                waited_for.append(token.access_token)
            super().save(token)

    callers: list[Callers[Token]] = []
    waited_for: list[str] = []
    clock, store = Clock(), Watching()
    source = make_source(store=store, clock=clock)
    source.refresh(source.token())
    assert waited_for == ["access-1"]
    assert callers[0].outcomes()[0].result() is source.token()
    assert store.saved == ["access-0", "access-1"]
    clock.advance(1)
    source.token()
    assert store.saved == ["access-0", "access-1"]  # once is enough


@pytest.mark.parametrize("error", [TokenStoreError("full"), OSError("a store of its own kind")])
def test_a_token_that_cannot_be_saved_is_used_and_saving_is_tried_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    heard, store, refresher, clock = Heard(), Store(), Refresher(), Clock()
    source = make_source(refresher, store=store, clock=clock, listeners=[heard])
    store.fails["save"] = error
    assert source.refresh(source.token()).access_token == "access-1"
    assert "only in memory" in caplog.text
    assert source.token().access_token == "access-1"
    assert len(store.patience) == 2  # not with every request
    clock.advance(1)
    assert source.token().access_token == "access-1"  # tried, and failed again
    del store.fails["save"]
    assert source.token().access_token == "access-1"
    assert store.saved == ["access-0"]  # not before its time
    clock.advance(1)
    assert source.token().access_token == "access-1"
    assert store.saved == ["access-0", "access-1"]
    clock.advance(1)
    assert source.token().access_token == "access-1"
    assert store.saved == ["access-0", "access-1"]  # once is enough
    assert len(refresher.calls) == 1
    outcomes = [event.outcome for event in heard.of(RefreshEnded)]  # type: ignore[attr-defined]
    assert outcomes == ["refreshed", "skipped", "skipped"]
    clock.now = START + 3590  # saved now, so it is refreshed as any other
    assert source.token().access_token == "access-2"


@pytest.mark.parametrize(
    ("healed", "saved"),
    [(True, ["access-0", "access-1", "access-2"]), (False, ["access-0"])],
    ids=["saving works again", "it does not"],
)
def test_a_token_that_was_never_saved_is_what_to_refresh_with(
    healed: bool, saved: list[str]
) -> None:
    """The store still holds the one before it, whose refresh token is spent."""
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store)
    store.fails["save"] = TokenStoreError("full")
    token = source.refresh(source.token())
    if healed:
        store.fails.clear()
    assert source.refresh(token).access_token == "access-2"
    assert refresher.calls == [first_token(), token]
    assert store.saved == saved


def test_saving_again_waits_for_nobody() -> None:
    store, clock = Store(), Clock()
    source = make_source(store=store, clock=clock)
    store.fails["save"] = TokenStoreError("full")
    source.refresh(source.token())
    store.busy = True
    clock.advance(1)
    assert source.token().access_token == "access-1"
    assert store.patience[-1] == 0


# -- the lock ----------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", [START + 3300, START + 3550], ids=["just now", "long ago"])
def test_an_early_refresh_only_tries_the_lock(opened: float) -> None:
    heard, store, refresher, clock = Heard(), Store(), Refresher(), Clock()
    source = make_source(refresher, store=store, clock=clock, listeners=[heard], random=lambda: 0.0)
    store.busy = True
    clock.now = opened
    assert source.token().access_token == "access-0"
    assert store.patience[-1] == 0
    tries = len(store.patience)
    assert source.token().access_token == "access-0"
    assert len(store.patience) == tries  # not with every request
    store.busy = False
    store.save(siblings(lifetime=7200))
    clock.advance(1)
    assert source.token().access_token == "siblings"
    assert [e.outcome for e in heard.of(RefreshEnded)] == ["skipped", "adopted"]  # type: ignore[attr-defined]
    assert refresher.calls == []


def test_a_busy_lock_is_an_error_of_its_own() -> None:
    store, refresher = Store(), Refresher()
    source = make_source(refresher, store=store, wait_timeout=12)
    store.busy = True
    with pytest.raises(StoreLockTimeoutError, match="busy"):
        source.refresh(source.token())
    assert (store.patience[-1], refresher.calls) == (12, [])


@pytest.mark.parametrize("what", ["lock", "load"])
def test_a_store_that_fails_fails_the_flight_and_nothing_is_sent_or_lost(what: str) -> None:
    store, refresher, clock = Store(), Refresher(), Clock()
    source = make_source(refresher, store=store, clock=clock, random=lambda: 1.0)
    old = source.token()
    store.fails[what] = TokenStoreError("corrupt")
    for _ in range(2):  # the second is the backoff's
        with pytest.raises(TokenStoreError, match="corrupt"):
            source.refresh(old)
    assert refresher.calls == []
    store.fails.clear()
    assert store.load() == first_token()
    clock.advance(0.5)
    assert source.refresh(old).access_token == "access-1"


def test_a_store_that_raises_what_it_should_not_is_a_store_error_all_the_same() -> None:
    store = Store()
    source = make_source(store=store)
    store.fails["load"] = ZeroDivisionError()
    with pytest.raises(TokenStoreError, match="the token store raised ZeroDivisionError") as caught:
        source.refresh(source.token())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    "get",
    [
        lambda source, old: source.refresh(old),
        lambda source, old: source.reject(old, DATA),
    ],
    ids=["refresh", "reject"],
)
def test_a_lock_that_cannot_be_released_does_not_undo_a_refresh(
    get: Callable[[TokenSource, Token], Token],
) -> None:
    heard, store = Heard(), Store()
    source = make_source(store=store, listeners=[heard])
    store.fails["unlock"] = TokenStoreError("gone")
    assert get(source, source.token()).access_token == "access-1"
    assert source.token().access_token == "access-1"
    assert [e.outcome for e in heard.of(RefreshEnded)] == ["refreshed"]  # type: ignore[attr-defined]


# -- after invalid_grant -----------------------------------------------------------------------


def refusal() -> LoginRequiredError:
    return LoginRequiredError("refused", reason="invalid_grant")


def test_a_refused_token_is_cleared_so_that_siblings_need_not_ask() -> None:
    store, ours, theirs = Store(), Refresher(refusal()), Refresher()
    source = make_source(ours, store=store)
    sibling = make_source(theirs, store=store, logged_in=False)
    stale = sibling.token()
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    assert store.load() is None
    with pytest.raises(LoginRequiredError, match="emptied by another process"):
        sibling.refresh(stale)
    assert (len(ours.calls), len(theirs.calls)) == (1, 0)


@pytest.mark.parametrize("shared", [True, False], ids=["another process", "this one"])
def test_a_sibling_that_ignores_the_lock_may_have_rotated_and_is_adopted(shared: bool) -> None:
    heard, store = Heard(), Store()
    store.shared = shared
    refresher = Refresher(lambda: store.save(siblings()) or refusal())
    source = make_source(refresher, store=store, listeners=[heard])
    assert source.refresh(source.token()).access_token == "siblings"
    assert (len(refresher.calls), store.load()) == (1, siblings())
    assert store.saved == ["access-0", "siblings"]  # by the sibling; nobody saves it again
    assert [e.outcome for e in heard.of(RefreshEnded)] == ["adopted"]  # type: ignore[attr-defined]


def test_what_it_rotated_to_may_have_expired_already_and_is_refreshed_next() -> None:
    store, clock = Store(), Clock(START + 100)
    refresher = Refresher(lambda: store.save(siblings(lifetime=10)) or refusal())
    source = make_source(refresher, store=store, clock=clock)
    with pytest.raises(RefreshFailedError, match="another program rotated") as caught:
        source.refresh(source.token())
    assert isinstance(caught.value.__cause__, LoginRequiredError)
    assert source.refresh(source.token()).access_token == "access-2"
    assert refresher.calls == [first_token(), siblings()]


def test_a_sibling_may_have_logged_out_meanwhile() -> None:
    store = Store()
    refresher = Refresher(lambda: store.clear() or refusal())
    source = make_source(refresher, store=store)
    with pytest.raises(LoginRequiredError) as caught:
        source.refresh(source.token())
    assert caught.value.reason == "invalid_grant"


@pytest.mark.parametrize("what", ["load", "clear"])
def test_a_store_that_fails_then_does_not_soften_the_refusal(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    refresher = Refresher(lambda: store.fails.update({what: TokenStoreError("gone")}) or refusal())
    source = make_source(refresher, store=store)
    old = source.token()
    for _ in range(2):
        with pytest.raises(LoginRequiredError):
            source.refresh(old)
    assert len(refresher.calls) == 1
    assert "the store still says otherwise" in caplog.text


@pytest.mark.parametrize("trouble", ["load", "clear"])
def test_a_refused_token_that_stays_in_the_store_is_not_used_again_until_the_login_succeeds(
    trouble: str,
) -> None:
    """Neither the access token, which a server has rejected, nor the refresh token."""
    clock, store, refresher = Clock(), Store(), Refresher()

    def refuse() -> LoginRequiredError:
        store.fails[trouble] = StoreUnavailableError("down")
        return refusal()

    refresher.answers.append(refuse)
    login = Refresher(RefreshFailedError("down", retry_after=1.0), {"access_token": "logged-in"})
    source = make_source(refresher, store=store, clock=clock, login=login, random=lambda: 0.0)
    with pytest.raises(RefreshFailedError):
        source.refresh(source.token())
    store.fails.clear()
    clock.advance(1)
    assert source.token().access_token == "logged-in"
    assert (len(refresher.calls), len(login.calls)) == (1, 2)
    assert store.load() == source.token()


def test_a_store_that_fails_after_a_refused_trial_does_not_soften_it_either(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store()
    source = make_source(store=store, when_trial_refused="log_out")
    new = source.reject(source.token(), DATA)
    store.fails["clear"] = TokenStoreError("gone")
    refuse_and_log_out(source, new)
    assert "the store still says otherwise" in caplog.text


@pytest.mark.parametrize("lifetime", [3600, 10], ids=["the older is good", "the older has expired"])
def test_a_refused_token_that_was_never_saved_is_not_replaced_by_the_one_before(
    lifetime: float,
) -> None:
    """What is stored is older, and its refresh token spent."""
    store, refresher, clock = Store(), Refresher({"access_token": "b"}, refusal()), Clock()
    source = make_source(refresher, store=store, clock=clock, logged_in=False)
    source.login(first_token(lifetime))
    store.fails["save"] = TokenStoreError("full")
    token = source.refresh(source.token())
    clock.advance(100)
    for _ in range(3):
        with pytest.raises(LoginRequiredError):
            source.refresh(token)
    assert len(refresher.calls) == 2


def test_a_login_that_was_never_saved_and_fails_its_trial_is_not_replaced_by_the_one_before() -> (
    None
):
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock, when_trial_refused="log_out")
    store.fails["save"] = StoreUnavailableError("down")
    with pytest.raises(StoreUnavailableError):
        source.login("another")
    refuse_and_log_out(source, source.reject(source.token(), DATA))
    assert store.load() is None
    clock.advance(1)
    with pytest.raises(LoginRequiredError):
        source.token()


def test_the_login_to_start_with_is_saved_so_that_siblings_and_pickles_have_it() -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock, token=first_token(), logged_in=False)
    source.token()
    assert store.load() == first_token()
    clock.advance(1)
    source.token()
    assert store.saved == ["access-0"]


def test_what_a_store_raises_is_not_repeated_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A database driver repeats the parameters of its statement."""
    store = Store()
    source = make_source(store=store, when_trial_refused="log_out")
    store.fails["save"] = ValueError("INSERT ... s3cret")
    new = source.reject(source.token(), DATA)
    store.fails["clear"] = ValueError("DELETE ... s3cret")
    refuse_and_log_out(source, new)
    assert "s3cret" not in caplog.text
    assert caplog.text.count("the token store raised ValueError") == 2


def test_the_scheme_is_that_of_the_token_in_hand_also_where_the_store_does_not_answer() -> None:
    store = Store()
    store.save(Token("access-0", token_type="DPoP"))
    source = make_source(store=store, logged_in=False)
    assert source.scheme() == "DPoP"
    store.fails["load"] = StoreUnavailableError("down")
    assert source.scheme() is None
    del store.fails["load"]
    source.token()
    store.fails["load"] = StoreUnavailableError("down")
    assert source.scheme() == "DPoP"


def test_a_copy_by_pickle_finds_the_token_to_start_with(tmp_path: Path) -> None:
    """Which is in the store from then on, and in no pickle."""
    seed = Token("access-0", "refresh-0")
    source = TokenSource(print, origins=[ORIGIN], token=seed, store=tmp_path / "token.json")
    copy = pickle.loads(pickle.dumps(source))
    assert copy.token() == source.token() == seed


def test_a_copy_by_pickle_does_not_undo_what_the_store_has(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "token.json")
    store.save(Token("access-1", "refresh-1"))
    source = TokenSource(print, origins=[ORIGIN], token=Token("access-0"), store=store)
    assert pickle.loads(pickle.dumps(source)).token().access_token == "access-1"


def test_pickling_who_has_logged_out_stores_nothing(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "token.json")
    source = TokenSource(print, origins=[ORIGIN], token="access-0", store=store)
    source.logout()
    pickle.dumps(source)
    assert store.load() is None


def test_a_seed_that_cannot_be_stored_cannot_be_pickled_either(tmp_path: Path) -> None:
    (tmp_path / "token.json").mkdir()
    source = TokenSource(print, origins=[ORIGIN], token="access-0", store=tmp_path / "token.json")
    with pytest.raises(TokenStoreError, match="not a regular file"):
        pickle.dumps(source)
