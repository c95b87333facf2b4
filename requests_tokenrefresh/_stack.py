"""Whose tokens are sent by adapters that wrap one another."""

from __future__ import annotations

from collections.abc import Iterator

from requests.adapters import BaseAdapter

from ._source import TokenSource


def sources_in(adapter: BaseAdapter | None) -> Iterator[TokenSource]:
    """Return the logins that *adapter*, and what it wraps, send the tokens of, as long as these
    are ours."""
    while (source := _source_of(adapter)) is not None:
        yield source
        adapter = vars(adapter).get("_transport")


def sends_as_another(tokens: TokenSource, adapter: BaseAdapter | None, origin: str) -> bool:
    """Return whether *adapter*, or anything that it wraps, sends to *origin* with the tokens of
    another login than *tokens*: the innermost has the last word on whose request it is."""
    return any(
        source is not None and source is not tokens and source.origins.allow(origin)
        for source in map(_source_of, _all_in(adapter))
    )


def check_one_login(tokens: TokenSource, adapter: BaseAdapter | None, what: str) -> None:
    """Raise unless all tokens that *adapter* sends to the origins of *tokens* are of that login.

    Args:
        what: Whose adapter it is, for the error.

    Raises:
        ValueError: It sends those of another to one of them.
    """
    for origin in tokens.origins.origins:
        if sends_as_another(tokens, adapter, origin):
            raise ValueError(
                f"{what} sends to {origin} with the tokens of another TokenSource: "
                "one origin has one login, so take a session for each"
            )


def _all_in(adapter: BaseAdapter | None) -> Iterator[BaseAdapter]:
    """Return *adapter* and all that it wraps; those of other libraries have it in an attribute, or
    several in a list or dict."""
    wrapped = [] if adapter is None else [adapter]
    for one in wrapped:
        yield one
        for value in getattr(one, "__dict__", {}).values():
            wrapped += [it for it in _each(value) if it not in wrapped]


def _each(value: object) -> list[BaseAdapter]:
    if isinstance(value, BaseAdapter):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [it for it in value if isinstance(it, BaseAdapter)] if isinstance(value, list) else []


def _source_of(adapter: BaseAdapter | None) -> TokenSource | None:
    source = getattr(adapter, "_source", None)
    return source if isinstance(source, TokenSource) else None
