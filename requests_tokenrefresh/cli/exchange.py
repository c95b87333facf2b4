"""One request as it is typed, and its answer as it is printed."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

import click
import requests
from requests.structures import CaseInsensitiveDict

from .._adapter import TokenRefreshAdapter
from .._door import check_text
from ..refreshers._client import NoAuth
from .terminal import on_a_terminal

_CHUNK = 1 << 16  # bytes
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # of a method, or a header: RFC 9110 5.6.2
_VALUE = re.compile("[^\0-\x08\x0a-\x1f\x7f\ud800-\udfff]*")  # of a header: RFC 9110 5.5


def typed_request(
    url: str, method: str | None, headers: tuple[str, ...], data: str | None
) -> requests.Request:
    """Return the request that the options of `get` mean.

    Raises:
        click.BadParameter: They make none that could be sent.
    """
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


def exchange(
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
    sys.stdout.flush()  # before an error is told, which is not buffered


def _head(response: requests.Response) -> list[bytes]:
    """Return the lines of it, the empty one at the end included."""
    version = {10: "1.0", 11: "1.1"}.get(response.raw.version, "1.1")
    status = f"HTTP/{version} {response.status_code} {response.reason}"
    fields = [f"{name}: {value}" for name, value in response.raw.headers.items()]
    return [line.encode("latin-1", "replace") for line in (status, *fields, "")]
