"""`login`, `logout` and `status`: what they store, what they tell, and what they never tell."""

import base64
import json
import stat
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from requests_tokenrefresh import FileTokenStore, StoredPause, Token
from requests_tokenrefresh.cli.command import command
from tests.support.cli_runner import cli_runner
from tests.support.disks import disk

__all__ = ["disk"]  # a fixture

SECRETS = ("access-secret", "refresh-secret")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token.json"


def run(*arguments: object, stdin: str | bytes = "") -> Result:
    return cli_runner().invoke(command, [str(argument) for argument in arguments], input=stdin)


def stored(path: Path, **fields: Any) -> Path:
    FileTokenStore(path).save(
        Token(**{"access_token": SECRETS[0], "refresh_token": SECRETS[1]} | fields)
    )
    return path


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{body}.signature"


def told(result: Result) -> dict[str, str]:
    """What `status` says, by the name at the beginning of the line."""
    lines = (line.partition(":") for line in result.stdout.splitlines())
    return {name: value.strip() for name, _, value in lines}


# -- login ---------------------------------------------------------------------------------------


def test_login_stores_a_token_reply_for_its_owner_only(path):
    before = time.time()
    reply = {"access_token": SECRETS[0], "refresh_token": SECRETS[1], "expires_in": 60}
    result = run("login", "--store", path, stdin=json.dumps(reply))
    assert result.exit_code == 0
    assert result.stdout == f"Logged in; the login is in {path}.\n"
    token = FileTokenStore(path).load()
    assert (token.access_token, token.refresh_token) == SECRETS
    assert before + 60 <= token.expires_at <= time.time() + 60
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_login_replaces_the_login_before(path):
    stored(path, access_token="old")
    assert run("login", "--store", path, stdin='{"access_token": "new"}').exit_code == 0
    assert FileTokenStore(path).load() == Token("new")


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("", "no token reply on standard input; for a person to log in, pass --issuer"),
        (" \n", "no token reply on standard input; for a person to log in, pass --issuer"),
        (SECRETS[0], "not JSON"),
        ('{"access_token": "access-secret"', "not JSON, see line 1, column 33"),
        (b"\xff\xfe\x00", "codec can't decode"),
        ("[" * 100_000, "this is not a token reply"),
        ('["access-secret"]', "a token reply is a mapping, got list"),
        ('{"refresh_token": "refresh-secret"}', "has no access_token"),
        ('{"access_token": "access-secret\\nX"}', "characters that cannot stand in a header"),
    ],
    ids=[
        "nothing",
        "next to nothing",
        "not JSON",
        "cut off",
        "bytes",
        "deep",
        "list",
        "no token",
        "line end",
    ],
)
def test_login_refuses_what_is_not_a_token_reply_without_repeating_it(path, reply, problem):
    result = run("login", "--store", path, stdin=reply)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert "access-secret" not in result.output
    assert not path.exists()


def test_login_reads_a_megabyte_at_most(path):
    reply = json.dumps({"padding": "x" * (1 << 20), "access_token": "access-secret"})
    assert run("login", "--store", path, stdin=reply).exit_code == 2


# -- logout --------------------------------------------------------------------------------------


def test_logout_removes_the_login_and_says_if_nobody_was_told(path):
    result = run("logout", "--store", stored(path))
    assert result.exit_code == 0
    assert result.stdout == "Logged out here; nobody was told: the tokens stay good.\n"
    assert not path.exists()


def test_logout_without_a_login_is_no_error(path):
    result = run("logout", "--store", path)
    assert result.exit_code == 0
    assert result.stdout == f"Logged out; there is no login in {path}.\n"


# -- status --------------------------------------------------------------------------------------


def test_status_without_a_login_says_so(path):
    result = run("status", "--store", path)
    assert result.exit_code == 3
    assert result.stderr == (
        f"Error: nobody has logged in: there is no {path}; to log in, pass --issuer and "
        "--client-id to requests-tokenrefresh login\n"
    )


