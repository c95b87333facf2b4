"""`serve`: the demo's server, to try things on."""

from __future__ import annotations

from typing import Any

import click

from .exits import USAGE, fail
from .one_client import CLIENT_ID
from .seconds_option import seconds_option
from .server import DemoServer, ServerSettings

_PORT = 8401


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_PORT,
    show_default=True,
    help="Of 127.0.0.1; 0 for any that is free.",
)
@seconds_option("--token-seconds", 10.0, "How long an access token lives.")
@seconds_option("--refresh-seconds", ServerSettings.refresh_seconds, "How long a refresh takes.")
@seconds_option("--data-seconds", ServerSettings.data_seconds, "How long a request takes.")
@click.option(
    "--announce/--no-announce",
    default=True,
    show_default=True,
    help="Whether token replies say how long tokens live.",
)
@click.option(
    "--consent",
    is_flag=True,
    help="Agree to every login at once, without the page with the button: for browsers that nobody "
    "sits at.",
)
def serve(**settings: Any) -> None:
    """Run the demo's server to try things on, until Ctrl-C.

    It is an issuer, where alice logs in by a browser (RFC 6749 section 4.1, RFC 7636) or on another
    device (RFC 8628), and whose tokens can be revoked (RFC 7009); and an API that wants them.

    It answers only to requests that name it as 127.0.0.1, localhost or [::1], with its port.
    """
    try:
        server = DemoServer(ServerSettings(**settings))
    except OSError as error:
        fail(
            f"port {settings['port']} of 127.0.0.1 cannot be had ({error.strerror}): "
            "try another with --port",
            USAGE,
        )
    with server:
        click.echo(_GUIDE.format(url=server.url, client_id=CLIENT_ID, **settings))
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("stopped")


_GUIDE = """\
An OAuth server to try things on, until Ctrl-C. An access token lives {token_seconds:g} s; a refresh
token works once, and one that comes twice revokes the login.

  issuer          {url}
  token endpoint  {url}/oauth/token
  client id       {client_id}  (a public client: no secret)
  data            {url}/data

In another terminal, log in, ask for the data as often as you like, and log out:

  requests-tokenrefresh login --issuer {url} --client-id {client_id} --store demo.json
  requests-tokenrefresh get {url}/data --store demo.json
  requests-tokenrefresh logout --store demo.json

Where nobody sits at a browser, start this with --consent, and log in with --browser 'curl -sL %s'.
For a token reply alone: curl -s -X POST {url}/login | requests-tokenrefresh login --store demo.json
"""
