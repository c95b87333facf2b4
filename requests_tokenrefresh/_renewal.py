"""What a leader does in the store's turn: adopt, refresh, save, publish; and after a refusal.

The lock of the store is held, and the lock of this process is not. `login()` and `logout()` do not
wait for a leader: they take its flight's place, and it discards what it brings. What it may have
written meanwhile it puts right before it leaves.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from ._asking import Asking, Reply
from ._backoff import pause_after
from ._errors import (
    LoginRequiredError,
    RefreshFailedError,
    StoreDataLostError,
    StoreLockTimeoutError,
    TokenRefreshError,
)
from ._flight import Flight, Flights
from ._hand import REJECTED, Hand, Now
from ._keeping import Keeping, emptied, finish, told
from ._login import (
    ANYTHING,
    Anything,
    Login,
    Pause,
    Shunned,
    Unsaved,
    awaits_login,
    failed,
    refused,
    refused_early,
    took,
)
from ._token import Token
from .refreshers import Refresher

_log = logging.getLogger("requests_tokenrefresh")

_SPARED = 1.0  # seconds for which a store that held nothing is spared


class Renewal:
    """How the token of one login is renewed. One leader at a time uses it.

    Args:
        keeping: The login in its store.
        log_in: Logs in unattended, or None.
        announce: Is told the login before and after a change, with no lock held.
        take: Takes a token in hand; the second argument says whether it was found.
        wait_timeout: Seconds to wait for the store's lock.
        random: A number from 0 to 1, for jitter.
    """

    def __init__(
        self,
        flights: Flights,
        keeping: Keeping,
        refresher: Refresher,
        log_in: Callable[[], Reply] | None,
        *,
        take: Callable[[Token, bool], Hand],
        announce: Callable[[Login, Login], None],
        wait_timeout: float,
        random: Callable[[], float],
    ) -> None:
        self._flights = flights
        self._kept = keeping
        self._store = keeping.store
        self._refresher = refresher
        self._log_in = log_in
        self._take = take
        self._announce = announce
        self._wait_timeout = wait_timeout
        self._random = random
        self._asking = Asking(flights, take)

    def fly(self, flight: Flight) -> str:
        """Bring a new token, or land without one; return the outcome (`events.RefreshEnded`).

        Where that is "skipped", it is left to whoever called this to end the flight.
        """
        began = self._flights.now()
        outcome = "transient"
        try:
            if self._adopt_at_a_glance(flight):
                return "adopted"
            if not self._flights.flies(flight):
                return "discarded"  # login() or logout(), during the glance
            with self._store.lock(0.0 if flight.why == "early" else self._wait_timeout):
                if not self._flights.flies(flight):
                    return "discarded"  # ... while the lock was somebody else's: nothing is ours
                self._kept.in_turn = flight
                try:
                    outcome = self._renew_in_turn(flight)
                finally:
                    try:
                        self._kept.put_right(flight)
                    finally:
                        self._kept.in_turn = None
        except LoginRequiredError as error:
            outcome = self._refused(flight, error, began)
        except Exception as error:
            if flight.why == "early" and isinstance(error, StoreLockTimeoutError):
                outcome = "skipped"  # a sibling is refreshing
            elif self._adopt_after_all(flight):
                outcome = "adopted"
            else:
                outcome = self._fail(flight, told(error), outcome, began)
        return outcome

    # -- A token from the store, or from the issuer -----------------------------------------------

    def _adopt_at_a_glance(self, flight: Flight) -> bool:
        """Adopt what a sibling has left in the store already, without queueing for the lock."""
        if not self._store.shared or self._flights.login.unsaved is not None:
            return False
        if self._kept.in_turn is not None:
            return False  # its flight was displaced, and it has yet to put right what it writes
        try:
            stored = self._kept.load()
        except StoreDataLostError:
            return False
        if stored is None or not self._is_news(stored, flight):
            return False
        return self._adopt(flight, stored) == "adopted"

    def _adopt_after_all(self, flight: Flight) -> bool:
        """Adopt what a sibling has left in the store while this flight was failing."""
        try:
            return flight.token is None and self._adopt_at_a_glance(flight)
        except Exception:
            return False  # the flight has failed already, for a better reason

    def _renew_in_turn(self, flight: Flight) -> str:
        """Adopt what a sibling has left in the store, else refresh; save, then publish."""
        basis = self._basis(flight)
        if not self._flights.flies(flight):
            return "discarded"  # or *basis* would be the refresh token of the login() just made
        if basis is not None and self._is_news(basis, flight):
            # The login to start with is in no store yet.
            is_stored = basis is not self._flights.login.kept.seed or self._kept.try_to_save(basis)
            return self._adopt(flight, basis, None if is_stored else Unsaved(None))
        if flight.why == "early" and not self._flights.login.is_in_early_window(
            self._flights.now()
        ):
            return "skipped"  # saving was what this one was for
        follows = self._kept.what_follows(basis)
        before = self._make_sure_that_it_may(flight, basis, follows)
        token, outcome = self._asked(flight, basis, before)
        if outcome == "adopted":
            return self._adopt(flight, token)
        if outcome == "logged_in":
            follows = Unsaved(None)  # what was refused is cleared, or not believed
        hand = self._take(token, False)
        flight.brought, flight.follows = hand, follows
        return self._keep(flight, hand, follows, outcome)

    def _keep(self, flight: Flight, hand: Hand, follows: Unsaved, outcome: str) -> str:
        """Save what the issuer has given out, and publish it."""
        token = hand.token
        if not self._flights.flies(flight):
            return "discarded"
        # A program that does not use our lock may have written while the server was answering.
        try:
            newer = self._kept.newer_after_all(token, follows)
        except Exception:
            raise
        except BaseException:
            # What was received exists nowhere else: it is saved before the interrupt goes on.
            self._kept.try_to_save(token)
            raise
        # The server may revoke the whole login when it sees an old refresh token again (RFC 9700
        # section 4.14.2), so the new one is saved before anybody can use it.
        is_stored = newer is None and self._kept.try_to_save(token)
        if newer is None and not is_stored:
            # The store may have refused for that.
            newer = self._kept.newer_after_all(token, follows)
        if newer is not None:
            return self._adopt(flight, newer)
        return self._publish(flight, hand, None if is_stored else follows, outcome)

    def _basis(self, flight: Flight) -> Token | None:
        """Return the token to refresh with: the store's, which siblings keep up to date, or ours,
        if that is newer and could not be saved yet."""
        login = self._flights.login
        pending = login.token
        if login.unsaved is not None and pending is not None:
            try:
                newer = self._kept.newer_than(pending, login.unsaved)
            except StoreDataLostError:
                newer = None
            if newer is None:
                self._kept.try_to_save(pending)
            return newer or pending
        try:
            stored = self._store.load()
        except StoreDataLostError:
            basis = flight.began.token or login.kept.seed
            if basis is None or basis.refresh_token is None:
                return basis
            # A sibling may have used the refresh token that we know (RFC 9700 section 4.14.2).
            if self._log_in is None:
                raise
            return None
        if stored is None and pending is not None:
            raise emptied()
        # What was refused is not asked with again: the unattended login is next.
        stored = self._kept.believed(stored)
        basis, unsaved = (stored, None) if stored is not None else (login.kept.seed, Unsaved(None))
        if basis is not None and pending is None:
            hand = self._take(basis, True)
            self._flights.change(lambda login, _now: took(login, flight, hand, unsaved))
        return basis

    def _is_news(self, stored: Token, flight: Flight) -> bool:
        return self._take(stored, True).is_news(flight.began.token, self._flights.now())

    def _make_sure_that_it_may(
        self, flight: Flight, basis: Token | None, follows: Unsaved
    ) -> Pause | None:
        """Raise if nobody is to ask now, or if what the answer brings could not be kept; return the
        pause that has passed."""
        now = self._flights.now()
        pause = self._kept.pause(now)
        if pause is not None and now.steady < pause.until:
            flight.pause = pause
            raise pause.error
        # Once a token is in memory only, nothing more can be lost.
        is_stored = self._flights.login.unsaved is None and follows.replaces is not None
        if is_stored and basis is not None and basis.refresh_token is not None:
            self._kept.ensure_can_save()
        return pause or self._flights.login.pause

    def _asked(
        self, flight: Flight, basis: Token | None, before: Pause | None
    ) -> tuple[Token, str]:
        """As `_renewed`; a failure is told to the siblings, who are not to ask in their turn."""
        try:
            return self._renewed(flight, basis)
        except RefreshFailedError as error:
            now = self._flights.now()
            flight.pause = pause_after(before, error, None, now, self._random())
            self._kept.keep_pause(flight.pause, now)
            raise

    def _renewed(self, flight: Flight, basis: Token | None) -> tuple[Token, str]:
        if basis is None and self._log_in is not None:
            return self._asking.log_in(flight, self._log_in), "logged_in"
        try:
            return self._asking.refresh(flight, self._refresher, basis), "refreshed"
        except LoginRequiredError as refusal:
            rotated = None if basis is None else self._rotated_by_another(flight, basis, refusal)
            if rotated is not None:
                return rotated, "adopted"
            if self._log_in is None:
                raise
            lives_on = self._lives_on(flight)
            self._flights.change(
                lambda login, _now: awaits_login(login, flight, shun=flight.shun, lives_on=lives_on)
            )
            if flight.interrupt is not None or not self._flights.flies(flight):
                raise
        return self._asking.log_in(flight, self._log_in), "logged_in"

    # -- A refusal, or a failure --------------------------------------------------------------

    def _rotated_by_another(
        self, flight: Flight, basis: Token, refusal: LoginRequiredError
    ) -> Token | None:
        """Return what a program that does not use our lock has stored meanwhile; else see to it
        that siblings do not ask with *basis* again."""
        if self._is_unattended() and self._log_in is None:
            return None  # they may ask: no login of a person has ended
        login = self._flights.login
        unsaved = login.unsaved
        try:
            stored = self._kept.load()
            if stored == basis or (unsaved and unsaved.replaces in (ANYTHING, stored)):
                flight.shun = self._forget(flight, basis)
                return None
        except Exception as error:
            # Whatever the store raises, the refusal stands: the server is not asked again.
            flight.shun = _what_may_linger(basis, login)
            _log.warning("the login is over, but the store still says otherwise: %s", told(error))
            return None
        except BaseException as interrupt:
            # It goes on once it is known here what the issuer has said.
            flight.shun, flight.interrupt = _what_may_linger(basis, login), interrupt
            return None
        if stored is None:
            return None
        if self._take(stored, True).counts_as_expired(self._flights.now()):
            raise RefreshFailedError(
                "another program rotated the refresh token meanwhile; try again", retry_after=0.0
            ) from refusal
        return stored

    def _forget(self, flight: Flight, basis: Token) -> Shunned:
        """Clear the store, unless the token is used up, or another login is on its way: siblings
        would take that for a logout. Return what the store holds then."""
        if self._log_in is None and not self._lives_on(flight):
            finish(self._store.clear)
            return ()
        used_up = dataclasses.replace(basis, refresh_token=None)
        finish(lambda: self._store.save(used_up))
        return (used_up,)

    def _lives_on(self, flight: Flight) -> bool:
        """Return whether a refusal is early: the token in hand is used until it expires."""
        login = self._flights.login
        return (
            flight.why == "early"
            and login.standing is not REJECTED
            and login.has_live_token(self._flights.now())
        )

    def _is_unattended(self) -> bool:
        return self._log_in is not None or getattr(self._refresher, "unattended", False)

    def _refused(self, flight: Flight, error: LoginRequiredError, began: Now) -> str:
        """The login is over, unless nobody has to log in, or nobody has yet; return the outcome."""
        if error.reason == "no_token" and flight.began.token is None:
            # No login ends, and the store may hold one next time.
            spared = _SPARED if self._store.shared else 0.0
            return self._pause(flight, error, "permanent", began, look_beside=True, seconds=spared)
        end = refused
        if error.reason != "logged_out_elsewhere":
            if self._is_unattended():
                return self._pause(flight, error, "transient", began)
            if self._lives_on(flight):
                end = refused_early
        before, after = self._flights.change(
            lambda login, _: end(login, flight, error, shun=flight.shun)
        )
        if after is before:
            return "discarded"
        self._announce(before, after)
        if not after.is_over():
            _log.warning("the token in use is the last one: when it expires, log in: %s", error)
        return "permanent"

    def _fail(self, flight: Flight, error: TokenRefreshError, outcome: str, began: Now) -> str:
        if flight.token is not None:
            _log.warning("after the refresh: %s", error)
            return outcome
        return self._pause(flight, error, "transient", began)

    def _pause(
        self,
        flight: Flight,
        error: TokenRefreshError,
        outcome: str,
        began: Now,
        *,
        seconds: float | None = None,
        look_beside: bool = False,
    ) -> str:
        """Land *flight* without a token: nobody asks again for a while."""
        luck = self._random()

        def fail(login: Login, now: Now) -> Login:
            pause = flight.pause or pause_after(login.pause, error, seconds, now, luck)
            lasted = now.steady - began.steady
            return failed(login, flight, pause, now, lasted=lasted, look_beside=look_beside)

        before, after = self._flights.change(fail)
        if after is before or after.pause is None:
            return "discarded"
        if outcome == "transient":
            delay = max(0.0, after.pause.until - self._flights.now().steady)
            _log.warning(
                "the refresh failed; the next one in %.1f s at the earliest: %s", delay, error
            )
        return outcome

    def _adopt(self, flight: Flight, token: Token, unsaved: Unsaved | None = None) -> str:
        return self._publish(flight, self._take(token, True), unsaved, "adopted")

    def _publish(self, flight: Flight, hand: Hand, unsaved: Unsaved | None, outcome: str) -> str:
        """Make *hand* current, unless `login()` or `logout()` took the flight's place."""
        before, after = self._flights.publish(flight, hand, unsaved)
        self._announce(before, after)
        return outcome if flight.token is hand.token else "discarded"


def _what_may_linger(basis: Token, login: Login) -> Shunned:
    """Return what a store may still hold that could not be written, perhaps not for the first time:
    *basis*, what that was to replace, and what was refused before."""
    replaced = None if login.unsaved is None else login.unsaved.replaces
    before = login.kept.shun
    if isinstance(replaced, Anything) or isinstance(before, Anything):
        return ANYTHING
    return (*before, basis) if replaced is None else (*before, basis, replaced)
