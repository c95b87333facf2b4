"""Logging in by whichever way there is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from .._token import Token
from ..refreshers import AuthorizationServer
from ._asked import Asked
from ._browser import Browser
from ._by_code import Say, log_in_by_code
from ._by_device import log_in_by_device
from ._loopback import loopback_of
from ._paste import terminal
from ._person import Person
from ._way import Chances, How, can_open_browser, choose


def log_in_by_any_way(
    how: How,
    asked: Asked,
    server: AuthorizationServer,
    *,
    browser: Browser,
    timeout: float,
    say: Say,
    keep: Callable[[Token], Token],
) -> Token:
    """Return what *keep* returns, which is called with the token that the person was given.

    Args:
        how: The way that is wanted.
        asked: What is asked of *server*.
        browser: Which one is opened, if one is.
        timeout: Seconds that the person has.

    Raises:
        LoginFailedError: Nobody has logged in; `reason` says why.
        RefreshFailedError: The server is out of reach, or in trouble.
        Exception: Whatever *keep* raises.
    """
    tty = terminal()
    chances = Chances(
        code=server.authorization_endpoint is not None,
        device=server.device_authorization_endpoint is not None,
        browser=lambda: can_open_browser(browser),
        terminal=tty is not None,
        listens=loopback_of(asked.redirect_uri) is not None,
    )
    way = choose(how, chances)
    with say if isinstance(say, Person) else nullcontext():
        if way == "device":
            return log_in_by_device(asked.by_device(server), timeout=timeout, say=say, keep=keep)
        return log_in_by_code(
            asked.by_code(server),
            asked.redirect_uri,
            opens=way == "browser",
            browser=browser,
            terminal=tty,
            timeout=timeout,
            say=say,
            keep=keep,
        )
