"""Rule 6: failure is shared, and has two kinds."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import requests
from oauthlib.oauth2 import InvalidGrantError

from requests_tokenrefresh import (
    LoginRequiredError,
    MemoryTokenStore,
    RefreshFailedError,
    Token,
    TokenRefreshError,
)
from requests_tokenrefresh.events import LoggedOut, RefreshEnded
from tests.support.logins import (
    DATA,
    Clock,
    Heard,
    Refresher,
    first_token,
    make_source,
    wait_for_waiters,
)
from tests.support.threads import start_together
from tests.support.troubled_store import Store


def refused() -> LoginRequiredError:
    return LoginRequiredError("the token endpoint refused it", reason="invalid_grant")


@pytest.mark.parametrize("secret", ["access_token", "refresh_token"])
def test_what_a_refresher_raises_is_the_cause_unless_it_repeats_a_token(secret: str) -> None:
    """Its words may be a URL, or the form that it has sent."""
    refresher = Refresher()
    source = make_source(refresher, logged_in=False)
    source.login(Token("the-access-token", "the-refresh-token"))
    old = source.token()
    telling = OSError(f"cannot open /tmp/{getattr(old, secret)}")
    telling.__cause__ = KeyError("what")
    refresher.answers += [ValueError("no JSON"), telling]
    told: list[BaseException | None] = []
    for _ in range(2):
        with pytest.raises(RefreshFailedError) as caught:
            source.refresh(old)
        told.append(caught.value)
        source.login(old)
        old = source.token()
    assert isinstance(told[0].__cause__, ValueError)  # type: ignore[union-attr]
    error = told[1]
    while error is not None:
        assert getattr(old, secret) not in str(error)
        error = error.__cause__ or error.__context__


# -- permanent ---------------------------------------------------------------------------------


def test_a_permanent_failure_is_asked_for_once_ever() -> None:
    """All who wait fail together, and so does everybody after them, without another request."""
    reasons: list[str] = []
    heard, store, refresher = Heard(), MemoryTokenStore(), Refresher(refused())
    refresher.gate.clear()
    source = make_source(refresher, store=store, on_logout=reasons.append, listeners=[heard])
    old = source.token()
    callers = start_together(30, lambda: source.refresh(old))
    wait_for_waiters(source, 29)
    refresher.gate.set()
    errors: list[Any] = [outcome.error for outcome in callers.outcomes()]
    for attempt in (source.token, lambda: source.refresh(old), lambda: source.reject(old, DATA)):
        with pytest.raises(LoginRequiredError) as later:
            attempt()
        errors.append(later.value)
    assert {error.reason for error in errors} == {"invalid_grant"}
    assert {error.response.status_code for error in errors} == {401}
    assert len({id(error) for error in errors}) == 33
    assert len({id(error.__cause__) for error in errors}) == 1
    assert len(refresher.calls) == 1
    assert reasons == ["invalid_grant"]
    assert [event.reason for event in heard.of(LoggedOut)] == ["invalid_grant"]  # type: ignore[attr-defined]
    assert store.load() is None


def test_login_ends_the_latch() -> None:
    source = make_source(Refresher(refused()))
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    source.login(Token("another"))
    assert source.token().access_token == "another"


def test_an_on_logout_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_reason: str) -> None:
        raise ZeroDivisionError

    source = make_source(on_logout=broken)
    source.logout()
    assert "on_logout raised" in caplog.text


def error_reply(status: int, body: bytes) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    response._content = body
    return requests.HTTPError("400 Client Error", response=response)


class AuthlibsError(Exception):
    error = "invalid_grant"


class GoogleAuthsError(Exception):
    """`google.auth.exceptions.RefreshError`."""

    def __init__(self, *args: object, retryable: bool = False) -> None:
        super().__init__(*args)


@pytest.mark.parametrize(
    "answer",
    [
        InvalidGrantError(),
        AuthlibsError(),
        GoogleAuthsError("invalid_grant: None", {"error": "invalid_grant"}, retryable=False),
        {"error": "invalid_grant", "suberror": "bad_token"},
        {"error": "interaction_required"},
        error_reply(400, b'{"error": "invalid_grant"}'),
    ],
    ids=["oauthlib", "authlib", "google-auth", "msal", "msal's other", "raise_for_status"],
)
def test_invalid_grant_is_understood_from_other_libraries(answer: object) -> None:
    source = make_source(Refresher(answer))
    with pytest.raises(LoginRequiredError) as caught:
        source.refresh(source.token())
    assert caught.value.reason == "invalid_grant"


@pytest.mark.parametrize(
    "error",
    [
        GoogleAuthsError("invalid_client: None", {"error": "invalid_client"}, retryable=False),
        GoogleAuthsError("invalid_grant", ["error", "invalid_grant"]),
        error_reply(400, b'{"error": "invalid_client"}'),
        error_reply(400, b'{"error": [["invalid_grant"]]}'),
        error_reply(400, b'["invalid_grant"]'),
        error_reply(502, b"<html>"),
        requests.HTTPError("no response"),
        KeyError("access_token"),
    ],
    ids=[
        "google-auth",
        "no reply",
        "another code",
        "no code",
        "a list",
        "html",
        "no response",
        "a bug",
    ],
)
def test_anything_else_a_refresher_raises_is_transient(error: Exception) -> None:
    source = make_source(Refresher(error))
    with pytest.raises(RefreshFailedError) as caught:
        source.refresh(source.token())
    assert caught.value.__cause__ is error


def test_a_refreshers_message_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    """It may hold a URL or a form with secrets in it; the cause is there for whoever may look."""
    source = make_source(Refresher(ValueError("refresh_token=s3cret")))
    with pytest.raises(RefreshFailedError) as caught:
        source.refresh(source.token())
    assert str(caught.value) == "ValueError while getting a new token"
    assert "s3cret" not in caplog.text


def test_a_refresher_that_cannot_do_without_a_token_says_so() -> None:
    source = make_source(lambda token: token.refresh_token, logged_in=False)
    with pytest.raises(RefreshFailedError, match="nobody has logged in yet"):
        source.token()


@pytest.mark.parametrize("reply", [{}, {"access_token": "a\r\nb"}, 7, {"access_token": ""}])
def test_a_reply_without_a_usable_token_is_transient(reply: object) -> None:
    source = make_source(lambda _: reply)
    with pytest.raises(
        RefreshFailedError, match="what the refresher has returned is no new token: "
    ):
        source.refresh(source.token())


def test_having_no_token_is_no_logout() -> None:
    """Nobody has logged in: no login ends, and the store may hold one the next time."""
    reasons: list[str] = []
    heard, store = Heard(), MemoryTokenStore()
    nothing = LoginRequiredError("there is no token; log in first", reason="no_token")
    source = make_source(
        Refresher(nothing),
        store=store,
        logged_in=False,
        on_logout=reasons.append,
        listeners=[heard],
    )
    with pytest.raises(LoginRequiredError, match="log in first"):
        source.token()
    store.save(Token("stored", issued_at=0))
    assert source.token().access_token == "stored"
    assert reasons == []
    assert [event.outcome for event in heard.of(RefreshEnded)] == ["permanent", "adopted"]  # type: ignore[attr-defined]


def test_a_login_to_start_with_that_is_refused_is_asked_for_once_ever() -> None:
    reasons: list[str] = []
    refresher = Refresher(refused())
    expired = first_token(issued_at=0)
    source = make_source(refresher, token=expired, logged_in=False, on_logout=reasons.append)
    for _ in range(2):
        with pytest.raises(LoginRequiredError, match="the token endpoint refused it"):
            source.token()
    assert (refresher.calls, reasons) == ([expired], ["invalid_grant"])


# -- transient ---------------------------------------------------------------------------------


def unreachable(retry_after: float | None = None) -> RefreshFailedError:
    return RefreshFailedError("the token endpoint did not answer", retry_after=retry_after)


def test_a_transient_failure_is_shared_by_all_its_waiters() -> None:
    refresher = Refresher(unreachable())
    refresher.gate.clear()
    source = make_source(refresher)
    old = source.token()
    callers = start_together(30, lambda: source.refresh(old))
    wait_for_waiters(source, 29)
    refresher.gate.set()
    errors: list[Any] = [outcome.error for outcome in callers.outcomes()]
    assert {type(error) for error in errors} == {RefreshFailedError}
    assert len({id(error) for error in errors}) == 30
    assert len({id(error.__cause__) for error in errors}) == 1
    assert len(refresher.calls) == 1


def test_until_the_backoff_has_passed_callers_fail_fast() -> None:
    """Those that have no token to send, that is: the one in hand has expired."""
    clock, refresher = Clock(), Refresher(unreachable(), unreachable())
    source = make_source(refresher, clock=clock, random=lambda: 1.0)
    clock.advance(3600)
    for attempt, wait in ((1, 0.5), (2, 1.0)):
        with pytest.raises(RefreshFailedError) as leader:
            source.token()
        assert leader.value.retry_after == wait
        clock.advance(wait - 0.25)
        with pytest.raises(RefreshFailedError) as fast:
            source.token()
        assert fast.value.retry_after == 0.25
        assert fast.value.__cause__ is leader.value.__cause__
        assert fast.value is not fast.value.__cause__
        assert len(refresher.calls) == attempt
        clock.advance(0.25)
    assert source.token().access_token == "access-3"


def test_the_backoff_doubles_up_to_thirty_seconds_and_begins_anew_after_a_success() -> None:
    clock, refresher = Clock(), Refresher(*[unreachable() for _ in range(8)])
    source = make_source(refresher, clock=clock, random=lambda: 1.0)
    token = source.token()

    def failed() -> float | None:
        with pytest.raises(RefreshFailedError) as caught:
            source.refresh(token)
        clock.advance(caught.value.retry_after or 0)
        return caught.value.retry_after

    assert [failed() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    token = source.refresh(token)
    refresher.answers.append(unreachable())
    assert failed() == 0.5


def test_the_backoff_doubles_also_for_an_error_that_is_raised_again_and_again() -> None:
    """As a mock does, and a refresher that has made its error beforehand: what one pause was is
    not what the issuer says of the next."""
    error = RefreshFailedError("maintenance")
    clock, refresher = Clock(), Refresher(*[error] * 4)
    source = make_source(refresher, clock=clock, random=lambda: 1.0)
    token, pauses = source.token(), []
    for _ in range(4):
        with pytest.raises(RefreshFailedError) as caught:
            source.refresh(token)
        pauses.append(caught.value.retry_after)
        clock.advance(caught.value.retry_after or 0)
    assert pauses == [0.5, 1, 2, 4]
    assert error.retry_after is None


def test_the_backoff_begins_with_half_a_second_for_the_first_token_too() -> None:
    source = make_source(Refresher(unreachable()), logged_in=False, random=lambda: 1.0)
    with pytest.raises(RefreshFailedError) as caught:
        source.token()
    assert caught.value.retry_after == 0.5


def test_the_backoff_has_full_jitter() -> None:
    source = make_source(Refresher(unreachable()), random=lambda: 0.125)
    with pytest.raises(RefreshFailedError) as caught:
        source.refresh(source.token())
    assert caught.value.retry_after == 0.5 * 0.125


@pytest.mark.parametrize(("luck", "pause"), [(0.0, 120), (0.5, 126), (1.0, 132)])
def test_what_the_server_says_about_retrying_is_followed(luck: float, pause: float) -> None:
    """With jitter on top: a fleet that was told the same does not come back in lockstep."""
    clock, refresher = Clock(), Refresher(unreachable(retry_after=120))
    source = make_source(refresher, clock=clock, random=lambda: luck)
    old = source.token()
    with pytest.raises(RefreshFailedError) as caught:
        source.refresh(old)
    assert caught.value.retry_after == pause
    clock.advance(pause - 1)
    with pytest.raises(RefreshFailedError) as caught:
        source.refresh(old)
    assert caught.value.retry_after == 1
    assert len(refresher.calls) == 1
    clock.advance(1)
    assert source.refresh(old).access_token == "access-2"


@pytest.mark.parametrize("said", [3600.5, 1e300, 31_536_000])
def test_who_says_to_come_back_after_more_than_an_hour_is_asked_after_an_hour(said: float) -> None:
    source = make_source(Refresher(unreachable(retry_after=said)), random=lambda: 0.0)
    with pytest.raises(RefreshFailedError) as caught:
        source.refresh(source.token())
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize("ways", ["expiring", "for ever"])
def test_while_the_refresh_fails_only_those_that_hold_a_401_fail(ways: str) -> None:
    """Nobody else knows the token in hand to be dead, so it is sent."""
    clock, refresher = Clock(), Refresher(unreachable(10.0), unreachable(10.0))
    source = make_source(refresher, clock=clock, random=lambda: 0.0, logged_in=False)
    source.login(first_token() if ways == "expiring" else "access-0")
    old = source.token()
    for _ in range(2):
        with pytest.raises(RefreshFailedError):
            source.reject(old, DATA)
        assert source.token() is old
    assert len(refresher.calls) == 1
    clock.advance(10)
    with pytest.raises(RefreshFailedError):
        source.reject(old, DATA)
    assert source.token() is old
    assert len(refresher.calls) == 2


def test_logging_in_ends_the_backoff() -> None:
    source = make_source(Refresher(unreachable()))
    with pytest.raises(RefreshFailedError):
        source.refresh(source.token())
    source.login("another")
    assert source.refresh(source.token()).access_token == "access-2"


@pytest.mark.parametrize(("retry_after", "said"), [(0.0, "0.0 s"), (7.25, "7.2 s")])
def test_when_the_next_refresh_may_be_is_in_the_log(
    caplog: pytest.LogCaptureFixture, retry_after: float, said: str
) -> None:
    refresher = Refresher(RefreshFailedError("busy", retry_after=retry_after))
    source = make_source(refresher, random=lambda: 0.0)
    with pytest.raises(RefreshFailedError):
        source.refresh(source.token())
    assert caplog.messages == [f"the refresh failed; the next one in {said} at the earliest: busy"]


@pytest.mark.parametrize("early", [True, False])
def test_that_the_token_in_use_is_the_last_one_is_in_the_log_if_it_is(
    caplog: pytest.LogCaptureFixture, early: bool
) -> None:
    clock = Clock()
    source = make_source(Refresher(refused()), clock=clock, random=lambda: 0.0)
    old = source.token()
    if early:
        clock.advance(3300)
        assert source.token() is old
    else:
        with pytest.raises(LoginRequiredError):
            source.refresh(old)
    assert ["the token in use is the last one" in one for one in caplog.messages] == [True] * early


def test_a_refusal_in_the_last_seconds_of_a_token_comes_no_longer_early() -> None:
    """It counts as expired: nobody is to be surprised in the middle of something."""
    clock, reasons = Clock(), list[str]()
    source = make_source(Refresher(refused()), clock=clock, on_logout=reasons.append)
    clock.advance(3595)
    with pytest.raises(LoginRequiredError):
        source.token()
    assert reasons == ["invalid_grant"]


def test_what_a_flight_ends_with_is_told() -> None:
    heard = Heard()
    source = make_source(Refresher(unreachable(0.0), refused()), listeners=[heard])
    old = source.token()
    for _ in range(2):
        with pytest.raises(TokenRefreshError):
            source.refresh(old)
    assert [event.outcome for event in heard.of(RefreshEnded)] == ["transient", "permanent"]  # type: ignore[attr-defined]


# -- unattended login --------------------------------------------------------------------------


def test_without_a_token_the_unattended_login_is_used() -> None:
    heard, store, refresher, login = Heard(), MemoryTokenStore(), Refresher(), Refresher()
    source = make_source(refresher, store=store, login=login, logged_in=False, listeners=[heard])
    assert source.token().access_token == "access-1"
    assert [event.outcome for event in heard.of(RefreshEnded)] == ["logged_in"]  # type: ignore[attr-defined]
    assert (len(login.calls), len(refresher.calls)) == (1, 0)
    assert store.load() == source.token()


def test_a_permanent_refusal_leads_to_the_unattended_login() -> None:
    reasons: list[str] = []
    heard = Heard()
    refresher, login = Refresher(refused()), Refresher({"access_token": "vault", "expires_in": 60})
    source = make_source(refresher, login=login, on_logout=reasons.append, listeners=[heard])
    assert source.refresh(source.token()).access_token == "vault"
    assert (len(login.calls), len(refresher.calls), reasons) == (1, 1, [])
    assert [event.outcome for event in heard.of(RefreshEnded)] == ["logged_in"]  # type: ignore[attr-defined]


def wrong_password() -> LoginRequiredError:
    return LoginRequiredError("no", reason="wrong_password")


def test_an_unattended_login_that_is_refused_is_tried_again_after_a_growing_pause() -> None:
    """Nobody is there to log in, so nothing ends: it heals by itself, and spares the server."""
    clock, reasons = Clock(), list[str]()
    refresher, login = Refresher(refused()), Refresher(*[wrong_password() for _ in range(11)])
    source = make_source(
        refresher, login=login, on_logout=reasons.append, clock=clock, random=lambda: 0.0
    )
    old = source.token()
    for attempt, pause in enumerate([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300], start=1):
        for seconds in (0, pause - 0.5):
            clock.advance(seconds)
            with pytest.raises(LoginRequiredError) as caught:
                source.refresh(old)
            assert caught.value.reason == "wrong_password"
        assert (len(login.calls), len(refresher.calls)) == (attempt, 1)
        clock.advance(0.5)
    assert source.refresh(old).access_token == "access-12"
    assert reasons == []


class ClientsOwn(Refresher):
    """A refresher that needs nobody to log in, as `ClientCredentialsGrant`."""

    unattended = True


def test_the_refusal_of_a_refresher_that_needs_nobody_ends_nothing() -> None:
    clock, reasons, store = Clock(), list[str](), MemoryTokenStore()
    refresher, heard = ClientsOwn(refused()), Heard()
    source = make_source(
        refresher,
        on_logout=reasons.append,
        clock=clock,
        random=lambda: 0.0,
        store=store,
        listeners=[heard],
    )
    old = source.token()
    for _ in range(2):
        with pytest.raises(LoginRequiredError):
            source.reject(old, DATA)
    assert (len(refresher.calls), source.token(), store.load()) == (1, old, old)
    clock.advance(1)
    assert source.reject(old, DATA) == Token("access-2", "refresh-2")
    assert reasons == []
    outcomes = [event.outcome for event in heard.of(RefreshEnded)]  # type: ignore[attr-defined]
    assert outcomes == ["transient", "refreshed"]


def test_an_unattended_login_that_cannot_be_reached_does_not_end_the_login() -> None:
    """And the refused refresh token is not sent a second time."""
    clock = Clock()
    refresher, login = Refresher(refused()), Refresher(unreachable(1.0))
    source = make_source(refresher, login=login, clock=clock, random=lambda: 0.0)
    with pytest.raises(RefreshFailedError):
        source.refresh(source.token())
    clock.advance(1)
    assert source.token().access_token == "access-2"
    assert (len(login.calls), len(refresher.calls)) == (2, 1)


def test_while_the_unattended_login_fails_a_token_that_was_refused_early_is_used_up() -> None:
    """And neither the refresh token that was refused, nor the refresher, is tried again."""
    clock, store, down = Clock(), MemoryTokenStore(), RefreshFailedError("down", retry_after=60.0)
    refresher, login = Refresher(refused()), Refresher(down, down)
    source = make_source(refresher, store=store, login=login, clock=clock, random=lambda: 0.0)
    old = source.token()
    clock.advance(3300)  # the early window is open
    for calls in (1, 1, 2):
        assert source.token() is old
        assert (len(login.calls), len(refresher.calls)) == (calls, 1)
        clock.advance(31)
    assert store.load() == replace(old, refresh_token=None)
    clock.advance(60)
    assert source.token() == store.load() == Token("access-3", "refresh-3")
    assert len(refresher.calls) == 1


@pytest.mark.parametrize("unattended", [True, False])
def test_an_interrupt_while_a_refused_refresh_token_is_taken_away_does_not_leave_it(
    unattended: bool,
) -> None:
    store, refresher = Store(), Refresher(refused())
    source = make_source(refresher, store=store, login=(lambda: "fresh") if unattended else None)
    old = source.token()

    def interrupt() -> None:
        raise KeyboardInterrupt

    store.before.update(save=interrupt, clear=interrupt)
    with pytest.raises(KeyboardInterrupt):
        source.refresh(old)
    assert store.load() == (replace(old, refresh_token=None) if unattended else None)


@pytest.mark.parametrize("unattended", [True, False])
def test_an_interrupt_after_a_refusal_does_not_undo_it(unattended: bool) -> None:
    """Even if the store, which cannot be written, goes on saying otherwise."""
    store, refresher, reasons = Store(), Refresher(refused()), list[str]()
    login = Refresher() if unattended else None
    source = make_source(refresher, store=store, login=login, on_logout=reasons.append)
    old = source.token()

    def interrupt() -> None:
        store.fails.update(save=OSError("down"), clear=OSError("down"))
        raise KeyboardInterrupt

    store.before.update(save=interrupt, clear=interrupt)
    with pytest.raises(KeyboardInterrupt):
        source.refresh(old)
    assert store.load() == old
    assert reasons == ([] if unattended else ["invalid_grant"])
    assert login is None or not login.calls  # an interrupt is not made to wait for that
    with pytest.raises(LoginRequiredError):
        source.token()
    assert len(refresher.calls) == 1


def test_while_the_unattended_login_fails_a_token_that_lives_fails_only_who_holds_a_401() -> None:
    clock, down = Clock(), RefreshFailedError("down", retry_after=60.0)
    refresher, login = Refresher(refused()), Refresher(down)
    source = make_source(refresher, login=login, clock=clock, random=lambda: 0.0)
    old = source.token()
    clock.advance(3300)
    assert source.token() is old
    with pytest.raises(RefreshFailedError, match="down"):
        source.reject(old, DATA)
    assert source.token() is old


# -- 7: waiting has a limit --------------------------------------------------------------------


def test_a_waiter_waits_at_most_wait_timeout() -> None:
    refresher = Refresher()
    refresher.gate.clear()
    source = make_source(refresher, wait_timeout=0.05, monotonic=time.monotonic)
    old = source.token()
    leader = start_together(1, lambda: source.refresh(old))
    assert refresher.started.wait(5)
    with pytest.raises(requests.Timeout, match=r"no new access token after waiting 0\.05 s"):
        source.token()
    refresher.gate.set()
    assert leader.outcomes()[0].result().access_token == "access-1"


def test_rather_than_time_out_a_waiter_gets_the_last_seconds_of_a_token_that_lives() -> None:
    clock, refresher = Clock(), Refresher()
    source = make_source(refresher, clock=clock, wait_timeout=0.05, monotonic=time.monotonic)
    clock.advance(3595)  # it counts as expired, and lives
    refresher.gate.clear()
    leader = start_together(1, source.token)
    assert refresher.started.wait(5)
    assert source.token().access_token == "access-0"
    clock.advance(5)
    with pytest.raises(requests.Timeout):
        source.token()
    refresher.gate.set()
    assert leader.outcomes()[0].result().access_token == "access-1"


# -- errors of a refresher's own ---------------------------------------------------------------


class SealedError(RefreshFailedError):
    def __init__(self, vault: str, code: int) -> None:
        super().__init__(f"{vault} is sealed ({code})")


class RevokedError(LoginRequiredError):
    def __init__(self, user: str, *, code: int) -> None:
        super().__init__(f"{user} was revoked ({code})", reason="revoked")


@pytest.mark.parametrize("error", [SealedError("the vault", 1), RevokedError("you", code=2)])
def test_an_error_class_of_ones_own_reaches_every_caller(error: TokenRefreshError) -> None:
    source = make_source(Refresher(error))
    old = source.token()
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            source.refresh(old)
        assert caught.value is not error
        assert str(caught.value) == str(error)
        assert getattr(caught.value, "reason", None) == getattr(error, "reason", None)


@pytest.mark.parametrize("retry_after", [-1, float("nan"), float("inf")])
def test_a_retry_after_that_makes_no_sense_is_refused(retry_after: float) -> None:
    with pytest.raises(ValueError, match="retry_after is a number of seconds, 0 or more"):
        RefreshFailedError("busy", retry_after=retry_after)


def test_a_refresher_that_was_given_a_token_cannot_say_that_there_is_none() -> None:
    refresher = Refresher(LoginRequiredError("odd", reason="no_token"))
    source = make_source(refresher)
    old = source.token()
    for _ in range(2):
        with pytest.raises(LoginRequiredError):
            source.refresh(old)
    assert len(refresher.calls) == 1
