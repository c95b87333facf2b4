"""What `RedisTokenStore` keeps in a real Valkey, through every kind of client."""

import re
import threading
from collections.abc import Callable, Iterator

import pytest
import redis
import redis.sentinel
import valkey as valkey_package
import valkey.sentinel

from requests_tokenrefresh import (
    RedisTokenStore,
    StoreContentError,
    StoreDataLostError,
    StoredPause,
    StoreLockTimeoutError,
    StoreUnavailableError,
    Token,
)
from requests_tokenrefresh.stores import _redis_server
from tests.support.redis_proxy import RedisProxy
from tests.support.threads import start_together, wait_until
from tests.support.tls_front import tls_front
from tests.support.valkey_server import ValkeyServer

OLD = Token("old-access", "old-refresh", issued_at=1_690_000_000.0)
NEW = Token("new-access", "new-refresh", issued_at=1_700_000_000.0)
PAUSE = StoredPause(1_700_000_000.125, 2.5, 3)
LOGIN = "tokenrefresh:{reports}"


class Inverting:
    """A cipher whose output is no text."""

    def encrypt(self, data: bytes) -> bytes:
        return bytes(255 - byte for byte in data)

    decrypt = encrypt


def redis_url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("valkey").url


def valkey_url(request: pytest.FixtureRequest) -> str:
    return redis_url(request).replace("redis://", "valkey://")


def unix_url(request: pytest.FixtureRequest) -> str:
    path = request.getfixturevalue("tmp_path") / "valkey"
    request.getfixturevalue("valkey_server")("--unixsocket", str(path))
    return f"unix://{path}"


def tls_url(request: pytest.FixtureRequest) -> str:
    folder = request.getfixturevalue("tmp_path")
    front = tls_front(request.getfixturevalue("valkey").port, folder)
    way_in = front.__enter__()
    request.addfinalizer(lambda: front.__exit__(None, None, None))
    return f"rediss://127.0.0.1:{way_in.port}/0?ssl_ca_certs={way_in.certificate}"


def client_of(package, **options):
    def open_client(request: pytest.FixtureRequest) -> object:
        client = package.from_url(redis_url(request), **options)
        request.addfinalizer(client.close)
        return client

    return open_client


def cluster_client_of(kind):
    def open_client(request: pytest.FixtureRequest) -> object:
        server = request.getfixturevalue("valkey_cluster")
        server.command("DEL", LOGIN, f"{LOGIN}:lock", f"{LOGIN}:wake")
        client = kind.from_url(server.url)
        request.addfinalizer(client.close)
        return client

    return open_client


def sentinel_client_of(module):
    def open_client(request: pytest.FixtureRequest) -> object:
        primary = request.getfixturevalue("valkey")
        watcher = request.getfixturevalue("valkey_sentinel")(primary, name="logins", replicas=0)
        sentinel = module.Sentinel([("127.0.0.1", watcher.port)])
        client = sentinel.master_for("logins")
        request.addfinalizer(client.close)
        request.addfinalizer(sentinel.sentinels[0].close)
        return client

    return open_client


WAYS_IN: dict[str, Callable[[pytest.FixtureRequest], object]] = {
    "redis://": redis_url,
    "valkey://": valkey_url,
    "unix://": unix_url,
    "rediss://": tls_url,
    "redis.Redis": client_of(redis),
    "redis.Redis, decoding": client_of(redis, decode_responses=True),
    "redis.Redis, RESP2": client_of(redis, protocol=2),
    "redis.RedisCluster": cluster_client_of(redis.RedisCluster),
    "redis Sentinel": sentinel_client_of(redis.sentinel),
    "valkey.Valkey": client_of(valkey_package),
    "valkey.Valkey, decoding": client_of(valkey_package, decode_responses=True),
    "valkey.Valkey, RESP3": client_of(valkey_package, protocol=3),
    "valkey.ValkeyCluster": cluster_client_of(valkey_package.ValkeyCluster),
    "valkey Sentinel": sentinel_client_of(valkey.sentinel),
}


@pytest.fixture(params=WAYS_IN)
def client_or_url(request: pytest.FixtureRequest) -> object:
    return WAYS_IN[request.param](request)


@pytest.fixture
def store(valkey: ValkeyServer) -> RedisTokenStore:
    return RedisTokenStore(valkey.url, key="reports")


