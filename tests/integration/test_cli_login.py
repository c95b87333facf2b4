"""`login`, `get`, `status` and `logout` at an issuer: from nothing to logged in, and out again."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
import pytest
import requests
from click.testing import Result

from requests_tokenrefresh import FileTokenStore, Token
from requests_tokenrefresh.cli.command import command
from requests_tokenrefresh.cli.server import DemoServer
from tests.support.authlib_logins import SIGNERS_KEY, AuthlibLogins
from tests.support.cli_runner import cli_runner
from tests.support.demo_server import agree, demo_server
from tests.support.servers import HTTPServer, Received, Reply
from tests.support.wsgi import answers_of

BROWSER, REFUSES = "agrees", "refuses"
NOWHERE = "http://127.0.0.1:1"  # nobody may listen there


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("REQUESTS_TOKENREFRESH_CLIENT_SECRET", raising=False)
    monkeypatch.setattr("requests_tokenrefresh.interactive._browser._run", browse)


def browse(browser: str | None, address: str, timeout: float | None = None) -> bool:
    """Be the browser, in this process: the test of the tutorial has one of its own."""
    if browser == REFUSES and address:
        fields = dict(parse_qsl(urlsplit(address).query))
        answer = {"error": "access_denied", "state": fields["state"]}
        requests.get(fields["redirect_uri"], params=answer, timeout=20)
    elif address:
        agree(address)
    return True


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with demo_server(clock=time.monotonic, token_seconds=60) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> FileTokenStore:
    return FileTokenStore(tmp_path / "t.json")


def run(*arguments: object, **how: Any) -> Result:
    return cli_runner().invoke(command, [str(argument) for argument in arguments], **how)


def log_in(issuer: str, store: FileTokenStore, *more: object, client_id: str = "demo") -> Result:
    line = ["--issuer", issuer, "--client-id", client_id, "--store", store.path]
    return run("login", *line, "--browser", BROWSER, "--timeout", 20, *more)


def refusal(issuer: str, token: Token, path: str = "/oauth/token") -> str:
    form = {
        "grant_type": "refresh_token",
        "client_id": "demo",
        "refresh_token": token.refresh_token,
    }
    return requests.post(f"{issuer}{path}", data=form, timeout=10).json()["error"]


def test_from_nothing_to_logged_in_and_out_again(server, store):
    """RFC 8414, RFC 6749 section 4.1, RFC 8252, RFC 7009: nothing but --store after the login."""
    result = log_in(server.url, store)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"Logged in as alice; the login is in {store.path}.\n"
    assert f"{server.url}/authorize?response_type=code&client_id=demo&" in result.stderr

    got = run("get", f"{server.url}/data", "--store", store.path)
    assert (got.exit_code, json.loads(got.stdout)["message"]) == (0, "the token is good")

    told = run("status", "--store", store.path).stdout
    assert "login:         alice (says the id_token; not verified)\n" in told
    assert f"issuer:        {server.url}\nclient:        demo\n" in told

    token = store.load()
    out = run("logout", "--store", store.path)
    host = urlsplit(server.url).netloc
    assert (out.exit_code, out.stdout) == (0, f"Logged out; {host} has revoked the login.\n")
    assert store.load() is None
    assert refusal(server.url, token) == "invalid_grant"
    assert run("status", "--store", store.path).exit_code == 3
    assert run("get", f"{server.url}/data", "--store", store.path).stderr == (
        f"Error: nobody has logged in: there is no {store.path}; to log in, pass --issuer and "
        "--client-id to requests-tokenrefresh login\n"
    )


def test_the_same_at_another_server(store, http_server, monkeypatch):
    """Authlib's, which has not been made for this command."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # else it refuses plain http
    logins = AuthlibLogins()
    logins.url = http_server(answers_of(logins.app)).url
    assert log_in(logins.url, store).stdout.startswith("Logged in as alice; ")
    for _ in range(3):
        before = store.load()
        store.save(Token(**{**vars(before), "expires_at": 1.0}))
        got = run("get", f"{logins.url}/data", "--store", store.path)
        assert json.loads(got.stdout) == {"user": "alice"}
        assert store.load().refresh_token != before.refresh_token
    assert run("status", "--store", store.path).exit_code == 0
    token = store.load()
    assert run("logout", "--store", store.path).stdout.endswith(" has revoked the login.\n")
    assert logins.issued() == []
    assert refusal(logins.url, token, "/token") == "invalid_grant"


