"""The demo's server inside the test's process, with a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from requests_tokenrefresh.cli.server import DemoServer, ServerSettings


@contextmanager
def demo_server(*, clock: Callable[[], float], **settings: Any) -> Iterator[DemoServer]:
    """Run a server; its answers take no time unless *settings* say so."""
    quick = {"data_seconds": 0.0, "refresh_seconds": 0.0}
    with DemoServer(ServerSettings(**quick | settings), clock) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()
