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
from ._file_privacy import OTHERS_MAY_READ_OR_WRITE
from ._file_trust import MODE_TELLS_WHO_MAY_READ, is_of_another
from ._file_way import Way

_AN_ENGINE = (
    "or, if whoever can read it may have the logins, pass an engine of your own: "
    "SQLTokenStore(sqlalchemy.create_engine(...), ...)"
)

# What SQLite puts beside it, with the mode that it has at that moment; it reads them whoever has
# put them there, and what is in a journal it writes into the database.
_BESIDE = ("-journal", "-wal", "-shm")


def make_private(name: str, options: Mapping[str, Any]) -> None:
    """Create the database with mode 0600, before SQLite would by the umask, or look at whose it is,
    and what lies beside it.

    Args:
        name: What `sqlite3.connect` is given: a path, or a URI if *options* say so.
        options: Its other arguments.

    Raises:
        TokenStoreError: It belongs to another user, or others can read or write it, or replace it.
    """
    is_uri = bool(options.get("uri")) and name.startswith("file:")
    path, may_create = _read(name) if is_uri else (Path(name), True)
    if not MODE_TELLS_WHO_MAY_READ:
        return
    path = path.absolute()
    place = Way(path, private=True, found=f"the database {path}", without=_AN_ENGINE).look()
    if place.is_shared:
        raise TokenStoreError(
            f"the database {path} is in {place.path.parent}, where others can put a journal beside "
            "it that SQLite would take for its own; keep it in a folder of your own, such as "
            f"~/.config/reports; {_AN_ENGINE}"
        )
    if may_create:
        with suppress(OSError):  # it is there, or SQLite says why it cannot be
            os.close(os.open(place.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    for file in (place.path, *(Path(f"{place.path}{ending}") for ending in _BESIDE)):
        _refuse_unless_private(file)


def _refuse_unless_private(path: Path) -> None:
    try:
        status = path.stat()
    except OSError:
        return  # it is not there, or SQLite says more of it
    if not stat.S_ISREG(status.st_mode):
        return  # likewise
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


def _read(uri: str) -> tuple[Path, bool]:
    """Return the path in *uri*, and whether SQLite may create what is not there."""
    parts = urlsplit(uri)
    modes = parse_qs(parts.query).get("mode", ["rwc"])
    return Path(unquote(parts.path)), modes[-1] == "rwc"
