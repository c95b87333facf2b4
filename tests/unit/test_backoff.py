"""How long nobody asks the issuer after it has failed: exact values, no clock."""

from __future__ import annotations

import pytest

from requests_tokenrefresh import (
    LoginRequiredError,
    RefreshFailedError,
    StoreUnavailableError,
    TokenRefreshError,
)
from requests_tokenrefresh._backoff import pause_after
from requests_tokenrefresh._hand import Now
from requests_tokenrefresh._login import Pause

NOW = Now(wall=1000.0, steady=50.0)
BEFORE = RefreshFailedError("the one before")


def after_failures(failures: int) -> Pause | None:
    return None if failures == 0 else Pause(BEFORE, failures, until=40.0)


@pytest.mark.parametrize("error", [RefreshFailedError("503"), StoreUnavailableError("no disk")])
@pytest.mark.parametrize(
    ("failures", "longest"),
    [(0, 0.5), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (10_000, 30)],
)
@pytest.mark.parametrize("luck", [0.0, 0.25, 1.0])
def test_a_failure_doubles_the_pause_up_to_thirty_seconds_with_full_jitter(
    error: TokenRefreshError, failures: int, longest: float, luck: float
) -> None:
    pause = pause_after(after_failures(failures), error, None, NOW, luck)
    assert pause == Pause(error, failures + 1, NOW.steady + longest * luck)


@pytest.mark.parametrize(
    ("said", "luck", "seconds"),
    [
        (7.0, 0.0, 7.0),
        (7.0, 1.0, 7.7),
        (0.0, 1.0, 0.0),
        (3600.0, 0.0, 3600.0),
        (3601.0, 0.0, 3600.0),
        (1e9, 0.5, 3780.0),
    ],
)
@pytest.mark.parametrize("failures", [0, 5])
def test_what_the_issuer_says_counts_with_a_tenth_on_top_and_an_hour_at_most(
    said: float, luck: float, seconds: float, failures: int
) -> None:
    error = RefreshFailedError("429", retry_after=said)
    pause = pause_after(after_failures(failures), error, None, NOW, luck)
    assert pause.error is error
    assert pause.failures == failures + 1
    assert pause.until == pytest.approx(NOW.steady + seconds, abs=1e-9)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        (0, 1),
        (1, 2),
        (2, 4),
        (3, 8),
        (4, 16),
        (5, 32),
        (6, 64),
        (7, 128),
        (8, 256),
        (9, 300),
        (99, 300),
    ],
)
def test_a_refusal_where_nobody_has_to_log_in_doubles_it_up_to_five_minutes(
    failures: int, seconds: float
) -> None:
    error = LoginRequiredError("unknown client", reason="invalid_client")
    for luck in (0.0, 1.0):
        pause = pause_after(after_failures(failures), error, None, NOW, luck)
        assert pause == Pause(error, failures + 1, NOW.steady + seconds)


@pytest.mark.parametrize("seconds", [0.0, 1.0])
@pytest.mark.parametrize("failures", [0, 3])
def test_a_pause_that_is_given_counts_as_no_failure(seconds: float, failures: int) -> None:
    error = LoginRequiredError("nobody has logged in yet", reason="no_token")
    pause = pause_after(after_failures(failures), error, seconds, NOW, 0.5)
    assert pause == Pause(error, failures, NOW.steady + seconds)


def test_the_error_keeps_what_the_issuer_has_said() -> None:
    """The same object may be raised again: a pause is no word of the issuer's."""
    unsaid, said = RefreshFailedError("503"), RefreshFailedError("429", retry_after=7.0)
    for _ in range(2):
        assert pause_after(None, unsaid, None, NOW, 1.0).until == NOW.steady + 0.5
        assert pause_after(None, said, None, NOW, 0.0).until == NOW.steady + 7.0
    assert (unsaid.retry_after, said.retry_after) == (None, 7.0)
