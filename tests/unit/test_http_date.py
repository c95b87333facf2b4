"""A date in a header (RFC 9110 section 5.6.7), in each of its three formats."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from requests_tokenrefresh._expiry import http_date

EPOCH = 784_111_777.0
PREFERRED = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.fixture(params=["UTC", "Asia/Tokyo"], autouse=True)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "date",
    [PREFERRED, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
    ids=["preferred", "RFC 850", "asctime"],
)
def test_it_is_in_greenwich_wherever_this_machine_is(date: str) -> None:
    assert http_date(date) == EPOCH


def test_what_is_longer_than_a_date_is_none() -> None:
    assert http_date(PREFERRED.ljust(64)) == EPOCH
    assert http_date(PREFERRED.ljust(65)) is None


def test_what_is_not_there_is_none() -> None:
    assert http_date(None) is None
