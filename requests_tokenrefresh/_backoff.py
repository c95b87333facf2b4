"""How long nobody asks the issuer after it has failed."""

from __future__ import annotations

from ._errors import LONGEST_SAID as LONGEST_SAID
from ._errors import LoginRequiredError, RefreshFailedError, TokenRefreshError
from ._hand import Now
from ._login import Pause

_FIRST = 0.5  # seconds; doubles with every failure in a row
_LONGEST = 30.0  # seconds
_FIRST_AFTER_REFUSAL = 1.0  # seconds; likewise, where nobody can be asked to log in
_LONGEST_AFTER_REFUSAL = 300.0  # seconds
_JITTER = 0.1  # of what the issuer has said, on top
LONGEST_PAUSE = LONGEST_SAID * (1 + _JITTER)


def pause_after(
    before: Pause | None, error: TokenRefreshError, seconds: float | None, now: Now, luck: float
) -> Pause:
    """Return how long nobody asks after *error*: so many *seconds*, or as it says, or longer with
    every failure in a row."""
    failures = 0 if before is None else before.failures
    doubled = 2.0 ** max(0, min(failures, 30))  # a store may say anything
    said = error.retry_after if isinstance(error, RefreshFailedError) else None
    if seconds is not None:
        return Pause(error, failures, now.steady + seconds)
    if isinstance(error, LoginRequiredError):
        seconds = min(_LONGEST_AFTER_REFUSAL, _FIRST_AFTER_REFUSAL * doubled)
    elif said is not None:
        # With jitter on top: a fleet that was told the same does not come back in lockstep.
        seconds = min(LONGEST_SAID, said) * (1 + _JITTER * luck)
    else:
        seconds = min(_LONGEST, _FIRST * doubled) * luck
    return Pause(error, failures + 1, now.steady + seconds)
