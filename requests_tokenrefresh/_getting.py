"""How a thread gets a token: it has one, leads, waits, or is told why there is none."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import NoReturn

from ._errors import RefreshFailedError, RefreshTimeoutError, TokenRefreshError, trial_refused
from ._flight import Flight, Flights, Why
from ._hand import REJECTED, Hand
from ._keeping import Keeping, told
from ._login import Login, found_beside, looks_beside
from ._renewal import Renewal
from ._rules import (
    FAIL,
    GO,
    IN_VAIN,
    LEAD,
    LEAD_EARLY,
    OWN,
    WAIT,
    Held,
    Step,
    came_of,
    is_in_need,
)
from ._telling import Telling
from ._token import Token
from .events import RefreshEnded, RefreshStarted, WaitEnded, WaitStarted

_log = logging.getLogger("requests_tokenrefresh")


class Getting:
    """Brings flights, renewal and store together for the thread that wants a token.

    Args:
        take: Takes a token in hand; the second argument says whether it was found.
        ends_in_doubt: Whether a new token that all have refused ends the login.
        wait_timeout: Seconds a thread waits at most for another's flight.
        monotonic: The time in seconds.
    """

    def __init__(
        self,
        flights: Flights,
        renewal: Renewal,
        keeping: Keeping,
        telling: Telling,
        *,
        take: Callable[[Token, bool], Hand],
        ends_in_doubt: bool,
        wait_timeout: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._flights = flights
        self._renewal = renewal
        self._keeping = keeping
        self._telling = telling
        self._take = take
        self._ends_in_doubt = ends_in_doubt
        self._wait_timeout = wait_timeout
        self._monotonic = monotonic

    def token(self) -> Token:
        """Return a token that can be sent now; see `TokenSource.token`."""
        try:
            return self.another(None, "preemptive")
        except RefreshTimeoutError:
            # Counting as expired is not being expired: the last seconds of a token are better
            # than none.
            login = self._flights.login
            alive = login.has_live_token(self._flights.now()) and login.standing is not REJECTED
            if alive and login.hand is not None:
                return login.hand.token
            raise

    def scheme(self) -> str | None:
        """Return the scheme of the token in hand, or of the one that would be taken in hand."""
        login = self._flights.login
        token = login.token
        if token is None:
            try:
                token = self._keeping.load() or login.kept.seed
            except Exception:
                return None  # whoever wants the token itself is told
        return None if token is None else token.token_type

    def is_own(self, held: Held) -> Step | None:
        """Return why a 401 is the resource's own, if it is so at once."""
        step = self._flights.is_own(held)
        if step is not None and step.why == IN_VAIN:
            self._look_beside(held)  # another process may have a token that is not refused
            step = self._flights.is_own(held)
        return step

    def is_own_at_last(self, held: Held) -> bool:
        """Return whether the 401 to a replay is the resource's own, or another token may help."""
        ends = trial_refused() if self._ends_in_doubt else None
        before, after, step = self._flights.refuse(held, ends)
        ended = ends is not None and after.over is ends
        if ended:
            self._keeping.forget(before)
        self._telling.announce(before, after)
        if ended or step.then is not OWN or held.resource is None:
            return False
        if ends is not None and after.flight is not None and before.flight is after.flight:
            # Others are asked now; if they refuse it too, all fail together.
            self.wait(after.flight, self._monotonic() + self._wait_timeout)
            if self._flights.login.over is not None:
                return False
        self._telling.passes_on(held.resource, step.why)
        return True

    def another(self, held: Held | None, why: Why) -> Token:
        """As `replayable`, for who holds no 401 that could be anybody's own."""
        token = self.replayable(held, why)
        assert token is not None  # noqa: S101  # nosec B101  # None answers a 401, and there is none
        return token

    def replayable(self, held: Held | None, why: Why) -> Token | None:
        """Return the token to send, for the first time or again; None: the 401 that is *held* is
        the resource's own."""
        deadline = self._monotonic() + self._wait_timeout
        self._look_beside(held)
        while True:
            with self._flights.handing_over():
                before, login, step, flight = self._flights.next_step(held, why)
                if flight is not None and step.then in (LEAD, LEAD_EARLY):
                    self._lead(flight)
                if flight is not None and step.then is WAIT:
                    landed = self.wait(flight, deadline)
                    if not landed:
                        return flight.token
            self._telling.announce(before, login)
            error: TokenRefreshError | None = None
            if flight is not None and flight.landed is not None:
                login = flight.landed
                step, error = came_of(flight.began, login, held, self._flights.now())
            if step.then is GO:
                return login.token
            if step.then is FAIL:
                self._fail(login, error)
            if step.then is OWN and held is not None and held.resource is not None:
                self._telling.passes_on(held.resource, step.why)
                return None
            # It ended with nothing: its leader was interrupted, it was an early one that gave way,
            # its token was an old one, or login() took its place. Decide anew.

    def _look_beside(self, held: Held | None) -> None:
        """While nothing but another process can help: go on with what it has stored since."""
        if not self._keeping.store.shared or self._keeping.in_turn is not None:
            return
        before, looking = self._flights.change(
            lambda login, now: looks_beside(login, now, in_need=is_in_need(login, held, now))
        )
        if looking is before:
            return
        try:
            stored = self._keeping.load()
        except Exception as error:
            _log.warning("cannot see what another process has stored: %s", told(error))
            return
        if stored is None:
            return
        hand = self._take(stored, True)
        if looking.over is None and not hand.is_news(looking.token, self._flights.now()):
            return
        before, after = self._flights.change(
            lambda login, now: found_beside(login, hand, now) if login is looking else login
        )
        self._telling.announce(before, after)

    def _lead(self, flight: Flight) -> None:
        """Fly, and see to it that the flight ends whatever happens."""
        outcome = "abandoned"
        try:
            self._telling.tell(RefreshStarted, why=flight.why)
            outcome = self._renewal.fly(flight)
        finally:
            # Interrupted, or a store's lock has swallowed what was raised inside it; one that ended
            # in any other way is not under way any more.
            self._flights.abandon(flight)
            self._telling.tell(RefreshEnded, outcome=outcome)
        if flight.interrupt is not None:
            raise flight.interrupt

    def wait(self, flight: Flight, deadline: float) -> bool:
        """Wait for *flight*; see `Flights.wait`."""
        if flight.token is None and flight.is_led_here():
            raise RefreshFailedError(
                "the refresher asked for the very token that it was called to get; it must work "
                "without one"
            )
        started = self._monotonic()
        self._telling.tell(WaitStarted)
        try:
            return self._flights.wait(flight, deadline)
        finally:
            self._telling.tell(WaitEnded, seconds=self._monotonic() - started)

    def _fail(self, login: Login, error: TokenRefreshError | None) -> NoReturn:
        """Raise this thread's own copy: one object would collect everybody's traceback."""
        pause = login.pause
        error = error or login.over or (pause and pause.error)
        assert error is not None  # noqa: S101  # nosec B101  # nobody fails without a reason
        own = copy.copy(error)
        if pause is not None and isinstance(own, RefreshFailedError):
            own.retry_after = max(0.0, pause.until - self._monotonic())
        raise own from (error.__cause__ or error)
