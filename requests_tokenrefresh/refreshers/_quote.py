"""What a server said, made fit to be repeated in a message: short, one line, and no secret.

Servers do repeat what they were sent: a refresh token in an error_description, a whole form in a
page of HTML.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

import requests
from urllib3.util import Url, parse_url

from .._foreign import in_one_line
from .._token import Token
from ._resemblance import SHORTEST, Traces

NOT_SHOWN = "not shown: it repeats a secret"

_LONGEST = 200  # characters
_LOOKED_AT = 2 * _LONGEST  # what is cut off may be what gives away the rest
_READ = 16 * 1024  # characters, most of which may not be seen; a header may have megabytes

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
_PUBLIC_FIELDS = frozenset({"audience", "client_id", "resource", "scope"})
_PUBLIC_ENDING = "_type"  # of a grant, an assertion, a token: RFC 6749, 7521, 8693


@dataclass(frozen=True)
class Secrets:
    """What a request carried and nobody may read. Without a repr, for tools that show variables."""

    values: frozenset[str] = field(repr=False)

    @classmethod
    def of(cls, *requests: requests.PreparedRequest, known: Iterable[str] = ()) -> Secrets:
        """Return the secrets of *requests*, whoever put them there, and those that are *known*."""
        values = chain(known, *map(_values, requests))
        return cls(frozenset(value for value in values if len(value) >= SHORTEST))

    def beside(self, known: Iterable[str]) -> Secrets:
        """Return these and those that are *known*."""
        return Secrets(self.values | Secrets.of(known=known).values)

    @cached_property
    def _traces(self) -> Traces:
        return Traces(self.values)

    def repeated_in(self, text: str) -> bool:
        """Return whether *text* gives one of them away, in whatever spelling."""
        # Without what is not seen between its letters.
        return self._traces.are_in(in_one_line(text))

    def quote(self, said: str) -> str:
        """Return *said* as one short printable line, or a remark if it repeats one of them."""
        whole = in_one_line(said[:_READ])
        line = whole if len(whole) <= _LONGEST else whole[: _LONGEST - 1] + "…"
        return NOT_SHOWN if self.repeated_in(whole[:_LOOKED_AT]) else line

    def quote_each(self, said: Iterable[str]) -> dict[str, str]:
        """Return each as `quote` has it, by itself. They may be parts of one of the secrets: none
        is shown if all together repeat it, and where one does, none that has a piece of it."""
        lines = {text: self.quote(text) for text in said}
        if NOT_SHOWN in lines.values():
            lines = {
                text: NOT_SHOWN if self._traces.have_a_piece_like(text) else line
                for text, line in lines.items()
            }
        together = " ".join(line for line in lines.values() if line != NOT_SHOWN)
        return dict.fromkeys(lines, NOT_SHOWN) if self.repeated_in(together) else lines


def name_of(url: str) -> str:
    """Return ``scheme://host/path`` of *url*: no user name and no query, which may be secret.

    Raises:
        ValueError: It is not a URL.
    """
    parsed = parse_url(url)
    return Url(parsed.scheme, None, parsed.host, parsed.port, parsed.path).url


def query_fields(url: str) -> list[tuple[str, str]]:
    """Return the fields in the query of *url*, whichever way they are separated; what is no field
    is one without a value."""
    query = urlsplit(url).query.replace(";", "&")
    return parse_qsl(query, keep_blank_values=True)


def passwords_in(proxies: Mapping[str, str]) -> Iterator[str]:
    """Return the passwords in the URLs of *proxies*."""
    for url in proxies.values():
        user = str(url).rpartition("@")[0].rpartition("/")[2]
        yield user.partition(":")[2] or user
        yield unquote(user.partition(":")[2])


def secrets_in(token: Token | None) -> list[str]:
    """Return what of *token* nobody may read."""
    if token is None:
        return []
    beside = (value for name, value in token.extra.items() if name.endswith("token"))
    values = (token.access_token, token.refresh_token, *beside)
    return [value for value in values if isinstance(value, str)]


def _values(request: requests.PreparedRequest) -> Iterator[str]:
    for name, value in request.headers.items():
        if name.lower() not in _PUBLIC_HEADERS:
            yield from _header_values(str(value))
    yield from _body_values(request.body or "")
    for name, value in query_fields(request.url or ""):
        yield value or name


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
        is_public = name in _PUBLIC_FIELDS or name.endswith(_PUBLIC_ENDING)
        if not is_public and not isinstance(value, bool | None):
            yield str(value)
