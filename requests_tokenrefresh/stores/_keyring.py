"""`KeyringTokenStore`: a login in the keyring of the user's own machine.

The library `keyring` speaks to the system's keyring, and a file lock keeps the turn. Few backends
replace an entry in one step: on macOS it is deleted and added again, on Windows the entries of a
service are moved about, the files of keyrings.alt are written anew. So a second lock, held for the
moment of one access, keeps all stores of this kind from seeing each other's half-done writes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from .._client_record import in_brief
from .._door import check_text
from .._errors import StoreLockTimeoutError, StoreUnavailableError
from .._token import Token
from ._content import Cipher, check_cipher, decode, encode
from ._file_lock import file_lock
from ._file_pause import FilePause
from ._file_system import os_errors_explained
from ._file_way import Place, Way
from ._protocol import StoredPause
from ._secret import Secret, SecretText, alone
from ._timeout import check_timeout

# Seconds that one access may take another process, which may be asking its user for a password.
_ACCESS_TIMEOUT = 30.0

_ON_WINDOWS = os.name == "nt"
_WINDOWS_KEEPS = 1280  # characters: CRED_MAX_CREDENTIAL_BLOB_SIZE is 2560 bytes, of UTF-16

_ADVICE = "`python -m keyring diagnose` may tell why; a FileTokenStore needs no keyring"


class KeyringTokenStore:
    """Keeps the token in the keyring of the user who runs the program: the Keychain of macOS, the
    Secret Service or KWallet of a Linux desktop, the Credential Locker of Windows, or whichever
    backend `keyring` is configured for.

    Needs ``pip install "requests-tokenrefresh[keyring]"``. For people's own machines: a service or
    a cron job may find its user's keyring locked, or none.

    The entry holds what a `FileTokenStore` writes; a token reply (RFC 6749 section 5.1) put there
    by ``keyring set SERVICE ACCOUNT`` is read as well, and counts as old. Anything else is an
    error, and is neither overwritten nor cleared. Windows keeps at most 1280 characters: many a
    token is larger, and belongs into a `FileTokenStore` there. Of what `log_in` remembers, only
    the issuer and the client are kept there if there is no room for more.

    On macOS, and with the files of keyrings.alt, a process killed at the moment of a save may leave
    no entry. The locks are empty files in the user's folder for state (on Linux
    ``~/.local/state/requests-tokenrefresh``), so all processes have to run as the same user, with
    the same home. It keeps a pause (`KeepsPause`) there as well.

    Safe from any thread and process, and, if the backend is, after a fork. Pickles as its service,
    account and cipher, keys included.

    Args:
        service: What the login is for, such as the name of the API or the program.
        account: Whose login it is. Other accounts are other logins.
        cipher: Encrypts what the keyring holds; None to hand it over as it is.

    Attributes:
        service: The same.
        account: The same.

    Raises:
        TypeError: *service* or *account* is not a str.
        ValueError: *service* or *account* is empty.
        ImportError: `keyring` or `platformdirs` is not installed.
    """

    shared = True

    def __init__(self, service: str, account: str, *, cipher: Cipher | None = None) -> None:
        self.service = _checked("service", service)
        self.account = _checked("account", account)
        self._cipher = check_cipher(cipher)
        self._login = hashlib.sha256(json.dumps([service, account]).encode()).hexdigest()[:32]
        self._locks = Way(
            _folder_of_locks() / "keyring.lock",
            private=True,
            found="the lock of the keyring",
            without="or use a FileTokenStore, whose path can be chosen",
        )
        self._called = f"the keyring entry of {account!r} for {service!r}"

    def __repr__(self) -> str:
        return f"KeyringTokenStore({self.service!r}, {self.account!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), cipher=self._cipher), (self.service, self.account)

    def load(self) -> Token | None:
        """Return the stored token, or None if there is no such entry.

        Raises:
            StoreUnavailableError: There is no keyring, or it is locked or does not answer.
            StoreContentError: The entry holds something else than a token. It is left as it was.
        """
        with self._access():
            return self._load()

    def save(self, token: Token) -> None:
        """Replace the stored token; it is read back before this returns.

        Raises:
            StoreUnavailableError: As for `load`, or the keyring has not kept the token, because it
                is too large for it perhaps.
            StoreContentError: The entry holds something else than a token. It is left as it was.
            TokenStoreError: *token* cannot be stored.
        """
        entry = self._entry(token)
        if _is_too_large(entry):
            entry = self._entry(in_brief(token))
        with self._access():
            self._load()
            problem = f"cannot write {self._called}{_size_told(entry)}"
            self._ask(problem, "set_password", entry)
            # Not every backend tells when it has not: KWallet, or the null one.
            if self._ask(problem, "get_password") != entry:
                raise StoreUnavailableError(f"{problem}: it has not been kept; {_ADVICE}")
            self._pause_at(self._locks.look()).end()

    def clear(self) -> None:
        """Remove the entry; no error if there is none.

        Raises:
            StoreUnavailableError: As for `load`, or the keyring has not removed the entry.
            StoreContentError: The entry holds something else than a token. It is left as it was.
        """
        with self._access():
            if self._load() is not None:
                self._remove()
            self._pause_at(self._locks.look()).end()

    def load_pause(self) -> StoredPause | None:
        """Return the pause, or None if there is none.

        Raises:
            StoreUnavailableError: It cannot be read.
        """
        return self._pause_at(self._locks.look()).load()

    def save_pause(self, pause: StoredPause | None) -> None:
        """Keep *pause*; None ends it.

        Raises:
            StoreUnavailableError: It cannot be written.
        """
        self._pause_at(self._prepared()).save(pause)

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        """Hold the turn to refresh, among all threads and processes of this user.

        Waits at most *timeout* seconds to enter; 0 tries once. Not reentrant. The operating system
        frees the lock at the moment its holder dies.

        Raises:
            StoreLockTimeoutError: Another thread or process held the lock all that time.
            StoreUnavailableError: The lock file cannot be opened, or its file system has no locks.
            TokenStoreError: Others can put another file in its place.
            TypeError, ValueError: *timeout* is not a number of seconds that can be waited for.
        """
        check_timeout(timeout)
        with file_lock(self._prepared().beside(f"keyring-{self._login}.lock"), timeout):
            yield

    def _prepared(self) -> Place:
        """Return the place of the lock of all, in the folder of the others, which is there."""
        with os_errors_explained(f"cannot lock {self._locks.path}"):
            return self._locks.prepare()

    def _pause_at(self, place: Place) -> FilePause:
        return FilePause(place.beside(f"keyring-{self._login}.pause"))

    @contextmanager
    def _access(self) -> Iterator[None]:
        """Have the keyring for this thread, of all that go through a store of this kind."""
        with ExitStack() as access:
            try:
                access.enter_context(file_lock(self._prepared(), _ACCESS_TIMEOUT))
            except StoreLockTimeoutError as error:
                raise StoreUnavailableError(
                    f"another process has been using the keyring for {_ACCESS_TIMEOUT:g} s; "
                    "it may be asking for a password"
                ) from error
            yield

    def _load(self) -> Token | None:
        entry = self._ask(f"cannot read {self._called}", "get_password")
        if entry is None:
            return None
        content = self._content(entry)
        return decode(content, self._called, self._cipher, login=self._login, written_at=0)

    def _remove(self) -> None:
        problem = f"cannot remove {self._called}"
        try:
            self._ask(problem, "delete_password")
        except StoreUnavailableError:
            if self._ask(problem, "get_password") is not None:
                raise  # else another program was faster

    def _entry(self, token: Token) -> SecretText:
        content = encode(token, self._called, self._cipher, login=self._login)
        # A keyring holds text, and what a cipher returns may be none.
        return SecretText((content if self._cipher is None else base64.b64encode(content)).decode())

    def _content(self, entry: str) -> Secret:
        if self._cipher is not None:
            with suppress(ValueError):  # the cipher will refuse it
                return Secret(base64.b64decode(entry))
        return Secret(entry.encode(errors="surrogatepass"))  # half a character is no token either

    def _ask(self, problem: str, function: str, *values: str) -> str | None:
        """Call *function* of `keyring` for this entry; what it raises is explained by *problem*."""
        import keyring.errors

        try:
            answer: str | None = getattr(keyring, function)(self.service, self.account, *values)
            return None if answer is None else SecretText(answer)
        except keyring.errors.KeyringError as error:
            raise StoreUnavailableError(f"{problem}: {error}; {_ADVICE}") from alone(error)
        except Exception as error:  # backends let through what they were raised
            reason = type(error).__name__
        # Raised out here, because what was caught may carry secrets (a ParsingError lines of the
        # file) and would travel along as the context.
        raise StoreUnavailableError(f"{problem}: the keyring raised {reason}; {_ADVICE}")


def _checked(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, got {type(value).__name__}")
    if not value:
        raise ValueError(f'{name} is empty; KeyringTokenStore("reports", "alice") is an example')
    check_text(name, value)
    return value


def _folder_of_locks() -> Path:
    try:
        import keyring  # noqa: F401 - asked for here, so that its absence is told at once
        import platformdirs
    except ImportError as error:
        raise ImportError(
            "KeyringTokenStore needs the packages keyring and platformdirs: "
            'pip install "requests-tokenrefresh[keyring]"'
        ) from error
    # Of the user, and not of the session: a runtime folder is another one, or none, in a cron job.
    return platformdirs.user_state_path("requests-tokenrefresh", appauthor=False)


def _is_too_large(entry: str) -> bool:
    return _ON_WINDOWS and len(entry) > _WINDOWS_KEEPS


def _size_told(entry: str) -> str:
    if _is_too_large(entry):
        return f" ({len(entry)} characters, Windows keeps {_WINDOWS_KEEPS})"
    return ""
