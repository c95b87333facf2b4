"""What the stores on this machine's disks ask of the file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._errors import StoreUnavailableError, TokenStoreError


@contextmanager
def os_errors_explained(problem: str) -> Iterator[None]:
    """Turn an `OSError` into a `StoreUnavailableError` that begins with *problem*."""
    try:
        yield
    except TokenStoreError:
        raise  # an OSError by way of requests, and explained already
    except OSError as error:
        raise StoreUnavailableError(f"{problem}: {error.strerror or error}") from error


def make_folder(folder: Path) -> None:
    """Create *folder* and whatever is missing above it, for this user alone.

    Raises:
        OSError: It cannot be created.
    """
    if not folder.parent.exists():
        make_folder(folder.parent)  # mkdir(parents=True) would leave their mode to the umask
    folder.mkdir(mode=0o700, exist_ok=True)
