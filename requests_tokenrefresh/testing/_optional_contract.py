"""`OptionalContract`: what `ChecksSaving` and `KeepsPause` promise, as tests."""

# ruff: noqa: S101 - these are tests

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, suppress

import pytest

from .. import (
    ChecksSaving,
    KeepsPause,
    StoredPause,
    StoreLockLostError,
    StoreUnavailableError,
    TokenStore,
)
from ._contract_terms import NEW, NEWER, OLD, OPERATIONS, PATIENCE, on_another_thread
from ._processes import OtherProcess
from ._threads import run_together

PAUSE = StoredPause(1_700_000_000.125, 2.5, 3)


class OptionalContract:
    """The tests of what a store need not be able to do, skipped for one that says it is not."""

    @pytest.fixture
    def checking(self, store: TokenStore) -> ChecksSaving:
        """Return `store`, if it can tell beforehand whether a token can be saved."""
        if not isinstance(store, ChecksSaving):
            pytest.skip("the store does not tell beforehand whether a token can be saved")
        return store

    @pytest.fixture
    def pausing(self, store: TokenStore) -> KeepsPause:
        """Return `store`, if it keeps a pause."""
        if not isinstance(store, KeepsPause):
            pytest.skip("the store keeps no pause")
        return store

    # Whether a token can be saved

    def test_where_a_token_can_be_saved_nothing_changes(
        self, store: TokenStore, checking: ChecksSaving, other: TokenStore
    ) -> None:
        checking.ensure_can_save()
        assert other.load() is None
        store.save(OLD)
        checking.ensure_can_save()
        assert other.load() == OLD
        store.clear()
        checking.ensure_can_save()
        assert other.load() is None

    def test_a_turn_can_save_after_it_has_made_sure(
        self, store: TokenStore, checking: ChecksSaving, other: TokenStore
    ) -> None:
        for token in (OLD, NEW):
            with store.lock(0):
                store.load()
                checking.ensure_can_save()
                checking.ensure_can_save()
                store.save(token)
            assert other.load() == token

    def test_a_turn_that_has_made_sure_need_not_save(
        self, store: TokenStore, checking: ChecksSaving, other: TokenStore
    ) -> None:
        store.save(OLD)
        with store.lock(0):
            checking.ensure_can_save()
        assert other.load() == OLD
        other.save(NEW)
        assert store.load() == NEW

    def test_a_turn_that_others_have_got_in_the_way_of_may_be_told_so_beforehand(
        self, store: TokenStore, checking: ChecksSaving, other: TokenStore
    ) -> None:
        store.save(OLD)
        with store.lock(0):
            store.load()
            on_another_thread(lambda: other.save(NEWER))
            with suppress(StoreLockLostError):
                checking.ensure_can_save()
            assert store.load() == NEWER

    def test_others_see_nothing_of_its_making_sure(
        self, store: TokenStore, checking: ChecksSaving, other: TokenStore
    ) -> None:
        store.save(OLD)
        sure = threading.Event()
        places = iter(range(2))

        def make_sure() -> None:
            try:
                for _ in range(20):
                    checking.ensure_can_save()
            finally:
                sure.set()

        def read() -> None:
            while not sure.is_set():
                assert other.load() == OLD

        for outcome in run_together(2, lambda: read() if next(places) else make_sure(), PATIENCE):
            outcome.result()

    def test_a_dead_backend_cannot_be_saved_to(
        self, store: TokenStore, checking: ChecksSaving, outage: AbstractContextManager[object]
    ) -> None:
        store.save(OLD)
        with outage, pytest.raises(StoreUnavailableError):
            checking.ensure_can_save()
        checking.ensure_can_save()
        assert store.load() == OLD

    # A pause

    def test_a_new_store_has_no_pause(self, pausing: KeepsPause) -> None:
        assert pausing.load_pause() is None

    def test_a_pause_is_kept_until_another_takes_its_place(
        self, pausing: KeepsPause, other: KeepsPause
    ) -> None:
        for pause in (
            PAUSE,
            StoredPause(1_700_000_060, 60, 12),
            StoredPause(1_700_000_001.5, 0.0, 0),
        ):
            pausing.save_pause(pause)
            assert (pausing.load_pause(), other.load_pause()) == (pause, pause)
        pausing.save_pause(None)
        assert (pausing.load_pause(), other.load_pause()) == (None, None)
        pausing.save_pause(None)
        assert other.load_pause() is None

    def test_a_pause_leaves_the_token_as_it_is(
        self, store: TokenStore, pausing: KeepsPause, other: TokenStore
    ) -> None:
        pausing.save_pause(PAUSE)
        assert (store.load(), other.load()) == (None, None)
        store.save(NEW)
        pausing.save_pause(PAUSE)
        assert (store.load(), other.load()) == (NEW, NEW)

    @pytest.mark.parametrize("operation", ["save", "clear"])
    def test_whoever_logs_in_or_out_ends_the_pause(
        self, store: TokenStore, pausing: KeepsPause, other: KeepsPause, operation: str
    ) -> None:
        store.save(OLD)
        pausing.save_pause(PAUSE)
        OPERATIONS[operation](store)
        assert (pausing.load_pause(), other.load_pause()) == (None, None)

    def test_a_turn_that_keeps_a_pause_can_save(
        self, store: TokenStore, pausing: KeepsPause, other: TokenStore
    ) -> None:
        for token in (OLD, NEW):
            with store.lock(0):
                store.load()
                pausing.save_pause(PAUSE)
                assert pausing.load_pause() == PAUSE
                store.save(token)
            assert (other.load(), pausing.load_pause()) == (token, None)

    def test_a_pause_that_is_kept_outside_a_turn_does_not_get_in_its_way(
        self, store: TokenStore, pausing: KeepsPause, other: KeepsPause
    ) -> None:
        store.save(OLD)
        with store.lock(0):
            store.load()
            on_another_thread(lambda: other.save_pause(PAUSE))
            assert pausing.load_pause() == PAUSE
            store.save(NEW)
        assert store.load() == NEW

    def test_another_process_sees_the_pause(
        self, pausing: KeepsPause, other_process: OtherProcess
    ) -> None:
        pausing.save_pause(PAUSE)
        assert other_process.do("load_pause") == PAUSE
        other_process.do("save_pause", None)
        assert pausing.load_pause() is None

    @pytest.mark.parametrize("pause", [None, StoredPause(1_700_000_060.0, 1.25, 4)])
    def test_a_dead_backend_keeps_no_pause(
        self,
        pausing: KeepsPause,
        store: TokenStore,
        outage: AbstractContextManager[object],
        pause: StoredPause | None,
    ) -> None:
        store.save(OLD)
        pausing.save_pause(PAUSE)
        with outage:
            with pytest.raises(StoreUnavailableError):
                pausing.load_pause()
            with pytest.raises(StoreUnavailableError):
                pausing.save_pause(pause)
        assert pausing.load_pause() == PAUSE
