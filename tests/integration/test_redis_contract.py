"""`RedisTokenStore` keeps what every token store promises."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from requests_tokenrefresh import RedisTokenStore
from tests.support.quick_contract import QuickContract
from tests.support.valkey_server import ValkeyServer

LEASE = 0.6  # its renewals may be late by twice 0.2 s on a busy machine


@pytest.fixture(scope="module")
def durable_valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer(durable=True) as server:
        yield server


class TestRedisTokenStore(QuickContract):
    lock_is_free_within = LEASE + 0.2

    @pytest.fixture
    def store(self, durable_valkey: ValkeyServer) -> RedisTokenStore:
        durable_valkey.clear()
        return RedisTokenStore(durable_valkey.url, key="contract", lease=LEASE)

    @pytest.fixture
    def corrupt(self, durable_valkey: ValkeyServer) -> Callable[[bytes], object]:
        def write(content: bytes) -> None:
            durable_valkey.command("HSET", "tokenrefresh:{contract}", "token", content)

        return write

    @pytest.fixture
    def outage(self, durable_valkey: ValkeyServer) -> AbstractContextManager[object]:
        return stopped(durable_valkey)


@contextmanager
def stopped(server: ValkeyServer) -> Iterator[None]:
    server.stop()
    yield
    server.start()
