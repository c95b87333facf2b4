"""A pause (`KeepsPause`) in a file of its own.

Beside the token and not in its file: a program that knows nothing of our lock may be replacing that
at this moment, and its login would be undone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ._content import decode_pause, encode_pause
from ._file_draft import Draft, remove_leftovers
from ._file_privacy import is_of_another
from ._file_system import make_folder, open_at_once, os_errors_explained
from ._protocol import StoredPause

_LARGEST = 100  # bytes; it takes thirty


class FilePause:
    """The pause in the file *path*, which is not there if there is none.

    Args:
        private: Whether one that another user has put there counts as none.
    """

    def __init__(self, path: Path, *, private: bool = True) -> None:
        self._path = path
        self._private = private

    def load(self) -> StoredPause | None:
        """Return it, or None.

        Raises:
            StoreUnavailableError: The file cannot be read.
        """
        with os_errors_explained(f"cannot read the pause {self._path}"):
            try:
                with open(self._path, "rb", opener=open_at_once) as file:
                    if self._private and is_of_another(os.fstat(file.fileno())):
                        return None
                    return decode_pause(file.read(_LARGEST))
            except FileNotFoundError:
                return None

    def save(self, pause: StoredPause | None, *, like: os.stat_result | None = None) -> None:
        """Replace it, or end it; *like* is as for a `Draft`.

        Raises:
            StoreUnavailableError: The file cannot be written, or removed.
        """
        with os_errors_explained(f"cannot write the pause {self._path}"):
            if pause is None:
                self._path.unlink(missing_ok=True)
                return
            make_folder(self._path.parent)
            Draft(self._path, encode_pause(pause), like=like).put_in_place()
        remove_leftovers(self._path)

    def end(self) -> None:
        """End it if that is possible; what ends it has been done, and is no error."""
        with suppress(OSError):
            self._path.unlink()
