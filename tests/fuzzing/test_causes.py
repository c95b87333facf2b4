"""Whatever an exception is made of, it is a cause that may be told only if a secret is nowhere."""

from __future__ import annotations

import json
from typing import Any

import requests
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

from requests_tokenrefresh.refreshers._cause import innermost, unless_it_tells, without_frames
from requests_tokenrefresh.refreshers._quote import Secrets
from tests.support.length import few

SECRET = "7f3e9a1c5b2d8e4f"
SECRETS = Secrets.of(known=[SECRET])

TEXTS = st.sampled_from(["", "no such file", "caf\u00e9\n", SECRET, f"/a?b={SECRET}", SECRET[::-1]])
VALUES = st.recursive(
    TEXTS | TEXTS.map(lambda text: text.encode()) | st.none() | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.tuples(inner) | st.dictionaries(TEXTS, inner, max_size=2)
    ),
    max_leaves=4,
)


class GroupError(Exception):
    """As an ExceptionGroup of Python 3.11."""

    def __init__(self, *inner: Exception) -> None:
        super().__init__("several")
        self.exceptions = inner


def unreadable(text: str) -> Exception:
    try:
        json.loads(f"{{{text}")
    except ValueError as error:
        return error
    raise AssertionError(text)


KINDS = (
    st.builds(lambda *args: ValueError(*args), VALUES)
    | st.builds(lambda *args: KeyError(*args), VALUES, VALUES)
    | TEXTS.map(lambda text: UnicodeEncodeError("latin-1", f"{text}\u20ac", 0, 1, "no"))
    | TEXTS.map(unreadable)
    | TEXTS.map(lambda text: ReadTimeoutError(None, text, "Read timed out."))  # type: ignore[arg-type]
    | TEXTS.map(lambda text: requests.ConnectionError(MaxRetryError(None, text)))  # type: ignore[arg-type]
)


@st.composite
def errors(draw: st.DrawFn, depth: int = 1) -> Exception:
    error: Any = draw(KINDS)
    if depth == 0:
        return error
    for place in draw(st.sets(st.sampled_from(["cause", "context", "note", "field", "group"]))):
        inner = draw(errors(depth - 1))
        if place == "cause":
            error.__cause__ = inner
        elif place == "context":
            error.__context__ = inner
        elif place == "note":
            error.__notes__ = [draw(TEXTS)]
        elif place == "field":
            error.field = draw(VALUES)
        else:
            error = GroupError(error, inner)
    return error


def everything(error: BaseException) -> str:
    """All that can be found in *error*, by another way than the package has."""
    inner = [error.__cause__, error.__context__, *error.args, *getattr(error, "exceptions", ())]
    return f"{error}\n{error!r}\n{error.args!r}\n{vars(error)!r}\n" + "".join(
        everything(one) for one in inner if isinstance(one, BaseException)
    )


@few(25)
@given(errors())
@example(UnicodeEncodeError("latin-1", f"{SECRET}\u20ac", 16, 17, "no"))
def test_what_is_told_has_no_secret_in_it(error: Exception) -> None:
    told = unless_it_tells(without_frames(error), SECRETS)
    has = SECRET in everything(error) or SECRET[::-1] in everything(error)
    assert told is (None if has else error)
    assert isinstance(innermost(error), BaseException)
