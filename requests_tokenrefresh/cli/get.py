"""`get`: one request with the stored login."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import click

from .._adapter import TokenRefreshAdapter
from .._client_record import record_of
from .._errors import TokenStoreError
from .._origins import Origins, require_secure
from .._source import TokenSource
from .._token import Token
from ..interactive import open_login
from ..refreshers import RefreshTokenGrant
from ..stores import FileTokenStore
from .client_secret import client_arguments, client_auth_option, client_secret_option
from .exchange import exchange, typed_request
from .exits import STORE, UNSUCCESSFUL, fail, usage_errors
from .stored_login import fail_without_login, store_option


@click.command()
@click.argument("url")
@store_option
@click.option(
    "--token-url",
    metavar="URL",
    help="The token endpoint, if the store does not say it: `login --issuer` stores it.",
)
@click.option("--client-id", metavar="ID", help="The client the login is for; likewise.")
@client_secret_option
@client_auth_option
@click.option(
    "--allow-http",
    is_flag=True,
    help="Plain http to another machine too: everybody on the way can read the tokens.",
)
@click.option(
    "--attach",
    metavar="HEADER",
    help="Where the token stands, if not in Authorization: X-Auth-Token, say, or with a scheme "
    "'Authorization: token'.",
)
@click.option("-i", "--include", is_flag=True, help="Print status and headers of the answer too.")
@click.option("-X", "--request", "method", metavar="METHOD", help="GET, or POST with --data.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'")
@click.option("-d", "--data", metavar="TEXT", help="The body; @FILE reads it from a file.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the server may be silent.",
)
def get(
    url: str,
    store: FileTokenStore,
    token_url: str | None,
    client_id: str | None,
    client_secret_file: str | None,
    client_auth: str | None,
    allow_http: bool,
    attach: str | None,
    include: bool,
    method: str | None,
    headers: tuple[str, ...],
    data: str | None,
    timeout: float,
) -> None:
    """Send one request with the stored login, refreshing it if need be.

    The answer's body goes to standard output as it came, but to a terminal without what that would
    obey. Redirects are not followed, and the token goes to the server of URL only.
    """
    # What goes wrong is said once, by the error in the end, and not by log lines before it.
    logging.getLogger("requests_tokenrefresh").addHandler(logging.NullHandler())
    watched = _WatchedStore(store.path, private=store.private)
    with usage_errors():
        client = client_arguments(client_secret_file, client_auth)
        if token_url is None and client_id is None:
            tokens = _remembered(url, watched, allow_http, client)
        else:
            tokens = _tokens(url, watched, token_url, client_id, allow_http, client)
        adapter = TokenRefreshAdapter(tokens, attach=attach)
        request = typed_request(url, method, headers, data)
    try:
        response = exchange(request, adapter, timeout, include)
    finally:
        if watched.unsaved is not None:  # more than whatever else went wrong: the login is lost
            fail(f"the login was refreshed and could not be saved: {watched.unsaved}", STORE)
    if not response.ok:
        fail(f"the server answered {response.status_code} {response.reason}", UNSUCCESSFUL)


class _WatchedStore(FileTokenStore):
    """Remembers why the newest token is not in it: saving is not retried after the process ends."""

    unsaved: TokenStoreError | None = None

    def save(self, token: Token) -> None:
        try:
            super().save(token)
        except TokenStoreError as error:
            self.unsaved = error
            raise
        self.unsaved = None


def _remembered(
    url: str, store: FileTokenStore, allow_http: bool, client: Mapping[str, Any]
) -> TokenSource:
    """Return the source of a login that says itself where it is from."""
    require_secure(url, insecure=allow_http, switch="--allow-http")
    token = store.load()
    if token is None:
        fail_without_login(store)
    record = record_of(token)
    if record is None:
        raise click.UsageError(
            f"the login in {store.path} does not say where it is from: pass --token-url and "
            "--client-id"
        )
    if record.origins and not Origins((), record.origins).allow(url):
        raise click.UsageError(
            f"the login in {store.path} is for {' and '.join(record.origins)} only: log in once "
            "more with that server as --origin too, and --again"
        )
    return open_login(
        store, origins=(), insecure_origins=[_origin(url)], insecure=allow_http, **client
    )


def _tokens(
    url: str,
    store: FileTokenStore,
    token_url: str | None,
    client_id: str | None,
    allow_http: bool,
    client: Mapping[str, Any],
) -> TokenSource:
    if token_url is None or client_id is None:
        raise click.UsageError("--token-url and --client-id go together: pass both, or neither")
    for place in (url, token_url):
        require_secure(place, insecure=allow_http, switch="--allow-http")
    grant = RefreshTokenGrant(token_url, client_id=client_id, insecure=allow_http, **client)
    return TokenSource(grant, insecure_origins=[_origin(url)], store=store)


def _origin(url: str) -> str:
    scheme, host, *_ = urlsplit(url)
    return f"{scheme}://{host}"  # secure, or allowed: that was looked at before
