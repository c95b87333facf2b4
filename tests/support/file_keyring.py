"""A real keyring that runs anywhere: the file backend of keyrings.alt, in a folder of the test."""

from __future__ import annotations

from pathlib import Path

import keyring.core
import pytest


def use_file_keyring(folder: Path, patches: pytest.MonkeyPatch) -> Path:
    """Have `keyring` keep its entries in a file of *folder*, here and in new processes.

    Returns:
        The path of the file.
    """
    path = folder / "keyring.cfg"
    patches.setattr(keyring.core, "_keyring_backend", None)  # found anew, by these:
    patches.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
    patches.setenv("KEYRING_PROPERTY_FILE_PATH", str(path))
    patches.setenv("XDG_STATE_HOME", str(folder / "state"))  # for the locks
    return path
