"""Opening a login that is in a store: the source of it, with nothing but what is stored."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from .._client_record import ClientRecord, record_of
from .._errors import LoginRequiredError
from .._source import TokenSource
from ..stores import TokenStore, open_store
from ._remembered import RememberedGrant
from ._secret_files import as_trusted

# What of further arguments is the source's; all others are the grant's.
_OF_THE_SOURCE = frozenset(inspect.signature(TokenSource).parameters) - {
    "refresher",
    "origins",
    "token",
    "store",
    "login",
    "clock",
}


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
    if store is None:
        raise TypeError("store is where a login is: a path, or a token store; got None")
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


def split(further: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what of *further* arguments is the source's, and what is the grant's."""
    of_source = {name: value for name, value in further.items() if name in _OF_THE_SOURCE}
    return of_source, {name: value for name, value in further.items() if name not in of_source}


def _issuer_of(record: ClientRecord) -> str:
    """Return the origin of the token endpoint, which has the tokens already."""
    scheme, host, *_ = urlsplit(record.token_endpoint or record.server)
    return f"{scheme}://{host}"
