"""What may be told of an exception that was raised while a secret was on its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import requests
from urllib3.exceptions import MaxRetryError

from ._quote import Secrets

E = TypeVar("E", bound=BaseException)


def innermost(error: BaseException) -> BaseException:
    """Return what requests and urllib3 wrapped: `MaxRetryError` repeats the URL's query."""
    while isinstance(error, requests.RequestException | MaxRetryError):
        inner = error.reason if isinstance(error, MaxRetryError) else next(iter(error.args), None)
        if not isinstance(inner, BaseException):
            return error
        error = inner
    return error


def without_frames(error: E) -> E:
    """Return *error* without the frames it and its causes passed.

    Their variables are the request and the reply, and there are tools that print them.
    """
    for raised in _chain(error):
        raised.__traceback__ = None
    return error


def unless_it_tells(error: E, secrets: Secrets) -> E | None:
    """Return *error*, or None if its text or that of a cause gives one of *secrets* away."""
    return None if any(secrets.repeated_in(str(raised)) for raised in _chain(error)) else error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
