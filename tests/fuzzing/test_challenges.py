"""Whatever stands in a WWW-Authenticate header is read, in linear time, and decides."""

from __future__ import annotations

import time
from unittest import mock

import requests
from hypothesis import example, given
from hypothesis import strategies as st

from requests_tokenrefresh import _challenge
from requests_tokenrefresh._challenge import own_answer, parse_challenges
from tests.support.length import few

SCRAPS = st.sampled_from(
    [
        *["Bearer", "Basic", "error", '"insufficient_scope"', "claims", "a", "@"],
        *[" ", "\t", ",", ";", "=", '"', "\\"],
    ]
)
TEXTS = st.lists(SCRAPS | st.characters(max_codepoint=255), max_size=6).map("".join)


@few(20)
@given(st.lists(SCRAPS | st.characters(), max_size=20).map("".join))
@example("Bearer claims=a")
def test_any_header_is_read_or_says_nothing(value: str) -> None:
    response = requests.Response()
    response.status_code = 401
    response.headers["WWW-Authenticate"] = value
    challenges = parse_challenges(value)
    assert all(challenge.scheme == challenge.scheme.lower() for challenge in challenges)
    answer = own_answer(response)
    if answer is not None:
        assert answer in _challenge.REASONS
        assert "bearer" in [challenge.scheme for challenge in challenges]


@few(20)
@given(TEXTS, SCRAPS | TEXTS.filter(bool), SCRAPS | TEXTS)
@example("a", " ", "@")
@example("a b=", '"\\', "")
@example("a b=", " ", '"')
def test_a_header_that_is_four_times_as_long_takes_no_more_than_linear_time(
    start: str, again: str, end: str
) -> None:
    """In quadratic time it would take sixteen times as long."""

    def seconds(length: int) -> float:
        header = start + again * (length // len(again)) + end
        taken = []
        for _ in range(3):
            started = time.thread_time()
            parse_challenges(header)
            taken.append(time.thread_time() - started)
        return min(taken)

    # What is over at once cannot be compared.
    with mock.patch.object(_challenge, "_MOST_ELEMENTS", 16_000):
        assert any(seconds(16_000) < max(9 * seconds(4_000), 0.01) for _ in range(3))
