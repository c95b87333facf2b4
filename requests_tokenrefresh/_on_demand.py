"""What a package has to offer, imported when somebody asks for it: all that it needs, then."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any


def on_demand(package: str, names: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` (PEP 562) of *package*, which imports a name when it is used.

    A program uses one grant and one store, or none of ours. To import all of them, with oauthlib
    and filelock, takes twice as long as the rest of this package. Their modules import at the top
    what they need: so it is there before an object is made or unpickled, and a refresh imports
    nothing, not even at the end of a program, when it may be too late to.

    Args:
        package: Its ``__name__``.
        names: What each module has, which is named relative to *package*.
    """
    places = {name: module for module, its_names in names.items() for name in its_names}

    def __getattr__(name: str) -> Any:  # noqa: N807 - it will be the package's
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(places[name], package), name)

    return __getattr__


_Lazy: Any = getattr(types, "LazyImportType", ())  # of Python 3.15 (PEP 810)


def import_the_rest_of(package: str) -> None:
    """Import what the modules of *package* leave until it is used (PEP 810).

    By then a program may have given up the right to read it, or the file may be that of another
    version. What cannot be imported is left as it is.
    """
    left: set[tuple[str, str]] = set()
    while more := set(_lazy_names_in(package)) - left:
        left |= more
        for path, name in more:
            with suppress(ImportError):
                getattr(sys.modules[path], name)


def _lazy_names_in(package: str) -> Iterator[tuple[str, str]]:
    for path, module in list(sys.modules.items()):
        if path.partition(".")[0] == package:
            for name, value in list(vars(module).items()):
                if isinstance(value, _Lazy):
                    yield path, name
