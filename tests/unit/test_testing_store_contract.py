"""`TokenStoreContract` finds what a store gets wrong, and tells people who did not write it."""

import fcntl
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    StoreContentError,
    StoreLockLostError,
    StoreLockTimeoutError,
    Token,
    TokenStore,
)
from requests_tokenrefresh.testing import TokenStoreContract
from requests_tokenrefresh.testing._processes import OtherProcess
from tests.support.new_processes import new_processes

ROOT = Path(__file__).parents[2]


class WritesInPlace(FileTokenStore):
    def save(self, token):
        super().save(token)
        content = self.path.read_bytes()
        self.path.write_bytes(content[:20])
        time.sleep(0.005)
        self.path.write_bytes(content)


class RemembersWhatItLoaded(FileTokenStore):
    _loaded = None

    def load(self):
        self._loaded = self._loaded or super().load()
        return self._loaded


class PicklesTheToken(FileTokenStore):
    def __reduce__(self):
        return type(self), (self.path,), {"token": self.load()}


class ShowsTheToken(FileTokenStore):
    def __repr__(self):
        return self.path.read_text()


class DropsExtraFields(FileTokenStore):
    def save(self, token):
        super().save(Token(token.access_token, token.refresh_token, issued_at=token.issued_at))


class CannotClearNothing(FileTokenStore):
    def clear(self):
        self.path.unlink()


class LocksNobodyOut(FileTokenStore):
    def lock(self, timeout):
        return nullcontext()


class LocksItsOwnThreadsOnly(FileTokenStore):
    @contextmanager
    def lock(self, timeout):
        turn = vars(self).setdefault("turn", threading.Lock())
        if not turn.acquire(timeout=timeout):
            raise StoreLockTimeoutError("busy")
        yield
        turn.release()


class LetsItsHolderInAgain(FileTokenStore):
    _holder = None

    @contextmanager
    def lock(self, timeout):
        if self._holder == threading.get_ident():
            yield
            return
        with super().lock(timeout):
            self._holder = threading.get_ident()
            yield
            self._holder = None


class KeepsTheLockOfAFailure(LocksItsOwnThreadsOnly):
    """As its base does, for want of a `finally`."""


class HidesWhatIsRaised(FileTokenStore):
    @contextmanager
    def lock(self, timeout):
        with super().lock(timeout), suppress(OSError):
            yield


class DoesNotWait(FileTokenStore):
    def lock(self, timeout):
        return super().lock(0)


class LocksByAFileThatIsThere(FileTokenStore):
    @contextmanager
    def lock(self, timeout):
        held = self.path.with_suffix(".held")
        try:
            held.touch(exist_ok=False)
        except FileExistsError:
            raise StoreLockTimeoutError("busy") from None
        yield
        held.unlink()


class LosesItsLease(FileTokenStore):
    turn = threading.Lock()

    @contextmanager
    def lock(self, timeout):
        if not self.turn.acquire(timeout=timeout):
            raise StoreLockTimeoutError("busy")
        lease = threading.Timer(0.02, self.turn.release)
        lease.start()
        yield
        lease.join()


class FreesTheLockInAFork(FileTokenStore):
    @contextmanager
    def lock(self, timeout):
        with self.path.with_suffix(".held").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreLockTimeoutError("busy") from None
            yield
            fcntl.flock(file, fcntl.LOCK_UN)


class IgnoresALoginDuringATurn(FileTokenStore):
    def save(self, token):
        with suppress(StoreLockTimeoutError), self.lock(0):
            super().save(token)


class TakesRubbishForNothing(FileTokenStore):
    def load(self):
        try:
            return super().load()
        except StoreContentError:
            return None


class TellsTheRubbishByItsCause(FileTokenStore):
    def load(self):
        try:
            return json.loads(self.path.read_bytes()) and super().load()
        except json.JSONDecodeError as error:  # which has the document
            raise StoreContentError("this is not a token") from error


class OverwritesRubbish(FileTokenStore):
    def save(self, token):
        self.path.unlink(missing_ok=True)
        super().save(token)


@contextmanager
def other_process(store: TokenStore) -> Iterator[OtherProcess]:
    process = OtherProcess(store, new_processes())
    yield process
    process.end()


