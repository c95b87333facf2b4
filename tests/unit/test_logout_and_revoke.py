"""`logout(revoke=True)`: the login is over here, in the store and at the issuer (RFC 7009)."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from requests_tokenrefresh import (
    LoginRequiredError,
    MemoryTokenStore,
    RefreshTokenGrant,
    RevocationFailedError,
    StoreContentError,
    StoreDataLostError,
    StoreLockTimeoutError,
    StoreUnavailableError,
    Token,
    TokenRefreshError,
    TokenSource,
    TokenStoreError,
)
from requests_tokenrefresh.events import LoggedOut
from requests_tokenrefresh.testing import FakeTokenSource
from tests.support.logins import ORIGIN, Clock, Heard, Refresher, first_token, make_source
from tests.support.threads import Callers, start_together, wait_until
from tests.support.troubled_store import Store, siblings


class Revoker(Refresher):
    """A refresher that can revoke, and remembers what.

    Attributes:
        revoked: The tokens, in order.
        failure: What `revoke` raises then.
    """

    failure: Exception | None = None

    def __init__(self, *answers: object) -> None:
        super().__init__(*answers)
        self.revoked: list[Token] = []

    def revoke(self, token: Token) -> None:
        self.revoked.append(token)
        if self.failure is not None:
            raise self.failure

    @property
    def secrets(self) -> list[tuple[str, str | None]]:
        return [(token.access_token, token.refresh_token) for token in self.revoked]


def is_over(source: TokenSource) -> bool:
    try:
        source.token()
    except LoginRequiredError as error:
        return error.reason == "logged_out"
    return False


def test_the_issuer_is_told_when_the_login_is_over_here_and_no_lock_is_held() -> None:
    """However long it takes, nobody waits for it, and nobody sends what is being revoked."""
    store = MemoryTokenStore()
    seen: list[object] = []

    class Looks(Revoker):
        def revoke(self, token: Token) -> None:
            super().revoke(token)
            with store.lock(0.0):
                seen.append(store.load())
            seen.append(is_over(source))

    heard, refresher = Heard(), Looks()
    source = make_source(refresher, store=store, listeners=[heard])
    source.logout(revoke=True)
    assert refresher.secrets == [("access-0", "refresh-0")]
    assert seen == [None, True]
    assert [event.reason for event in heard.of(LoggedOut)] == ["logged_out"]  # type: ignore[attr-defined]


def test_a_logout_without_it_tells_the_issuer_nothing() -> None:
    refresher = Revoker()
    source = make_source(refresher)
    source.logout()
    assert refresher.secrets == []
    assert is_over(source)


def test_what_a_refresh_under_way_brings_is_revoked_too() -> None:
    store, refresher = Store(), Revoker()
    source = make_source(refresher, store=store)
    refresher.gate.clear()
    refresh = start_together(1, lambda: source.refresh(source.token()))
    assert refresher.started.wait(5)
    store.before["lock"] = refresher.gate.set  # which the leader has
    source.logout(revoke=True)
    assert refresher.secrets == [("access-1", "refresh-1")]
    assert [outcome.value for outcome in refresh.outcomes()] == refresher.revoked
    assert is_over(source)
    assert store.load() is None


def test_what_a_sibling_has_stored_is_newer_than_what_is_in_hand() -> None:
    """And both may be good: a server need not revoke the old access token with the new ones."""
    store, refresher = Store(), Revoker()
    source = make_source(refresher, store=store)
    store.save(siblings())
    source.logout(revoke=True)
    assert refresher.secrets == [("siblings", "refresh-s"), ("access-0", "refresh-0")]


def test_what_could_not_be_saved_is_newer_than_what_is_stored() -> None:
    store, refresher = Store(), Revoker()
    source = make_source(refresher, store=store)
    store.fails["save"] = OSError("full")
    source.refresh(source.token())
    source.logout(revoke=True)
    assert refresher.secrets == [("access-1", "refresh-1"), ("access-0", "refresh-0")]


@pytest.mark.parametrize(
    ("stored", "revoked"),
    [
        (Token("access-0", "refresh-0"), [("access-0", "refresh-0")]),
        (Token("later", "refresh-0"), [("later", "refresh-0"), ("access-0", None)]),
        (Token("access-0", None), [("access-0", None), ("access-0", "refresh-0")]),
        (Token("later", None), [("later", None), ("access-0", "refresh-0")]),
    ],
)
def test_nothing_is_revoked_twice(stored: Token, revoked: list[Any]) -> None:
    store, refresher = Store(), Revoker()
    source = make_source(refresher, store=store)
    store.save(stored)
    source.logout(revoke=True)
    assert refresher.secrets == revoked


def test_a_login_that_nobody_has_used_yet_is_revoked() -> None:
    """The one to start with: it is in no store before the first request."""
    refresher = Revoker()
    source = TokenSource(refresher, origins=[ORIGIN], token=first_token())
    source.logout(revoke=True)
    assert refresher.secrets == [("access-0", "refresh-0")]


def test_a_stored_login_takes_the_place_of_the_one_to_start_with() -> None:
    store, refresher = Store(), Revoker()
    store.save(siblings())
    TokenSource(refresher, origins=[ORIGIN], token=first_token(), store=store).logout(revoke=True)
    assert refresher.secrets == [("siblings", "refresh-s")]


def test_where_nobody_has_logged_in_there_is_nothing_to_revoke() -> None:
    refresher = Revoker()
    source = make_source(refresher, logged_in=False)
    source.logout(revoke=True)
    source.logout(revoke=True)
    assert refresher.secrets == []
    assert is_over(source)


def test_a_second_logout_revokes_what_has_been_stored_since() -> None:
    store, refresher = Store(), Revoker()
    source = make_source(refresher, store=store)
    source.logout()
    store.save(siblings())
    source.logout(revoke=True)
    assert refresher.secrets == [("siblings", "refresh-s")]
    assert store.load() is None


@pytest.mark.parametrize(
    ("refresher", "error"),
    [
        (Refresher(), TypeError),
        (lambda _token: "access", TypeError),
        (RefreshTokenGrant("https://auth.example.com/token", client_id="reports"), ValueError),
    ],
)
def test_where_nobody_can_revoke_nothing_happens(refresher: Any, error: type[Exception]) -> None:
    source = make_source(refresher)
    with pytest.raises(error, match="the refresher cannot revoke a login"):
        source.logout(revoke=True)
    assert source.token().access_token == "access-0"


# -- What goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        RevocationFailedError("503", retry_after=7.0),
        StoreUnavailableError("of the refresher's own"),
    ],
)
def test_what_the_issuer_was_not_told_is_raised_when_all_is_over_here(
    failure: TokenRefreshError,
) -> None:
    store, refresher, heard = Store(), Revoker(), Heard()
    source = make_source(refresher, store=store, listeners=[heard])
    store.save(siblings())
    refresher.failure = failure
    with pytest.raises(type(failure)) as caught:
        source.logout(revoke=True)
    assert caught.value is failure
    assert refresher.secrets == [("siblings", "refresh-s")]  # the other was not tried
    assert len(heard.of(LoggedOut)) == 1
    assert is_over(source)
    assert store.load() is None


def test_what_somebody_elses_refresher_raises_is_not_repeated() -> None:
    refresher = Revoker()
    source = make_source(refresher)
    refresher.failure = ValueError("cannot revoke refresh-0")
    with pytest.raises(RevocationFailedError, match="ValueError") as caught:
        source.logout(revoke=True)
    assert "refresh-0" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_store_whose_turn_is_not_to_be_had_ends_it_here_and_at_the_issuer() -> None:
    """As far as can be seen: whoever has the turn may bring another token."""
    store, refresher, heard = Store(), Revoker(), Heard()
    source = make_source(refresher, store=store, listeners=[heard], wait_timeout=7.0)
    store.save(siblings())
    store.busy = True
    with pytest.raises(StoreLockTimeoutError):
        source.logout(revoke=True)
    assert store.patience[-1] == 7.0
    assert refresher.secrets == [("siblings", "refresh-s"), ("access-0", "refresh-0")]
    assert len(heard.of(LoggedOut)) == 1
    assert is_over(source)


@pytest.mark.parametrize("fails", ["lock", "load", "clear", "unlock"])
@pytest.mark.parametrize("error", [StoreUnavailableError("dead"), OSError("dead")])
def test_a_store_that_fails_keeps_nobody_from_telling_the_issuer(
    fails: str, error: Exception
) -> None:
    store, refresher, heard = Store(), Revoker(), Heard()
    source = make_source(refresher, store=store, listeners=[heard])
    store.save(siblings())
    store.fails[fails] = error
    with pytest.raises(TokenStoreError) as caught:
        source.logout(revoke=True)
    assert error in (caught.value, caught.value.__cause__)
    known = [] if fails == "load" else [("siblings", "refresh-s")]
    assert refresher.secrets == [*known, ("access-0", "refresh-0")]
    assert len(heard.of(LoggedOut)) == 1
    assert is_over(source)


def test_of_two_failures_the_stores_is_raised_and_the_other_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, refresher = Store(), Revoker()
    source = make_source(refresher, store=store)
    store.fails["clear"] = StoreUnavailableError("dead")
    refresher.failure = RevocationFailedError("ill")
    with caplog.at_level(logging.WARNING), pytest.raises(StoreUnavailableError):
        source.logout(revoke=True)
    assert caplog.messages == ["the login is over here, but not everywhere: ill"]


def test_what_is_stored_and_cannot_be_read_is_cleared_and_told() -> None:
    store, refresher = Store(), Revoker()
    source = make_source(refresher, store=store)
    store.fails["load"] = StoreContentError("the cipher cannot decrypt it")
    with pytest.raises(RevocationFailedError, match="the cipher cannot decrypt it"):
        source.logout(revoke=True)
    assert refresher.secrets == [("access-0", "refresh-0")]
    del store.fails["load"]
    assert store.load() is None


def test_a_store_that_can_neither_be_read_nor_emptied_says_the_latter() -> None:
    store, refresher = Store(), Revoker()
    source = make_source(refresher, store=store)
    store.fails["load"] = StoreContentError("the cipher cannot decrypt it")
    store.fails["clear"] = StoreUnavailableError("dead")
    with pytest.raises(StoreUnavailableError):
        source.logout(revoke=True)


def test_what_a_store_has_lost_is_no_failure() -> None:
    store, refresher = Store(), Revoker()
    source = make_source(refresher, store=store)
    store.fails["load"] = StoreDataLostError("restarted")
    source.logout(revoke=True)
    assert refresher.secrets == [("access-0", "refresh-0")]


def test_a_refresher_may_log_out_itself() -> None:
    """It holds the store's turn already, and what it returns afterwards is nobody's."""
    done: list[bool] = []

    def log_out() -> None:
        source.logout(revoke=True)
        done.append(True)

    store, refresher = Store(), Revoker(log_out)
    source = make_source(refresher, store=store, wait_timeout=0.1)
    with pytest.raises(LoginRequiredError):
        source.refresh(source.token())
    assert done == [True]
    assert refresher.secrets == [("access-0", "refresh-0")]
    assert store.load() is None
    assert is_over(source)


def test_a_login_elsewhere_is_a_login_here_afterwards() -> None:
    clock, store = Clock(), Store()
    source = make_source(Revoker(), store=store, clock=clock)
    source.logout(revoke=True)
    assert is_over(source)
    store.save(siblings())
    clock.advance(1.0)
    assert source.token() == siblings()


def test_a_login_that_comes_meanwhile_stays() -> None:
    """`login()` counts, whatever it meets: it is saved in the next turn."""
    store, refresher = Store(), Revoker()
    source = make_source(refresher, store=store)
    logins: list[Callers[None]] = []

    def log_in() -> None:
        logins.append(start_together(1, lambda: source.login(siblings())))
        wait_until(lambda: not is_over(source))

    store.after["clear"] = log_in
    source.logout(revoke=True)
    assert [outcome.error for outcome in logins[0].outcomes()] == [None]
    assert refresher.secrets == [("access-0", "refresh-0")]
    assert source.token().access_token == "siblings"
    assert store.load() == siblings()


def test_a_fake_login_can_be_revoked() -> None:
    tokens = FakeTokenSource()
    tokens.logout(revoke=True)
    tokens.login("another")
    assert tokens.token().access_token == "another"
