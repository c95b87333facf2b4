"""An adapter that answers by a rule, without a network: for the requests of a whole hour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter


class RuledTransport(BaseAdapter):
    """Answers each request with the status that *rule* gives it.

    Args:
        rule: Called with the request as it is sent, the token included.

    Attributes:
        sent: How many requests have been sent.
    """

    def __init__(self, rule: Callable[[requests.PreparedRequest], int]) -> None:
        super().__init__()
        self._rule = rule
        self.sent = 0

    def send(self, request: requests.PreparedRequest, **_how: Any) -> requests.Response:  # type: ignore[override]
        """Return the answer."""
        self.sent += 1
        response = requests.Response()
        response.status_code = self._rule(request)
        response.request = request
        response.url = request.url or ""
        response._content = b""
        return response

    def close(self) -> None:
        """There is nothing to close."""
