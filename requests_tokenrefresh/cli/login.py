"""`login`: by a browser, by another device, by a pasted address, or by a reply that is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from .._foreign import printable
from .._token import Token
from ..interactive import log_in
from ..interactive._invitation import Invitation
from ..interactive._person import Person
from ..interactive._way import How
from ..refreshers._authorization_server import AuthorizationServer
from ..stores import FileTokenStore
from .client_secret import client_arguments, client_auth_option, client_secret_option
from .exits import ended_by_sigterm, usage_errors
from .qr_code import qr_code
from .stored_login import LOCK_TIMEOUT, store_option, subject_of
from .token_reply import read_token_reply

# Options that are arguments of `log_in` by the same name.
_ARGUMENTS = (
    "scope",
    "audience",
    "authorization_url",
    "revocation_url",
    "redirect_uri",
    "browser",
    "timeout",
    "again",
    "private_key_file",
    "key_id",
)


def _url(name: str, explanation: str) -> Callable[[Any], Any]:
    return click.option(name, metavar="URL", help=explanation)


@click.command()
@store_option
@_url("--issuer", "Who logs people in; its endpoints are discovered (RFC 8414).")
@click.option("--client-id", metavar="ID", help="As what the program is registered there.")
@client_secret_option
@client_auth_option
@click.option(
    "--private-key-file",
    metavar="FILE",
    help="Holds the key of a client that signs assertions instead, as PEM or JWK (RFC 7523).",
)
@click.option("--key-id", metavar="ID", help="What the issuer calls that key.")
@click.option(
    "--keep-client-secret",
    is_flag=True,
    help="Store the secret itself with the login: for the one of a desktop client, which everybody "
    "has.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="Where the token may go: `get` keeps to it, and so does whoever opens the login. Can be "
    "repeated.",
)
@click.option(
    "--scope",
    metavar="TEXT",
    help="What to ask for, separated by spaces.  [default: openid offline_access, as far as the "
    "issuer lists it]",
)
@click.option(
    "--resource", multiple=True, metavar="URL", help="Which API the token is for (RFC 8707)."
)
@click.option("--audience", metavar="TEXT", help="The same, for servers that call it so.")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="More of the authorization request: prompt=consent, say.",
)
@click.option("--device", is_flag=True, help="Log in on another device (RFC 8628).")
@click.option("--no-browser", is_flag=True, help="Open no browser: show an address, and paste one.")
@click.option(
    "--browser",
    metavar="COMMAND",
    help="Which browser, as in the variable BROWSER: firefox, or 'firefox --private-window %s'.",
)
@click.option("--qr", is_flag=True, help="Show the address as a QR code too.")
@click.option(
    "--redirect-uri",
    metavar="URL",
    help="Where the browser comes back to, as it is registered.  [default: "
    "http://127.0.0.1/callback, with any port]",
)
@_url("--token-url", "The token endpoint; then nothing is discovered.")
@_url("--authorization-url", "Where the browser goes.")
@_url("--device-url", "The device authorization endpoint.")
@_url("--revocation-url", "Where `logout` tells that the tokens are done with (RFC 7009).")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long to wait for the person.  [default: 300]",
)
@click.option(
    "--again",
    is_flag=True,
    help="Log in also if there is a usable login. Its tokens stay good: `logout` first ends them.",
)
def login(store: FileTokenStore, **options: Any) -> None:
    """Log in, and store the login.

    With --issuer and --client-id a person logs in: in a browser that opens here, on another device,
    or in any browser, from which the address is pasted. A usable login stays. `get`, `status` and
    `logout` then need nothing but --store.

    Without any of these options: a token reply, which is what a token endpoint answers with (RFC
    6749 section 5.1), is read as JSON from standard input and stored. On a terminal there is a
    prompt that does not show what is typed.
    """
    given = {name: value for name, value in options.items() if value not in (None, False, ())}
    if not given:
        token = read_token_reply()
        with store.lock(LOCK_TIMEOUT):
            store.save(token)
        _tell(store, token, "")
        return
    person = Person(_as_qr_code if options["qr"] else None)
    with usage_errors(), ended_by_sigterm():
        log_in(_server(given), store=store, say=person, **_arguments(given))
    _tell(store, store.load(), "" if person.asked else " already")


def _as_qr_code(invitation: Invitation) -> str:
    return "" if sys.stderr is None else qr_code(invitation.address, sys.stderr)


def _tell(store: FileTokenStore, token: Token | None, when: str) -> None:
    subject = None if token is None else subject_of(token)
    whose = "" if subject is None else f" as {subject}"
    click.echo(f"Logged in{whose}{when}; the login is in {printable(store.path)}.")


def _server(given: Mapping[str, Any]) -> str | AuthorizationServer:
    """Return the issuer, or what is known of it by other options."""
    if "token_url" in given:
        return AuthorizationServer(issuer=given.get("issuer"), token_endpoint=given["token_url"])
    if "issuer" not in given:
        raise click.UsageError(
            "who logs people in? Pass --issuer; or --token-url, and --authorization-url or "
            "--device-url, of an issuer that cannot be discovered"
        )
    return str(given["issuer"])


def _arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `log_in` that the options in *given* mean."""
    if "client_id" not in given:
        raise click.UsageError("as what is the program registered there? Pass --client-id")
    arguments: dict[str, Any] = {name: given[name] for name in _ARGUMENTS if name in given}
    return {
        "client_id": given["client_id"],
        "origins": given.get("origins"),
        "resource": list(given.get("resource", ())) or None,
        "params": _params(given.get("params", ())),
        "how": _how(given),
        "device_authorization_url": given.get("device_url"),
        "keep_client_secret": "keep_client_secret" in given,
        "client_secret_file": _remembered(given.get("client_secret_file")),
        **arguments,
        **client_arguments(given.get("client_secret_file"), given.get("client_auth")),
    }


def _remembered(file: str | None) -> str | None:
    return None if file in (None, "-") else file


def _how(given: Mapping[str, Any]) -> How:
    if "device" in given and "no_browser" in given:
        raise click.UsageError("--device and --no-browser are two ways to log in: pass one")
    if "device" in given:
        return "device"
    return "paste" if "no_browser" in given else "auto"


def _params(pairs: tuple[str, ...]) -> dict[str, list[str]]:
    params: dict[str, list[str]] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise click.BadParameter("write it as NAME=VALUE", param_hint="--param")
        params.setdefault(name, []).append(value)
    return params
