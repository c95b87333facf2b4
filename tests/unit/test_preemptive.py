"""Rule 9: refreshing by the clock, before a server has to say so."""

from __future__ import annotations

import pytest

from requests_tokenrefresh import (
    LoginRequiredError,
    MemoryTokenStore,
    RefreshFailedError,
    RefreshTokenGrant,
    Token,
    TokenSource,
)
from requests_tokenrefresh.events import LoggedOut, RefreshStarted
from tests.support.doors import without_the_lock
from tests.support.logins import (
    DATA,
    OTHER,
    START,
    Clock,
    Heard,
    Refresher,
    first_token,
    make_source,
    wait_for_waiters,
)
from tests.support.threads import Callers, start_together, wait_until


def source_with(
    lifetime: float, refresher: Refresher | None = None, **options: object
) -> tuple[TokenSource, Clock, Refresher]:
    clock = Clock()
    refresher = refresher or Refresher()
    options = {"random": lambda: 0.0, **options}
    source = make_source(refresher, clock=clock, logged_in=False, **options)
    source.login(first_token(lifetime))
    return source, clock, refresher


# -- counting as expired -----------------------------------------------------------------------


def test_within_the_leeway_a_token_counts_as_expired() -> None:
    source, clock, refresher = source_with(3600, early=0)
    clock.now = START + 3600 - 10.001
    assert source.token().access_token == "access-0"
    clock.now = START + 3600 - 10
    assert source.token().access_token == "access-1"
    assert len(refresher.calls) == 1


def test_the_leeway_is_never_more_than_a_tenth_of_the_lifetime() -> None:
    source, clock, _ = source_with(2, leeway=10, early=0)
    clock.now = START + 1.79
    assert source.token().access_token == "access-0"
    clock.now = START + 1.81
    assert source.token().access_token == "access-1"


def test_an_expired_token_is_refreshed_once_before_anybody_sends_it() -> None:
    heard = Heard()
    source, clock, refresher = source_with(3600, listeners=[heard])
    clock.advance(3600)
    refresher.gate.clear()
    callers = start_together(50, source.token)
    assert refresher.started.wait(5)
    refresher.gate.set()
    assert {o.result().access_token for o in callers.outcomes()} == {"access-1"}
    assert [event.why for event in heard.of(RefreshStarted)] == ["preemptive"]  # type: ignore[attr-defined]


def test_a_token_without_an_expiry_is_good_until_a_server_says_otherwise() -> None:
    clock = Clock()
    source = make_source(clock=clock, logged_in=False)
    source.login("opaque")
    clock.advance(10**9)
    assert source.token().access_token == "opaque"


def test_a_token_whose_issue_is_unknown_was_issued_when_it_came_here() -> None:
    """Otherwise it would have no lifetime to measure the leeway and the early window against."""
    clock, refresher = Clock(), Refresher()
    source = make_source(refresher, clock=clock, logged_in=False, random=lambda: 0.0)
    source.login(Token("a", expires_at=START + 100))
    clock.now = START + 79
    assert source.token().access_token == "a"
    clock.now = START + 81
    assert source.token().access_token == "access-1"


def test_a_token_that_says_when_it_was_issued_keeps_to_that() -> None:
    source = make_source(logged_in=False)
    source.login(Token("a", issued_at=START - 60, expires_at=START + 60))
    assert (source.token().issued_at, source.token().lifetime) == (START - 60, 120)


def test_a_stored_token_of_unknown_lifetime_is_used_to_its_end() -> None:
    """There is nothing to measure the leeway and the early window against."""
    clock, store, refresher = Clock(), MemoryTokenStore(), Refresher()
    source = make_source(refresher, store=store, clock=clock, logged_in=False)
    store.save(Token("stored", expires_at=START + 60))
    clock.advance(59.99)
    assert [source.token().access_token for _ in range(2)] == ["stored"] * 2
    assert refresher.calls == []
    clock.advance(0.01)
    assert source.token().access_token == "access-1"


def test_a_lifetime_is_counted_from_before_the_request_for_it() -> None:
    """The server began to count before its reply was here: ours may never be the later expiry."""
    clock = Clock()
    refresher = Refresher(lambda: clock.advance(5), lifetime=100)
    source = make_source(refresher, clock=clock)
    assert source.refresh(source.token()).expires_at == START + 100


