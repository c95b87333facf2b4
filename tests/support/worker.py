"""One process that acts for a shared login: what runs in it. `workers` is how a test drives it.

Each command comes over a pipe and runs on a thread of its own, so that one may be held at a
point of the refresh while others are answered. The points are in the refresher and the store,
which are wrapped here: the package is as its users have it.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal, TypeAlias

import requests
import sqlalchemy
import valkey

from requests_tokenrefresh import (
    FileTokenStore,
    RedisTokenStore,
    RefreshTokenGrant,
    SQLTokenStore,
    StoredPause,
    StoreLockLostError,
    Token,
    TokenRefreshAdapter,
    TokenSource,
    TokenStore,
)
from requests_tokenrefresh.events import Event, LoggedOut, RefreshEnded, ReplayStarted
from tests.support.logins import Clock
from tests.support.threads import wait_until

Point: TypeAlias = Literal[
    "before the lock",
    "before the token request",
    "after the reply",
    "before the save",
    "after the save",
]

_PAUSE = 0.02  # seconds between two requests of a load, which would else be all that runs

Endings = Counter[str]
"""How many requests ended how: with a status, or an exception (and a reason, if it has one)."""


@dataclass(frozen=True)
class StoreAt:
    """Where a store is; what a process needs to open it.

    Attributes:
        kind: ``file``, ``redis`` or ``sql``.
        place: A path, or a URL.
        options: Of the store.
    """

    kind: str
    place: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def opened(self) -> Iterator[TokenStore]:
        """Open the store, with connections of its own."""
        with _OPENED[self.kind](self.place, **self.options) as store:
            yield store


@contextmanager
def _file(path: str, **options: Any) -> Iterator[TokenStore]:
    yield FileTokenStore(path, **options)


@contextmanager
def _redis(url: str, **options: Any) -> Iterator[TokenStore]:
    with valkey.Valkey.from_url(url) as client:
        yield RedisTokenStore(client, key="login", **options)


@contextmanager
def _sql(url: str, **options: Any) -> Iterator[TokenStore]:
    engine = sqlalchemy.create_engine(url)
    try:
        yield SQLTokenStore(engine, name="login", **options)
    finally:
        engine.dispose()


_OPENED: dict[str, Callable[..., AbstractContextManager[TokenStore]]] = {
    "file": _file,
    "redis": _redis,
    "sql": _sql,
}


@dataclass(frozen=True)
class Plan:
    """What a worker is made of.

    Attributes:
        store: Where the login is.
        url: The origin that takes the token.
        token_url: The token endpoint.
        client: Its id and secret there.
        options: Of the `TokenSource`.
        clock_stands: Whether time is what the test says it is, the store's excepted.
        clock_at: Where it stands then, in epoch seconds; None: where it is when the worker starts.
        draw: What the source draws instead of random numbers; None: it draws.
    """

    store: StoreAt
    url: str
    token_url: str
    client: tuple[str, str | None]
    options: Mapping[str, Any] = field(default_factory=dict)
    clock_stands: bool = False
    clock_at: float | None = None
    draw: float | None = None


@dataclass(frozen=True)
class Report:
    """What a worker has seen so far.

    Attributes:
        flights: How many ended with which outcome.
        logged_out: Why logins ended, in order.
        loads, saves, locks: How often the store was asked; *locks* that were had.
        saves_refused: How many of the saves were.
        saved_at: When the last save returned, in seconds of the monotonic clock.
        replayed_at: When the last replay began, by the same clock.
    """

    flights: Mapping[str, int]
    logged_out: list[str]
    loads: int
    saves: int
    saves_refused: int
    locks: int
    saved_at: float | None
    replayed_at: float | None


def run(port: Connection, plan: Plan) -> None:
    """Do what is asked for, until *port* is closed."""
    with plan.store.opened() as store:
        _answer_commands(port, _Worker(plan, store))


def _answer_commands(port: Connection, worker: _Worker) -> None:
    answering = threading.Lock()

    def answer(number: int, command: str, arguments: tuple[Any, ...]) -> None:
        try:
            outcome = (number, getattr(worker, command)(*arguments), None)
        except Exception as error:
            outcome = (number, None, error)
        with answering:
            port.send(outcome)

    while True:
        try:
            asked = port.recv()
        except EOFError:
            return
        threading.Thread(target=answer, args=asked, daemon=True).start()


class _Worker:
    """What a test can ask for; see `workers.Worker`."""

    def __init__(self, plan: Plan, store: TokenStore) -> None:
        self._plan = plan
        self._points = _Points()
        self._between = threading.Lock()  # held from a token request until its turn is over
        now = time.time() if plan.clock_at is None else plan.clock_at
        self._clock: Callable[[], float] = Clock(now) if plan.clock_stands else time.time
        self._store = _WatchedStore(store, self._points, self._end_turn)
        self._grant = self._make_grant(timeout=10.0)
        self._events: list[Event] = []
        options: dict[str, Any] = {"min_refresh_interval": 0.0, **plan.options}
        if plan.clock_stands:
            options |= {"clock": self._clock, "monotonic": self._clock}
        if plan.draw is not None:
            draw = plan.draw
            options["random"] = lambda: draw
        self._source = TokenSource(
            _Refresher(self._refresh, self._grant.revoke),
            origins=[plan.url],
            store=self._store,
            listeners=[self._events.append],
            **options,
        )
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", TokenRefreshAdapter(self._source, pool_maxsize=64))
        # Prepared once, which is half of what a request costs in a session.
        self._request = requests.Request("GET", f"{plan.url}/data").prepare()
        self._loading = threading.Event()
        self._begun: list[int] = []  # by each thread of the load: requests

    # -- Commands ---------------------------------------------------------------------------------

    def ready(self) -> None:
        pass

    def get(self, times: int, threads: int) -> Endings:
        return self._on_threads(threads, lambda: Counter(self._get() for _ in range(times)))

    def get_until_told(self, threads: int) -> Endings:
        self._loading.set()
        places = itertools.count()
        self._begun = [0] * threads

        def go_on() -> Endings:
            place = next(places)
            endings: Endings = Counter()
            while self._loading.is_set():
                self._begun[place] += 1
                endings[self._get()] += 1
                time.sleep(_PAUSE)
            return endings

        return self._on_threads(threads, go_on)

    def catch_up(self) -> None:
        wait_until(lambda: self._begun)
        before = list(self._begun)
        for place, begun in enumerate(before):
            # The second since now begins when the first, begun since, has ended.
            wait_until(lambda at=place, last=begun + 2: self._begun[at] >= last, timeout=20)

    def enough(self) -> None:
        self._loading.clear()

    def login(self, token: Mapping[str, Any]) -> None:
        self._source.login(token)

    def logout(self, revoke: bool) -> None:
        self._source.logout(revoke=revoke)

    def hold(self, point: Point) -> None:
        self._points.hold(point)

    def reach(self, point: Point) -> None:
        self._points.reached[point].wait()

    def release(self, point: Point) -> None:
        self._points.gates[point].set()

    def advance(self, seconds: float) -> None:
        assert isinstance(self._clock, Clock)
        self._clock.advance(seconds)

    def be_patient(self, timeout: float) -> None:
        self._grant = self._make_grant(timeout=timeout)

    def break_store(self, broken: bool) -> None:
        self._store.broken = broken

    def report(self) -> Report:
        ended = [event for event in self._events if isinstance(event, RefreshEnded)]
        return Report(
            flights=Counter(event.outcome for event in ended),
            logged_out=[event.reason for event in self._events if isinstance(event, LoggedOut)],
            loads=self._store.loads,
            saves=self._store.saves,
            saves_refused=self._store.saves_refused,
            locks=self._store.locks,
            saved_at=self._store.saved_at,
            replayed_at=max(
                (e.at for e in self._events if isinstance(e, ReplayStarted)), default=None
            ),
        )

    def die_between_refreshes(self) -> None:
        with self._between:
            os.kill(os.getpid(), signal.SIGKILL)

    # -- What it does -----------------------------------------------------------------------------

    def _on_threads(self, count: int, function: Callable[[], Endings]) -> Endings:
        parts: list[Endings] = []  # list.append is atomic
        threads = [
            threading.Thread(target=lambda: parts.append(function()), daemon=True)
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        endings: Endings = Counter()
        for part in parts:
            endings.update(part)
        return endings

    def _get(self) -> str:
        try:
            return str(self._session.send(self._request, timeout=20).status_code)
        except Exception as error:
            reason = getattr(error, "reason", None)
            return type(error).__name__ + ("" if reason is None else f": {reason}")

    def _make_grant(self, timeout: float) -> RefreshTokenGrant:
        client_id, secret = self._plan.client
        return RefreshTokenGrant(
            self._plan.token_url,
            client_id=client_id,
            client_secret=secret,
            revocation_url=self._plan.token_url.replace("/token", "/revoke"),
            timeout=(10.0, timeout),
            clock=self._clock,
        )

    def _refresh(self, token: Token | None) -> Token:
        self._points.pass_by("before the token request")
        self._between.acquire()
        fresh = self._grant(token)
        self._points.pass_by("after the reply")
        return fresh

    def _end_turn(self) -> None:
        if self._between.locked():
            self._between.release()


class _Refresher:
    def __init__(
        self, refresh: Callable[[Token | None], Token], revoke: Callable[[Token], None]
    ) -> None:
        self._refresh = refresh
        self.revoke = revoke

    def __call__(self, token: Token | None) -> Token:
        return self._refresh(token)


class _Points:
    """Where a thread says that it is there, and stands if it is told to."""

    def __init__(self) -> None:
        names = Point.__args__  # type: ignore[attr-defined]
        self.reached = {name: threading.Event() for name in names}
        self.gates = {name: threading.Event() for name in names}
        for gate in self.gates.values():
            gate.set()

    def hold(self, point: Point) -> None:
        self.reached[point].clear()
        self.gates[point].clear()

    def pass_by(self, point: Point) -> None:
        self.reached[point].set()
        self.gates[point].wait()


class _WatchedStore:
    """A store with points, that counts; what more a store can do, those do that tests have here."""

    shared = True

    def __init__(self, store: Any, points: _Points, end_turn: Callable[[], None]) -> None:
        self._store = store
        self._points = points
        self._end_turn = end_turn
        self.broken = False  # whether it cannot save
        # Exact as long as one thread at a time asks.
        self.loads = self.saves = self.saves_refused = self.locks = 0
        self.saved_at: float | None = None

    def load(self) -> Token | None:
        self.loads += 1
        return self._store.load()

    def save(self, token: Token) -> None:
        if self.broken:
            raise OSError("the store is broken")
        self.saves += 1
        self._points.pass_by("before the save")
        try:
            self._store.save(token)
        except StoreLockLostError:
            self.saves_refused += 1
            raise
        self.saved_at = time.monotonic()
        self._points.pass_by("after the save")

    def clear(self) -> None:
        self._store.clear()

    def ensure_can_save(self) -> None:
        self._store.ensure_can_save()

    def load_pause(self) -> StoredPause | None:
        return self._store.load_pause()

    def save_pause(self, pause: StoredPause | None) -> None:
        self._store.save_pause(pause)

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        self._points.pass_by("before the lock")
        with self._store.lock(timeout):
            self.locks += 1
            try:
                yield
            finally:
                self._end_turn()
