"""Files of tokens as tests see them: put there by hand, refused, and used by child processes."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import requests_tokenrefresh
from requests_tokenrefresh import FileTokenStore, StoreLockTimeoutError, Token, TokenStoreError

OLD = Token("old-access", refresh_token="old-refresh", issued_at=1_700_000_000.0)
NEW = Token("new-access", refresh_token="new-refresh", issued_at=1_700_003_600.0)


def put(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def identity(path: Path) -> tuple[int, ...]:
    """What is another if *path* has been replaced, or written to."""
    status = path.stat()
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def is_busy(store: FileTokenStore) -> bool:
    try:
        with store.lock(0):
            return False
    except StoreLockTimeoutError:
        return True


def save(store: FileTokenStore) -> None:
    store.save(NEW)


def ensure_can_save(store: FileTokenStore) -> None:
    store.ensure_can_save()


def lock(store: FileTokenStore) -> None:
    store.lock(0).__enter__()


on_the_token = pytest.mark.parametrize(
    "operation", [FileTokenStore.load, save, FileTokenStore.clear], ids=["load", "save", "clear"]
)


def refusal(
    kind: type[TokenStoreError],
    operation: Callable[[FileTokenStore], object],
    store: FileTokenStore,
) -> str:
    """Return the message of the error that *operation* ends with, which is of no other *kind*."""
    with pytest.raises(TokenStoreError) as raised:
        operation(store)
    assert type(raised.value) is kind
    assert "secret" not in str(raised.value)
    return str(raised.value)


@contextmanager
def running(code: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """A Python that runs *code*, and is gone when the test is."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=Path(requests_tokenrefresh.__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()
