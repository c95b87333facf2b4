"""What listeners, `on_logout` and the log are told of one login."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from ._door import check_callables
from ._evidence import Resource
from ._login import Login
from ._rules import NEW_TOO
from ._token import Token, of_another_person
from .events import Event, Listener, LoggedIn, LoggedOut

_log = logging.getLogger("requests_tokenrefresh")

_MOST_REMEMBERED = 256  # things that were explained, such as the 401s of a resource


class Telling:
    """Tells them, with no lock held. They are guests: what they raise is logged."""

    def __init__(
        self,
        listeners: Iterable[Listener],
        on_logout: Callable[[str], object] | None,
        monotonic: Callable[[], float],
    ) -> None:
        check_callables("listeners", listeners)
        self.listeners = tuple(listeners)
        self.on_logout = on_logout
        self._monotonic = monotonic
        self._explained: OrderedDict[object, None] = OrderedDict()
        self._explaining = threading.Lock()

    def tell(self, event: Callable[..., Event], **facts: Any) -> None:
        """Tell the listeners of *event*, which happens now on this thread."""
        if not self.listeners:
            return
        news = event(at=self._monotonic(), thread=threading.current_thread().name, **facts)
        for listener in self.listeners:
            try:
                listener(news)
            except Exception:
                _log.exception("a listener raised; the event was %s", repr(news))

    def announce(self, before: Login, after: Login) -> None:
        """Tell that a login has begun or ended between the two, if it has."""
        if after.number != before.number:
            if after.unsaved is None and _are_two_persons(before.token, after.token):
                _log.info(
                    "another person has logged in: requests go out as that one from now on, and "
                    "those that were sent before are not sent again"
                )
            self.tell(LoggedIn)
        if after.over is not None and after.is_over() and not before.is_over():
            _log.info("logged out: %s", after.over)
            self.tell(LoggedOut, reason=after.over.reason)
            if self.on_logout is not None:
                try:
                    self.on_logout(after.over.reason)
                except Exception:
                    _log.exception("on_logout raised")

    def passes_on(self, resource: Resource, why: str) -> None:
        """Say once that a 401 of *resource* goes to its caller, and *why*; and once more if it does
        without a refresh."""
        if self._is_news((resource, why == NEW_TOO)):
            method, origin, path = resource
            _log.info("the 401 of %s %s%s is passed on: %s", method, origin, path, why)

    def say_once(self, message: str, level: int) -> None:
        """Log *message*, unless it has been said before."""
        if self._is_news(message):
            _log.log(level, "%s", message)

    def _is_news(self, explained: object) -> bool:
        with self._explaining:
            if explained in self._explained:
                return False
            self._explained[explained] = None
            while len(self._explained) > _MOST_REMEMBERED:
                self._explained.popitem(last=False)
        return True


def _are_two_persons(before: Token | None, after: Token | None) -> bool:
    return before is not None and after is not None and of_another_person(before, after)
