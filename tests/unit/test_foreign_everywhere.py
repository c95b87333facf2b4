"""Every way out of the package, with hostile text at every way in: nothing of it can harm there.

What the command writes is in tests/integration/test_cli_terminal.py, and what the demo's server
answers in test_cli_server.py.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import re
import socket
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import responses
from rich.console import Console

from requests_tokenrefresh import (
    ClientCredentialsGrant,
    FileTokenStore,
    JSONRefresh,
    KeyringTokenStore,
    LoginRequiredError,
    RedisTokenStore,
    RefreshFailedError,
    RefreshTokenGrant,
    SQLTokenStore,
    Token,
    TokenRefreshAdapter,
    TokenRefreshError,
    TokenSource,
)
from requests_tokenrefresh.cli.timeline import Lane, Phase, Span
from requests_tokenrefresh.cli.timeline_svg import svg
from requests_tokenrefresh.cli.timeline_text import TimelineText
from tests.support.hostile import HOSTILE, IN_A_LINE, IN_BYTES, harmful
from tests.support.logins import ORIGIN, Heard, Refresher, make_source
from tests.support.servers import RawServer, read_request
from tests.unit.test_cli_timeline_drawn import STORM

IN_A_NAME = os.fsdecode(IN_BYTES.replace(b"\0", b"").replace(b"/", b"") + b"\xff")
SECRETS = Token("access-secret", "refresh-secret", expires_at=1.0)


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> Any:
    """Look at all that was logged, when the test has come to its end."""
    caplog.set_level(logging.DEBUG, "requests_tokenrefresh")
    yield
    for record in caplog.get_records("call"):
        if record.name == "requests_tokenrefresh":
            assert harmful(record.getMessage()) == set()
    assert harmful(caplog.text, lines=True) == set()


def all_errors() -> list[type[TokenRefreshError]]:
    found: list[type[TokenRefreshError]] = [TokenRefreshError]
    for error in found:
        found += error.__subclasses__()
    return [error for error in found if error.__module__.startswith("requests_tokenrefresh")]


def check(error: BaseException) -> None:
    """Nothing that *error* says, nor all that it was raised from, can harm."""
    assert harmful(str(error)) == set()
    assert harmful(repr(error)) == set()
    told = "".join(traceback.format_exception(error))
    assert harmful(told, lines=True, by_repr=True) == set()  # an OSError has a file's name so
    for name in ("reason", "code", "said"):
        assert harmful(str(getattr(error, name, ""))) == set()


def refused(make: Callable[[], object]) -> None:
    with pytest.raises(Exception) as caught:
        make()
    assert harmful(str(caught.value), by_repr=True) == set()


def failure(call: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:
        call()
    check(caught.value)
    return caught.value


# -- Errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_an_error_of_whatever_class_says_it_printably(kind: type[TokenRefreshError]) -> None:
    for message in (HOSTILE, ValueError(HOSTILE)):
        error = kind(message)
        for one in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
            check(one)
            assert "<b>" in str(one)


@pytest.mark.parametrize("kind", [LoginRequiredError, RefreshFailedError])
def test_the_facts_of_an_error_are_printable(kind: Any) -> None:
    facts = {"code": HOSTILE, "said": HOSTILE}
    facts |= {"reason": HOSTILE} if kind is LoginRequiredError else {}
    error = kind("it failed", status=400, **facts)
    for one in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        check(one)
        assert "<b>" in one.code
        assert "<b>" in one.said
    assert kind("it failed").code is None


# -- Refreshers ----------------------------------------------------------------------------------


def hostile_json(**fields: object) -> bytes:
    return json.dumps({HOSTILE: HOSTILE, **fields}).encode()


GOOD = {"access_token": "access-1"}
ANSWERS = {
    "a refusal": (400, hostile_json(error="invalid_grant", error_description=HOSTILE)),
    "a code of its own": (400, hostile_json(error=HOSTILE, error_description=HOSTILE)),
    "an error in trouble": (503, hostile_json(error={"code": HOSTILE, "message": HOSTILE})),
    "a list of errors": (400, hostile_json(errors=[{"code": HOSTILE, "detail": HOSTILE}])),
    "a code of a field": (400, hostile_json(errors=[{"code": HOSTILE, "field": HOSTILE}])),
    "no JSON": (400, IN_BYTES),
    "no JSON, and a success": (200, IN_BYTES),
    "JSON of no object": (400, json.dumps([HOSTILE]).encode()),
    "nothing": (400, b""),
    "a form": (400, b"error=" + IN_BYTES),
    "a redirect": (302, b""),
    "no token": (200, hostile_json(token=HOSTILE)),
    "a token that is none": (200, hostile_json(access_token=HOSTILE)),
    "a token beside nonsense": (
        200,
        hostile_json(
            **GOOD,
            refresh_token=HOSTILE,
            token_type=HOSTILE,
            expires_in=HOSTILE,
            expires_at=HOSTILE,
            scope={HOSTILE: HOSTILE},
            id_token=HOSTILE,
        ),
    ),
}
GRANTS: dict[str, Callable[[str], Any]] = {
    "RefreshTokenGrant": lambda url: RefreshTokenGrant(url, client_id=IN_A_LINE.decode()),
    "ClientCredentialsGrant": lambda url: ClientCredentialsGrant(
        url, client_id=IN_A_LINE.decode(), client_secret="s"
    ),
    "JSONRefresh": JSONRefresh,
}


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_a_token_endpoint_answers(
    raw_server: Callable[..., RawServer], grant: str, answer: str
) -> None:
    status, body = ANSWERS[answer]
    headers = (b"X-A", b"Content-Type", b"Retry-After", b"Date", b"Set-Cookie", b"WWW-Authenticate")
    head = [b"HTTP/1.1 %d " % status + IN_A_LINE, b"Content-Length: %d" % len(body)]
    head += [name + b": " + IN_A_LINE for name in headers]
    head += [b"Location: https://a/" + IN_A_LINE, b"", b""]

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"\r\n".join(head) + body)

    refresher = GRANTS[grant](raw_server(script).url)
    assert harmful(repr(refresher), by_repr=True) == set()
    for refresh in (lambda: refresher(SECRETS), login_with(refresher).token):
        with suppress(TokenRefreshError):
            refresh()
            assert answer == "a token beside nonsense"
            continue
        failure(refresh)


def login_with(refresher: Any) -> TokenSource:
    source = make_source(refresher, listeners=[checked_event], on_logout=checked_reason)
    source.login(SECRETS)
    return source


def checked_event(event: object) -> None:
    assert harmful(repr(event), by_repr=True) == set()
    checked_reason(getattr(event, "reason", ""))


def checked_reason(reason: str) -> None:
    assert harmful(reason) == set()


@pytest.mark.parametrize(
    "reply",
    [
        IN_A_LINE + b"\r\n\r\n",
        b"HTTP/1.1 " + IN_A_LINE + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + IN_A_LINE + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + IN_A_LINE + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1b[31m",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: " + IN_A_LINE + b"\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\n" + IN_A_LINE + b": a" * 40_000,
        b"HTTP/1.1 200 OK\r\n" + (IN_A_LINE + b": a\r\n") * 200,
    ],
    ids=["no HTTP", "status", "length", "chunk", "gzip", "coding", "long", "many"],
)
def test_what_is_no_answer_of_a_token_endpoint(
    raw_server: Callable[..., RawServer], reply: bytes
) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(reply)

    failure(login_with(RefreshTokenGrant(raw_server(script).url)).token)


class OwnError(Exception):
    error = description = HOSTILE


def http_error(reason: Any) -> requests.HTTPError:
    response = requests.Response()
    response.status_code, response.reason, response.url = 400, reason, f"https://{HOSTILE}/"
    response._content = hostile_json(error=HOSTILE)
    with pytest.raises(requests.HTTPError) as caught:
        response.raise_for_status()
    return caught.value


@pytest.mark.parametrize(
    "answer",
    [
        HOSTILE,
        {HOSTILE: HOSTILE},
        {"error": HOSTILE, "error_description": HOSTILE},
        {"access_token": HOSTILE},
        {**GOOD, "token_type": HOSTILE, "expires_in": HOSTILE, "scope": 7},
        ValueError(HOSTILE),
        ValueError({"error": HOSTILE}),
        OwnError(HOSTILE),
        requests.ConnectionError(ValueError(HOSTILE)),
        http_error(HOSTILE.replace("\ud800\udcff", "")),
        http_error(IN_BYTES),
        LoginRequiredError(HOSTILE, reason=HOSTILE, code=HOSTILE, said=HOSTILE),
        RefreshFailedError(HOSTILE, code=HOSTILE, said=HOSTILE),
        RefreshFailedError(ValueError(HOSTILE)),  # type: ignore[arg-type]
        TokenRefreshError(HOSTILE),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_what_a_refresher_of_the_users_returns_or_raises(answer: Any) -> None:
    source = login_with(Refresher(copy.copy(answer)))
    with suppress(TokenRefreshError):
        source.token()
        return
    for _ in range(2):
        failure(source.token)


# -- Stores --------------------------------------------------------------------------------------


def in_a_shared_file(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o644)


def in_no_token(path: Path) -> None:
    path.write_bytes(IN_BYTES)
    path.chmod(0o600)


def in_a_folder(path: Path) -> None:
    path.mkdir()


def beneath_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("")


def in_a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    "trouble", [in_a_shared_file, in_no_token, in_a_folder, beneath_a_file, in_a_link_to_itself]
)
@pytest.mark.parametrize("private", [True, False])
def test_what_a_file_is_called_and_what_is_in_it(
    tmp_path: Path, trouble: Callable[[Path], None], private: bool
) -> None:
    folder = tmp_path / IN_A_NAME
    folder.mkdir()
    path = folder / IN_A_NAME
    trouble(path)
    store = FileTokenStore(path, private=private)
    assert harmful(repr(store), by_repr=True) == set()
    for call in (
        store.load,
        lambda: store.save(SECRETS),
        store.clear,
        store.ensure_can_save,
        lambda: store.lock(0.0).__enter__(),
        lambda: store.save(Token("a", extra={"a": {1, 2}})),
        lambda: make_source(store=store),
        make_source(store=store, logged_in=False).token,
        make_source(store=store, logged_in=False).logout,
    ):
        with suppress(TokenRefreshError):
            call()
            continue
        failure(call)


def test_what_a_lock_is_called(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / IN_A_NAME)
    with store.lock(0.0):
        assert "<b>" in str(failure(lambda: FileTokenStore(store.path).lock(0.0).__enter__()))


def test_what_a_redis_key_is_called_and_what_a_server_says(
    raw_server: Callable[..., RawServer],
) -> None:
    for reply in (b"-" + IN_A_LINE, b"-ERR " + IN_A_LINE, b"-NOAUTH " + IN_A_LINE, IN_A_LINE):

        def script(connection: socket.socket, reply: bytes = reply) -> None:
            while connection.recv(1 << 16):
                connection.sendall(reply + b"\r\n")

        url = raw_server(script).url.replace("http", "redis")
        store = RedisTokenStore(url, key=IN_A_LINE.decode())
        assert harmful(repr(store), by_repr=True) == set()
        assert "<b>" in str(failure(store.load))


def test_what_a_database_is_called(tmp_path: Path) -> None:
    name = IN_A_LINE.decode().replace("/", "").replace("?", "")
    store = SQLTokenStore(f"sqlite:///{tmp_path}/nowhere/{name}", name=name)
    assert harmful(repr(store), by_repr=True) == set()
    failure(store.load)


def test_what_an_entry_of_a_keyring_is_called_and_what_a_backend_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import keyring
    import keyring.errors

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = KeyringTokenStore(HOSTILE[:-10].replace("\ud800\udcff", ""), IN_A_LINE.decode())
    assert harmful(repr(store), by_repr=True) == set()
    for error in (keyring.errors.KeyringLocked(HOSTILE), OSError(HOSTILE)):

        def fail(*_arguments: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(keyring, "get_password", fail)
        failure(store.load)


class Failing:
    """A store of the user's that always fails."""

    shared = True

    def __init__(self, error: Exception) -> None:
        self._error = error

    def _fail(self, *_arguments: object) -> Any:
        raise copy.copy(self._error)

    load = save = clear = lock = ensure_can_save = load_pause = save_pause = _fail


