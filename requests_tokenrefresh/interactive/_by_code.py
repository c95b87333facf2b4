"""Logging in by a browser: here, or wherever the person pastes the address from."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from .._token import Token
from ..refreshers import AuthorizationCodeGrant
from ..refreshers._authorization_answer import query_of
from ._browser import Browser, open_address
from ._first_answer import FirstAnswer
from ._invitation import Invitation
from ._listener import Listener
from ._loopback import loopback_of
from ._pages import LOGGED_IN, NOT_LOGGED_IN
from ._paste import pasting

Say = Callable[[str], object]


def log_in_by_code(
    grant: AuthorizationCodeGrant,
    redirect_uri: str,
    *,
    opens: bool,
    browser: Browser,
    terminal: int | None,
    timeout: float,
    say: Say,
    keep: Callable[[Token], Token],
) -> Token:
    """Return what *keep* returns, which is called with the token that the person was given.

    Args:
        redirect_uri: As it is registered; one of the loopback is listened at.
        opens: Whether a browser is opened here, and not only an address shown.
        terminal: Where an answer can be pasted; None: nowhere.
        timeout: Seconds that the person has.

    Raises:
        LoginFailedError: Nobody has logged in; `reason` says why.
        RefreshFailedError: The server is out of reach, or in trouble.
        Exception: Whatever *keep* raises.
    """
    until = time.monotonic() + timeout
    with _listening(redirect_uri) as listener:
        attempt = grant.begin(redirect_uri if listener is None else listener.redirect_uri)
        first = FirstAnswer(attempt["state"])
        if listener is not None:
            listener.expect(first.offer)
        with pasting(terminal, lambda pasted: _take(pasted, first, say)):
            text = _invitation(attempt.url, opens, terminal is not None, timeout)
            say(Invitation(text, address=attempt.url, seconds=timeout))
            if opens:
                open_address(attempt.url, browser, lambda: say(_NO_BROWSER))
            first.wait(until)
        kept = keep(grant.finish(attempt, first.answer()))
        if listener is not None:
            listener.tell(LOGGED_IN)
        return kept


_NO_BROWSER = "No browser could be opened here: open the address above yourself."


@contextlib.contextmanager
def _listening(redirect_uri: str) -> Iterator[Listener | None]:
    loopback = loopback_of(redirect_uri)
    if loopback is None:
        yield None
        return
    listener = Listener(loopback)
    try:
        yield listener
    except Exception:
        listener.tell(NOT_LOGGED_IN)
        raise
    finally:
        listener.close()


def _take(pasted: str, first: FirstAnswer, say: Say) -> None:
    problem = first.offer(query_of(pasted))
    if problem:
        say(
            f"That was not the answer: {problem}. Paste the whole address at which the browser has "
            "ended, from http to its end."
        )


def _invitation(url: str, opens: bool, can_paste: bool, timeout: float) -> str:
    seconds = f"({timeout:.0f} s)"
    if opens and can_paste:
        return (
            f"Log in in the browser that opens now, or open this address:\n{url}\n"
            f"If the browser ends on a page that does not load, paste its address here. {seconds}"
        )
    if opens:
        return f"Log in in the browser that opens now, or open this address: {seconds}\n{url}"
    return (
        f"Open this address in a browser, and log in there:\n{url}\n"
        "Then paste here the address at which the browser has ended; that page may not load. "
        f"{seconds}"
    )
