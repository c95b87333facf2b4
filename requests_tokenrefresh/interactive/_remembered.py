"""The grant that renews a login by what its own document says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from .._client_record import ClientRecord, record_of
from .._errors import RefreshFailedError, RevocationFailedError
from .._token import Token
from ..refreshers import AuthorizationServer, RefreshTokenGrant
from ..refreshers._client import AuthMethod
from ._issuer import discovered
from ._secret_files import secrets_in


class RememberedGrant(RefreshTokenGrant):
    """Renews a login by what its document says of the client.

    Only that client's: a store may get another login, whose refresh token is not for this issuer.
    If the document does not say where, that is discovered now (`AuthorizationServer.discover`).
    """

    def __init__(self, record: ClientRecord, **client: Any) -> None:
        self._record = record
        token_url: str | AuthorizationServer | None = record.token_endpoint
        if token_url is None:
            token_url = discovered(record.server, client)
        usual = _usual(record, client)
        targets = {"resource": list(record.resource), "audience": record.audience}
        data = {name: value for name, value in targets.items() if value}
        client["data"] = {**data, **(client.get("data") or {})}
        super().__init__(token_url, client_id=record.client_id, **{**usual, **client})

    def __call__(self, token: Token | None) -> Token:
        """As `RefreshTokenGrant`.

        Raises:
            RefreshFailedError: Or *token* is of another client.
        """
        if token is not None and (problem := self._problem(token)):
            raise RefreshFailedError(f"{problem}: open it again, by open_login()")
        return super().__call__(token)

    def revoke(self, token: Token) -> None:
        """As `RefreshTokenGrant`.

        Raises:
            RevocationFailedError: Or *token* is of another client.
        """
        if problem := self._problem(token):
            raise RevocationFailedError(f"{problem}, so its tokens stay good until they expire")
        super().revoke(token)

    def _problem(self, token: Token) -> str:
        """Return why *token* must not be sent to this server; empty: nothing says so."""
        theirs = record_of(token)  # none: a reply without a document
        if theirs is None or theirs.is_of(self._record.client_id, self._record.server):
            return ""
        return (
            f"the login in the store is of the client {theirs.client_id} at {theirs.server} now, "
            f"and not of {self._record.client_id}"
        )


def _usual(record: ClientRecord, client: Mapping[str, Any]) -> dict[str, Any]:
    """Return what *record* says of a grant's arguments, beside those that *client* has."""
    usual: dict[str, Any] = {
        "client_secret": record.client_secret,
        "revocation_url": record.revocation_endpoint,
        "key_id": record.key_id,
        "signing_alg": record.signing_alg,
        "assertion_audience": record.assertion_audience or record.issuer,
    }
    usual.update(secrets_in(record.client_secret_file, record.private_key_file, beside=client))
    if record.token_endpoint_auth_method in get_args(AuthMethod) and "auth" not in client:
        usual["token_endpoint_auth_method"] = record.token_endpoint_auth_method
    return usual
