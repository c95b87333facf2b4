"""The happy path: what a request costs while the token is good, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from statistics import median
from typing import Any, TypeAlias

import requests
from requests.adapters import HTTPAdapter

from requests_tokenrefresh import TokenRefreshAdapter, TokenSource, mount
from tests.benchmarks.contenders import logged_in
from tests.benchmarks.report import table
from tests.benchmarks.server import Server

_FROM_MEMORY = 300, 500  # batches of each, and requests in a batch
_ON_LOOPBACK = 300, 50

_Send: TypeAlias = Callable[[], requests.Response]
_Clock: TypeAlias = Callable[[], float]
_Pair: TypeAlias = tuple[float, float]  # µs a request: plain, with the adapter


class _Memory(HTTPAdapter):
    """Answers without sending: what is left to measure is the code around it."""

    def __init__(self) -> None:
        super().__init__()
        self._response = requests.Response()
        self._response.status_code = 200

    def send(self, *_request: Any, **_how: Any) -> requests.Response:
        return self._response


def report() -> str:
    """Return the table: medians (minima) over the batches, and medians over their pairs."""
    rows = [
        _row("adapter alone, answers from memory", _from_memory()),
        _row("session, processor time, adapter mounted by hand", _on_loopback(by_hand=True)),
        _row("session, processor time, by `mount(session, tokens)`", _on_loopback(by_hand=False)),
    ]
    return table(["µs a request, one thread", "plain", "ours", "difference", "ratio"], rows)


def _row(name: str, pairs: list[_Pair]) -> list[str]:
    plain, ours = zip(*pairs, strict=True)
    return [
        name,
        f"{median(plain):.1f} ({min(plain):.1f})",
        f"{median(ours):.1f} ({min(ours):.1f})",
        f"{median(our - its for its, our in pairs):.1f}",
        f"{median(our / its for its, our in pairs):.3f}",
    ]


def _from_memory() -> list[_Pair]:
    url = "http://127.0.0.1/data"
    tokens = TokenSource(lambda _: "new", origins=["http://127.0.0.1"], token="access")
    plain, ours = _Memory(), TokenRefreshAdapter(tokens, transport=_Memory())
    request = requests.Request("GET", url).prepare()
    authorized = requests.Request("GET", url, {"Authorization": "Bearer access"}).prepare()
    how: dict[str, Any] = {"stream": False, "timeout": None, "verify": True, "proxies": {}}
    return _alternate(
        lambda: plain.send(authorized, **how),
        lambda: ours.send(request, **how),
        *_FROM_MEMORY,
        time.perf_counter,
    )


def _on_loopback(*, by_hand: bool) -> list[_Pair]:
    """Time of the processor, as this thread has it: the server's is the same for both."""
    with (
        closing(Server()) as server,
        requests.Session() as plain,
        requests.Session() as ours,
    ):
        tokens = logged_in(server)
        if by_hand:
            ours.mount(server.url, TokenRefreshAdapter(tokens))
        else:
            mount(ours, tokens)
        url = f"{server.url}/data"
        plain.headers["Authorization"] = f"Bearer {tokens.token().access_token}"
        return _alternate(
            lambda: plain.get(url), lambda: ours.get(url), *_ON_LOOPBACK, time.thread_time
        )


def _alternate(plain: _Send, ours: _Send, batches: int, size: int, clock: _Clock) -> list[_Pair]:
    """Time both in turn, so that whatever drifts meets both alike; the first pair warms up."""
    pairs = [(_time(plain, size, clock), _time(ours, size, clock)) for _ in range(batches + 1)]
    return pairs[1:]


def _time(send: _Send, size: int, clock: _Clock) -> float:
    started = clock()
    for _ in range(size):
        assert send().status_code == 200
    return (clock() - started) / size * 1e6
