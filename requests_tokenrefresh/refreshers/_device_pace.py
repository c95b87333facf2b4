"""How often the token endpoint is asked for the login of a device, and until when (RFC 8628).

All times are monotonic seconds.
"""

from __future__ import annotations

from .._errors import LoginFailedError, RefreshFailedError
from ._answer import Answer
from ._device_answer import DeviceAttempt, Next

_SLOWER = 5.0  # seconds (section 3.5)
_SLOWEST = 60.0  # seconds to which a server that does not answer can make it double


class Pace:
    """The pace of one attempt.

    Args:
        attempt: What has begun.
        patience_ends: Until when the person has time; None: as long as the code is good.

    Attributes:
        next_poll: When to poll next, and not before.
    """

    def __init__(self, attempt: DeviceAttempt, patience_ends: float | None) -> None:
        self.next_poll = attempt.answered_at + attempt.interval
        self._interval = attempt.interval
        self._expires_at = attempt.answered_at + attempt.expires_in
        self._patience_ends = patience_ends
        self._failure: RefreshFailedError | None = None

    def check(self) -> None:
        """Return if the next poll will be in time.

        Raises:
            LoginFailedError: Nobody has logged in.
            RefreshFailedError: Nobody knows, since the server has not answered.
        """
        late = self._patience_ends is not None and self.next_poll > self._patience_ends
        if not late and self.next_poll < self._expires_at:
            return
        if self._failure is not None:
            raise self._failure
        raise timed_out() if late else expired()

    def slow_down(self, step: Next, answer: Answer | RefreshFailedError, now: float) -> None:
        """Take *answer* for what it is: the next poll counts from *now*."""
        if step is Next.SLOWER:
            self._interval += _SLOWER
        elif step is Next.LATER:
            self._interval = max(self._interval, min(2 * self._interval, _SLOWEST))
        if step is Next.LATER:
            self._failure = answer.failure() if isinstance(answer, Answer) else answer
        else:
            self._failure = None
        self.next_poll = now + max(self._interval, answer.retry_after or 0.0)


def expired() -> LoginFailedError:
    """Return the error for a code that nobody has entered in time."""
    return LoginFailedError(
        "nobody has logged in before the code expired; begin again, for a new code",
        reason="expired_token",
    )


def timed_out() -> LoginFailedError:
    """Return the error for a person who has taken longer than the caller waits."""
    return LoginFailedError(
        "nobody has logged in in time; begin again, or wait longer: timeout=", reason="timed_out"
    )
