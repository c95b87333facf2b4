"""`TokenSource.mount`: the adapter in front of whatever a session sends with already."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import requests
from requests.adapters import BaseAdapter
from requests.sessions import SessionRedirectMixin

from ._adapter import TokenRefreshAdapter
from ._source import TokenSource


def mount(
    tokens: TokenSource,
    session: requests.Session,
    *,
    is_rejected: Callable[[requests.Response], bool] | None,
    spool_bodies: int,
) -> dict[str, BaseAdapter]:
    """Do what `TokenSource.mount` says."""
    # Not requests.Session, in whose place requests-cache and others put a class of their own.
    if not isinstance(session, SessionRedirectMixin):
        raise TypeError(
            f"session is a requests.Session, got {type(session).__name__}; "
            "for code that never shows its session there is install(tokens)"
        )
    wrapped = {
        prefix: adapter
        for prefix, adapter in _adapters_for(tokens, session).items()
        if not _sends_for(tokens, prefix, adapter)
    }
    # All are made before the first is mounted: one that is refused leaves the session as it was.
    adapters = {
        prefix: TokenRefreshAdapter(
            tokens, transport=adapter, is_rejected=is_rejected, spool_bodies=spool_bodies
        )
        for prefix, adapter in wrapped.items()
    }
    for prefix, adapter in adapters.items():
        session.mount(prefix, adapter)
    return wrapped


def sources_in(adapter: BaseAdapter | None) -> Iterator[TokenSource]:
    """Return the logins that *adapter*, and what it wraps, send the tokens of."""
    while isinstance(adapter, TokenRefreshAdapter):
        yield adapter._source
        adapter = adapter._transport


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


def _sends_for(tokens: TokenSource, prefix: str, adapter: BaseAdapter) -> bool:
    sources = list(sources_in(adapter))
    if tokens in sources:
        return True
    if any(source.origins.allow(prefix) for source in sources):
        raise ValueError(
            f"the session sends to {prefix} with the tokens of another TokenSource: "
            "one origin has one login, so take a session for each"
        )
    return False
