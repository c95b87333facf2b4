"""Who leads, who is on trial, and who waits: the only file with a Condition.

A *flight* is one refresh and its trial. At most one is under way. Whoever opens it leads it, and
leaves the lock before any store, refresher or listener is called. Everybody else waits for *that*
flight, and reads what came of it, `landed`, which is written once.

A wake-up carries no decision. Whoever has slept derives again, from what is true then, what there
is to do.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple, TypeAlias, cast

from ._errors import LoginRequiredError, RefreshTimeoutError
from ._evidence import Asker
from ._hand import DOUBTED, MOST_OPINIONS, ON_TRIAL, Hand, Now
from ._login import (
    Login,
    Pause,
    Shunned,
    Unsaved,
    brought,
    gave_way,
    in_child,
    logged_out,
    took_off,
)
from ._rules import (
    ACCEPTED,
    LEAD,
    LEAD_EARLY,
    NO_VERDICT,
    OWN,
    WAIT,
    Held,
    Step,
    What,
    decide,
    judged,
    who_asks,
)
from ._token import Token

Why: TypeAlias = Literal["reactive", "preemptive", "early"]

_FIRST_AWAKE = 4  # waiters that a landing wakes; each of them wakes the next
_FIRST_PATIENCE = 0.1  # seconds before a trial that was refused is repeated; it doubles
_LONGEST_PATIENCE = 2.0  # seconds

_TOO_LONG = (
    "no new access token after waiting {:g} s for another thread's refresh, which is still under "
    "way: if the refresher itself asks for this token on a helper thread, it waits for itself, so "
    "give it a session of its own; else raise wait_timeout if the token endpoint is that slow"
)


class Flight:
    """One refresh and its trial. Written under *turn*; `landed` is written once, at the end."""

    def __init__(
        self,
        why: Why,
        began: Login,
        turn: threading.RLock,
        *,
        held: Held | None,
        asker: Asker | None,
    ) -> None:
        # Its waiters sleep here: where those of another flight slept too, a wake-up could be lost
        # on one of them.
        self.news = threading.Condition(turn)
        self.why = why
        self.began = began  # the login at that moment
        self.held = held  # the 401 that it was opened for
        self.asker = asker  # whose that is, if nothing else asks for it
        self.leader = threading.get_ident()
        self.pilot = self.leader  # flies, and then is on trial; another after a refusal
        self.helper: int | None = None  # the thread on which its leader asks, if that is another
        self.interrupt: BaseException | None = None  # of its leader, who heard the answer first
        self.opinions = 1  # resources that were asked
        self.repeats = 0  # of the leader's trial, out of patience with a server
        self.patience = 0.0  # seconds that these have waited
        self.waiters: dict[int, Held | None] = {}  # in order, by their thread: the 401 they hold
        self.brought: Hand | None = None  # before it is saved; by its leader only
        self.follows: Unsaved | None = None  # ... and what that would take the place of
        self.pause: Pause | None = None  # told to the siblings, or by them; by its leader only
        self.shun: Shunned = ()  # refused, and perhaps stored still; by its leader only
        self.token: Token | None = None  # the new one, saved; the trial may still be on
        self.trial_ends = math.inf  # in monotonic seconds
        self.landed: Login | None = None  # the login then; None: it is under way

    def is_led_here(self) -> bool:
        """Return whether this very thread leads, or asks for its leader."""
        return threading.get_ident() in (self.leader, self.helper)

    def as_it_brings(self, hand: Hand, *, tries: bool) -> Hand:
        """Return *hand* as it stands then: on trial if its leader *tries* it."""
        held = self.held
        if held is None or held.resource is None:
            return hand
        if not held.can_replay:
            return hand._replace(replay_due=held.resource)
        return hand._replace(standing=ON_TRIAL) if tries else hand

    def next_pilot(self, hand: Hand | None) -> int | None:
        """Return the next waiter with a 401, of a resource that has not been asked if there is one,
        as long as three have not been asked.

        Args:
            hand: The token on trial.
        """
        if self.opinions >= MOST_OPINIONS or hand is None:
            return None
        holders = {
            thread: other.resource
            for thread, other in self.waiters.items()
            if other is not None and other.tries and other.resource is not None
        }
        asked = hand.refused_by
        strangers = (thread for thread, resource in holders.items() if resource not in asked)
        return next(strangers, next(iter(holders), None))


def _is_pilot(flight: Flight | None) -> bool:
    return flight is not None and flight.pilot == threading.get_ident()


class Decision(NamedTuple):
    """What a thread does, and the login before and after it has decided.

    Attributes:
        flight: The one that it leads or waits for, if it does.
    """

    before: Login
    login: Login
    step: Step
    flight: Flight | None


class Flights:
    """The login of this process, and the threads that share it.

    Args:
        wait_timeout, trial_timeout, trial_patience: As in `TokenSource`, in seconds.
        clock, monotonic: Likewise.
    """

    def __init__(
        self,
        login: Login,
        *,
        wait_timeout: float,
        trial_timeout: float,
        trial_patience: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.login = login  # read by anybody, replaced as a whole under turn
        self.turn = threading.RLock()
        self._wait_timeout = wait_timeout
        self._trial_timeout = trial_timeout
        self._trial_patience = trial_patience
        self._clock = clock
        self._monotonic = monotonic

    def now(self) -> Now:
        return Now(self._clock(), self._monotonic())

    # -- The login --------------------------------------------------------------------------------

    def change(self, transition: Callable[[Login, Now], Login]) -> tuple[Login, Login]:
        """Replace the login by what *transition* makes of it; return it as it was, and as it is."""
        with self.turn:
            before = self.login
            self._become(transition(before, self.now()))
            return before, self.login

    def _become(self, after: Login) -> None:
        flight = self.login.flight
        self.login = after
        if flight is not None and after.flight is not flight:
            flight.landed = after
            try:
                flight.news.notify(_FIRST_AWAKE)
            except BaseException:  # an interrupt, which may have come before anybody was woken
                flight.news.notify(_FIRST_AWAKE)
                raise

    # -- Leading ----------------------------------------------------------------------------------

    def next_step(self, held: Held | None, why: Why) -> Decision:
        """Decide what this thread does, and open a flight if it is to lead one."""
        with self.turn:
            before, now, flight = self.login, self.now(), self.login.flight
            if held is not None:
                # Only whoever is on trial has a say in what becomes of its token.
                held = held._replace(can_ask=not _is_pilot(flight))
            after, step = decide(before, held, now, on_trial=_is_pilot(flight))
            if step.then in (LEAD, LEAD_EARLY):
                asker = who_asks(before, held, now)
                if step.then is LEAD_EARLY:
                    why, held = "early", None  # nobody is to wait for a trial
                flight = Flight(why, after, self.turn, held=held, asker=asker)
                after = took_off(after, flight)
            elif step.then is WAIT and flight is not None:
                # Present from here on, and not only when it sleeps: its opinion may be asked.
                flight.waiters[threading.get_ident()] = held
            self._become(after)
            return Decision(before, after, step, flight)

    def flies(self, flight: Flight) -> bool:
        """Return whether *flight* is under way: `login()` and `logout()` take its place."""
        return self.login.flight is flight

    def is_led_here(self) -> bool:
        """Return whether this very thread is between take-off and a new token."""
        flight = self.login.flight
        return flight is not None and flight.token is None and flight.is_led_here()

    def publish(self, flight: Flight, hand: Hand, unsaved: Unsaved | None) -> tuple[Login, Login]:
        """Let *flight* bring *hand*: on trial if its leader is to try it; else it lands. Return the
        login before and after."""
        with self.turn:
            before, now = self.login, self.now()
            if before.flight is flight:
                flight.token = hand.token
                hand = flight.as_it_brings(hand, tries=self._trial_timeout > 0)
                asker = None if hand.found else flight.asker
                self._become(brought(before, flight, hand, now, unsaved=unsaved, asker=asker))
                if hand.standing is ON_TRIAL:
                    flight.trial_ends = now.steady + self._trial_timeout
                    flight.news.notify()  # one waiter keeps the time of the trial for all
            return before, self.login

    def abandon(self, flight: Flight) -> None:
        """End *flight*, whose leader was interrupted: what it has brought exists nowhere else."""
        with self.turn:
            now, hand = self.now(), flight.brought
            if self.login.standing is ON_TRIAL:
                return  # what it has brought is in use: see `handing_over`
            if hand is None:
                self._become(gave_way(self.login, flight, now))
            else:
                self._become(brought(self.login, flight, hand, now, unsaved=flight.follows))

    @contextmanager
    def handing_over(self) -> Iterator[None]:
        """Let another take over if this thread is interrupted (KeyboardInterrupt, or whatever a
        signal handler raises) anywhere between taking off, or being called for an opinion, and the
        end of that."""
        before = self.login.flight
        try:
            yield
        except BaseException:
            with self.turn:
                if (flight := self.login.flight) is not None:
                    flight.waiters.pop(threading.get_ident(), None)
                if flight is not None and _is_pilot(flight):
                    if self.login.standing is ON_TRIAL:
                        self._pass_on(flight)
                    elif flight is not before:
                        # One that was under way before belongs to a call further out, which may go
                        # on: that of a refresher that asks its own source, and is refused.
                        self.abandon(flight)
            raise

    # -- The trial --------------------------------------------------------------------------------

    def is_on_trial(self, token: Token) -> bool:
        """Return whether *token* waits for a verdict."""
        flight = self.login.flight
        return flight is not None and flight.token is token

    def is_own(self, held: Held) -> Step | None:
        """Return why a 401 is the resource's own, if it is so at once."""
        with self.turn:
            after, step = decide(self.login, held, self.now())
            if step.then is not OWN:
                return None  # what follows from it is decided by whoever flies or waits
            self._become(after)
            return step

    def judge(self, what: What, held: Held) -> None:
        """A token was ACCEPTED, or there is NO_VERDICT from whoever is on trial."""
        with self.turn:
            if what is ACCEPTED or _is_pilot(self.login.flight):
                self._become(judged(self.login, what, held, self.now()))

    def refuse(self, held: Held, ends: LoginRequiredError | None) -> tuple[Login, Login, Step]:
        """A replay was refused: call the next waiter for an opinion, or know what to think of it.

        Args:
            ends: What ends the login, if a token that all have refused does.

        Returns:
            The login before and after, and whether the 401 is the resource's OWN.
        """
        with self.turn:
            before, now, flight = self.login, self.now(), self.login.flight
            mine = _is_pilot(flight)
            can_ask = not mine or flight.next_pilot(before.hand) is not None
            after, step = decide(before, held._replace(can_ask=can_ask), now)
            all_refused = after.standing is DOUBTED and before.standing is not DOUBTED
            if ends is not None and all_refused:
                after = logged_out(after, ends)
            self._become(after)
            if mine and after.standing is ON_TRIAL and held.token is after.token:
                self._pass_on(flight)
            return before, self.login, step

    def be_patient(self, token: Token) -> bool:
        """Wait before the leader repeats a trial that was refused; return whether it is to.

        Only a token that has just been issued may be one that the server has not learnt of yet.
        """
        with self.turn:
            flight, hand = self.login.flight, self.login.hand
            if flight is None or hand is None or flight.token is not token or hand.found:
                return False
            if not _is_pilot(flight) or flight.opinions > 1:
                return False
            longest = min(_LONGEST_PATIENCE, _FIRST_PATIENCE * 2.0**flight.repeats)
            pause = min(longest, self._trial_patience - flight.patience)
            if pause <= 0:
                return False
            flight.repeats += 1
            flight.patience += pause
            flight.trial_ends = self._monotonic() + pause + self._trial_timeout
            try:
                return not flight.news.wait_for(lambda: flight.landed is not None, pause)
            finally:
                flight.news.notify()  # it may have taken a wake-up from a waiter

    def _pass_on(self, flight: Flight) -> None:
        """Call the next for an opinion; if there is nobody, the trial ends without a verdict."""
        pilot = flight.next_pilot(self.login.hand)
        if pilot is None:
            self._end_trial(flight)
            return
        flight.pilot = pilot
        flight.opinions += 1
        flight.trial_ends = self._monotonic() + self._trial_timeout
        flight.news.notify_all()

    def _end_trial(self, flight: Flight) -> None:
        token = cast("Token", flight.token)  # before there is one, no trial ends
        self._become(judged(self.login, NO_VERDICT, Held(token, None), self.now()))

    # -- Waiting ----------------------------------------------------------------------------------

    def wait(self, flight: Flight, deadline: float) -> bool:
        """Wait until *flight* has landed, or calls this thread for an opinion.

        Args:
            deadline: In monotonic seconds.

        Returns:
            False: it has not landed before the deadline, but its token is there, on trial.

        Raises:
            RefreshTimeoutError: There is no token before the deadline.
        """
        here = threading.get_ident()
        with self.turn:
            # Hundreds of threads that wake at once fight for the interpreter, and that costs a
            # storm more than the refresh does. So few are woken, and whoever leaves wakes the next.
            try:
                return self._landed_or_called(flight, here, deadline)
            finally:
                flight.waiters.pop(here, None)
                flight.news.notify()

    def _landed_or_called(self, flight: Flight, here: int, deadline: float) -> bool:
        while flight.landed is None and flight.pilot != here:
            ends = min(flight.trial_ends, deadline)
            if flight.news.wait(ends - self._monotonic()):
                continue
            if flight.landed is not None or flight.pilot == here:
                break
            if ends == flight.trial_ends:
                self._end_trial(flight)
            elif ends == deadline:  # else the trial has been given more time meanwhile
                if flight.token is None:
                    raise RefreshTimeoutError(_TOO_LONG.format(self._wait_timeout))
                return False
        return True

    def in_child(self) -> None:
        """In a forked child: the leader and the waiters stayed in the parent, one of them perhaps
        with the lock."""
        self.turn = threading.RLock()
        self.login = in_child(self.login)
