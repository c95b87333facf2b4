"""`doctor`: what it tells of a fault, what it finds, and what it never tells."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from requests_tokenrefresh import FileTokenStore, StoredPause, StoreUnavailableError, Token
from requests_tokenrefresh.cli import doctor_server
from requests_tokenrefresh.cli.command import command
from tests.support.cli_runner import cli_runner
from tests.support.disks import disk
from tests.support.hostile import HOSTILE, IN_A_LINE, harmful
from tests.support.servers import HTTPServer, Reply, read_request

__all__ = ["disk"]  # a fixture

ACCESS, REFRESH, CLIENT_SECRET = "4Ch2kPz0QeXv", "Rf7mWb1TnLsY", "Kd8vGu3HjBxA"
PASSWORD = "hunter2hunter2"
NOWHERE = "http://127.0.0.1:1"  # nobody may listen there


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def store(tmp_path: Path) -> FileTokenStore:
    return FileTokenStore(tmp_path / "token.json")


def log_in(store: FileTokenStore, url: str | None = None, **fields: Any) -> None:
    """Store a login; with a *url*, one that says where it is from."""
    client: dict[str, Any] = {"client_id": "reports", "issuer": f"{url}/tenant", "origins": [url]}
    extra = {} if url is None else {"client": {**client, "client_secret": CLIENT_SECRET}}
    known = {"access_token": ACCESS, "refresh_token": REFRESH, "issued_at": 0.0, "extra": extra}
    store.save(Token(**known | fields))


def doctor(store: FileTokenStore | None, *more: str) -> Result:
    of_a_file = [] if store is None else ["--store", str(store.path)]
    result = cli_runner().invoke(command, ["doctor", *of_a_file, *more])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    for secret in (ACCESS, REFRESH, CLIENT_SECRET, PASSWORD):
        assert secret not in result.output
    assert harmful(result.output, lines=True) == set()
    return result


def told(result: Result) -> dict[str, str]:
    """The facts by their names; of several with the same name, the last."""
    found = re.findall(r"^  (.*?): +(.*)$", result.stdout, re.MULTILINE)
    return {name: value for name, value in found if not name.startswith("1. ")}


def findings(result: Result) -> list[str]:
    """What it has found; the exit code says whether that is anything."""
    found = re.findall(r"^  \d+\. (.*)$", result.stdout, re.MULTILINE)
    assert result.exit_code == (1 if found else 0)
    return found


def a_server(http_server: Callable[..., HTTPServer], *headers: tuple[str, str]) -> HTTPServer:
    return http_server(lambda _request: Reply(headers=headers))


# -- What it tells -------------------------------------------------------------------------------


def test_a_healthy_login_is_told_whole_and_nothing_is_found(http_server, store):
    server = a_server(http_server, ("Date", formatdate(usegmt=True)))
    log_in(store, server.url, expires_at=time.time() + 90.5)
    result = doctor(store)
    assert findings(result) == []
    facts = told(result)
    assert {"requests-tokenrefresh", "Python", "system", "requests", "urllib3"} <= facts.keys()
    assert facts["lock"] == "free"
    assert facts["can be replaced"] == "yes"
    assert facts["issuer"] == f"{server.url}/tenant"
    assert (facts["client"], facts["goes to"]) == ("reports", server.url)
    assert facts["expires"].startswith("in 1 min ")
    assert (facts["refresh token"], facts["pause"]) == ("yes", "none")
    assert (facts["proxy"], facts["netrc"], facts["answers"]) == ("none", "no entry", "yes (200)")
    [asked] = server.requests
    assert (asked.method, asked.headers["Authorization"]) == ("HEAD", None)


def test_the_server_of_an_address_is_looked_at_too_and_its_query_stays_here(http_server, store):
    log_in(store)
    server = a_server(http_server)
    result = doctor(store, "--url", f"{server.url}/reports?key={PASSWORD}")
    assert findings(result) == []
    assert [request.path for request in server.requests] == ["/"]


def test_of_a_login_that_is_in_no_file_the_machine_and_the_servers_are_told(http_server):
    server = a_server(http_server, ("Date", formatdate(usegmt=True)))
    result = doctor(None, "--url", server.url)
    assert findings(result) == []
    facts = told(result)
    assert {"Python", "requests", "answers", "proxy", "clock"} <= facts.keys()
    assert facts.keys().isdisjoint({"file", "login", "issuer"})


NOBODY_SAID = "its issuer alone, unless whoever opens it says more"


@pytest.mark.parametrize(
    ("client", "issuer", "goes_to"),
    [
        (None, "not known", "wherever the program that uses it says"),
        ({"issuer": f"{NOWHERE}/tenant"}, f"{NOWHERE}/tenant", NOBODY_SAID),
        ({"token_endpoint": f"{NOWHERE}/token"}, f"{NOWHERE}/token", NOBODY_SAID),
    ],
    ids=["a reply", "an issuer", "an endpoint"],
)
def test_where_a_login_goes_is_known_though_nobody_has_said_it(store, client, issuer, goes_to):
    log_in(store, extra={} if client is None else {"client": {"client_id": "reports", **client}})
    facts = told(doctor(store))
    assert (facts["issuer"], facts["goes to"]) == (issuer, goes_to)


@pytest.mark.parametrize("status", [405, 501])
def test_a_server_that_takes_no_head_answers_all_the_same(http_server, store, status):
    """RFC 9110 sections 15.5.6 and 15.6.2."""
    log_in(store, http_server(lambda _request: Reply(status)).url)
    result = doctor(store)
    said = f"yes ({status}: it takes no HEAD, which does no harm)"
    assert (findings(result), told(result)["answers"]) == ([], said)


def test_the_name_of_the_home_is_not_told(store, monkeypatch):
    monkeypatch.setenv("HOME", str(store.path.parent))
    assert told(doctor(store))["file"] == "~/token.json"


def test_a_user_who_has_no_home_is_told_the_whole_path(store, monkeypatch):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert told(doctor(store))["file"] == str(store.path)


def test_a_redirect_is_not_followed(http_server, store):
    log_in(store)
    elsewhere = a_server(http_server)
    server = http_server(lambda _request: Reply(302, headers=[("Location", elsewhere.url)]))
    assert told(doctor(store, "--url", server.url))["answers"] == "yes (302)"
    assert elsewhere.requests == []


def test_whom_only_a_claim_names_is_not_asked(http_server, store):
    """A token reply says who the issuer is, and no person has named him."""
    server = a_server(http_server)
    log_in(store, extra={"iss": server.url, "issuer": server.url})
    assert findings(doctor(store)) == []
    assert server.requests == []


def test_a_netrc_entry_is_told_without_its_words_and_not_sent(http_server, store, tmp_path):
    server = a_server(http_server)
    log_in(store, server.url)
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login ann password {PASSWORD}\n")
    result = doctor(store)
    assert told(result)["netrc"].startswith("an entry")
    assert re.search(r"\bann\b", result.stdout) is None
    assert [request.headers["Authorization"] for request in server.requests] == [None]


@pytest.mark.parametrize(
    "content", [b"machine 127.0.0.1 login \xff password \xfe", b"machine", b"\0"]
)
def test_a_netrc_that_cannot_be_read_stops_nothing(http_server, store, tmp_path, content):
    server = a_server(http_server)
    log_in(store, server.url)
    (tmp_path / "netrc").write_bytes(content)
    result = doctor(store)
    assert told(result)["netrc"] in ("no entry", "cannot be read")
    assert told(result)["answers"] == "yes (200)"
    assert len(findings(result)) == (1 if told(result)["netrc"] == "cannot be read" else 0)


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("127.0.0.1:1/", "127.0.0.1:1"),
        (f"http://ann:{PASSWORD}@127.0.0.1:1", "127.0.0.1:1, with a user name"),
        (f"ann:{PASSWORD}@127.0.0.1:1/", "127.0.0.1:1, with a user name"),
        (f"http://ann:1/{PASSWORD}@127.0.0.1:1", "127.0.0.1:1, with a user name"),
        (f"http://ann:@{PASSWORD}#@127.0.0.1:1", "127.0.0.1:1, with a user name"),
        (f"ann:{PASSWORD}://x@127.0.0.1:1", "127.0.0.1:1, with a user name"),
        (f"http://ann:{PASSWORD}%40127.0.0.1:1", "there is one, whose address cannot be read"),
        (f"{PASSWORD}?://127.0.0.1:1", "there is one, whose address cannot be read"),
    ],
)
def test_of_a_proxy_only_its_address_is_told(store, monkeypatch, proxy, shown):
    log_in(store)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    result = doctor(store, "--url", "https://127.0.0.1:2")
    assert told(result)["proxy"].startswith(shown)
    assert re.search(r"\bann\b", result.stdout) is None
    assert len(findings(result)) == 1  # no answer


# -- What it finds -------------------------------------------------------------------------------


def test_nobody_has_logged_in(store):
    [found] = findings(doctor(store))
    assert found.startswith("nobody has logged in")
    assert list(store.path.parent.iterdir()) == []  # no lock either


def test_a_file_that_others_can_read_is_found_by_the_stores_own_check(store):
    log_in(store)
    store.path.chmod(0o644)
    result = doctor(store)
    [found] = findings(result)
    assert "chmod 600" in found
    assert told(result)["has to be private"] == "yes"
    result = doctor(store, "--no-private")
    assert findings(result) == []
    assert told(result)["has to be private"] == "no"


def test_a_file_that_holds_something_else_is_found_and_not_repeated(store):
    store.path.write_text(f'{{"access_token": ["{ACCESS}"]}}')
    store.path.chmod(0o600)
    [found] = findings(doctor(store))
    assert str(store.path) in found


def test_a_login_that_could_not_be_saved_is_found(disk):
    store = FileTokenStore(disk.folder / "token.json")
    log_in(store)
    with store.lock(0):
        pass
    disk.make_read_only()
    result = doctor(store)
    [found] = findings(result)
    assert found.startswith("cannot ")
    assert told(result)["can be replaced"] == "no"


def test_a_lock_that_is_taken_is_told_and_not_waited_for(store):
    log_in(store)
    with store.lock(0):
        result = doctor(store)
    assert told(result)["lock"].startswith("taken")
    assert findings(result) == []


def test_a_login_that_is_over_is_found(store):
    log_in(store, refresh_token=None, expires_at=1.0)
    [found] = findings(doctor(store))
    assert found.endswith("log in again")


def test_a_pause_is_found(store):
    log_in(store)
    store.save_pause(StoredPause(time.time() + 60, 60, 3))
    result = doctor(store)
    assert "has failed 3 times" in told(result)["pause"]
    assert len(findings(result)) == 1


def test_a_pause_that_cannot_be_read_is_found(store, monkeypatch):
    def load_pause(self):  # these tests may run as root, who can read all
        raise StoreUnavailableError("cannot read the pause: Permission denied")

    log_in(store)
    monkeypatch.setattr(FileTokenStore, "load_pause", load_pause)
    [found] = findings(doctor(store))
    assert found == "cannot read the pause: Permission denied"


@pytest.mark.parametrize(
    ("ahead", "headers", "words"),
    [
        (7200, [], "2 h ahead of"),
        (-7200, [], "1 h 59 min behind"),  # the time that it takes comes off
        (30, [], None),
        (7200, [("Age", "7200")], None),
        (7200, [("Age", "9" * 10_000)], "2 h ahead of"),
    ],
)
def test_a_clock_that_is_wrong_is_found(http_server, store, ahead, headers, words):
    date = ("Date", formatdate(time.time() - ahead, usegmt=True))
    server = a_server(http_server, date, *headers)
    log_in(store, server.url)
    found = findings(doctor(store))
    assert len(found) == (0 if words is None else 1)
    assert words is None or words in found[0]


@pytest.mark.parametrize(
    ("here", "told"), [(0.9, "as here"), (1.0, "this machine is 1 s ahead of it")]
)
def test_a_date_has_no_parts_of_a_second(http_server, monkeypatch, here, told):
    server = a_server(http_server, ("Date", formatdate(1_700_000_000, usegmt=True)))
    monkeypatch.setattr(doctor_server, "time", SimpleNamespace(time=lambda: 1_700_000_000 + here))
    assert f"  clock:                 {told}\n" in doctor(None, "--url", server.url).stdout


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 99 Nov 0000 99:99:99 GMT", "\xff" * 5000])
def test_a_date_that_is_none_is_no_finding(raw_server, store, date):
    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(f"HTTP/1.1 204 OK\r\nDate: {date}\r\n\r\n".encode("latin-1"))

    log_in(store)
    result = doctor(store, "--url", raw_server(answer).url)
    assert told(result)["clock"] == "it does not say"
    assert findings(result) == []


def test_a_server_that_does_not_answer_is_found(store):
    log_in(store, NOWHERE)
    [found] = findings(doctor(store))
    assert found.startswith(f"{NOWHERE} does not answer: ")


def test_plain_http_through_a_proxy_is_found(http_server, store, monkeypatch):
    proxy = a_server(http_server)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    log_in(store)
    [found] = findings(doctor(store, "--url", "http://api.internal"))
    assert "could read the token" in found


@pytest.mark.parametrize("url", ["api.example.com", f"https://ann:{PASSWORD}@a", "https://a:99999"])
def test_an_address_that_is_none_is_a_usage_error(store, url):
    assert doctor(store, "--url", url).exit_code == 2


# -- What it never tells -------------------------------------------------------------------------


@pytest.mark.parametrize("spell", [str, lambda text: text[::-1], "\u200b".join, "%{}".format])
def test_a_token_is_not_told_wherever_it_is_repeated(store, spell):
    secret = spell(ACCESS)
    client = {
        "client_id": secret,
        "issuer": f"https://a/{secret}",
        "origins": [f"https://{secret}"],
    }
    log_in(store, extra={"client": client, "id_token": f"{secret}.{secret}.{secret}"})
    result = doctor(store)
    assert "not shown" in told(result)["client"]
    assert ACCESS[::-1] not in result.output
    assert not any(secret in one for one in findings(result))


def test_nothing_of_anything_that_it_tells_is_obeyed(raw_server, store, monkeypatch):
    """The login's words and the file's name are in test_cli_terminal.py."""
    words = os.fsdecode(IN_A_LINE + b"\xff")
    for name in ("NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, words)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{words}")
    monkeypatch.setattr("platform.release", lambda: HOSTILE)
    for reply in (IN_A_LINE, b"HTTP/1.1 200 " + IN_A_LINE, b"HTTP/1.1 200 OK\r\n" + IN_A_LINE):

        def answer(connection: socket.socket, reply: bytes = reply) -> None:
            read_request(connection)
            connection.sendall(reply + b"\r\nDate: " + IN_A_LINE + b"\r\n\r\n")

        log_in(store, f"https://{HOSTILE}", token_type="a")
        doctor(store, "--url", raw_server(answer).url)
    result = doctor(store, "--url", "https://127.0.0.1:1")
    assert "<b>\\x1b[31m" in told(result)["NO_PROXY"]
    assert told(result)["proxy"] == "there is one, whose address cannot be read"
