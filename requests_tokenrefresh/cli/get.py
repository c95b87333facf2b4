"""`get`: one request with the stored login."""

from __future__ import annotations

import itertools
import logging
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import requests
from requests.structures import CaseInsensitiveDict

from .._adapter import TokenRefreshAdapter
from .._client_record import record_of
from .._door import check_text
from .._errors import TokenStoreError
from .._origins import Origins, require_secure
from .._source import TokenSource
from .._token import Token
from ..interactive import open_login
from ..refreshers import RefreshTokenGrant
from ..refreshers._client import NoAuth
from ..stores import FileTokenStore
from .client_secret import client_arguments, client_auth_option, client_secret_option
from .exits import STORE, UNSUCCESSFUL, fail, usage_errors
from .stored_login import fail_without_login, store_option
from .terminal import on_a_terminal

_CHUNK = 1 << 16  # bytes
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # of a method, or a header: RFC 9110 5.6.2
_VALUE = re.compile("[^\0-\x08\x0a-\x1f\x7f\ud800-\udfff]*")  # of a header: RFC 9110 5.5


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
        request = _request(url, method, headers, data)
    try:
        response = _exchange(request, adapter, timeout, include)
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


def _request(
    url: str, method: str | None, headers: tuple[str, ...], data: str | None
) -> requests.Request:
    body = None if data is None else _body(data)
    method = method or ("GET" if body is None else "POST")
    if not _NAME.fullmatch(method):
        raise click.BadParameter(f"{method!r} is not the name of a method", param_hint="-X")
    # Identity, because the body is printed as it comes.
    fields: dict[str, str | bytes] = {"Accept-Encoding": "identity"}
    if body is not None:
        fields["Content-Type"] = "application/x-www-form-urlencoded"
    for number, header in enumerate(headers, 1):
        name, colon, value = header.partition(":")
        # What is in a header is repeated nowhere: many hold a key.
        if not colon or not _NAME.fullmatch(name):
            raise click.BadParameter(
                f"write it as 'NAME: VALUE' (number {number})", param_hint="-H"
            )
        if not _VALUE.fullmatch(value):
            raise click.BadParameter(
                f"what is in header {name} cannot be sent: write one line of text", param_hint="-H"
            )
        fields[name] = value.strip().encode()
    return requests.Request(method, url, headers=CaseInsensitiveDict(fields), data=body)


def _body(data: str) -> bytes:
    if not data.startswith("@"):
        check_text("--data", data)
        return data.encode()
    if data == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{data[1:]}: {error.strerror}", param_hint="-d") from None


def _exchange(
    request: requests.Request, adapter: TokenRefreshAdapter, timeout: float, include: bool
) -> requests.Response:
    """Send *request*, print the answer, and return it."""
    with requests.Session() as session:
        session.auth = NoAuth()  # or a netrc entry would take the place of a header of the caller's
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        prepared = session.prepare_request(request)
        settings = session.merge_environment_settings(prepared.url or "", {}, True, None, None)
        with session.send(prepared, timeout=timeout, allow_redirects=False, **settings) as response:
            _print(response, include)
    return response


def _print(response: requests.Response, include: bool) -> None:
    response.raw.enforce_content_length = True  # urllib3 before 2 takes half a body for a whole one
    head = _head(response) if include else []
    body = response.raw.stream(_CHUNK, decode_content=False)
    as_it_came = itertools.chain((line + b"\r\n" for line in head), body)
    for piece in on_a_terminal(head, body) if sys.stdout.isatty() else as_it_came:
        sys.stdout.buffer.write(piece)


def _head(response: requests.Response) -> list[bytes]:
    """Return the lines of it, the empty one at the end included."""
    version = {10: "1.0", 11: "1.1"}.get(response.raw.version, "1.1")
    status = f"HTTP/{version} {response.status_code} {response.reason}"
    fields = [f"{name}: {value}" for name, value in response.raw.headers.items()]
    return [line.encode("latin-1", "replace") for line in (status, *fields, "")]
