"""What `store=` may be."""

import pathlib
from types import SimpleNamespace

import pytest

import requests_tokenrefresh
from requests_tokenrefresh import open_login, stores
from requests_tokenrefresh.stores import FileTokenStore, MemoryTokenStore, TokenStore, open_store


class PathLike:
    def __fspath__(self) -> str:
        return "/nowhere/token.json"


class OwnStore:
    """A store written elsewhere: it has the methods, and none of our classes above it."""

    shared = False

    def load(self): ...
    def save(self, token): ...
    def clear(self): ...
    def lock(self, timeout): ...


def test_nothing_is_a_memory_store_of_its_own():
    first, second = open_store(None), open_store(None)
    assert type(first) is type(second) is MemoryTokenStore
    assert first is not second


@pytest.mark.parametrize(
    "path", ["/nowhere/token.json", pathlib.Path("/nowhere/token.json"), PathLike()], ids=type
)
def test_a_path_is_a_file_store(path):
    store = open_store(path)
    assert type(store) is FileTokenStore
    assert store.path == pathlib.Path("/nowhere/token.json")


@pytest.mark.parametrize("store", [MemoryTokenStore(), FileTokenStore("t"), OwnStore()], ids=type)
def test_a_store_is_itself(store):
    assert open_store(store) is store


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (b"/nowhere/token.json", "got bytes"),
        (7, "got int"),
        ({"access_token": "secret-access"}, "got dict"),
        (
            SimpleNamespace(load=print, save=print),
            "got SimpleNamespace, which has no clear and no lock (see TokenStore)",
        ),
        (MemoryTokenStore, "got MemoryTokenStore itself"),
        (OwnStore, "got OwnStore itself"),
    ],
    ids=["bytes", "number", "mapping", "half a store", "our class", "own class"],
)
def test_anything_else_is_refused_with_what_to_pass_instead(wrong, named):
    with pytest.raises(TypeError, match=r"FileTokenStore\(path\)") as raised:
        open_store(wrong)
    assert str(raised.value).endswith(named)
    assert "secret" not in str(raised.value)


def test_a_login_is_opened_where_it_is_and_not_in_memory():
    with pytest.raises(TypeError, match="a path, or a token store; got None"):
        open_login(None)


def test_an_empty_path_is_refused():
    with pytest.raises(ValueError, match="cannot name a file"):
        open_store("")


def test_the_stores_and_their_protocol_are_public():
    assert stores.__all__ == sorted(set(stores.__all__))
    assert set(stores.__all__) - {"open_store"} <= set(requests_tokenrefresh.__all__)
    assert stores.TokenStore is TokenStore


def test_a_url_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="such as RedisTokenStore"):
        open_store("redis://:secret@127.0.0.1/0")
    assert list(tmp_path.iterdir()) == []
