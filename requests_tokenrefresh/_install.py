"""`install`: the adapter for code that never shows its session.

What is patched is `Session.__init__`, and nothing else: a subclass calls it, and so does code that
imported the class long before. It is wrapped once, however many logins are installed, and put back
when the last of them is gone.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, MutableMapping
from typing import Any, cast

import requests
from requests.adapters import BaseAdapter
from requests.exceptions import InvalidSchema

from ._adapter import TokenRefreshAdapter
from ._attach import Attach
from ._source import TokenSource
from ._stack import sends_as_another, sources_in
from .refreshers._exchange import OneExchange

# requests.Session itself, even where requests-cache has put a subclass in its place.
_Session: Any = OneExchange.__base__

_turn = threading.Lock()
# Replaced as a whole under _turn, and read without it. The later outranks the earlier.
_installations: tuple[Installation, ...] = ()
_patch: Callable[..., None] | None = None  # guarded by _turn; our last one


def install(
    tokens: TokenSource,
    *,
    is_rejected: Callable[[requests.Response], bool] | None = None,
    spool_bodies: int = 0,
    attach: Attach | None = None,
    replaces: Collection[str] = (),
) -> Installation:
    """Mount the adapter on every `requests.Session` that is made from now on.

    That includes the sessions of subclasses, those inside of libraries, and the one that
    `requests.get` makes for each call; in all threads. Those made before stay as they are.

    It is mounted on the *tokens*' origins, and sends with whatever the session has mounted on a
    shorter prefix at that moment (``https://``, most often), so retries, pool sizes and TLS
    settings keep their meaning. What is mounted by hand wins: any adapter on the same or a longer
    prefix, and a `TokenRefreshAdapter` for the origin on any. If two logins are installed for one
    origin, the later one has it, until it is uninstalled.

    May be called from any thread, and used as a context manager::

        with install(tokens):
            library.main()

    Args:
        tokens: The login.
        is_rejected, spool_bodies, attach, replaces: As in `TokenRefreshAdapter`.

    Raises:
        TypeError, ValueError: An argument is not what it should be.
    """
    global _installations, _patch
    make_adapter = functools.partial(
        _InstalledAdapter,
        tokens,
        is_rejected=is_rejected,
        spool_bodies=spool_bodies,
        attach=attach,
        replaces=replaces,
    )
    make_adapter()  # raises here what would be raised wherever the next session is made
    installation = Installation(tokens, make_adapter)
    with _turn:
        _installations = (*_installations, installation)
        if _Session.__init__ is not _patch:
            _patch = _mounting(_Session.__init__)
            _Session.__init__ = _patch
    return installation


def uninstall() -> None:
    """Undo every `install`. Sessions made in between keep their adapter."""
    _remove(_installations)


class Installation:
    """What `install` has done, and how to undo it. Safe from any thread.

    As a context manager it is undone at the end of the block; several may end in any order.
    """

    def __init__(self, tokens: TokenSource, make_adapter: Callable[..., BaseAdapter]) -> None:
        self._tokens = tokens
        self._make_adapter = make_adapter

    def __enter__(self) -> Installation:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(self, *_exc: object) -> None:
        self.uninstall()

    def uninstall(self) -> None:
        """Undo this one `install`; no error if it is undone already.

        Sessions made in between keep their adapter.
        """
        _remove((self,))

    def _mount_on(self, session: requests.Session) -> None:
        for origin in self._tokens.origins.origins:
            beneath = _Beneath(session.adapters, origin)
            session.mount(origin, self._make_adapter(transport=beneath))


def _remove(gone: tuple[Installation, ...]) -> None:
    global _installations
    with _turn:
        _installations = tuple(one for one in _installations if one not in gone)
        # With a patch of somebody else on top, putting back what was there before ours would undo
        # theirs. Then ours stays where it is, and does nothing.
        if not _installations and _Session.__init__ is _patch:
            _Session.__init__ = _patch.__wrapped__


def _mounting(before: Callable[..., None]) -> Callable[..., None]:
    # As *before* looks from outside: requests-ratelimiter and requests-cache read its signature.
    @functools.wraps(before)
    def __init__(self: requests.Session, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        before(self, *args, **kwargs)
        if isinstance(self, OneExchange):
            return  # it gets the token that all others would make it wait for
        for installation in _installations:
            installation._mount_on(self)

    return __init__


class _InstalledAdapter(TokenRefreshAdapter):
    """One that gives way to what is mounted by hand."""

    def to_wrap(self) -> BaseAdapter:
        """Return what this one is in front of now."""
        return self._beneath.adapter()

    def _takes_a_token(self, request: requests.PreparedRequest) -> bool:
        if self._beneath.is_sending_here():
            return False
        by_hand, url = self._beneath.adapter(), request.url or ""
        if self._source in sources_in(by_hand) or sends_as_another(self._source, by_hand, url):
            return False
        return super()._takes_a_token(request)

    @property
    def _beneath(self) -> _Beneath:
        return cast("_Beneath", self._transport)


class _Beneath(BaseAdapter):
    """Sends with what the session has mounted on the longest prefix that is shorter than *origin*.

    It is looked up for each request: most code mounts its retries and TLS settings after the
    session was made.

    Args:
        adapters: The session's. Not kept alive: a session that refers to itself would keep its
            connections open until the garbage collector finds it.
        origin: Where requests go.
    """

    def __init__(self, adapters: MutableMapping[str, BaseAdapter], origin: str) -> None:
        super().__init__()
        self._adapters = weakref.ref(adapters)
        self._origin = origin
        self._first = self.adapter()

    def adapter(self) -> BaseAdapter:
        adapters = self._adapters()
        if adapters is None:
            return self._first  # one that outlives its session
        for prefix, adapter in adapters.items():
            if len(prefix) < len(self._origin) and self._origin.startswith(prefix.lower()):
                return adapter
        raise InvalidSchema(f"No connection adapters were found for {self._origin!r}")

    def is_sending_here(self) -> bool:
        """Return whether this very thread is inside `send`."""
        return self in _sending.through

    def send(self, request: requests.PreparedRequest, *args: Any, **how: Any) -> requests.Response:
        if self.is_sending_here():
            # What is mounted there now has wrapped the very adapter that sends through here.
            return self._first.send(request, *args, **how)
        _sending.through.append(self)
        try:
            return self.adapter().send(request, *args, **how)
        finally:
            _sending.through.pop()

    def close(self) -> None:
        """Close nothing: the session closes what it has mounted."""

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_adapters": self._adapters()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        adapters = state["_adapters"]
        if adapters is None:
            adapters = OrderedDict()  # gone at the end of this line
        vars(self).update(state, _adapters=weakref.ref(adapters))


class _Sending(threading.local):
    def __init__(self) -> None:
        self.through: list[_Beneath] = []  # innermost last


_sending = _Sending()
