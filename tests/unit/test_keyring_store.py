"""What is `KeyringTokenStore`'s own; what it shares with the others is in test_store_contract.

The backend is the file keyring of keyrings.alt, or one derived from it that has somebody else's
faults.
"""

import base64
import json
import pickle
import stat
import threading
from pathlib import Path

import keyring
import pytest
from cryptography.fernet import Fernet
from keyring.backends import fail, null
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError, PasswordSetError
from keyrings.alt.file import PlaintextKeyring

from requests_tokenrefresh import (
    KeyringTokenStore,
    StoreContentError,
    StoreUnavailableError,
    Token,
    TokenStoreError,
)
from requests_tokenrefresh._client_record import ClientRecord, record_of, with_record
from requests_tokenrefresh.stores import _keyring
from requests_tokenrefresh.stores._file_lock import file_lock
from requests_tokenrefresh.stores._file_way import Place
from tests.support.file_keyring import use_file_keyring
from tests.support.threads import run_together, start_together

OLD = Token("old-secret-access", refresh_token="old-secret-refresh", issued_at=1_700_000_000.0)
NEW = Token("new-secret-access", refresh_token="new-secret-refresh", issued_at=1_700_003_600.0)

ENTRY = "the keyring entry of 'alice' for 'reports'"


@pytest.fixture(autouse=True)
def keyring_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_file_keyring(tmp_path, monkeypatch)


@pytest.fixture
def store() -> KeyringTokenStore:
    return KeyringTokenStore("reports", "alice")


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    return tmp_path / "state" / "requests-tokenrefresh"


def save(store: KeyringTokenStore) -> None:
    store.save(NEW)


on_the_token = pytest.mark.parametrize(
    "operation",
    [KeyringTokenStore.load, save, KeyringTokenStore.clear],
    ids=["load", "save", "clear"],
)


class Faulty(PlaintextKeyring):
    """One that raises *error* when it is asked to do *what*."""

    priority = 0  # never found, only put there

    def __init__(self, what: str, error: Exception) -> None:
        super().__init__()
        self._what, self._error = what, error

    def get_password(self, service, username):
        return self._unless("get") or super().get_password(service, username)

    def set_password(self, service, username, password):
        return self._unless("set") or super().set_password(service, username, password)

    def delete_password(self, service, username):
        return self._unless("delete") or super().delete_password(service, username)

    def _unless(self, what):
        if what == self._what:
            raise self._error


# The door


def test_it_is_shared():
    assert KeyringTokenStore.shared is True


def test_it_shows_and_pickles_as_service_and_account():
    key = Fernet(Fernet.generate_key())
    store = KeyringTokenStore("reports", "alice", cipher=key)
    assert repr(store) == "KeyringTokenStore('reports', 'alice')"
    make, arguments = store.__reduce__()
    assert (make.func, make.keywords, arguments) == (
        KeyringTokenStore,
        {"cipher": key},
        ("reports", "alice"),
    )
    copy = pickle.loads(pickle.dumps(KeyringTokenStore("reports", "alice")))
    assert (copy.service, copy.account) == ("reports", "alice")


@pytest.mark.parametrize(("service", "account"), [(None, "alice"), ("reports", b"alice")])
def test_what_is_no_str_is_refused(service, account):
    with pytest.raises(TypeError, match=r"(service|account) is a str, got (NoneType|bytes)"):
        KeyringTokenStore(service, account)


@pytest.mark.parametrize(
    ("service", "account", "name"), [("", "a", "service"), ("s", "", "account")]
)
def test_an_empty_name_is_refused(service, account, name):
    with pytest.raises(ValueError, match=f"{name} is empty; KeyringTokenStore"):
        KeyringTokenStore(service, account)


def test_what_is_no_cipher_is_refused():
    with pytest.raises(TypeError, match="cipher is an object with encrypt"):
        KeyringTokenStore("reports", "alice", cipher=b"key")


@pytest.mark.parametrize("package", ["keyring", "platformdirs"])
def test_without_its_packages_it_says_what_to_install(monkeypatch, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ImportError, match=r'pip install "requests-tokenrefresh\[keyring\]"'):
        KeyringTokenStore("reports", "alice")


# What is in the keyring


def test_the_entry_is_json_for_people_too(store):
    store.save(NEW)
    assert json.loads(keyring.get_password("reports", "alice")) == NEW.to_mapping()


def test_a_token_reply_put_there_by_hand_is_read_as_an_old_one(store):
    keyring.set_password("reports", "alice", '{"access_token": "a", "expires_in": 60}')
    assert store.load() == Token("a")
    assert store.load().expires_at == 60
    store.save(NEW)
    assert store.load() == NEW


class Xor:
    """A cipher that returns bytes which are no text."""

    def encrypt(self, data):
        return bytes(byte ^ 0xFF for byte in data)

    decrypt = encrypt


