"""What a package has to offer, imported when somebody asks for it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
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
