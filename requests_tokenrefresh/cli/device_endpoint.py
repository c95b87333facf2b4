"""Logging in on another device, as the demo's server has it (RFC 8628).

oauthlib knows of it only of late, and gives no refresh token in one of its versions.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oauthlib.common import Request, generate_token
from oauthlib.oauth2.rfc6749.errors import (
    AccessDeniedError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
)
from oauthlib.oauth2.rfc6749.grant_types.base import GrantTypeBase

from .login_records import Login, LoginRecords
from .one_client import OneClient
from .pending import Pending

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"

_SLOWER = 5.0  # seconds: RFC 8628 section 3.5
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so no words: section 6.1


class AuthorizationPendingError(OAuth2Error):
    """The person has not decided yet."""

    error = "authorization_pending"


class SlowDownError(OAuth2Error):
    """It was asked too early."""

    error = "slow_down"


class ExpiredTokenError(OAuth2Error):
    """The person has not decided in time."""

    error = "expired_token"


@dataclass
class _Device:
    user_code: str
    scopes: list[str]
    interval: float
    asked_at: float  # monotonic: when it was last told to wait
    agreed: bool | None = None
    used: bool = False
    login: Login = field(default_factory=Login)


class DeviceRecords(OneClient):
    """The devices that wait, for oauthlib and for the page. Safe from any thread.

    Args:
        logins: Where what comes of a device code is kept.
        seconds: How long a person has to enter a code.
        interval: Seconds between two polls.
        clock: Monotonic seconds.
    """

    def __init__(
        self, logins: LoginRecords, seconds: float, interval: float, clock: Callable[[], float]
    ) -> None:
        self._logins = logins
        self._seconds = seconds
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._devices: Pending[_Device] = Pending(seconds, clock)  # guarded by _lock

    def begin(self, scopes: list[str], page: str) -> dict[str, Any]:
        """Return what a device is told (RFC 8628 section 3.2); *page* is where its person goes."""
        letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
        user_code = f"{letters[:4]}-{letters[4:]}"
        device_code = generate_token()
        with self._lock:
            self._devices[device_code] = _Device(user_code, scopes, self._interval, self._clock())
        return {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={user_code}",
            "expires_in": self._seconds,
            "interval": self._interval,
        }

    def decide(self, user_code: str, *, agreed: bool) -> bool:
        """Take a person's word for the device with *user_code*; return whether there is one."""
        entered = _letters(user_code)
        with self._lock:
            for code, device in self._devices.items():
                if _letters(device.user_code) == entered and self._devices.is_alive(code):
                    if device.agreed is None:
                        device.agreed = agreed
                    return device.agreed is agreed
        return False

    def poll(self, device_code: str) -> _Device:
        """Return the device if its person has agreed; it is used up by that.

        Raises:
            OAuth2Error: Not yet, or not at all (RFC 8628 section 3.5).
        """
        with self._lock:
            device = self._devices.get(device_code)
            if device is None:
                raise InvalidGrantError
            if device.used:
                self._logins.revoke(device.login)
                raise InvalidGrantError
            if not self._devices.is_alive(device_code):
                raise ExpiredTokenError
            early = self._clock() < device.asked_at + device.interval
            device.asked_at = self._clock()
            if early:
                device.interval += _SLOWER
                raise SlowDownError
            if device.agreed is None:
                raise AuthorizationPendingError
            if not device.agreed:
                raise AccessDeniedError
            device.used = True
            return device

    def keep(self, reply: Mapping[str, Any], device: _Device) -> None:
        """Keep the tokens that *device* has been given."""
        self._logins.begin(reply, device.login, device.scopes)


class DeviceGrant(GrantTypeBase):
    """The device code as a grant of oauthlib's token endpoint, and where it comes from.

    Args:
        devices: The devices that wait.
        completed: Says what else is in a token reply, and what is not.
    """

    def __init__(
        self,
        devices: DeviceRecords,
        completed: Callable[[dict[str, Any], Request], dict[str, Any]],
    ) -> None:
        super().__init__(devices)
        self._devices = devices
        self._completed = completed

    def begin(self, request: Request, page: str) -> tuple[dict[str, str], str, int]:
        """Answer a device authorization request: headers, body, status (RFC 8628 section 3.1)."""

        def answer() -> dict[str, Any]:
            self.validate_scopes(request)
            return self._devices.begin(request.scopes or [], page)

        return self._answered(request, answer)

    def create_token_response(
        self, request: Request, token_handler: Any
    ) -> tuple[dict[str, str], str, int]:
        """Answer a poll: headers, body, status (RFC 8628 section 3.4)."""

        def answer() -> dict[str, Any]:
            device_code = getattr(request, "device_code", None)  # of which oauthlib knew late
            if not device_code:
                raise InvalidRequestError("Missing device_code parameter.")
            device = self._devices.poll(device_code)
            request.scopes, request.nonce = device.scopes, None  # the form's are nobody's word
            reply = token_handler.create_token(request, refresh_token=True)
            reply = self._completed(reply, request)
            self._devices.keep(reply, device)
            return reply

        return self._answered(request, answer)

    def _answered(
        self, request: Request, answer: Callable[[], dict[str, Any]]
    ) -> tuple[dict[str, str], str, int]:
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        try:
            if not self._devices.authenticate_client_id(request.client_id or "", request):
                raise InvalidClientError
            if set(request.duplicate_params) - {"resource"}:  # RFC 8707 section 2
                raise InvalidRequestError("A parameter came twice.")
            return headers, json.dumps(answer()), 200
        except OAuth2Error as error:
            return {**headers, **error.headers}, error.json, error.status_code


def _letters(user_code: str) -> str:
    """Return what counts of a code that somebody has typed (RFC 8628 section 6.1)."""
    return "".join(letter for letter in user_code.upper() if letter in _LETTERS)
