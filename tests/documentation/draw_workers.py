"""Draws docs/_static/workers.svg: one flight across three processes, as it went in a real run.

`python -m tests.documentation.draw_workers > docs/_static/workers.svg`

A and B send a request each at the same moment, with a token that has died, and C when B has its
answer. Their store is a Valkey; it and the site are on this machine, so the site
takes its time, as one far away would.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from xml.etree import ElementTree as Xml

import requests

from requests_tokenrefresh import (
    RedisTokenStore,
    RefreshTokenGrant,
    Token,
    TokenRefreshAdapter,
    TokenSource,
)
from requests_tokenrefresh.cli.timeline_svg import _STYLE
from requests_tokenrefresh.events import Event, ReplayEnded, ReplayStarted, TokenRejected
from tests.support.example_com import ExampleCom
from tests.support.servers import Received, Reply
from tests.support.threads import wait_until
from tests.support.valkey_server import ValkeyServer

_DATA, _TOKEN = 0.012, 0.060  # seconds that the site takes to answer
_TOGETHER = 0.05  # seconds in which A and B are told when to begin
_LATER = 0.018  # seconds after the save in which C begins


@dataclass(frozen=True)
class Span:
    """Something that a process did, from *start* to *end* in seconds of the machine's clock.

    Attributes:
        what: ``request``, ``look``, ``wait`` (for the lock), ``turn`` (with the lock), ``refresh``,
            ``save`` or ``replay``.
    """

    what: str
    start: float
    end: float


Story = dict[str, Span]
"""What one process did, by what it was; of what it did twice, the last."""


# -- The run ---------------------------------------------------------------------------------------


def run() -> tuple[Story, Story, Story]:
    """Return what A, B and C did.

    Raises:
        AssertionError: It went in another way than the picture is to show.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        site = stack.enter_context(_SlowSite())
        server = stack.enter_context(ValkeyServer())
        store = RedisTokenStore(server.url, key="reports")
        with store.lock(1.0):
            store.load()
            store.save(Token("access-0", refresh_token="refresh-0", issued_at=time.time()))
        old = store.load()
        ports = []
        for _ in range(3):
            port, theirs = context.Pipe()
            process = context.Process(target=_live, args=(theirs, site.url, server.url))
            process.start()
            theirs.close()
            stack.callback(process.join)
            ports.append(stack.enter_context(port))
        for port in ports:
            port.recv()
        site.expire()
        at = time.monotonic() + _TOGETHER
        for port in ports[:2]:
            port.send(at)
        wait_until(lambda: store.load() != old)
        ports[2].send(time.monotonic() + _LATER)
        *both, c = [port.recv() for port in ports]
        a, b = sorted(both, key=lambda story: "refresh" not in story)
        _check(a, b, c)
        return a, b, c


class _SlowSite(ExampleCom):
    def _answer(self, request: Received) -> Reply | None:
        time.sleep(_TOKEN if request.path == "/oauth/token" else _DATA)
        return super()._answer(request)


def _live(port: Connection, site: str, redis: str) -> None:
    process = _Process(site, redis)
    process.get()
    port.send("ready")
    at = port.recv()
    process.story.clear()
    time.sleep(max(0.0, at - time.monotonic()))
    process.get()
    port.send(process.story)


class _Process:
    """One process, which is its own refresher and store to see when they are used."""

    shared = True

    def __init__(self, site: str, redis: str) -> None:
        self.story: Story = {}
        self._began = 0.0
        self._url = f"{site}/reports"
        self._grant = RefreshTokenGrant(f"{site}/oauth/token", client_id="reports")
        self._store = RedisTokenStore(redis, key="reports")
        tokens = TokenSource(self._refresh, origins=[site], store=self, listeners=[self._hear])
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount(site, TokenRefreshAdapter(tokens))

    def get(self) -> None:
        self._began = time.monotonic()
        assert self._session.get(self._url, timeout=10).status_code == 200

    def load(self) -> Token | None:
        with self._told("look"):
            return self._store.load()

    def save(self, token: Token) -> None:
        with self._told("save"):
            self._store.save(token)

    def clear(self) -> None:
        self._store.clear()

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        with ExitStack() as stack:
            with self._told("wait"):
                stack.enter_context(self._store.lock(timeout))
            with self._told("turn"):
                yield

    def _refresh(self, token: Token | None) -> Token:
        with self._told("refresh"):
            return self._grant(token)

    def _hear(self, event: Event) -> None:
        match event:
            case TokenRejected():
                self.story["request"] = Span("request", self._began, event.at)
            case ReplayStarted():
                self._began = event.at
            case ReplayEnded():
                self.story["replay"] = Span("replay", self._began, event.at)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.story[what] = Span(what, start, time.monotonic())


