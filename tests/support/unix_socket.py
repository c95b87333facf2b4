"""A Unix socket in front of a server that listens on a port."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit


@contextlib.contextmanager
def unix_socket(path: Path, url: str) -> Iterator[None]:
    """Pass on what comes in at *path* to the server at *url*, and its answers back.

    At the end of the block, the connections that are left are cut.
    """
    address = urlsplit(url)
    ends: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(target: object, *args: socket.socket) -> None:
        threads.append(threading.Thread(target=target, args=args))  # type: ignore[arg-type]
        threads[-1].start()

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # it was shut down
                return
            server = socket.create_connection((address.hostname, address.port))
            ends.extend((client, server))
            start(_pass_on, client, server)
            start(_pass_on, server, client)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        start(accept)
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            threads[0].join()
            for end in ends:
                _cut(end)
            for thread in threads[1:]:
                thread.join()
            for end in ends:
                end.close()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):  # one of the two is gone
        while data := source.recv(65536):
            sink.sendall(data)
    _cut(sink)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended by itself
        connection.shutdown(socket.SHUT_RDWR)
