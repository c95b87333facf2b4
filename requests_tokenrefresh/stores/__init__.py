"""Where a login is kept between requests, processes and runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._on_demand import on_demand
from ._content import Cipher
from ._memory import MemoryTokenStore
from ._protocol import ChecksSaving, KeepsPause, StoredPause, TokenStore

if TYPE_CHECKING:
    from ._file import FileTokenStore
    from ._keyring import KeyringTokenStore
    from ._redis import RedisTokenStore
    from ._sql import SQLTokenStore
else:
    __getattr__ = on_demand(
        __name__,
        {
            "._file": ["FileTokenStore"],
            "._keyring": ["KeyringTokenStore"],
            "._redis": ["RedisTokenStore"],
            "._sql": ["SQLTokenStore"],
        },
    )

_METHODS = ("load", "save", "clear", "lock")

__all__ = [
    "ChecksSaving",
    "Cipher",
    "FileTokenStore",
    "KeepsPause",
    "KeyringTokenStore",
    "MemoryTokenStore",
    "RedisTokenStore",
    "SQLTokenStore",
    "StoredPause",
    "TokenStore",
    "open_store",
]


def open_store(store: TokenStore | str | os.PathLike[str] | None) -> TokenStore:
    """Return the token store that *store* stands for.

    Args:
        store: None for a new `MemoryTokenStore`, a path for a `FileTokenStore`, or a token store,
            which is returned as it is.

    Raises:
        TypeError: *store* is none of these.
        ValueError: *store* is a path that cannot name a file, or a URL.
    """
    if store is None:
        return MemoryTokenStore()
    if isinstance(store, str) and "://" in store:
        raise ValueError(
            "store is a URL, and a str stands for the path of a file; pass a store that opens it, "
            "such as RedisTokenStore(url, key=...) or SQLTokenStore(url, name=...)"
        )
    if isinstance(store, str | os.PathLike):
        from ._file import FileTokenStore  # on demand, as above

        return FileTokenStore(store)
    # A class has all the methods of its instances, so the protocol alone would let it in.
    if isinstance(store, TokenStore) and not isinstance(store, type):
        return store
    given = store.__name__ + " itself" if isinstance(store, type) else type(store).__name__
    missing = [name for name in _METHODS if not hasattr(store, name)]
    if not isinstance(store, type) and {"load", "save"}.isdisjoint(missing):
        given += f", which has no {' and no '.join(missing)} (see TokenStore)"
    raise TypeError(
        "store is a path (str or os.PathLike), a token store such as FileTokenStore(path), "
        f"or None to keep the token in memory; got {given}"
    )
