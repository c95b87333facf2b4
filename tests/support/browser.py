"""A browser without forms, for ``$BROWSER``: ``python -m tests.support.browser ADDRESS``.

It goes where it is sent.
"""

from __future__ import annotations

import sys

import requests

if __name__ == "__main__":
    requests.get(sys.argv[1], timeout=20).raise_for_status()
