"""Flights that are held at the token endpoint until everybody waits who is to wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import requests

from requests_tokenrefresh.events import ReplayStarted
from tests.support.logins import wait_for_waiters
from tests.support.page_site import PageSite, Program
from tests.support.servers import Received
from tests.support.threads import Callers, start_together, wait_until

NEW = 2
"""The number of the token that the flight brings."""

Answers = list[tuple[int, int]]
"""The status of each response, and how many others there are in its history."""


class HeldFlight:
    """One flight, held at the token endpoint, until everybody who is to wait for it waits.

    Requests are written as ``POST /page``.

    Args:
        program: Its token has expired, and nobody knows.
        leader: The request that meets the expiry first.
        holders: Requests that have left before that, each for a path of its own, and are answered
            401 after it. They wait in this order.
        newcomers: How many requests for ``/new`` come then, and are not sent.
    """

    def __init__(
        self,
        program: Program,
        *,
        leader: str = "GET /leader",
        holders: Sequence[str] = (),
        newcomers: int = 0,
    ) -> None:
        site = program.site

        def start(request: str) -> Callers[requests.Response]:
            method, path = request.split()
            return start_together(1, lambda: program.send(path, method))

        pages = [site.hold(holder.split()[1]) for holder in holders]
        self._holders = [start(holder) for holder in holders]
        wait_until(lambda: len(site.arrivals) == len(holders))
        gate = site.hold_token_requests()
        self._leader = start(leader)
        site.wait_for("/token")
        for count, page in enumerate(pages, start=1):
            page.set()
            wait_for_waiters(program.tokens, count)
        self._newcomers = [start("GET /new") for _ in range(newcomers)]
        wait_for_waiters(program.tokens, len(holders) + newcomers)
        self.land = gate.set

    def leader(self) -> requests.Response:
        return self._leader.outcomes()[0].result()

    def holders(self) -> Answers:
        return [_answer(callers) for callers in self._holders]

    def newcomers(self) -> Answers:
        return [_answer(callers) for callers in self._newcomers]

    def errors(self) -> list[BaseException | None]:
        """What the leader, the holders and the newcomers got instead of an answer."""
        everybody = (self._leader, *self._holders, *self._newcomers)
        return [callers.outcomes()[0].error for callers in everybody]


def replays(site: PageSite) -> list[str]:
    """Return the pages that were asked for with the new token, in order."""
    return [path for path, number in site.arrivals if number == NEW]


def has_new_token(request: Received) -> bool:
    """Return whether *request* was sent with the token of the flight."""
    return request.headers["Authorization"] == f"Bearer access-{NEW}"


def trials(program: Program) -> int:
    """Return how many replays were on trial."""
    started: list[Any] = program.heard.of(ReplayStarted)
    return [event.trial for event in started].count(True)


def refuse_first(site: PageSite, count: int) -> None:
    """Let the first *count* requests with a good token be refused, whatever the page is."""
    refusals = iter([False] * count)
    site.opens = lambda _path, _number: next(refusals, True)


def _answer(callers: Callers[requests.Response]) -> tuple[int, int]:
    response = callers.outcomes()[0].result()
    return response.status_code, len(response.history)
