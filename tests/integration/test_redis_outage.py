"""A Valkey that restarts, is stopped, slow, full or replaced, while `RedisTokenStore` uses it."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest
import redis
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from requests_tokenrefresh import (
    RedisTokenStore,
    StoreDataLostError,
    StoreLockLostError,
    StoreUnavailableError,
    Token,
)
from requests_tokenrefresh.stores import _redis_server
from requests_tokenrefresh.stores._redis_server import RedisServer, Script
from requests_tokenrefresh.stores._secret import Secret
from tests.support.redis_proxy import RedisProxy
from tests.support.threads import start_together, wait_until
from tests.support.tracebacks import shown_by_tools
from tests.support.valkey_server import ValkeyServer

OLD = Token("old-access", "old-refresh", issued_at=1_690_000_000.0)
NEW = Token("new-access", "new-refresh", issued_at=1_700_000_000.0)

LOGIN = "tokenrefresh:{reports}"
LOCK = f"{LOGIN}:lock"


@pytest.fixture
def server(valkey_server) -> ValkeyServer:
    return valkey_server()


@pytest.fixture
def store(server: ValkeyServer) -> RedisTokenStore:
    return RedisTokenStore(server.url, key="reports")


def restart(server: ValkeyServer) -> None:
    server.kill()
    server.start()


def settle(primary: ValkeyServer) -> None:
    """Return when its replica confirms what it gets, which takes it a second at first."""
    with redis.Redis.from_url(primary.url) as client:
        pipeline = client.pipeline(transaction=False)
        pipeline.set("settled", "yes")
        pipeline.wait(1, 4000)
        assert pipeline.execute() == [True, 1]


# Restarts


def test_a_server_that_restarts_with_its_data_is_not_noticed(valkey_server):
    server = valkey_server(durable=True)
    store = RedisTokenStore(server.url, key="reports")
    store.save(OLD)
    with store.lock(0):
        assert store.load() == OLD
        restart(server)
        store.save(NEW)
    restart(server)
    assert store.load() == NEW


def test_a_server_that_restarts_empty_has_lost_the_login_until_somebody_saves(store, server):
    sibling = RedisTokenStore(server.url, key="reports")
    store.save(OLD)
    assert sibling.load() == OLD
    restart(server)
    for seen in (store, sibling):
        with pytest.raises(StoreDataLostError, match="appendonly yes"):
            seen.load()
    store.save(NEW)
    assert (store.load(), sibling.load()) == (NEW, NEW)


def test_a_new_token_is_saved_though_the_server_restarted_empty_in_the_turn(store, server):
    store.save(OLD)
    with store.lock(0):
        store.load()
        restart(server)
        store.save(NEW)
    assert store.load() == NEW
    with store.lock(0):
        pass


def test_a_holder_who_was_overtaken_after_an_empty_restart_is_refused(store, server):
    sibling = RedisTokenStore(server.url, key="reports")
    with store.lock(0):
        restart(server)
        with sibling.lock(0):
            sibling.save(NEW)
        with pytest.raises(StoreLockLostError):
            store.save(OLD)
    assert store.load() == NEW


def test_the_lease_is_taken_up_again_after_an_empty_restart(server, caplog):
    store = RedisTokenStore(server.url, key="reports", lease=0.1)
    with store.lock(0):
        fence = server.command("HGET", LOGIN, "fence")
        server.kill()
        wait_until(lambda: caplog.messages)  # the renewal has failed
        server.start()
        wait_until(lambda: server.command("EXISTS", LOCK))
        assert server.command("HGET", LOGIN, "fence") == fence
    assert all(
        message.startswith(f"cannot keep the Redis key {LOCK}: ") for message in caplog.messages
    )
    assert all(message.endswith("; trying again") for message in caplog.messages)


# Out of reach


def test_what_was_raised_in_a_turn_comes_out_though_the_lock_cannot_be_freed(store, server, caplog):
    error = OSError("in the turn")
    with pytest.raises(OSError, match="in the turn") as raised, store.lock(0):
        server.kill()
        raise error
    assert raised.value is error
    [message] = caplog.messages
    assert message.startswith(f"cannot free the Redis key {LOCK}: ")


def test_the_reason_is_told_without_the_token(store, server):
    store.save(OLD)
    server.kill()
    with pytest.raises(StoreUnavailableError, match=r"\{reports\}: .*onnect") as raised:
        store.save(NEW)
    assert isinstance(raised.value.__cause__, redis.ConnectionError)
    assert "new-" not in f"{raised.value} {raised.value.__cause__}"


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_a_server_that_stands_still_is_asked_once_and_no_longer_than_the_socket_timeout(
    server, store, scheme
):
    asked = []
    with RedisProxy(server) as proxy:
        url = f"{proxy.url}?socket_timeout=0.5".replace("redis", scheme)
        impatient = RedisTokenStore(url, key="reports", lease=0.1)
        impatient.save(OLD)
        with impatient.lock(0):
            pass
        server.pause()
        proxy.on_command = asked.append
        begin = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="Timeout"):
            impatient.lock(20).__enter__()
        assert time.monotonic() - begin < 10
        server.resume()
    assert len(asked) == 1
    with store.lock(20):  # nobody knows of the turn that it got after all, which has run out
        assert store.load() == OLD


def test_a_waiter_whose_server_goes_away_is_told(store, server):
    sibling = RedisTokenStore(server.url, key="reports")
    with store.lock(0):
        waiter = start_together(1, lambda: sibling.lock(20).__enter__())
        wait_until(lambda: server.command("INFO", "clients")["blocked_clients"] == 1)
        server.kill()
        [outcome] = waiter.outcomes()
    assert isinstance(outcome.error, StoreUnavailableError)
    assert f"the Redis key {LOCK}" in str(outcome.error)


# Lost replies


@pytest.fixture
def proxy(server: ValkeyServer, store: RedisTokenStore) -> Iterator[RedisProxy]:
    """A proxy to a server that knows the scripts."""
    with store.lock(0):
        store.save(OLD)
    with RedisProxy(server) as proxy:
        yield proxy


def once(marker: bytes):
    """Return what loses the first reply to a command with *marker* in it."""
    left = [marker]

    def lose(command: bytes) -> None:
        if left and left[0] in command:
            left.clear()
            raise ConnectionResetError

    return lose


def test_a_caller_whose_reply_was_lost_is_let_in_when_it_asks_again(store, proxy):
    asked = []
    unlucky = RedisTokenStore(proxy.url, key="reports")
    proxy.on_command = lambda command: asked.extend([command] * (b":lock" in command))
    proxy.on_reply = once(b":lock")
    with unlucky.lock(0):
        assert len(asked) == 2
        unlucky.save(NEW)
    assert unlucky.load() == NEW
    with store.lock(0):
        pass


def test_a_save_whose_reply_was_lost_is_repeated(store, proxy):
    unlucky = RedisTokenStore(proxy.url, key="reports")
    with unlucky.lock(0):
        proxy.on_reply = once(b"new-access")
        unlucky.save(NEW)
    assert store.load() == NEW


def test_a_save_whose_reply_was_lost_and_that_is_not_repeated_may_have_been_written(store, proxy):
    with redis.Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0)) as client:
        unlucky = RedisTokenStore(client, key="reports")
        with unlucky.lock(0):
            proxy.on_reply = once(b"new-access")
            with pytest.raises(
                StoreUnavailableError, match=r"cannot write the Redis key .*reports"
            ):
                unlucky.save(NEW)
            assert store.load() == NEW


def test_a_connection_that_breaks_shows_no_variable_with_the_token(proxy):
    """The client has what is sent, and what came, in variables of its own."""

    def lose(command: bytes) -> None:
        raise ConnectionResetError

    large = Token("new-access", extra={"id_token": "i" * 900_000})  # it breaks while that is sent
    with redis.Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0)) as client:
        unlucky = RedisTokenStore(client, key="reports")
        with unlucky.lock(0):
            for call in (lambda: unlucky.save(large), unlucky.load):
                assert unlucky.load() is not None
                proxy.on_command = lose
                with pytest.raises(StoreUnavailableError) as raised:
                    call()
                proxy.on_command = lambda command: None
                cause = raised.value.__cause__
                assert isinstance(cause, redis.ConnectionError)
                assert (cause.__traceback__, cause.__cause__, cause.__context__) == (None,) * 3
                shown = shown_by_tools(raised.value)
                assert not any(word in shown for word in ("new-access", "old-access"))


def test_leaving_a_turn_whose_reply_was_lost_is_no_error(store, proxy, caplog):
    with redis.Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0)) as client:
        unlucky = RedisTokenStore(client, key="reports")
        with unlucky.lock(0):
            proxy.on_reply = once(b":lock")
    [message] = caplog.messages
    assert message.startswith(f"cannot free the Redis key {LOCK}: ")
    assert message.endswith("; it frees itself in 10 s")
    with store.lock(0):
        pass


# Refusals


@pytest.mark.parametrize("operation", ["save", "clear", "lock"])
def test_a_server_without_memory_refuses_and_keeps_the_token(store, server, operation):
    store.save(OLD)
    server.command("CONFIG", "SET", "maxmemory", 1)
    operations = {
        "save": lambda: store.save(NEW),
        "clear": store.clear,
        "lock": lambda: store.lock(0).__enter__(),
    }
    with pytest.raises(StoreUnavailableError, match=r"the server refused .*OutOfMemoryError"):
        operations[operation]()
    assert store.load() == OLD
    assert server.command("EXISTS", LOCK) == 0


def test_a_turn_ends_though_the_server_has_no_memory_left(store, server, caplog):
    with store.lock(0):
        server.command("CONFIG", "SET", "maxmemory", 1)
    assert caplog.messages == []
    assert server.command("EXISTS", LOCK) == 0


@pytest.fixture
def refusing_server(raw_server) -> Callable[[Callable[[list[str]], str]], str]:
    """Start a server that refuses every command; return its URL."""

    def start(refusal: Callable[[list[str]], str]) -> str:
        def refuse(connection: socket.socket) -> None:
            with connection.makefile("rb") as stream:
                while header := stream.readline():
                    words = [_word(stream) for _ in range(int(header[1:]))]
                    connection.sendall(f"-{refusal(words)}\r\n".encode())

        return raw_server(refuse).url.replace("http", "valkey")

    return start


def _word(stream: BinaryIO) -> str:
    size = int(stream.readline()[1:])
    return stream.read(size + 2)[:-2].decode()


@pytest.mark.parametrize("quote", ["'", "`"])
def test_a_refusal_that_repeats_the_token_is_told_without_it(refusing_server, quote):
    """As Redis and Valkey say it, in old versions and new: the token is among the arguments."""

    def refusal(words: list[str]) -> str:
        name, *arguments = (f"{quote}{word}{quote}" for word in words)
        return f"ERR unknown command {name}, with args beginning with: {' '.join(arguments)}"

    server = RedisServer(refusing_server(refusal))
    with pytest.raises(StoreUnavailableError) as raised:
        server.run("cannot write it", Script("return 1"), ["login"], Secret(b"new-access"))
    assert str(raised.value) == (
        f"cannot write it: the server refused (unknown command {quote}EVALSHA{quote})"
    )
    assert raised.value.__cause__ is raised.value.__context__ is None


@pytest.mark.parametrize(
    ("refusal", "shown"),
    [
        ("MISCONF Redis is configured to save new-access", "(ResponseError MISCONF)"),
        ("READONLY You can't write new-access", "(ReadOnlyError)"),
        ("NOPERM No permissions to access a key", "(No permissions to access a key)"),
        ("ERR this may be new-access", "(ResponseError)"),
    ],
    ids=["MISCONF", "READONLY", "NOPERM", "ERR"],
)
def test_of_other_refusals_the_kind_is_told(refusing_server, refusal, shown):
    store = RedisTokenStore(refusing_server(lambda words: refusal), key="reports")
    with pytest.raises(StoreUnavailableError) as raised:
        store.load()
    assert str(raised.value) == f"cannot read the Redis key {LOGIN}: the server refused {shown}"


# Failover


@pytest.fixture
def short_patience(monkeypatch):
    """With the replicas."""
    monkeypatch.setattr(_redis_server, "_REPLICATION_TIMEOUT", 0.05)


def test_a_replica_is_read_and_not_written(server, valkey_server):
    RedisTokenStore(server.url, key="reports").save(OLD)
    store = RedisTokenStore(valkey_server(replica_of=server).url, key="reports")
    assert store.load() == OLD
    with pytest.raises(StoreUnavailableError, match="ReadOnlyError"):
        store.save(NEW)
    with pytest.raises(StoreUnavailableError, match="ReadOnlyError"):
        store.lock(0).__enter__()


@pytest.mark.long("stores")
def test_a_failover_in_a_turn_is_not_noticed_if_the_replica_was_in_step(
    server, valkey_server, valkey_sentinel
):
    replica = valkey_server(replica_of=server)
    watcher = valkey_sentinel(server, name="logins", replicas=1)
    sentinel = redis.sentinel.Sentinel([("127.0.0.1", watcher.port)])
    with sentinel.sentinels[0], sentinel.master_for("logins", socket_timeout=2) as client:
        store = RedisTokenStore(client, key="reports")
        store.save(OLD)
        wait_until(lambda: replica.command("EXISTS", LOGIN))
        with store.lock(0):
            server.kill()
            wait_until(lambda: watcher.primary_port() == replica.port, 20)
            wait_until(lambda: replica.command("ROLE")[0] == "master", 20)
            assert store.load() == OLD
            store.save(NEW)
        assert store.load() == NEW


def test_what_no_replica_has_is_lost_by_a_failover(server, valkey_server, short_patience):
    replica = valkey_server(replica_of=server)
    with RedisProxy(server) as proxy:
        RedisTokenStore(server.url, key="reports").save(OLD)
        wait_until(lambda: replica.command("EXISTS", LOGIN))
        replica.promote()
        store = RedisTokenStore(proxy.url, key="reports", replicas=1)
        with pytest.raises(StoreUnavailableError, match=r"was written, but 0 of 1 replicas have"):
            store.save(NEW)
        assert store.load() == NEW
        proxy.server = replica
        server.kill()
        with pytest.raises(StoreDataLostError, match="replicas=1"):
            store.load()
        with pytest.raises(StoreUnavailableError):
            store.save(NEW)
        assert store.load() == NEW


def test_a_logout_that_no_replica_has_is_told(store, server, short_patience):
    careful = RedisTokenStore(server.url, key="reports", replicas=1)
    store.save(OLD)
    with pytest.raises(StoreUnavailableError, match=r"was written, but 0 of 1 replicas have"):
        careful.clear()
    assert store.load() is None


@pytest.mark.parametrize(("socket_timeout", "milliseconds"), [(0.5, 250), (5, 1000)])
def test_replicas_are_waited_for_a_second_or_half_the_socket_timeout(
    server, socket_timeout, milliseconds
):
    asked = []

    def refuse(command: bytes) -> None:
        if b"WAIT" in command:
            asked.append(int(command.split()[-1]))
            raise ConnectionResetError

    with RedisProxy(server) as proxy:
        proxy.on_command = refuse
        url = f"{proxy.url}?socket_timeout={socket_timeout}"
        with pytest.raises(StoreUnavailableError):
            RedisTokenStore(url, key="reports", replicas=1).save(NEW)
    assert set(asked) == {milliseconds}


@pytest.mark.long("stores")
def test_replicas_with_another_history_do_not_count(server, valkey_server):
    """The primary is replaced between the write and the question who has it."""
    behind = valkey_server(replica_of=server)
    with RedisProxy(server) as proxy:
        store = RedisTokenStore(proxy.url, key="reports", replicas=1)
        RedisTokenStore(server.url, key="reports").save(OLD)
        wait_until(lambda: behind.command("EXISTS", LOGIN))
        behind.promote()
        valkey_server(replica_of=behind)
        settle(behind)

        def replace(command: bytes) -> None:
            if b"HINCRBY" in command and proxy.server is server:
                proxy.server = behind
                raise ConnectionResetError

        proxy.on_command = replace
        with pytest.raises(StoreUnavailableError, match="0 of 1 replicas have it"):
            store.save(NEW)
        store.save(NEW)
        assert store.load() == NEW