def test_a_usable_login_stays_and_nobody_is_asked(server, store):
    log_in(server.url, store)
    token = store.load()
    result = log_in(server.url, store)
    assert result.output == f"Logged in as alice already; the login is in {store.path}.\n"
    assert store.load() == token
    assert log_in(server.url, store, "--again").stderr != ""
    assert store.load() != token


def test_a_login_outlives_its_tokens_with_nothing_but_the_store(store):
    with demo_server(clock=time.monotonic, token_seconds=60) as server:
        log_in(server.url, store)
        for _ in range(3):
            before = store.load()
            store.save(Token(**{**vars(before), "expires_at": 1.0}))
            assert run("get", f"{server.url}/data", "--store", store.path).exit_code == 0
            assert store.load().refresh_token != before.refresh_token
            assert store.load().extra["client"] == before.extra["client"]
        assert server.authorization.counts()["refreshes"] == 3


def test_a_login_is_kept_to_the_origins_that_it_was_made_for(server, store, http_server):
    elsewhere = http_server(lambda _request: Reply(body=b"got it"))
    log_in(server.url, store, "--origin", server.url)
    assert f"goes to:       {server.url}\n" in run("status", "--store", store.path).stdout
    assert run("get", f"{server.url}/data", "--store", store.path).exit_code == 0
    result = run("get", f"{elsewhere.url}/data", "--store", store.path)
    assert result.exit_code == 2
    assert f"is for {server.url} only: log in once more" in result.stderr
    assert elsewhere.requests == []


def test_a_login_for_no_origin_goes_where_it_is_sent(server, store, http_server):
    elsewhere = http_server(lambda _request: Reply(body=b"got it"))
    log_in(server.url, store)
    assert run("get", f"{elsewhere.url}/data", "--store", store.path).stdout == "got it"


# -- An issuer that shows what it was asked ------------------------------------------------------


class Issuer:
    """An issuer without pages, which agrees to everything and remembers what it was asked.

    Attributes:
        asked: The parameters of the authorization requests.
        forms: What was posted, and where.
    """

    metadata: dict[str, Any] | None = None
    answers: dict[str, Reply]

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.forms: list[tuple[str, dict[str, list[str]], str | None]] = []
        self.paths: list[str] = []
        self.answers = {}

    def __call__(self, request: Received) -> Reply:
        parts = urlsplit(request.path)
        self.paths.append(parts.path)
        base = f"http://{request.headers['Host']}"
        if parts.path in self.answers:
            if request.method == "POST":
                self._remember(request, parts.path)
            return self.answers[parts.path]
        if parts.path == "/authorize":
            fields = parse_qs(parts.query)
            self.asked.append(fields)
            back = f"{fields['redirect_uri'][0]}?code=the-code&state={fields['state'][0]}"
            return Reply(303, headers=[("Location", back)])
        if parts.path == "/token":
            self._remember(request, parts.path)
            return Reply.json({"access_token": "access-secret", "refresh_token": "refresh-secret"})
        if parts.path == "/revoke":
            self._remember(request, parts.path)
            return Reply(200)
        if parts.path == "/.well-known/oauth-authorization-server":
            names = {"authorization": "authorize", "token": "token"}
            found = {f"{name}_endpoint": f"{base}/{path}" for name, path in names.items()}
            return Reply.json({"issuer": base, "response_types_supported": ["code"], **found})
        return Reply(404)

    def _remember(self, request: Received, path: str) -> None:
        form = parse_qs(request.body.decode())
        self.forms.append((path, form, request.headers.get("Authorization")))


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def url(issuer: Issuer, http_server: Callable[..., HTTPServer]) -> str:
    return http_server(issuer).url


def test_what_is_asked_for_is_what_was_typed(issuer, url, store):
    """RFC 6749 section 4.1.1, RFC 8707 section 2."""
    more = ["--scope", "read write", "--resource", "https://a.example", "--audience", "b"]
    more += ["--resource", "https://c.example", "--param", "prompt=consent", "--param", "x="]
    more += ["--param", "y=1", "--param", "y=2"]
    assert log_in(url, store, *more).exit_code == 0
    [asked] = issuer.asked
    assert asked["scope"] == ["read write"]
    assert asked["resource"] == ["https://a.example", "https://c.example"]
    assert (asked["audience"], asked["prompt"], asked["y"]) == (["b"], ["consent"], ["1", "2"])