@pytest.mark.parametrize(
    "error", [ValueError(HOSTILE), TokenRefreshError(HOSTILE), OwnError(HOSTILE)]
)
def test_what_a_store_of_the_users_raises(error: Exception) -> None:
    source = make_source(store=Failing(error), token="access-0", logged_in=False)
    failure(source.token)
    failure(lambda: source.login("access-1"))
    failure(source.logout)


# -- A request, and what hears of it -------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 401])
def test_what_a_request_and_its_answer_say(status: int) -> None:
    heard = Heard()
    source = make_source(listeners=[heard, checked_event])
    source.login(Token("access-0", "refresh-0"))
    challenge = IN_A_LINE.decode("latin-1").replace("\r", "")
    request = requests.Request("GET", f"{ORIGIN}/a").prepare()
    request.url = f"{ORIGIN}/{HOSTILE}?{HOSTILE}"
    request.method = HOSTILE
    body: Any = iter([b"once"])
    with responses.RequestsMock() as api:
        for own in (None, f"{HOSTILE} {HOSTILE}"):
            for sent in (None, body):
                request.body = sent
                request.headers["Authorization"] = own  # type: ignore[assignment]
                if own is None:
                    del request.headers["Authorization"]
                answer = {
                    "WWW-Authenticate": f'Bearer error="insufficient_scope", realm="{challenge}"'
                }
                api.add(HOSTILE, re.compile(".*"), status=status, headers=answer)
                with suppress(TokenRefreshError):
                    TokenRefreshAdapter(source).send(request)


