"""Logging a person in: once, and not again while that login is good."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from .._client_record import ClientRecord, record_of, with_record
from .._door import check_callable, check_choice, check_seconds
from .._errors import (
    LoginRequiredError,
    RefreshFailedError,
    RefreshTimeoutError,
    StoreLockTimeoutError,
)
from .._origins import Origins
from .._source import TokenSource
from .._token import Token
from ..refreshers import AuthorizationServer
from ..stores import ChecksSaving, TokenStore, open_store
from ._asked import Asked
from ._browser import Browser
from ._by_any_way import log_in_by_any_way
from ._by_code import Say
from ._issuer import Issuer
from ._open_login import source_of, split
from ._person import Person
from ._secret_files import as_trusted, secrets_in
from ._way import How

_log = logging.getLogger("requests_tokenrefresh")

_TURN = 20.0  # seconds to wait for a refresh that is under way in the store's turn


def log_in(
    issuer: str | AuthorizationServer,
    *,
    client_id: str,
    origins: Iterable[str] | None,
    store: TokenStore | str | os.PathLike[str] | None,
    how: How = "auto",
    scope: str | None = None,
    resource: str | Sequence[str] | None = None,
    audience: str | None = None,
    params: Mapping[str, str | Sequence[str]] | None = None,
    authorization_url: str | None = None,
    device_authorization_url: str | None = None,
    revocation_url: str | None = None,
    redirect_uri: str = "http://127.0.0.1/callback",
    browser: Browser = None,
    timeout: float = 300.0,
    again: bool = False,
    client_secret_file: str | os.PathLike[str] | None = None,
    private_key_file: str | os.PathLike[str] | None = None,
    keep_client_secret: bool = False,
    say: Say | None = None,
    **further: Any,
) -> TokenSource:
    """Log a person in, unless that has been done, and return the source of the login.

    A usable login of this issuer and client that is in *store* stays, and nobody is asked. Else a
    person is, by a browser that opens here, by another device, or by an address to open and one to
    paste. What the new login replaces is not revoked, since there are servers that end all logins
    of a person by that, the new one too: to end it, log out first (`TokenSource.logout`).

    Blocks until the person has logged in; Ctrl-C ends it, with nothing stored. Not for several
    threads at once, which would ask several times.

    Args:
        issuer: Its https URL, by which its endpoints are discovered (RFC 8414), or an
            `AuthorizationServer` that was made by hand.
        client_id: As what the program is registered there.
        origins: Where the token may go; None for nowhere but to the issuer, where whoever opens
            the login later says it: `open_login`.
        store: Where the login is kept: a `TokenStore`, the path of a file, or None for memory.
        how: ``"browser"``, ``"device"``, ``"paste"``, or what suits this machine: a browser if
            ``$BROWSER`` is set, or there is a screen, and this is no SSH session; else a device if
            the server can do that; else an address, and a terminal to paste another into.
        scope: What to ask for, separated by spaces; None for ``openid offline_access`` as far as
            the server lists it, "" for nothing.
        resource, audience: Which APIs the token is for, as in `AuthorizationCodeGrant`.
        params: Further parameters of the authorization request.
        authorization_url, device_authorization_url, revocation_url: Endpoints that outrank those
            which the issuer says.
        redirect_uri: Where the browser comes back to, as it is registered. Of the loopback and
            without a port, it gets any that is free (RFC 8252 section 7.3).
        browser: A command or a name as in ``$BROWSER``, or a function that takes the address.
        timeout: Seconds that the person has.
        again: Ask, whatever is stored.
        client_secret_file: Holds the client's secret. In a `FileTokenStore` its path is stored with
            the login, and read when that is opened.
        private_key_file: Likewise, the key of a client that signs assertions (``private_key_jwt``),
            which is never stored itself.
        keep_client_secret: Store the client's secret itself with the login.
        say: Called with what the person has to read, one or more lines, an address always on a
            line of its own; None writes it to standard error, and if that is a terminal, with the
            time that is left.
        **further: More arguments of `RefreshTokenGrant` (``client_secret``, ``verify``, …) and of
            `TokenSource` (``when_logged_out``, …).

    Raises:
        LoginFailedError: Nobody has logged in; `reason` says why. What was stored is as it was.
        RefreshFailedError: The server is out of reach, or in trouble.
        TypeError, ValueError, InsecureTransportError: An argument makes no sense.
        TokenStoreError: The login cannot be kept.
    """
    check_choice("how", how, get_args(How))
    tell = Person() if say is None else say
    check_callable("say", tell, "a function that takes text, or None")
    seconds = check_seconds("timeout", timeout)
    place = open_store(store)
    further = {**secrets_in(client_secret_file, private_key_file), **further}
    of_source, client = split(further)
    if origins is not None:
        origins = Origins(origins, of_source.get("insecure_origins", ())).origins
    asked = Asked(client_id, scope, resource, audience, params, redirect_uri, client)
    where = Issuer(issuer, authorization_url, device_authorization_url, revocation_url)
    where.check()
    asked.check(where.name)

    def source(record: ClientRecord) -> TokenSource:
        return source_of(record, place, origins, further)

    standing = None if again else _standing(place, client_id, where.name)
    if standing is not None:
        tokens = source(standing)
        if _is_usable(tokens):
            return tokens

    server = where.server(client)
    asked = asked.at(server)
    kept = asked.record(
        server,
        origins,
        secret_file=client_secret_file,
        key_file=private_key_file,
        with_secret=keep_client_secret,
    )
    record = as_trusted(kept, place)
    if isinstance(place, ChecksSaving):
        place.ensure_can_save()  # a token that is received must not be lost
    tokens = source(record)
    token = log_in_by_any_way(
        how,
        asked,
        server,
        browser=browser,
        timeout=seconds,
        say=tell,
        keep=lambda token: _keep(token, record, place),
    )
    if token.refresh_token is None:
        _log.warning("%s", _NO_REFRESH_TOKEN)
    return tokens


def _standing(place: TokenStore, client_id: str, issuer: str) -> ClientRecord | None:
    """Return the record of the login in *place*, if it is one of this client at *issuer*."""
    token = place.load()
    record = None if token is None else record_of(token)
    return record if record is not None and record.is_of(client_id, issuer) else None


def _is_usable(source: TokenSource) -> bool:
    """Return whether the login of *source* is not over; that is asked if it has to be refreshed."""
    try:
        source.token()
    except LoginRequiredError:
        return False
    except (RefreshFailedError, RefreshTimeoutError):
        pass  # only the issuer ends a login, and it has not
    return True


def _keep(token: Token, record: ClientRecord, place: TokenStore) -> Token:
    """Save *token* with *record* in it, and return it."""
    token = with_record(token, record)
    try:
        # Not while a refresh is under way, whose token could take the place of this one.
        with place.lock(_TURN):
            place.save(token)
    except StoreLockTimeoutError:
        place.save(token)
    return token


_NO_REFRESH_TOKEN = (
    "the login came without a refresh token, and ends with its access token: ask for one, as the "
    "server wants it, by scope='... offline_access', or by params={'access_type': 'offline', "
    "'prompt': 'consent'}"
)
