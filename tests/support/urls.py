"""URLs made of what parsers stumble over, and where two parsers send a request for them."""

from __future__ import annotations

from urllib.parse import urlsplit

from hypothesis import strategies as st
from urllib3.util import parse_url

# Often enough near an allowed origin to come close.
STARTS = ["https://api.example.com", "https://a:1", "HTTPS://[::1]:2", "http://127.0.0.1", "https:"]
HOSTS = ["//", "api.example.com", "API.example.COM", "a", "[::1]", "127.0.0.1", "evil.com", "xn--"]
PORTS = [":443", ":80", ":1", ":2", ":01", ":0", ":"]
MARKS = ["/", "\\", "@", "?", "#", "%", "%2f", "%40", "%61", "[", "]", ".", "*", ";", "\t", "\n"]
LOOKALIKES = ["\u3002", "\uff0f", "\u017f", "\u212a", "\uff41", "\u00df"]
CHARACTERS = st.integers(0, 0x7F).map(chr) | st.integers(0, 0x10FFFF).map(chr)
PIECES = st.sampled_from([*HOSTS, *PORTS, *MARKS, *LOOKALIKES]) | CHARACTERS
URLS = st.builds(
    "{}{}{}".format,
    st.sampled_from(STARTS),
    st.lists(PIECES, max_size=4).map("".join),
    st.sampled_from(["", "/", "/path?query#fragment", "@evil.com/"]),
)


def destinations(url: str) -> list[tuple[str, str, int | None] | None]:
    """Where each of the two parsers sends a request, as far as it can read *url*."""
    found: list[tuple[str, str, int | None] | None] = []
    for parse in (urlsplit, parse_url):
        try:
            parsed = parse(url)
            host = (parsed.hostname or "").strip("[]")
            default = {"http": 80, "https": 443}.get(parsed.scheme)
            # requests takes port 0 for none given.
            found.append((parsed.scheme, host, parsed.port or default))
        except ValueError:
            found.append(None)
    return found
