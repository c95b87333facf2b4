"""What tools show of an error that record the variables of its traceback."""

from __future__ import annotations

import traceback
from collections.abc import Iterator


def shown_by_tools(error: BaseException) -> str:
    """Return all that is said by *error*, its causes and contexts, and the package's variables."""
    return "\n".join(text for one in _chain(error) for text in _shown(one))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException | None] = [None]
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in seen:
            seen.append(one)
            waiting += [one.__cause__, one.__context__]
            yield one


def _shown(error: BaseException) -> Iterator[str]:
    yield f"{error} {error!r} {error.args!r} {vars(error)!r}"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if not str(frame.f_globals.get("__name__")).startswith("tests."):
            yield from map(repr, frame.f_locals.values())
