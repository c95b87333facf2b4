"""Where a token may go: origins compared whole, and plain http to another machine by name only.

A mount prefix is no proof: ``https://api.example.com`` also matches
``https://api.example.com.evil.com/`` and ``https://api.example.com@evil.com/``, and a redirect
comes back through the adapter with whatever URL the server made up.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import unquote

from requests.utils import select_proxy
from urllib3.util import Url, parse_url

from ._door import check_text
from ._errors import InsecureTransportError

_DEFAULT_PORTS = {"http": 80, "https": 443}

# Scheme, host and port in characters that no two parsers read differently. requests connects by
# urlsplit or by urllib3's parse_url, depending on its version, and they disagree about
# `http://a:1\@b:2/`, percent-encoding, zone ids, tabs and line ends. None of these stands here,
# nor does a user name. Beyond ASCII is said by what is not: Python would take a range for a million
# characters, and 10 ms to compile it.
_PLAIN = re.compile(
    r"""
    https?://
    (?: (?: [a-z0-9_] | [^\x00-\x7f] ) (?: [a-z0-9_.\-] | [^\x00-\x7f] )*  # a name, or IPv4
      | \[ [0-9a-f:.]+ \]                                                 # IPv6
    )
    (?: : [1-9][0-9]* )?
    (?= [/?#] | \Z )
    """,
    re.VERBOSE | re.IGNORECASE,
)

# What stands around a user name, a query, a fragment or one of their fields.
_MAY_BEGIN_A_SECRET = re.compile("[@?#&;=]")

# Not *.localhost, which a resolver may ask the network for (RFC 6761 section 6.3 is a SHOULD).
_LOOPBACK = ip_network("127.0.0.0/8"), ip_network("::1/128")


def require_secure(
    url: str,
    *,
    insecure: bool = False,
    what: str = "the URL",
    switch: str = "insecure=True",
) -> bool:
    """Return whether a secret is safe on its way to *url*, if it may be sent there at all.

    It is safe over https, and over http to ``localhost``, 127.0.0.0/8 or ``[::1]`` (RFC 8252
    section 8.3).

    Args:
        url: Where to.
        insecure: Whether it may be plain http to another machine.
        what: What *url* is, to whoever reads the error.
        switch: What allows it, likewise.

    Raises:
        TypeError: *insecure* is not a bool; many a string that means no is true.
        ValueError: *url* is not an absolute http or https URL, or its host is not written plainly:
            beside a user name, or in a way that two parsers could read differently. The message
            repeats the URL only if it cannot hold a secret.
        InsecureTransportError: It is plain http to another machine, and that is not allowed.
    """
    if not isinstance(insecure, bool):
        raise TypeError(f"insecure is True or False, got {type(insecure).__name__}")
    parsed = _parse(what, url)
    if not insecure:
        _require_secure(what, parsed, switch)
    return _is_secure(parsed)


def is_read_by_a_proxy(url: str, proxies: Mapping[str, str] | None) -> bool:
    """Return whether a request for *url* would go through one of *proxies* in plain http: that is
    for this machine, or one that was named, and a proxy is another."""
    if not proxies or url.lower().startswith("https:"):
        return False
    return bool(select_proxy(parse_url(url).url, dict(proxies)))  # by the name it connects to


@dataclass(frozen=True, init=False)
class Origins:
    """The origins (RFC 6454 section 4) that a token may be sent to. Safe from any thread.

    Args:
        origins: Each ``scheme://host[:port]``. A Unicode host means what requests makes of it
            (IDNA); other spellings of a host (a dot at the end, another form of an IP address)
            are other hosts.
        insecure: More of them, which may be plain http to another machine as well.

    Attributes:
        origins: All of them in normal form: lower case, IDNA, no default port, sorted.
        insecure: Those that are plain http to another machine.

    Raises:
        TypeError: One of the two is not a list, but for example a string.
        ValueError: Both are empty, or one is not an origin; the message says which.
        InsecureTransportError: One of *origins* is plain http to another machine, and not among
            *insecure*.
    """

    origins: tuple[str, ...]
    insecure: tuple[str, ...] = field(repr=False)
    _pattern: re.Pattern[str] = field(repr=False, compare=False)

    def __init__(self, origins: Iterable[str], insecure: Iterable[str] = ()) -> None:
        by_name = _parsed_list("insecure_origins", insecure)
        parsed = _parsed_list("origins", origins)
        for number, origin in enumerate(parsed):
            if origin not in by_name:
                _require_secure(f"origins[{number}]", origin, f"insecure_origins=[{origin.url!r}]")
        parsed += by_name
        if not parsed:
            raise ValueError(
                "origins is empty, so the token could go nowhere: "
                'pass the servers it is for, such as ["https://api.example.com"]'
            )
        spellings = "|".join(sorted({_spellings(origin) for origin in parsed}))
        # ASCII: otherwise IGNORECASE finds an s in U+017F and a k in U+212A.
        pattern = re.compile(rf"(?:{spellings})(?=[/?#]|\Z)", re.IGNORECASE | re.ASCII)
        unsafe = {origin.url for origin in by_name if not _is_secure(origin)}
        object.__setattr__(self, "origins", tuple(sorted({origin.url for origin in parsed})))
        object.__setattr__(self, "insecure", tuple(sorted(unsafe)))
        object.__setattr__(self, "_pattern", pattern)

    def allow(self, url: str) -> bool:
        """Return whether every parser sends a request for *url* to one of the origins.

        Every request asks, so this is one match instead of two parsers: a URL that starts with
        an origin as in `_PLAIN`, up to the ``/``, ``?`` or ``#`` that ends any authority (RFC
        3986 section 3.2), goes there by all of them. Anything else gets no token.
        """
        return self._pattern.match(url) is not None


def _parsed_list(name: str, origins: Iterable[str]) -> list[Url]:
    if isinstance(origins, str | bytes) or not isinstance(origins, Iterable):
        raise TypeError(
            f'{name} is a list, such as ["https://api.example.com"], got {type(origins).__name__}'
        )
    return [_parse_origin(f"{name}[{n}]", origin) for n, origin in enumerate(origins)]


def _parse_origin(name: str, origin: str) -> Url:
    parsed = _parse(name, origin)
    port = None if parsed.port == _DEFAULT_PORTS[parsed.scheme or ""] else parsed.port
    plain = Url(scheme=parsed.scheme, host=parsed.host, port=port)
    if parsed.path not in (None, "/") or parsed.query is not None or parsed.fragment is not None:
        raise ValueError(
            f"{name} has something after the host, and an origin is only scheme://host[:port] "
            "(which paths take part is decided by where the adapter is mounted): "
            f"pass {plain.url!r}"
        )
    return plain


def _parse(name: str, url: str) -> Url:
    """Read *url* as requests prepares it, IDNA included."""
    if isinstance(url, str) and _PLAIN.match(url):
        parsed = None
        with contextlib.suppress(ValueError):  # a port or an address out of range, not IDNA
            parsed = parse_url(url)
        if parsed is not None:
            check_text(name, url)
            return parsed
    raise ValueError(
        f"{name} is not an http or https URL with a plain host, {_shown(url)}: "
        "pass something like 'https://api.example.com', without user name, wildcard or escapes"
    )


def _require_secure(name: str, parsed: Url, switch: str) -> None:
    if not _is_secure(parsed):
        raise InsecureTransportError(
            f"{name} is plain http, over which everybody on the way can read a token: use "
            f"https for {parsed.host} (http is for localhost, 127.0.0.0/8 and [::1]), or pass "
            f"{switch} if everybody on that network may read it"
        )


def _is_secure(parsed: Url) -> bool:
    return parsed.scheme == "https" or _is_loopback(parsed.host or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return any(address in network for network in _LOOPBACK)


def _spellings(origin: Url) -> str:
    """Return the pattern of *origin*, with the default port or without it."""
    port = "" if origin.port else f"(?::{_DEFAULT_PORTS[origin.scheme or '']})?"
    return re.escape(origin.url) + port


def _shown(url: object) -> str:
    if not isinstance(url, str):
        return f"got {type(url).__name__}"
    if _MAY_BEGIN_A_SECRET.search(unicodedata.normalize("NFKC", _unquoted(url))):
        return "and is not repeated here because it may hold a secret"
    return f"got {url!r}"


def _unquoted(url: str) -> str:
    while url != (plain := unquote(url)):
        url = plain
    return url
