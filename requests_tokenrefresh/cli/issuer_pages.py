"""What the demo's server shows in a browser: the little that a person has to decide."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that a browser would send its forms as somebody else's, Origin: null.
    "Referrer-Policy": "same-origin",
}
"""Of every page (RFC 9700 sections 4.2.4 and 4.16)."""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<h1>{title}</h1>
{content}
</html>
"""

_CONSENT = """\
<p>A program on this machine asks for a login.</p>
<form method="post" action="/authorize">
{hidden}
<button name="decision" value="agree">Log in as {person}</button>
<button name="decision" value="refuse">Refuse</button>
</form>"""

_DEVICE = """\
<p>Enter the code that the device shows, if it is yours.</p>
<form method="post" action="/device">
<label>Code <input name="user_code" value="{user_code}" autocomplete="off" autofocus></label>
<button name="decision" value="agree">Log in as {person}</button>
<button name="decision" value="refuse">Refuse</button>
</form>"""


def consent(fields: Iterable[tuple[str, str]], person: str) -> str:
    """Return the page that asks whether a program gets its login; *fields* are its request."""
    hidden = "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields
    )
    return _page("Log in", _CONSENT.format(hidden=hidden, person=escape(person)))


def device(user_code: str, person: str) -> str:
    """Return the page that asks for a device's code, with *user_code* filled in."""
    content = _DEVICE.format(user_code=escape(user_code), person=escape(person))
    return _page("Log in a device", content)


def message(title: str, sentence: str) -> str:
    """Return a page that only says something."""
    return _page(title, f"<p>{escape(sentence)}</p>")


def _page(title: str, content: str) -> str:
    return _PAGE.format(title=escape(title), content=content)
