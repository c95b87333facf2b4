"""One dead token under twenty threads whose requests go out by HTTP/2, by urllib3-future.

The server is hypercorn. Run by ``tox -e urllib3-future`` only.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypercorn.asyncio import serve
from hypercorn.config import Config

from requests_tokenrefresh import mount
from requests_tokenrefresh.testing import FakeTokenSource
from tests.support.threads import run_together
from tests.support.tls_front import write_certificate

THREADS = 20


class HTTP2API:
    """An ASGI application that knows one token, the first one after a refresh.

    Attributes:
        carried: Of each request so far the version of HTTP, the ``Authorization``, and the size of
            the body.
        rejection: The body of a 401.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.carried: list[tuple[str, str, int]] = []
        self.rejection = b"who are you?"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return  # the beginning or the end of the server
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        token = dict(scope["headers"])[b"authorization"].decode()
        self.carried.append((scope["http_version"], token, len(body)))
        good = token == "Bearer access-1"
        await send({"type": "http.response.start", "status": 200 if good else 401, "headers": []})
        answer = b"good" if good else self.rejection
        await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTP2API]:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    write_certificate(certificate, key)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    listener = socket.create_server(("127.0.0.1", 0))
    api = HTTP2API(f"https://127.0.0.1:{listener.getsockname()[1]}")
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile, config.keyfile = str(certificate), str(key)
    config.graceful_timeout = 0.1
    loop, over = asyncio.new_event_loop(), asyncio.Event()
    serving = serve(api, config, shutdown_trigger=over.wait)
    thread = threading.Thread(target=loop.run_until_complete, args=[serving])
    thread.start()
    yield api
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


@pytest.mark.parametrize("rejection", [20, 40_000, 400_000])
def test_a_dead_token_costs_twenty_threads_one_refresh(api: HTTP2API, rejection: int) -> None:
    """Whether the 401 is read for its connection, or that one is given up."""
    api.rejection = b"x" * rejection
    tokens = FakeTokenSource(origins=[api.url])
    with requests.Session() as session:
        mount(session, tokens)
        tokens.revoke()
        answers = run_together(THREADS, lambda: session.post(api.url, data=b"body" * 1000))
    assert [answer.value.content for answer in answers] == [b"good"] * THREADS
    assert tokens.refreshes == 1
    carried = Counter(api.carried)
    assert carried.keys() == {("2", "Bearer access-0", 4000), ("2", "Bearer access-1", 4000)}
    assert carried["2", "Bearer access-1", 4000] == THREADS
