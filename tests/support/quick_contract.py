"""The contract of a token store, with other processes that start in milliseconds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from requests_tokenrefresh import (
    RefreshFailedError,
    StoredPause,
    Token,
    TokenSource,
    TokenStore,
    TokenStoreError,
)
from requests_tokenrefresh.testing import TokenStoreContract
from requests_tokenrefresh.testing._processes import OtherProcess
from tests.support.logins import ORIGIN, Refresher
from tests.support.new_processes import new_processes
from tests.support.tracebacks import shown_by_tools

SECRET = "s3cret-of-the-login"
TOKEN = Token(SECRET, SECRET, extra={"id_token": SECRET})


def _save_in_a_turn(store: TokenStore) -> None:
    with store.lock(0):
        store.save(TOKEN)


def _request(store: TokenStore) -> None:
    TokenSource(Refresher(RefreshFailedError("no")), origins=[ORIGIN], store=store).token()


OPERATIONS: list[Callable[[TokenStore], object]] = [
    lambda store: store.load(),
    lambda store: store.save(TOKEN),
    lambda store: store.save(Token(SECRET, extra={"no JSON": object()})),
    lambda store: store.clear(),
    lambda store: getattr(store, "ensure_can_save", int)(),
    lambda store: getattr(store, "load_pause", int)(),
    lambda store: getattr(store, "save_pause", str)(StoredPause(1.0, 2.0, 3)),
    _save_in_a_turn,
    _request,
]


def _shown(store: TokenStore) -> str:
    """Return all that tools show of the errors of all operations."""
    shown = []
    for operate in OPERATIONS:
        try:
            operate(store)
        except TokenStoreError as error:
            shown.append(shown_by_tools(error))
    assert len(shown) > 3
    return "\n".join(shown)


class QuickContract(TokenStoreContract):
    """Also what stores of ours promise beside it: tools that record the variables of a traceback
    are not shown what is stored, nor what is to be."""

    @pytest.fixture
    def other_process(self, store: TokenStore) -> Iterator[OtherProcess]:
        process = OtherProcess(store, new_processes())
        yield process
        process.end()

    @pytest.mark.parametrize(
        "content",
        [
            f'{{"access_token": "{SECRET}", "refresh_tok',
            f'{{"access_token": "a", "refresh_token": ["{SECRET}"]}}',
            f'{{"error": "{SECRET}"}}',
            f'"{SECRET}"',
            SECRET * 100_000,
        ],
        ids=["half", "a list", "an error", "a string", "too large"],
    )
    def test_no_variable_shows_what_is_stored(
        self, store: TokenStore, corrupt: Callable[[bytes], object], content: str
    ) -> None:
        corrupt(content.encode())
        assert SECRET not in _shown(store)

    def test_no_variable_shows_what_cannot_be_stored(
        self, store: TokenStore, outage: AbstractContextManager[object]
    ) -> None:
        store.save(TOKEN)
        with outage:
            assert SECRET not in _shown(store)


def without(*fixtures: str) -> Callable[[type], type]:
    """Leave tests with these fixtures out of a class, as what they are about is not offered."""

    def leave_out(contract: type) -> type:
        for name, test in inspect.getmembers(contract, inspect.isfunction):
            asked_for = inspect.signature(test).parameters.keys()
            if name.startswith("test_") and not asked_for.isdisjoint(fixtures):
                setattr(contract, name, None)
        return contract

    return leave_out
