"""A login that its own document says how to renew."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from .._client_record import ClientRecord, record_of
from .._errors import LoginRequiredError, RefreshFailedError, RevocationFailedError
from .._source import TokenSource
from .._token import Token
from ..refreshers import AuthorizationServer, RefreshTokenGrant
from ..refreshers._client import AuthMethod
from ..stores import FileTokenStore, TokenStore, open_store
from ._issuer import discovered

# What of further arguments is the source's; all others are the grant's.
_OF_THE_SOURCE = frozenset(inspect.signature(TokenSource).parameters) - {
    "refresher",
    "origins",
    "token",
    "store",
    "login",
    "clock",
}


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
        if theirs is None or are_one_client(theirs, self._record):
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
    if record.client_secret_file is not None and "client_secret" not in client:
        usual["client_secret"] = read_secret(record.client_secret_file)
    if record.private_key_file is not None and "private_key" not in client:
        usual["private_key"] = read_secret(record.private_key_file, "the client's key")
    if record.token_endpoint_auth_method in get_args(AuthMethod) and "auth" not in client:
        usual["token_endpoint_auth_method"] = record.token_endpoint_auth_method
    return usual


def read_secret(file: str | os.PathLike[str], what: str = "the client's secret") -> str:
    """Return *what* is all of *file* but for the end of its line.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        return Path(file).expanduser().read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text"
    # Out here, because what was caught may have the secret in it.
    raise ValueError(
        f"{what} cannot be read from {os.fspath(file)} ({problem}): put it there, as text"
    )


def are_one_client(one: ClientRecord, other: ClientRecord) -> bool:
    """Return whether both are of the same client, at the same issuer."""
    return one.client_id == other.client_id and is_at(one, other.server)


def is_at(record: ClientRecord, issuer: str) -> bool:
    """Return whether *record* is of *issuer*, which may be without a slash at its end."""
    return record.server.rstrip("/") == issuer.rstrip("/")


def source_of(
    record: ClientRecord,
    store: TokenStore,
    origins: Iterable[str] | None,
    further: Mapping[str, Any],
) -> TokenSource:
    """Return the source of the login in *store*, of which *record* is."""
    of_source, of_grant = split(further)
    if origins is None:
        origins = record.origins or [_issuer_of(record)]
    return TokenSource(
        RememberedGrant(as_trusted(record, store), **of_grant),
        origins=origins,
        store=store,
        **of_source,
    )


def as_trusted(record: ClientRecord, store: TokenStore) -> ClientRecord:
    """Return *record*, without what may not be believed of one that was in *store*.

    A file can name a file: both are of this machine, and of whoever reads them. Who can write a
    store that is shared could name any file of ours as the secret, and an endpoint to send it to.
    """
    return (
        record
        if is_private(store)
        else replace(record, client_secret_file=None, private_key_file=None)
    )


def is_private(store: TokenStore) -> bool:
    """Return whether *store* is on this machine, and this user's alone."""
    return isinstance(store, FileTokenStore) and store.private


def _issuer_of(record: ClientRecord) -> str:
    """Return the origin of the token endpoint, which has the tokens already."""
    scheme, host, *_ = urlsplit(record.token_endpoint or record.server)
    return f"{scheme}://{host}"


def split(further: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what of *further* arguments is the source's, and what is the grant's."""
    of_source = {name: value for name, value in further.items() if name in _OF_THE_SOURCE}
    return of_source, {name: value for name, value in further.items() if name not in of_source}


def open_login(
    store: TokenStore | str | os.PathLike[str],
    *,
    origins: Iterable[str] | None = None,
    **further: Any,
) -> TokenSource:
    """Return the source of a login that `log_in`, or the command ``login``, has stored.

    The store says where it is from and how it is renewed. What it does not hold has to be passed:
    the secret, or the key, of a confidential client. Nothing is sent, but where the keyring of
    Windows had room for nothing but the issuer: then that is asked for its endpoints
    (`AuthorizationServer`).

    Args:
        store: A `TokenStore`, or the path of a file.
        origins: Where the token may go; None for the origins that it was stored with, or if there
            are none, nowhere but to the issuer.
        **further: More arguments of `RefreshTokenGrant` (``client_secret``, ``verify``, …) and of
            `TokenSource` (``when_logged_out``, …).

    Raises:
        LoginRequiredError: Nobody has logged in.
        RefreshFailedError, LoginFailedError: The issuer, if it has to be asked, does not tell.
        ValueError: What is stored does not say where it is from, or an argument makes no sense.
        TokenStoreError: The store cannot be read.
    """
    place = open_store(store)
    token = place.load()
    if token is None:
        raise LoginRequiredError(
            f"nobody has logged in: there is no login in {_shown(store)}; log in by log_in(), or "
            "by the command requests-tokenrefresh login",
            reason="no_token",
        )
    record = record_of(token)
    if record is None:
        raise ValueError(
            f"the login in {_shown(store)} does not say where it is from: it was not stored by "
            "log_in(); pass TokenSource a RefreshTokenGrant, and this store"
        )
    return source_of(record, place, origins, further)


def _shown(store: object) -> str:
    return os.fspath(store) if isinstance(store, str | os.PathLike) else repr(store)
