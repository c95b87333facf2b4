"""Every public name says what it is, and so does every argument; what has no place in the reference
is no public name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests_tokenrefresh
from requests_tokenrefresh import events, testing

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
PUBLIC: dict[str, Any] = {
    **{name: getattr(requests_tokenrefresh, name) for name in requests_tokenrefresh.__all__},
    **{kind.__name__: kind for kind in (events.Event, *events.Event.__subclasses__())},
    **{name: getattr(testing, name) for name in testing.__all__},
}
MADE_BY_OTHERS = {"Installation"}  # nobody else calls the class
ITSELF = "message"  # of an error
BETWEEN_ADAPTERS = {"TokenRefreshAdapter.to_wrap"}


def methods_of(name: str) -> Iterator[tuple[str, Any]]:
    """Its own, but for those that a library has named, and for tests."""
    for attribute, value in vars(PUBLIC[name]).items():
        method = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        named_elsewhere = any(
            hasattr(base, attribute)
            for base in PUBLIC[name].__mro__[1:]
            if not base.__module__.startswith("requests_tokenrefresh")
        )
        is_method = inspect.isfunction(method) or isinstance(method, property)
        if is_method and not re.match("_|test_", attribute) and not named_elsewhere:
            yield attribute, method


def is_in_the_reference(name: str, method: str) -> bool:
    if re.search(rf"^\.\. automethod:: \S*\b{name}\.{method}$", REFERENCE, re.MULTILINE):
        return True
    block = re.search(rf"^\.\. auto\w+:: \S*\b{name}\n((?:   :.*\n)*)", REFERENCE, re.MULTILINE)
    members = re.search(r":members:(.*)", block[1]) if block else None
    return members is not None and (not members[1] or method in re.findall(r"\w+", members[1]))


def docstrings_of(name: str) -> str:
    """Its own, those it inherits, and those it refers to: "as in `RefreshTokenGrant`"."""
    bases = [
        base for base in getattr(PUBLIC[name], "__mro__", [PUBLIC[name]]) if base is not object
    ]
    own = " ".join(inspect.getdoc(base) or "" for base in bases)
    named = [PUBLIC[other] for other in re.findall(r"`(\w+)`", own) if other in PUBLIC]
    return " ".join([own, *(inspect.getdoc(other) or "" for other in named)])


CLASSES = [name for name, value in PUBLIC.items() if inspect.isclass(value)]


def test_each_name_has_a_docstring() -> None:
    assert [name for name, value in PUBLIC.items() if not (value.__doc__ or "").strip()] == []


def test_each_method_has_a_docstring() -> None:
    methods = {f"{name}.{method}": value for name in CLASSES for method, value in methods_of(name)}
    assert len(methods) > 50
    assert [name for name, value in methods.items() if not (value.__doc__ or "").strip()] == []


def test_each_method_is_in_the_reference() -> None:
    methods = [(name, method) for name in CLASSES for method, _ in methods_of(name)]
    hidden = {
        f"{name}.{method}" for name, method in methods if not is_in_the_reference(name, method)
    }
    assert hidden == BETWEEN_ADAPTERS


def unexplained_arguments_of(name: str) -> list[str]:
    told = docstrings_of(name)
    arguments = [
        argument.name
        for argument in inspect.signature(PUBLIC[name]).parameters.values()
        if argument.kind not in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD)
    ]
    return [one for one in arguments if one != ITSELF and not re.search(rf"\b{one}\b", told)]


def test_each_argument_is_explained() -> None:
    names = [name for name, value in PUBLIC.items() if callable(value)]
    found = {name: unexplained_arguments_of(name) for name in set(names) - MADE_BY_OTHERS}
    assert {name: arguments for name, arguments in found.items() if arguments} == {}