def in_a_thread(name: str, work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work, name=name)
    thread.start()
    thread.join()


def test_what_a_thread_is_called_and_what_listeners_raise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def listen(event: object) -> None:
        checked_event(event)
        raise ValueError(HOSTILE)

    def on_logout(_reason: str) -> None:
        raise ValueError(HOSTILE)

    source = make_source(listeners=[listen], on_logout=on_logout)
    in_a_thread(HOSTILE, lambda: (source.refresh(source.token()), source.logout()))
    said = [record.getMessage() for record in caplog.records]
    assert any("a listener raised" in one for one in said)
    assert "on_logout raised" in said
    assert "ValueError: <b>" in caplog.text


# -- Arguments -----------------------------------------------------------------------------------


URL = "https://auth.example.com/token"
WRONG: list[Callable[[str], object]] = [
    lambda text: RefreshTokenGrant(text),
    lambda text: RefreshTokenGrant(f"{URL}#{text}"),
    lambda text: RefreshTokenGrant(URL, token_endpoint_auth_method=text),  # type: ignore[arg-type]
    lambda text: RefreshTokenGrant(URL, data={text: 7}),  # type: ignore[dict-item]
    lambda text: RefreshTokenGrant(URL, data={"scope": text}),
    lambda text: RefreshTokenGrant(URL, headers={text: "a"}),
    lambda text: RefreshTokenGrant(URL, headers={"A": text}),
    lambda text: RefreshTokenGrant(URL, refused=text),
    lambda text: RefreshTokenGrant(URL, refused=[7, text]),
    lambda text: RefreshTokenGrant(URL, timeout=text),  # type: ignore[arg-type]
    lambda text: RefreshTokenGrant(URL, deadline=text),  # type: ignore[arg-type]
    lambda text: JSONRefresh(URL, refresh_token_in=text),  # type: ignore[arg-type]
    lambda text: JSONRefresh(URL, sent_field=text, json={text: 1}),
    lambda text: JSONRefresh(URL, sent_field=[text]),  # type: ignore[arg-type]
    lambda text: make_source(origins=[text]),
    lambda text: make_source(origins=text),
    lambda text: make_source(origins=[f"https://a/{text}"]),
    lambda text: make_source(store=f"{text}://a"),
    lambda text: make_source(store=f"{text}\0"),
    lambda text: make_source(store=f"~{text.partition('/')[0]}/a"),
    lambda text: make_source(when_logged_out=text),
    lambda text: make_source(leeway=text),
    lambda text: make_source(token=text),
    lambda text: make_source(token={"access_token": "a", "token_type": "dpop", text: text}),
    lambda text: TokenRefreshAdapter(make_source(), attach=text),
    lambda text: TokenRefreshAdapter(make_source(), replaces=[text]),
    lambda text: TokenRefreshAdapter(make_source(), is_rejected=text),  # type: ignore[arg-type]
    lambda text: RedisTokenStore(text, key="a"),
    lambda text: RedisTokenStore("redis://h", key=f"{{{text}"),
    lambda text: SQLTokenStore(text, name="a"),
    lambda text: SQLTokenStore(f"{text}://a", name="a"),
    lambda text: SQLTokenStore("sqlite:///a", name=f" {text}"),
    lambda text: SQLTokenStore("sqlite:///a", name="a", table=text),
]


