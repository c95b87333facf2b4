"""What a token's document says of the client that it was given to, so that whoever opens the store
knows how the login is renewed. It is written by a login, and inherited from token to token; what a
server's reply calls so is not it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ._token import CLIENT, Token


@dataclass(frozen=True)
class ClientRecord:
    """As whom somebody has logged in, and where. It has an *issuer* or a *token_endpoint*.

    Attributes:
        client_id: The client.
        token_endpoint, authorization_endpoint, device_authorization_endpoint, revocation_endpoint:
            The server's, by the names of RFC 8414 section 2; None where there was no room for them.
        issuer: Its identifier, by which they can be discovered.
        token_endpoint_auth_method: How the client authenticates.
        scope, resource, audience: What was asked for.
        origins: Where the token may go.
        client_secret_file, private_key_file: The path of a file with the client's secret, or its
            key.
        key_id, signing_alg, assertion_audience: What else an assertion of the client needs.
        client_secret: That itself, only if that was wanted.
    """

    client_id: str
    token_endpoint: str | None = None
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
    private_key_file: str | None = None
    key_id: str | None = None
    signing_alg: str | None = None
    assertion_audience: str | None = None
    client_secret: str | None = field(default=None, repr=False)

    @property
    def server(self) -> str:
        """What the server is known by: its *issuer*, or its *token_endpoint*."""
        return self.issuer or self.token_endpoint or ""

    def is_of(self, client_id: str, server: str) -> bool:
        """Whether it is of this client at *server*, which may be without a slash at its end."""
        return self.client_id == client_id and self.server.rstrip("/") == server.rstrip("/")


def record_of(token: Token) -> ClientRecord | None:
    """Return what *token* came with; None if that is nothing that could be used. A field that makes
    no sense counts as left out, and one that is not known here is left alone."""
    document = token.extra.get(CLIENT)
    if not isinstance(document, Mapping):
        return None
    read = {one.name: _read(one.name, document.get(one.name)) for one in fields(ClientRecord)}
    told = {name: value for name, value in read.items() if value is not None}
    if "client_id" not in told or told.keys().isdisjoint({"issuer", "token_endpoint"}):
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
    return replace(token, extra={**token.extra, CLIENT: document})


def in_brief(token: Token) -> Token:
    """Return *token* with no more in its document than which client of which server it is of, for a
    store that has room for little."""
    record = record_of(token)
    if record is None:
        return token
    endpoint = record.token_endpoint if record.issuer is None else None
    return with_record(token, ClientRecord(record.client_id, endpoint, record.issuer))


def _read(name: str, value: Any) -> Any:
    if name in ("origins", "resource"):
        is_list = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        return tuple(value) if is_list else None
    return value if isinstance(value, str) and value else None
