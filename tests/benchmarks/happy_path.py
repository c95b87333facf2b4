"""The happy path: what a request costs while the token is good, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from statistics import median
from typing import Any, TypeAlias

import requests
from requests.adapters import HTTPAdapter

from requests_tokenrefresh import TokenRefreshAdapter, TokenSource
from tests.benchmarks.contenders import this_package
from tests.benchmarks.report import table
from tests.benchmarks.server import Server

_FROM_MEMORY = 300, 500  # batches of each, and requests in a batch
_ON_LOOPBACK = 300, 50

_Send: TypeAlias = Callable[[], requests.Response]
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
        _row("session, loopback, keep-alive", _on_loopback()),
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
        lambda: plain.send(authorized, **how), lambda: ours.send(request, **how), *_FROM_MEMORY
    )


def _on_loopback() -> list[_Pair]:
    with (
        closing(Server()) as server,
        this_package(server, 1) as ours,
        requests.Session() as plain,
    ):
        url = f"{server.url}/data"
        plain.headers["Authorization"] = str(ours.get(url).request.headers["Authorization"])
        return _alternate(lambda: plain.get(url), lambda: ours.get(url), *_ON_LOOPBACK)


def _alternate(plain: _Send, ours: _Send, batches: int, size: int) -> list[_Pair]:
    """Time both in turn, so that whatever drifts meets both alike; the first pair warms up."""
    pairs = [(_time(plain, size), _time(ours, size)) for _ in range(batches + 1)]
    return pairs[1:]


def _time(send: _Send, size: int) -> float:
    started = time.perf_counter()
    for _ in range(size):
        assert send().status_code == 200
    return (time.perf_counter() - started) / size * 1e6
