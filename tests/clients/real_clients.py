"""Twenty threads of a real client, one dead token: one refresh, twenty answers.

The clients are those that people use; the server is a small one that speaks enough of each of their
APIs, rejects in the words of each, and rotates refresh tokens. Run by ``tox -e clients`` only: the
clients come from PyPI, and are not needed for anything else.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import atlassian
import github
import gitlab
import hvac
import jira
import pytest
import requests

from requests_tokenrefresh import RefreshTokenGrant, TokenSource, install, mount
from tests.support.servers import HTTPServer, Received, Reply
from tests.support.threads import run_together

THREADS = 20
PLACEHOLDER = "placeholder"


class Services(HTTPServer):
    """GitHub, GitLab, Jira and Vault, as far as the tests need them, with one token endpoint.

    Attributes:
        dead: How many requests had the dead token.
        refreshes: How many refresh tokens were exchanged.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._all_have_come = threading.Barrier(THREADS)
        self.dead = self.refreshes = 0  # guarded by _turn
        super().__init__(self._answer)

    def _answer(self, request: Received) -> Reply:
        path = request.path.partition("?")[0]
        if path == "/oauth/token":
            return self._exchange(parse_qs(request.body.decode()))
        service = next(one for start, one in SERVICES.items() if path.startswith(start))
        match service.carried(request):
            case "access-0":
                with self._turn:
                    self.dead += 1
                self._all_have_come.wait(30)
                return service.rejection
            case "access-1":
                return Reply.json(service.answer)
        return Reply(400, b"neither of the two tokens: " + str(request.headers).encode())

    def _exchange(self, form: dict[str, list[str]]) -> Reply:
        with self._turn:
            self.refreshes += 1
            if form["refresh_token"] != ["refresh-0"] or self.refreshes > 1:
                return Reply.json({"error": "invalid_grant"}, status=400)
        reply = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 3600}
        return Reply.json(reply)


@dataclass(frozen=True)
class Service:
    """What a service answers to a good token, and to a dead one, and where it looks for it."""

    carried: Callable[[Received], str | None]
    answer: dict[str, Any]
    rejection: Reply


def bearer(request: Received) -> str | None:
    return (request.headers["Authorization"] or "").removeprefix("Bearer ")


def rejection(status: int, body: dict[str, Any], challenge: str | None = None) -> Reply:
    headers = [("Content-Type", "application/json")]
    if challenge:
        headers.append(("WWW-Authenticate", challenge))
    return Reply(status, json.dumps(body).encode(), headers)


SERVICES = {
    "/users/": Service(
        bearer,
        {"login": "ann", "id": 1, "type": "User"},
        rejection(401, {"message": "Bad credentials", "status": "401"}),
    ),
    "/api/v4/": Service(
        lambda request: request.headers["PRIVATE-TOKEN"] or bearer(request),
        {"id": 1, "name": "reports"},
        rejection(
            401,
            {"error": "invalid_token", "error_description": "Token is expired."},
            'Bearer realm="Protected by OAuth 2.0", error="invalid_token"',
        ),
    ),
    "/rest/api/": Service(
        bearer,
        {"id": "1", "key": "A-1", "fields": {"summary": "works"}},
        rejection(401, {"message": "Client must be authenticated"}, 'OAuth realm="jira"'),
    ),
    "/v1/": Service(
        lambda request: request.headers["X-Vault-Token"],
        {"data": {"data": {"name": "reports"}, "metadata": {"version": 1}}},
        rejection(403, {"errors": ["permission denied"]}),
    ),
}


@dataclass(frozen=True)
class Client:
    """How a client is made and asked, and what it needs to be told of.

    Attributes:
        make: Called with the server's URL.
        ask: Called with the client.
        answer: What it returns.
        options: Of `install` and `mount`.
        session: Where the client keeps its session; None: it hides it.
        for_each_thread: It keeps what it sends in itself, so threads cannot share it.
    """

    make: Callable[[str], Any]
    ask: Callable[[Any], object]
    answer: object
    options: dict[str, Any] = field(default_factory=dict)
    session: Callable[[Any], requests.Session] | None = None
    for_each_thread: bool = False


def denied(response: requests.Response) -> bool:
    return response.status_code == 403 and b"permission denied" in response.content


CLIENTS = {
    "PyGithub": Client(
        lambda url: github.Github(
            base_url=url,
            auth=github.Auth.Token(PLACEHOLDER),
            retry=None,
            seconds_between_requests=0,
        ),
        lambda client: client.get_user("ann").login,
        "ann",
        {"replaces": ["token"]},
        for_each_thread=True,
    ),
    "python-gitlab": Client(
        lambda url: gitlab.Gitlab(url, private_token=PLACEHOLDER),
        lambda client: client.projects.get(1).name,
        "reports",
        {"attach": "PRIVATE-TOKEN"},
        session=lambda client: client.session,
    ),
    "python-gitlab-oauth": Client(
        lambda url: gitlab.Gitlab(url, oauth_token=PLACEHOLDER),
        lambda client: client.projects.get(1).name,
        "reports",
        session=lambda client: client.session,
    ),
    "jira": Client(
        lambda url: jira.JIRA(url, token_auth=PLACEHOLDER, get_server_info=False),
        lambda client: client.issue("A-1").fields.summary,
        "works",
        session=lambda client: client._session,
    ),
    "hvac": Client(
        lambda url: hvac.Client(url, token=PLACEHOLDER),
        lambda client: client.secrets.kv.v2.read_secret_version(
            "app", raise_on_deleted_version=True
        )["data"]["data"],
        {"name": "reports"},
        {"attach": "X-Vault-Token", "is_rejected": denied},
        session=lambda client: client.session,
    ),
    "atlassian-python-api": Client(
        lambda url: atlassian.Jira(url, token=PLACEHOLDER),
        lambda client: client.issue("A-1")["fields"]["summary"],
        "works",
        session=lambda client: client.session,
    ),
}


@pytest.fixture
def services() -> Iterator[Services]:
    with Services() as server:
        yield server


def a_login(server: Services) -> TokenSource:
    grant = RefreshTokenGrant(f"{server.url}/oauth/token", client_id="reports")
    dead = {"access_token": "access-0", "refresh_token": "refresh-0"}
    return TokenSource(grant, origins=[server.url], token=dead)


def check(server: Services, client: Client, made: Callable[[], Any]) -> None:
    outcomes = run_together(THREADS, lambda: client.ask(made()))
    assert [outcome.result() for outcome in outcomes] == [client.answer] * THREADS
    assert (server.dead, server.refreshes) == (THREADS, 1)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_hides_its_session(services: Services, name: str) -> None:
    client = CLIENTS[name]
    with install(a_login(services), **client.options):
        if client.for_each_thread:
            check(services, client, lambda: client.make(services.url))
        else:
            one = client.make(services.url)
            check(services, client, lambda: one)


@pytest.mark.parametrize("name", [name for name, one in CLIENTS.items() if one.session])
def test_a_client_whose_session_can_be_reached(services: Services, name: str) -> None:
    client = CLIENTS[name]
    one = client.make(services.url)
    assert client.session is not None
    mount(client.session(one), a_login(services), **client.options)
    check(services, client, lambda: one)
