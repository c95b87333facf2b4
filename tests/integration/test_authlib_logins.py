"""Logging in at Authlib's authorization server: by a browser, by a device, and again."""

from __future__ import annotations

import json
import logging
import pickle
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests

from requests_tokenrefresh import (
    AuthorizationServer,
    FileTokenStore,
    InsecureTransportError,
    KeyringTokenStore,
    LoginFailedError,
    LoginRequiredError,
    MemoryTokenStore,
    RefreshFailedError,
    RefreshTokenGrant,
    RevocationFailedError,
    StoreContentError,
    Token,
    TokenRefreshAdapter,
    TokenSource,
    TokenStoreError,
)
from requests_tokenrefresh.interactive import log_in, open_login
from requests_tokenrefresh.refreshers import AuthorizationCodeGrant
from requests_tokenrefresh.stores import _keyring
from tests.support.authlib_logins import SIGNERS_KEY, AuthlibLogins
from tests.support.file_keyring import use_file_keyring
from tests.support.servers import HTTPServer, Received, Reply
from tests.support.threads import start_together
from tests.support.wsgi import answers_of


class Person:
    """Somebody who does what is asked: with a browser that follows redirects, or on a device.

    Attributes:
        opened: The addresses that a browser was opened with.
        said: What was said.
    """

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.said: list[str] = []
        self.pages: list[requests.Response] = []

    def browse(self, address: str) -> None:
        self.opened.append(address)
        self.pages.append(requests.get(address, timeout=20))

    def enter_code(self, text: str) -> None:
        self.said.append(text)
        for line in text.splitlines():
            if line.startswith("http") and "user_code=" in line:
                threading.Thread(target=self.browse, args=(line,)).start()


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
def logins(
    http_server: Callable[..., HTTPServer], monkeypatch: pytest.MonkeyPatch
) -> AuthlibLogins:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # else it refuses plain http
    monkeypatch.setenv("no_proxy", "*")
    logins = AuthlibLogins()
    logins.url = http_server(answers_of(logins.app)).url
    return logins


@pytest.fixture
def log_in_there(logins: AuthlibLogins, person: Person, tmp_path: Path):
    def there(**arguments: Any) -> TokenSource:
        usual: dict[str, Any] = {
            "client_id": "demo",
            "origins": [logins.url],
            "store": tmp_path / "t.json",
            "browser": person.browse,
            "say": person.enter_code,
            "timeout": 20,
        }
        return log_in(logins.url, **{**usual, **arguments})

    return there


def get(tokens: TokenSource, url: str) -> requests.Response:
    with requests.Session() as session:
        session.mount(f"{url}/", TokenRefreshAdapter(tokens))
        return session.get(f"{url}/data", timeout=20)


CLIENTS = {
    "public": {"client_id": "demo"},
    "confidential": {"client_id": "reports", "client_secret": "secret-of-reports"},
    "with a key": {"client_id": "signer", "private_key": SIGNERS_KEY.as_pem(private=True)},
}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize("how", ["browser", "device"])
def test_a_person_logs_in_and_the_login_lasts(
    logins: AuthlibLogins, log_in_there, how: str, client: dict[str, str]
) -> None:
    tokens = log_in_there(how=how, **client)
    for _ in range(3):
        assert get(tokens, logins.url).json() == {"user": "alice"}
        tokens.refresh(tokens.token())
    assert len(logins.issued(good=False)) == 4
    assert logins.early == 0


def test_who_is_logged_in_is_not_asked_again(logins, log_in_there, person, monkeypatch) -> None:
    """Nor is the server asked anything, which may be out of reach; whatever the scope is."""
    first = log_in_there()
    monkeypatch.setattr("requests.Session.send", None)
    assert log_in_there().token() == first.token()
    assert log_in_there(scope="read").token() == first.token()
    assert len(person.opened) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"again": True},
        {"client_id": "reports", "client_secret": "secret-of-reports"},
    ],
    ids=["again", "another client"],
)
def test_who_is_to_be_asked_again_is(logins, log_in_there, person, change) -> None:
    """What the new login replaces is not revoked: there are issuers that end all logins of a person
    by that, and the new one would be the first to go."""
    logins.revokes_all = True
    first = log_in_there().token()
    second = log_in_there(**change)
    assert len(person.opened) == 2
    assert logins.issued() == [first.access_token, second.token().access_token]
    assert second.refresh(second.token()).access_token in logins.issued()