@pytest.fixture
def short_patience(monkeypatch):
    """With the replicas."""
    monkeypatch.setattr(_redis_server, "_REPLICATION_TIMEOUT", 0.05)


# Every way in


def test_every_client_takes_a_turn_with_what_is_no_text(client_or_url):
    store = RedisTokenStore(client_or_url, key="reports", cipher=Inverting())
    assert store.load() is None
    with store.lock(0):
        store.save(NEW)
        assert store.load() == NEW
    store.clear()
    assert store.load() is None


def test_every_client_waits_for_its_turn(client_or_url):
    store = RedisTokenStore(client_or_url, key="reports")

    def wait_for_a_turn() -> Token | None:
        with store.lock(20):
            return store.load()

    with store.lock(0):
        with pytest.raises(StoreLockTimeoutError):
            store.lock(0.02).__enter__()
        waiter = start_together(1, wait_for_a_turn)
        store.save(NEW)
    assert [outcome.result() for outcome in waiter.outcomes()] == [NEW]


@pytest.mark.parametrize("kind", [redis.RedisCluster, valkey_package.ValkeyCluster])
def test_every_cluster_client_asks_the_right_node_for_its_replicas(request, short_patience, kind):
    client = cluster_client_of(kind)(request)
    store = RedisTokenStore(client, key="reports", replicas=1)
    with pytest.raises(StoreUnavailableError, match="0 of 1 replicas have it"):
        store.save(NEW)
    assert store.load() == NEW


# What is in Redis


def test_a_login_is_one_hash_and_a_turn_leaves_two_keys_that_expire(store, valkey):
    with store.lock(0):
        store.save(NEW)
        assert set(valkey.command("KEYS", "*")) == {LOGIN, f"{LOGIN}:lock"}
        assert 0 < valkey.command("PTTL", f"{LOGIN}:lock") <= 10_000
    assert set(valkey.command("KEYS", "*")) == {LOGIN, f"{LOGIN}:wake"}
    assert 0 < valkey.command("PTTL", f"{LOGIN}:wake") <= 10_000
    assert set(valkey.command("HGETALL", LOGIN)) == {"token", "version", "fence"}
    assert valkey.command("PTTL", LOGIN) == -1


def test_what_a_cleared_login_leaves_behind_says_that_it_was_cleared(store, valkey):
    store.save(NEW)
    store.clear()
    assert set(valkey.command("HGETALL", LOGIN)) == {"version", "fence"}


def test_logins_of_different_keys_are_independent(valkey):
    reports, invoices = (RedisTokenStore(valkey.url, key=key) for key in ("reports", "invoices"))
    reports.save(NEW)
    with reports.lock(0), invoices.lock(0):
        invoices.save(OLD)
    reports.clear()
    assert (reports.load(), invoices.load()) == (None, OLD)


def test_a_reply_put_there_by_hand_is_read(store, valkey):
    valkey.command("HSET", LOGIN, "token", '{"access_token": "by-hand", "expires_in": 60}')
    loaded = store.load()
    assert (loaded.access_token, loaded.expires_at) == ("by-hand", 60)  # nobody knows since when
    store.save(NEW)
    assert store.load() == NEW


NO_NUMBERS = ["", "-1", "1e300", "nan", "inf", "0x10", "5.5", " 5", "9" * 19, "9" * 5000, "٣"]


@pytest.mark.parametrize("operation", ["load", "clear"])
@pytest.mark.parametrize("version", [*NO_NUMBERS, str(2**53)], ids=lambda it: it[:20])
def test_a_version_that_is_no_number_is_corrupt(store, valkey, operation, version):
    valkey.command("HSET", LOGIN, "version", version)
    with pytest.raises(StoreContentError, match=r"\{reports\}.*its version is no number"):
        getattr(store, operation)()
    assert valkey.command("HGETALL", LOGIN) == {"version": version}


def test_the_highest_version_is_one_still_after_a_write(store, valkey):
    """What others have written is no reason to lose what is saved."""
    store.save(OLD)
    valkey.command("HSET", LOGIN, "version", str(2**53 - 1))
    with store.lock(0):
        store.save(NEW)
    assert store.load() == NEW


FENCES = [*NO_NUMBERS, "-inf", str(2**53 - 1), str(2**63 - 1)]


