"""What may come to the redirect address, over real HTTP, and what the browser is shown."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from requests_tokenrefresh import AuthorizationServer, LoginFailedError
from requests_tokenrefresh.interactive import _listener
from requests_tokenrefresh.refreshers import AuthorizationCodeGrant
from tests.support.person import Attempt, Issuer, ask, begin, is_open
from tests.support.servers import HTTPServer
from tests.support.threads import run_together, start_together, wait_until


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def grant(issuer: Issuer, http_server: Callable[..., HTTPServer]) -> AuthorizationCodeGrant:
    return grant_at(http_server(issuer).url)


def grant_at(url: str, **metadata: Any) -> AuthorizationCodeGrant:
    server = AuthorizationServer(
        issuer=url,
        authorization_endpoint=f"{url}/authorize",
        token_endpoint=f"{url}/token",
        **metadata,
    )
    return AuthorizationCodeGrant(server, client_id="reports", scope="read")


@pytest.fixture
def attempt(grant: AuthorizationCodeGrant) -> Iterator[Attempt]:
    attempt = begin(grant)
    yield attempt
    if attempt.callers.running:  # the test has failed: let its thread end
        attempt.get(attempt.query())


# -- What is no answer ----------------------------------------------------------------------------

# Each kind of request that must change nothing: what is sent, and the status that it gets. {state}
# is the attempt's own, {port} the listener's.
HOSTILE: dict[str, tuple[dict[str, Any], int]] = {
    "no state (RFC 6749 10.12)": ({"query": "code=evil"}, 400),
    "an empty state (RFC 6749 3.1)": ({"query": "code=evil&state="}, 400),
    "another's state (RFC 6749 10.12)": ({"query": "code=evil&state=guessed"}, 400),
    "a state that begins as ours (RFC 6749 10.12)": ({"query": "code=evil&state={half}"}, 400),
    "a state that is no text": ({"query": "code=evil&state=%FF%00"}, 400),
    "the state twice (RFC 6749 3.1)": ({"query": "code=x&state={state}&state={state}"}, 400),
    "our state after another (RFC 6749 3.1)": ({"query": "code=x&state=y&state={state}"}, 400),
    "two codes (RFC 6749 3.1)": ({"query": "code=evil&code=x&state={state}"}, 400),
    "an empty code beside one (RFC 6749 3.1)": ({"query": "code=&code=x&state={state}"}, 400),
    "an empty code (RFC 6749 3.1)": ({"query": "code=&state={state}"}, 400),
    "two issuers (RFC 9207 2.4)": ({"query": "code=x&state={state}&iss=a&iss=b"}, 400),
    "a code and an error (RFC 6749 4.1.2)": ({"query": "code=x&error=e&state={state}"}, 400),
    "neither (RFC 6749 4.1.2)": ({"query": "state={state}"}, 400),
    "an error without a state (RFC 6749 4.1.2.1)": ({"query": "error=access_denied"}, 400),
    "an error of another (RFC 6749 4.1.2.1)": ({"query": "error=access_denied&state=x"}, 400),
    "no query at all": ({"query": ""}, 400),
    "a thousand parameters": ({"query": "code=x&state={state}" + "&a=b" * 1000}, 400),
    "a preflight (RFC 8252 8.3)": (
        {
            "query": "code=x&state={state}",
            "method": "OPTIONS",
            "headers": {"Access-Control-Request-Private-Network": "true", "Origin": "https://x"},
        },
        405,
    ),
    "a HEAD (RFC 9110 9.3.2)": ({"query": "code=x&state={state}", "method": "HEAD"}, 405),
    "a POST (RFC 6749 4.1.2)": ({"query": "code=x&state={state}", "method": "POST"}, 405),
    "a method nobody knows": ({"query": "code=x&state={state}", "method": "BREW"}, 405),
    "a favicon": ({"path": "/favicon.ico"}, 404),
    "the root": ({"path": "/?code=x&state={state}"}, 404),
    "a longer path (RFC 9700 2.1)": ({"path": "/callback/?code=x&state={state}"}, 404),
    "the path in other letters (RFC 9700 2.1)": ({"path": "/Callback?code=x&state={state}"}, 404),
    "the path in escapes (RFC 9700 2.1)": ({"path": "/%63allback?code=x&state={state}"}, 404),
    "the path by way of another (RFC 9700 2.1)": (
        {"path": "/x/../callback?code=x&state={state}"},
        404,
    ),
    "an address for a proxy (RFC 9112 3.2.2)": (
        {"path": "http://127.0.0.1:{port}/callback?code=x&state={state}"},
        404,
    ),
    "a name that points here (RFC 8252 8.3)": (
        {"query": "code=x&state={state}", "headers": {"Host": "evil.example:{port}"}},
        421,
    ),
    "localhost, which is another name (RFC 8252 8.3)": (
        {"query": "code=x&state={state}", "headers": {"Host": "localhost:{port}"}},
        421,
    ),
    "our host at another port": (
        {"query": "code=x&state={state}", "headers": {"Host": "127.0.0.1:1"}},
        421,
    ),
    "no host (RFC 9112 3.2)": (
        {"query": "code=x&state={state}", "headers": {"Host": None}},
        421,
    ),
    "two hosts (RFC 9112 3.2)": (
        {
            "query": "code=x&state={state}",
            "headers": {"Host": ["127.0.0.1:{port}", "evil.example"]},
        },
        421,
    ),
    "a line that is too long": ({"path": "/callback?" + "x" * 70_000}, 400),
    "a header that is too long": (
        {"query": "code=x&state={state}", "headers": {"X": "x" * 70_000}},
        400,
    ),
    "two hundred headers": (
        {"query": "code=x&state={state}", "headers": {f"X-{n}": "x" for n in range(200)}},
        400,
    ),
}


def filled(value: Any, attempt: Attempt) -> Any:
    if isinstance(value, dict):
        return {name: filled(one, attempt) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, attempt) for one in value]
    state = attempt.asked["state"]
    facts = {"{state}": state, "{half}": state[:20], "{port}": str(attempt.port)}
    for name, fact in facts.items():
        value = value.replace(name, fact) if isinstance(value, str) else value
    return value


@pytest.mark.parametrize(("request_", "status"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_answer_changes_nothing(
    attempt: Attempt, issuer: Issuer, request_: dict[str, Any], status: int
) -> None:
    request_ = filled(request_, attempt)
    answer = attempt.get(request_.pop("query", ""), **request_)
    assert answer.status == status
    assert attempt.asked["state"] not in answer.text
    assert answer.headers["Access-Control-Allow-Origin"] is None
    assert (attempt.callers.running, issuer.exchanges) == (1, [])

    assert attempt.get(attempt.query()).status == 200
    assert attempt.outcome().result().access_token == "a-token"
    assert [form["code"] for form in issuer.exchanges] == [["the-code"]]


BYTES = {
    "a handshake of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
    "HTTP/0.9": b"GET /callback?code=x&state={state}\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an empty line": b"\r\n\r\n",
    "words": b"GET /callback?code=x&state={state} and more HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", BYTES.values(), ids=BYTES)
def test_what_is_no_request_changes_nothing(attempt: Attempt, issuer: Issuer, sent: bytes) -> None:
    """RFC 9112 section 2.2; a browser that insists on https begins with a handshake."""
    with socket.create_connection(("127.0.0.1", attempt.port)) as connection:
        connection.sendall(sent.replace(b"{state}", attempt.asked["state"].encode()))
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert attempt.asked["state"].encode() not in received
    assert (attempt.callers.running, issuer.exchanges) == (1, [])
    attempt.get(attempt.query())
    attempt.outcome().result()


# -- The right answer -----------------------------------------------------------------------------


def test_twenty_idle_connections_do_not_hold_up_the_answer(
    attempt: Attempt, issuer: Issuer
) -> None:
    """Browsers connect beforehand. Half of these have begun a request, and say no more."""
    with contextlib.ExitStack() as idle:
        for number in range(20):
            connection = idle.enter_context(socket.create_connection(("127.0.0.1", attempt.port)))
            if number % 2:
                connection.sendall(b"GET /callback?code=")
        answered_at = time.monotonic()
        assert attempt.get(attempt.query()).status == 200
        attempt.outcome().result()
        assert time.monotonic() - answered_at < 1
        assert len(issuer.exchanges) == 1
        assert not is_open(attempt.port)


def test_who_opens_hundreds_of_connections_keeps_nobody_out(
    attempt: Attempt, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_listener, "_MOST", 10)
    with contextlib.ExitStack() as idle:
        connections = [
            idle.enter_context(socket.create_connection(("127.0.0.1", attempt.port)))
            for _ in range(30)
        ]
        connections[0].settimeout(5)
        assert connections[0].recv(1) == b""  # the oldest had to go
        assert attempt.get(attempt.query()).status == 200
        attempt.outcome().result()


def test_the_page_comes_after_the_exchange(attempt: Attempt, issuer: Issuer) -> None:
    issuer.gate.clear()
    browser = start_together(1, lambda: attempt.get(attempt.query()))
    assert issuer.asked.wait(10)
    assert browser.running == 1
    issuer.gate.set()
    [shown] = browser.outcomes()
    assert "Logged in" in shown.result().text
    attempt.outcome().result()


def test_the_page_tells_that_the_exchange_has_failed(attempt: Attempt, issuer: Issuer) -> None:
    issuer.status = 400
    assert "Not logged in" in attempt.get(attempt.query()).text
    with pytest.raises(LoginFailedError, match="invalid_grant"):
        attempt.outcome().result()


def test_the_page_tells_that_the_login_could_not_be_kept(grant: AuthorizationCodeGrant) -> None:
    def full(token: object) -> None:
        raise OSError("no space left")

    attempt = begin(grant, keep=full)
    assert "Not logged in" in attempt.get(attempt.query()).text
    with pytest.raises(OSError, match="no space left"):
        attempt.outcome().result()


def test_the_page_tells_nobody_anything(attempt: Attempt) -> None:
    """RFC 9700 sections 4.2.4 and 4.3: nothing is loaded, kept, sent on, or left in the address."""
    shown = attempt.get(attempt.query(code="the-code-that-is-secret"))
    assert "history.replaceState" in shown.text
    assert "the-code-that-is-secret" not in shown.text
    assert shown.headers["Content-Security-Policy"].startswith(
        "default-src 'none'; script-src 'sha"
    )
    assert "frame-ancestors 'none'" in shown.headers["Content-Security-Policy"]
    assert shown.headers["Cache-Control"] == "no-store"
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "Python" not in str(shown.headers)
    attempt.outcome().result()


def test_a_browser_that_asks_twice_costs_one_exchange(attempt: Attempt, issuer: Issuer) -> None:
    issuer.gate.clear()
    browsers = start_together(2, lambda: attempt.get(attempt.query()))
    assert issuer.asked.wait(10)
    issuer.gate.set()
    assert {one.result().status for one in browsers.outcomes()} == {200}
    attempt.outcome().result()
    assert len(issuer.exchanges) == 1


def test_the_first_right_answer_wins(attempt: Attempt, issuer: Issuer) -> None:
    issuer.gate.clear()
    first = start_together(1, lambda: attempt.get(attempt.query(code="first")))
    assert issuer.asked.wait(10)
    assert attempt.get(attempt.query(code="second")).status == 400
    issuer.gate.set()
    assert first.outcomes()[0].result().status == 200
    attempt.outcome().result()
    assert [form["code"] for form in issuer.exchanges] == [["first"]]


def test_of_twenty_right_answers_at_once_one_wins(attempt: Attempt, issuer: Issuer) -> None:
    numbers = iter(range(20))
    lock = threading.Lock()

    def answer() -> int:
        with lock:
            number = next(numbers)
        return attempt.get(attempt.query(code=f"code-{number}")).status

    ends = run_together(20, answer)
    attempt.outcome().result()
    assert [one.value for one in ends].count(200) == 1
    assert len(issuer.exchanges) == 1


def test_a_person_who_says_no_ends_it(attempt: Attempt, issuer: Issuer) -> None:
    """RFC 6749 section 4.1.2.1."""
    query = f"error=access_denied&error_description=No&state={attempt.asked['state']}"
    assert "Not logged in" in attempt.get(query).text
    with pytest.raises(LoginFailedError, match=r"access_denied: No") as caught:
        attempt.outcome().result()
    assert caught.value.reason == "access_denied"
    assert issuer.exchanges == []


def test_an_answer_of_another_issuer_ends_it(
    issuer: Issuer, http_server: Callable[..., HTTPServer]
) -> None:
    """RFC 9207 section 2.4: the state is ours, so whoever sent it was asked, or has overheard."""
    url = http_server(issuer).url
    attempt = begin(grant_at(url, authorization_response_iss_parameter_supported=True))
    assert "Not logged in" in attempt.get(attempt.query(iss="https://evil.example")).text
    with pytest.raises(LoginFailedError) as caught:
        attempt.outcome().result()
    assert (caught.value.reason, issuer.exchanges) == ("issuer_mismatch", [])


# -- The port -------------------------------------------------------------------------------------


def test_it_listens_on_the_loopback_only_and_on_a_port_of_its_own(attempt: Attempt) -> None:
    """RFC 8252 sections 7.3 and 8.3."""
    assert attempt.back == f"http://127.0.0.1:{attempt.port}/callback"
    with socket.create_server(("127.0.0.2", attempt.port)):
        pass  # so it is free on the other addresses
    attempt.get(attempt.query())
    attempt.outcome().result()


def test_the_port_is_closed_and_nothing_is_kept_when_time_is_up(
    grant: AuthorizationCodeGrant, issuer: Issuer
) -> None:
    attempt = begin(grant, timeout=0.3)
    with pytest.raises(LoginFailedError, match="timeout=") as caught:
        attempt.outcome().result()
    assert caught.value.reason == "timed_out"
    assert not is_open(attempt.port)
    assert (attempt.kept, issuer.exchanges) == ([], [])


def test_localhost_is_listened_at_in_both_families(grant: AuthorizationCodeGrant) -> None:
    """RFC 8252 section 8.3: nobody knows which one a browser takes."""
    attempt = begin(grant, redirect_uri="http://localhost/callback")
    assert attempt.back == f"http://localhost:{attempt.port}/callback"
    if socket.has_ipv6:
        with socket.create_connection(("::1", attempt.port)):
            pass
    host = {"Host": f"localhost:{attempt.port}"}
    assert attempt.get(attempt.query(), headers=host).status == 200
    attempt.outcome().result()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize(("taken", "name"), [("::1", "localhost"), ("127.0.0.1", "localhost")])
def test_localhost_of_which_another_has_half_is_taken(
    grant: AuthorizationCodeGrant, taken: str, name: str
) -> None:
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    with socket.create_server((taken, 0), family=family) as other:
        port = other.getsockname()[1]
        with pytest.raises(LoginFailedError, match=f":{port}/callback is taken") as caught:
            run_login(grant, f"http://{name}:{port}/callback")
    assert caught.value.reason == "redirect_taken"


def test_a_port_that_is_registered_and_taken_says_so(grant: AuthorizationCodeGrant) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(LoginFailedError, match="redirect_uri=") as caught:
            run_login(grant, f"http://127.0.0.1:{port}/callback")
    assert caught.value.reason == "redirect_taken"


def test_a_port_that_is_registered_is_kept(grant: AuthorizationCodeGrant, issuer: Issuer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    uri = f"http://127.0.0.1:{port}/back?app=1"
    attempt = begin(grant, redirect_uri=uri)
    assert attempt.back == uri
    shown = ask(port, f"/back?app=1&{attempt.query()}")
    assert shown.status == 200
    attempt.outcome().result()
    assert issuer.exchanges[0]["redirect_uri"] == [uri]


def run_login(grant: AuthorizationCodeGrant, redirect_uri: str) -> None:
    from requests_tokenrefresh.interactive._by_code import log_in_by_code

    log_in_by_code(
        grant,
        redirect_uri,
        opens=True,
        browser=print,
        terminal=None,
        timeout=1,
        say=print,
        keep=print,
    )


def test_threads_and_connections_are_gone_afterwards(grant: AuthorizationCodeGrant) -> None:
    attempt = begin(grant)
    with socket.create_connection(("127.0.0.1", attempt.port)):
        attempt.get(attempt.query())
        attempt.outcome().result()
        wait_until(lambda: not any(t.name.startswith("login-") for t in threading.enumerate()))


def test_a_browser_that_goes_away_fails_nothing(attempt: Attempt, issuer: Issuer) -> None:
    issuer.gate.clear()
    connection = http.client.HTTPConnection("127.0.0.1", attempt.port)
    connection.request("GET", f"/callback?{attempt.query()}")
    assert issuer.asked.wait(10)
    connection.close()
    issuer.gate.set()
    assert attempt.outcome().result().access_token == "a-token"
