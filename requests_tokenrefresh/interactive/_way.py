"""By which way a person logs in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from .._errors import LoginFailedError
from ._browser import Browser, has_screen, is_there

How: TypeAlias = Literal["auto", "browser", "device", "paste"]


_NO_CODE = "the server has no authorization endpoint"
_NO_WAY_BACK = "there is no terminal to paste an address into"


class Chances(NamedTuple):
    """What there is to log in with.

    Attributes:
        code: Whether the server has an authorization endpoint.
        device: Whether it has a device authorization endpoint.
        browser: Whether a browser can be opened that the person sees; asked only if it matters.
        terminal: Whether there is a terminal to paste an address into.
        listens: Whether the redirect address is one that can be listened at.
    """

    code: bool
    device: bool
    browser: Callable[[], bool]
    terminal: bool
    listens: bool


def choose(how: How, chances: Chances) -> How:
    """Return the way: ``browser``, ``device`` or ``paste``.

    Raises:
        LoginFailedError: There is none, or not the one that is wanted.
    """
    comes_back = chances.listens or chances.terminal
    if how != "auto":
        for there, why_not in {
            "device": [(chances.device, "the server has no device authorization endpoint")],
            "browser": [(chances.code, _NO_CODE), (comes_back, _NO_WAY_BACK)],
            "paste": [(chances.code, _NO_CODE), (chances.terminal, _NO_WAY_BACK)],
        }[how]:
            _check(there, how, why_not)
        return how
    if chances.code and comes_back and chances.browser():
        return "browser"
    if chances.device:
        return "device"
    if chances.code and chances.terminal:
        return "paste"
    if not (chances.code or chances.device):
        raise LoginFailedError(
            "nobody can log in: the server has neither an authorization endpoint nor a device "
            "authorization endpoint, as far as is known; if it has one, pass authorization_url= or "
            "device_authorization_url=",
            reason="no_way",
        )
    raise LoginFailedError(
        "nobody can log in here: no browser can be opened, the server has no device authorization "
        "endpoint, and there is no terminal to paste an address into; run it on a terminal, or log "
        "in elsewhere and share the store",
        reason="no_way",
    )


def can_open_browser(browser: Browser, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a browser can be opened that the person sees."""
    return (browser is not None or has_screen(environ)) and is_there(browser)


def _check(there: bool, how: How, why_not: str) -> None:
    if not there:
        raise LoginFailedError(f"nobody can log in by {how!r}: {why_not}", reason="no_way")
