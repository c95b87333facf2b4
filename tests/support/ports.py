"""Ports of 127.0.0.1 for servers in other processes."""

from __future__ import annotations

import socket
import sys


def free_port() -> int:
    """Return a port that nobody listens on; it is only likely to be free a moment later."""
    port, reservation = reserve_port()
    reservation.close()
    return port


def reserve_port() -> tuple[int, socket.socket]:
    """Return a free port of 127.0.0.1, and what to close when the port is not used any more.

    On Linux a bound socket keeps the port from everybody else, also while the server is away;
    whoever connects then is refused. The server can listen there none the less, as neither of the
    two minds (SO_REUSEADDR). Elsewhere that would not do, and the port is only likely to be free.
    """
    reservation = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    port = reservation.getsockname()[1]
    if sys.platform != "linux":
        reservation.close()
    return port, reservation
