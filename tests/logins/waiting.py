"""Waiting for servers in other processes."""

from __future__ import annotations

import contextlib
import time

import requests

_PATIENCE = 60.0  # seconds


def wait_for(url: str) -> None:
    """Return as soon as *url* answers."""
    end = time.monotonic() + _PATIENCE
    while True:
        with contextlib.suppress(requests.RequestException):
            requests.get(url, timeout=5).raise_for_status()
            return
        assert time.monotonic() < end, f"{url} does not answer"
        time.sleep(0.1)