@pytest.mark.parametrize("fence", FENCES, ids=lambda it: it[:20])
def test_a_fence_that_nobody_has_given_out_stands_in_nobodys_way(store, valkey, fence):
    """Or every turn from now on would be one that is over."""
    store.save(OLD)
    valkey.command("HSET", LOGIN, "fence", fence)
    with store.lock(0):
        assert store.load() == OLD
        store.ensure_can_save()
        store.save_pause(PAUSE)
        store.save(NEW)
    assert store.load() == NEW


@pytest.mark.parametrize("operation", ["load", "save", "clear", "lock"])
def test_a_key_of_another_kind_is_corrupt_and_stays(store, valkey, operation):
    valkey.command("SET", LOGIN, "somebody else's")
    operations = {
        "load": store.load,
        "save": lambda: store.save(NEW),
        "clear": store.clear,
        "lock": lambda: store.lock(0).__enter__(),
    }
    with pytest.raises(StoreContentError, match=r"\{reports\}.*WRONGTYPE") as raised:
        operations[operation]()
    assert raised.value.__context__ is None
    assert valkey.command("GET", LOGIN) == "somebody else's"
    assert valkey.command("EXISTS", f"{LOGIN}:lock") == 0


PERMISSIONS, PERMISSIONS_WITH_REPLICAS = re.findall(
    r"``((?:~\S+ )?\+[^`]+)``", " ".join((RedisTokenStore.__doc__ or "").split())
)[:2]


def use_everything(url: str) -> None:
    store = RedisTokenStore(url, key="reports")
    store.save(NEW)
    with store.lock(0):
        store.load()
        store.load_pause()
        store.save_pause(PAUSE)
        store.ensure_can_save()
        with pytest.raises(StoreLockTimeoutError):
            store.lock(0.01).__enter__()
        store.clear()


@pytest.fixture(scope="module")
def guarded_valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


def url_with(permissions: list[str], server: ValkeyServer) -> str:
    server.clear()
    server.command("ACL", "SETUSER", "worker", "reset", "on", ">pw", *permissions)
    return server.url.replace("127.0.0.1", "worker:pw@127.0.0.1")


def test_the_documented_permissions_are_enough(guarded_valkey, caplog):
    use_everything(url_with(PERMISSIONS.split(), guarded_valkey))
    assert caplog.messages == []


@pytest.mark.parametrize("missing", PERMISSIONS.split()[1:])
def test_every_documented_permission_is_needed(guarded_valkey, caplog, missing):
    permissions = [granted for granted in PERMISSIONS.split() if granted != missing]
    url = url_with(permissions, guarded_valkey)
    try:
        use_everything(url)
    except StoreUnavailableError as error:
        caplog.records.clear()
        told = [str(error)]
    else:
        told = caplog.messages
    if missing == "+blpop":  # then it looks ten times a second
        assert told == []
    else:
        assert len(told) == 1
        assert f"no permissions to run the '{missing[1:]}' command" in told[0]


def test_what_replicas_take_is_documented(guarded_valkey, short_patience):
    url = url_with([*PERMISSIONS.split(), *PERMISSIONS_WITH_REPLICAS.split()], guarded_valkey)
    store = RedisTokenStore(url, key="reports", replicas=1)
    with pytest.raises(StoreUnavailableError, match="0 of 1 replicas have it"):
        store.save(NEW)


# Encrypted, for one login


def test_the_token_of_another_key_is_not_taken_for_this_one(valkey):
    cipher = Inverting()
    alice, bob = (RedisTokenStore(valkey.url, key=key, cipher=cipher) for key in ("alice", "bob"))
    alice.save(OLD)
    bob.save(NEW)
    script = "redis.call('HSET', KEYS[2], 'token', redis.call('HGET', KEYS[1], 'token'))"
    valkey.command("EVAL", script, "2", "tokenrefresh:{alice}", "tokenrefresh:{bob}")
    for refused in (bob.load, lambda: bob.save(OLD), bob.clear):
        with pytest.raises(
            StoreContentError, match="was encrypted under another name, or under none"
        ):
            refused()
    assert alice.load() == OLD


# Whether it can be written, and a pause