def test_the_entry_is_encrypted_if_there_is_a_cipher():
    store = KeyringTokenStore("reports", "alice", cipher=Xor())
    store.save(NEW)
    entry = keyring.get_password("reports", "alice")
    stored = json.loads(Xor().decrypt(base64.b64decode(entry)))
    assert stored.pop("stored_for")
    assert stored == NEW.to_mapping()
    assert store.load() == NEW


@pytest.mark.parametrize(
    "entry", ["", "secret", '{"access_token": "secret"}', base64.b64encode(b"secret").decode()]
)
def test_what_the_cipher_did_not_write_is_an_error_and_stays(entry):
    store = KeyringTokenStore("reports", "alice", cipher=Fernet(Fernet.generate_key()))
    keyring.set_password("reports", "alice", entry)
    with pytest.raises(StoreContentError, match=f"{ENTRY} does not hold a token") as raised:
        store.load()
    assert "secret" not in str(raised.value)
    with pytest.raises(StoreContentError):
        store.save(NEW)
    assert keyring.get_password("reports", "alice") == entry


def test_a_token_that_is_not_plain_json_is_an_error_and_the_old_one_stays(store):
    store.save(OLD)
    with pytest.raises(
        TokenStoreError, match=f"cannot write {ENTRY}, which is as it was"
    ) as raised:
        store.save(Token("access", extra={"field": b"bytes"}))
    assert type(raised.value) is TokenStoreError
    assert store.load() == OLD


# Several logins


@pytest.mark.parametrize(("service", "account"), [("reports", "bob"), ("ledger", "alice")])
def test_other_accounts_and_services_are_other_logins(store, service, account):
    other = KeyringTokenStore(service, account)
    store.save(OLD)
    assert other.load() is None
    other.save(NEW)
    with store.lock(0), other.lock(0):
        pass
    other.clear()
    assert store.load() == OLD


def test_a_service_and_an_account_do_not_run_into_one_another():
    with KeyringTokenStore("reports-a", "b").lock(0), KeyringTokenStore("reports", "a-b").lock(0):
        pass


def test_logins_that_are_saved_at_once_do_not_lose_one_another():
    """The file keyring reads its whole file, and writes it again."""
    names = iter("abcdefgh")

    def save_ten() -> None:
        store = KeyringTokenStore("reports", next(names))
        for number in range(10):
            store.save(Token(f"access-{number}"))

    assert [outcome.error for outcome in run_together(8, save_ten)] == [None] * 8
    assert [KeyringTokenStore("reports", name).load() for name in "abcdefgh"] == [
        Token("access-9")
    ] * 8


class DeletesAndAdds(PlaintextKeyring):
    """As the macOS backend does; held between the two."""

    priority = 0

    def __init__(self) -> None:
        super().__init__()
        self.deleted, self.gate, self.asked = (threading.Event() for _ in range(3))

    def get_password(self, service, username):
        self.asked.set()
        return super().get_password(service, username)

    def set_password(self, service, username, password):
        self.delete_password(service, username)
        self.asked.clear()
        self.deleted.set()
        assert self.gate.wait(30)
        super().set_password(service, username, password)


def test_nobody_sees_an_entry_that_is_being_replaced_as_gone(store, monkeypatch):
    store.save(OLD)
    backend = DeletesAndAdds()
    monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
    writer = start_together(1, lambda: store.save(NEW))
    assert backend.deleted.wait(30)
    reader = start_together(1, KeyringTokenStore("reports", "alice").load)
    assert not backend.asked.wait(0.1)
    backend.gate.set()
    assert [outcome.result() for outcome in reader.outcomes()] == [NEW]
    assert [outcome.error for outcome in writer.outcomes()] == [None]


# The locks


def test_the_locks_are_in_the_users_folder_for_state_whatever_the_current_one(
    store, locks, tmp_path, monkeypatch
):
    with store.lock(0):
        store.save(NEW)
        monkeypatch.chdir(tmp_path)
        assert store.load() == NEW
    login, access = sorted(locks.iterdir())
    assert login.name.startswith("keyring-")
    assert "alice" not in login.name
    assert access.name == "keyring.lock"
    assert stat.S_IMODE(locks.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in (login, access)] == [0o600, 0o600]


@on_the_token
def test_a_keyring_that_another_process_uses_for_ever_is_an_error(
    store, locks, monkeypatch, operation
):
    monkeypatch.setattr(_keyring, "_ACCESS_TIMEOUT", 0.02)
    with (
        file_lock(Place(locks / "keyring.lock"), 0),
        pytest.raises(StoreUnavailableError, match=r"for 0\.02 s; it may be asking"),
    ):
        operation(store)


# When the keyring says no