def test_an_endpoint_that_the_issuer_does_not_publish_is_stored_too(
    logins, log_in_there, tmp_path
) -> None:
    log_in_there(revocation_url=f"{logins.url}/nothing")
    with pytest.raises(RevocationFailedError, match="404"):
        open_login(tmp_path / "t.json").logout(revoke=True)


def test_a_login_of_another_issuer_does_not_count(logins, log_in_there, person, tmp_path) -> None:
    log_in_there()
    store = FileTokenStore(tmp_path / "t.json")
    token = store.load()
    store.save(
        Token(
            token.access_token,
            extra={"client": {**token.extra["client"], "issuer": "https://other.example"}},
        )
    )
    log_in_there()
    assert len(person.opened) == 2


def test_of_logins_at_once_one_is_left_for_all(logins, log_in_there, person, tmp_path) -> None:
    """As where two programs begin on one morning."""
    logins.revokes_all = True
    together = threading.Barrier(3)

    def browse(address: str) -> None:
        together.wait(20)
        person.browse(address)

    callers = start_together(3, lambda: log_in_there(browser=browse))
    access_tokens = {outcome.result().token().access_token for outcome in callers.outcomes()}
    stored = FileTokenStore(tmp_path / "t.json").load()
    assert access_tokens == {stored.access_token}
    assert stored.access_token in logins.issued()


def test_a_login_that_the_issuer_has_ended_does_not_count(logins, log_in_there, person) -> None:
    tokens = log_in_there()
    logins.revoke_family(logins.find(tokens.token().access_token))
    store = FileTokenStore(tokens._keeping.store.path)
    store.save(replace(store.load(), expires_at=1.0))
    assert get(log_in_there(), logins.url).status_code == 200
    assert len(person.opened) == 2


def test_a_login_whose_issuer_is_out_of_reach_stays(logins, log_in_there, person) -> None:
    """Only the issuer, or the person, ends a login."""
    tokens = log_in_there()
    store = FileTokenStore(tokens._keeping.store.path)
    store.save(replace(store.load(), expires_at=1.0))
    logins.fails = 503
    assert isinstance(log_in_there(), TokenSource)
    assert len(person.opened) == 1


def test_workers_open_the_login_later(logins, log_in_there, tmp_path) -> None:
    """With nothing but the store."""
    token = log_in_there().token()
    for origins in (None, [logins.url]):
        tokens = open_login(tmp_path / "t.json", origins=origins)
        assert tokens.token() == token
    assert get(tokens, logins.url).status_code == 200
    renewed = tokens.refresh(tokens.token())
    assert renewed.extra["client"] == token.extra["client"]
    again = open_login(tmp_path / "t.json")
    assert again.refresh(again.token()) != renewed


def test_a_confidential_clients_secret_is_stored_only_if_that_is_wanted(
    logins, log_in_there, tmp_path
) -> None:
    client = CLIENTS["confidential"]
    log_in_there(**client)
    assert "secret-of-reports" not in (tmp_path / "t.json").read_text()
    tokens = open_login(tmp_path / "t.json", client_secret="secret-of-reports")
    tokens.refresh(tokens.token())
    by_form = {"token_endpoint_auth_method": "client_secret_post"}
    log_in_there(**client, **by_form, keep_client_secret=True, again=True)
    tokens = open_login(tmp_path / "t.json")
    assert tokens.refresh(tokens.token()).access_token in logins.issued()


