"""`RedisTokenStore`: a login in Redis or Valkey, shared by every machine that reaches it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._door import check_text
from .._errors import (
    StoreContentError,
    StoreDataLostError,
    StoreLockLostError,
    StoreUnavailableError,
)
from .._token import Token
from ._content import Cipher, check_cipher, decode, decode_pause, encode, encode_pause
from ._protocol import StoredPause
from ._redis_lock import MOST, NUMBERS, RedisLock, Turn
from ._redis_server import RedisClient, RedisServer, Script
from ._secret import Secret
from ._timeout import check_timeout

_SHORTEST_LEASE, _LONGEST_LEASE = 0.1, 3600.0  # seconds

# A script, because scripts go to the primary: a replica may be behind.
_READ = Script("return redis.call('HMGET', KEYS[1], 'token', 'version')")

# With a fence: unless a higher one has been given out. Without: it gives out one, so that whoever
# is in a turn is refused. Without a token, what stays behind says that the login was cleared, and
# not lost.
_WRITE = Script(
    NUMBERS
    + """
local fence, seen, token = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if fence and number('fence') > fence then
    return 0
end
local version = math.max(next_number('version'), seen + 1)
redis.call('HSET', KEYS[1], 'version', version, 'fence', fence or next_number('fence'))
redis.call('HDEL', KEYS[1], 'pause')
if token then
    redis.call('HSET', KEYS[1], 'token', token)
else
    redis.call('HDEL', KEYS[1], 'token')
end
return version
"""
)

# Whether the turn is still the last one; and the write finds out whether the server takes any.
_CHECK = Script(
    NUMBERS
    + """
local fence, last = tonumber(ARGV[1]), number('fence')
if fence and last > fence then
    return 0
end
redis.call('HSET', KEYS[1], 'fence', last)
return 1
"""
)

_READ_PAUSE = Script("return redis.call('HGET', KEYS[1], 'pause')")

_WRITE_PAUSE = Script(
    NUMBERS
    + """
local fence, pause = tonumber(ARGV[1]), ARGV[2]
if fence and number('fence') > fence then
    return 0
end
if pause then
    redis.call('HSET', KEYS[1], 'pause', pause)
else
    redis.call('HDEL', KEYS[1], 'pause')
