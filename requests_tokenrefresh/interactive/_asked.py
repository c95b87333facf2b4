"""What a login asks a server for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._client_record import ClientRecord
from ..refreshers import AuthorizationCodeGrant, DeviceCodeGrant
from ..refreshers._attempt import check_redirect_uri
from ..refreshers._authorization_server import AuthorizationServer
from ..refreshers._client import auth_method

# What makes a login last, where a server calls it so (OpenID Connect Core section 11).
_USUAL_SCOPES = ("openid", "offline_access")


@dataclass(frozen=True)
class Asked:
    """As whom, and for what; by the names of `log_in`.

    Attributes:
        client: Further arguments of the grants.
    """

    client_id: str
    scope: str | None
    resource: str | Sequence[str] | None
    audience: str | None
    params: Mapping[str, str | Sequence[str]] | None
    redirect_uri: str
    client: Mapping[str, Any] = field(repr=False)

    def check(self, issuer: str) -> None:
        """Raise what the grants would: before anything is sent, discovery included."""
        # As if the issuer's address were that of all its endpoints.
        AuthorizationCodeGrant(
            issuer, authorization_url=issuer, params=self.params, **self._common()
        )
        check_redirect_uri(self.redirect_uri, insecure=self.client.get("insecure", False))

    def at(self, server: AuthorizationServer) -> Asked:
        """Return what is asked of *server*: the usual scopes, as far as it lists them."""
        if self.scope is not None:
            return self
        listed = server.scopes_supported or ()
        usual = " ".join(one for one in _USUAL_SCOPES if one in listed)
        return replace(self, scope=usual or None)

    def by_code(self, server: AuthorizationServer) -> AuthorizationCodeGrant:
        return AuthorizationCodeGrant(server, params=self.params, **self._common())

    def by_device(self, server: AuthorizationServer) -> DeviceCodeGrant:
        return DeviceCodeGrant(server, **self._common())

    def record(
        self,
        server: AuthorizationServer,
        origins: Iterable[str] | None,
        *,
        secret_file: str | os.PathLike[str] | None,
        key_file: str | os.PathLike[str] | None,
        with_secret: bool,
    ) -> ClientRecord:
        """Return what is stored with the login."""
        return ClientRecord(
            client_id=self.client_id,
            token_endpoint=server.token_endpoint,
            issuer=server.issuer,
            authorization_endpoint=server.authorization_endpoint,
            device_authorization_endpoint=server.device_authorization_endpoint,
            revocation_endpoint=server.revocation_endpoint,
            token_endpoint_auth_method=self._auth_method(server),
            scope=self.scope,
            resource=_as_tuple(self.resource),
            audience=self.audience,
            origins=tuple(origins or ()),
            client_secret_file=None if with_secret else _path(secret_file),
            private_key_file=_path(key_file),
            key_id=self.client.get("key_id"),
            signing_alg=self.client.get("signing_alg"),
            assertion_audience=self.client.get("assertion_audience"),
            client_secret=self.client.get("client_secret") if with_secret else None,
        )

    def _auth_method(self, server: AuthorizationServer) -> str | None:
        signs = not {"private_key", "client_assertion"}.isdisjoint(self.client)
        if "client_secret" not in self.client and not signs:
            return None
        wanted = self.client.get("token_endpoint_auth_method")
        listed = server.token_endpoint_auth_methods_supported
        return auth_method(wanted, listed, by_assertion=signs)

    def _common(self) -> dict[str, Any]:
        return {
            "client_id": self.client_id,
            "scope": self.scope or None,
            "resource": self.resource,
            "audience": self.audience,
            **self.client,
        }


def _path(file: str | os.PathLike[str] | None) -> str | None:
    return None if file is None else str(Path(file).expanduser().absolute())


def _as_tuple(resource: str | Sequence[str] | None) -> tuple[str, ...]:
    return (resource,) if isinstance(resource, str) else tuple(resource or ())
