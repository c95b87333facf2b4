"""Half of a surrogate pair in an argument: a clear error at the door, which repeats no secret.

Python makes such text of bytes that are no UTF-8, in the environment or on the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from requests_tokenrefresh import (
    ClientCredentialsGrant,
    FileTokenStore,
    JSONRefresh,
    KeyringTokenStore,
    RedisTokenStore,
    RefreshTokenGrant,
    SQLTokenStore,
    TokenRefreshAdapter,
    TokenSource,
)
from requests_tokenrefresh.cli.command import command
from tests.support.cli_runner import cli_runner
from tests.support.hostile import harmful
from tests.support.logins import make_source

URL = "https://auth.example.com/token"
Make = Callable[[str], object]

ARGUMENTS: dict[str, tuple[Make, str]] = {
    "token_url": (lambda half: RefreshTokenGrant(f"{URL}/{half}"), "the URL"),
    "token_url's query": (lambda half: RefreshTokenGrant(f"{URL}?a={half}"), "the URL"),
    "token_url's host": (lambda half: RefreshTokenGrant(f"https://{half}/"), "the URL"),
    "JSONRefresh": (lambda half: JSONRefresh(f"{URL}/{half}"), "the URL"),
    "client_id": (lambda half: RefreshTokenGrant(URL, client_id=half), "client_id"),
    "client_id with a secret": (
        lambda half: RefreshTokenGrant(URL, client_id=half, client_secret="s"),
        "client_id",
    ),
    "client_secret": (
        lambda half: ClientCredentialsGrant(URL, client_id="a", client_secret=half),
        "client_secret",
    ),
    "client_secret in the form": (
        lambda half: RefreshTokenGrant(
            URL,
            client_id="a",
            client_secret=half,
            token_endpoint_auth_method="client_secret_post",
        ),
        "client_secret",
    ),
    "scope": (lambda half: RefreshTokenGrant(URL, scope=half), "scope"),
    "data": (lambda half: RefreshTokenGrant(URL, data={"audience": half}), "data['audience']"),
    "data, a list": (
        lambda half: RefreshTokenGrant(URL, data={"resource": ["a", half]}),
        "data['resource']",
    ),
    "data, a name": (lambda half: RefreshTokenGrant(URL, data={half: "a"}), "data"),
    "headers": (lambda half: RefreshTokenGrant(URL, headers={"X-A": half}), "headers['X-A']"),
    "headers, a name": (lambda half: JSONRefresh(URL, headers={half: "a"}), "headers"),
    "token_type": (lambda half: RefreshTokenGrant(URL, token_type=half), "token_type"),
    "origins": (lambda half: make_source(origins=[f"https://{half}"]), "origins[0]"),
    "token": (lambda half: make_source(token=half), "access_token"),
    "login": (lambda half: make_source().login({"access_token": half}), "access_token"),
    "attach": (lambda half: TokenRefreshAdapter(make_source(), attach=half), "attach"),
    "replaces": (lambda half: TokenRefreshAdapter(make_source(), replaces=[half]), "replaces[0]"),
    "store": (lambda half: make_source(store=f"/tmp/{half}"), "path"),
    "path": (lambda half: FileTokenStore(f"/tmp/{half}"), "path"),
    "path, of a home": (lambda half: FileTokenStore(f"~{half}/a"), "path"),
    "a Path": (lambda half: FileTokenStore(Path("/tmp") / half), "path"),
    "service": (lambda half: KeyringTokenStore(half, "alice"), "service"),
    "account": (lambda half: KeyringTokenStore("reports", half), "account"),
    "key": (lambda half: RedisTokenStore("redis://localhost", key=half), "key"),
    "the URL of a Redis": (
        lambda half: RedisTokenStore(f"redis://:{half}@h", key="a"),
        "the Redis",
    ),
    "name": (lambda half: SQLTokenStore("sqlite:///a", name=half), "name"),
    "table": (lambda half: SQLTokenStore("sqlite:///a", name="a", table=half), "table"),
    "the URL of a database": (lambda half: SQLTokenStore(f"sqlite:///{half}", name="a"), "engine"),
}


@pytest.mark.parametrize("half", ["s3cret\ud800", "\udfffs3cret"])
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_half_a_character_is_refused_with_the_name_of_the_argument(
    argument: str, half: str
) -> None:
    make, name = ARGUMENTS[argument]
    with pytest.raises(ValueError) as refused:
        make(half)
    assert type(refused.value) is ValueError  # and no codec's, which has the text in it
    assert str(refused.value).startswith(name)
    assert harmful(str(refused.value)) == set()
    assert not isinstance(refused.value.__context__, UnicodeError)
    if "secret" in argument or "Redis" in argument or argument in ("data", "headers"):
        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "value",
    ["s3cret\x1b[31m", "s3cret\r\nX: y", "s3cret\0", " s3cret", "s3cret\x7f"],
)
def test_a_header_has_only_what_can_stand_in_one(value: str) -> None:
    with pytest.raises(ValueError, match=r"headers\['X-A'\] cannot stand in a header") as refused:
        RefreshTokenGrant(URL, headers={"X-A": value})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("name", ["X A", "", "X-A:", "X-\xc4", "Authorization: Bearer s3cret"])
def test_the_name_of_a_header_is_one(name: str) -> None:
    with pytest.raises(ValueError, match="headers has a name that cannot stand") as refused:
        RefreshTokenGrant(URL, headers={name: "a"})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("value", ["", "a\tb", "\xe9t\xe9", b"\xff\xfe", "a: b; c"])
def test_a_header_that_can_be_sent_is_no_mistake(value: str | bytes) -> None:
    headers: dict[str, Any] = {"X-A": value}
    assert RefreshTokenGrant(URL, headers=headers)


def test_a_file_may_have_a_name_that_is_no_text(tmp_path: Path) -> None:
    """On Linux a name is bytes, and Python has it with half of a surrogate pair for each."""
    path = str(tmp_path / "caf\udce9.json")
    assert FileTokenStore(path).load() is None
    assert TokenSource(lambda _token: "a", origins=["https://a"], store=path)


# -- On the command line -------------------------------------------------------------------------

OPTIONS = ["--store", "a file/token.json", "--token-url", URL, "--client-id", "a"]
GET = ["get", "https://api.example.com/", *OPTIONS]
LINES: dict[str, list[str]] = {
    "a command": ["st{}atus"],
    "an option of no command": ["--{}"],
    "an option": ["status", "--{}"],
    "the store of status": ["status", "--store", "a file/{}"],
    "the store of login": ["login", "--store", "a file/{}"],
    "the store of logout": ["logout", "--store", "a file/{}"],
    "a picture": ["demo", "--svg", "a file/{}/a"],
    "a number": ["serve", "--port", "{}"],
    "one too many": [*GET, "{}"],
    "the URL": ["get", "https://api.example.com/{}", *OPTIONS],
    "the token endpoint": [*GET, "--token-url", URL + "/{}"],
    "the client": [*GET, "--client-id", "{}"],
    "a file": [*GET, "--client-secret-file", "a file/{}"],
    "a header": [*GET, "-H", "X-A: {}"],
    "the name of a header": [*GET, "-H", "X-{}: a"],
    "no header": [*GET, "-H", "{}"],
    "data": [*GET, "-d", "{}"],
    "a file of data": [*GET, "-d", "@a file/{}"],
    "a method": [*GET, "-X", "{}"],
    "a place of the token": [*GET, "--attach", "{}"],
}
# What Python makes of a byte that is no text, what it makes of none, and what no argument has.
PARTS = {"of a byte": "s3cret\udcff", "half a character": "\ud800", "NUL": "a\0b"}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("line", LINES)
def test_half_a_character_on_the_command_line_is_a_message(
    line: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.chdir(tmp_path)
    arguments = [one.format(PARTS[part]) for one in LINES[line]]
    result = cli_runner().invoke(command, arguments, input='{"access_token": "a"}')
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code in (2, 3, 5)  # a file may be called so, and there is none
    assert "Error: " in result.stderr
    assert harmful(result.stdout + result.stderr, lines=True) == set()
    if line in ("a header", "the name of a header", "no header", "data"):
        assert "s3cret" not in result.stdout + result.stderr


def test_a_secret_in_the_environment_that_is_no_text_is_a_message() -> None:
    env = {"REQUESTS_TOKENREFRESH_CLIENT_SECRET": "s3cret\udcff"}
    result = cli_runner().invoke(command, GET, env=env)
    assert result.exit_code == 2
    assert "client_secret has half a character" in result.stderr
    assert "s3cret" not in result.stdout + result.stderr


@pytest.mark.parametrize("stdin", [True, False])
def test_a_file_with_a_secret_that_is_no_text_is_a_message(tmp_path: Path, stdin: bool) -> None:
    (tmp_path / "secret").write_bytes(b"s3cret\xff")
    name = "-" if stdin else str(tmp_path / "secret")
    result = cli_runner().invoke(command, [*GET, "--client-secret-file", name], input=b"s3cret\xff")
    assert result.exit_code == 2
    assert "is not UTF-8 text" in " ".join(result.stderr.split())
    assert "s3cret" not in result.stdout + result.stderr
