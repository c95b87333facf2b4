"""The demo's server inside the test's process, on a clock that the test moves; and its visitor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from requests_tokenrefresh.cli.server import DemoServer, ServerSettings
from tests.support.forms import press


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


def agree(address: str) -> None:
    """Be the browser of somebody who logs in there, all the way back to the program."""
    with requests.Session() as browser:
        page = browser.get(address, timeout=20)
        if "<form" in page.text:
            back = press(browser, page, "Log in as alice").headers["Location"]
            browser.get(back, timeout=20)
