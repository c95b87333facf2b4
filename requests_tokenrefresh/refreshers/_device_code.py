"""The device code: a person logs in on another device (RFC 8628)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from .._errors import RefreshFailedError
from .._token import Token
from ._answer import Answer
from ._authorization_server import AuthorizationServer
from ._device_answer import DeviceAttempt, Next, attempt_in, denied, next_step
from ._device_pace import Pace, expired
from ._early import refreshing
from ._person import PersonGrant

_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"


class DeviceCodeGrant(PersonGrant):
    """Logs a person in who has no browser here (RFC 8628), and renews the login afterwards.

    `log_in` does this with a terminal. By itself::

        attempt = grant.begin()
        print(f"Open {attempt.verification_uri} and enter {attempt.user_code}")
        token = grant.finish(attempt)

    Called with a `Token` it is a `RefreshTokenGrant`, with the same arguments and promises. Safe
    from any thread; pickles.

    Args:
        token_url: The token endpoint, or an `AuthorizationServer`, which knows all of them.
        client_id: As what the client is registered.
        device_authorization_url: Where a login begins.
        issuer, scope, resource, audience: As in `AuthorizationCodeGrant`.
        monotonic: The time in seconds, for measuring durations.
        sleep: Waits for so many seconds.
        **client: The other arguments of `RefreshTokenGrant`.

    Raises:
        TypeError, ValueError: An argument makes no sense.
        InsecureTransportError: A URL is plain http to another machine, and not *insecure*.
    """

    _sends = PersonGrant._sends | {"device_code"}

    def __init__(
        self,
        token_url: str | AuthorizationServer,
        *,
        client_id: str,
        device_authorization_url: str | None = None,
        issuer: str | None = None,
        scope: str | None = None,
        resource: str | Sequence[str] | None = None,
        audience: str | None = None,
        insecure: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        **client: Any,
    ) -> None:
        super().__init__(
            token_url,
            client_id=client_id,
            issuer=issuer,
            scope=scope,
            resource=resource,
            audience=audience,
            insecure=insecure,
            **client,
        )
        self._device_endpoint = self._endpoint.at(
            self._endpoint_of_server(
                device_authorization_url,
                "device_authorization_endpoint",
                "device_authorization_url",
            ),
            "device authorization",
        )
        self._insecure = insecure
        self._monotonic = monotonic
        self._sleep = sleep

    def begin(self) -> DeviceAttempt:
        """Return an attempt to log in, which says what to show to the person; blocks for at most
        *deadline* seconds.

        Raises:
            LoginFailedError: The server begins none, or the answer lacks what a person needs.
            RefreshFailedError: The server cannot be reached, or is in trouble.
        """
        question = self._first_question(client_id=self._client_id, scope=self._asked_scope)
        answer = self._device_endpoint.ask(question, auth=self._auth)
        return attempt_in(answer, answered_at=self._monotonic(), insecure=self._insecure)

    def finish(self, attempt: DeviceAttempt, *, timeout: float | None = None) -> Token:
        """Wait until the person has logged in, and return the token.

        Polls as the server wants it: the interval counts from each answer, `begin`'s too; slow_down
        adds 5 s to it for good, and an answer that does not come doubles it.

        Args:
            timeout: Seconds from now that the person has; None for as long as the code is good.

        Raises:
            LoginFailedError: There is none; `reason` is ``access_denied``, ``expired_token``,
                ``timed_out`` or ``bad_answer``.
            RefreshFailedError: The server cannot be reached, or is in trouble.
        """
        pace = Pace(attempt, None if timeout is None else self._monotonic() + timeout)
        while True:
            pace.check()
            while (left := pace.next_poll - self._monotonic()) > 0:
                self._sleep(left)
            answer = self._poll(attempt)
            step = next_step(answer) if isinstance(answer, Answer) else Next.LATER
            if isinstance(answer, Answer) and step.is_last:
                return self._ended(step, answer)
            pace.slow_down(step, answer, self._monotonic())

    def _poll(self, attempt: DeviceAttempt) -> Answer | RefreshFailedError:
        question = self._question(_GRANT_TYPE, device_code=attempt.device_code)
        # As an early refresh: an answer that was lost is not asked for again at once, which would
        # be a poll too early.
        with refreshing(early=True):
            try:
                return self._endpoint.ask(question, auth=self._auth)
            except RefreshFailedError as error:
                return error

    def _ended(self, step: Next, answer: Answer) -> Token:
        if step is Next.DONE:
            return self._logged_in(answer, nonce=None)
        raise denied(answer) if step is Next.DENIED else expired()
