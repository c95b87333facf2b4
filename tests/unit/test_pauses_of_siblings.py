"""What more a store can do: keep a pause for all, and say beforehand that it can save."""

from __future__ import annotations

import pytest

from requests_tokenrefresh import (
    RefreshFailedError,
    StoredPause,
    StoreUnavailableError,
    Token,
    TokenSource,
)
from tests.support.logins import DATA, START, Clock, Refresher, first_token, make_source
from tests.support.troubled_store import Store


class Able(Store):
    """A store with both.

    Attributes:
        pause: The pause that it keeps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pause: StoredPause | None = None
        self.checks = 0

    def load_pause(self) -> StoredPause | None:
        self._do("load_pause")
        return self.pause

    def save_pause(self, pause: StoredPause | None) -> None:
        self._do("save_pause")
        self.pause = pause

    def save(self, token: Token) -> None:
        super().save(token)
        self.pause = None

    def ensure_can_save(self) -> None:
        self.checks += 1
        self._do("ensure_can_save")


def fleet(*refreshers: Refresher, luck: float = 0.0) -> tuple[Able, Clock, list[TokenSource]]:
    """Return a store, a clock and two processes that share both, and a login that has expired."""
    store, clock = Able(), Clock(START + 3600)
    store.save(first_token())
    return (
        store,
        clock,
        [
            make_source(one, store=store, clock=clock, logged_in=False, random=lambda: luck)
            for one in refreshers
        ],
    )


def slow_down(retry_after: float | None = 3.0) -> RefreshFailedError:
    return RefreshFailedError("429", retry_after=retry_after)


def test_one_asks_and_the_pause_is_for_all() -> None:
    ours, theirs = Refresher(slow_down()), Refresher()
    store, clock, (one, other) = fleet(ours, theirs)
    for source in (one, other, other, one):
        with pytest.raises(RefreshFailedError) as caught:
            source.token()
        assert caught.value.retry_after == 3
    assert (len(ours.calls), theirs.calls, store.pause) == (1, [], StoredPause(clock.now + 3, 3, 1))
    clock.advance(3)
    assert other.token() == one.token() == Token("access-1", "refresh-1")
    assert (len(ours.calls), len(theirs.calls), store.pause) == (1, 1, None)


def test_a_process_that_starts_anew_keeps_the_pause_as_well() -> None:
    refresher = Refresher()
    store, clock, (source,) = fleet(refresher)
    store.pause = StoredPause(clock.now + 60, 60, 1)
    with pytest.raises(RefreshFailedError, match="not asked again yet"):
        source.token()
    assert refresher.calls == []


def test_a_backoff_is_shared_too() -> None:
    store, clock, (one, other) = fleet(Refresher(slow_down(None)), Refresher(), luck=1.0)
    for source in (one, other):
        with pytest.raises(RefreshFailedError) as caught:
            source.token()
        assert caught.value.retry_after == 0.5
    assert store.pause == StoredPause(clock.now + 0.5, 0.5, 1)


def test_a_backoff_grows_for_all_also_for_those_that_have_not_failed_yet() -> None:
    troubled = [Refresher(*[slow_down(None)] * 8) for _ in range(8)]
    store, clock, sources = fleet(*troubled, luck=1.0)
    for failures, seconds in enumerate([0.5, 1, 2, 4, 8, 16, 30, 30], start=1):
        with pytest.raises(RefreshFailedError) as caught:
            sources[failures - 1].token()
        assert caught.value.retry_after == seconds
        assert store.pause == StoredPause(clock.now + seconds, seconds, failures)
        clock.advance(seconds)
    assert sum(len(refresher.calls) for refresher in troubled) == 8


def test_a_process_goes_on_from_its_own_failures_where_none_are_kept() -> None:
    """The store has lost the pause."""
    store, clock, (source,) = fleet(Refresher(slow_down(None), slow_down(None)), luck=1.0)
    for seconds in (0.5, 1.0):
        with pytest.raises(RefreshFailedError) as caught:
            source.token()
        assert caught.value.retry_after == seconds
        clock.advance(seconds)
        store.pause = None


def test_jitter_is_drawn_once_and_not_by_those_who_are_told() -> None:
    store, clock, (one, other) = fleet(Refresher(slow_down(10)), Refresher(), luck=1.0)
    for source in (one, other):
        with pytest.raises(RefreshFailedError) as caught:
            source.token()
        assert caught.value.retry_after == 11
    assert store.pause == StoredPause(clock.now + 11, 11, 1)


def test_a_login_ends_the_pause() -> None:
    ours, theirs = Refresher(slow_down(600)), Refresher()
    store, _clock, (one, other) = fleet(ours, theirs)
    with pytest.raises(RefreshFailedError):
        one.token()
    one.login("another")
    assert other.token().access_token == "another"
    assert store.pause is None


@pytest.mark.parametrize("ahead", [30 * 60, 3601, 3e8, float("inf")])
def test_a_clock_that_is_ahead_lengthens_nobodys_pause(ahead: float) -> None:
    """Nor does it begin again for who has waited for its end."""
    refresher = Refresher(slow_down(5))
    store, clock, (source, another) = fleet(refresher, Refresher())
    store.pause = StoredPause(clock.now + ahead + 3, 3, 1)
    with pytest.raises(RefreshFailedError) as caught:
        source.token()
    assert caught.value.retry_after == 3
    clock.advance(2)
    with pytest.raises(RefreshFailedError, match="not asked again yet"):
        another.token()
    clock.advance(1)
    with pytest.raises(RefreshFailedError, match="429"):
        source.token()
    assert len(refresher.calls) == 1
    assert store.pause == StoredPause(clock.now + 5, 5, 2)


@pytest.mark.parametrize("seconds", [3601, 7200, 1e12, float("inf")])
def test_nobody_pauses_for_more_than_an_hour(seconds: float) -> None:
    refresher = Refresher()
    store, clock, (source,) = fleet(refresher)
    store.pause = StoredPause(clock.now + seconds, seconds, 1)
    with pytest.raises(RefreshFailedError) as caught:
        source.token()
    assert caught.value.retry_after == 3600
    clock.advance(3600)
    assert source.token().access_token == "access-1"


@pytest.mark.parametrize("until", [START + 3 * 3600, 253402300799.0, 1e300, float("inf")])
@pytest.mark.parametrize("seconds", [600.0, 3600.0, 1e300, float("inf")])
def test_an_end_that_no_pause_has_is_put_right_for_those_who_live_for_a_minute(
    until: float, seconds: float
) -> None:
    """Each would begin to wait anew otherwise, and none would ever ask."""
    refresher = Refresher()
    store, clock = Able(), Clock(START + 3600)
    store.save(first_token())
    store.pause = StoredPause(until, seconds, 1)
    for _ in range(6):
        source = make_source(
            refresher, store=store, clock=clock, logged_in=False, random=lambda: 0.0
        )
        with pytest.raises(RefreshFailedError, match="not asked again yet"):
            source.token()
        clock.advance(min(seconds, 3600.0) / 6)
    source = make_source(refresher, store=store, clock=clock, logged_in=False)
    assert source.token().access_token == "access-1"


@pytest.mark.parametrize("seconds", [0.0, -1.0, -1e300, float("nan"), float("-inf")])
@pytest.mark.parametrize("until", [0.0, -1e300, START, 1e300, float("nan"), float("-inf")])
@pytest.mark.parametrize("failures", [0, -1, 10**400], ids=["0", "-1", "1e400"])
def test_a_pause_that_makes_no_sense_is_none(seconds: float, until: float, failures: int) -> None:
    store, _clock, (source,) = fleet(Refresher(), luck=1.0)
    store.pause = StoredPause(until, seconds, failures)
    assert source.token().access_token == "access-1"


@pytest.mark.parametrize("failures", [-(10**400), -1, 10**400], ids=["-1e400", "-1", "1e400"])
def test_failures_that_nobody_has_counted_make_no_longer_pause(failures: int) -> None:
    store, _clock, (source,) = fleet(Refresher(slow_down(None)), luck=1.0)
    store.pause = StoredPause(0.0, 0.0, failures)
    with pytest.raises(RefreshFailedError) as caught:
        source.token()
    assert 0 <= (caught.value.retry_after or 0) <= 30


def test_a_clock_that_is_set_ends_a_pause_when_it_would_have_ended() -> None:
    wall, steady = Clock(START + 3600), Clock()
    store, refresher = Able(), Refresher(slow_down(60))
    store.save(first_token())
    source = make_source(
        refresher, store=store, clock=wall, monotonic=steady, logged_in=False, random=lambda: 0.0
    )
    with pytest.raises(RefreshFailedError):
        source.token()
    wall.advance(-86400)
    wall.advance(3600 * 48)
    steady.advance(59)
    with pytest.raises(RefreshFailedError):
        source.token()
    wall.advance(-86400)
    steady.advance(1)
    assert source.token().access_token == "access-2"


@pytest.mark.parametrize("ends_in", [0, -1, -1e12, float("nan")])
@pytest.mark.parametrize("seconds", [3, 0, -1, float("nan")])
def test_a_pause_that_is_over_is_none(ends_in: float, seconds: float) -> None:
    store, clock, (source,) = fleet(Refresher())
    store.pause = StoredPause(clock.now + ends_in, seconds, 1)
    assert source.token().access_token == "access-1"


@pytest.mark.parametrize("what", ["load_pause", "save_pause"])
def test_a_store_that_cannot_tell_of_a_pause_is_no_reason_to_fail(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    refresher = Refresher(slow_down())
    store, clock, (source,) = fleet(refresher)
    store.fails[what] = ValueError("SELECT ... s3cret")
    with pytest.raises(RefreshFailedError, match="429"):
        source.token()
    clock.advance(3)
    assert source.token().access_token == "access-2"
    assert "the token store raised ValueError" in caplog.text
    assert "s3cret" not in caplog.text


def test_that_a_store_fails_is_no_pause_of_the_issuers() -> None:
    store, _clock, (source,) = fleet(Refresher())
    store.fails["ensure_can_save"] = StoreUnavailableError("full")
    with pytest.raises(StoreUnavailableError):
        source.token()
    assert store.pause is None


# -- before the refresh token is spent -----------------------------------------------------------


def test_that_nothing_can_be_saved_is_found_before_the_refresh_token_is_spent() -> None:
    refresher = Refresher()
    store, clock, (source,) = fleet(refresher)
    store.fails["ensure_can_save"] = StoreUnavailableError("the disk is full: make room")
    for _ in range(3):
        with pytest.raises(StoreUnavailableError, match="make room"):
            source.token()
        clock.advance(60)
    assert (refresher.calls, store.load()) == ([], first_token())
    store.fails.clear()
    assert source.token() == store.load() == Token("access-1", "refresh-1")


def test_meanwhile_a_token_that_lives_is_used_by_all_who_hold_no_401() -> None:
    refresher, store = Refresher(), Able()
    source = make_source(refresher, store=store)
    store.fails["ensure_can_save"] = StoreUnavailableError("full")
    old = source.token()
    with pytest.raises(StoreUnavailableError):
        source.reject(old, DATA)
    assert source.token() is old
    assert refresher.calls == []


def test_a_token_without_a_refresh_token_has_nothing_to_lose() -> None:
    store, _clock, (source,) = fleet(Refresher())
    store.save(Token("access-0", issued_at=START, expires_at=START + 3600))
    store.fails["ensure_can_save"] = StoreUnavailableError("full")
    assert source.token().access_token == "access-1"
    assert store.checks == 0


def test_once_a_token_is_in_memory_only_nothing_more_can_be_lost() -> None:
    """Refreshing goes on, and each time saving is tried again."""
    store, refresher = Able(), Refresher()
    source = make_source(refresher, store=store)
    store.fails["save"] = StoreUnavailableError("full")
    token = source.refresh(source.token())  # what could be saved a moment ago cannot be saved now
    assert store.checks == 1
    store.fails["ensure_can_save"] = StoreUnavailableError("full")
    assert source.refresh(token).access_token == "access-2"
    assert (store.checks, len(refresher.calls)) == (1, 2)
