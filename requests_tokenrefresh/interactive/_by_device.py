"""Logging in on another device."""

from __future__ import annotations

from collections.abc import Callable

from .._token import Token
from ..refreshers import DeviceCodeGrant
from ..refreshers._device_answer import DeviceAttempt
from ._duration import duration
from ._invitation import Invitation


def log_in_by_device(
    grant: DeviceCodeGrant,
    *,
    timeout: float,
    say: Callable[[str], object],
    keep: Callable[[Token], Token],
) -> Token:
    """Return what *keep* returns, which is called with the token that the person was given.

    Args:
        timeout: Seconds that the person has.

    Raises:
        LoginFailedError: Nobody has logged in; `reason` says why.
        RefreshFailedError: The server is out of reach, or in trouble.
        Exception: Whatever *keep* raises.
    """
    attempt = grant.begin()
    seconds = min(timeout, attempt.expires_in)
    address = attempt.verification_uri_complete or attempt.verification_uri
    say(Invitation(_invitation(attempt, seconds), address=address, seconds=seconds))
    return keep(grant.finish(attempt, timeout=timeout))


def _invitation(attempt: DeviceAttempt, seconds: float) -> str:
    # The code is shown also where the address has it: it is compared (RFC 8628 section 3.3.1).
    lines = [
        f"On any device open {attempt.verification_uri} and enter {attempt.user_code} "
        f"({duration(seconds)})."
    ]
    if attempt.verification_uri_complete is not None:
        lines += ["Or open this address, which has the code:", attempt.verification_uri_complete]
    return "\n".join(lines)
