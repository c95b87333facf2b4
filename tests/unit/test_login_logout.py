"""Rule 8: logging out wins, and a late result of an older login never overwrites a newer one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    LoginRequiredError,
    MemoryTokenStore,
    StoreLockTimeoutError,
    Token,
    TokenSource,
    TokenStoreError,
)
from requests_tokenrefresh.events import LoggedIn, LoggedOut, RefreshEnded, RefreshStarted
from tests.support.doors import flying
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
from tests.support.threads import Callers, start_together, wait_until


class HeldStore(MemoryTokenStore):
    """Runs *before* in save(), once, just as another thread might come in between."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], object] | None = None
        self.saved: list[str] = []

    def save(self, token: Token) -> None:
        before, self.before = self.before, None
        if before is not None:
            before()
        super().save(token)
        self.saved.append(token.access_token)


class Queue(MemoryTokenStore):
    """Runs *before* in lock(), once, as if something happened while the lock was another's."""

    before: Callable[[], object] | None = None

    def lock(self, timeout: float) -> AbstractContextManager[None]:
        before, self.before = self.before, None
        if before is not None:
            before()
        return super().lock(timeout)


def held_flight(
    store: MemoryTokenStore | None = None, **options: object
) -> tuple[TokenSource, Refresher, Callers[Token]]:
    """Return a source whose leader is held in the refresher while nine callers wait."""
    refresher = Refresher()
    source = make_source(refresher, store=store, **options)
    refresher.gate.clear()
    old = source.token()
    callers = start_together(10, lambda: source.refresh(old))
    wait_for_waiters(source, 9)
    return source, refresher, callers


def test_logout_during_a_flight_wakes_all_waiters_and_discards_what_it_brings() -> None:
    reasons: list[str] = []
    heard, store = Heard(), HeldStore()
    source, refresher, callers = held_flight(store, on_logout=reasons.append, listeners=[heard])
    source.logout()
    assert store.load() is None
    wait_for_waiters(source, 0)
    refresher.gate.set()
    errors = [outcome.error for outcome in callers.outcomes()]
    assert {(type(e), e.reason) for e in errors} == {(LoginRequiredError, "logged_out")}  # type: ignore[union-attr]
    assert (store.load(), store.saved) == (None, ["access-0"])
    with pytest.raises(LoginRequiredError, match=r"call login\(\) with a new token"):
        source.token()
    assert reasons == ["logged_out"]
    assert [e.outcome for e in heard.of(RefreshEnded)] == ["discarded"]  # type: ignore[attr-defined]


def test_login_during_a_flight_gives_its_token_to_the_waiters_and_to_the_leader() -> None:
    store = MemoryTokenStore()
    source, refresher, callers = held_flight(store)
    source.login("newer")
    wait_for_waiters(source, 0)
    refresher.gate.set()
    assert {o.result().access_token for o in callers.outcomes()} == {"newer"}
    assert source.token().access_token == "newer"
    assert store.load() == source.token()


