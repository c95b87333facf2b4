"""Which bodies are read up front so that they can be sent again, and what is sent then."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import requests

from requests_tokenrefresh._replay import body_position, rewind, spooled
from tests.support.logins import ORIGIN


class Stream:
    """Can be read once, and has no position."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(size)


class SizedStream(Stream):
    """Says how long it is, in one of the ways that requests knows."""

    len = 4


def post(body: Any) -> requests.PreparedRequest:
    return requests.Request("POST", ORIGIN, data=body).prepare()


def can_be_sent_again(request: requests.PreparedRequest) -> bool:
    return rewind(request.body, body_position(request.body))


def read_file() -> io.BytesIO:
    file = io.BytesIO(b"header\nthe rest")
    file.readline()
    return file


@pytest.mark.parametrize("body", [None, b"bytes", "text", {"a": "1"}, read_file()])
def test_what_can_be_sent_again_is_left_as_it_is(body: Any) -> None:
    request = post(body)
    assert spooled(request, 100) is request


@pytest.mark.parametrize("body", [[b"123", b"45"], ["123", "45"], ["é", "é", "1"]])
def test_a_body_as_long_as_the_limit_in_bytes_is_spooled_and_a_longer_one_is_not(
    body: list[Any],
) -> None:
    whole = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in body)
    exact, longer = spooled(post(iter(body)), 5), spooled(post(iter(body)), 4)
    assert can_be_sent_again(exact)
    assert [b"".join(exact.body), b"".join(exact.body)] == [whole, whole]  # type: ignore[arg-type]
    assert not can_be_sent_again(longer)
    assert [b"".join(longer.body), b"".join(longer.body)] == [whole, b""]  # type: ignore[arg-type]


def test_a_stream_is_spooled_in_pieces_and_only_up_to_the_limit() -> None:
    stream = Stream(b"x" * 100_000)
    request = spooled(post(stream), 20_000)
    assert 20_000 < 100_000 - len(stream.read()) <= 40_000
    assert not can_be_sent_again(request)


@pytest.mark.parametrize(
    "body", [lambda: iter([b"once"]), lambda: Stream(b"once")], ids=["iterator", "stream"]
)
@pytest.mark.parametrize("limit", [1, 100])
def test_a_spooled_body_of_unknown_length_is_said_to_come_in_chunks(
    body: Callable[[], Any], limit: int
) -> None:
    request = post(body())
    before = dict(request.headers)
    headers = spooled(request, limit).headers
    assert (headers.get("Transfer-Encoding"), headers.get("Content-Length")) == ("chunked", None)
    assert dict(request.headers) == before


def test_a_spooled_body_of_known_length_is_not_said_to_come_in_chunks() -> None:
    headers = spooled(post(SizedStream(b"once")), 100).headers
    assert (headers.get("Transfer-Encoding"), headers.get("Content-Length")) == (None, "4")