def put_into(store: FileTokenStore) -> Callable[[bytes], object]:
    def put(content: bytes) -> None:
        store.path.touch(0o600)
        store.path.write_bytes(content)

    return put


def meets_rubbish(
    contract: TokenStoreContract, store: FileTokenStore, operation: str, rubbish: bytes = b"null"
) -> None:
    contract.test_what_is_not_a_token_is_an_error_and_is_left_as_it_was(
        store, put_into(store), operation, rubbish
    )


def loses_a_process(contract: TokenStoreContract, store: TokenStore) -> None:
    with other_process(store) as process:
        contract.test_the_lock_of_a_killed_process_is_free_within_the_bound(store, process)


def forks(contract: TokenStoreContract, store: TokenStore) -> None:
    with other_process(store) as process:
        contract.test_a_fork_of_the_holder_does_not_hold_the_lock_and_cannot_free_it(store, process)


OF = TokenStoreContract
FOUND_BY: dict[type[FileTokenStore], Callable[..., object]] = {
    WritesInPlace: lambda c, s: c.test_a_reader_never_sees_half_a_token(s, s),
    RemembersWhatItLoaded: lambda c, s: c.test_two_objects_for_one_place_see_the_same(
        s, FileTokenStore(s.path)
    ),
    PicklesTheToken: OF.test_a_shared_store_pickles_without_the_token_and_others_refuse,
    ShowsTheToken: OF.test_the_store_shows_no_secret,
    DropsExtraFields: OF.test_the_saved_token_is_loaded_with_all_its_fields,
    CannotClearNothing: OF.test_clearing_an_empty_store_is_no_error,
    LocksNobodyOut: OF.test_the_lock_excludes_another_thread,
    LocksItsOwnThreadsOnly: lambda c, s: c.test_the_lock_excludes_another_object_for_the_same_place(
        s, type(s)(s.path)
    ),
    LetsItsHolderInAgain: OF.test_the_lock_is_not_reentrant,
    KeepsTheLockOfAFailure: lambda c, s: (
        c.test_what_is_raised_inside_the_lock_comes_out_as_it_is_and_frees_it(s, TimeoutError)
    ),
    HidesWhatIsRaised: lambda c, s: (
        c.test_what_is_raised_inside_the_lock_comes_out_as_it_is_and_frees_it(s, OSError)
    ),
    DoesNotWait: lambda c, s: c.test_a_busy_lock_is_waited_for_as_long_as_was_said(s, 0.05),
    LocksByAFileThatIsThere: loses_a_process,
    LosesItsLease: lambda c, s: c.test_the_lock_of_a_holder_that_lives_is_kept_beyond_the_bound(
        s, s
    ),
    FreesTheLockInAFork: forks,
    IgnoresALoginDuringATurn: lambda c, s: (
        c.test_a_save_from_outside_a_turn_replaces_and_the_turn_may_be_refused(s, s)
    ),
    TakesRubbishForNothing: lambda c, s: meets_rubbish(c, s, "load"),
    TellsTheRubbishByItsCause: lambda c, s: meets_rubbish(c, s, "load", b'{"a": "secret"'),
    OverwritesRubbish: lambda c, s: meets_rubbish(c, s, "save"),
}


@pytest.fixture
def contract(monkeypatch: pytest.MonkeyPatch) -> TokenStoreContract:
    monkeypatch.setattr(TokenStoreContract, "lock_is_free_within", 0.1)
    return TokenStoreContract()


@pytest.mark.parametrize("wrong", FOUND_BY, ids=lambda wrong: wrong.__name__)
def test_what_a_store_gets_wrong_is_found(contract, tmp_path, wrong):
    """By a test that a store without that fault passes."""
    (tmp_path / "right").mkdir()
    (tmp_path / "wrong").mkdir()
    test = FOUND_BY[wrong]
    test(contract, FileTokenStore(tmp_path / "right" / "token.json"))
    with pytest.raises((Exception, pytest.fail.Exception)):
        test(contract, wrong(tmp_path / "wrong" / "token.json"))


