"""The files in which a client's secret and its key stay: read, and believed where that is safe."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

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


def as_trusted(record: ClientRecord, store: TokenStore) -> ClientRecord:
    """Return *record*, without what may not be believed of one that was in *store*.

    A file can name a file: both are of this machine, and of whoever reads them. Who can write a
    store that is shared could name any file of ours as the secret, and an endpoint to send it to.
    """
    if is_private(store):
        return record
    return replace(record, client_secret_file=None, private_key_file=None)


def is_private(store: TokenStore) -> bool:
    """Return whether *store* is on this machine, and this user's alone."""
    return isinstance(store, FileTokenStore) and store.private
