"""The file of an SQLite database that is opened by a URL: this user's alone, as a token file."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .._errors import TokenStoreError
from ._file_privacy import MODE_TELLS_WHO_MAY_READ, OTHERS_MAY_READ_OR_WRITE, is_of_another

_AN_ENGINE = (
    "or, if whoever can read it may have the logins, pass an engine of your own: "
    "SQLTokenStore(sqlalchemy.create_engine(...), ...)"
)


def make_private(name: str, options: Mapping[str, Any]) -> None:
    """Create the database with mode 0600, before SQLite would by the umask, or look at whose it is.

    What SQLite puts beside it, journals first of all, has its mode.

    Args:
        name: What `sqlite3.connect` is given: a path, or a URI if *options* say so.
        options: Its other arguments.

    Raises:
        TokenStoreError: It belongs to another user, or others can read or write it.
    """
    path = _path_of(name) if options.get("uri") and name.startswith("file:") else Path(name)
    if path is None or not MODE_TELLS_WHO_MAY_READ:
        return
    with suppress(OSError):  # it is there, or SQLite says why it cannot be
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        return
    try:
        status = path.stat()
    except OSError:
        return
    if not stat.S_ISREG(status.st_mode):
        return  # SQLite says more of it
    if is_of_another(status):
        raise TokenStoreError(
            f"the database {path} belongs to another user (uid {status.st_uid}), who can read and "
            f"replace the logins in it; make it yours: sudo chown {os.geteuid()} "
            f"{shlex.quote(str(path))}; {_AN_ENGINE}"
        )
    if status.st_mode & OTHERS_MAY_READ_OR_WRITE:
        raise TokenStoreError(
            f"the database {path} can be read or written by other users "
            f"(mode {stat.S_IMODE(status.st_mode):04o}); make it private: "
            f"chmod 600 {shlex.quote(str(path))}; {_AN_ENGINE}"
        )


def _path_of(uri: str) -> Path | None:
    """Return the path in *uri*; None if it is for reading only, so that nothing is created."""
    parts = urlsplit(uri)
    how = parse_qs(parts.query)
    if how.get("mode") == ["ro"] or how.get("immutable") == ["1"]:
        return None
    return Path(unquote(parts.path))