def test_status_tells_what_the_reply_said_and_no_part_of_a_token(path):
    result = run("status", "--store", stored(path, extra={"scope": "read", "client_id": "cron"}))
    assert result.exit_code == 0
    assert told(result) == {
        "login": "unknown: the tokens do not say",
        "client": "cron",
        "scope": "read",
        "expires": "unknown: the token reply did not say",
        "refresh token": "yes",
        "fingerprint": "894e01a8315f (SHA-256 of the access token)",
    }
    assert not any(secret in result.output for secret in SECRETS)


def test_status_json_has_the_same_for_programs(path):
    expires_at = time.time() + 60
    result = run("status", "--json", "--store", stored(path, expires_at=expires_at))
    facts = json.loads(result.stdout)
    assert 55 < facts.pop("expires_in") <= 60
    assert facts == {
        "subject": None,
        "subject_source": None,
        "issuer": None,
        "client_id": None,
        "scope": None,
        "origins": [],
        "expires_at": expires_at,
        "expired": False,
        "has_refresh_token": True,
        "fingerprint": "894e01a8315f",
        "pause": None,
    }


@pytest.mark.parametrize(
    ("claims", "whose"),
    [
        ({"sub": "42"}, "42"),
        ({"sub": "42", "preferred_username": "ann"}, "ann"),
        ({"sub": "42", "preferred_username": "ann", "email": "ann@example.com"}, "ann@example.com"),
    ],
)
def test_status_knows_whose_login_it_is_from_an_id_token(path, claims, whose):
    stored(path, extra={"id_token": jwt(iss="https://auth.example.com", azp="cron", **claims)})
    lines = told(run("status", "--store", path))
    assert lines["login"] == f"{whose} (says the id_token; not verified)"
    assert lines["issuer"] == "https://auth.example.com"
    assert lines["client"] == "cron"


def test_status_knows_whose_login_it_is_from_a_jwt_access_token(path):
    token = jwt(sub="ann", client_id="cron", scope="read")
    result = run("status", "--store", stored(path, access_token=token))
    assert told(result)["login"] == "ann (says the access_token; not verified)"
    assert told(result)["client"] == "cron"
    assert told(result)["scope"] == "read"
    assert token.split(".")[1] not in result.output


@pytest.mark.parametrize(
    "id_token",
    [7, "opaque", "a.b.c", "a." + base64.b64encode(b"[1]").decode() + ".c", "a.é.c"],
)
def test_status_takes_an_id_token_that_is_no_jwt_for_none(path, id_token):
    stored(path, extra={"id_token": id_token})
    assert told(run("status", "--store", path))["login"] == "unknown: the tokens do not say"


def test_status_shows_a_terminal_nothing_that_it_would_obey(path):
    stored(path, extra={"id_token": jwt(sub="\x1b]0;owned\x07"), "scope": "[red]a\nb"})
    result = run("status", "--store", path)
    assert "\x1b" not in result.stdout
    assert told(result)["login"].startswith(r"\x1b]0;owned\x07 (says")
    assert told(result)["scope"] == r"[red]a\nb"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (9.5, "in 9 s ("),
        (0.5, "in 0 s ("),
        (75.5, "in 1 min 15 s ("),
        (3 * 3600 + 0.5, "in 3 h ("),
        (2 * 86400 + 5 * 3600 + 59, "in 2 d 5 h ("),
        (-61.5, "1 min 1 s ago ("),
    ],
)
def test_status_tells_when_the_token_expires(path, monkeypatch, seconds, words):
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    expires_at = 1_700_000_000.0 + seconds
    line = told(run("status", "--store", stored(path, expires_at=expires_at)))["expires"]
    assert line.startswith(words)
    moment = datetime.fromisoformat(line.partition("(")[2].rstrip(")"))
    assert moment.timestamp() == int(expires_at)


def test_status_does_not_stumble_over_an_expiry_beyond_the_calendar(path):
    line = told(run("status", "--store", stored(path, expires_at=1e300)))["expires"]
    assert line.endswith("(beyond the calendar)")