def test_a_token_that_is_expired_on_arrival_is_used_until_a_server_rejects_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The clocks disagree: refreshing with every request would not make them agree."""
    refresher = Refresher(Token("a", expires_at=START - 1))
    source = make_source(refresher)
    source.refresh(source.token())
    assert source.token().access_token == "a"
    assert len(refresher.calls) == 1
    assert "do the clocks disagree" in caplog.text


def unreachable(retry_after: float = 60) -> RefreshFailedError:
    return RefreshFailedError("unreachable", retry_after=retry_after)


@pytest.mark.parametrize("age", [3400, 3600], ids=["early", "expired"])
def test_a_refresh_by_the_clock_has_no_trial(age: float) -> None:
    """Nobody has been told that the old token is dead, so nothing has to be proven."""
    source, clock, _ = source_with(3600, trial_timeout=60)
    clock.now = START + age
    new = source.token()
    assert new.access_token == "access-1"
    assert not source.on_trial(new)


def test_the_last_seconds_of_a_token_are_better_than_none(caplog: pytest.LogCaptureFixture) -> None:
    source, clock, refresher = source_with(3600, Refresher(unreachable()))
    clock.now = START + 3595
    assert source.token().access_token == "access-0"
    assert source.token().access_token == "access-0"
    assert len(refresher.calls) == 1
    assert "the refresh failed" in caplog.text
    clock.now = START + 3600
    with pytest.raises(RefreshFailedError):
        source.token()


def test_only_who_holds_a_401_is_denied_the_last_seconds() -> None:
    source, clock, refresher = source_with(3600, Refresher(unreachable(7)))
    old = source.token()
    clock.now = START + 3595
    with pytest.raises(RefreshFailedError):
        source.reject(old, DATA)
    assert source.token() is old
    with pytest.raises(RefreshFailedError):
        source.reject(old, DATA)
    assert len(refresher.calls) == 1


# -- early -------------------------------------------------------------------------------------


def test_in_the_early_window_one_caller_refreshes_and_the_others_go_on() -> None:
    heard = Heard()
    source, clock, refresher = source_with(3600, listeners=[heard])
    clock.now = START + 3600 - 300
    refresher.gate.clear()
    leaders: list[Callers[Token]] = []

    def lead() -> None:
        leaders.append(start_together(1, source.token))
        assert refresher.started.wait(5)
        with without_the_lock(source):  # the others have their hot path back
            assert source.token().access_token == "access-0"

    # Whoever is about to see that it is time, while another begins, goes on as well.
    clock.before_next_look = lead
    assert source.token().access_token == "access-0"
    others = start_together(20, source.token).outcomes()
    assert {o.result().access_token for o in others} == {"access-0"}
    refresher.gate.set()
    assert leaders[0].outcomes()[0].result().access_token == "access-1"
    assert source.token().access_token == "access-1"
    assert [event.why for event in heard.of(RefreshStarted)] == ["early"]  # type: ignore[attr-defined]


def test_a_late_401_during_an_early_refresh_does_not_wait_for_it() -> None:
    source, clock, refresher = source_with(3600)
    older = source.token()
    current = source.refresh(older)
    clock.now = START + 3400
    refresher.gate.clear()
    leader = start_together(1, source.token)
    wait_until(lambda: len(refresher.calls) == 2)
    late = start_together(1, lambda: source.reject(older, DATA)).outcomes(timeout=5)
    assert late[0].result() is current
    refresher.gate.set()
    leader.outcomes()


def test_who_finds_a_new_token_on_leaving_the_hot_path_refreshes_nothing() -> None:
    """A login comes between its look at the clock and its turn."""
    heard = Heard()
    source, clock, refresher = source_with(3600, listeners=[heard])

    clock.now = START + 3400
    newer = Token("newer", "refresh-n", issued_at=clock.now, expires_at=clock.now + 3600)
    clock.before_next_look = lambda: source.login(newer)
    assert source.token().access_token == "newer"
    assert (refresher.calls, heard.of(RefreshStarted)) == ([], [])


def test_before_the_early_window_nobody_refreshes() -> None:
    source, clock, refresher = source_with(3600)
    clock.now = START + 3600 - 301
    source.token()
    assert refresher.calls == []


@pytest.mark.parametrize(
    ("random", "opens"), [(0.0, 80), (1.0, 90)], ids=["no jitter", "most jitter"]
)
def test_the_early_window_is_a_fifth_of_a_short_lifetime_with_jitter(
    random: float, opens: float
) -> None:
    source, clock, refresher = source_with(100, random=lambda: random)
    clock.now = START + opens - 0.01
    source.token()
    assert refresher.calls == []
    clock.now = START + opens
    source.token()
    assert len(refresher.calls) == 1


def test_early_zero_turns_it_off() -> None:
    source, clock, refresher = source_with(100, early=0)
    clock.now = START + 89
    source.token()
    assert refresher.calls == []


def test_a_transient_failure_of_an_early_refresh_is_logged_and_nobody_sees_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, clock, refresher = source_with(3600, Refresher(unreachable(7)))
    clock.now = START + 3400
    assert source.token().access_token == "access-0"
    assert source.token().access_token == "access-0"
    assert len(refresher.calls) == 1
    assert "unreachable" in caplog.text
    clock.advance(7)
    assert source.token().access_token == "access-2"


def test_a_logout_during_an_early_refresh_reaches_its_leader_whatever_begins_then() -> None:
    """As it reaches any other that leads or waits."""

    def switch_users() -> None:
        source.logout()
        source.login("newer")

    source, clock, _ = source_with(3600, Refresher(switch_users))
    clock.now = START + 3400
    with pytest.raises(LoginRequiredError, match="logged out by logout"):
        source.token()
    assert source.token().access_token == "newer"


@pytest.mark.parametrize("reason", ["invalid_grant", "no_refresh_token"])
def test_a_refusal_of_an_early_refresh_ends_the_login_when_the_token_dies(reason: str) -> None:
    """Until then it is used, and nobody asks again."""
    reasons: list[str] = []
    store, heard = MemoryTokenStore(), Heard()
    source, clock, refresher = source_with(
        3600,
        Refresher(LoginRequiredError("refused", reason=reason)),
        on_logout=reasons.append,
        store=store,
        listeners=[heard],
    )
    clock.now = START + 3400
    for seconds in (0, 1, 100, 98.5):
        clock.advance(seconds)
        assert source.token().access_token == "access-0"
    left = store.load()
    assert left is not None
    assert (left.access_token, left.refresh_token) == ("access-0", None)
    assert (reasons, heard.of(LoggedOut)) == ([], [])
    clock.now = START + 3600
    for _ in range(2):
        with pytest.raises(LoginRequiredError) as caught:
            source.token()
        assert caught.value.reason == reason
    assert reasons == [reason]
    assert len(heard.of(LoggedOut)) == 1
    assert len(refresher.calls) == 1


def test_after_a_refused_early_refresh_a_401_is_the_end_for_its_own_request_only() -> None:
    source, clock, refresher = source_with(
        3600, Refresher(LoginRequiredError("refused", reason="invalid_grant"))
    )
    old = source.token()
    clock.now = START + 3400
    assert source.token() is old
    with pytest.raises(LoginRequiredError) as caught:
        source.reject(old, DATA)
    assert caught.value.reason == "invalid_grant"
    assert source.token() is old
    assert len(refresher.calls) == 1


def test_a_token_that_dies_during_a_replay_after_its_refresh_was_refused_ends_the_login() -> None:
    reasons: list[str] = []
    heard = Heard()
    refresher = Refresher(None, LoginRequiredError("refused", reason="invalid_grant"))
    source, clock, _ = source_with(3600, refresher, on_logout=reasons.append, listeners=[heard])
    older = source.token()
    current = source.refresh(older)
    clock.now = START + 3400
    assert source.reject(older, DATA) is current
    clock.now = START + 3600
    assert source.refuse(current, DATA) is False
    with pytest.raises(LoginRequiredError):
        source.reject(current, DATA, replay=True)
    assert reasons == ["invalid_grant"]
    assert len(heard.of(LoggedOut)) == 1


def test_a_sibling_uses_up_a_token_whose_refresh_was_refused_and_asks_nobody() -> None:
    store = MemoryTokenStore()
    refusal = LoginRequiredError("refused", reason="invalid_grant")
    source, clock, _ = source_with(3600, Refresher(refusal), store=store)
    grant = RefreshTokenGrant("https://auth.example.com/token", client_id="reports")
    clock.now = START + 3400
    source.token()
    sibling = make_source(grant, store=store, clock=clock, logged_in=False)
    for _ in range(2):
        assert sibling.token().access_token == "access-0"
        clock.advance(1)
    clock.now = START + 3600
    with pytest.raises(LoginRequiredError) as caught:
        sibling.token()
    assert caught.value.reason == "no_refresh_token"


@pytest.mark.parametrize(
    ("moment", "failure"),
    [
        (3400, unreachable(7)),
        (3400, LoginRequiredError("no", reason="invalid_grant")),
        (3595, unreachable(7)),
    ],
    ids=["early", "refused early", "nearly expired"],
)
def test_a_401_to_an_older_token_is_replayed_though_the_refresh_fails(
    moment: float, failure: Exception
) -> None:
    """The token in hand has not been refused, and lives."""
    source, clock, refresher = source_with(3600, Refresher(None, failure))
    older = source.token()
    current = source.refresh(older)
    clock.now = START + moment
    for _ in range(2):
        assert source.reject(older, DATA) is current
    assert len(refresher.calls) == 2


def test_after_a_refused_early_refresh_a_new_login_begins_as_ever() -> None:
    refusal = LoginRequiredError("refused", reason="invalid_grant")
    source, clock, _ = source_with(3600, Refresher(refusal))
    clock.now = START + 3400
    source.token()
    source.login(Token("another", "refresh-b"))
    clock.now = START + 3600
    assert source.token().access_token == "another"
    assert source.refresh(source.token()).access_token == "access-2"


class ClientsOwn(Refresher):
    """A refresher that needs nobody to log in."""

    unattended = True


@pytest.mark.parametrize("age", [3300, 3590], ids=["early", "nearly expired"])
@pytest.mark.parametrize("refused", [False, True], ids=["failed", "was refused, and may pass"])
def test_after_a_refresh_that_failed_the_next_one_waits_ten_times_as_long_as_that_took(
    age: float, refused: bool
) -> None:
    """So that no more than a tenth of the time is spent in vain while the token lives."""

    def after_half_a_second() -> Exception:
        clock.advance(0.5)
        reason = LoginRequiredError("no", reason="invalid_grant")
        return reason if refused else unreachable(0)

    refresher = ClientsOwn(after_half_a_second)
    source, clock, _ = source_with(3600, refresher)
    clock.now = START + age
    old = source.token()
    assert len(refresher.calls) == 1
    clock.advance(4.75)
    assert source.token() is old
    assert len(refresher.calls) == 1
    clock.advance(0.25)
    source.token()
    assert len(refresher.calls) == 2


def test_a_401_during_an_early_refresh_waits_for_it() -> None:
    source, clock, refresher = source_with(3600)
    old = source.token()
    clock.now = START + 3400
    refresher.gate.clear()
    leader = start_together(1, source.token)
    assert refresher.started.wait(5)
    rejecting = start_together(5, lambda: source.reject(old, DATA))
    assert not source.is_own(old, DATA)
    refresher.gate.set()
    assert {o.result().access_token for o in rejecting.outcomes()} == {"access-1"}
    assert leader.outcomes()[0].result().access_token == "access-1"
    assert len(refresher.calls) == 1


def test_a_401_during_an_early_refresh_is_nobodys_own_answer() -> None:
    """Many a server revokes the old access token at the moment it issues the new one."""
    source, clock, refresher = source_with(3600, Refresher(lifetime=0.5))
    token = source.refresh(source.token())
    source.accept(token, DATA)
    assert source.refuse(token, OTHER) is True
    assert source.is_own(token, OTHER)
    clock.advance(0.42)
    refresher.gate.clear()
    leader = start_together(1, source.token)
    wait_until(lambda: len(refresher.calls) == 2)
    assert not source.is_own(token, OTHER)
    assert source.refuse(token, OTHER) is False
    refresher.gate.set()
    assert leader.outcomes()[0].result().access_token == "access-2"


def test_a_401_during_an_early_refresh_that_fails_sees_the_failure() -> None:
    source, clock, refresher = source_with(3600, Refresher(unreachable()))
    old = source.token()
    clock.now = START + 3400
    refresher.gate.clear()
    leader = start_together(1, source.token)
    assert refresher.started.wait(5)
    rejecting = start_together(1, lambda: source.reject(old, DATA))
    wait_for_waiters(source, 1)
    refresher.gate.set()
    assert isinstance(rejecting.outcomes()[0].error, RefreshFailedError)
    assert leader.outcomes()[0].result() is old  # nobody has told it that this one is dead
    assert len(refresher.calls) == 1
