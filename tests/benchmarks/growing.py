"""What one expiry costs the store, as the processes grow that share the login.

A process is simulated by a thread with a `TokenSource` and a connection of its own; the server is
a real one.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy
import valkey

from requests_tokenrefresh import (
    LoginRequiredError,
    RedisTokenStore,
    SQLTokenStore,
    Token,
    TokenSource,
    TokenStore,
)
from tests.benchmarks.report import table
from tests.support.logins import Clock
from tests.support.postgres_server import PostgresServer
from tests.support.threads import wait_until
from tests.support.valkey_server import ValkeyServer

_SIZES = {"Valkey": (1, 8, 64, 512), "PostgreSQL": (1, 8, 64)}
_QUEUEING = 0.2  # seconds in which those who come to the lock are sure to wait for it
_LIFETIME = 3600.0  # seconds
_SLICE = 10.0  # seconds of the early window that are counted together

_Opened: TypeAlias = Callable[[], AbstractContextManager[TokenStore]]


def report() -> str:
    """Return the tables."""
    with ValkeyServer() as server, PostgresServer("-c", "max_connections=300") as postgres:
        rows = [_row("Valkey", size, _storm(_on_valkey(server), size)) for size in _SIZES["Valkey"]]
        for size in _SIZES["PostgreSQL"]:
            postgres.clear()
            rows.append(_row("PostgreSQL", size, _storm(_on_postgres(postgres), size)))
        headings = ["store", "processes", "refreshes", "reads each", "writes, all", "turns each"]
        headings += ["commands each", "of them to wait", "from reply to last, ms"]
        return table(headings, rows) + "\n\n" + _early(server)


@dataclass
class _Costs:
    """What one expiry cost; guarded by the turn of whoever counts."""

    refreshes: int = 0
    wall: float = 0.0  # seconds from the new token until the last of them has it
    loads: int = 0
    saves: int = 0
    asked: int = 0  # for a turn
    turns: int = 0
    commands: int = 0  # that a client sent
    waits: int = 0  # those among them that wait to be woken


class _Server:
    """Says what its clients have sent."""

    def __init__(self, opened: _Opened, count: Callable[[], Counter[str]]) -> None:
        self.opened = opened
        self.count = count


def _on_valkey(server: ValkeyServer) -> _Server:
    server.clear()

    @contextmanager
    def opened() -> Iterator[TokenStore]:
        with valkey.Valkey.from_url(server.url) as client:
            yield RedisTokenStore(client, key="login")

    def count() -> Counter[str]:
        # What a script calls is counted as well; the store sends nothing but these.
        calls = server.command("INFO", "commandstats")
        sent = {name: calls.get(f"cmdstat_{name}", {}).get("calls", 0) for name in _SENT}
        return Counter({"commands": sum(sent.values()), "waits": sent["blpop"]})

    return _Server(opened, count)


_SENT = ("evalsha", "eval", "blpop")


def _on_postgres(server: PostgresServer) -> _Server:
    counted: Counter[str] = Counter()
    turn = threading.Lock()

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        with turn:
            counted["commands"] += 1
            counted["waits"] += "pg_advisory_lock(" in statement

    @contextmanager
    def opened() -> Iterator[TokenStore]:
        engine = sqlalchemy.create_engine(server.url, pool_size=2, max_overflow=0)
        sqlalchemy.event.listen(engine, "before_cursor_execute", note)
        try:
            yield SQLTokenStore(engine, name="login")
        finally:
            engine.dispose()

    return _Server(opened, lambda: Counter(counted))


class _Login:
    """An authorization server, whose refresh tokens must not come twice.

    Args:
        clock: Tells the epoch seconds.
        before_reply: Called with each refresh.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, before_reply: Callable[[], object] = int
    ) -> None:
        self.refreshes = 0
        self._clock = clock
        self._before_reply = before_reply

    def issue(self) -> Token:
        now = self._clock()
        number = self.refreshes
        return Token(
            f"access-{number}", f"refresh-{number}", issued_at=now, expires_at=now + _LIFETIME
        )

    def refresh(self, old: Token | None) -> Token:
        if old is None or old.refresh_token != f"refresh-{self.refreshes}":
            raise LoginRequiredError("a refresh token came again", reason="invalid_grant")
        self.refreshes += 1
        self._before_reply()
        return self.issue()


