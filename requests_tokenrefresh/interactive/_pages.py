"""What the browser shows at the end: a few words, the same for everybody.

Nothing of the request is in them, nothing is loaded, and nobody is told where the browser has been
(RFC 9700 sections 4.2.4 and 4.3). The one script takes the answer out of the address bar and the
history.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import NamedTuple

_CLEAR = "history.replaceState(null, '', location.pathname)"


class Page(NamedTuple):
    """A page, and the status it comes with."""

    status: int
    title: str
    words: str

    def body(self) -> bytes:
        """Return it as HTML."""
        return (
            f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{self.title}</title>\n'
            f"<h1>{self.title}</h1>\n<p>{self.words}</p>\n<script>{_CLEAR}</script>\n</html>\n"
        ).encode()


LOGGED_IN = Page(200, "Logged in", "You can close this page and go back to the program.")
NOT_LOGGED_IN = Page(
    200, "Not logged in", "Go back to the program: it says what went wrong, and what to do."
)
NO_ANSWER = Page(
    400,
    "Not the answer that was waited for",
    "The program still waits. Open the address that it shows, and log in there.",
)
NOT_HERE = Page(404, "Nothing is here", "The program waits for an answer at another address.")
ONLY_GET = Page(405, "Nothing is here", "The program waits for a browser that was sent here.")
NOT_OUR_NAME = Page(421, "Nothing is here", "The program waits for an answer at another address.")

UNREADABLE = Page(400, "Nothing is here", "The program waits for a browser that was sent here.")

_CLEAR_ONLY = b64encode(hashlib.sha256(_CLEAR.encode()).digest()).decode()

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'sha256-{_CLEAR_ONLY}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Connection": "close",
}