@on_the_token
@pytest.mark.parametrize(
    "error",
    [KeyringLocked("Failed to unlock the collection!"), InitError("Failed to open keyring")],
    ids=["locked", "not opened"],
)
def test_a_keyring_that_cannot_be_opened_is_an_error(store, monkeypatch, operation, error):
    store.save(OLD)
    with monkeypatch.context() as patches:
        patches.setattr(keyring.core, "_keyring_backend", Faulty("get", error))
        with pytest.raises(StoreUnavailableError) as raised:
            operation(store)
    assert str(raised.value).startswith(f"cannot read {ENTRY}: {error}; `python -m keyring")
    assert raised.value.__cause__ is error
    assert error.__traceback__ is None  # there the backend has the entry in a variable
    assert store.load() == OLD


@on_the_token
def test_a_machine_without_a_keyring_is_told_what_else_there_is(store, monkeypatch, operation):
    monkeypatch.setattr(keyring.core, "_keyring_backend", fail.Keyring())
    with pytest.raises(StoreUnavailableError, match="No recommended backend was available") as it:
        operation(store)
    assert str(it.value).endswith("a FileTokenStore needs no keyring")


@on_the_token
def test_what_a_backend_lets_through_is_an_error_without_its_words(store, keyring_file, operation):
    """configparser repeats the line that it cannot read."""
    keyring_file.write_text("[reports]\nsecret\n")
    with pytest.raises(StoreUnavailableError) as raised:
        operation(store)
    assert str(raised.value).startswith(f"cannot read {ENTRY}: the keyring raised ParsingError;")
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert keyring_file.read_text() == "[reports]\nsecret\n"


def test_a_keyring_that_refuses_the_token_keeps_the_old_one(store, monkeypatch):
    store.save(OLD)
    error = PasswordSetError("Can't store password on keychain: (-25299, 'Unknown Error')")
    monkeypatch.setattr(keyring.core, "_keyring_backend", Faulty("set", error))
    with pytest.raises(StoreUnavailableError) as raised:
        store.save(NEW)
    assert str(raised.value).startswith(f"cannot write {ENTRY}: {error}; ")
    assert store.load() == OLD


@pytest.mark.parametrize(
    ("size", "told"), [(1211, ""), (1212, " (1281 characters, Windows keeps 1280)")]
)
def test_a_token_too_large_for_windows_is_told_its_size(store, monkeypatch, size, told):
    monkeypatch.setattr(_keyring, "_ON_WINDOWS", True)
    error = Exception(1783, "CredWrite", "The stub received bad data")
    monkeypatch.setattr(keyring.core, "_keyring_backend", Faulty("set", error))
    with pytest.raises(StoreUnavailableError) as raised:
        store.save(Token("a" * size, issued_at=0))
    problem = f"cannot write {ENTRY}{told}: the keyring raised Exception; "
    assert str(raised.value).startswith(problem)


RECORD = ClientRecord(
    "reports",
    "https://auth.example.com/token",
    issuer="https://auth.example.com",
    origins=("https://api.example.com",),
)


@pytest.mark.parametrize(
    ("on_windows", "size", "kept"),
    [
        (True, 900, RECORD),
        (True, 1000, ClientRecord("reports", issuer="https://auth.example.com")),
        (False, 1000, RECORD),
    ],
)
def test_where_windows_has_no_room_the_client_is_remembered_in_brief(
    store, monkeypatch, on_windows, size, kept
):
    monkeypatch.setattr(_keyring, "_ON_WINDOWS", on_windows)
    store.save(with_record(Token("a" * size, "refresh", issued_at=0), RECORD))
    stored = store.load()
    assert stored == Token("a" * size, "refresh")
    assert record_of(stored) == kept


def test_a_keyring_that_keeps_nothing_is_found_out(store, monkeypatch):
    monkeypatch.setattr(keyring.core, "_keyring_backend", null.Keyring())
    with pytest.raises(StoreUnavailableError, match=f"cannot write {ENTRY}: it has not been kept"):
        store.save(NEW)


def test_a_keyring_that_does_not_remove_the_token_is_an_error(store, monkeypatch):
    store.save(OLD)
    error = PasswordDeleteError("Cancelled by user")
    monkeypatch.setattr(keyring.core, "_keyring_backend", Faulty("delete", error))
    with pytest.raises(StoreUnavailableError, match=f"cannot remove {ENTRY}: Cancelled by user; "):
        store.clear()
    assert store.load() == OLD


class RemovedByAnotherProgram(PlaintextKeyring):
    priority = 0

    def delete_password(self, service, username):
        super().delete_password(service, username)
        raise PasswordDeleteError("Password not found")


def test_an_entry_that_another_program_has_just_removed_is_cleared(store, monkeypatch):
    store.save(OLD)
    monkeypatch.setattr(keyring.core, "_keyring_backend", RemovedByAnotherProgram())
    store.clear()
    assert store.load() is None