@pytest.mark.parametrize("name", ["secret", "~/secret"])
def test_a_secret_can_stay_in_its_file_and_whoever_opens_the_login_reads_it(
    logins, log_in_there, tmp_path, monkeypatch, name
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret-of-reports\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    log_in_there(client_id="reports", client_secret_file=name)
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", "/")
    assert "secret-of-reports" not in (tmp_path / "t.json").read_text()
    opened = open_login(tmp_path / "t.json")
    assert opened.refresh(opened.token()).refresh_token

    for content, problem in ((b"\xff-secret-of-reports", "not UTF-8"), (None, "No such file")):
        secret.unlink()
        if content is not None:
            secret.write_bytes(content)
        with pytest.raises(ValueError, match=problem) as caught:
            open_login(tmp_path / "t.json")
        assert str(secret) in str(caught.value)
        assert "reports" not in str(caught.value).replace(str(secret), "")
        assert caught.value.__context__ is None


def test_an_answer_that_was_lost_is_asked_for_by_another_assertion(http_server) -> None:
    """A server takes each once (RFC 7523 section 3, jti)."""
    assertions: list[str] = []

    def answer(request: Received) -> Reply | None:
        assertions.extend(parse_qs(request.body.decode())["client_assertion"])
        return None if len(assertions) == 1 else Reply.json({"access_token": "a"})

    key = SIGNERS_KEY.as_pem(private=True)
    grant = RefreshTokenGrant(http_server(answer).url, client_id="signer", private_key=key)
    assert grant(Token("a", "r")).access_token == "a"
    assert len(set(assertions)) == len(assertions) == 2


def test_a_key_stays_in_its_file_too(logins, log_in_there, tmp_path) -> None:
    """RFC 7523 section 2.2: whoever opens the login signs with it, and revokes with it."""
    key = tmp_path / "key.pem"
    key.write_bytes(SIGNERS_KEY.as_pem(private=True))
    log_in_there(client_id="signer", private_key_file=key, key_id="k-1")
    stored = (tmp_path / "t.json").read_text()
    assert "PRIVATE KEY" not in stored
    assert '"key_id": "k-1"' in stored
    opened = open_login(tmp_path / "t.json")
    assert opened.refresh(opened.token()).access_token in logins.issued()
    opened.logout(revoke=True)
    assert logins.issued() == []

    log_in_there(client_id="signer", private_key_file=key)
    key.unlink()
    with pytest.raises(ValueError, match=r"the client.s key cannot be read from .*key\.pem"):
        open_login(tmp_path / "t.json")


def test_a_store_that_others_may_write_names_no_file_to_read(
    logins, log_in_there, tmp_path
) -> None:
    """It also says where the secret is sent: any file of ours could leave that way."""
    secret = tmp_path / "secret"
    secret.write_text("secret-of-reports")
    client = {"client_id": "reports", "client_secret_file": secret}
    for store in (MemoryTokenStore(), FileTokenStore(tmp_path / "t.json", private=False)):
        token = log_in_there(store=store, **client).token()
        assert "client_secret_file" not in token.extra["client"]
        document = {**token.extra["client"], "client_secret_file": str(secret)}
        store.save(replace(token, extra={**token.extra, "client": document}))
        opened = open_login(store)
        with pytest.raises(RefreshFailedError, match="invalid_client"):
            opened.refresh(opened.token())


def test_a_login_may_leave_it_to_whoever_opens_it_where_the_token_goes(
    logins, log_in_there, tmp_path
) -> None:
    api = "https://api.example.com"
    assert log_in_there(origins=None).origins.origins == (logins.url,)
    assert open_login(tmp_path / "t.json").origins.origins == (logins.url,)
    assert open_login(tmp_path / "t.json", origins=[api]).origins.origins == (api,)


def test_a_worker_does_not_take_another_clients_login_to_its_issuer(
    logins, log_in_there, tmp_path
) -> None:
    log_in_there()
    worker = open_login(tmp_path / "t.json")
    log_in_there(**CLIENTS["confidential"])
    asked = len(logins.issued(good=False))
    with pytest.raises(RefreshFailedError, match="open_login"):
        worker.refresh(worker.token())
    assert len(logins.issued(good=False)) == asked


def test_a_login_ends_here_in_the_store_and_at_the_issuer(logins, log_in_there, tmp_path) -> None:
    """RFC 7009, by what the store remembers."""
    log_in_there()
    worker = open_login(tmp_path / "t.json")
    worker.refresh(worker.token())
    last = worker.token()
    assert logins.issued() != []
    worker.logout(revoke=True)
    assert logins.issued() == []
    assert not (tmp_path / "t.json").exists()
    with pytest.raises(LoginRequiredError) as caught:
        RefreshTokenGrant(f"{logins.url}/token", client_id="demo")(last)
    assert caught.value.code == "invalid_grant"


def test_a_worker_does_not_have_another_clients_login_revoked_at_its_issuer(
    logins, log_in_there, tmp_path
) -> None:
    log_in_there()
    worker = open_login(tmp_path / "t.json")
    log_in_there(**CLIENTS["confidential"])
    with pytest.raises(RevocationFailedError, match="of the client reports at"):
        worker.logout(revoke=True)
    assert len(logins.issued()) == 2  # nothing was revoked
    assert not (tmp_path / "t.json").exists()


def test_where_there_is_room_for_little_the_issuer_is_asked_for_the_rest(
    logins, log_in_there, tmp_path, monkeypatch
) -> None:
    """As in the keyring of Windows."""
    use_file_keyring(tmp_path, monkeypatch)
    monkeypatch.setattr(_keyring, "_ON_WINDOWS", True)
    monkeypatch.setattr(_keyring, "_WINDOWS_KEEPS", 700)
    store = KeyringTokenStore("reports", "alice")
    log_in_there(store=store, scope="read", **CLIENTS["confidential"])
    stored = store.load()
    assert stored.extra["client"] == {"issuer": logins.url, "client_id": "reports"}
    worker = open_login(store, origins=[logins.url], client_secret="secret-of-reports")
    worker = pickle.loads(pickle.dumps(worker))
    assert worker.refresh(worker.token()) != stored
    assert get(worker, logins.url).json() == {"user": "alice"}
    open_login(store, client_secret="secret-of-reports").logout(revoke=True)
    assert logins.issued() == []


def test_an_empty_store_has_no_login_to_open(tmp_path) -> None:
    with pytest.raises(LoginRequiredError, match="log_in") as caught:
        open_login(tmp_path / "t.json")
    assert caught.value.reason == "no_token"


def test_a_login_that_does_not_say_where_it_is_from_cannot_be_opened(tmp_path) -> None:
    FileTokenStore(tmp_path / "t.json").save(Token("a", "r"))
    with pytest.raises(ValueError, match="RefreshTokenGrant"):
        open_login(tmp_path / "t.json")


def test_a_person_who_says_no_changes_nothing(logins, log_in_there, tmp_path) -> None:
    log_in_there()
    before = (tmp_path / "t.json").read_text()
    logins.agrees = False
    for how in ("browser", "device"):
        with pytest.raises(LoginFailedError) as caught:
            log_in_there(again=True, how=how)
        assert caught.value.reason == "access_denied"
    assert (tmp_path / "t.json").read_text() == before


def test_the_usual_scopes_are_asked_for_as_far_as_they_are_listed(log_in_there, person) -> None:
    log_in_there()
    assert "scope=openid%20offline_access&" in person.opened[0]
    log_in_there(again=True, scope="read")
    assert "scope=read&" in person.opened[1]
    log_in_there(again=True, scope="")
    assert "scope=" not in person.opened[2]


def test_a_login_without_a_refresh_token_is_one_warning(logins, log_in_there, caplog) -> None:
    logins.refresh_tokens = False
    with caplog.at_level(logging.WARNING, "requests_tokenrefresh"):
        log_in_there()
    [record] = caplog.records
    assert "offline_access" in record.getMessage()


def test_nothing_secret_is_said(logins, log_in_there, person, caplog, capfd) -> None:
    """No code, verifier, device code, token or secret; the address has none."""
    caplog.set_level(logging.DEBUG, "requests_tokenrefresh")
    for how in ("browser", "device"):
        token = log_in_there(**CLIENTS["confidential"], how=how, again=True).token()
        said = "\n".join(
            [*person.said, *person.opened, caplog.text, *capfd.readouterr(), repr(token)]
        )
        secrets = [token.access_token, token.refresh_token, "secret-of-reports"]
        secrets += [*logins.devices, *logins.spent]
        assert not [secret for secret in secrets if secret in said]


def test_what_is_said_goes_to_standard_error(log_in_there, capfd) -> None:
    log_in_there(say=None)
    out, err = capfd.readouterr()
    assert out == ""
    assert "\nhttp://127.0.0.1:" in err


# -- Before anything is sent ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"how": "telepathy"}, ValueError),
        ({"params": {"state": "x"}}, ValueError),
        ({"resource": "https://api.example.com#x"}, ValueError),
        ({"redirect_uri": "http://app.example.com/"}, InsecureTransportError),
        ({"timeout": -1}, ValueError),
        ({"say": "loud"}, TypeError),
        ({"origins": []}, ValueError),
        ({"origins": ["http://api.example.com"]}, InsecureTransportError),
        ({"client_id": ""}, ValueError),
        ({"store": "https://x"}, ValueError),
        ({"colour": "red"}, TypeError),
        ({"client_secret": "s", "token_endpoint_auth_method": "smile"}, ValueError),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_sent(
    log_in_there, monkeypatch, arguments, error
) -> None:
    monkeypatch.setattr("requests.Session.send", None)
    with pytest.raises(error):
        log_in_there(**arguments)


@pytest.mark.parametrize(
    ("issuer", "error"),
    [
        (None, ValueError),
        ("auth.example.com", ValueError),
        ("http://auth.example.com", InsecureTransportError),
    ],
)
def test_what_is_no_issuer_is_told_as_one(issuer, error) -> None:
    """RFC 8414 section 2."""
    with pytest.raises(error, match=r"^the issuer is "):
        log_in(issuer, client_id="demo", origins=None, store=None)


def test_what_no_source_takes_is_found_before_anybody_is_asked(log_in_there, person) -> None:
    with pytest.raises(ValueError, match="when_logged_out"):
        log_in_there(when_logged_out="smile")
    assert person.said == []


def test_a_store_that_cannot_be_written_is_found_before_anybody_is_asked(
    log_in_there, person, monkeypatch
) -> None:
    def full(self: object) -> None:
        raise TokenStoreError("no space left")

    monkeypatch.setattr(FileTokenStore, "ensure_can_save", full)
    with pytest.raises(TokenStoreError, match="no space left"):
        log_in_there()
    assert person.opened == []


# -- A web application ----------------------------------------------------------------------------


def test_a_web_application_logs_in(logins) -> None:
    """begin(), a session that keeps JSON, finish()."""
    server = AuthorizationServer.discover(logins.url)
    grant = AuthorizationCodeGrant(
        server, client_id="reports", client_secret="secret-of-reports", scope="openid read"
    )
    kept = json.dumps(grant.begin("https://app.example.com/callback"))
    answer = requests.get(json.loads(kept)["url"], allow_redirects=False, timeout=20)
    token = grant.finish(json.loads(kept), answer.headers["Location"])
    assert token.access_token in logins.issued()
    assert "id_token" in token.extra
    assert grant(token).access_token in logins.issued()
    with pytest.raises(LoginFailedError, match="invalid_grant"):
        grant.finish(json.loads(kept), answer.headers["Location"])


# -- What may be in the way of keeping it ---------------------------------------------------------


def test_a_login_may_stay_in_memory(logins, log_in_there) -> None:
    tokens = log_in_there(store=None)
    assert get(tokens, logins.url).status_code == 200


def test_a_lock_that_somebody_holds_does_not_lose_the_login(
    logins, log_in_there, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("requests_tokenrefresh.interactive._log_in._TURN", 0.0)
    with FileTokenStore(tmp_path / "t.json").lock(5):
        tokens = log_in_there()
    assert tokens.token() == FileTokenStore(tmp_path / "t.json").load()


def test_what_cannot_be_read_is_left_as_it_is_and_nobody_is_asked(
    log_in_there, person, tmp_path
) -> None:
    path = tmp_path / "t.json"
    path.write_text("not a token")
    path.chmod(0o600)
    for again in (False, True):
        with pytest.raises(StoreContentError, match="move it away"):
            log_in_there(again=again)
    assert path.read_text() == "not a token"
    assert person.opened == []


def test_without_standard_error_nothing_is_said(log_in_there, monkeypatch) -> None:
    """pythonw, and services of Windows."""
    monkeypatch.setattr("sys.stderr", None)
    assert log_in_there(say=None).token().refresh_token is not None
