"""APIs that learn of a new token late, and issuers that give out a new token late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from requests_tokenrefresh import FileTokenStore, Token, TokenStore
from requests_tokenrefresh.events import ReplayEnded
from tests.support.held_flights import HeldFlight, replays
from tests.support.logins import Clock, wait_for_waiters
from tests.support.page_issuers import ISSUERS, Issuer
from tests.support.page_site import PageSite, Program
from tests.support.threads import run_together, start_together

STEP = 0.25  # seconds between two requests; binary fractions add up exactly


class LateAPI:
    """Lets every page of *site* know a token only *seconds* after its first request with it."""

    def __init__(self, site: PageSite, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._first_seen: dict[int, float] = {}
        site.opens = self._opens

    def _opens(self, _path: str, number: int) -> bool:
        seen = self._first_seen.setdefault(number, self._clock())
        return self._clock() >= seen + self._seconds


def seconds_until_healed(program: Program, *, method: str = "GET", threads: int = 1) -> float:
    """Ask for a page every quarter of a second for six seconds; return when it began to open.

    Before that nobody has got it, and from then on everybody has.
    """
    rounds = []
    for _ in range(25):
        outcomes = run_together(threads, lambda: program.status("/ok", method))
        [status] = {outcome.result() for outcome in outcomes}
        rounds.append(status)
        program.clock.advance(STEP)
    healed = rounds.index(200)
    assert rounds == [401] * healed + [200] * (25 - healed)
    return healed * STEP


# -- Without patience ----------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ISSUERS)
@pytest.mark.parametrize(("late", "calls", "latest"), [(0.75, 1, 0.75), (1.75, 2, 3.0)])
def test_until_the_api_knows_the_new_token_its_401s_go_to_the_callers(
    pages: PageSite, tmp_path: Path, issuer: Issuer, late: float, calls: int, latest: float
) -> None:
    """Each pause is twice as long as the one before, so that some token is old enough in time."""
    store = FileTokenStore(tmp_path / "login")
    with Program(pages, store=store, **issuer(pages)).log_in() as program:
        assert program.status("/ok") == 200
        pages.expire()
        LateAPI(pages, late, program.clock)
        assert late <= seconds_until_healed(program) <= latest
        assert pages.token_calls == calls
        program.assert_logged_in()
        stored = store.load()
        assert stored is not None
        assert stored.access_token == pages.newest.access_token


@pytest.mark.parametrize(("method", "threads"), [("GET", 1), ("POST", 1), ("GET", 8)])
def test_an_api_that_is_three_seconds_late_costs_three_refreshes(
    pages: PageSite, method: str, threads: int
) -> None:
    with Program(pages).log_in() as program:
        pages.expire()
        LateAPI(pages, 2.75, program.clock)
        assert 5.75 <= seconds_until_healed(program, method=method, threads=threads) <= 6.0
        assert pages.token_calls == 3
        program.assert_logged_in()


def test_an_api_that_is_late_ends_the_doubt_for_a_second_process_too(
    pages: PageSite, tmp_path: Path
) -> None:
    """What the first has stored is what the second goes on with."""
    path, clock = tmp_path / "login", Clock()
    with (
        Program(pages, store=path, clock=clock).log_in() as program,
        Program(pages, store=path, clock=clock) as another_process,
    ):
        assert [program.status("/ok"), another_process.status("/ok")] == [200, 200]
        pages.expire()
        LateAPI(pages, 0.75, clock)
        assert program.status("/ok") == 401
        clock.advance(0.75)
        assert [another_process.status("/ok"), program.status("/ok")] == [200, 200]
        assert pages.token_calls == 1
        assert FileTokenStore(path).load() == pages.newest
        another_process.assert_logged_in()
        program.assert_logged_in()


# -- With patience, in real time -----------------------------------------------------------------


@pytest.mark.parametrize("issuer", ISSUERS)
def test_with_patience_the_request_is_repeated_until_the_api_knows(
    pages: PageSite, tmp_path: Path, issuer: Issuer
) -> None:
    options = {**issuer(pages), "monotonic": time.monotonic, "trial_patience": 5.0}
    with Program(pages, store=tmp_path / "login", **options).log_in() as program:
        assert program.status("/ok") == 200
        pages.expire()
        LateAPI(pages, 0.3, time.monotonic)
        response = program.send("/ok")
        assert response.status_code == 200
        assert pages.token_calls == 1
        # One to the old token, and those to the new one in pauses that grow.
        assert 2 <= pages.rejections["/ok"] <= 10
        assert pages.arrivals[-1] == ("/ok", 2)
        program.assert_logged_in()


def test_with_patience_the_others_wait_and_send_nothing_meanwhile(pages: PageSite) -> None:
    options: dict[str, Any] = {"monotonic": time.monotonic, "trial_patience": 5.0}
    with Program(pages, **options).log_in() as program:
        assert program.status("/ok") == 200
        pages.expire()
        page, gate = pages.hold("/other"), pages.hold_token_requests()
        holders = start_together(4, lambda: program.status("/other"))
        pages.wait_for("/other", 4)
        LateAPI(pages, 0.3, time.monotonic)
        leader = start_together(1, lambda: program.status("/leader"))
        pages.wait_for("/token")
        page.set()
        wait_for_waiters(program.tokens, 4)
        gate.set()
        outcomes = leader.outcomes() + holders.outcomes()
        assert [outcome.result() for outcome in outcomes] == [200] * 5
        assert pages.token_calls == 1
        assert pages.rejections["/other"] == 4  # to the old token: nobody else was asked
        repeats = pages.rejections["/leader"]  # one to the old token, and then the accepted one
        new = [path for path, number in pages.arrivals if number == 2]
        assert new == ["/leader"] * repeats + ["/other"] * 4
        program.assert_logged_in()


def test_patience_is_the_leaders_alone(pages: PageSite) -> None:
    """The other two opinions are asked once each, when the leader has given up."""
    options: dict[str, Any] = {"monotonic": time.monotonic, "trial_patience": 0.15}
    with Program(pages, **options).log_in() as program:
        pages.expire()
        pages.opens = lambda _path, _number: False
        flight = HeldFlight(program, holders=["GET /first", "GET /second", "GET /third"])
        flight.land()
        assert flight.leader().status_code == 401
        assert [status for status, _history in flight.holders()] == [401] * 3
        sent = replays(pages)
        assert sent.count("/leader") == len(sent) - 2 >= 2
        assert sent[:-2] == ["/leader"] * (len(sent) - 2)
        assert len(set(sent)) == 3
        assert pages.token_calls == 1


def test_patience_is_not_for_a_page_that_refuses_what_another_has_accepted(
    pages: PageSite,
) -> None:
    options: dict[str, Any] = {"monotonic": time.monotonic, "trial_patience": 5.0}
    with Program(pages, **options).log_in() as program:
        pages.expire()
        flight = HeldFlight(program, holders=["GET /forbidden"])
        flight.land()
        assert flight.leader().status_code == 200
        assert flight.holders() == [(401, 1)]
        assert replays(pages) == ["/leader", "/forbidden"]
        assert pages.token_calls == 1


def test_when_patience_ends_the_callers_own_401_is_the_answer(
    pages: PageSite, login_store: TokenStore
) -> None:
    options: dict[str, Any] = {"monotonic": time.monotonic, "trial_patience": 0.3}
    with Program(pages, store=login_store, **options).log_in() as program:
        pages.expire()
        LateAPI(pages, 1000.0, time.monotonic)
        response = program.send("/ok")
        assert (response.status_code, response.text) == (401, "GET /ok is closed")
        assert pages.token_calls == 1
        assert pages.rejections["/ok"] >= 3  # to the old token, and twice at least to the new one
        assert program.reasons == []
        assert login_store.load() == pages.newest
        pages.opens = lambda _path, _number: True
        assert program.status("/ok") == 200
        assert pages.token_calls == 1


def test_patience_is_no_reason_to_repeat_what_was_accepted(pages: PageSite) -> None:
    options: dict[str, Any] = {"monotonic": time.monotonic, "trial_patience": 5.0}
    with Program(pages, **options).log_in() as program:
        pages.expire()
        assert program.status("/ok") == 200
        assert pages.arrivals == [("/ok", 1), ("/ok", 2)]
        verdicts: list[Any] = program.heard.of(ReplayEnded)
        assert [event.verdict for event in verdicts] == ["accepted"]


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"trial_patience": -1}, ValueError),
        ({"trial_patience": "1"}, TypeError),
        ({"when_trial_refused": "retry"}, ValueError),
    ],
)
def test_options_that_make_no_sense_are_refused(
    pages: PageSite, option: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(option))):
        Program(pages, **option)


# -- A refresher that is late itself -------------------------------------------------------------


class TokenFile:
    """The same dead string until it is replaced: a mounted token file, as its reader sees it."""

    def __init__(self) -> None:
        self.token = "dead-0"
        self.reads = 0
        self._lock = threading.Lock()

    def __call__(self, _token: Token | None) -> str:
        with self._lock:
            self.reads += 1
            return self.token


@pytest.mark.parametrize("threads", [1, 8])
def test_the_same_dead_token_again_is_asked_for_after_a_pause(
    pages: PageSite, login_store: TokenStore, threads: int
) -> None:
    """At once, after a second, and two seconds later: by then the file has been replaced."""
    file = TokenFile()
    with Program(pages, file, store=login_store, token="dead-0") as program:
        rounds = []
        for step in range(16):
            if step == 11:
                file.token = pages.log_in()["access_token"]
            outcomes = run_together(threads, lambda: program.status("/ok"))
            [status] = {outcome.result() for outcome in outcomes}
            rounds.append(status)
            program.clock.advance(STEP)
        healed = rounds.index(200)
        assert rounds == [401] * healed + [200] * (16 - healed)
        assert 3.0 <= healed * STEP <= 3.5
        assert file.reads == 3
        program.assert_logged_in()
        stored = login_store.load()
        assert stored is not None
        assert stored.access_token == file.token
