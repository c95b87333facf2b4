"""A stand-in between a client and a Valkey, which can hold and lose what passes."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from tests.support.servers import RawServer
from tests.support.valkey_server import ValkeyServer


def _let_pass(command: bytes) -> None:
    pass


class RedisProxy(RawServer):
    """Passes commands to *server*, and its replies back.

    A command or a reply is held until its function returns, and is lost, with its connection, if
    that raises a `ConnectionError`. Both are called with the bytes that the client sent last on
    that connection, on the connection's thread.

    Args:
        server: Where new connections lead; may be set to another one later.

    Attributes:
        on_command: Called before a command is passed on.
        on_reply: Called before a reply is passed back.
    """

    def __init__(self, server: ValkeyServer) -> None:
        self.server = server
        self.on_command: Callable[[bytes], None] = _let_pass
        self.on_reply: Callable[[bytes], None] = _let_pass
        super().__init__(self._pass_on)

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:PORT/0``."""
        return f"redis://127.0.0.1:{self._port}/0"

    def _pass_on(self, client: socket.socket) -> None:
        command = b""
        with socket.create_connection(("127.0.0.1", self.server.port)) as server:
            while True:
                if client in select.select([client, server], [], [])[0]:
                    command = _received(client)
                    self.on_command(command)
                    server.sendall(command)
                else:
                    reply = _received(server)
                    self.on_reply(command)
                    client.sendall(reply)


def _received(sender: socket.socket) -> bytes:
    data = sender.recv(1 << 20)
    if not data:
        raise ConnectionError("hung up")
    return data
