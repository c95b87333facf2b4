"""A pause (`KeepsPause`) in a file of its own.

Beside the token and not in its file: a program that knows nothing of our lock may be replacing that
at this moment, and its login would be undone.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from ._content import decode_pause, encode_pause
from ._file_draft import Draft, remove_leftovers
from ._file_privacy import may_be_of_others
from ._file_system import open_at_once, os_errors_explained
from ._file_way import Place
from ._protocol import StoredPause

_LARGEST = 100  # bytes; it takes thirty


class FilePause:
    """The pause in the file at *place*, which is not there if there is none. Anything but a regular
    file counts as none, and so does what others may have put there.

    Args:
        private: Whether that is so for what is another user's.
    """

    def __init__(self, place: Place, *, private: bool = True) -> None:
        self._place = place
        self._path = place.path
        self._private = private

    def load(self) -> StoredPause | None:
        """Return it, or None.

        Raises:
            StoreUnavailableError: The file cannot be read.
        """
        with os_errors_explained(f"cannot read the pause {self._path}"):
            try:
                if not stat.S_ISREG(self._path.lstat().st_mode):
                    return None
                with open(self._path, "rb", opener=open_at_once) as file:
                    status = os.fstat(file.fileno())
                    if may_be_of_others(self._place, status, private=self._private):
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
            Draft(self._path, encode_pause(pause), like=like).put_in_place()
        remove_leftovers(self._path)

    def end(self) -> None:
        """End it if that is possible; what ends it has been done, and is no error."""
        with suppress(OSError):
            self._path.unlink()