end
return 1
"""
)


class RedisTokenStore:
    """Keeps the token in a Redis or Valkey, for all processes and machines that use the same key.

    Needs Redis 6 or newer, or any Valkey, and for a URL the package `redis` or `valkey`
    (``pip install "requests-tokenrefresh[redis]"``). It writes three keys, which a Cluster keeps on
    one node:

    ============================  ================================================================
    ``tokenrefresh:{KEY}``        a hash: ``token`` (as `FileTokenStore` writes it, encrypted if
                                  there is a cipher), ``version`` and ``fence`` (of the last write
                                  and of the last turn), and a ``pause`` if there is one. Stays,
                                  without ``token``, after `clear`.
    ``tokenrefresh:{KEY}:lock``   who holds the lock; expires after *lease* seconds
    ``tokenrefresh:{KEY}:wake``   a list of at most one item, for which waiters wait; expires too
    ============================  ================================================================

    In terms of access lists: ``~tokenrefresh:* +evalsha +eval +blpop +time +hget +hmget +hset +hdel
    +get +set +del +pttl +pexpire +rpush``, and with *replicas* ``+hincrby +wait``. Where blocking
    is not possible (``+blpop`` is missing), waiters look ten times a second instead.

    A Redis that evicts keys (``maxmemory-policy allkeys-…``) may evict the login.

    Safe from any thread, process and machine, and after a fork, as far as the client is. Pickles
    if it was made from a URL, with the password in it and the cipher's keys.

    It can tell beforehand whether a token can be saved (`ChecksSaving`), and keeps a pause
    (`KeepsPause`).

    A turn takes four commands (enter, load, save, leave), and one more in each third of *lease*; a
    turn that had to wait takes six, and two more each time that it looks whether the holder lives:
    every *lease*, or every half of the client's ``socket_timeout`` if that is shorter. A waiting
    thread takes one connection out of the client's pool. How long a command may take is the
    client's business (``socket_timeout``, retries); a client made from a URL gives up after 5
    seconds.

    Args:
        client_or_url: Your own `redis.Redis` or `valkey.Valkey` (of a Sentinel too, by
            ``master_for``), `RedisCluster` or `ValkeyCluster`; or a URL: ``redis://``,
            ``rediss://``, ``valkey://``, ``valkeys://`` or ``unix://``, with the options that the
            package knows in its query.
        key: The name of the login. Logins of different names are independent.
        lease: Seconds after which the lock of a holder that died is free again. While its holder
            lives, a thread renews it three times in that time.
        cipher: Encrypts what Redis holds, the *key* with it: what has been copied from another key
            is refused. None to write it as it is.
        replicas: How many replicas must have what is written before `save` and `clear` return, so
            that it survives a failover; 0 to wait for none.

    Raises:
        TypeError: An argument is of the wrong type; an asynchronous client, for example.
        ValueError: *key* is empty or has braces, *lease* is not from 0.1 to 3600, *replicas* is
            negative, or the URL cannot be read.
        ImportError: There is a URL, and neither `redis` nor `valkey` is installed.
    """

    shared = True

    def __init__(
        self,
        client_or_url: RedisClient | str,
        *,
        key: str,
        lease: float = 10.0,
        cipher: Cipher | None = None,
        replicas: int = 0,
    ) -> None:
        self._key = _checked_key(key)
        self._name = f"tokenrefresh:{{{key}}}"  # the braces: one slot for all keys of a login
        self._cipher = check_cipher(cipher)
        self._replicas = _checked_replicas(replicas)
        self._server = RedisServer(client_or_url)
        self._lock = RedisLock(self._server, self._name, _checked_lease(lease))
        self._here = threading.local()  # .turn: what this thread holds
        # The highest version that was read or written. Threads that set it at once may leave the
        # lower one, until the next look; a lock would be copied by a fork as it stands.
        self._seen = 0

    def __repr__(self) -> str:
        return f"RedisTokenStore(key={self._key!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._server.url is None:
            raise TypeError(
                "a RedisTokenStore made from a client does not pickle, because clients do not: "
                "make it from a URL, RedisTokenStore(url, key=...)"
            )
        opened = functools.partial(
            type(self),
            key=self._key,
            lease=self._lock.lease,
            cipher=self._cipher,
            replicas=self._replicas,
        )
        return opened, (self._server.url,)

    def load(self) -> Token | None:
        """Return the stored token, or None if there is none.

        Raises:
            StoreUnavailableError: Redis cannot be reached, or refuses.
            StoreContentError: The key holds something else than a token. It is left as it was.
            StoreDataLostError: The key is gone, or holds an older token than this object has seen:
                Redis has restarted without its data, a replica that was behind has taken over, or
                somebody has deleted the key. Until the next `save`, by whomever.
        """
        seen = self._seen  # before asking: another thread may save while the answer travels
        token, version = self._read()
        if version < seen:
            raise StoreDataLostError(
                f"the Redis key {self._name} has been lost, or is older than it was: log in again, "
                "and let Redis keep its data over a restart (appendonly yes) and a failover "
                "(replicas=1)"
            )
        self._note(version)
        turn = self._turn()
        if turn is not None:
            turn.has_loaded = True
        return token

    def save(self, token: Token) -> None:
        """Replace the stored token.

        Raises:
            StoreLockLostError: This thread is in a turn that is over: its lease ran out and the
                lock has passed to another, or somebody outside the lock has called `save` or
                `clear` since. Nothing was written.
            StoreUnavailableError: Redis cannot be reached, or refuses; or fewer than *replicas*
                replicas have it after a second. It may have been written none the less.
            StoreContentError: The key holds something else than a token. It is left as it was.
        """
        self._write(encode(token, self._where, self._cipher, login=self._key))

    def clear(self) -> None:
        """Forget the stored token; no error if there is none. Otherwise as `save`."""
        self._write()

    def ensure_can_save(self) -> None:
        """Raise what `save` would, if it would. Nothing that is stored changes.

        Raises:
            StoreLockLostError: This thread is in a turn that is over, as for `save`.
            StoreUnavailableError: Redis cannot be reached, or takes no writes.
        """
        problem = f"cannot write {self._where}"
        if not self._server.run(problem, _CHECK, [self._name], self._fence()):
            raise self._too_late(problem)

    def load_pause(self) -> StoredPause | None:
        """Return the pause, or None if there is none.

        Raises:
            StoreUnavailableError: Redis cannot be reached, or refuses.
        """
        problem = f"cannot read the pause in {self._where}"
        content = self._server.run(problem, _READ_PAUSE, [self._name])
        return None if content is None else decode_pause(content)

    def save_pause(self, pause: StoredPause | None) -> None:
        """Keep *pause*; None ends it.

        Raises:
            StoreLockLostError: This thread is in a turn that is over, as for `save`.
            StoreUnavailableError: Redis cannot be reached, or refuses.
        """
        problem = f"cannot write the pause in {self._where}"
        content = [] if pause is None else [encode_pause(pause)]
        if not self._server.run(problem, _WRITE_PAUSE, [self._name], self._fence(), *content):
            raise self._too_late(problem)

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        """Hold the turn to refresh, among all that use the same key.

        Waits at most *timeout* seconds to enter; 0 tries once. Not reentrant. A holder that was
        killed, or cannot reach Redis any more, holds it for *lease* seconds more. A holder that was
        stopped for longer loses it, and its `save` is refused if another has entered meanwhile;
        leaving is no error then. A child forked inside the context does not hold the lock, and
        leaving the context there does not free it.

        Raises:
            StoreLockTimeoutError: Another thread or process held the lock all that time.
            StoreUnavailableError: Redis cannot be reached, or refuses.
            TypeError, ValueError: *timeout* is not a number of seconds that can be waited for.
        """
        check_timeout(timeout)
        turn = self._lock.enter(timeout)
        try:
            turn.keep()
            self._here.turn = turn
            yield
        finally:
            self._here.turn = None
            turn.leave()

    @property
    def _where(self) -> str:
        return f"the Redis key {self._name}"

    def _turn(self) -> Turn | None:
        """Return the turn that this thread of this process is in."""
        turn: Turn | None = getattr(self._here, "turn", None)
        return turn if turn is not None and turn.is_here else None

    def _fence(self) -> str:
        turn = self._turn()
        return "" if turn is None else str(turn.fence)

    @staticmethod
    def _too_late(problem: str) -> StoreLockLostError:
        return StoreLockLostError(
            f"{problem}: the lock has passed to another while this holder was stalled, or "
            "somebody has logged in or out since; load what is stored now"
        )

    def _read(self) -> tuple[Token | None, int]:
        """Return what is stored, and its version; 0 if nobody has written one."""
        reply = self._server.run(f"cannot read {self._where}", _READ, [self._name])
        content, version = (None if it is None else Secret(it) for it in reply)
        del reply  # there are tools that show the variables of a traceback
        if version is not None and not _is_version(version):
            raise StoreContentError(
                f"{self._where} does not hold a login (its version is no number); "
                "it was left as it was: rename it and log in again"
            )
        token = None
        if content is not None:
            token = decode(content, self._where, self._cipher, login=self._key, written_at=0)
        return token, int(version or 0)

    def _write(self, *content: Secret) -> None:
        problem = f"cannot write {self._where}"
        turn = self._turn()
        if turn is None or not turn.has_loaded:
            self._read()  # what is no token is not overwritten
        seen = str(self._seen)
        version = self._server.run(problem, _WRITE, [self._name], self._fence(), seen, *content)
        if not version:
            raise self._too_late(problem)
        self._note(version)
        self._await_replicas(version)

    def _await_replicas(self, version: int) -> None:
        if not self._replicas:
            return
        problem = f"cannot see whether {self._where} has reached the replicas"
        reached = self._server.replicas_with(problem, self._name, version, self._replicas)
        if reached < self._replicas:
            raise StoreUnavailableError(
                f"{self._where} was written, but {reached} of {self._replicas} replicas have it: "
                "a failover may lose it"
            )

    def _note(self, version: int) -> None:
        self._seen = max(self._seen, version)


def _is_version(version: bytes) -> bool:
    return version.isdigit() and len(version) <= len(str(MOST)) and int(version) < MOST


def _checked_key(key: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"key is a str, the name of the login; got {type(key).__name__}")
    if not key or "{" in key or "}" in key:
        raise ValueError(f"key is the name of the login, not empty and without braces; got {key!r}")
    check_text("key", key)
    return key


def _checked_lease(lease: float) -> float:
    if isinstance(lease, bool) or not isinstance(lease, int | float):
        raise TypeError(f"lease is a number of seconds, got {type(lease).__name__}")
    if not _SHORTEST_LEASE <= lease <= _LONGEST_LEASE:
        raise ValueError(
            f"lease must be from {_SHORTEST_LEASE:g} to {_LONGEST_LEASE:g} seconds, got {lease!r}"
        )
    return lease


def _checked_replicas(replicas: int) -> int:
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise TypeError(f"replicas is a number of replicas, got {type(replicas).__name__}")
    if replicas < 0:
        raise ValueError(f"replicas must be 0 or more, got {replicas!r}")
    return replicas
