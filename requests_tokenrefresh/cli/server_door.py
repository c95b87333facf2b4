"""What the demo's server lets in: who names it by the loopback, with a body it can read.

Any page in a browser on this machine can send requests here, and one whose name has been made to
mean 127.0.0.1 meanwhile (DNS rebinding) could read the answers: what tells it apart is the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message

LARGEST_BODY = 1 << 20  # bytes

_NAMES = ("127.0.0.1", "localhost", "[::1]")
_CHANGE_NOTHING = ("GET", "HEAD", "OPTIONS")
_OWN_SITES = ("same-origin", "none")  # none: what a person has typed into the browser


class Refused(Exception):  # noqa: N818 - it is an answer
    """A request that is answered with an error.

    Attributes:
        status: That of the answer.
        problem: What is wrong with the request.
    """

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem


def check_sender(method: str, target: str, headers: Message[str, str], *, port: int) -> None:
    """Let in what was sent to this server by name, and not by a page of another site.

    Args:
        target: As in the request line.
        port: The server's.

    Raises:
        Refused: It was not.
    """
    ours = set(_our_names(port))
    hosts = _values(headers, "Host")
    if len(hosts) != 1 or hosts[0].lower() not in ours:
        raise Refused(403, f"say one Host, and by the loopback: 127.0.0.1:{port}")
    if not target.startswith("/"):
        raise Refused(400, "ask for a path that begins with /")
    if method not in _CHANGE_NOTHING and any(_other_sites(headers, ours)):
        raise Refused(403, "a page of another site may change nothing here")


def length_of_body(headers: Message[str, str]) -> int:
    """Return how many bytes follow (RFC 9112 section 6.3), `LARGEST_BODY` at most.

    Raises:
        Refused: Nobody can know, or they are too many. Nor can it be known where the next request
            begins, then.
    """
    lengths = _values(headers, "Content-Length")
    codings = _values(headers, "Transfer-Encoding")
    if codings and lengths:
        raise Refused(400, "send Content-Length or Transfer-Encoding, and not both")
    if codings:
        known = [coding.lower() for coding in codings] == ["chunked"]
        raise Refused(411 if known else 501, "send a body with its Content-Length")
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch("[0-9]+", lengths[0]):
        raise Refused(400, "send one Content-Length, of digits only")
    digits = lengths[0].lstrip("0") or "0"
    # Compared by their number first: Python reads no more than 4300.
    if len(digits) > len(str(LARGEST_BODY)) or int(digits) > LARGEST_BODY:
        raise Refused(413, f"send at most {LARGEST_BODY} bytes")
    return int(digits)


def _our_names(port: int) -> Iterator[str]:
    for name in _NAMES:
        yield f"{name}:{port}"
        if port == 80:
            yield name


def _other_sites(headers: Message[str, str], ours: set[str]) -> Iterator[bool]:
    """Whether another site has sent the request, by each header that would say so.

    Browsers do say so, and other programs have none of these headers.
    """
    for origin in _values(headers, "Origin"):
        yield origin.lower() not in {f"http://{name}" for name in ours}
    for page in _values(headers, "Referer"):
        scheme, _, rest = page.lower().partition("//")
        yield scheme != "http:" or re.split("[/?#]", rest)[0] not in ours
    for site in _values(headers, "Sec-Fetch-Site"):
        yield site.lower() not in _OWN_SITES


def _values(headers: Message[str, str], name: str) -> list[str]:
    # Not by get_all: for HTTP/0.9, which has no headers, newer Pythons have a plain dict.
    return [value.strip(" \t") for field, value in headers.items() if field.lower() == name.lower()]