def test_an_issuer_that_cannot_be_discovered_is_written_down(issuer, url, store):
    where = ["--token-url", f"{url}/token", "--authorization-url", f"{url}/authorize"]
    where += ["--revocation-url", f"{url}/revoke"]
    result = run(
        "login", *where, "--client-id", "demo", "--store", store.path, "--browser", BROWSER
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == f"Logged in; the login is in {store.path}.\n"
    assert run("logout", "--store", store.path).exit_code == 0
    assert [path for path in issuer.paths if "well-known" in path] == []
    assert issuer.forms[-1][:2] == (
        "/revoke",
        issuer.forms[-1][1] | {"token": ["access-secret"], "client_id": ["demo"]},
    )


def test_an_endpoint_can_be_added_to_what_is_discovered(issuer, url, store):
    assert log_in(url, store, "--revocation-url", f"{url}/revoke").exit_code == 0
    assert "has revoked" in run("logout", "--store", store.path).stdout
    assert issuer.paths.count("/revoke") >= 1


@pytest.mark.parametrize("option", ["--authorization-url", "--device-url", "--revocation-url"])
def test_a_usable_login_needs_no_network_whatever_is_added(issuer, url, store, monkeypatch, option):
    line = [option, f"{url}/authorize"]
    assert log_in(url, store, *line).exit_code == 0
    monkeypatch.setattr("requests.Session.send", None)
    assert log_in(url, store, *line).stdout.startswith("Logged in already; ")


@pytest.mark.parametrize("source", ["file", "stdin", "variable", "kept"])
@pytest.mark.parametrize("auth", ["basic", "post"])
def test_a_secret_is_found_again_where_it_was(
    issuer, url, store, tmp_path, monkeypatch, source, auth
):
    """RFC 6749 section 2.3.1; in no file but its own, unless that is wanted."""
    (tmp_path / "secret").write_text("s3cret\n")
    options = {
        "file": ["--client-secret-file", tmp_path / "secret"],
        "stdin": ["--client-secret-file", "-"],
        "variable": [],
        "kept": ["--client-secret-file", tmp_path / "secret", "--keep-client-secret"],
    }[source]
    if source == "variable":
        monkeypatch.setenv("REQUESTS_TOKENREFRESH_CLIENT_SECRET", "s3cret")
    line = ["--issuer", url, "--client-id", "demo", "--store", store.path, "--browser", BROWSER]
    line += ["--timeout", 20]
    result = run("login", *line, "--client-auth", auth, *options, input="s3cret\n")
    assert result.exit_code == 0, result.output
    assert ("s3cret" in store.path.read_text()) is (source == "kept")
    if source == "kept":
        (tmp_path / "secret").unlink()

    token = store.load()
    store.save(Token(**{**vars(token), "expires_at": 1.0}))
    later = ["--client-secret-file", "-"] if source == "stdin" else []
    result = run("get", f"{url}/data", "--store", store.path, *later, input="s3cret\n")
    assert issuer.forms[-1][1]["grant_type"] == ["refresh_token"], result.output
    for _, form, authorization in issuer.forms:
        if auth == "post":
            assert (form["client_secret"], authorization) == (["s3cret"], None)
        else:
            assert ("client_secret" in form, authorization) == (False, "Basic ZGVtbzpzM2NyZXQ=")
    assert "s3cret" not in result.output


def test_a_key_is_found_again_where_it_was(issuer, url, store, tmp_path):
    """RFC 7523 section 2.2; RFC 7517 section 4.5."""
    key = tmp_path / "key.pem"
    key.write_bytes(SIGNERS_KEY.as_pem(private=True))
    more = ["--private-key-file", key, "--key-id", "k-1", "--revocation-url", f"{url}/revoke"]
    assert log_in(url, store, *more).exit_code == 0
    token = store.load()
    store.save(Token(**{**vars(token), "expires_at": 1.0}))
    assert run("get", f"{url}/data", "--store", store.path).exit_code == 1  # 404: there is none
    assert run("logout", "--store", store.path).exit_code == 0
    assert len(issuer.forms) == 4  # the code, the refresh token, and two to be revoked
    for _, form, authorization in issuer.forms:
        [assertion] = form["client_assertion"]
        assert jwt.get_unverified_header(assertion)["kid"] == "k-1"
        assert authorization is None


def test_a_key_without_the_extra_for_it_names_the_extra(url, store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jwt", None)
    monkeypatch.delitem(
        sys.modules, "requests_tokenrefresh.refreshers._client_assertion", raising=False
    )
    key = tmp_path / "key.pem"
    key.write_bytes(SIGNERS_KEY.as_pem(private=True))
    result = log_in(url, store, "--private-key-file", key)
    assert result.exit_code == 2
    assert result.stderr.endswith("pip install 'requests-tokenrefresh[jwt]'\n")


@pytest.mark.parametrize("name", ["login", "get", "logout"])
def test_a_secret_that_is_not_there_is_a_usage_error(issuer, url, store, tmp_path, name):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    log_in(url, store, "--client-secret-file", secret, "--revocation-url", f"{url}/revoke")
    secret.unlink()
    result = {
        "login": lambda: log_in(url, store, "--client-secret-file", secret, "--again"),
        "get": lambda: run("get", f"{url}/data", "--store", store.path),
        "logout": lambda: run("logout", "--store", store.path),
    }[name]()
    assert result.exit_code == 2
    assert f"cannot be read from {secret}" in result.stderr
    assert (name == "logout") == ("--local forgets the login without it" in result.stderr)
    assert store.load() is not None


# -- Logging out ---------------------------------------------------------------------------------


def test_whoever_was_not_told_is_named(issuer, url, store):
    """RFC 7009 section 2.2.1."""
    issuer.answers["/revoke"] = Reply(503)
    log_in(url, store, "--revocation-url", f"{url}/revoke")
    result = run("logout", "--store", store.path)
    host = urlsplit(url).netloc
    assert result.exit_code == 4
    assert result.stdout == f"Logged out here; {host} was not told (503): the tokens stay good.\n"
    assert result.stderr == ""
    assert store.load() is None


def test_a_local_logout_tells_nobody(issuer, url, store):
    log_in(url, store, "--revocation-url", f"{url}/revoke")
    result = run("logout", "--local", "--store", store.path)
    host = urlsplit(url).netloc
    assert result.exit_code == 0
    assert result.stdout == f"Logged out here; {host} was not told: the tokens stay good.\n"
    assert "/revoke" not in issuer.paths
    assert store.load() is None


# -- What goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "cure"),
    [
        (["--client-id", "demo"], "Pass --issuer"),
        (["--issuer", "https://auth.example.com"], "Pass --client-id"),
        (["--issuer", "ftp://auth.example.com", "--client-id", "demo"], "https"),
        (["--device", "--no-browser"], "pass one"),
        (["--param", "prompt"], "NAME=VALUE"),
        (["--param", "state=x"], "state"),
        (["--resource", "https://a.example/#b"], "fragment"),
        (["--origin", "https://a.example/path"], "https://a.example"),
        (["--redirect-uri", "javascript:alert(1)"], "redirect_uri"),
        (["--revocation-url", "http://auth.example.com/revoke"], "revocation_endpoint"),
        (["--client-secret-file", "/nowhere/secret"], "/nowhere/secret"),
        (["--issuer", "http://auth.example.com"], "https"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_line_that_makes_no_sense_is_told_before_anything_is_sent(store, line, cure, monkeypatch):
    monkeypatch.setattr("requests.Session.send", None)
    if "--issuer" not in line and "--client-id" not in line:
        line = ["--issuer", "https://auth.example.com", "--client-id", "demo", *line]
    elif "--client-id" not in line and line != ["--issuer", "https://auth.example.com"]:
        line = [*line, "--client-id", "demo"]
    result = run("login", "--store", store.path, *line)
    assert result.exit_code == 2, result.output
    assert cure in result.stderr
    assert store.load() is None


def test_get_wants_both_or_neither_of_what_the_store_does_not_say(store):
    store.save(Token("a", "r"))
    one = run("get", f"{NOWHERE}/", "--store", store.path, "--client-id", "demo")
    assert (one.exit_code, "pass both, or neither" in one.stderr) == (2, True)
    none = run("get", f"{NOWHERE}/", "--store", store.path)
    assert (none.exit_code, "pass --token-url and --client-id" in none.stderr) == (2, True)


def test_an_issuer_out_of_reach_is_no_reason_to_log_in_again(store):
    result = log_in(NOWHERE, store)
    assert result.exit_code == 4
    assert "refused" in result.stderr


@pytest.mark.parametrize("path", ["/token", "/.well-known/oauth-authorization-server"])
def test_an_issuer_in_trouble_is_no_reason_either(issuer, url, store, path):
    issuer.answers[path] = Reply.json({"error": "temporarily_unavailable"}, 503)
    result = log_in(url, store)
    assert (result.exit_code, result.stdout) == (4, "")
    assert store.load() is None


def test_a_client_that_the_issuer_does_not_know_is_no_trouble_of_the_issuers(server, store):
    """RFC 8628 section 3.2: who tries it again later does so in vain."""
    result = log_in(server.url, store, "--device", client_id="misspelt")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "device authorization endpoint" in result.stderr
    assert "check the client's id" in result.stderr


@pytest.mark.parametrize("said", ["x?scope=", "scope=read", "my_scope=", "rescope="])
def test_what_a_server_says_is_not_put_into_options(issuer, url, store, said):
    issuer.answers["/token"] = Reply.json({"error": "e", "error_description": said}, 400)
    assert said in log_in(url, store).stderr


def test_a_person_who_says_no_is_told_apart(issuer, url, store):
    """RFC 6749 section 4.1.2.1."""
    result = log_in(url, store, "--browser", REFUSES)
    assert (result.exit_code, result.stdout) == (3, "")
    assert store.load() is None


def test_an_issuer_that_publishes_nothing_can_be_written_down(server, store):
    """RFC 8414 section 3: which options do, is what it says."""
    result = log_in(f"{server.url}/nowhere", store)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--token-url, with --authorization-url or --device-url" in result.stderr


def test_a_server_without_a_way_to_log_in_can_be_given_one_by_an_option(store):
    result = run("login", "--token-url", NOWHERE, "--client-id", "demo", "--store", store.path)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.endswith("; if it has one, pass --authorization-url or --device-url\n")


def test_an_address_that_is_taken_can_be_mended_by_an_option(server, store):
    """RFC 8252 section 7.3."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        there = f"http://127.0.0.1:{taken.getsockname()[1]}/callback"
        result = log_in(server.url, store, "--redirect-uri", there)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "pass another --redirect-uri that is registered" in result.stderr


def test_nobody_who_could_log_in_is_exit_code_3(server, store):
    result = log_in(server.url, store, "--no-browser")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "no terminal" in result.stderr


def test_a_person_who_does_not_come_is_exit_code_3(server, store):
    result = log_in(server.url, store, "--device", "--timeout", "0.01")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.endswith("or wait longer: --timeout\n")


def test_nothing_secret_is_told(issuer, url, store, tmp_path, caplog):
    """Neither by what the commands say nor by any log."""
    caplog.set_level("DEBUG")
    (tmp_path / "secret").write_text("s3cret")
    issuer.answers["/device"] = Reply.json(
        {
            "device_code": "the-device-code",
            "user_code": "QKBB-LQDC",
            "verification_uri": f"{url}/enter",
            "expires_in": 60,
            "interval": 0.01,
        }
    )
    issuer.answers["/revoke"] = Reply(400, b"the-code access-secret refresh-secret s3cret")
    more = ["--device-url", f"{url}/device", "--revocation-url", f"{url}/revoke", "--again"]
    more += ["--client-secret-file", tmp_path / "secret"]
    told = log_in(url, store, *more).output + log_in(url, store, *more, "--device").output
    assert told.count("Logged in;") == 2, told
    told += run("status", "--store", store.path).output
    told += run("get", f"{url}/data", "--store", store.path).output
    told += run("logout", "--store", store.path).output
    # The browser is in this process too, and its address has the code.
    told += "".join(line for line in caplog.text.splitlines(True) if "GET /callback" not in line)
    verifiers = [form["code_verifier"][0] for _, form, _ in issuer.forms if "code" in form]
    assert len(verifiers) == 1
    secrets = ["the-code", "the-device-code", "access-secret", "refresh-secret", "s3cret"]
    assert [secret for secret in [*secrets, *verifiers] if secret in told] == []


LOOKS_ROUND = """
import os, runpy, sys
pid = os.getpid()
with open(sys.argv[1], "a") as seen:
    while pid > 1:
        seen.write(open(f"/proc/{pid}/cmdline").read().replace("\\0", " ") + "\\n")
        pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
sys.argv = sys.argv[1:]
runpy.run_module("tests.support.plain_browser", run_name="__main__")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is of Linux")
def test_nothing_secret_is_in_the_arguments_of_a_process(issuer, url, store, tmp_path):
    """Everybody on the machine can read those: the browser's, the command's, and what is between
    them."""
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "browser.py").write_text(LOOKS_ROUND)
    seen = tmp_path / "seen"
    line = ["--issuer", url, "--client-id", "demo", "--store", store.path, "--timeout", "20"]
    line += ["--client-secret-file", tmp_path / "secret"]
    line += ["--browser", f"{sys.executable} {tmp_path / 'browser.py'} {seen} %s"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    subprocess.run(
        [sys.executable, "-m", "requests_tokenrefresh", "login", *line],
        env=environ,
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    told = seen.read_text()
    assert told.count("/authorize?") == 1  # the browser's own
    assert "requests_tokenrefresh login --issuer" in told
    [[verifier]] = [form["code_verifier"] for _, form, _ in issuer.forms]
    secrets = ["the-code", verifier, "s3cret", "access-secret", "refresh-secret"]
    assert [secret for secret in secrets if secret in told] == []
