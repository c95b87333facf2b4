"""What programs come from, and what they become: both run, with the libraries themselves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from requests_tokenrefresh import TokenRefreshAdapter, TokenSource
from tests.support.documents import RunDocument
from tests.support.one_login import OneLogin
from tests.support.threads import run_together
from tests.support.tls_front import tls_front

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"
THREADS = 8


class SavedLogins(OneLogin):
    """The server, and the files in which programs keep what it gave them."""

    def save_login(self, *, expired: bool = False) -> None:
        """Log in, and write token.json as requests-oauthlib and Authlib have it."""
        reply = self.log_in()
        age = 4000 if expired else 0
        token = {**reply, "expires_at": time.time() + reply["expires_in"] - age, "scope": ["read"]}
        Path("token.json").write_text(json.dumps(token))
        if expired:
            self.expire()

    def save_google_login(self) -> None:
        """Log in, and write token.json as google-auth has it."""
        reply = self.log_in()
        expiry = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(hours=1)
        info = {
            "token": reply["access_token"],
            "refresh_token": reply["refresh_token"],
            "client_secret": "secret",
            "expiry": f"{expiry.isoformat()}Z",
        }
        Path("token.json").write_text(json.dumps(info))

    def save_key(self, path: str, token_url: str) -> None:
        """Write the key of a service account, which may ask for tokens at any time."""
        self.log_in()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        info = {
            "type": "service_account",
            "client_email": "reports@example.com",
            "private_key": key.decode(),
            "token_uri": token_url,
        }
        Path(path).write_text(json.dumps(info))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SavedLogins]:
    """The server, in a place of its own; by https too."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("REPORTS_SECRET", "secret")
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # else it refuses plain http
    with SavedLogins() as server, tls_front(int(server.url.rpartition(":")[2]), tmp_path) as front:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(front.certificate))
        server.secure_url = f"https://127.0.0.1:{front.port}"
        yield server


def test_every_block_runs(server: SavedLogins) -> None:
    addresses = {
        "https://login.example.com": server.secure_url,
        "https://auth.example.com": server.url,
        "https://api.example.com": server.url,
    }
    for example in RunDocument(PAGE, addresses, invisible_names(server)).examples():
        example.evaluate()


def invisible_names(server: SavedLogins) -> dict[str, Any]:
    """Return what invisible blocks use to see that a program works."""
    url = f"{server.url}/reports"

    def succeeds(session: requests.Session) -> None:
        assert session.get(url).status_code == 200

    def survives_expiry(
        login: TokenSource | requests.Session | Callable[[], requests.Response],
    ) -> None:
        server.expire()
        asked = server.token_requests()
        outcomes = run_together(THREADS, calls(login))
        assert [outcome.result().status_code for outcome in outcomes] == [200] * THREADS
        assert server.token_requests() == asked + 1

    def ends_with_the_login(
        tokens: TokenSource,
        *,
        token: str | None = None,
        error: str = "invalid_grant",
        requests: int = 1,
    ) -> None:
        tokens.login(token or server.log_in())
        server.end_login(error)
        asked = server.token_requests()
        outcomes = run_together(THREADS, calls(tokens))
        assert {outcome.error.reason for outcome in outcomes} == {"invalid_grant"}
        assert server.token_requests() == asked + requests

    def calls(
        login: TokenSource | requests.Session | Callable[[], requests.Response],
    ) -> Callable[[], requests.Response]:
        if isinstance(login, TokenSource):
            session = requests.Session()
            session.mount(server.url, TokenRefreshAdapter(login))
            return lambda: session.get(url)
        if isinstance(login, requests.Session):
            return lambda: login.get(url)
        return login

    return {
        "server": server,
        "succeeds": succeeds,
        "survives_expiry": survives_expiry,
        "ends_with_the_login": ends_with_the_login,
    }
