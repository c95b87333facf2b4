"""A pause that a token endpoint asks for is the login's: for all programs that share it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from requests_tokenrefresh import RefreshFailedError
from tests.support.login_site import Fault, unavailable
from tests.support.logins import START, Clock
from tests.support.page_issuers import too_many
from tests.support.page_site import PageSite, Program
from tests.support.threads import start_together


def begin(pages: PageSite, path: Path, clock: Clock, random: float) -> Program:
    return Program(pages, store=path, clock=clock, random=lambda: random)


@pytest.mark.parametrize("fault", [too_many, unavailable(retry_after=30)], ids=["429", "503"])
@pytest.mark.parametrize("random", [0.0, 1.0])
def test_a_pause_is_for_all_programs_with_the_login(
    pages: PageSite, tmp_path: Path, fault: Fault, random: float
) -> None:
    """One of them asks, also of those that start during the pause; and one after it."""
    pages.fault = fault
    clock, path = Clock(), tmp_path / "login"
    with (
        begin(pages, path, clock, random).log_in() as first,
        begin(pages, path, clock, random) as second,
    ):
        assert [first.status("/ok"), second.status("/ok")] == [200, 200]
        clock.advance(3600)
        for program in (first, second, first):
            with pytest.raises(RefreshFailedError):
                program.send("/ok")
        with begin(pages, path, clock, random) as third:
            with pytest.raises(RefreshFailedError) as caught:
                third.send("/ok")
            assert caught.value.retry_after is not None
            assert caught.value.retry_after >= 30
            clock.advance(29.5)
            for program in (third, second, first):
                with pytest.raises(RefreshFailedError):
                    program.send("/ok")
            assert pages.token_calls == 1
            pages.fault = None
            clock.advance(30)  # however much of the pause is jitter
            assert [program.status("/ok") for program in (second, first, third)] == [200] * 3
            assert pages.token_calls == 2
            for program in (first, second, third):
                program.assert_logged_in()


def test_jitter_is_added_to_what_the_issuer_says_and_never_taken_from_it(
    pages: PageSite, tmp_path: Path
) -> None:
    pages.fault = too_many
    for random, at_once in ((0.0, True), (1.0, False)):
        clock = Clock(START)
        with begin(pages, tmp_path / str(random), clock, random).log_in() as program:
            clock.advance(3600)
            with pytest.raises(RefreshFailedError):
                program.send("/ok")
            asked = pages.token_calls
            clock.advance(30.0625)
            with pytest.raises(RefreshFailedError):
                program.send("/ok")
            assert (pages.token_calls == asked + 1) is at_once


def test_logging_in_ends_the_pause_for_all(pages: PageSite, tmp_path: Path) -> None:
    pages.fault = too_many
    clock, path = Clock(), tmp_path / "login"
    with (
        begin(pages, path, clock, 1.0).log_in() as first,
        begin(pages, path, clock, 1.0) as second,
    ):
        assert second.status("/ok") == 200
        clock.advance(3600)
        for program in (first, second):
            with pytest.raises(RefreshFailedError):
                program.send("/ok")
        pages.fault = None
        first.log_in()
        clock.advance(1)  # so often does a program that fails look into the store
        assert [first.status("/ok"), second.status("/ok")] == [200, 200]
        pages.expire()
        assert [second.status("/ok"), first.status("/ok")] == [200, 200]
        assert pages.token_calls == 2  # the one that was told to wait, and the one after login()


def test_eight_threads_of_two_programs_ask_a_rate_limited_endpoint_once(
    pages: PageSite, tmp_path: Path
) -> None:
    pages.fault = too_many
    clock, path = Clock(), tmp_path / "login"
    with (
        begin(pages, path, clock, 1.0).log_in() as first,
        begin(pages, path, clock, 1.0) as second,
    ):
        assert [first.status("/ok"), second.status("/ok")] == [200, 200]
        clock.advance(3600)
        start = threading.Barrier(2)

        def ask(program: Program) -> list[BaseException | None]:
            start.wait()
            callers = start_together(8, lambda: program.send("/ok"))
            return [outcome.error for outcome in callers.outcomes()]

        others = start_together(1, lambda: ask(second))
        errors = [*ask(first), *others.outcomes()[0].result()]
        assert {type(error) for error in errors} == {RefreshFailedError}
        assert pages.token_calls == 1