def _check(a: Story, b: Story, c: Story) -> None:
    """Assert that one refreshed, one waited and one looked, in this order."""
    assert set(a) == {"request", "look", "wait", "turn", "refresh", "save", "replay"}
    assert set(b) == {"request", "look", "wait", "turn", "replay"}
    assert set(c) == {"request", "look", "replay"}
    assert b["wait"].start < a["refresh"].start + _TOKEN / 2
    assert a["save"].end < b["look"].start
    assert b["replay"].end < c["look"].start


# -- The picture -----------------------------------------------------------------------------------

_WIDTH, _HEIGHT = 800, 372
_LEFT, _RIGHT = 96, 28
_A, _STORE, _B, _C = 122.0, 190.0, 260.0, 308.0  # where the lanes are, from the top
_AXIS = 338.0

_OWN_STYLE = """
.small { font-size: 11px; }
.turn { fill: none; stroke: #0969da; stroke-width: 1.6; }
.named-turn { fill: #0969da; }
.old { fill: #d8dee4; }
.new { fill: #1a7f5a; }
.look { stroke: #57606a; stroke-width: 1.2; }
.save { stroke: #1a7f5a; stroke-width: 2.2; }
.head { fill: #57606a; }
.saved { fill: #1a7f5a; }
.on-old { fill: #1f2328; font-weight: 600; }
.on-new { fill: #ffffff; font-weight: 600; }
@media (prefers-color-scheme: dark) {
  .turn { stroke: #58a6ff; }
  .named-turn { fill: #58a6ff; }
  .old { fill: #3d444d; }
  .new { fill: #3fb98a; }
  .look { stroke: #9198a1; }
  .save { stroke: #3fb98a; }
  .head { fill: #9198a1; }
  .saved { fill: #3fb98a; }
  .on-old { fill: #f0f6fc; }
  .on-new { fill: #0d1117; }
}
"""

_TITLE = "One flight, three processes"


def svg(a: Story, b: Story, c: Story) -> str:
    """Return the picture of a run."""
    return _Picture(a, b, c).document()


