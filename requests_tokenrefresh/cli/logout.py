"""`logout`: a login ends here, and where it was issued."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import click

from .._client_record import ClientRecord, record_of
from .._errors import RevocationFailedError
from .._foreign import printable
from .._token import Token
from ..interactive import open_login
from ..stores import FileTokenStore
from .client_secret import client_arguments, client_auth_option, client_secret_option
from .exits import TRY_LATER
from .stored_login import LOCK_TIMEOUT, store_option


@click.command()
@store_option
@client_secret_option
@client_auth_option
@click.option("--local", is_flag=True, help="Do not revoke it: others may still use its tokens.")
def logout(store: FileTokenStore, local: bool, **client: Any) -> None:
    """Forget a login, and have it revoked.

    The token file is removed. If `login` knew the issuer's revocation endpoint, the tokens are
    revoked there (RFC 7009); else they stay good until they expire.

    The exit code is 4 if the issuer could not be told. The login is forgotten here even so.
    """
    stored = store.load()
    record = None if stored is None else record_of(stored)
    if local or record is None or record.revocation_endpoint is None:
        with store.lock(LOCK_TIMEOUT):
            store.clear()
        click.echo(_forgotten(store, stored, record))
        return
    host = urlsplit(record.revocation_endpoint).netloc
    try:
        tokens = open_login(store, **client_arguments(**client))
    except (ValueError, ImportError) as error:
        raise click.UsageError(f"{error}; --local forgets the login without it") from None
    try:
        tokens.logout(revoke=True)
    except RevocationFailedError as error:
        why = "no answer" if error.status is None else error.status
        click.echo(f"Logged out here; {host} was not told ({why}): the tokens stay good.")
        click.get_current_context().exit(TRY_LATER)
    click.echo(f"Logged out; {host} has revoked the login.")


def _forgotten(store: FileTokenStore, stored: Token | None, record: ClientRecord | None) -> str:
    if stored is None:
        return f"Logged out; there is no login in {printable(store.path)}."
    who = "nobody was"
    if record is not None and record.revocation_endpoint is not None:
        who = f"{urlsplit(record.revocation_endpoint).netloc} was not"
    return f"Logged out here; {who} told: the tokens stay good."
