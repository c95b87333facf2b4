"""`doctor`: what whoever reads of a fault will ask, as one text to paste. No secret is in it."""

from __future__ import annotations

import functools
import os
import platform
import ssl
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

import click

from .._client_record import ClientRecord, record_of
from .._errors import StoreLockTimeoutError, TokenStoreError
from .._origins import Origins, require_secure
from .._token import Token
from ..refreshers._quote import name_of, secrets_in
from ..stores import FileTokenStore
from .doctor_report import Report
from .doctor_server import tell_server
from .exits import UNSUCCESSFUL, usage_errors
from .stored_login import facts_of, pause_in, resting, store_option, when_expires

_NEEDED = ("requests", "urllib3", "oauthlib", "filelock", "click")
_MAY_MATTER = (  # what is not there is not told
    *("urllib3-future", "niquests", "requests-oauthlib", "requests-cache", "requests-toolbelt"),
    *("gevent", "eventlet", "keyring", "redis", "valkey", "sqlalchemy", "cryptography", "certifi"),
)
_VARIABLES = ("NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC")

_MOST_HOSTS = 8


@click.command()
@functools.partial(store_option, required=False)
@click.option("--url", metavar="URL", help="An address of the API, whose server is looked at too.")
def doctor(store: FileTokenStore | None, url: str | None) -> None:
    """Tell what a report of a fault needs, and what is wrong, as a text to paste.

    Versions, the token file and who may use it, whose client the login is and when it expires, and
    for each server of the login its clock, proxies and netrc. Each is asked once, without a token.
    No token, password or user name is told. Without --store, as for a login that is in no file,
    only the machine and the server at --url are looked at.

    The exit code is 1 if something is wrong.
    """
    with usage_errors():
        hosts = [] if url is None else [_origin_of(url)]
    report = Report()
    _tell_versions(report)
    if store is not None and (token := _tell_store(report, store)) is not None:
        _tell_login(report, store, token)
        hosts += _hosts_of(token)
    _tell_environment(report)
    for host in list(dict.fromkeys(hosts))[:_MOST_HOSTS]:
        tell_server(report, host)
    click.echo(report.text())
    if report.findings:
        raise click.exceptions.Exit(UNSUCCESSFUL)


def _tell_versions(report: Report) -> None:
    report.begin("versions")
    report.tell("requests-tokenrefresh", _version("requests-tokenrefresh"))
    report.tell("Python", f"{platform.python_implementation()} {platform.python_version()}")
    report.tell("system", f"{platform.system()} {platform.release()} {platform.machine()}")
    report.tell("TLS", ssl.OPENSSL_VERSION)
    for name in _NEEDED:
        report.tell(name, _version(name))
    for name in _MAY_MATTER:
        if (found := _version(name)) is not None:
            report.tell(name, found)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _tell_store(report: Report, store: FileTokenStore) -> Token | None:
    """Tell of the token file what the store says of it, and return what is in it."""
    report.begin("store")
    report.tell("file", store.path)
    report.tell("has to be private", "yes" if store.private else "no")
    try:
        token = store.load()
    except TokenStoreError as error:
        report.tell("login", "cannot be read")
        report.find(error)
        return None
    report.tell("login", "none" if token is None else "there is one")
    if token is None:
        report.find(f"nobody has logged in: there is no {store.path}")
        return None
    report.hide(secrets_in(token))
    try:
        with store.lock(0):
            report.tell("lock", "free")
            store.ensure_can_save()
    except StoreLockTimeoutError:
        report.tell("lock", "taken: somebody refreshes, or hangs")
    except TokenStoreError as error:
        report.tell("can be replaced", "no")
        report.find(error)
    else:
        report.tell("can be replaced", "yes")
    return token


def _tell_login(report: Report, store: FileTokenStore, token: Token) -> None:
    record = record_of(token)
    if record is not None and record.client_secret is not None:
        report.hide([record.client_secret])
    facts = facts_of(token, time.time())
    report.begin("login")
    report.tell("issuer", _named(facts["issuer"] if record is None else record.server))
    report.tell("client", facts["client_id"])
    report.tell("goes to", _where(record))
    report.tell("remembered by", "log_in" if record is not None else "nobody: a reply was stored")
    report.tell("type", token.token_type)
    report.tell("expires", when_expires(facts["expires_at"], facts["expires_in"]))
    report.tell("refresh token", "yes" if facts["has_refresh_token"] else "no")
    if facts["expired"] and not facts["has_refresh_token"]:
        report.find("the access token has expired, and there is no refresh token: log in again")
    try:
        pause = pause_in(store, time.time())
    except TokenStoreError as error:
        report.find(error)
        return
    report.tell("pause", "none" if pause is None else resting(**pause))
    if pause is not None:
        report.find("the token endpoint is in trouble, or was asked too often: see the pause")


def _where(record: ClientRecord | None) -> str:
    """Return where the token goes: if the login does not say it, whoever opens the login does."""
    if record is None:
        return "wherever the program that uses it says"
    named = " ".join(str(_named(origin)) for origin in record.origins)
    return named or "its issuer alone, unless whoever opens it says more"


def _named(url: object) -> str | None:
    """Return *url* without what may be secret in it."""
    if url is None:
        return None
    try:
        return name_of(str(url))
    except ValueError:
        return "(no URL)"


def _hosts_of(token: Token) -> Iterator[str]:
    """Return the servers that whoever logged in has named; a claim of a token names none."""
    record = record_of(token)
    for url in () if record is None else (*record.origins, record.server):
        try:
            yield _origin_of(url)
        except ValueError:
            continue  # it is told with the login


def _origin_of(url: str) -> str:
    """Return the origin of *url*, in normal form.

    Raises:
        ValueError: It is no URL that a token could go to.
    """
    require_secure(url, insecure=True)
    scheme, host, *_ = urlsplit(url)
    return Origins((), [f"{scheme}://{host}"]).origins[0]


def _tell_environment(report: Report) -> None:
    report.begin("environment")
    for name in _VARIABLES:
        if value := os.environ.get(name):
            report.tell(name, value)
    report.tell("clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