class _Picture:
    """One drawing in the making: a scale, and a tree that grows."""

    def __init__(self, a: Story, b: Story, c: Story) -> None:
        self._a, self._b, self._c = a, b, c
        self._zero = min(a["request"].start, b["request"].start)
        self._end = c["replay"].end + 0.006
        self._root = Xml.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {_WIDTH} {_HEIGHT}",
                "width": str(_WIDTH),
                "height": str(_HEIGHT),
                "role": "img",
                "aria-labelledby": "workers-title workers-description",
            },
        )

    def document(self) -> str:
        self._heading()
        self._axis()
        self._store()
        self._leader()
        self._waiter()
        self._late_comer()
        Xml.indent(self._root)
        return Xml.tostring(self._root, encoding="unicode") + "\n"

    def _heading(self) -> None:
        refresh = self._a["refresh"]
        sentence = (
            f"Two processes met a 401, and one of them refreshed "
            f"({(refresh.end - refresh.start) * 1000:.0f} ms). The others took its token from the "
            "store."
        )
        self._add("title", id="workers-title").text = _TITLE
        self._add("desc", id="workers-description").text = sentence
        self._add("style").text = _STYLE + _OWN_STYLE
        self._add("rect", "paper", x=0.5, y=0.5, width=_WIDTH - 1, height=_HEIGHT - 1, rx=8)
        self._text(_TITLE, 20, 32, "title")
        self._text(sentence, 20, 53)

    def _axis(self) -> None:
        for milliseconds in range(0, int((self._end - self._zero) * 1000), 20):
            x = self._x(self._zero + milliseconds / 1000)
            self._line("rule", x, 76, x, _AXIS)
            self._text(f"{milliseconds} ms", x, _AXIS + 16, anchor="middle")

    def _store(self) -> None:
        saved = self._x(self._a["save"].end)
        left, right = _LEFT, _WIDTH - _RIGHT
        self._lane("store", _STORE)
        self._add("rect", "old", x=left, y=_STORE - 10, width=saved - left, height=20)
        self._add("rect", "new", x=saved, y=_STORE - 10, width=right - saved, height=20)
        self._text("token 1", (left + saved) / 2, _STORE + 4, "on-old", "middle")
        self._text("token 2", (saved + right) / 2, _STORE + 4, "on-new", "middle")

    def _leader(self) -> None:
        turn, refresh, save = self._a["turn"], self._a["refresh"], self._a["save"]
        self._lane("process A", _A)
        self._request(self._a, _A)
        self._find("token 1", self._a["wait"].start, _A, _STORE - 10)
        left, right = self._x(turn.start), self._x(turn.end)
        self._add("rect", "turn", x=left, y=_A - 13, width=right - left, height=26, rx=4)
        self._text("has the lock", (left + right) / 2, _A - 20, "named-turn small", "middle")
        left, right = self._x(refresh.start), self._x(refresh.end)
        self._add("rect", "refresh", x=left, y=_A - 6.5, width=right - left, height=13)
        self._text("refresh", (left + right) / 2, _A + 3.5, "inside", "middle")
        x = self._x(save.end)
        self._arrow("save", "saved", x, _A + 7, _STORE - 11)
        self._text("saves token 2", x - 6, _STORE - 24, "small", "end")
        self._replay(self._a, _A)

    def _waiter(self) -> None:
        wait, turn = self._b["wait"], self._b["turn"]
        self._lane("process B", _B)
        self._request(self._b, _B)
        self._find("token 1", wait.start, _B, _STORE + 10)
        left, right = self._x(wait.start), self._x(wait.end)
        self._line("waiting", left + 4, _B, right - 2, _B)
        self._text("waits for the lock", (left + right) / 2, _B - 8, "small", "middle")
        left, right = self._x(turn.start), self._x(turn.end)
        self._add("rect", "turn", x=left, y=_B - 13, width=max(3, right - left), height=26, rx=2)
        self._find("token 2", self._b["look"].end, _B, _STORE + 10)
        self._replay(self._b, _B)

    def _late_comer(self) -> None:
        self._lane("process C", _C)
        self._request(self._c, _C)
        self._find("token 2", self._c["look"].end, _C, _STORE + 10)
        self._replay(self._c, _C)

    def _lane(self, name: str, y: float) -> None:
        self._text(name, _LEFT - 12, y + 4, "moment", "end")

    def _request(self, story: Story, y: float) -> None:
        left, right = self._x(story["request"].start), self._x(story["request"].end)
        self._add("rect", "request", x=left, y=y - 2.5, width=right - left, height=5, rx=1.5)
        self._line("rejected", right - 4, y - 4, right + 4, y + 4)
        self._line("rejected", right - 4, y + 4, right + 4, y - 4)
        self._text("401", right - 8, y - 9, "small", "end")

    def _find(self, what: str, at: float, lane: float, store: float) -> None:
        toward = 1 if store > lane else -1
        x = self._x(at)
        self._arrow("look", "head", x, store, lane + toward * 4)
        at_the_edge = x > _WIDTH - 120
        self._text(
            f"finds {what}",
            x - 6 if at_the_edge else x + 6,
            store - toward * 18 + 4,
            "small",
            "end" if at_the_edge else "start",
        )

    def _replay(self, story: Story, y: float) -> None:
        left, right = self._x(story["replay"].start), self._x(story["replay"].end)
        shaft = right - 7
        corners = [(left, -2.5), (shaft, -2.5), (shaft, -5.5), (right, 0.0)]
        corners += [(shaft, 5.5), (shaft, 2.5), (left, 2.5)]
        points = _points((x, y + dy) for x, dy in corners)
        self._add("polygon", "replay", points=points)
        self._text("replay: 200", left + 5, y - 9, "small")

    def _arrow(self, line: str, head: str, x: float, start: float, end: float) -> None:
        toward = 1 if end > start else -1
        self._line(line, x, start, x, end - toward * 5)
        base = end - toward * 6
        points = " ".join(
            f"{_n(px)},{_n(py)}" for px, py in [(x - 4, base), (x + 4, base), (x, end)]
        )
        self._add("polygon", head, points=points)

    def _x(self, at: float) -> float:
        share = (at - self._zero) / (self._end - self._zero)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def _line(self, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
        self._add("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def _text(self, text: str, x: float, y: float, kind: str = "", anchor: str = "start") -> None:
        self._add("text", kind, x=x, y=y, text_anchor=anchor).text = text

    def _add(self, tag: str, kind: str = "", **attributes: float | str) -> Xml.Element:
        looks = {"class": kind} if kind else {}
        facts = {
            name.replace("_", "-"): value if isinstance(value, str) else _n(value)
            for name, value in attributes.items()
        }
        return Xml.SubElement(self._root, tag, {**looks, **facts})


def _points(corners: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in corners)


def _n(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


if __name__ == "__main__":
    sys.stdout.write(svg(*run()))
