"""The secret of a client that has one: where the commands get it from, and how it is sent."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from ..interactive._environment import OURS
from ..interactive._secret_files import read_secret

VARIABLE = f"{OURS}CLIENT_SECRET"

client_secret_option = click.option(
    "--client-secret-file",
    metavar="FILE",
    help="Holds the client's secret, if it has one; - is standard input. Or put the secret into "
    f"the environment variable {VARIABLE}.",
)

client_auth_option = click.option(
    "--client-auth",
    type=click.Choice(["basic", "post"]),
    help="How the secret is sent: by HTTP Basic, or in the form (RFC 6749 section 2.3.1).  "
    "[default: as the issuer lists it, else basic]",
)


def client_arguments(client_secret_file: str | None, client_auth: str | None) -> dict[str, Any]:
    """Return what a grant has to be told, besides what it finds in the store.

    Raises:
        ValueError: The secret cannot be read.
    """
    arguments: dict[str, Any] = {}
    secret = _secret(client_secret_file)
    if secret is not None:
        arguments["client_secret"] = secret
    if client_auth is not None:
        arguments["token_endpoint_auth_method"] = f"client_secret_{client_auth}"
    return arguments


def _secret(file: str | None) -> str | None:
    if file is None:
        return os.environ.get(VARIABLE)
    if file == "-":
        return _typed()
    return read_secret(file)


def _typed() -> str:
    if sys.stdin is None:
        raise ValueError("the client's secret is to be on standard input, which is closed")
    try:
        return sys.stdin.buffer.read().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        pass
    # Out here, because what was caught has the secret in it.
    raise ValueError("the client's secret on standard input is not UTF-8 text")