def test_what_a_store_raises_on_another_thread_shows_where(contract, tmp_path):
    store = WritesInPlace(tmp_path / "token.json")
    with pytest.raises(StoreContentError):
        contract.test_a_reader_never_sees_half_a_token(store, store)


class RefusesASupersededTurn(FileTokenStore):
    """Nothing wrong with that: the token has changed since the turn began."""

    _holder = None

    @contextmanager
    def lock(self, timeout):
        with super().lock(timeout):
            self._holder, self._found = threading.get_ident(), self.load()
            yield
            self._holder = None

    def save(self, token):
        if self._holder == threading.get_ident() and self.load() != self._found:
            raise StoreLockLostError("somebody else has logged in or out")
        super().save(token)


@pytest.mark.parametrize(
    "test",
    [
        OF.test_a_save_from_outside_a_turn_replaces_and_the_turn_may_be_refused,
        OF.test_a_clear_from_outside_a_turn_clears_and_the_turn_may_be_refused,
    ],
)
def test_a_store_may_refuse_a_turn_that_was_superseded(contract, tmp_path, test):
    store = RefusesASupersededTurn(tmp_path / "token.json")
    test(contract, store, store)


class DiesInAnotherProcess(FileTokenStore):
    def __reduce__(self):
        return sys.exit, (0,)


class RaisesInAnotherProcess(FileTokenStore):
    def load(self):
        return {}["no such key"]


def test_another_process_that_dies_is_told(tmp_path):
    with other_process(DiesInAnotherProcess(tmp_path / "token.json")) as process:
        for _ in range(2):  # it may still be starting, or be gone
            with pytest.raises(AssertionError, match="the other process has died"):
                process.do("load")


def test_what_is_raised_in_another_process_shows_where(tmp_path):
    with other_process(RaisesInAnotherProcess(tmp_path / "token.json")) as process:
        with pytest.raises(KeyError) as raised:
            process.do("load")
        with pytest.raises(KeyError):
            process.do("fork", "load")
    assert 'return {}["no such key"]' in str(raised.value.__cause__)


def test_another_process_that_hangs_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("requests_tokenrefresh.testing._processes._PATIENCE", 0.5)
    monkeypatch.setattr("requests_tokenrefresh.testing._processes._PATIENCE_WITH_EXIT", 0.0)
    store = FileTokenStore(tmp_path / "token.json")
    with (
        store.lock(0),
        other_process(store) as process,
        pytest.raises(AssertionError, match="'enter' in time"),
    ):
        process.do("enter", 60)


OUTSIDERS = """
import pytest
from requests_tokenrefresh import MemoryTokenStore, Token
from requests_tokenrefresh.testing import TokenStoreContract

class Forgetful(MemoryTokenStore):
    def save(self, token):
        pass

class TestForgetful(TokenStoreContract):
    @pytest.fixture
    def store(self):
        return Forgetful()

class TestNothing(TokenStoreContract):
    pass
"""


@pytest.mark.long("stores")
def test_an_outsider_reads_what_is_wrong_and_what_was_not_asked(tmp_path):
    (tmp_path / "test_outsiders.py").write_text(OUTSIDERS)
    asked = (
        "test_a_cleared_store_can_be_saved_to_again or TestForgetful and ("
        "another_process_sees or null-load or a_dead_backend and load)"
    )
    arguments = ["-p", "no:cacheprovider", "-rs", "-k", asked]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, f"--rootdir={tmp_path}", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "AssertionError: assert None == Token(" in done.stdout
    assert "where None = load()" in done.stdout
    assert "TestNothing needs a fixture `store` that returns an empty store" in done.stdout
    assert "1 failed" in done.stdout
    assert "1 error" in done.stdout
    assert "new-access" not in done.stdout.replace('"new-access', "")
    assert "no fixture `corrupt`: a function that puts bytes in the place of" in done.stdout
    assert "no fixture `outage`: a context manager inside which the backend is" in done.stdout
    assert "the store is not shared with other processes" in done.stdout


def test_without_pytest_it_says_what_to_install():
    code = "import sys; sys.modules['pytest'] = None; import requests_tokenrefresh.testing"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "requests_tokenrefresh.testing needs pytest: pip install pytest" in done.stderr
