"""`mount`: the adapter in front of whatever a session sends with already."""

from __future__ import annotations

from collections.abc import Callable, Collection

import requests
from requests.adapters import BaseAdapter
from requests.sessions import SessionRedirectMixin

from ._adapter import TokenRefreshAdapter
from ._attach import Attach
from ._netrc import NetrcForOthers
from ._source import TokenSource
from ._stack import check_one_login, sources_in


def mount(
    session: requests.Session,
    tokens: TokenSource,
    *,
    is_rejected: Callable[[requests.Response], bool] | None = None,
    spool_bodies: int = 0,
    attach: Attach | None = None,
    replaces: Collection[str] = (),
) -> dict[str, BaseAdapter]:
    """Mount a `TokenRefreshAdapter` on *session* for each origin, in front of what is there.

    What *session* sends to an origin with, be it mounted on ``https://``, on the origin itself or
    on paths below it, goes on sending. Mount adapters of your own first: one that is mounted on an
    origin afterwards takes the place of this one. *session* must not be in use by other threads
    meanwhile.

    If *session* has no *auth*, it gets one that spares requests to the origins the look into
    ``~/.netrc``, and looks there for other hosts as requests does without one. Whatever is assigned
    to ``session.auth`` afterwards takes its place.

    Args:
        session: A `requests.Session`, or an object of a subclass.
        tokens: The login.
        is_rejected, spool_bodies, attach, replaces: As in `TokenRefreshAdapter`.

    Returns:
        What was wrapped, by the prefix that it is mounted on now. Where this login's adapter is in
        place already, it stays, and nothing is wrapped: a second call returns ``{}``.

    Raises:
        TypeError: An argument is not what it should be.
        ValueError: *session* sends to one of the origins with another login's tokens, or retries
            on 401 by itself. Nothing has been mounted.
    """
    _check(session, tokens)
    wrapped = {
        prefix: adapter
        for prefix, adapter in _adapters_for(tokens, session).items()
        if not _sends_for(tokens, adapter)
    }
    # All are made before the first is mounted: one that is refused leaves the session as it was.
    adapters = {
        prefix: TokenRefreshAdapter(
            tokens,
            transport=adapter,
            is_rejected=is_rejected,
            spool_bodies=spool_bodies,
            attach=attach,
            replaces=replaces,
        )
        for prefix, adapter in wrapped.items()
    }
    for prefix, adapter in adapters.items():
        session.mount(prefix, adapter)
    _look_into_netrc_for_others_only(session, tokens)
    return wrapped


def _check(session: object, tokens: object) -> None:
    if isinstance(session, TokenSource):
        raise TypeError("the session comes first: mount(session, tokens)")
    # Not requests.Session, in whose place requests-cache and others put a class of their own.
    if not isinstance(session, SessionRedirectMixin):
        kind = f"{type(session).__module__}.{type(session).__qualname__}"
        raise TypeError(
            f"session is a requests.Session, got {kind}; "
            "for code that never shows its session there is install(tokens)"
        )
    if not isinstance(tokens, TokenSource):
        raise TypeError(f"tokens is a TokenSource, got {type(tokens).__name__}")


def _look_into_netrc_for_others_only(session: requests.Session, tokens: TokenSource) -> None:
    before = session.auth
    if before is None:
        session.auth = NetrcForOthers(session, [tokens.origins])
    elif isinstance(before, NetrcForOthers):
        session.auth = NetrcForOthers(session, {*before.origins, tokens.origins})
    # With the caller's own, requests does not look into netrc at all.


def _adapters_for(tokens: TokenSource, session: requests.Session) -> dict[str, BaseAdapter]:
    """Return what *session* sends to the origins with: for each of them, and for every longer
    prefix, which requests would find first."""
    adapters = {origin: session.get_adapter(origin) for origin in tokens.origins.origins}
    inside = {
        prefix: adapter
        for prefix, adapter in session.adapters.items()
        if tokens.origins.allow(prefix)
    }
    return {prefix: _to_wrap(adapter) for prefix, adapter in {**adapters, **inside}.items()}


def _to_wrap(adapter: BaseAdapter) -> BaseAdapter:
    return adapter.to_wrap() if isinstance(adapter, TokenRefreshAdapter) else adapter


def _sends_for(tokens: TokenSource, adapter: BaseAdapter) -> bool:
    check_one_login(tokens, adapter, "the session")
    return tokens in sources_in(adapter)
