"""What every token store promises (`TokenStore`), asked of each in turn.

Those that need a server are in tests/integration.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import keyring
import pytest

from requests_tokenrefresh import FileTokenStore, KeyringTokenStore, MemoryTokenStore
from requests_tokenrefresh.testing import TokenStoreContract
from tests.support.file_keyring import use_file_keyring
from tests.support.quick_contract import QuickContract, without


@without("checking", "corrupt", "other_process", "outage", "pausing")
class TestMemoryTokenStore(TokenStoreContract):
    lock_is_free_within = 0.1

    @pytest.fixture
    def store(self) -> MemoryTokenStore:
        return MemoryTokenStore()


class TestFileTokenStore(QuickContract):
    lock_is_free_within = 0.1

    @pytest.fixture
    def store(self, tmp_path: Path) -> FileTokenStore:
        return FileTokenStore(tmp_path / "login" / "token.json")

    @pytest.fixture
    def corrupt(self, store: FileTokenStore) -> Callable[[bytes], object]:
        def write(content: bytes) -> None:
            store.path.parent.mkdir()
            store.path.touch(0o600)
            store.path.write_bytes(content)

        return write

    @pytest.fixture
    def outage(self, store: FileTokenStore) -> AbstractContextManager[object]:
        return a_file_for_a_folder(store.path.parent)


@without("checking")
class TestKeyringTokenStore(QuickContract):
    lock_is_free_within = 0.1

    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyringTokenStore:
        use_file_keyring(tmp_path, monkeypatch)
        return KeyringTokenStore("reports", "alice")

    @pytest.fixture
    def corrupt(self) -> Callable[[bytes], object]:
        return lambda content: keyring.set_password("reports", "alice", content.decode())

    @pytest.fixture
    def outage(self, tmp_path: Path, store: KeyringTokenStore) -> AbstractContextManager[object]:
        return a_file_for_a_folder(tmp_path / "state" / "requests-tokenrefresh")


@contextmanager
def a_file_for_a_folder(folder: Path) -> Iterator[None]:
    away = folder.rename(folder.with_name("away"))
    folder.touch()
    yield
    folder.unlink()
    away.rename(folder)
