"""What `RedisTokenStore` lets in, and what it says to the rest. No server is needed."""

import asyncio
import pickle
import sys

import pytest
import redis
import redis.asyncio
import valkey

from requests_tokenrefresh import RedisTokenStore
from requests_tokenrefresh.stores import open_store
from requests_tokenrefresh.stores._redis_server import RedisServer

URL = "redis://:secret@127.0.0.1:1/0"  # nobody listens there


@pytest.mark.parametrize("key", [None, 7, b"reports"])
def test_a_key_that_is_no_str_is_refused(key):
    with pytest.raises(TypeError, match="key is a str"):
        RedisTokenStore(URL, key=key)


@pytest.mark.parametrize("key", ["", "a{b", "a}b", "{a}"])
def test_a_key_that_would_spread_over_a_cluster_is_refused(key):
    with pytest.raises(ValueError, match="not empty and without braces"):
        RedisTokenStore(URL, key=key)


@pytest.mark.parametrize("lease", [None, "10", True])
def test_a_lease_that_is_no_number_is_refused(lease):
    with pytest.raises(TypeError, match="lease is a number of seconds"):
        RedisTokenStore(URL, key="reports", lease=lease)


@pytest.mark.parametrize("lease", [0, 0.09, -1, 3601, float("nan"), float("inf")])
def test_a_lease_that_cannot_be_renewed_or_outlived_is_refused(lease):
    with pytest.raises(ValueError, match=r"lease must be from 0\.1 to 3600 seconds"):
        RedisTokenStore(URL, key="reports", lease=lease)


@pytest.mark.parametrize("replicas", [None, "1", True, 1.0])
def test_a_number_of_replicas_that_is_none_is_refused(replicas):
    with pytest.raises(TypeError, match="replicas is a number of replicas"):
        RedisTokenStore(URL, key="reports", replicas=replicas)


def test_a_negative_number_of_replicas_is_refused():
    with pytest.raises(ValueError, match="replicas must be 0 or more"):
        RedisTokenStore(URL, key="reports", replicas=-1)


def test_a_cipher_that_is_none_is_refused():
    with pytest.raises(TypeError, match="cipher is an object"):
        RedisTokenStore(URL, key="reports", cipher=b"key")


@pytest.mark.parametrize(
    "given", [None, 7, b"redis://localhost", redis.Redis, redis.ConnectionPool()]
)
def test_what_is_neither_a_client_nor_a_url_is_refused(given):
    with pytest.raises(TypeError, match="client_or_url is a synchronous client"):
        RedisTokenStore(given, key="reports")


@pytest.mark.parametrize("package", [redis, valkey], ids=["redis", "valkey"])
def test_an_asynchronous_client_is_refused(package):
    client = package.asyncio.from_url("redis://127.0.0.1:1")
    with pytest.raises(TypeError, match=rf"synchronous client .* got {package.__name__}\.asyncio"):
        RedisTokenStore(client, key="reports")
    asyncio.run(client.aclose())


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "", "redis:/x", "mysql://x"])
def test_a_url_of_something_else_is_refused(url):
    with pytest.raises(ValueError, match="a Redis URL begins with one of"):
        RedisTokenStore(url, key="reports")


@pytest.mark.parametrize(
    "url",
    ["redis://:secret/word@localhost", "valkey://:p#secret@h", "redis://[secret@h"],
)
def test_a_url_that_cannot_be_read_is_refused_and_not_repeated(url):
    with pytest.raises(ValueError, match="is percent-encoded") as raised:
        RedisTokenStore(url, key="reports")
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_the_store_shows_its_key_and_no_password():
    store = RedisTokenStore(URL, key="reports")
    assert repr(store) == "RedisTokenStore(key='reports')"
    assert "secret" not in f"{vars(store)}"


def test_a_store_made_from_a_url_pickles_with_its_settings():
    store = RedisTokenStore(URL, key="reports", lease=3, replicas=2)
    copy = pickle.loads(pickle.dumps(store))
    assert pickle.dumps(copy) == pickle.dumps(store)
    assert (copy._lock.lease, copy._replicas, copy._name) == (3, 2, "tokenrefresh:{reports}")


@pytest.mark.parametrize("client", [redis.Redis(), valkey.Valkey()], ids=["redis", "valkey"])
def test_a_store_made_from_a_client_says_how_to_pickle(client):
    with pytest.raises(TypeError, match=r"make it from a URL, RedisTokenStore\(url, key=\.\.\.\)"):
        pickle.dumps(RedisTokenStore(client, key="reports"))


def test_a_source_takes_it_as_its_store():
    store = RedisTokenStore(URL, key="reports")
    assert open_store(store) is store


@pytest.mark.parametrize(
    ("url", "missing", "package"),
    [
        ("redis://h", [], "redis"),
        ("valkey://h", [], "valkey"),
        ("valkeys://h", ["valkey"], "redis"),
        ("rediss://h", ["redis"], "valkey"),
    ],
)
def test_either_package_opens_any_url(monkeypatch, url, missing, package):
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    server = RedisServer(url)
    [kind] = {type(server._client).__module__.split(".")[0]}
    assert kind == package
    assert server._client.connection_pool.connection_kwargs["host"] == "h"


def test_without_a_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "valkey", None)
    with pytest.raises(ImportError, match=r'pip install "requests-tokenrefresh\[redis\]"'):
        RedisTokenStore(URL, key="reports")


@pytest.mark.parametrize(
    ("url", "seconds"),
    [("redis://h", 5.0), ("valkey://h", 5.0), ("redis://h?socket_timeout=0.5", 0.5)],
)
def test_a_client_of_our_own_does_not_wait_for_ever(url, seconds):
    options = RedisServer(url)._client.connection_pool.connection_kwargs
    assert options["socket_timeout"] == seconds
    assert options["socket_connect_timeout"] == 5.0