@pytest.mark.parametrize("make", WRONG, ids=map(str, range(len(WRONG))))
@pytest.mark.parametrize("text", [HOSTILE, HOSTILE.encode("utf-8", "ignore").decode()])
def test_what_an_argument_is_that_is_refused(make: Callable[[str], object], text: str) -> None:
    refused(lambda: make(text))


# -- Pictures ------------------------------------------------------------------------------------


def test_what_a_thread_is_called_in_a_picture() -> None:
    lane = Lane(HOSTILE, (Span(Phase.REFRESH, 10.0, 10.08),), (10.0,))
    flight = (
        copy.replace(STORM.flight, leader=HOSTILE) if hasattr(copy, "replace") else STORM.flight
    )
    timeline = type(STORM)(flight, (lane,), STORM.start, STORM.end, STORM.threads, STORM.rejections)
    picture = svg(timeline)
    assert harmful(picture, lines=True) == set()
    texts = [text.text or "" for text in ElementTree.fromstring(picture).iter()]
    assert any(text.startswith("<b>\\x1b[31m") for text in texts)
    for terminal in (True, False):
        console = Console(force_terminal=terminal, color_system=None, width=400, record=True)
        with console.capture() as drawn:
            console.print(TimelineText(timeline))
        assert harmful(drawn.get(), lines=True) == set()
