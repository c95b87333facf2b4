"""An API that only the good token of a fake login opens: a real server, and a real 401."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from requests_tokenrefresh.testing import FakeTokenSource
from tests.support.servers import HTTPServer, Received, Reply

BEARER = [("WWW-Authenticate", 'Bearer error="invalid_token"')]


class GuardedAPI(HTTPServer):
    """Answers 401 to whoever does not bring the good token.

    Args:
        answer: What the others get; by default a 200 that repeats the path.
        host: As in `HTTPServer`.
        options: As in `FakeTokenSource`.

    Attributes:
        tokens: The login, for this server's origin.
    """

    def __init__(
        self,
        answer: Callable[[Received], Reply] = lambda request: Reply(body=request.path.encode()),
        *,
        host: str = "127.0.0.1",
        **options: Any,
    ) -> None:
        self._answer_to_the_good = answer
        super().__init__(self._answer, host=host)
        self.tokens = FakeTokenSource(**{"origins": [self.url], **options})

    @property
    def sent(self) -> list[str | None]:
        """The ``Authorization`` of each request so far."""
        return [request.headers["Authorization"] for request in self.requests]

    def _answer(self, request: Received) -> Reply:
        if not self.tokens.accepts(request):  # type: ignore[arg-type]  # it has headers
            return Reply(401, b"who are you?", BEARER)
        return self._answer_to_the_good(request)
