"""What the programs of the tests do: open a session with a login, use it, and say so."""

from __future__ import annotations

import sys
import time
from typing import Any

import requests

from requests_tokenrefresh import (
    RefreshTokenGrant,
    Token,
    TokenRefreshAdapter,
    TokenSource,
    TokenStore,
)
from tests.support.doors import flying, waiters

FIRST = Token("access-0", "refresh-0", issued_at=0.0)
"""What `tests.support.example_com.ExampleCom` takes for good until it expires; it is an old one."""


def open_source(url: str, store: TokenStore | str, **options: Any) -> TokenSource:
    """Return a source for the login in *store*, which begins with `FIRST` if there is none."""
    grant = RefreshTokenGrant(f"{url}/oauth/token", client_id="reports")
    return TokenSource(grant, origins=[url], store=store, **{"token": FIRST, **options})


def open_session(url: str, store: TokenStore | str, **options: Any) -> requests.Session:
    """Return a session that has the adapter on *url*."""
    return session_with(open_source(url, store, **options), url)


def session_with(tokens: TokenSource, url: str) -> requests.Session:
    """Return a session that sends *tokens* to *url*."""
    session = requests.Session()
    session.mount(url, TokenRefreshAdapter(tokens))
    return session


def status(session: requests.Session, url: str) -> int:
    """Return the status of ``GET url``."""
    return session.get(url, timeout=30).status_code


def say(*words: object) -> None:
    """Write a line in one piece, whatever other threads and processes write."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def say_status(name: str, session: requests.Session, url: str) -> None:
    """Write *name* and the status of ``GET url``, or what it raises."""
    try:
        say(name, status(session, url))
    except BaseException as error:
        say(name, type(error).__name__)


def wait_until_refreshing(tokens: TokenSource) -> None:
    """Return once a flight is under way that a 401 has opened."""
    while flying(tokens) != "reactive":
        time.sleep(0.001)


def wait_for_waiters(tokens: TokenSource, count: int) -> None:
    """Return once *count* threads, or greenlets, wait for it."""
    while waiters(tokens) != count:
        time.sleep(0.001)
