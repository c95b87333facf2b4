"""What every token store promises (`TokenStore`), asked of each in turn.

Another store joins by a line in `STORES`.
"""

import pickle
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from requests_tokenrefresh._errors import StoreLockTimeoutError, TokenStoreError
from requests_tokenrefresh._token import Token
from requests_tokenrefresh.stores import FileTokenStore, MemoryTokenStore, TokenStore
from tests.support.threads import run_together, start_together

STORES: dict[str, Callable[[Path], TokenStore]] = {
    "memory": lambda folder: MemoryTokenStore(),
    "file": lambda folder: FileTokenStore(folder / "login" / "token.json"),
}

OLD = Token("old-access", refresh_token="old-refresh")
NEW = Token(
    "new-access",
    refresh_token="new-refresh",
    token_type="JWT",
    expires_at=1_700_003_600.5,
    issued_at=1_700_000_000.25,
    extra={"scope": "read write", "id_token": "é", "nested": {"list": [1, None, True]}},
)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TokenStore:
    return STORES[request.param](tmp_path)


def is_busy(store: TokenStore) -> bool:
    try:
        with store.lock(0):
            return False
    except StoreLockTimeoutError:
        return True


def on_another_thread(work: Callable[[], object]) -> object:
    [outcome] = run_together(1, work)
    return outcome.result()


def test_it_is_a_token_store(store):
    assert isinstance(store, TokenStore)
    assert isinstance(store.shared, bool)


def test_a_new_store_is_empty(store):
    assert store.load() is None


def test_the_saved_token_is_loaded_with_all_its_fields(store):
    store.save(NEW)
    loaded = store.load()
    assert loaded == NEW
    assert loaded.to_mapping() == NEW.to_mapping()


def test_what_nobody_said_about_a_token_stays_unsaid(store):
    store.save(Token("access", issued_at=1_700_000_000.0))
    loaded = store.load()
    assert (loaded.refresh_token, loaded.expires_at, dict(loaded.extra)) == (None, None, {})


def test_saving_replaces_the_token_and_its_extra_fields(store):
    store.save(NEW)
    store.save(OLD)
    assert store.load() == OLD
    assert store.load().extra == {}


def test_clearing_forgets_the_token(store):
    store.save(OLD)
    store.clear()
    assert store.load() is None


def test_clearing_an_empty_store_is_no_error(store):
    store.clear()
    store.clear()
    assert store.load() is None


def test_a_cleared_store_can_be_saved_to_again(store):
    store.save(OLD)
    store.clear()
    store.save(NEW)
    assert store.load() == NEW


def test_the_lock_can_be_held_before_anything_was_saved(store):
    with store.lock(0):
        assert is_busy(store)


def test_the_token_can_be_used_inside_the_lock(store):
    with store.lock(0):
        store.save(OLD)
        assert store.load() == OLD
        store.clear()
        assert store.load() is None


def test_the_token_can_be_read_and_written_while_another_thread_holds_the_lock(store):
    def use() -> Token | None:
        store.save(NEW)
        return store.load()

    with store.lock(0):
        assert on_another_thread(use) == NEW


def test_the_lock_excludes_another_thread(store):
    with store.lock(0):
        assert on_another_thread(lambda: is_busy(store))


def test_the_lock_is_not_reentrant(store):
    with store.lock(0):
        assert is_busy(store)


def test_the_lock_is_free_after_its_holder_left(store):
    with store.lock(0):
        pass
    assert not is_busy(store)
    assert not on_another_thread(lambda: is_busy(store))


def test_a_refused_caller_does_not_free_the_lock_of_its_holder(store):
    with store.lock(0):
        assert is_busy(store)
        assert is_busy(store)
    assert not is_busy(store)


def test_a_busy_lock_is_an_error_that_says_how_long_it_was_waited_for(store):
    store.save(OLD)
    with store.lock(0), pytest.raises(StoreLockTimeoutError, match=r"for 0\.05 s") as raised:
        store.lock(0.05).__enter__()
    assert isinstance(raised.value, requests.Timeout)
    assert isinstance(raised.value, TokenStoreError)
    assert store.load() == OLD


def test_a_waiter_enters_when_the_holder_leaves(store):
    order: list[str] = []

    def wait_for_the_lock() -> None:
        with store.lock(20):
            order.append("waiter in")

    with store.lock(0):
        waiter = start_together(1, wait_for_the_lock)
        assert on_another_thread(lambda: is_busy(store))
        order.append("holder leaves")
    waiter.outcomes()
    assert order == ["holder leaves", "waiter in"]


def test_eight_threads_take_turns_one_at_a_time(store):
    """Each turn reads a number from the store and saves the next: a lost turn shows in the sum."""
    store.save(Token("0"))

    def count() -> None:
        for _ in range(5):
            with store.lock(20):
                store.save(Token(str(int(store.load().access_token) + 1)))

    assert [outcome.error for outcome in run_together(8, count)] == [None] * 8
    assert store.load() == Token("40")


@pytest.mark.parametrize("error", [OSError("disk"), TimeoutError("late"), KeyboardInterrupt()])
def test_what_is_raised_inside_the_lock_comes_out_as_it_is_and_frees_it(store, error):
    with pytest.raises(type(error)) as raised, store.lock(0):
        raise error
    assert raised.value is error
    assert not is_busy(store)


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan"), float("inf"), 1e300])
def test_a_timeout_that_cannot_be_waited_for_is_refused(store, timeout):
    with pytest.raises(ValueError, match="timeout must be from 0"):
        store.lock(timeout).__enter__()
    assert not is_busy(store)


@pytest.mark.parametrize("timeout", [None, "5", True])
def test_a_timeout_that_is_not_a_number_is_refused(store, timeout):
    with pytest.raises(TypeError, match="timeout is a number of seconds"):
        store.lock(timeout).__enter__()
    assert not is_busy(store)


def test_each_lock_context_is_a_turn_of_its_own(store):
    first, second = store.lock(0), store.lock(0)
    with ExitStack() as turns:
        turns.enter_context(first)
        with pytest.raises(StoreLockTimeoutError):
            turns.enter_context(second)
    assert not is_busy(store)


def test_the_store_shows_no_secret(store):
    store.save(NEW)
    shown = f"{store!r} {store} {vars(store)}"
    assert "new-access" not in shown
    assert "new-refresh" not in shown


def test_a_copy_in_another_process_is_the_same_login_or_there_is_none(store):
    store.save(NEW)
    if not store.shared:
        with pytest.raises(TypeError, match=r"FileTokenStore\(path\)"):
            pickle.dumps(store)
        return
    pickled = pickle.dumps(store)
    assert b"new-" not in pickled
    copy = pickle.loads(pickled)
    assert copy.load() == NEW
    with store.lock(0):
        assert is_busy(copy)
    copy.clear()
    assert store.load() is None
