"""Tools that record the variables of a traceback find no secret in those of this package, on any
way out of an exchange with a server; nor do they find one in what was only half received."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from requests_tokenrefresh import (
    AuthorizationCodeGrant,
    AuthorizationServer,
    LoginFailedError,
    RefreshFailedError,
    RefreshTokenGrant,
    RevocationFailedError,
    Token,
)
from requests_tokenrefresh.interactive._first_answer import FirstAnswer
from tests.support.servers import RawServer, Reply, read_request
from tests.support.tracebacks import shown_by_tools

OLD = Token("old-access-7f3e9a1c", "old-refresh-5b2d8e4f")
CLIENT = {"client_id": "reports", "client_secret": "client-secret-0a9b8c7d"}


@pytest.mark.long("process-life")
def test_an_interrupt_shows_nothing_that_was_sent(
    raw_server: Callable[..., RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.wait", interrupt)
    proxies = {"all": "http://somebody:proxy-password-6e5f@127.0.0.1:1"}
    server = raw_server(lambda connection: connection.close())
    with pytest.raises(KeyboardInterrupt) as interrupted:
        RefreshTokenGrant(f"https{server.url[4:]}/token", **CLIENT, proxies=proxies)(OLD)
    shown = shown_by_tools(interrupted.value)
    assert [
        it for it in (OLD.refresh_token, "client-secret", "proxy-password") if it in shown
    ] == []


@pytest.mark.parametrize(
    "body", ['{"access_token": "new-access-1c5b"', '2e\r\n{"access_token": "new-access-1c5b"']
)
def test_half_an_answer_shows_nothing_that_was_received(
    raw_server: Callable[..., RawServer], body: str
) -> None:
    length = "Transfer-Encoding: chunked" if "\r\n" in body else "Content-Length: 99"

    def half(connection: object) -> None:
        read_request(connection)
        connection.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n{body}".encode())

    with pytest.raises(RefreshFailedError) as failed:
        RefreshTokenGrant(raw_server(half).url, **CLIENT)(OLD)
    shown = shown_by_tools(failed.value)
    assert "new-access" not in shown
    assert "IncompleteRead(34 bytes read" in shown


@pytest.mark.parametrize("status", [400, 503])
def test_a_revocation_that_fails_shows_no_token(http_server: Callable[..., object], status) -> None:
    url = http_server(lambda request: Reply(status)).url
    with pytest.raises(RevocationFailedError) as failed:
        RefreshTokenGrant(url, **CLIENT, revocation_url=url).revoke(OLD)
    shown = shown_by_tools(failed.value)
    assert [
        it for it in (OLD.refresh_token, OLD.access_token, "client-secret") if it in shown
    ] == []


@pytest.mark.parametrize("fields", ["code=the-code-9a1c", "error=access_denied"])
def test_what_a_browser_brings_does_not_show(fields: str) -> None:
    """Not even if it is another issuer's (RFC 9207): it may be the code of a real login."""
    here = "https://auth.example.com"
    grant = AuthorizationCodeGrant(
        AuthorizationServer(
            issuer=here, authorization_endpoint=f"{here}/a", token_endpoint=f"{here}/t"
        ),
        client_id="reports",
    )
    attempt = grant.begin("https://app.example.com/callback")
    first = FirstAnswer(attempt["state"])
    assert first.offer(f"{fields}&state={attempt['state']}&iss=https://evil.example") == ""
    with pytest.raises(LoginFailedError) as failed:
        grant.finish(attempt, first.answer())
    shown = shown_by_tools(failed.value)
    assert [
        it for it in ("the-code", attempt["state"], attempt["code_verifier"]) if it in shown
    ] == []
