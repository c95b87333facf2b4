"""The lock of `RedisTokenStore`: its lease, its fence, its queue, and what they cost."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import redis

from requests_tokenrefresh import (
    RedisTokenStore,
    StoredPause,
    StoreLockLostError,
    StoreLockTimeoutError,
    Token,
)
from requests_tokenrefresh.stores import _redis_lock
from requests_tokenrefresh.testing._processes import OtherProcess
from tests.support.redis_proxy import RedisProxy
from tests.support.threads import start_together, wait_until
from tests.support.valkey_server import ValkeyServer

OLD = Token("old-access", "old-refresh", issued_at=1_690_000_000.0)
NEW = Token("new-access", "new-refresh", issued_at=1_700_000_000.0)
NEWER = Token("newer-access", "newer-refresh", issued_at=1_700_000_010.0)
PAUSE = StoredPause(1_700_000_000.125, 2.5, 3)

LOGIN = "tokenrefresh:{reports}"
LOCK = f"{LOGIN}:lock"
WAKE = f"{LOGIN}:wake"


@pytest.fixture
def store(valkey: ValkeyServer) -> RedisTokenStore:
    return RedisTokenStore(valkey.url, key="reports")


@pytest.fixture
def sibling(valkey: ValkeyServer) -> RedisTokenStore:
    return RedisTokenStore(valkey.url, key="reports")


@pytest.fixture
def proxy(valkey: ValkeyServer) -> Iterator[RedisProxy]:
    """A proxy to a server that knows the scripts."""
    store = RedisTokenStore(valkey.url, key="teacher")
    with store.lock(0):
        store.save(OLD)
    with RedisProxy(valkey) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def nobody_stays_behind() -> Iterator[None]:
    """Or a late renewal would bring back a lock of which the next server knows nothing."""
    yield
    wait_until(lambda: not renewers())


class Calls:
    """How many commands of each kind the server has carried out since; by scripts as well."""

    def __init__(self, server: ValkeyServer) -> None:
        self._server = server
        self._before = self._all()

    def of(self, *names: str) -> list[int]:
        now = self._all()
        return [now.get(name, 0) - self._before.get(name, 0) for name in names]

    def _all(self) -> dict[str, int]:
        statistics = self._server.command("INFO", "commandstats")
        return {
            name.removeprefix("cmdstat_"): figures["calls"] for name, figures in statistics.items()
        }


def fence(server: ValkeyServer) -> int:
    return int(server.command("HGET", LOGIN, "fence"))


def expire(server: ValkeyServer) -> None:
    """Let the lease run out."""
    server.command("DEL", LOCK)


def waiting(server: ValkeyServer) -> int:
    return server.command("INFO", "clients")["blocked_clients"]


def renewers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "token-store-lease"]


# What it costs


def test_a_turn_takes_four_commands(store, valkey):
    store.save(OLD)  # connects; the server learns the scripts
    with store.lock(0):
        store.load()
    calls = Calls(valkey)
    with store.lock(0):
        store.load()
        store.save(NEW)
    assert calls.of("evalsha", "eval", "blpop") == [4, 0, 0]


def test_a_look_takes_one_command_and_a_save_outside_a_turn_two(store, valkey):
    store.save(OLD)
    calls = Calls(valkey)
    store.load()
    assert calls.of("evalsha", "eval") == [1, 0]
    store.save(NEW)
    store.clear()
    assert calls.of("evalsha", "eval") == [5, 0]


def test_a_save_in_a_turn_that_has_not_loaded_looks_first(store, valkey):
    store.save(OLD)
    with store.lock(0):
        calls = Calls(valkey)
        store.save(NEW)
        assert calls.of("evalsha") == [2]


def test_to_make_sure_takes_one_command_and_so_does_a_pause(store, valkey):
    store.ensure_can_save()
    store.save_pause(PAUSE)
    store.load_pause()
    calls = Calls(valkey)
    store.ensure_can_save()
    assert calls.of("evalsha") == [1]
    store.save_pause(PAUSE)
    assert calls.of("evalsha") == [2]
    assert store.load_pause() == PAUSE
    assert calls.of("evalsha", "eval") == [3, 0]


def test_a_server_that_does_not_know_the_scripts_learns_each_once(store, valkey):
    for _ in range(2):
        with store.lock(0):
            store.load()
            store.save(NEW)
    calls = Calls(valkey)
    valkey.command("SCRIPT", "FLUSH")
    for _ in range(2):
        with store.lock(0):
            store.load()
            store.save(NEW)
    assert calls.of("evalsha", "eval") == [8, 4]


def test_eight_waiters_take_a_wake_up_and_three_commands_each(store, valkey):
    """Nobody looks in vain: whoever leaves wakes one, and that one enters."""
    order = []

    def take_a_turn() -> None:
        with store.lock(20):
            order.append(fence(valkey))

    with store.lock(0):
        pass
    calls = Calls(valkey)
    with store.lock(0):
        waiters = start_together(8, take_a_turn)
        wait_until(lambda: waiting(valkey) == 8)
    waiters.outcomes()
    # Enter and leave; and of each waiter a look, a wait, enter and leave.
    assert calls.of("evalsha", "blpop") == [2 + 8 * 3, 8]
    assert len(set(order)) == 8
    assert order == sorted(order)


def test_wake_ups_that_nobody_waited_for_do_not_pile_up(store, valkey):
    for _ in range(5):
        with store.lock(0):
            assert valkey.command("EXISTS", WAKE) == 0
        assert valkey.command("LLEN", WAKE) == 1
    assert 0 < valkey.command("PTTL", WAKE) <= 10_000


def test_a_caller_who_does_not_want_to_wait_looks_once(store, valkey):
    with store.lock(0):
        calls = Calls(valkey)
        with pytest.raises(StoreLockTimeoutError, match="for 0 s"):
            store.lock(0).__enter__()
        assert calls.of("evalsha", "blpop") == [1, 0]


# Waiting


@pytest.fixture
def blocks(proxy: RedisProxy) -> list[float]:
    """For how long those who wait by way of the proxy want to block, in seconds."""
    seconds: list[float] = []

    def note(command: bytes) -> None:
        if b"BLPOP" in command:
            seconds.append(float(command.split()[-1]))

    proxy.on_command = note
    return seconds


@pytest.mark.parametrize(
    ("options", "longest"),
    [({"socket_timeout": 0.5}, 0.25), ({"socket_timeout": None}, 10), ({}, 2.5)],
    ids=["short", "none", "default"],
)
def test_a_waiter_blocks_for_less_than_its_socket_timeout_and_the_lease(
    store, proxy, blocks, options, longest
):
    with redis.Redis.from_url(proxy.url, **options) as client:
        patient = RedisTokenStore(client, key="reports")
        with store.lock(0):
            waiter = start_together(1, lambda: patient.lock(20).__enter__())
            wait_until(lambda: blocks)
        waiter.outcomes()
    assert longest * 0.9 < blocks[0] <= longest  # the lease was taken a moment ago


def test_a_caller_whose_time_is_up_has_waited_once(store, valkey, proxy, blocks, monkeypatch):
    hurried = RedisTokenStore(proxy.url, key="reports")
    moments = iter([100.0, 100.02, 100.06])
    with store.lock(0):
        calls = Calls(valkey)
        monkeypatch.setattr(_redis_lock, "time", SimpleNamespace(monotonic=moments.__next__))
        with pytest.raises(StoreLockTimeoutError, match=r"held the Redis key .* for 0\.05 s; try"):
            hurried.lock(0.05).__enter__()
        assert calls.of("evalsha", "blpop") == [2, 1]
    assert blocks == [0.03]


def test_a_waiter_enters_as_soon_as_the_lease_of_a_dead_holder_has_run_out(valkey, proxy, blocks):
    valkey.command("SET", LOCK, "a holder who has died", "PX", 100)
    with RedisTokenStore(proxy.url, key="reports").lock(20):
        assert valkey.command("GET", LOCK) != "a holder who has died"
    assert all(0 < seconds <= 0.1 for seconds in blocks)
    assert len(blocks) <= 2  # the second if the first one was a millisecond short


def test_where_nobody_may_block_a_waiter_looks_ten_times_a_second(store, valkey, proxy):
    looks = []

    def note(command: bytes) -> None:
        if b"BLPOP" in command:
            looks.append(time.monotonic())

    user = "nobody-may-block"
    valkey.command("ACL", "SETUSER", user, "on", ">pw", "~*", "+@all", "-blpop")
    proxy.on_command = note
    patient = RedisTokenStore(proxy.url.replace("//", f"//{user}:pw@"), key="reports")

    def take_a_turn() -> int:
        with patient.lock(20):
            return fence(valkey)

    with store.lock(0):
        before = fence(valkey)
        waiter = start_together(1, take_a_turn)
        wait_until(lambda: len(looks) == 3)
    [outcome] = waiter.outcomes()
    valkey.command("ACL", "DELUSER", user)
    assert outcome.result() > before
    assert looks[2] - looks[0] >= 0.2


# The fence


def test_every_turn_has_a_higher_fence(store, valkey):
    fences = []
    for _ in range(3):
        with store.lock(0):
            fences.append(fence(valkey))
            store.clear()
    assert fences == sorted(set(fences))


def test_the_fence_grows_though_the_server_has_forgotten_it(store, valkey):
    with store.lock(0):
        before = fence(valkey)
    valkey.command("DEL", LOGIN)
    with store.lock(0):
        assert fence(valkey) > before


def test_the_fence_grows_though_the_clock_was_set_back(store, valkey):
    ahead = 2**52
    valkey.command("HSET", LOGIN, "fence", ahead)
    with store.lock(0):
        assert fence(valkey) == ahead + 1


@pytest.mark.parametrize("operation", ["save", "clear"])
def test_a_holder_whose_lock_has_passed_to_another_writes_nothing(
    store, sibling, valkey, operation
):
    store.save(OLD)
    with store.lock(0):
        expire(valkey)
        with sibling.lock(0):
            sibling.save(NEW)
            with pytest.raises(StoreLockLostError, match=r"\{reports\}.*has passed to another"):
                store.save(OLD) if operation == "save" else store.clear()
    assert store.load() == NEW


def test_a_holder_whose_lock_has_passed_to_another_learns_it_before_it_asks(store, sibling, valkey):
    store.save(OLD)
    with store.lock(0):
        store.load()
        store.ensure_can_save()
        expire(valkey)
        store.ensure_can_save()  # nobody has entered
        with sibling.lock(0):
            with pytest.raises(StoreLockLostError, match="has passed to another"):
                store.ensure_can_save()
            with pytest.raises(StoreLockLostError):
                store.save_pause(PAUSE)
            sibling.ensure_can_save()
            assert sibling.load_pause() is None
    assert store.load() == OLD


def test_a_holder_whose_lock_has_passed_on_and_is_free_again_writes_nothing(store, sibling, valkey):
    store.save(OLD)
    with store.lock(0):
        expire(valkey)
        with sibling.lock(0):
            pass
        with pytest.raises(StoreLockLostError):
            store.save(NEW)
    assert store.load() == OLD


def test_a_holder_whose_lease_ran_out_writes_if_nobody_has_entered(store, valkey):
    with store.lock(0):
        expire(valkey)
        store.save(NEW)
    assert store.load() == NEW


@pytest.mark.parametrize("operation", ["save", "clear"])
def test_a_login_or_logout_from_outside_wins_over_the_holder(store, sibling, operation):
    store.save(OLD)
    with store.lock(0):
        sibling.save(NEWER) if operation == "save" else sibling.clear()
        with pytest.raises(StoreLockLostError, match="somebody has logged in or out since"):
            store.save(NEW)
        with pytest.raises(StoreLockLostError):
            store.clear()
    assert store.load() == (NEWER if operation == "save" else None)


def test_another_thread_of_the_holder_is_outside_its_turn(store):
    with store.lock(0):
        start_together(1, lambda: store.save(NEWER)).outcomes()
        with pytest.raises(StoreLockLostError):
            store.save(NEW)
    store.save(NEW)
    assert store.load() == NEW


@pytest.mark.long("stores")
def test_a_fork_of_the_holder_is_outside_its_turn(store):
    holder = OtherProcess(store)
    holder.do("enter", 0)
    holder.do("fork", "save", NEWER)
    with pytest.raises(StoreLockLostError):
        holder.do("save", NEW)
    holder.end()
    assert store.load() == NEWER


def test_a_holder_may_write_as_often_as_it_likes(store, valkey):
    with store.lock(0):
        mine = fence(valkey)
        store.save(OLD)
        store.clear()
        store.save(NEW)
        assert fence(valkey) == mine
    assert store.load() == NEW


def test_leaving_a_lost_turn_is_no_error_and_does_not_free_the_lock_of_another(
    store, sibling, valkey, caplog
):
    late = store.lock(0)
    late.__enter__()
    expire(valkey)
    with sibling.lock(0):
        late.__exit__(None, None, None)
        with pytest.raises(StoreLockTimeoutError):
            store.lock(0).__enter__()
        assert valkey.command("EXISTS", WAKE) == 0
        sibling.save(NEW)
    assert sibling.load() == NEW
    assert caplog.messages == []


# The lease


def test_a_holder_who_takes_longer_than_three_leases_keeps_the_lock(valkey):
    store = RedisTokenStore(valkey.url, key="reports", lease=0.1)
    with store.lock(0):
        mine = fence(valkey)
        calls = Calls(valkey)
        wait_until(lambda: calls.of("set") >= [9])  # one for each third of a lease
        store.save(NEW)
        assert fence(valkey) == mine
    assert store.load() == NEW


def test_where_no_thread_can_be_started_a_turn_lasts_for_one_lease(
    store, sibling, valkey, no_more_threads
):
    no_more_threads()
    with store.lock(0):
        store.save(NEW)
        with pytest.raises(StoreLockTimeoutError), sibling.lock(0):
            pass
        expire(valkey)
        with sibling.lock(0):
            sibling.save(NEWER)
        with pytest.raises(StoreLockLostError):
            store.save(NEW)
    assert store.load() == NEWER


def test_a_lease_that_ran_out_is_taken_up_again(valkey):
    store = RedisTokenStore(valkey.url, key="reports", lease=0.1)
    with store.lock(0):
        expire(valkey)
        wait_until(lambda: valkey.command("EXISTS", LOCK))
        store.save(NEW)
    assert store.load() == NEW


def test_a_login_from_outside_does_not_end_the_lease(store, valkey):
    short = RedisTokenStore(valkey.url, key="reports", lease=0.6)
    with short.lock(0):
        store.save(NEW)
        calls = Calls(valkey)
        wait_until(lambda: calls.of("set") >= [2])
        with pytest.raises(StoreLockTimeoutError):
            store.lock(0).__enter__()


def test_a_lease_that_another_has_is_not_renewed(store, valkey):
    short = RedisTokenStore(valkey.url, key="reports", lease=0.1)
    with short.lock(0):
        [renewer] = renewers()
        valkey.command("SET", LOCK, "another", "PX", 10_000)
        wait_until(lambda: not renewer.is_alive())
        assert valkey.command("GET", LOCK) == "another"


def test_a_lease_that_another_has_had_is_not_taken_up_again(store, valkey):
    short = RedisTokenStore(valkey.url, key="reports", lease=0.1)
    with short.lock(0):
        [renewer] = renewers()
        later = fence(valkey) + 1
        both = "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[2], 'fence', ARGV[1])"
        valkey.command("EVAL", both, 2, LOCK, LOGIN, later)
        wait_until(lambda: not renewer.is_alive())
        assert valkey.command("EXISTS", LOCK) == 0


def test_a_renewal_that_comes_after_its_turn_does_not_bring_the_lock_back(store, valkey, proxy):
    held, left, answered = threading.Event(), threading.Event(), threading.Event()
    renewal = []

    def hold(command: bytes) -> None:
        if renewers() and b"EVALSHA" in command and not held.is_set():
            renewal.append(command)
            held.set()
            assert left.wait(20)

    def note(command: bytes) -> None:
        if command in renewal:
            answered.set()

    slow = RedisTokenStore(proxy.url, key="reports", lease=0.1)
    with slow.lock(0):  # the server learns the scripts
        calls = Calls(valkey)
        wait_until(lambda: calls.of("set") >= [1])
    wait_until(lambda: not renewers())
    proxy.on_command, proxy.on_reply = hold, note
    with slow.lock(0):
        wait_until(held.is_set)
    assert valkey.command("EXISTS", LOCK) == 0
    left.set()
    wait_until(answered.is_set)
    assert valkey.command("EXISTS", LOCK) == 0


def test_the_turn_ends_its_thread(store):
    with store.lock(0):
        [renewer] = renewers()
        assert renewer.daemon
    wait_until(lambda: not renewer.is_alive())
