"""Web applications on an `HTTPServer`: their answers over real HTTP, on connections that last.

Werkzeug's own server closes the connection after every answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.support.servers import Handler, Received, Reply


def answers_of(app: Callable[..., Iterable[bytes]]) -> Handler:
    """Return a handler that lets *app* answer, on the thread of each connection."""

    def handler(request: Received) -> Reply:
        environ = EnvironBuilder(
            request.path,
            base_url=f"http://{request.headers['Host']}/",
            method=request.method,
            headers=request.headers.items(),
            data=request.body,
            multithread=True,
        ).get_environ()
        body, status, headers = run_wsgi_app(app, environ, buffered=True)
        return Reply(int(status.split()[0]), b"".join(body), list(headers))

    return handler