@pytest.mark.parametrize(("refresh_token", "exit_code"), [("refresh-secret", 0), (None, 3)])
def test_an_expired_token_without_a_refresh_token_is_time_to_log_in(path, refresh_token, exit_code):
    result = run(
        "status", "--json", "--store", stored(path, refresh_token=refresh_token, expires_at=1.0)
    )
    assert result.exit_code == exit_code
    facts = json.loads(result.stdout)
    assert facts["expired"] is True
    assert facts["has_refresh_token"] is (refresh_token is not None)


def test_a_token_that_is_still_good_needs_no_refresh_token_yet(path):
    stored(path, refresh_token=None, expires_at=time.time() + 60)
    result = run("status", "--store", path)
    assert result.exit_code == 0
    assert told(result)["refresh token"] == "no"


@pytest.mark.parametrize(
    ("seconds", "failures", "words"),
    [
        (-1.0, 1, None),
        (75.5, 1, "1 min 15 s: the token endpoint has failed once, and is not asked sooner"),
        (0.5, 7, "0 s: the token endpoint has failed 7 times, and is not asked sooner"),
        (1e9, 2, "1 h: the token endpoint has failed 2 times, and is not asked sooner"),
    ],
)
def test_status_tells_of_a_pause_of_an_hour_at_most(path, monkeypatch, seconds, failures, words):
    """It may have been told by another clock."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    FileTokenStore(stored(path)).save_pause(
        StoredPause(1_700_000_000.0 + seconds, seconds, failures)
    )
    result = run("status", "--store", path)
    assert result.exit_code == 0
    assert told(result).get("pause") == words
    facts = json.loads(run("status", "--json", "--store", path).stdout)
    pause = {"seconds": min(seconds, 3600), "failures": failures}
    assert facts["pause"] == (None if seconds < 0 else pause)


def test_login_ends_a_pause(path):
    FileTokenStore(stored(path)).save_pause(StoredPause(time.time() + 60, 60, 1))
    assert run("login", "--store", path, stdin='{"access_token": "new"}').exit_code == 0
    assert FileTokenStore(path).load_pause() is None


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_status_tells_that_a_refreshed_login_could_not_be_stored(disk, options):
    path = stored(disk.folder / "token.json")
    disk.make_read_only()
    result = run("status", *options, "--store", path)
    assert result.exit_code == 5
    assert result.stderr.startswith(f"Error: cannot write the token file {path}")
    assert f"let this user write into {disk.folder}" in result.stderr
    assert "fingerprint" in result.stdout


def test_status_of_a_login_that_is_not_refreshed_needs_no_room(disk):
    path = stored(disk.folder / "token.json", refresh_token=None)
    disk.make_read_only()
    assert run("status", "--store", path).exit_code == 0


def test_login_says_the_same_and_leaves_the_login_that_is_there(disk):
    path = stored(disk.folder / "token.json", access_token="old")
    disk.mount(path)
    result = run("login", "--store", path, stdin='{"access_token": "new"}')
    assert result.exit_code == 5
    assert "is mounted by itself, and cannot be replaced; mount the folder" in result.stderr
    assert "new" not in result.output
    assert FileTokenStore(path).load().access_token == "old"


# -- all three -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["login", "logout", "status"])
def test_a_file_that_others_can_read_is_refused_as_it_is(path, name):
    stored(path).chmod(0o644)
    before = path.read_bytes()
    result = run(name, "--store", path, stdin='{"access_token": "new"}')
    assert result.exit_code == 5
    assert "chmod 600" in result.stderr
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]  # no lock either, which might be root's


@pytest.mark.parametrize(("name", "output"), [("login", "in"), ("status", ""), ("logout", "out")])
def test_a_file_that_others_can_read_can_be_taken_by_name(path, name, output):
    stored(path).chmod(0o644)
    result = run(name, "--store", path, "--no-private", stdin='{"access_token": "new"}')
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Logged {output}" if output else "login:")


@pytest.mark.parametrize("name", ["login", "logout", "status"])
def test_a_store_that_cannot_be_a_file_is_a_usage_error(name):
    result = run(name, "--store", "")
    assert result.exit_code == 2
    assert "cannot name a file" in result.stderr
