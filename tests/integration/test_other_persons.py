"""Another person logs in: what was sent as the first is not sent again as the second."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from requests_tokenrefresh import FileTokenStore, Token, TokenRefreshAdapter, TokenSource
from requests_tokenrefresh.events import LoggedIn, LoggedOut
from tests.support.logins import START, Clock, Heard, Refresher, wait_for_waiters
from tests.support.servers import HTTPServer, Received, Reply
from tests.support.threads import run_together, start_together


def jwt(**claims: Any) -> str:
    """Return an unsigned JWT."""
    parts = ({"alg": "none"}, claims)
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join([*(part.rstrip("=") for part in encoded), "unsigned"])


def reply(access_token: str, **fields: Any) -> dict[str, Any]:
    return {"access_token": access_token, "refresh_token": "refresh", "expires_in": 3600, **fields}


class Desk(HTTPServer):
    """Takes orders from whoever brings a token that is not dead, and says whose it was.

    Attributes:
        dead: Access tokens that are answered 401.
        meanwhile: Called when one of them has arrived, and before it is answered.
        orders: The access token of each POST that has arrived.
    """

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.meanwhile: Callable[[], object] = lambda: None
        super().__init__(self._answer)

    @property
    def orders(self) -> list[str]:
        return [token_of(request) for request in self.requests if request.method == "POST"]

    def _answer(self, request: Received) -> Reply:
        token = token_of(request)
        if token not in self.dead:
            return Reply(body=token.encode())
        self.meanwhile()
        return Reply(401, b"not with this token", [("WWW-Authenticate", "Bearer")])


def token_of(request: Received) -> str:
    return (request.headers["Authorization"] or "").removeprefix("Bearer ")


class Worker:
    """A process with the login in the file."""

    def __init__(self, desk: Desk, path: Path, refresher: Refresher | None = None) -> None:
        self.clock, self.heard, self.reasons = Clock(), Heard(), list[str]()
        self.refresher = refresher or Refresher(lifetime=3600)
        self.tokens = TokenSource(
            self.refresher,
            origins=[desk.url],
            store=FileTokenStore(path),
            clock=self.clock,
            monotonic=self.clock,
            listeners=[self.heard],
            on_logout=self.reasons.append,
        )
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount("http://", TokenRefreshAdapter(self.tokens))
        self._desk = desk

    def order(self, method: str = "POST", data: Any = b"an order") -> requests.Response:
        return self.session.request(method, f"{self._desk.url}/orders", data=data, timeout=30)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as desk:
        yield desk


@pytest.fixture
def workers(desk: Desk, tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    """Starts processes with the same file."""
    with ExitStack() as sessions:

        def start() -> Worker:
            worker = Worker(desk, tmp_path / "login")
            sessions.callback(worker.session.close)
            return worker

        yield start


ALICE, BOB = jwt(sub="alice", n=1), jwt(sub="bob", n=1)
ALICE_AGAIN = jwt(sub="alice", n=2)

# What the first and the second login are, of whom it can be seen that they are two persons.
TWO_PERSONS = {
    "access tokens": (reply(ALICE), reply(BOB)),
    "id tokens": (
        reply("opaque-1", id_token=ALICE),
        reply("opaque-2", id_token=BOB),
    ),
    "both": (
        reply(jwt(sub="alice", n=3), id_token=ALICE),
        reply(jwt(sub="bob", n=3), id_token=BOB),
    ),
}
# Those of whom it cannot be seen, and those who are one.
ONE_PERSON = {
    "the same access token's subject": (reply(ALICE), reply(ALICE_AGAIN)),
    "the same id token's subject": (
        reply("opaque-1", id_token=ALICE),
        reply("opaque-2", id_token=ALICE_AGAIN),
    ),
    "opaque tokens": (reply("opaque-1"), reply("opaque-2")),
    "only the first is known": (reply(ALICE), reply("opaque-2")),
    "only the second is known": (reply("opaque-1"), reply(BOB)),
    "known by tokens of two kinds": (reply("opaque-1", id_token=ALICE), reply(BOB)),
    "a JWT without a subject": (reply(jwt(n=1)), reply(BOB)),
    "an id token that is none": (
        reply("opaque-1", id_token="not.a.jwt"),
        reply("opaque-2", id_token=BOB),
    ),
}


def assert_said(worker: Worker, caplog: pytest.LogCaptureFixture, tokens: list[str]) -> None:
    """There was a `LoggedIn` beside the one of the beginning, and a line without a secret."""
    assert len(worker.heard.of(LoggedIn)) == 2
    assert worker.heard.of(LoggedOut) == []
    here = [record for record in caplog.records if record.threadName == "MainThread"]
    assert "INFO" in [record.levelname for record in here]
    assert [token for token in tokens if token in caplog.text] == []


# -- While a request is being answered 401 -------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("kind", TWO_PERSONS)
def test_a_request_of_the_first_is_not_sent_as_the_second(
    desk: Desk,
    workers: Callable[[], Worker],
    caplog: pytest.LogCaptureFixture,
    kind: str,
    method: str,
) -> None:
    first, second = TWO_PERSONS[kind]
    worker, elsewhere = workers(), workers()
    worker.tokens.login(first)
    desk.dead = {first["access_token"]}
    desk.meanwhile = lambda: elsewhere.tokens.login(second)
    with caplog.at_level("INFO", "requests_tokenrefresh"):
        response = worker.order(method)
    assert (response.status_code, response.text, response.history) == (
        401,
        "not with this token",
        [],
    )
    assert [token_of(request) for request in desk.requests] == [first["access_token"]]
    assert worker.refresher.calls == []
    assert_said(worker, caplog, [first["access_token"], second["access_token"]])
    assert worker.order(method).text == second["access_token"]  # a new request, as the second
    assert worker.reasons == []
    assert worker.tokens.token().access_token == second["access_token"]


@pytest.mark.parametrize("kind", ONE_PERSON)
def test_a_request_is_sent_again_unless_there_are_two_persons(
    desk: Desk, workers: Callable[[], Worker], kind: str
) -> None:
    first, second = ONE_PERSON[kind]
    worker, elsewhere = workers(), workers()
    worker.tokens.login(first)
    desk.dead = {first["access_token"]}
    desk.meanwhile = lambda: elsewhere.tokens.login(second)
    response = worker.order()
    assert (response.status_code, response.text) == (200, second["access_token"])
    assert desk.orders == [first["access_token"], second["access_token"]]
    assert worker.refresher.calls == []
    assert len(worker.heard.of(LoggedIn)) == 1


def test_who_logs_in_on_another_thread_is_told_from_the_first_as_well(
    desk: Desk, workers: Callable[[], Worker]
) -> None:
    """By `login()` of the same source, while the request is under way."""
    worker = workers()
    worker.tokens.login(reply(ALICE))
    desk.dead = {ALICE}
    desk.meanwhile = lambda: worker.tokens.login(reply(BOB))
    assert worker.order().status_code == 401
    assert desk.orders == [ALICE]
    assert worker.order().text == BOB
    assert worker.refresher.calls == []


def test_who_has_sent_nothing_yet_goes_as_the_second(
    desk: Desk, workers: Callable[[], Worker]
) -> None:
    """Those that wait for the refresh with a 401 of the first get that 401."""
    worker = workers()
    worker.tokens.login(reply(ALICE))
    desk.dead = {ALICE}
    worker.refresher.gate.clear()
    holder = start_together(1, worker.order)
    assert worker.refresher.started.wait(5)
    newcomers = start_together(5, worker.order)
    wait_for_waiters(worker.tokens, 5)
    worker.tokens.login(reply(BOB))
    assert [outcome.result().text for outcome in newcomers.outcomes()] == [BOB] * 5
    worker.refresher.gate.set()
    [answer] = holder.outcomes()
    assert (answer.result().status_code, answer.result().text) == (401, "not with this token")
    assert desk.orders.count(ALICE) == 1
    assert desk.orders.count(BOB) == 5


def test_eight_requests_of_the_first_get_their_401s(
    desk: Desk, workers: Callable[[], Worker]
) -> None:
    worker, elsewhere = workers(), workers()
    worker.tokens.login(reply(ALICE))
    desk.dead = {ALICE}
    desk.meanwhile = threading.Barrier(8, lambda: elsewhere.tokens.login(reply(BOB))).wait
    answers = [outcome.result() for outcome in run_together(8, worker.order)]
    assert [(answer.status_code, answer.history) for answer in answers] == [(401, [])] * 8
    assert desk.orders == [ALICE] * 8
    assert worker.refresher.calls == []
    assert len(worker.heard.of(LoggedIn)) == 2
    assert worker.order().text == BOB


# -- While nothing is under way ------------------------------------------------------------------


def test_a_program_whose_token_has_expired_goes_on_as_the_second(
    desk: Desk, workers: Callable[[], Worker], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was sent as the first, so the request is the second's."""
    worker, elsewhere = workers(), workers()
    worker.tokens.login(reply(ALICE))
    worker.clock.advance(3600)
    elsewhere.tokens.login(Token(BOB, "refresh", issued_at=START + 3600, expires_at=START + 7200))
    with caplog.at_level("INFO", "requests_tokenrefresh"):
        assert worker.order().text == BOB
    assert desk.orders == [BOB]
    assert worker.refresher.calls == []
    assert_said(worker, caplog, [ALICE, BOB])
