"""Which address of the loopback a browser is sent back to (RFC 8252 sections 7.3 and 8.3)."""

from __future__ import annotations

import errno
import socket
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from .._errors import LoginFailedError

_TRIES = 20  # for a port that is free in both families
_BACKLOG = 128
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


@dataclass(frozen=True)
class Loopback:
    """A redirect address of the loopback.

    Attributes:
        host: ``localhost``, or an address; never one of another network.
        port: None for any that is free (section 7.3: the server must allow for that).
        rest: What stands behind, as it is registered.
    """

    host: str
    port: int | None
    rest: str

    @property
    def path(self) -> str:
        """The path that a browser asks for."""
        return self.rest.partition("?")[0] or "/"

    def authority(self, port: int) -> str:
        """Return what a browser calls it, in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if port == 80 else f"{host}:{port}"

    def uri(self, port: int) -> str:
        """Return the redirect URI; with the port, also where it is the usual one and was given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}{self.rest}"

    def bind(self) -> list[socket.socket]:
        """Return what listens there: ``localhost`` in both families, since nobody knows which one
        the browser takes, and another program could have the other.

        Raises:
            LoginFailedError: Somebody else listens there.
        """
        for _ in range(_TRIES):
            try:
                return self._bind(self.port or 0)
            except OSError as error:
                failure = error
                if self.port is not None or error.errno != errno.EADDRINUSE:
                    break
        raise LoginFailedError(
            f"the redirect address {self.uri(self.port or 0)} is taken "
            f"({failure.strerror or failure}): end the program that listens there, or pass another "
            "redirect_uri= that is registered, such as one without a port",
            reason="redirect_taken",
        ) from failure

    def _bind(self, port: int) -> list[socket.socket]:
        bound: list[socket.socket] = []
        try:
            for host in ("127.0.0.1", "::1") if self.host == "localhost" else (self.host,):
                try:
                    bound.append(_listening(host, port))
                except OSError as error:
                    if not bound or error.errno not in _NO_SUCH_FAMILY:
                        raise
                    continue  # this machine has no IPv6, so nobody else listens there
                port = bound[0].getsockname()[1]
        except OSError:
            for one in bound:
                one.close()
            raise
        return bound


def loopback_of(redirect_uri: str) -> Loopback | None:
    """Return what *redirect_uri*, a good one, is on the loopback; None if it is elsewhere."""
    parts = urlsplit(redirect_uri)
    host = parts.hostname or ""
    if parts.scheme.lower() != "http" or not _is_loopback(host):
        return None
    rest = redirect_uri.partition("://")[2]
    return Loopback(host, parts.port, rest[len(parts.netloc) :])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # Else another program could listen on the same port, and get the code.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # The port of the attempt before may linger; nobody can share one that is listened on.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
