"""Who logs a person in, and what is known of its endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..refreshers import AuthorizationServer
from ..refreshers._discovery import check_issuer

_OF_DISCOVERY = frozenset({"deadline", "verify", "proxies"})


@dataclass(frozen=True)
class Issuer:
    """An issuer that is asked for its endpoints only once somebody has to log in.

    Attributes:
        known: Its name, or a server that was made by hand.
        authorization_endpoint, device_authorization_endpoint, revocation_endpoint: What outranks
            the ones that it says itself; None: nothing.
    """

    known: str | AuthorizationServer
    authorization_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None

    @property
    def name(self) -> str:
        """What it is known by: as `ClientRecord.server`."""
        if isinstance(self.known, str):
            return self.known
        return self.known.issuer or self.known.token_endpoint

    def check(self) -> None:
        """Raise what can be known to be wrong before anything is sent."""
        if not isinstance(self.known, AuthorizationServer):
            check_issuer(self.known)
        # As if its address were that of its token endpoint.
        AuthorizationServer(token_endpoint=self.name, **self._beside())

    def server(self, client: Mapping[str, Any]) -> AuthorizationServer:
        """Return what there is to know, discovered if need be, as *client* would ask."""
        known = self.known
        server = known if isinstance(known, AuthorizationServer) else discovered(known, client)
        return replace(server, **self._beside())

    def _beside(self) -> dict[str, Any]:
        endpoints = {name: url for name, url in vars(self).items() if name != "known"}
        return {name: url for name, url in endpoints.items() if url is not None}


def discovered(issuer: str, client: Mapping[str, Any]) -> AuthorizationServer:
    """Return what *issuer* publishes, asked as *client* would ask it: arguments of a grant."""
    known = {name: value for name, value in client.items() if name in _OF_DISCOVERY}
    return AuthorizationServer.discover(issuer, **known)
