"""What a token's document says of the client that it was given to, so that whoever opens the store
knows how the login is renewed. It is written by a login, and inherited from token to token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ._token import Token

_NAME = "client"


@dataclass(frozen=True)
class ClientRecord:
    """As whom somebody has logged in, and where.

    Attributes:
        client_id: The client.
        token_endpoint, authorization_endpoint, device_authorization_endpoint, revocation_endpoint:
            The server's, by the names of RFC 8414 section 2.
        issuer: Its identifier.
        token_endpoint_auth_method: How the client authenticates.
        scope, resource, audience: What was asked for.
        origins: Where the token may go.
        client_secret_file: The path of a file with the client's secret.
        client_secret: That itself, only if that was wanted.
    """

    client_id: str
    token_endpoint: str
    issuer: str | None = None
    authorization_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    token_endpoint_auth_method: str | None = None
    scope: str | None = None
    resource: tuple[str, ...] = ()
    audience: str | None = None
    origins: tuple[str, ...] = ()
    client_secret_file: str | None = None
    client_secret: str | None = field(default=None, repr=False)


def record_of(token: Token) -> ClientRecord | None:
    """Return what *token* came with; None if that is nothing that could be used."""
    document = token.extra.get(_NAME)
    if not isinstance(document, Mapping):
        return None
    read = {one.name: _read(one.name, document.get(one.name)) for one in fields(ClientRecord)}
    told = {name: value for name, value in read.items() if value is not None}
    if not {"client_id", "token_endpoint"} <= told.keys():
        return None
    return ClientRecord(**told)


def with_record(token: Token, record: ClientRecord) -> Token:
    """Return *token* with *record* in its document, as plain JSON values."""
    values = {one.name: getattr(record, one.name) for one in fields(record)}
    document = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value not in (None, ())
    }
    return replace(token, extra={**token.extra, _NAME: document})


def _read(name: str, value: Any) -> Any:
    if name in ("origins", "resource"):
        is_list = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        return tuple(value) if is_list else None
    return value if isinstance(value, str) and value else None
