"""The contract of a token store, with other processes that start in milliseconds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import pytest

from requests_tokenrefresh import TokenStore
from requests_tokenrefresh.testing import TokenStoreContract
from requests_tokenrefresh.testing._processes import OtherProcess
from tests.support.new_processes import new_processes


class QuickContract(TokenStoreContract):
    @pytest.fixture
    def other_process(self, store: TokenStore) -> Iterator[OtherProcess]:
        process = OtherProcess(store, new_processes())
        yield process
        process.end()


def without(*fixtures: str) -> Callable[[type], type]:
    """Leave tests with these fixtures out of a class, as what they are about is not offered."""

    def leave_out(contract: type) -> type:
        for name, test in inspect.getmembers(contract, inspect.isfunction):
            asked_for = inspect.signature(test).parameters.keys()
            if name.startswith("test_") and not asked_for.isdisjoint(fixtures):
                setattr(contract, name, None)
        return contract

    return leave_out
