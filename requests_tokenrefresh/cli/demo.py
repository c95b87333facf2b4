"""One job, done three times by the same threads: what becomes of it when its token expires."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeAlias

import requests
from requests.adapters import HTTPAdapter

from .._adapter import TokenRefreshAdapter
from .._source import TokenSource
from ..events import Event, Listener, ReplayStarted
from ..refreshers import RefreshTokenGrant
from .one_client import CLIENT_ID
from .server import ServerSettings
from .server_process import ServerProcess
from .timeline import SentRequest

_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True)
class DemoSettings:
    """How much is done, and how long things take. All times are seconds.

    Attributes:
        threads: How many threads share the login.
        expiries: How many access tokens the job outlives, about.
        token_seconds: How long each of them lives.
        announce: Whether the server says so in its token replies. If it does, the adapter
            refreshes ahead of time and there is no 401 to be seen.
        data_seconds: How long the server takes to answer a request.
        refresh_seconds: How long it takes to answer a refresh.
        rate: How many requests all threads together send in a second, about. The default is half
            of what two cores manage, client and server together: more would only queue.
    """

    threads: int = 50
    expiries: int = 5
    token_seconds: float = 0.4
    announce: bool = False
    data_seconds: float = 0.005
    refresh_seconds: float = 0.075
    rate: float = 400.0

    @property
    def requests_per_thread(self) -> int:
        """As many as outlive that many tokens, and a bit."""
        return math.ceil((self.expiries + 0.1) * self.token_seconds * self.rate / self.threads)

    @property
    def pause_seconds(self) -> float:
        """How long a thread rests between two requests, on average."""
        return max(0.0, self.threads / self.rate - self.data_seconds)

    @property
    def server(self) -> ServerSettings:
        """The settings of a server for this demo."""
        return ServerSettings(
            token_seconds=self.token_seconds,
            announce=self.announce,
            data_seconds=self.data_seconds,
            refresh_seconds=self.refresh_seconds,
        )


@dataclass(frozen=True)
class Run:
    """The job done once.

    Attributes:
        approach: What was done about expiry.
        sent: Every request of the job.
        events: What happened on the way, as listeners are told.
        rejected: 401s, counted by the server, as are the next four.
        refreshes: Refreshes that it granted.
        refused: Refreshes that it refused.
        expiries: Access tokens that came to their end.
        revoked: Whether it revoked the login, because a refresh token came twice.
        seconds: How long it took.
    """

    approach: str
    sent: Sequence[SentRequest]
    events: Sequence[Event]
    rejected: int
    refreshes: int
    refused: int
    expiries: int
    revoked: bool
    seconds: float

    @property
    def failed(self) -> int:
        """How many requests got anything but their data."""
        return sum(request.failed for request in self.sent)

    @property
    def replays(self) -> int:
        """How many requests were sent again."""
        return sum(isinstance(event, ReplayStarted) for event in self.events)

    @property
    def flawless(self) -> bool:
        """Whether no request was lost, and no expiry cost more than one refresh."""
        return self.failed == 0 and self.refreshes + self.refused <= self.expiries

    def figures(self) -> dict[str, Any]:
        """Return what the table shows, for programs."""
        return {
            "approach": self.approach,
            "requests": len(self.sent),
            "failed": self.failed,
            "rejected": self.rejected,
            "expiries": self.expiries,
            "refreshes": self.refreshes,
            "refreshes_refused": self.refused,
            "replays": self.replays,
            "login_revoked": self.revoked,
            "seconds": round(self.seconds, 3),
        }


Approach: TypeAlias = Callable[[requests.Session, ServerProcess, DemoSettings, Listener], None]
"""Begins a login and makes the session use it; the listener wants to know of replays."""


def no_handling(
    session: requests.Session, server: ServerProcess, settings: DemoSettings, listener: Listener
) -> None:
    """The token is put into the session's headers, and that is all."""
    session.headers["Authorization"] = f"Bearer {server.log_in()['access_token']}"


