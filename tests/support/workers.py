"""Child processes that share one login, driven by pipes: held at a point, stopped, killed.

One more of them takes milliseconds.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from requests_tokenrefresh import Token
from tests.support.login_site import CLIENT, LoginSite
from tests.support.new_processes import new_processes
from tests.support.worker import Endings, Plan, Point, Report, StoreAt, run

_PATIENCE = 30.0  # seconds for any one answer; then the test fails


class WorkerDiedError(Exception):
    """The worker is gone, and will not answer."""


class Worker:
    """A process of its own, with a `TokenSource`, a session and a store.

    What begins with ``start_`` returns a future at once; everything else waits for the answer.
    """

    def __init__(self, plan: Plan) -> None:
        context = new_processes()
        self._port, port = context.Pipe()
        self._process = context.Process(target=run, args=(port, plan), daemon=True)
        self._process.start()
        port.close()
        self._numbers = itertools.count()
        self._turn = threading.Lock()
        self._pending: dict[int, Future[Any]] | None = {}  # guarded by _turn; None: it is gone
        self._reader = threading.Thread(target=self._read, name="answers", daemon=True)
        self._reader.start()

    # -- What it shall do -------------------------------------------------------------------------

    def get(self, times: int = 1, *, threads: int = 1) -> Endings:
        """Request the data *times* times on each thread; return how the requests ended."""
        return self.start_get(times, threads=threads).result(_PATIENCE)

    def start_get(self, times: int = 1, *, threads: int = 1) -> Future[Endings]:
        return self._ask("get", times, threads)

    def start_load(self, *, threads: int) -> Future[Endings]:
        """Request the data again and again, until `enough`."""
        return self._ask("get_until_told", threads)

    def start_catching_up(self) -> Future[None]:
        """Be done when each thread of the load has made a request, from beginning to end."""
        return self._ask("catch_up")

    def enough(self) -> None:
        """End the load."""
        self._answer("enough")

    def login(self, token: Token) -> None:
        self._answer("login", token.to_mapping())

    def logout(self) -> None:
        self.start_logout().result(_PATIENCE)

    def start_logout(self, *, revoke: bool = False) -> Future[None]:
        return self._ask("logout", revoke)

    def advance(self, seconds: float) -> None:
        """Move its clock, which stands: both the time and the monotonic one."""
        self._answer("advance", seconds)

    def be_patient(self, timeout: float) -> None:
        """Let it wait so many seconds for the token endpoint's answer."""
        self._answer("be_patient", timeout)

    def break_store(self, broken: bool = True) -> None:
        """Let its saves fail, or succeed again."""
        self._answer("break_store", broken)

    def report(self) -> Report:
        """Return what it has seen so far."""
        report: Report = self._answer("report")
        return report

    # -- Where it shall stand ---------------------------------------------------------------------

    def hold(self, point: Point) -> None:
        """Let the threads that come to *point* stand there, from now on."""
        self._answer("hold", point)

    def reach(self, point: Point) -> None:
        """Return as soon as a thread has come to *point*; of those since `hold`, if it is held."""
        self._answer("reach", point)

    def release(self, point: Point) -> None:
        """Let those who stand at *point* go on."""
        self._answer("release", point)

    # -- What becomes of it -----------------------------------------------------------------------

    def kill(self) -> None:
        """Kill it, with SIGKILL, also while it is stopped, and wait until it is gone."""
        self._process.kill()
        self._wait()

    def kill_between_refreshes(self) -> None:
        """Have it kill itself, with SIGKILL, at any moment but between a token request and the
        end of that turn, when a new token may exist nowhere else."""
        with contextlib.suppress(WorkerDiedError):
            self._answer("die_between_refreshes")
        self._wait()

    def stop(self) -> None:
        """Stop it, with SIGSTOP."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `stop`."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGCONT)

    # -- The pipe ---------------------------------------------------------------------------------

    def _answer(self, command: str, *arguments: Any) -> Any:
        return self._ask(command, *arguments).result(_PATIENCE)

    def _ask(self, command: str, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self._turn:
            if self._pending is None:
                raise WorkerDiedError("the worker is gone")
            number = next(self._numbers)
            self._pending[number] = future
            self._port.send((number, command, arguments))
        return future

    def _read(self) -> None:
        while True:
            try:
                number, value, error = self._port.recv()
            except (EOFError, OSError):
                break
            with self._turn:
                assert self._pending is not None
                future = self._pending.pop(number)
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
        with self._turn:
            pending, self._pending = self._pending, None
        for future in (pending or {}).values():
            future.set_exception(WorkerDiedError("the worker died"))

    def _wait(self) -> None:
        self._process.join()
        self._reader.join()
        self._process.close()
        self._port.close()

    def close(self) -> None:
        """Kill it, if it lives. May be called again."""
        if not self._port.closed:
            self.kill()


class Workers:
    """Starts workers for one login, and sees to it that none is left.

    Args:
        store: Where the login is.
        site: Where it was begun.
    """

    def __init__(self, store: StoreAt, site: LoginSite) -> None:
        self._store = store
        self._site = site
        self._all: list[Worker] = []

    def close(self) -> None:
        """Kill all of them."""
        for worker in self._all:
            worker.close()

    def start(self, count: int, **how: Any) -> list[Worker]:
        """Start *count* of them.

        *how* has `clock_stands`, `clock_at` and `draw` of `Plan`; the rest are options of
        `TokenSource`.
        """
        ours = ("clock_stands", "clock_at", "draw")
        own = {name: how.pop(name) for name in ours if name in how}
        client = (CLIENT.client_id, CLIENT.client_secret)
        plan = Plan(self._store, self._site.url, self._site.token_url, client, how, **own)
        workers = [Worker(plan) for _ in range(count)]
        self._all += workers
        for worker in workers:
            worker._answer("ready")
        return workers


def on_all(workers: list[Worker], start: Callable[[Worker], Future[Endings]]) -> Endings:
    """Start something on all *workers*, and return how all its requests ended."""
    endings: Endings = Endings()
    for future in [start(worker) for worker in workers]:
        endings.update(future.result(_PATIENCE))
    return endings