class _Counted:
    """A store that counts."""

    shared = True

    def __init__(self, store: TokenStore, costs: _Costs) -> None:
        self._store = store
        self._costs = costs

    def load(self) -> Token | None:
        self._costs.loads += 1
        return self._store.load()

    def save(self, token: Token) -> None:
        self._costs.saves += 1
        self._store.save(token)

    def clear(self) -> None:
        self._store.clear()

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        self._costs.asked += 1
        with self._store.lock(timeout):
            self._costs.turns += 1
            yield


def _storm(server: _Server, size: int) -> _Costs:
    """Let a token die that all of them use, and all of them wait for the lock before the new one
    is there: nobody is spared a turn."""
    costs = [_Costs() for _ in range(size)]  # of each; each counts its own
    before: Counter[str] = Counter()
    released = 0.0
    ended = [0.0] * size

    def begin() -> None:
        for cost in costs:
            cost.loads = cost.saves = cost.asked = cost.turns = 0
        before.update(server.count())

    def wait_for_all() -> None:
        nonlocal released
        wait_until(lambda: sum(cost.asked for cost in costs) == size, timeout=60)
        time.sleep(_QUEUEING)
        released = time.perf_counter()

    def live(place: int) -> None:
        with server.opened() as store:
            counted = _Counted(store, costs[place])
            source = TokenSource(login.refresh, origins=["https://api.example.com"], store=counted)
            token = source.token()
            all_have_it.wait()
            assert source.refresh(token).access_token == "access-1"
            ended[place] = time.perf_counter()
            all_have_it.wait()  # nobody disconnects while others are measured

    login = _Login(before_reply=wait_for_all)
    with server.opened() as store, store.lock(1.0):  # a turn, so that the server knows the scripts
        store.load()
        store.save(login.issue())
    actions = iter([begin, lambda: None])
    all_have_it = threading.Barrier(size, action=lambda: next(actions)())
    threads = [threading.Thread(target=live, args=(place,)) for place in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = server.count() - before
    return _Costs(
        refreshes=login.refreshes,
        wall=max(ended) - released,
        loads=sum(cost.loads for cost in costs),
        saves=sum(cost.saves for cost in costs),
        turns=sum(cost.turns for cost in costs),
        commands=spent["commands"],
        waits=spent["waits"],
    )


def _row(store: str, size: int, costs: _Costs) -> list[object]:
    return [
        store,
        size,
        costs.refreshes,
        f"{costs.loads / size:.2f}",
        costs.saves,
        f"{costs.turns / size:.2f}",
        f"{costs.commands / size:.2f}",
        f"{costs.waits / size:.2f}",
        f"{costs.wall * 1e3:.0f}",
    ]


def _early(server: ValkeyServer) -> str:
    """Let the token come to its end by the clock, and see when they look at the store."""
    rows = []
    for size in _SIZES["Valkey"]:
        slices, refreshes = _looks(_on_valkey(server), size)
        busy = [looks for looks in slices if looks]
        rows.append([size, refreshes, sum(busy), len(busy), max(busy), f"{sum(busy) / size:.2f}"])
    headings = ["processes", "refreshes", "reads", f"slices of {_SLICE:g} s with any"]
    return table([*headings, "most in one", "reads each"], rows)


def _looks(server: _Server, size: int) -> tuple[list[int], int]:
    """Return the reads in each slice of the token's last 300 s, and the refreshes."""
    clock, draw = Clock(), random.Random(7)
    login = _Login(clock)
    costs = _Costs()
    slices = []
    with ExitStack() as stack:
        stack.enter_context(server.opened()).save(login.issue())
        sources = [
            TokenSource(
                login.refresh,
                origins=["https://api.example.com"],
                store=_Counted(stack.enter_context(server.opened()), costs),
                clock=clock,
                monotonic=clock,
                random=draw.random,
            )
            for _ in range(size)
        ]
        for source in sources:
            source.token()
        clock.advance(_LIFETIME - 300.0)
        for _ in range(int(300.0 / _SLICE)):
            before = costs.loads
            clock.advance(_SLICE)
            for source in sources:
                source.token()
            slices.append(costs.loads - before)
    return slices, login.refreshes
