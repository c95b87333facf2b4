"""A login that begins, or ends, in another process."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from requests_tokenrefresh import LoginRequiredError, StoreUnavailableError, Token
from requests_tokenrefresh.events import LoggedIn
from tests.support.logins import (
    DATA,
    START,
    Clock,
    Heard,
    Refresher,
    make_source,
    refuse_and_log_out,
)
from tests.support.threads import run_together
from tests.support.troubled_store import Store, siblings

INVALID_GRANT = LoginRequiredError("refused", reason="invalid_grant")
NO_TOKEN = LoginRequiredError("there is no token; log in first", reason="no_token")


def refused_again() -> str:
    raise INVALID_GRANT


def test_when_another_process_logs_in_again_this_one_goes_on() -> None:
    clock, store, heard = Clock(), Store(), Heard()
    source = make_source(Refresher(INVALID_GRANT), store=store, clock=clock, listeners=[heard])
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    store.save(siblings())
    assert source.token() == siblings()
    assert len(heard.of(LoggedIn)) == 2  # the login at the start, and this one


@pytest.mark.parametrize("end", ["logout", "emptied", "trial"])
def test_however_the_login_ended_the_next_one_may_begin_elsewhere(end: str) -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock, when_trial_refused="log_out")
    token = source.token()
    if end == "logout":
        source.logout()
    elif end == "emptied":
        store.clear()
    else:
        refuse_and_log_out(source, source.reject(token, DATA))
    with pytest.raises(LoginRequiredError):
        source.refresh(token)
    store.save(siblings())
    clock.advance(1)
    assert source.token() == siblings()


def test_after_a_stored_login_was_refused_another_one_is_found() -> None:
    """Also by a process that has never had one of its own: a command, a worker."""
    clock, store, refresher = Clock(START + 100), Store(), Refresher(INVALID_GRANT)
    store.save(siblings(lifetime=10))
    source = make_source(refresher, store=store, clock=clock, logged_in=False)
    with pytest.raises(LoginRequiredError):
        source.token()
    store.save(siblings("another"))
    assert source.token().access_token == "another"
    assert len(refresher.calls) == 1


def test_while_the_login_is_over_the_store_is_looked_at_once_a_second() -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock)
    source.logout()
    looks: list[float] = []
    store.load = lambda: looks.append(clock())  # type: ignore[method-assign]
    for _ in range(40):
        assert [o.error.reason for o in run_together(2, source.token)] == ["logged_out"] * 2  # type: ignore[union-attr]
        clock.advance(0.125)
    assert looks == [START, START + 1, START + 2, START + 3, START + 4]


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
    assert source.token() == siblings()


def test_a_login_here_comes_before_one_that_is_found_meanwhile() -> None:
    store = Store()
    source = make_source(store=store)
    source.logout()
    store.save(siblings())
    store.after["load"] = lambda: source.login("ours")
    assert source.token() == Token("ours")


def test_a_login_that_was_found_may_end_elsewhere_as_well() -> None:
    """And then the unattended login is not called."""
    store, logins = Store(), Refresher(INVALID_GRANT, "fresh")
    source = make_source(Refresher(INVALID_GRANT), store=store, login=logins)
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    store.save(siblings())
    found = source.token()
    store.clear()
    with pytest.raises(LoginRequiredError, match="emptied by another process"):
        source.refresh(found)
    assert len(logins.calls) == 1


# -- a login that is over, and is stored all the same ----


@pytest.mark.parametrize("trouble", ["clear", "lock"])
def test_a_logout_that_could_not_clear_is_not_undone_by_what_is_stored(trouble: str) -> None:
    """Nor by a process that had not looked there before: a command, a worker."""
    clock, store = Clock(), Store()
    store.save(siblings())
    source = make_source(store=store, clock=clock, logged_in=False)
    store.fails[trouble] = StoreUnavailableError("down")
    with pytest.raises(StoreUnavailableError):
        source.logout()
    del store.fails[trouble]
    for _ in range(2):
        with pytest.raises(LoginRequiredError):
            source.token()
        clock.advance(1)


def test_a_logout_that_could_not_clear_hides_nothing_once_it_is_followed_by_a_login() -> None:
    store = Store()
    source = make_source(store=store)
    store.fails["clear"] = StoreUnavailableError("down")
    with pytest.raises(StoreUnavailableError):
        source.logout()
    del store.fails["clear"]
    source.login("ours")
    store.clear()
    with pytest.raises(LoginRequiredError, match="emptied by another process"):
        source.refresh(source.token())
    store.save(siblings())
    assert source.token() == siblings()


def test_a_logout_that_queues_for_the_lock_is_not_undone_meanwhile() -> None:
    store, seen = Store(), list[BaseException | None]()
    store.save(siblings())
    source = make_source(store=store, logged_in=False)
    store.before["lock"] = lambda: seen.append(run_together(1, source.token)[0].error)
    source.logout()
    assert isinstance(seen[0], LoginRequiredError)
    assert store.load() is None


def test_a_second_logout_is_not_undone_by_a_look_from_before_it() -> None:
    store = Store()
    source = make_source(store=store)
    source.logout()
    store.save(siblings())
    store.after["load"] = source.logout
    with pytest.raises(LoginRequiredError, match="logged out by logout"):
        source.token()
    assert store.load() is None


@pytest.mark.parametrize("unattended", [None, refused_again], ids=["", "unattended login"])
def test_a_refused_token_that_could_not_be_cleared_is_not_found_again(
    unattended: Callable[[], str] | None,
) -> None:
    clock, store, refresher = Clock(), Store(), Refresher(INVALID_GRANT)
    source = make_source(refresher, store=store, clock=clock, login=unattended)
    store.fails["clear"] = StoreUnavailableError("down")
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    clock.advance(1)
    with pytest.raises(LoginRequiredError):
        source.token()
    assert len(refresher.calls) == 1


@pytest.mark.parametrize("trouble", ["load", "clear", "lock"])
def test_a_token_that_was_refused_at_its_trial_and_not_cleared_is_not_found_again(
    trouble: str,
) -> None:
    clock, store = Clock(), Store()
    source = make_source(store=store, clock=clock, when_trial_refused="log_out")
    new = source.reject(source.token(), DATA)
    store.fails[trouble] = StoreUnavailableError("down")
    refuse_and_log_out(source, new)
    store.fails.clear()
    clock.advance(1)
    with pytest.raises(LoginRequiredError):
        source.token()


def test_a_login_while_a_refused_trial_is_being_cleared_learns_of_a_later_logout() -> None:
    store = Store()
    source = make_source(store=store, when_trial_refused="log_out")
    new = source.reject(source.token(), DATA)
    store.before["lock"] = lambda: source.login("newer")
    assert source.refuse(new, DATA) is False
    assert store.load() == Token("newer")
    store.clear()
    with pytest.raises(LoginRequiredError, match="emptied by another process"):
        source.refresh(source.token())


# -- nobody has logged in yet ----


def test_with_nobody_logged_in_a_shared_store_is_looked_at_once_a_second() -> None:
    """Each time at a glance, and then in turn."""
    clock, store, refresher = Clock(), Store(), Refresher(*[NO_TOKEN] * 3)
    source = make_source(refresher, store=store, clock=clock, logged_in=False)
    looks: list[float] = []
    store.load = lambda: looks.append(clock() - START)  # type: ignore[method-assign]
    for _ in range(24):
        assert [o.error.reason for o in run_together(2, source.token)] == ["no_token"] * 2  # type: ignore[union-attr]
        clock.advance(0.125)
    assert looks == [0, 0, 1, 1, 2, 2]
    assert (len(store.patience), len(refresher.calls)) == (3, 3)


def test_with_nobody_logged_in_a_login_elsewhere_is_found_at_the_next_look() -> None:
    clock, store, refresher = Clock(), Store(), Refresher(NO_TOKEN)
    source = make_source(refresher, store=store, clock=clock, logged_in=False)
    with pytest.raises(LoginRequiredError):
        source.token()
    store.save(siblings())
    clock.advance(1)
    assert source.token() == siblings()
    assert len(refresher.calls) == 1


def test_with_nobody_logged_in_a_login_here_is_used_at_once() -> None:
    source = make_source(Refresher(NO_TOKEN), store=Store(), logged_in=False)
    with pytest.raises(LoginRequiredError):
        source.token()
    source.login("ours")
    assert source.token() == Token("ours")


def of(person: str) -> Token:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": person}).encode()).decode()
    return Token(f"header.{claims}.signature", f"refresh-{person}")


def test_a_401_of_one_person_is_not_answered_by_another_who_has_logged_in_elsewhere() -> None:
    """Nobody tries the new token then, and nobody waits for that."""
    store, heard = Store(), Heard()
    source = make_source(store=store, listeners=[heard], logged_in=False)
    source.login(of("ann"))
    old = source.token()
    store.save(of("ben"))
    assert source.reject(old, DATA) is None
    new = source.token()
    assert (new, source.on_trial(new)) == (of("ben"), False)
    assert "ready" in repr(source)
    assert len(heard.of(LoggedIn)) == 2
    assert source.refuse(old, DATA)


def test_who_logs_in_beside_the_last_token_is_no_other_person(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The issuer has refused an early refresh, and the same person has logged in elsewhere."""
    clock, store, heard = Clock(), Store(), Heard()
    source = make_source(Refresher(INVALID_GRANT), store=store, clock=clock, listeners=[heard])
    clock.advance(3580)
    last = source.token()
    store.save(siblings(lifetime=7200))
    with caplog.at_level("INFO", "requests_tokenrefresh"):
        assert source.reject(last, DATA) == siblings(lifetime=7200)
    assert len(heard.of(LoggedIn)) == 2
    assert "another person" not in caplog.text
