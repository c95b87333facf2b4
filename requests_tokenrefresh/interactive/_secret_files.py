"""The files in which a client's secret and its key stay: read, and believed where that is safe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._client_record import ClientRecord
from ..stores import FileTokenStore, TokenStore


def read_secret(file: str | os.PathLike[str], what: str = "the client's secret") -> str:
    """Return *what* is all of *file* but for the end of its line.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        return Path(file).expanduser().read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text"
    # Out here, because what was caught may have the secret in it.
    raise ValueError(
        f"{what} cannot be read from {os.fspath(file)} ({problem}): put it there, as text"
    )


def secrets_in(
    secret_file: str | os.PathLike[str] | None,
    key_file: str | os.PathLike[str] | None,
    *,
    beside: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return what these files have, as arguments of a grant, but for those that are *beside* it.

    Raises:
        ValueError: One cannot be read.
    """
    files = {
        "client_secret": (secret_file, "the client's secret"),
        "private_key": (key_file, "the client's key"),
    }
    return {
        name: read_secret(file, what)
        for name, (file, what) in files.items()
        if file is not None and name not in (beside or {})
    }


def as_trusted(record: ClientRecord, store: TokenStore) -> ClientRecord:
    """Return *record*, without what may not be believed of one that was in *store*.

    A file can name a file: both are of this machine, and of whoever reads them. Who can write a
    store that is shared could name any file of ours as the secret, and an endpoint to send it to.
    """
    if isinstance(store, FileTokenStore) and store.private:
        return record
    return replace(record, client_secret_file=None, private_key_file=None)
