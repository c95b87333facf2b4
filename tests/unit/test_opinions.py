"""Rule 4 of the flight: one refusal is one resource's word; others are asked, and then doubt."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from requests_tokenrefresh import LoginRequiredError, MemoryTokenStore, Token, TokenSource
from requests_tokenrefresh.events import Event, LoggedOut, WaitStarted
from tests.support.doors import flying, is_proven, trial_ends, waiters
from tests.support.logins import (
    DATA,
    ORIGIN,
    OTHER,
    Clock,
    Heard,
    Refresher,
    make_source,
    refuse_and_log_out,
    wait_for_waiters,
)
from tests.support.threads import Callers, start_together, wait_until

THIRD = ("GET", ORIGIN, "/third")


class Stage:
    """A new token on trial by this thread, and others that wait with a 401 of theirs each.

    Attributes:
        source, new: The login, and its new token.
        asked: The resources that were asked for an opinion, in order.
        allow: What they answer: those that accept.
    """

    def __init__(self, *resources: Any, allow: tuple[Any, ...] = (), **options: Any) -> None:
        self.refresher = Refresher()
        self.heard = Heard()
        self.store = MemoryTokenStore()
        self.asked: list[Any] = []
        self.source: TokenSource = make_source(
            self.refresher,
            store=self.store,
            listeners=[self.heard],
            **{"clock": Clock(), "monotonic": time.monotonic, "trial_timeout": 60, **options},
        )
        self.old = self.source.token()
        new = self.source.reject(self.old, DATA)
        assert new is not None
        self.new: Token = new
        self.allow = allow
        self.waiters: list[Callers[Any]] = []
        for resource in resources:
            self.waiters.append(start_together(1, lambda it=resource: self._visit(it)))
            wait_for_waiters(self.source, len(self.waiters))

    def _visit(self, resource: Any) -> str:
        """Replay a request that was answered 401, and say what its caller gets."""
        token = self.source.reject(self.old, resource) if resource else self.source.token()
        if token is None:
            return "401"
        if resource is None:
            return token.access_token
        if self.source.on_trial(token):
            self.asked.append(resource)
        if resource in self.allow:
            self.source.accept(token, resource, replay=True)
            return token.access_token
        if not self.source.refuse(token, resource):
            self.source.reject(token, resource, replay=True)
        return "401"

    def outcomes(self) -> list[Any]:
        """Return what the waiters got."""
        return [
            type(one.error).__name__ if one.error else one.value
            for waiter in self.waiters
            for one in waiter.outcomes()
        ]


def test_the_next_is_asked_and_its_acceptance_counts_for_all() -> None:
    stage = Stage(OTHER, None, THIRD, allow=(OTHER, THIRD))
    assert stage.source.refuse(stage.new, DATA) is True
    assert stage.outcomes() == ["access-1"] * 3
    assert stage.asked == [OTHER]
    assert stage.source.is_own(stage.new, DATA)  # it refuses what others accept
    assert stage.store.load() == stage.new


def test_who_waits_with_a_401_of_another_resource_is_asked_first() -> None:
    stage = Stage(DATA, DATA, OTHER, allow=(OTHER, DATA))
    assert stage.source.refuse(stage.new, DATA) is True
    assert stage.outcomes() == ["access-1"] * 3
    assert stage.asked == [OTHER]


def test_who_was_refused_gets_its_401_without_waiting_for_the_others() -> None:
    stage, asked, gate = Stage(), threading.Event(), threading.Event()

    def visit() -> None:
        token = stage.source.reject(stage.old, OTHER)
        asked.set()
        assert gate.wait(10)
        assert token is not None
        stage.source.accept(token, OTHER, replay=True)

    other = start_together(1, visit)
    wait_for_waiters(stage.source, 1)
    assert stage.source.refuse(stage.new, DATA) is True
    assert asked.wait(5)
    assert stage.source.on_trial(stage.new)
    gate.set()
    other.outcomes()[0].result()
    assert is_proven(stage.source, stage.new)


def test_another_request_for_the_same_resource_is_asked_if_there_is_no_other() -> None:
    """One of three nodes behind it may be ill."""
    stage = Stage(DATA, None, allow=(DATA,))
    assert stage.source.refuse(stage.new, DATA) is True
    assert stage.outcomes() == ["access-1"] * 2
    assert stage.asked == [DATA]


def test_who_is_about_to_lie_down_is_asked_as_well() -> None:
    about, gate, asked = threading.Event(), threading.Event(), []

    def dawdle(event: Event) -> None:
        if isinstance(event, WaitStarted):
            about.set()
            assert gate.wait(10)

    source = make_source(listeners=[dawdle], monotonic=time.monotonic, trial_timeout=60)
    old = source.token()
    new = source.reject(old, DATA)
    assert new is not None

    def visit() -> None:
        token = source.reject(old, OTHER)
        assert token is new
        asked.append(source.on_trial(new))
        source.accept(new, OTHER, replay=True)

    other = start_together(1, visit)
    assert about.wait(5)
    assert source.refuse(new, DATA) is True
    gate.set()
    other.outcomes()[0].result()
    assert asked == [True]
    assert is_proven(source, new)


def test_who_is_interrupted_before_lying_down_is_not_asked() -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, WaitStarted):
            raise KeyboardInterrupt

    source = make_source(listeners=[interrupt], monotonic=time.monotonic, trial_timeout=60)
    old = source.token()
    new = source.reject(old, DATA)
    assert new is not None
    other = start_together(1, lambda: source.reject(old, OTHER)).outcomes()[0]
    assert isinstance(other.error, KeyboardInterrupt)
    assert source.refuse(new, DATA) is True
    assert flying(source) is None


def test_three_are_asked_and_then_it_is_doubted() -> None:
    """Who holds a 401 gets it back, and who has sent nothing goes with the doubted token."""
    stage = Stage(None, OTHER, THIRD, ("GET", ORIGIN, "/fourth"), None)
    assert stage.source.refuse(stage.new, DATA) is True
    assert stage.outcomes() == ["access-1", "401", "401", "401", "access-1"]
    assert sorted(stage.asked) == sorted([OTHER, THIRD])
    assert stage.source.token() is stage.new
    assert stage.store.load() == stage.new
    assert (len(stage.refresher.calls), stage.heard.of(LoggedOut)) == (1, [])


def test_who_only_says_that_a_token_was_rejected_is_not_asked() -> None:
    stage = Stage(None, None)
    by_hand = start_together(1, lambda: stage.source.refresh(stage.old))
    wait_for_waiters(stage.source, 3)
    assert stage.source.refuse(stage.new, DATA) is True
    assert stage.outcomes() == ["access-1"] * 2
    assert by_hand.outcomes()[0].result() is stage.new
    assert stage.asked == []


def test_the_time_of_a_trial_is_counted_anew_for_each_who_is_asked() -> None:
    stage = Stage(OTHER, None, trial_timeout=1.0)
    begun = time.monotonic()
    assert stage.source.refuse(stage.new, DATA) is True
    wait_until(lambda: stage.asked == [OTHER])
    assert time.monotonic() - begun < 1.0
    assert stage.outcomes() == ["401", "access-1"]


def test_what_a_replay_with_an_older_token_was_answered_leaves_the_trial_as_it_is() -> None:
    stage = Stage()
    assert stage.source.refuse(stage.old, DATA) is False
    assert stage.source.on_trial(stage.new)


def test_one_that_is_asked_and_gives_no_verdict_lets_all_go() -> None:
    stage = Stage(None)

    def silent() -> Token | None:
        token = stage.source.reject(stage.old, OTHER)
        assert token is not None
        stage.source.give_up(token)
        return token

    silent_one = start_together(1, silent)
    wait_for_waiters(stage.source, 2)
    assert stage.source.refuse(stage.new, DATA) is True
    assert silent_one.outcomes()[0].result() is stage.new
    assert stage.outcomes() == ["access-1"]
    assert not flying(stage.source)


# -- doubt ---------------------------------------------------------------------------------------


def doubted(source: TokenSource, resource: Any = DATA) -> Token:
    new = source.reject(source.token(), resource)
    assert new is not None
    assert source.refuse(new, resource) is True
    return new


def test_while_it_is_doubted_the_pause_before_a_401_refreshes_again_doubles() -> None:
    clock, refresher = Clock(), Refresher(lifetime=None)
    source = make_source(refresher, clock=clock)
    doubted(source)
    pauses = []
    for _ in range(12):
        begun = clock.now
        while source.is_own(source.token(), DATA):
            clock.advance(0.5)
        pauses.append(clock.now - begun)
        doubted(source)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


@pytest.mark.parametrize("resource", [DATA, OTHER])
def test_an_acceptance_ends_doubt_and_pause(resource: Any) -> None:
    clock, refresher = Clock(), Refresher(lifetime=None)
    source = make_source(refresher, clock=clock)
    for pause in (0, 1, 2):
        clock.advance(pause)
        new = doubted(source)
    source.accept(new, resource)
    assert not source.is_own(new, THIRD)
    newer = doubted(source, THIRD)
    clock.advance(0.99)
    assert source.is_own(newer, THIRD)
    clock.advance(0.01)
    assert not source.is_own(newer, THIRD)


@pytest.mark.parametrize("names", ["aaaaa", "abcde"], ids=["the same string", "another"])
def test_what_is_issued_while_the_doubt_lasts_is_doubted_at_its_first_401(names: str) -> None:
    """By the clock, that is, as the token in doubt has expired: one refresh for each life, not two.
    It may be a server that learns of tokens late, or a file that is replaced late."""
    clock = Clock()
    answers = [{"access_token": name, "refresh_token": "r", "expires_in": 5} for name in names]
    refresher = Refresher(*answers)
    source = make_source(refresher, clock=clock, early=0)
    for pause in (0, 1, 2, 4):
        clock.advance(pause)
        doubted(source)
    assert len(refresher.calls) == 4
    clock.advance(5)  # of the eight that the doubt lasts
    newest = source.token()
    assert len(refresher.calls) == 5
    assert source.is_own(newest, DATA)
    assert source.token() is newest
    clock.advance(2.99)
    assert source.is_own(newest, DATA)
    clock.advance(0.01)
    assert not source.is_own(newest, DATA)


def test_a_sibling_that_has_a_better_one_ends_it() -> None:
    clock, store = Clock(), MemoryTokenStore()
    source = make_source(store=store, clock=clock)
    new = doubted(source)
    clock.advance(1)
    store.save(Token("siblings", "refresh-s"))
    assert source.reject(new, DATA) == Token("siblings", "refresh-s")


def test_refreshing_by_hand_minds_no_doubt() -> None:
    refresher = Refresher()
    source = make_source(refresher)
    new = doubted(source)
    assert source.refresh(new) == Token("access-2", "refresh-2")


def test_without_a_trial_a_refused_replay_is_doubted_too() -> None:
    source = make_source(trial_timeout=0)
    new = doubted(source)
    assert source.token() is new
    assert source.is_own(new, DATA)


# -- patience ------------------------------------------------------------------------------------


def test_with_patience_the_leader_repeats_its_trial_before_others_are_asked() -> None:
    stage = Stage(OTHER, allow=(OTHER,), trial_patience=0.7)
    repeats = 0
    while stage.source.tries_again(stage.new):
        repeats += 1
        assert stage.source.on_trial(stage.new)
        assert stage.asked == []
    assert repeats == 3  # after 0.1 s, 0.2 s more, and the rest
    assert stage.source.refuse(stage.new, DATA) is True
    assert stage.outcomes() == ["access-1"]
    assert stage.asked == [OTHER]


def test_all_go_on_waiting_while_a_trial_is_repeated() -> None:
    stage = Stage(OTHER, None, None, None, allow=(OTHER,), trial_timeout=0.5, trial_patience=60)
    for _ in range(3):  # 0.7 s in all: longer than one replay may take
        assert stage.source.tries_again(stage.new)
    wait_for_waiters(stage.source, 4)
    assert stage.asked == []
    stage.source.accept(stage.new, DATA, replay=True)
    assert stage.outcomes() == ["access-1"] * 4


def test_the_pauses_double_up_to_two_seconds_and_the_trial_lasts_so_much_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, pauses, ends = Clock(), list[float](), list[float]()
    stage = Stage(monotonic=clock, trial_timeout=5, trial_patience=7)

    def wait(_self: threading.Condition, _predicate: object, timeout: float) -> bool:
        pauses.append(round(timeout, 3))
        ends.append(round(trial_ends(stage.source) - clock.now, 3))
        clock.advance(timeout)
        return False

    monkeypatch.setattr(threading.Condition, "wait_for", wait)
    while stage.source.tries_again(stage.new):
        pass
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 1.9]
    assert ends == [pause + 5 for pause in pauses]


def test_only_the_token_on_trial_is_tried_again() -> None:
    stage = Stage(trial_patience=60)
    assert not stage.source.tries_again(stage.old)


def test_without_patience_nothing_is_repeated() -> None:
    stage = Stage()
    assert not stage.source.tries_again(stage.new)


def test_only_the_leader_is_patient() -> None:
    stage = Stage(trial_patience=60)
    seen: list[bool] = []

    def visit() -> None:
        token = stage.source.reject(stage.old, OTHER)
        assert token is not None
        seen.append(stage.source.tries_again(token))
        stage.source.accept(token, OTHER, replay=True)

    other = start_together(1, visit)
    wait_for_waiters(stage.source, 1)
    assert stage.source.refuse(stage.new, DATA) is True
    other.outcomes()
    assert seen == [False]


def test_a_token_that_was_found_may_be_old_and_is_not_repeated() -> None:
    store = MemoryTokenStore()
    source = make_source(store=store, trial_timeout=60, trial_patience=60)
    old = source.token()
    store.save(Token("siblings", "refresh-s"))
    found = source.reject(old, DATA)
    assert found == Token("siblings", "refresh-s")
    assert not source.tries_again(found)


def test_a_logout_ends_the_patience() -> None:
    stage = Stage(trial_patience=600)
    patient = start_together(1, lambda: None)
    patient.outcomes()
    other = start_together(1, lambda: stage.source.logout())
    while stage.source.tries_again(stage.new):
        pass
    other.outcomes()
    assert stage.source.refuse(stage.new, DATA) is False
    with pytest.raises(LoginRequiredError):
        stage.source.reject(stage.new, DATA, replay=True)


# -- where the login is to end -------------------------------------------------------------------


def test_the_end_is_the_end_for_all_at_once() -> None:
    reasons: list[str] = []
    stage = Stage(OTHER, None, None, when_trial_refused="log_out", on_logout=reasons.append)
    error = refuse_or_wait(stage)
    assert error.reason == "trial_refused"
    assert stage.outcomes() == ["LoginRequiredError"] * 3
    assert (reasons, stage.store.load()) == (["trial_refused"], None)
    with pytest.raises(LoginRequiredError):
        stage.source.token()
    assert len(stage.refresher.calls) == 1


def refuse_or_wait(stage: Stage) -> LoginRequiredError:
    return refuse_and_log_out(stage.source, stage.new)


@pytest.mark.parametrize("end", ["return", "log_out"])
def test_after_a_request_that_cannot_be_sent_again_the_next_one_there_is_the_trial(
    end: str,
) -> None:
    reasons: list[str] = []
    source = make_source(when_trial_refused=end, on_logout=reasons.append)
    new = source.reject(source.token(), DATA, can_replay=False)
    assert new is source.token()
    assert source.is_own(new, DATA) is (end == "return")
    if end == "log_out":
        with pytest.raises(LoginRequiredError):
            source.reject(new, DATA)
    assert reasons == (["trial_refused"] if end == "log_out" else [])


def test_nothing_ends_as_long_as_one_of_them_accepts() -> None:
    stage = Stage(OTHER, None, allow=(OTHER,), when_trial_refused="log_out")
    assert stage.source.refuse(stage.new, DATA) is True
    assert stage.outcomes() == ["access-1"] * 2
    assert stage.store.load() == stage.new


def test_patience_ends_with_the_login() -> None:
    """Not with the next try: that would send what is logged out."""
    stage, tries = Stage(trial_patience=60.0), list[bool]()

    def be_patient() -> None:
        stage.source._flights.login.flight.pilot = threading.get_ident()  # as its leader
        while stage.source.tries_again(stage.new):
            tries.append(True)

    again = start_together(1, be_patient)
    wait_until(lambda: len(tries) == 3 and waiters(stage.source) == 1)
    stage.source.logout()
    again.outcomes()
    assert len(tries) == 3


def test_nobody_is_left_waiting() -> None:
    stage = Stage(OTHER, THIRD, None)
    stage.source.refuse(stage.new, DATA)
    stage.outcomes()
    assert (flying(stage.source), waiters(stage.source)) == (None, 0)