@pytest.mark.parametrize("newer", [None, "newer"], ids=["logout", "login"])
def test_a_result_saved_too_late_is_taken_back(newer: str | None) -> None:
    """login() or logout() came after the leader's last look, and before its save."""
    heard, store = Heard(), HeldStore()
    source = make_source(store=store, listeners=[heard])
    old = source.token()
    store.before = (lambda: source.login(newer)) if newer else source.logout
    if newer:
        assert source.refresh(old).access_token == newer
    else:
        with pytest.raises(LoginRequiredError):
            source.refresh(old)
    stored = store.load()
    assert (stored and stored.access_token) == newer
    assert [e.outcome for e in heard.of(RefreshEnded)] == ["discarded"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("permanent", [True, False])
def test_a_late_failure_of_an_older_login_does_not_touch_the_newer(permanent: bool) -> None:
    source, refresher, callers = held_flight()
    refresher.answers.append(
        LoginRequiredError("no", reason="invalid_grant") if permanent else OSError()
    )
    source.login("newer")
    refresher.gate.set()
    assert {o.result().access_token for o in callers.outcomes()} == {"newer"}
    assert source.refresh(source.token()).access_token == "access-2"


def test_a_late_refusal_does_not_end_a_newer_login_that_could_not_be_saved() -> None:
    def full() -> None:
        raise TokenStoreError("no space left")

    store = HeldStore()
    source, refresher, callers = held_flight(store)
    refresher.answers.append(LoginRequiredError("no", reason="invalid_grant"))
    store.before = full
    with pytest.raises(TokenStoreError):
        source.login("newer")
    refresher.gate.set()
    assert {o.result().access_token for o in callers.outcomes()} == {"newer"}
    assert source.token().access_token == "newer"


def test_an_interrupt_of_an_old_leader_does_not_end_a_newer_flight() -> None:
    heard = Heard()
    source, refresher, callers = held_flight(listeners=[heard])
    refresher.answers.append(KeyboardInterrupt())
    source.login("newer")
    newer = start_together(1, lambda: source.refresh(source.token()))
    wait_until(lambda: len(heard.of(RefreshStarted)) == 2)
    refresher.gate.set()
    errors = [o.error for o in callers.outcomes() if o.error]
    assert [type(error) for error in errors] == [KeyboardInterrupt]
    assert newer.outcomes()[0].result().access_token == "access-2"
    ends = sorted(event.outcome for event in heard.of(RefreshEnded))  # type: ignore[attr-defined]
    assert ends == ["abandoned", "refreshed"]
    assert source.token().access_token == "access-2"


def test_an_early_leader_that_gives_way_does_not_end_a_newer_flight() -> None:
    newer: list[Callers[Token]] = []

    def busy() -> None:
        source.login("newer")
        refresher.gate.clear()
        newer.append(start_together(1, lambda: source.refresh(source.token())))
        assert refresher.started.wait(5)
        raise StoreLockTimeoutError("busy")

    clock, store, refresher = Clock(), Queue(), Refresher()
    source = make_source(refresher, store=store, clock=clock)
    clock.now = START + 3550
    store.before = busy
    early = start_together(1, source.token)
    wait_for_waiters(source, 1)
    assert flying(source) == "reactive"
    refresher.gate.set()
    for caller in (early, *newer):
        assert caller.outcomes()[0].result().access_token == "access-1"


def test_logout_while_the_leader_queues_for_the_store_spares_the_request() -> None:
    store, refresher = Queue(), Refresher()
    source = make_source(refresher, store=store, token=first_token(), logged_in=False)
    old = source.token()
    store.before = source.logout
    with pytest.raises(LoginRequiredError):
        source.refresh(old)
    assert refresher.calls == []


def test_login_during_a_trial_sends_the_waiters_off_with_its_token() -> None:
    source = make_source(trial_timeout=60)
    old = source.token()
    trial = source.reject(old, DATA)
    waiters = start_together(5, lambda: source.reject(old, DATA))
    wait_for_waiters(source, 5)
    source.login("newer")
    assert {o.result().access_token for o in waiters.outcomes()} == {"newer"}
    source.accept(trial, DATA)
    assert source.token().access_token == "newer"


def test_a_login_ends_once() -> None:
    reasons: list[str] = []
    heard = Heard()
    source = make_source(on_logout=reasons.append, listeners=[heard])
    source.logout()
    source.logout()
    assert reasons == ["logged_out"]
    source.login("again")
    source.logout()
    assert reasons == ["logged_out"] * 2
    assert [type(e) for e in heard.events] == [LoggedIn, LoggedOut] * 2


def test_logging_out_again_clears_the_store_again() -> None:
    store = MemoryTokenStore()
    source = make_source(store=store)
    source.logout()
    store.save(Token("left by somebody"))
    source.logout()
    assert store.load() is None


def test_login_saves_its_token() -> None:
    store = MemoryTokenStore()
    source = make_source(store=store, logged_in=False)
    source.login({"access_token": "a", "refresh_token": "r", "expires_in": 60})
    assert store.load() == Token("a", "r")


def test_an_unusable_token_leaves_the_login_as_it_was() -> None:
    source = make_source()
    with pytest.raises(ValueError, match="access_token is empty"):
        source.login("")
    assert source.token().access_token == "access-0"


def test_a_login_that_cannot_be_saved_is_in_use_all_the_same() -> None:
    class Full(MemoryTokenStore):
        def save(self, token: Token) -> None:
            raise TokenStoreError("no space left")

    source = make_source(store=Full(), logged_in=False)
    with pytest.raises(TokenStoreError, match="no space left"):
        source.login("a")
    assert source.token().access_token == "a"


def test_what_a_store_should_not_raise_is_a_store_error_all_the_same() -> None:
    class Broken(MemoryTokenStore):
        def save(self, token: Token) -> None:
            raise ZeroDivisionError

    with pytest.raises(TokenStoreError, match="the token store raised ZeroDivisionError"):
        make_source(store=Broken(), logged_in=False).login("a")


def test_a_logout_that_cannot_clear_the_store_says_so_and_is_one_all_the_same() -> None:
    class Sealed(MemoryTokenStore):
        def clear(self) -> None:
            raise TokenStoreError("read-only")

    source = make_source(store=Sealed())
    with pytest.raises(TokenStoreError, match="read-only"):
        source.logout()
    with pytest.raises(LoginRequiredError):
        source.token()


def test_logout_and_login_during_a_flight_wait_for_nobody() -> None:
    """As when the user is switched while a refresh hangs."""
    store = HeldStore()
    source, refresher, callers = held_flight(store)
    for act in (source.logout, lambda: source.login("newer")):
        start_together(1, act).outcomes(timeout=5)[0].result()
    assert store.load() == Token("newer")
    refresher.gate.set()
    callers.outcomes()
    assert source.token().access_token == "newer"


def test_a_refresher_may_log_out_and_on_logout_log_in_again() -> None:
    def refresh(_token: Token | None) -> str:
        source.logout()
        return "too late"

    store = MemoryTokenStore()
    source = make_source(
        refresh, store=store, wait_timeout=0, on_logout=lambda _: source.login("newer")
    )
    with pytest.raises(LoginRequiredError, match="logged out by logout"):
        source.refresh(source.token())
    assert source.token().access_token == "newer"
    assert store.load() == Token("newer")


@pytest.mark.parametrize("newer", [None, "newer"], ids=["logout", "login"])
def test_what_a_sibling_saves_while_the_leader_queues_does_not_outlive_it(
    newer: str | None, tmp_path: Path
) -> None:
    """The leader that queues holds no lock under which anything could be written."""
    sibling = FileTokenStore(tmp_path / "token.json")
    source = make_source(store=tmp_path / "token.json")
    old = source.token()
    act = (lambda: source.login(newer)) if newer else source.logout
    with sibling.lock(1):
        leader = start_together(1, lambda: source.refresh(old))
        wait_until(lambda: flying(source))
        acting = start_together(1, act)
        wait_until(lambda: not flying(source))
        sibling.save(Token("siblings"))  # its refresh of the old login
    acting.outcomes()[0].result()
    leader.outcomes()
    stored = sibling.load()
    assert (stored and stored.access_token) == newer


def test_a_slow_write_of_one_login_does_not_come_after_a_newer_one() -> None:
    writing, hold = threading.Event(), threading.Event()

    def stall() -> None:
        writing.set()
        assert hold.wait(10)

    store = HeldStore()
    source, refresher, callers = held_flight(store)
    store.before = stall
    one = start_together(1, lambda: source.login("one"))
    assert writing.wait(5)
    refresher.gate.set()
    callers.outcomes()
    source.login("two")
    hold.set()
    one.outcomes()[0].result()
    assert store.load() == Token("two")


def test_saving_again_does_not_overwrite_a_login_that_comes_in_between() -> None:
    def full() -> None:
        raise TokenStoreError("no space left")

    store = HeldStore()
    source = make_source(store=store)
    store.before = full
    token = source.refresh(source.token())
    store.before = lambda: source.login("newer")
    assert source.refresh(token).access_token == "newer"
    assert store.load() == Token("newer")


@pytest.mark.parametrize("unattended", [None, lambda: "vault"], ids=["", "unattended login"])
def test_a_login_between_the_leaders_look_and_what_it_writes_is_not_lost(
    unattended: Callable[[], str] | None,
) -> None:
    """It clears, or leaves what was refused without its refresh token."""

    class Interposing(MemoryTokenStore):
        before = staticmethod(lambda: None)

        def clear(self) -> None:
            self._interpose()
            super().clear()

        def save(self, token: Token) -> None:
            self._interpose()
            super().save(token)

        def _interpose(self) -> None:
            before, self.before = self.before, staticmethod(lambda: None)
            before()

    store = Interposing()
    refresher = Refresher(LoginRequiredError("no", reason="invalid_grant"))
    source = make_source(refresher, store=store, login=unattended)
    store.before = staticmethod(lambda: source.login("newer"))
    assert source.refresh(source.token()).access_token == "newer"
    assert store.load() == Token("newer")