def test_a_replica_and_a_full_server_are_found_before_anything_is_written(valkey_server):
    primary = valkey_server()
    store = RedisTokenStore(primary.url, key="reports")
    store.save(OLD)
    primary.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailableError, match=r"cannot write .*refused .*OOM|OutOfMemory"):
        store.ensure_can_save()
    primary.command("CONFIG", "SET", "maxmemory", "0")
    store.ensure_can_save()
    replica = valkey_server(replica_of=primary)
    behind = RedisTokenStore(replica.url, key="reports")
    assert behind.load() == OLD
    with pytest.raises(StoreUnavailableError, match=r"cannot write .*READONLY|ReadOnlyError"):
        behind.ensure_can_save()
    assert store.load() == OLD


def test_a_pause_is_a_field_that_others_can_read(store, valkey):
    store.save(OLD)
    store.save_pause(PAUSE)
    assert valkey.command("HGET", LOGIN, "pause").split() == ["1700000000.125", "2.5", "3"]
    store.save_pause(None)
    assert valkey.command("HEXISTS", LOGIN, "pause") == 0


@pytest.mark.parametrize(
    "content", ["soon 2 1", "1 2", "nan 2 1", "inf 2 1", "1 nan 1", "1 -2 1", "1 2 -1", ""]
)
def test_a_pause_that_is_no_moment_is_none(store, valkey, content):
    valkey.command("HSET", LOGIN, "pause", content)
    assert store.load_pause() is None
    assert store.load() is None


# Lost data


def test_a_login_that_has_vanished_is_lost_and_not_logged_out(store, valkey):
    store.save(NEW)
    valkey.command("DEL", LOGIN)
    with pytest.raises(StoreDataLostError, match=r"\{reports\} has been lost.*log in again"):
        store.load()
    with pytest.raises(StoreDataLostError):
        store.load()
    store.save(OLD)
    assert store.load() == OLD


def test_a_cleared_login_that_has_vanished_is_lost(store, valkey):
    store.clear()
    assert store.load() is None
    valkey.command("DEL", LOGIN)
    with pytest.raises(StoreDataLostError):
        store.load()


def test_a_login_that_is_older_than_it_was_is_lost(store, valkey):
    store.save(OLD)
    before = valkey.command("HGETALL", LOGIN)
    store.save(NEW)
    for field, value in before.items():
        valkey.command("HSET", LOGIN, field, value)
    with pytest.raises(StoreDataLostError):
        store.load()


def test_whoever_has_not_seen_a_lost_login_sees_none(store, valkey):
    store.save(NEW)
    valkey.command("DEL", LOGIN)
    assert RedisTokenStore(valkey.url, key="reports").load() is None


def test_a_lost_login_is_found_again_by_all_when_one_saves(store, valkey):
    sibling = RedisTokenStore(valkey.url, key="reports")
    store.save(OLD)
    assert sibling.load() == OLD
    valkey.command("DEL", LOGIN)
    store.save(NEW)
    assert sibling.load() == NEW


def test_a_version_grows_though_the_clock_was_set_back(store, valkey):
    store.save(OLD)
    ahead = int(valkey.command("HGET", LOGIN, "version")) + 10**15
    valkey.command("HSET", LOGIN, "version", ahead)
    assert store.load() == OLD
    store.save(NEW)
    assert int(valkey.command("HGET", LOGIN, "version")) == ahead + 1
    valkey.command("DEL", LOGIN)
    store.save(NEW)
    assert int(valkey.command("HGET", LOGIN, "version")) == ahead + 2
    assert store.load() == NEW


def test_a_version_is_written_out_in_full(store, valkey):
    """Lua would write it as 2e+15."""
    valkey.command("HSET", LOGIN, "version", 1_999_999_999_999_999)
    store.save(NEW)
    assert valkey.command("HGET", LOGIN, "version") == "2000000000000000"
    assert store.load() == NEW


def test_an_answer_that_a_save_has_overtaken_is_old_and_not_lost(valkey):
    answered, saved = threading.Event(), threading.Event()

    def hold(command: bytes) -> None:
        if b"EVALSHA" in command and not answered.is_set():
            answered.set()
            assert saved.wait(20)

    with RedisProxy(valkey) as proxy:
        store = RedisTokenStore(proxy.url, key="reports")
        store.save(OLD)
        old = valkey.command("HGET", LOGIN, "version")
        proxy.on_reply = hold
        reader = start_together(1, store.load)
        wait_until(answered.is_set)
        store.save(NEW)
        saved.set()
        assert [outcome.result() for outcome in reader.outcomes()] == [OLD]
        valkey.command("HSET", LOGIN, "version", old)
        with pytest.raises(StoreDataLostError):
            store.load()
