"""What the library's messages say in arguments, in options."""

from __future__ import annotations

import re

from ..refreshers._cause import VERIFY
from ..refreshers._discovery import BY_HAND

# What the library's messages tell to pass, and what that is here.
_OPTIONS = {
    BY_HAND: "write its endpoints down: --token-url, with --authorization-url or --device-url",
    VERIFY: "set REQUESTS_CA_BUNDLE to the CA bundle that its certificate is signed by",
    "authorization_url=": "--authorization-url",
    "device_authorization_url=": "--device-url",
    "params=": "--param",
    "redirect_uri=": "--redirect-uri",
    "resource=": "--resource",
    "scope=": "--scope",
    "timeout=": "--timeout",
}
# An argument that is named stands alone; in a URL, and in what a server says, a value is behind it.
_NAMED = re.compile(rf"(?<![\w?&])(?:{'|'.join(map(re.escape, _OPTIONS))})(?=[\s,;.)]|\Z)")


def in_options(text: str) -> str:
    """Return *text* of the library, with options in the place of arguments."""
    return _NAMED.sub(lambda found: _OPTIONS[found[0]], text)
