"""What a server said, made fit to be repeated in a message: short, one line, and no secret.

Servers do repeat what they were sent: a refresh token in an error_description, a whole form in a
page of HTML.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import requests
from urllib3.util import Url, parse_url

from .._foreign import in_one_line
from ._resemblance import SHORTEST, gives_away

_LONGEST = 200  # characters
_LOOKED_AT = 4000  # likewise

# What says nothing to a thief and much to whoever reads the error.
_PUBLIC_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "user-agent",
    }
)
_PUBLIC_FIELDS = frozenset({"audience", "client_id", "grant_type", "resource", "scope"})


@dataclass(frozen=True)
class Secrets:
    """What a request carried and nobody may read. Without a repr, for tools that show variables."""

    values: frozenset[str] = field(repr=False)

    @classmethod
    def of(cls, *requests: requests.PreparedRequest, known: Iterable[str] = ()) -> Secrets:
        """Return the secrets of *requests*, whoever put them there, and those that are *known*."""
        values = chain(known, *map(_values, requests))
        return cls(frozenset(value for value in values if len(value) >= SHORTEST))

    def repeated_in(self, text: str) -> bool:
        """Return whether *text* gives one of them away, in whatever spelling."""
        line = in_one_line(text)  # without what is not seen between its letters
        return any(gives_away(line, secret) for secret in self.values)

    def quote(self, said: str) -> str:
        """Return *said* as one short printable line, or a remark if it repeats one of them."""
        whole = in_one_line(said)
        line = whole if len(whole) <= _LONGEST else whole[: _LONGEST - 1] + "…"
        # What is cut off may be what gives away the rest.
        return "not shown: it repeats a secret" if self.repeated_in(whole[:_LOOKED_AT]) else line


def name_of(url: str) -> str:
    """Return ``scheme://host/path`` of *url*: no user name and no query, which may be secret.

    Raises:
        ValueError: It is not a URL.
    """
    parsed = parse_url(url)
    return Url(parsed.scheme, None, parsed.host, parsed.port, parsed.path).url


def _values(request: requests.PreparedRequest) -> Iterator[str]:
    for name, value in request.headers.items():
        if name.lower() not in _PUBLIC_HEADERS:
            yield from _header_values(str(value))
    yield from _body_values(request.body or "")
    for _, value in parse_qsl(urlsplit(request.url or "").query):
        yield value


def _header_values(value: str) -> Iterator[str]:
    yield value
    scheme, _, credentials = value.partition(" ")
    yield credentials
    if scheme.lower() == "basic":
        with suppress(ValueError):
            _, _, password = b64decode(credentials).decode().partition(":")
            yield password
            yield unquote_plus(password)


def _body_values(body: object) -> Iterator[str]:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    try:
        fields = json.loads(text).items()
    except (ValueError, RecursionError, AttributeError):  # no JSON, or no object
        fields = parse_qsl(text) or [("", text)]
    for name, value in fields:
        if name not in _PUBLIC_FIELDS and isinstance(value, str | list | dict):
            yield str(value)
