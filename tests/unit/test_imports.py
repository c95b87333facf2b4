"""What `import requests_tokenrefresh` brings along, and what waits until it is used."""

from __future__ import annotations

import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import requests_tokenrefresh
from requests_tokenrefresh import FileTokenStore, RefreshTokenGrant, _on_demand
from requests_tokenrefresh._on_demand import import_the_rest_of
from tests.support.length import long

# What takes long to import, and what a program may not have at all.
NEEDED = {"filelock", "oauthlib"}
HEAVY = NEEDED | {"asyncio", "cryptography", "keyring", "redis", "sqlalchemy", "valkey"}
FOR_PEOPLE = {"http.server", "rich", "segno", "socketserver", "webbrowser"}
HEAVY |= FOR_PEOPLE | {"subprocess"}

ON_DEMAND = [
    "AuthorizationCodeGrant",
    "AuthorizationServer",
    "ClientCredentialsGrant",
    "DeviceCodeGrant",
    "FileTokenStore",
    "Installation",
    "JSONRefresh",
    "KeyringTokenStore",
    "RedisTokenStore",
    "RefreshTokenGrant",
    "SQLTokenStore",
    "install",
    "log_in",
    "mount",
    "open_login",
    "uninstall",
]


def heavy_after(code: str, *arguments: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has after *code*, and requests has not.

    Old versions of it have cryptography.
    """
    program = f"""
import sys
import requests
before = set(sys.modules)
{code}
print(*{HEAVY} & (set(sys.modules) - before))
"""
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return set(done.stdout.split())


def test_an_import_brings_nothing_that_is_not_used() -> None:
    code = (
        "import requests_tokenrefresh\n"
        "from requests_tokenrefresh import TokenRefreshAdapter, TokenSource, install, mount\n"
        "from requests_tokenrefresh import JSONRefresh, RedisTokenStore, SQLTokenStore"
    )
    assert heavy_after(code) == set()


def test_a_command_begins_without_what_only_others_need() -> None:
    code = "from requests_tokenrefresh.cli.command import command\ncommand.get_command(None, 'get')"
    assert heavy_after(code) & FOR_PEOPLE == set()


def test_a_login_that_is_stored_is_opened_without_what_a_new_one_needs() -> None:
    code = "from requests_tokenrefresh import open_login"
    assert heavy_after(code) & FOR_PEOPLE == set()


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("RefreshTokenGrant", "oauthlib"),
        ("FileTokenStore", "filelock"),
        *long(
            "process-life",
            ("AuthorizationCodeGrant", "oauthlib"),
            ("ClientCredentialsGrant", "oauthlib"),
            ("DeviceCodeGrant", "oauthlib"),
            ("KeyringTokenStore", "filelock"),
        ),
    ],
)
def test_a_class_has_what_it_needs_before_an_object_is_made(name: str, needs: str) -> None:
    assert heavy_after(f"from requests_tokenrefresh import {name}") & NEEDED == {needs}


def test_a_source_for_a_file_has_what_the_first_refresh_will_need(tmp_path: Path) -> None:
    """And not only when it refreshes: a program that ends can import nothing then."""
    code = (
        "from requests_tokenrefresh import TokenSource\n"
        "TokenSource(print, origins=['https://api.example.com'], store=sys.argv[1])"
    )
    assert heavy_after(code, str(tmp_path / "token.json")) & NEEDED == {"filelock"}


def test_what_is_unpickled_has_what_it_needs(tmp_path: Path) -> None:
    grant = RefreshTokenGrant("https://auth.example.com/oauth/token", client_id="reports")
    pickled = pickle.dumps([grant, FileTokenStore(tmp_path / "token.json")])
    code = "import pickle\npickle.loads(bytes.fromhex(sys.argv[1]))"
    assert heavy_after(code, pickled.hex()) & NEEDED == NEEDED


def test_many_threads_may_be_the_first_to_use_a_name() -> None:
    code = f"""
import threading
import requests_tokenrefresh
threads = threading.Barrier(8)
found = []
def use():
    threads.wait()
    for name in {ON_DEMAND}:
        found.append(getattr(requests_tokenrefresh, name))
started = [threading.Thread(target=use) for _ in range(8)]
for thread in started:
    thread.start()
for thread in started:
    thread.join()
assert len(found) == 8 * {len(ON_DEMAND)}
assert len(set(found)) == {len(ON_DEMAND)}
"""
    assert heavy_after(code) & NEEDED == NEEDED


@pytest.mark.parametrize("name", ON_DEMAND)
def test_a_name_on_demand_is_listed_and_found(name: str) -> None:
    assert name in dir(requests_tokenrefresh)
    assert getattr(requests_tokenrefresh, name).__name__ == name


class Lazy:
    """What Python 3.15 has for a name whose module is imported when it is used."""

    def __init__(self, load: Callable[[], object]) -> None:
        self.load = load


class LazyModule(types.ModuleType):
    def __getattribute__(self, name: str) -> object:
        value = super().__getattribute__(name)
        if isinstance(value, Lazy):
            value = value.load()
            setattr(self, name, value)
        return value


def test_what_a_package_leaves_until_it_is_used_can_be_imported_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also what only that leaves; not what another leaves, nor what cannot be imported."""

    def module(path: str, **names: object) -> types.ModuleType:
        made = LazyModule(path)
        vars(made).update(names)
        monkeypatch.setitem(sys.modules, path, made)
        return made

    def absent() -> object:
        raise ImportError

    monkeypatch.setattr(_on_demand, "_Lazy", Lazy)
    last = Lazy(lambda: "the last")
    names = {"absent": Lazy(absent), "later": Lazy(lambda: module("leaving.later", last=last))}
    leaving, another = module("leaving", **names), module("leaving_nothing", later=last)
    import_the_rest_of("leaving")
    assert vars(leaving)["absent"] is names["absent"]
    assert vars(leaving)["later"] is sys.modules["leaving.later"]
    assert vars(sys.modules["leaving.later"])["last"] == "the last"
    assert vars(another)["later"] is last


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match=r"^module 'requests_tokenrefresh' has no .* 'Grant'$"):
        requests_tokenrefresh.Grant  # type: ignore[attr-defined]  # noqa: B018
