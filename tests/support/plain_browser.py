"""A browser for ``$BROWSER``: it follows redirects and presses the first button that it sees.

``python -m tests.support.plain_browser ADDRESS``; it shows nothing.
"""

from __future__ import annotations

import sys
from urllib.parse import urlencode, urljoin
from urllib.request import ProxyHandler, build_opener

from tests.support.forms import Form

if __name__ == "__main__":
    browser = build_opener(ProxyHandler({}))
    with browser.open(sys.argv[1], timeout=20) as page:
        form = Form()
        form.feed(page.read().decode())
        if form.buttons:
            fields = [*form.fields, next(iter(form.buttons.values()))]
            there = urljoin(page.url, form.action)
            browser.open(there, urlencode(fields).encode(), timeout=20).close()