def unlocked_hook(
    session: requests.Session, server: ServerProcess, settings: DemoSettings, listener: Listener
) -> None:
    """A response hook that refreshes on a 401, as blogs and answers have it: without a lock."""
    login = server.log_in()
    session.headers["Authorization"] = f"Bearer {login['access_token']}"

    def refresh_on_401(response: requests.Response, *_: object, **__: object) -> requests.Response:
        if response.status_code != requests.codes.unauthorized:
            return response
        login.update(_refreshed(server, login["refresh_token"]))
        authorization = f"Bearer {login['access_token']}"
        session.headers["Authorization"] = authorization
        response.request.headers["Authorization"] = authorization
        listener(ReplayStarted(time.monotonic(), threading.current_thread().name, trial=False))
        return session.send(response.request, timeout=_TIMEOUT)

    session.hooks["response"].append(refresh_on_401)


def _refreshed(server: ServerProcess, refresh_token: str) -> dict[str, Any]:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": CLIENT_ID,
    }
    with _session(connections=1) as session:
        reply = session.post(server.token_url, data=form, timeout=_TIMEOUT)
    reply.raise_for_status()
    return reply.json()  # type: ignore[no-any-return]


def this_adapter(
    session: requests.Session, server: ServerProcess, settings: DemoSettings, listener: Listener
) -> None:
    """`TokenRefreshAdapter`, mounted on the session."""
    tokens = TokenSource(
        RefreshTokenGrant(server.token_url, client_id=CLIENT_ID),
        origins=[server.url],
        token=server.log_in(),
        min_refresh_interval=0.0,  # a second, the default, is longer than these tokens live
        listeners=[listener],
    )
    session.mount(server.url, TokenRefreshAdapter(tokens, pool_maxsize=settings.threads))


APPROACHES: dict[str, Approach] = {
    "no handling": no_handling,
    "unlocked hook": unlocked_hook,
    "this adapter": this_adapter,
}


def drive(
    name: str,
    server: ServerProcess,
    pool: ThreadPoolExecutor,
    settings: DemoSettings,
    watch: Callable[[Sequence[SentRequest]], None],
) -> Run:
    """Do the job with the approach of that *name*, and return what became of it.

    *watch* is called about ten times a second with the requests made so far.
    """
    sent: list[SentRequest] = []  # appended to by all threads, which is atomic
    events: list[Event] = []  # likewise
    stop = threading.Event()
    with _session(connections=settings.threads) as session:
        APPROACHES[name](session, server, settings, events.append)
        started = time.monotonic()
        try:
            working = {
                pool.submit(_work, session, server.data_url, settings, n, sent.append, stop)
                for n in range(settings.threads)
            }
            while working:
                done, working = wait(working, timeout=0.1)
                for job in done:
                    job.result()
                watch(sent)
        finally:
            stop.set()
        seconds = time.monotonic() - started
    counts = server.counts()
    return Run(
        approach=name,
        sent=sent,
        events=events,
        rejected=counts.rejected,
        refreshes=counts.refreshes,
        refused=counts.refused,
        expiries=counts.expiries,
        revoked=counts.revoked,
        seconds=seconds,
    )


def _work(
    session: requests.Session,
    url: str,
    settings: DemoSettings,
    number: int,
    report: Callable[[SentRequest], None],
    stop: threading.Event,
) -> None:
    dice = random.Random(number)  # noqa: S311  # nosec B311  # the same pauses in every run, and no secret
    pause = settings.pause_seconds * dice.random()
    for _ in range(settings.requests_per_thread):
        if stop.wait(pause):
            return
        report(_send(session, url))
        pause = settings.pause_seconds * dice.uniform(0.5, 1.5)


def _send(session: requests.Session, url: str) -> SentRequest:
    start = time.monotonic()
    try:
        failed = not session.get(url, timeout=_TIMEOUT).ok
    except requests.RequestException:
        failed = True
    return SentRequest(threading.current_thread().name, start, time.monotonic(), failed)


def _session(connections: int) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy would look for 127.0.0.1 on its own machine
    session.mount("http://", HTTPAdapter(pool_maxsize=connections))
    return session
