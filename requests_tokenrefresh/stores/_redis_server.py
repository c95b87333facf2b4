"""One Redis or Valkey, through the client of either package: runs scripts, and tells its errors."""

from __future__ import annotations

import hashlib
import importlib
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from .._door import check_text
from .._errors import StoreContentError, StoreUnavailableError
from ._secret import alone

T = TypeVar("T")

# What a client of our own is given, in seconds, unless the URL says otherwise. The client would
# wait for ever, or try eleven times, depending on its version.
_SOCKET_TIMEOUT = 5.0

# Seconds between two looks where the server refuses to block.
_POLL_INTERVAL = 0.1

# Seconds for the replicas to catch up.
_REPLICATION_TIMEOUT = 1.0

# Seconds. A timeout of less than 1 ms was taken for 0, which is for ever, before Redis 7.0.
_SHORTEST_BLOCK = 0.01

_CLIENTS = {"redis": ("Redis", "RedisCluster"), "valkey": ("Valkey", "ValkeyCluster")}

_SCHEMES = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://")


class RedisClient(Protocol):
    """The part of a client that is used: `redis.Redis`, `valkey.Valkey` and their kin have it."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command and return the reply."""


class Script:
    """A Lua script, and the digest that the server keeps it by."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisServer:
    """The server that a client, or a URL, leads to. Safe from any thread, as the client is.

    Raises:
        TypeError: *client_or_url* is neither.
        ValueError: It is not the URL of a Redis.
        ImportError: It is a URL, and neither `redis` nor `valkey` is installed.
    """

    def __init__(self, client_or_url: RedisClient | str) -> None:
        self.url: str | None = None
        self._client: Any = client_or_url
        if isinstance(client_or_url, str):
            self.url = client_or_url
            self._client = _opened(client_or_url)
            # Clients are cycles: without this, their sockets would be open until the garbage
            # collector comes by.
            weakref.finalize(self, self._client.close)
        self._package = _package_of(self._client)
        self._longest_block = _longest_block(self._client)

    def run(self, problem: str, script: Script, keys: list[str], *arguments: str | bytes) -> Any:
        """Run *script*, in one step of the server, and return its reply; strings come as bytes.

        Args:
            problem: What an error begins with: ``cannot read the Redis key …``.

        Raises:
            StoreUnavailableError: The server cannot be reached or refuses; after a lost reply, it
                may yet have run.
            StoreContentError: A key of *keys* holds another kind of value.
        """
        operands = (len(keys), *keys, *arguments)

        def run() -> Any:
            try:
                return self._execute("EVALSHA", script.digest, *operands)
            except self._package.exceptions.NoScriptError:  # it has restarted
                return self._execute("EVAL", script.text, *operands)

        return self._attempt(problem, run)

    def wait_for_item(self, problem: str, key: str, timeout: float) -> None:
        """Return soon after the list *key* gave an item to this caller, or after *timeout* seconds,
        or earlier for no reason.

        Raises:
            StoreUnavailableError: The server cannot be reached.
        """
        block = max(_SHORTEST_BLOCK, min(timeout, self._longest_block))

        def wait() -> None:
            try:
                self._execute("BLPOP", key, format(block, ".3f"))
            except self._package.exceptions.ResponseError:
                # No permission, a proxy that cannot block, or a server that is no primary any more.
                time.sleep(min(block, _POLL_INTERVAL))

        self._attempt(problem, wait)

    def replicas_with(self, problem: str, key: str, version: int, replicas: int) -> int:
        """Wait until *replicas* replicas have what was written, at most a second.

        Args:
            key: A hash, whose field ``version`` was written *version* or more.

        Returns:
            How many have it, which may be fewer.
        """
        milliseconds = int(1000 * min(_REPLICATION_TIMEOUT, self._longest_block))

        def wait() -> list[int]:
            # WAIT counts from the last write of its own connection, so that another write goes
            # ahead of it, of nothing. If the server has been replaced meanwhile, the number tells.
            pipeline = self._node_of(key).pipeline(transaction=False)
            pipeline.execute_command("HINCRBY", key, "version", 0)
            pipeline.execute_command("WAIT", replicas, milliseconds)
            answers: list[int] = pipeline.execute()
            return answers

        found, acknowledged = self._attempt(problem, wait)
        return acknowledged if found >= version else 0

    def _execute(self, *command: Any) -> Any:
        # Whether the client decodes replies is its owner's business: what a cipher wrote need not
        # be text.
        return self._client.execute_command(*command, NEVER_DECODE=True)

    def _node_of(self, key: str) -> Any:
        if not _is_cluster(self._client):
            return self._client
        node = self._client.get_node_from_key(key)
        if self._package.__name__ == "redis":
            return self._client.get_redis_connection(node)
        return self._client.get_valkey_connection(node)

    def _attempt(self, problem: str, commands: Callable[[], T]) -> T:
        errors = self._package.exceptions
        try:
            return commands()
        except errors.ResponseError as error:
            refusal, is_of_another_kind = _shown(error), "WRONGTYPE" in str(error)
        except _all_errors(self._package) as error:
            raise StoreUnavailableError(f"{problem}: {error}") from alone(error)
        # Raised out here: "unknown command" repeats the arguments, of which one is the token.
        if is_of_another_kind:
            raise StoreContentError(
                f"{problem}: it is not a key that this store has written (WRONGTYPE); it was left "
                "as it was: choose another key=, or rename it and log in again"
            )
        raise StoreUnavailableError(f"{problem}: the server refused ({refusal})")


def _opened(url: str) -> Any:
    if not url.startswith(_SCHEMES):
        raise ValueError(
            "a Redis URL begins with one of " + ", ".join(_SCHEMES) + "; "
            "pass one such as redis://localhost:6379/0, or your own client"
        )
    check_text("the Redis URL", url)
    package = _import_for(url)
    retry = importlib.import_module(package.__name__ + ".retry").Retry
    backoff = importlib.import_module(package.__name__ + ".backoff").NoBackoff
    if package.__name__ == "redis" and url.startswith("valkey"):
        url = "redis" + url.removeprefix("valkey")
    try:
        return package.from_url(
            url,
            socket_timeout=_SOCKET_TIMEOUT,
            socket_connect_timeout=_SOCKET_TIMEOUT,
            # Once, because an idle connection may have been closed; a server that is slow is not
            # asked again. Said twice: redis before 6.0 goes by the list.
            retry_on_error=[package.ConnectionError],
            retry=retry(backoff(), 1, supported_errors=(package.ConnectionError,)),
        )
    except ValueError:  # its message may repeat a piece of the password
        pass
    raise ValueError(
        "the Redis URL cannot be read: write redis://USER:PASSWORD@HOST:PORT/DATABASE, where a / # "
        "? @ or % of the password is percent-encoded"
    )


def _import_for(url: str) -> Any:
    names = sorted(_CLIENTS, reverse=url.startswith("valkey"))
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ImportError(
        'a Redis URL needs the package redis or valkey: pip install "requests-tokenrefresh[redis]"'
    )


def _package_of(client: object) -> Any:
    for name, classes in _CLIENTS.items():
        package = sys.modules.get(name)  # where a client comes from has been imported
        if package and isinstance(client, tuple(getattr(package, kind) for kind in classes)):
            return package
    raise TypeError(
        "client_or_url is a synchronous client (redis.Redis, redis.RedisCluster, valkey.Valkey, "
        "valkey.ValkeyCluster), or a URL such as redis://localhost:6379/0; "
        f"got {type(client).__module__}.{type(client).__qualname__}"
    )


def _all_errors(package: Any) -> tuple[type[Exception], ...]:
    errors = package.exceptions
    if package.__name__ == "redis":
        return errors.RedisError, errors.RedisClusterException
    return errors.ValkeyError, errors.ValkeyClusterException


def _is_cluster(client: Any) -> bool:
    return hasattr(client, "get_node_from_key")


def _longest_block(client: Any) -> float:
    """Return for how many seconds a command may block before the client takes the server for dead.

    Half of what it says, as the reply needs time to travel.
    """
    options = (
        client.get_connection_kwargs()
        if _is_cluster(client)
        else client.connection_pool.connection_kwargs
    )
    socket_timeout = options.get("socket_timeout", _SOCKET_TIMEOUT)  # absent: 5 or none, by version
    return float("inf") if socket_timeout is None else socket_timeout / 2


def _shown(error: Exception) -> str:
    """Return what is safe to show of a server's refusal."""
    message, names_arguments, _ = str(error).partition(", with args beginning with")
    name = type(error).__name__
    if names_arguments or name == "NoPermissionError" or message.startswith("ACL failure"):
        return message  # names the command or the key
    code = message.split(" ", 1)[0]
    return f"{name} {code}" if code.isupper() else name
