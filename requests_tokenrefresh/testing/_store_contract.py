"""`TokenStoreContract`: what `TokenStore` promises, as tests."""

# ruff: noqa: S101, S301 - these are tests, and what they unpickle they have just pickled

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import ClassVar

import pytest
import requests

from .. import (
    StoreContentError,
    StoreLockLostError,
    StoreLockTimeoutError,
    StoreUnavailableError,
    Token,
    TokenStore,
    TokenStoreError,
)
from ._contract_terms import (
    NEW,
    NEWER,
    OLD,
    OPERATIONS,
    PATIENCE,
    all_said,
    is_busy,
    on_another_thread,
)
from ._optional_contract import OptionalContract
from ._processes import OtherProcess
from ._threads import run_together, start_together


class TokenStoreContract(OptionalContract):
    """The tests that a token store has to pass. Derive a class from it, in a file of tests, whose
    fixture `store` returns the store::

        class TestMyStore(TokenStoreContract):
            @pytest.fixture
            def store(self, tmp_path):
                return MyStore(tmp_path)

    What more a store can do is tested if it has the methods of `ChecksSaving` or `KeepsPause`; and
    more is tested if the class has these fixtures as well:

    ``corrupt``
        A function that puts *content*, bytes of ASCII, where the store keeps its token. Tests that
        what is not a token is a `StoreContentError`, and stays.
    ``outage``
        A context manager inside which the backend cannot be used: a server is down, a folder is
        not there. Tests that this is a `StoreUnavailableError`, and that the store goes on
        afterwards.
    ``other``
        A second store object that opens the same place as `store`; by default a pickled copy.
        Override it if it has to be closed after the test.

    Attributes:
        lock_is_free_within: Seconds until the lock of a killed process can be had. A store whose
            lock is a lease is best given a short one in the tests: that long they wait.
    """

    lock_is_free_within: ClassVar[float] = 5.0

    # What the store is, and where

    @pytest.fixture
    def store(self) -> TokenStore:
        """Return an empty store, at a place of its own."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture `store` that returns an empty store"
        )

    @pytest.fixture
    def other(self, store: TokenStore) -> TokenStore:
        """Return another object for the same place; the store itself if it is not shared."""
        return pickle.loads(pickle.dumps(store)) if store.shared else store  # nosec B301  # its own

    @pytest.fixture
    def corrupt(self) -> Callable[[bytes], object]:
        pytest.skip("no fixture `corrupt`: a function that puts bytes in the place of the token")

    @pytest.fixture
    def outage(self) -> AbstractContextManager[object]:
        pytest.skip("no fixture `outage`: a context manager inside which the backend is dead")

    @pytest.fixture
    def other_process(self, store: TokenStore) -> Iterator[OtherProcess]:
        if not store.shared:
            pytest.skip("the store is not shared with other processes")
        process = OtherProcess(store)
        yield process
        process.end()

    # The token

    def test_it_is_a_token_store(self, store: TokenStore) -> None:
        assert isinstance(store, TokenStore)
        assert isinstance(store.shared, bool)

    def test_a_new_store_is_empty(self, store: TokenStore) -> None:
        assert store.load() is None

    def test_the_saved_token_is_loaded_with_all_its_fields(self, store: TokenStore) -> None:
        store.save(NEW)
        loaded = store.load()
        assert loaded == NEW
        assert loaded.to_mapping() == NEW.to_mapping()

    def test_what_nobody_said_about_a_token_stays_unsaid(self, store: TokenStore) -> None:
        store.save(Token("access", issued_at=1_700_000_000.0))
        loaded = store.load()
        assert loaded is not None
        assert (loaded.refresh_token, loaded.expires_at, dict(loaded.extra)) == (None, None, {})

    @pytest.mark.parametrize("kibibytes", [1, 100])
    def test_a_token_may_be_large(self, store: TokenStore, kibibytes: int) -> None:
        id_token = "e" * kibibytes * 1024
        store.save(Token("access", extra={"id_token": id_token}))
        loaded = store.load()
        assert loaded is not None
        assert loaded.extra == {"id_token": id_token}

    def test_saving_replaces_the_token_and_its_extra_fields(self, store: TokenStore) -> None:
        store.save(NEW)
        store.save(OLD)
        loaded = store.load()
        assert loaded == OLD
        assert loaded.to_mapping() == OLD.to_mapping()

    def test_clearing_forgets_the_token(self, store: TokenStore) -> None:
        store.save(OLD)
        store.clear()
        assert store.load() is None

    def test_clearing_an_empty_store_is_no_error(self, store: TokenStore) -> None:
        store.clear()
        store.clear()
        assert store.load() is None

    def test_a_cleared_store_can_be_saved_to_again(self, store: TokenStore) -> None:
        store.save(OLD)
        store.clear()
        store.save(NEW)
        assert store.load() == NEW

    def test_two_objects_for_one_place_see_the_same(
        self, store: TokenStore, other: TokenStore
    ) -> None:
        store.save(OLD)
        assert (store.load(), other.load()) == (OLD, OLD)
        other.save(NEW)
        assert (store.load(), other.load()) == (NEW, NEW)
        store.clear()
        assert (store.load(), other.load()) == (None, None)

    def test_a_reader_never_sees_half_a_token(self, store: TokenStore, other: TokenStore) -> None:
        """One thread replaces tokens of very different sizes under the eyes of three readers."""
        sizes = (1, 1_000, 60_000)
        store.save(Token("a", refresh_token="a"))
        written = threading.Event()
        places = iter(range(4))

        def write() -> None:
            for size in sizes * 8:
                store.save(Token("a" * size, refresh_token="a" * size))
            written.set()

        def read() -> None:
            while not written.is_set():
                seen = other.load()
                assert seen is not None
                assert len(seen.access_token) in sizes
                assert seen.refresh_token == seen.access_token

        for outcome in run_together(4, lambda: read() if next(places) else write(), PATIENCE):
            outcome.result()

    # The lock

    def test_the_lock_can_be_held_before_anything_was_saved(self, store: TokenStore) -> None:
        with store.lock(0):
            assert is_busy(store)

    def test_the_token_can_be_used_inside_the_lock(self, store: TokenStore) -> None:
        with store.lock(0):
            store.save(OLD)
            assert store.load() == OLD
            store.clear()
            assert store.load() is None
            store.save(NEW)
        assert store.load() == NEW

    def test_the_token_can_be_used_while_another_thread_holds_the_lock(
        self, store: TokenStore
    ) -> None:
        def use() -> Token | None:
            store.clear()
            store.save(NEW)
            return store.load()

        with store.lock(0):
            assert on_another_thread(use) == NEW

    def test_the_lock_excludes_another_thread(self, store: TokenStore) -> None:
        with store.lock(0):
            assert on_another_thread(lambda: is_busy(store))

    def test_the_lock_excludes_another_object_for_the_same_place(
        self, store: TokenStore, other: TokenStore
    ) -> None:
        with store.lock(0):
            assert is_busy(other)
        with other.lock(0):
            assert is_busy(store)

    def test_the_lock_is_not_reentrant(self, store: TokenStore) -> None:
        with store.lock(0):
            assert is_busy(store)

    def test_each_lock_context_is_a_turn_of_its_own(self, store: TokenStore) -> None:
        first, second = store.lock(0), store.lock(0)
        with ExitStack() as turns:
            turns.enter_context(first)
            with pytest.raises(StoreLockTimeoutError):
                turns.enter_context(second)
        assert not is_busy(store)

    def test_the_lock_is_free_after_its_holder_left(self, store: TokenStore) -> None:
        with store.lock(0):
            pass
        assert not is_busy(store)
        assert not on_another_thread(lambda: is_busy(store))

    def test_a_refused_caller_does_not_free_the_lock_of_its_holder(self, store: TokenStore) -> None:
        with store.lock(0):
            assert is_busy(store)
            assert is_busy(store)
        assert not is_busy(store)

    @pytest.mark.parametrize("timeout", [0, 0.05])
    def test_a_busy_lock_is_waited_for_as_long_as_was_said(
        self, store: TokenStore, timeout: float
    ) -> None:
        store.save(OLD)
        with store.lock(0):
            begin = time.monotonic()
            with pytest.raises(StoreLockTimeoutError) as raised:
                store.lock(timeout).__enter__()
            waited = time.monotonic() - begin
        assert timeout * 0.9 <= waited < timeout + 5  # clocks are coarse, and machines busy
        assert isinstance(raised.value, requests.Timeout)
        assert store.load() == OLD

    def test_a_waiter_enters_when_the_holder_leaves(self, store: TokenStore) -> None:
        order: list[str] = []

        def wait_for_the_lock() -> None:
            with store.lock(PATIENCE):
                order.append("waiter in")

        with store.lock(0):
            waiter = start_together(1, wait_for_the_lock)
            with pytest.raises(StoreLockTimeoutError):
                store.lock(0.05).__enter__()  # by now the waiter waits as well
            order.append("holder leaves")
        waiter.outcomes(PATIENCE)[0].result()
        assert order == ["holder leaves", "waiter in"]

    def test_eight_threads_take_turns_one_at_a_time(
        self, store: TokenStore, other: TokenStore
    ) -> None:
        """Each turn reads a number from the store and saves the next: a lost turn shows in the
        sum."""
        store.save(Token("0"))
        stores = iter([store, other] * 4)

        def count() -> None:
            mine = next(stores)
            for _ in range(5):
                with mine.lock(PATIENCE):
                    loaded = mine.load()
                    assert loaded is not None
                    mine.save(Token(str(int(loaded.access_token) + 1)))

        for outcome in run_together(8, count, PATIENCE):
            outcome.result()
        assert store.load() == Token("40")

    @pytest.mark.parametrize("kind", [OSError, TimeoutError, KeyboardInterrupt])
    def test_what_is_raised_inside_the_lock_comes_out_as_it_is_and_frees_it(
        self, store: TokenStore, kind: type[BaseException]
    ) -> None:
        error = kind("raised inside the lock")
        with pytest.raises(kind) as raised, store.lock(0):
            raise error
        assert raised.value is error
        assert not is_busy(store)

    @pytest.mark.parametrize("timeout", [-1, -0.001, float("nan"), float("inf"), 1e300])
    def test_a_timeout_that_cannot_be_waited_for_is_refused(
        self, store: TokenStore, timeout: float
    ) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - the words are the store's own
            store.lock(timeout).__enter__()
        assert not is_busy(store)

    @pytest.mark.parametrize("timeout", [None, "5"])
    def test_a_timeout_that_is_not_a_number_is_refused(
        self, store: TokenStore, timeout: float
    ) -> None:
        with pytest.raises(TypeError):
            store.lock(timeout).__enter__()
        assert not is_busy(store)

    # A turn that somebody outside it gets in the way of

    def test_a_save_from_outside_a_turn_replaces_and_the_turn_may_be_refused(
        self, store: TokenStore, other: TokenStore
    ) -> None:
        store.save(OLD)
        with store.lock(0):
            on_another_thread(lambda: other.save(NEWER))
            assert store.load() == NEWER
            try:
                store.save(NEW)
            except StoreLockLostError:
                assert store.load() == NEWER
            else:
                assert store.load() == NEW

    def test_a_clear_from_outside_a_turn_clears_and_the_turn_may_be_refused(
        self, store: TokenStore, other: TokenStore
    ) -> None:
        store.save(OLD)
        with store.lock(0):
            on_another_thread(other.clear)
            assert store.load() is None
            try:
                store.save(NEW)
            except StoreLockLostError:
                assert store.load() is None
            else:
                assert store.load() == NEW

    def test_the_next_turn_is_not_refused_for_the_last_one(self, store: TokenStore) -> None:
        with store.lock(0):
            on_another_thread(lambda: store.save(NEWER))
        with store.lock(0):
            assert store.load() == NEWER
            store.save(NEW)
        assert store.load() == NEW

    # Secrets

    def test_the_store_shows_no_secret(self, store: TokenStore) -> None:
        store.save(NEW)
        shown = f"{store!r} {store} {getattr(store, '__dict__', None)}"
        assert "new-access" not in shown
        assert "new-refresh" not in shown

    def test_a_shared_store_pickles_without_the_token_and_others_refuse(
        self, store: TokenStore
    ) -> None:
        store.save(NEW)
        if store.shared:
            pickled = pickle.dumps(store)
            assert b"new-access" not in pickled
            assert b"new-refresh" not in pickled
        else:
            with pytest.raises(TypeError):
                pickle.dumps(store)

    # Other processes

    def test_another_process_sees_the_same(
        self, store: TokenStore, other_process: OtherProcess
    ) -> None:
        store.save(OLD)
        assert other_process.do("load") == OLD
        other_process.do("save", NEW)
        assert store.load() == NEW
        store.clear()
        assert other_process.do("load") is None
        store.save(NEW)
        other_process.do("clear")
        assert store.load() is None

    def test_the_lock_excludes_another_process_until_its_holder_leaves(
        self, store: TokenStore, other_process: OtherProcess
    ) -> None:
        with store.lock(0), pytest.raises(StoreLockTimeoutError):
            other_process.do("enter", 0)
        other_process.do("enter", 0)
        assert is_busy(store)
        other_process.do("leave")
        assert not is_busy(store)

    def test_the_lock_of_a_killed_process_is_free_within_the_bound(
        self, store: TokenStore, other_process: OtherProcess
    ) -> None:
        other_process.do("enter", 0)
        other_process.do("save", NEW)
        assert is_busy(store)
        other_process.kill()
        with store.lock(self.lock_is_free_within):
            assert store.load() == NEW
            store.save(NEWER)
        assert store.load() == NEWER

    def test_the_lock_of_a_holder_that_lives_is_kept_beyond_the_bound(
        self, store: TokenStore, other: TokenStore
    ) -> None:
        with store.lock(0):
            with pytest.raises(StoreLockTimeoutError):
                other.lock(self.lock_is_free_within + 0.1).__enter__()
            store.save(NEW)
        assert other.load() == NEW

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    def test_a_fork_of_the_holder_does_not_hold_the_lock_and_cannot_free_it(
        self, store: TokenStore, other_process: OtherProcess
    ) -> None:
        store.save(OLD)
        other_process.do("enter", 0)
        assert other_process.do("fork", "load") == OLD
        with pytest.raises(StoreLockTimeoutError):
            other_process.do("fork", "enter", 0)
        other_process.do("fork", "leave")
        assert is_busy(store)
        other_process.do("save", NEW)
        other_process.do("leave")
        assert not is_busy(store)
        assert store.load() == NEW

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    def test_a_fork_of_a_process_that_has_used_the_store_uses_it_too(
        self, store: TokenStore, other_process: OtherProcess
    ) -> None:
        other_process.do("save_in_a_turn", OLD)
        other_process.do("fork", "save_in_a_turn", NEW)
        assert other_process.do("load") == NEW
        other_process.do("save_in_a_turn", NEWER)
        assert other_process.do("fork", "load") == NEWER

    # When something is wrong with the place

    @pytest.mark.parametrize("operation", ["load", "save", "clear"])
    @pytest.mark.parametrize(
        "content",
        [b'{"access_token": "secret-access", "refresh_tok', b'{"error": "secret"}', b"null"],
        ids=["half a token", "an error reply", "null"],
    )
    def test_what_is_not_a_token_is_an_error_and_is_left_as_it_was(
        self,
        store: TokenStore,
        corrupt: Callable[[bytes], object],
        operation: str,
        content: bytes,
    ) -> None:
        corrupt(content)
        with pytest.raises(StoreContentError) as raised:
            OPERATIONS[operation](store)
        assert "secret" not in all_said(raised.value)
        with pytest.raises(StoreContentError):
            store.load()

    def test_the_lock_can_be_held_though_there_is_no_token(
        self, store: TokenStore, corrupt: Callable[[bytes], object]
    ) -> None:
        corrupt(b"null")
        with store.lock(0):
            assert is_busy(store)

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_dead_backend_is_an_error_and_the_token_is_there_afterwards(
        self,
        store: TokenStore,
        outage: AbstractContextManager[object],
        operation: str,
    ) -> None:
        store.save(OLD)
        with outage, pytest.raises(StoreUnavailableError) as raised:
            OPERATIONS[operation](store)
        assert isinstance(raised.value, TokenStoreError)
        assert store.load() == OLD
        assert not is_busy(store)
