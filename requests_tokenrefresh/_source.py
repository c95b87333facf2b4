"""`TokenSource`: one login, and every rule by which its token is refreshed.

This is the only file with a Condition. It does no HTTP; the adapter sends, and reports here
what became of a token.

A *flight* is one refresh and its trial. At most one is under way::

                      401 on the current token (reactive)
                      no token, or an expired one (preemptive)
                      it expires soon (early: nobody waits)
    ┌─────────┐ ─────────────────────────────────────────────▶ ┌────────────┐
    │  ready  │                                                │ refreshing │
    └─────────┘ ◀───────────────────────────────────────────── └────────────┘
         ▲         transient failure: all waiters raise,         │        │
         │         new callers fail fast until the backoff ends  │ saved, │ permanent failure,
         │                                                       │ then   │ and no unattended
         │  accepted, or no verdict within trial_timeout;        │ publish│ login
         │  preemptive and early flights have no trial           ▼        ▼
         │ ◀─────────────────────────────────────────── ┌───────┐      ┌──────┐
         │                                              │ trial │ ───▶ │ over │
         │                                              └───────┘ 401  └──────┘
         └──────────────────────── login() ────────────────────────────────┘

One thread leads: it opens the flight under `_turn`, leaves the lock for the store, the refresher
and the listeners, and comes back under `_turn` to publish. The others wait on *that* flight. A
flight's outcome is written once, before `done`, and only read afterwards, so that nobody can take
the outcome of another one for his own. `login()` and `logout()` do not wait for a flight: they
take its place (`_flight` no longer is it), and its leader discards what it brings.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import logging
import math
import os
import random as _random
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple, TypeAlias

from ._errors import (
    LoginRequiredError,
    RefreshFailedError,
    RefreshTimeoutError,
    StoreDataLostError,
    StoreLockLostError,
    StoreLockTimeoutError,
    TokenRefreshError,
    TokenStoreError,
    says_invalid_grant,
)
from ._origins import Origins
from ._token import Token
from .events import (
    Event,
    Listener,
    LoggedIn,
    LoggedOut,
    RefreshEnded,
    RefreshStarted,
    WaitEnded,
    WaitStarted,
)
from .refreshers import Refresher
from .stores import TokenStore, open_store

WhenLoggedOut: TypeAlias = Literal["raise", "return", "detach"]
_Why: TypeAlias = Literal["reactive", "preemptive", "early"]

_log = logging.getLogger("requests_tokenrefresh")

_FIRST_BACKOFF = 0.5  # seconds; doubles with every failure in a row
_LONGEST_BACKOFF = 30.0  # seconds
_FIRST_AWAKE = 4  # waiters that a landing wakes; each of them wakes the next
_LOOK_AGAIN = 1.0  # seconds until a store that was busy, failed or held nothing new is tried again


class _Ready(NamedTuple):
    """What the hot path reads: one attribute, replaced as a whole."""

    token: Token
    until: float  # epoch seconds; from then on somebody has to look


class _Flight:
    """One refresh and its trial. Written under *turn*, `done` last; read by all who wait."""

    def __init__(
        self, why: _Why, *, turn: threading.RLock, trial: bool, replaces: Token | None
    ) -> None:
        # Its waiters sleep here: where the waiters of another flight slept too, a wake-up could be
        # lost on one of them.
        self.news = threading.Condition(turn)
        self.why = why
        self.trial = trial  # whether the leader will report what became of the new token
        self.replaces = replaces
        self.leader = threading.get_ident()
        self.brought: Token | None = None  # the new one, before it is saved; by the leader only
        self.ancestor: Token | None = None  # the stored one that this was made from, if any
        self.token: Token | None = None  # the new one, saved; the trial may still be on
        self.trial_ends = math.inf  # in seconds of the monotonic clock
        self.error: TokenRefreshError | None = None
        self.done = False  # with neither token nor error: let somebody else fly


class TokenSource:
    """One login, shared safely by every thread that acts for it.

    Hand it to one or more `TokenRefreshAdapter`. All methods are safe from any thread, and after
    `os.fork` in the child too.

    Args:
        refresher: Gets a new token: a grant such as `RefreshTokenGrant`, or any callable that
            takes the current `Token` (None if there is none) and returns a `Token`, a mapping
            (read as an RFC 6749 section 5.1 reply) or the access token as a string. Called by one
            thread at a time, with no lock held. It raises `LoginRequiredError` to say that the
            login is over; anything else it raises means "try again later".
        origins: Where the token may go: ``["https://api.example.com"]``.
        token: The login to start with (`Token`, mapping or string) if the store holds none.
        store: Where the login is kept: a `TokenStore`, the path of a file, or None for memory.
        login: Called without arguments to log in again unattended, at most once per flight, when
            there is no token or the refresh was permanently refused; returns what *refresher* may
            return. Not called after `logout()`, be it here or in another process.
        leeway: Seconds before its expiry from which a token counts as expired; never more than a
            tenth of its lifetime.
        early: Seconds before its expiry from which one caller refreshes while the others go on
            with the current token; never more than a fifth of its lifetime; 0 turns it off.
        wait_timeout: Seconds a caller waits at most for another's refresh, or for the store's
            lock.
        trial_timeout: Seconds the waiters wait at most for the leader's replay; 0 means that
            nobody waits for it.
        min_refresh_interval: Seconds for which a new token that some server has accepted is not
            refreshed because of a 401.
        when_logged_out: What the adapter does with a request while the login is over: ``"raise"``
            a `LoginRequiredError`, ``"return"`` the 401 (one made here if nothing was sent), or
            ``"detach"``: send requests without a token until `login()`.
        on_logout: Called once per login with the reason it ended (`LoginRequiredError.reason`).
        listeners: Called with each event (see `requests_tokenrefresh.events`).
        clock: The time in epoch seconds, for expiry.
        monotonic: The time in seconds for measuring durations.
        random: A number from 0 to 1, for jitter.

    Raises:
        TypeError, ValueError: An argument is not what it should be.
        InsecureTransportError: An origin is plain http and not on this machine.
    """

    def __init__(
        self,
        refresher: Refresher,
        *,
        origins: Iterable[str],
        token: Token | Mapping[str, Any] | str | None = None,
        store: TokenStore | str | os.PathLike[str] | None = None,
        login: Callable[[], Token | Mapping[str, Any] | str] | None = None,
        leeway: float = 10.0,
        early: float = 300.0,
        wait_timeout: float = 30.0,
        trial_timeout: float = 1.0,
        min_refresh_interval: float = 1.0,
        when_logged_out: WhenLoggedOut = "raise",
        on_logout: Callable[[str], object] | None = None,
        listeners: Iterable[Listener] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random.random,
    ) -> None:
        _check_callable("refresher", refresher, "a grant, or a function that takes a Token")
        for name, function in (("login", login), ("on_logout", on_logout)):
            if function is not None:
                _check_callable(name, function, "a function, or None")
        if when_logged_out not in ("raise", "return", "detach"):
            raise ValueError(
                f"when_logged_out is 'raise', 'return' or 'detach', got {when_logged_out!r}"
            )
        self.origins = Origins(origins)
        self.when_logged_out: WhenLoggedOut = when_logged_out
        self._refresher = refresher
        self._store = open_store(store)
        self._log_in = login
        self._leeway = _check_seconds("leeway", leeway)
        self._early = _check_seconds("early", early)
        self._wait_timeout = _check_seconds("wait_timeout", wait_timeout)
        self._trial_timeout = _check_seconds("trial_timeout", trial_timeout)
        self._min_refresh_interval = _check_seconds("min_refresh_interval", min_refresh_interval)
        self._on_logout = on_logout
        self._listeners = tuple(listeners)
        self._clock = clock
        self._monotonic = monotonic
        self._random = random

        self._turn = threading.RLock()
        # Read without _turn, replaced under it. None: look further.
        self._ready: _Ready | None = None
        # Read without _turn by its leader ("is it still mine?"), written under it. None: nobody
        # is refreshing.
        self._flight: _Flight | None = None
        # All of these are written under _turn; a leader, and who is about to look into the store,
        # reads some of them without.
        self._token: Token | None = None  # the current one, usable or not
        self._born = -math.inf  # when it was issued, in monotonic seconds, if it is known to be new
        self._early_from = math.inf  # when its early window opens, in epoch seconds
        self._look_at = math.inf  # when somebody has something to do about it, in epoch seconds
        self._rejected: Token | None = None  # the current one, once a server has answered 401
        self._proven: Token | None = None  # the last one a server accepted; also read without
        self._over: LoginRequiredError | None = None  # why there is no login, until login()
        self._failures = 0  # transient ones, in a row
        self._failure: TokenRefreshError | None = None  # the last of them
        self._retry_at = -math.inf  # in monotonic seconds; before it nobody asks again
        self._unsaved: Token | None = None  # the current one, as long as save() fails
        # The stored one that it takes the place of; None: whatever is stored.
        self._unsaved_ancestor: Token | None = None
        self._look_beside_at = -math.inf  # in monotonic seconds; when nothing else helps

        # The current one, if a refresh brought it; what was stored or passed in may be any age.
        self._issued: Token | None = None
        # Whether the store has held a login: if it is empty then, somebody else has ended it. One
        # that comes by login() is not looked for there before it has been saved.
        self._was_stored = False
        # While the login is over: whether the store may hold it still, so that a look would undo a
        # logout or a refusal.
        self._may_linger = False
        # What the token endpoint refused for good, if the store may hold it still: the next flight,
        # for an unattended login, would take it for a sibling's.
        self._refused: Token | None = None
        # For the first flight, if the store holds nothing.
        self._seed = None if token is None else self._read(token, previous=None)

        # Written by its leader: the flight inside the store's lock, which that holds for this whole
        # process, also when login() or logout() has taken the flight's place.
        self._in_turn: _Flight | None = None

        _sources.add(self)

    def __repr__(self) -> str:
        state = "over" if self._over is not None else "refreshing" if self._flight else "ready"
        return f"<TokenSource for {', '.join(self.origins.origins)}: {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._store.shared:
            raise TypeError(
                "a TokenSource that keeps its login in memory does not pickle: two processes would "
                "refresh with the same refresh token, and the server may revoke the login. Give it "
                "a store that processes share, such as store=FileTokenStore(path)"
            )
        configuration: dict[str, Any] = {
            "origins": self.origins.origins,
            "store": self._store,
            "login": self._log_in,
            "leeway": self._leeway,
            "early": self._early,
            "wait_timeout": self._wait_timeout,
            "trial_timeout": self._trial_timeout,
            "min_refresh_interval": self._min_refresh_interval,
            "when_logged_out": self.when_logged_out,
            "on_logout": self._on_logout,
            "listeners": self._listeners,
            "clock": self._clock,
            "monotonic": self._monotonic,
            "random": self._random,
        }
        return functools.partial(type(self), **configuration), (self._refresher,)

    # -- What anybody may call ------------------------------------------------------------------

    def token(self) -> Token:
        """Return a token that can be sent now, refreshing or waiting for a refresh if need be.

        Takes no lock while the current token is good. Otherwise blocks for one refresh, and at
        most *wait_timeout* seconds for somebody else's.

        Raises:
            LoginRequiredError: The login is over, or nobody has logged in.
            RefreshFailedError: No new token can be had now.
            RefreshTimeoutError: Somebody else's refresh took too long.
            TokenStoreError: The store failed.
        """
        ready = self._ready
        if ready is not None and self._clock() < ready.until:
            return ready.token
        return self._token_off_the_hot_path()

    def refresh(self, rejected: Token) -> Token:
        """Return a token other than *rejected*, refreshing at most once for all callers.

        *rejected* is the object that `token()` returned: if the current token already is another,
        that one is returned at once, so a late 401 refreshes nothing. Blocks as `token()` does.

        Raises:
            TypeError: *rejected* is not a `Token`.
            LoginRequiredError, RefreshFailedError, RefreshTimeoutError, TokenStoreError: As
                `token()`.
        """
        if not isinstance(rejected, Token):
            raise TypeError(
                f"rejected is the Token object that token() returned, got {type(rejected).__name__}"
            )
        with self._turn:
            self._mark_rejected(rejected)
        return self._join_or_lead("reactive", trial=False)

    def login(self, token: Token | Mapping[str, Any] | str) -> None:
        """Begin a login with *token*, whatever became of the one before.

        A refresh that is under way for the old login is discarded, and its waiters get *token*.

        Raises:
            ValueError: *token* is not usable; the login before goes on.
            TokenStoreError: *token* is in use, and saving it is tried again later, but for now it
                is only in memory.
        """
        fresh = self._read(token, previous=None)
        with self._turn:
            flight = self._flight
            self._over = None
            self._make_current(fresh, unsaved=fresh)
            self._make_ready()
            if flight is not None:
                self._land(flight)
        self.tell(LoggedIn)
        self._settle_store()

    def logout(self) -> None:
        """End the login: wake all waiters with `LoginRequiredError`, and clear the store.

        What a refresh under way brings is discarded. Does nothing to a login that is over already,
        except to clear the store again.

        Raises:
            TokenStoreError: The login is over here, but the store could not be cleared.
        """
        error = LoginRequiredError(
            "logged out by logout(); call login() with a new token", reason="logged_out"
        )
        with self._turn:
            ended = self._end_login(error)
            self._may_linger = True
        try:
            self._settle_store()
        finally:
            if ended:
                self._announce_logout(error)

    # -- What the adapter reports ---------------------------------------------------------------

    def accept(self, token: Token) -> None:
        """A server took *token*: it is proven, and a trial of it is over."""
        if token is self._proven:
            return
        with self._turn:
            if token is self._token:
                self._proven = token
            self._end_trial(token)

    def trusts(self, token: Token) -> bool:
        """Return whether a 401 to *token* is that resource's own answer.

        It is if the token is proven, not stale, and younger than *min_refresh_interval*: one
        forbidden endpoint shall not drive the token endpoint.
        """
        with self._turn:
            young = self._monotonic() - self._born < self._min_refresh_interval
            return young and token is self._proven and not self._is_stale(token)

    def reject(self, token: Token) -> Token:
        """A server answered 401 to *token*: return the one to replay the request with.

        As `refresh`, and whoever leads the flight owes it a verdict on the new token, for which
        the others wait: `accept`, `refuse` or `give_up`.

        Raises:
            LoginRequiredError, RefreshFailedError, RefreshTimeoutError, TokenStoreError: As
                `token()`.
        """
        with self._turn:
            self._mark_rejected(token)
        return self._join_or_lead("reactive", trial=True)

    def refuse(self, token: Token) -> bool:
        """A server answered 401 to a replay with *token*: return whether another flight may help.

        It may if the token is stale by now, or was not issued for this flight but found in the
        store, where it may have grown old. If it is proven, the answer is that resource's own.
        Otherwise a new token was no better than the old one.

        Raises:
            LoginRequiredError: ... and with this the login is over.
        """
        with self._turn:
            if self._is_stale(token):
                self._end_trial(token)
                return True
            if token is self._proven:
                return False
            if token is not self._issued:
                self._mark_rejected(token)
                return True
            error = LoginRequiredError(
                "the refresh gave a new token, and the server refused it at its first use; "
                "call login() with a new token",
                reason="trial_refused",
            )
            ancestor = self._unsaved_ancestor
            replaces_all = self._unsaved is token and ancestor is None
            self._end_login(error)
            self._may_linger = True
        self._forget(token, ancestor, replaces_all=replaces_all)
        self._announce_logout(error)
        raise copy.copy(error) from error

    def give_up(self, token: Token) -> None:
        """The answer says nothing of *token*, or there was none: its trial has no verdict."""
        with self._turn:
            self._end_trial(token)

    def on_trial(self, token: Token) -> bool:
        """Return whether *token* waits for its verdict."""
        flight = self._flight
        return flight is not None and flight.token is token

    def refreshing_here(self) -> bool:
        """Return whether this very thread is inside the refresher (or the store)."""
        here = threading.get_ident()
        flight, in_turn = self._flight, self._in_turn
        if in_turn is not None and in_turn.leader == here:
            return True
        return flight is not None and flight.token is None and flight.leader == here

    def tell(self, event: Callable[..., Event], **facts: Any) -> None:
        """Tell the listeners of *event*, which happens now on this thread."""
        if not self._listeners:
            return
        news = event(at=self._monotonic(), thread=threading.current_thread().name, **facts)
        for listener in self._listeners:
            try:
                listener(news)
            except Exception:
                _log.exception("a listener raised; the event was %r", news)

    # -- Getting a token: as a waiter, or as the leader -----------------------------------------

    def _token_off_the_hot_path(self) -> Token:
        with self._handing_over():
            with self._turn:
                flight = None if self._good_token() is None else self._open_early_flight()
            if flight is not None:
                self._lead(flight)
                _raise_shared(flight.error)
        return self._token_in_need()

    def _token_in_need(self) -> Token:
        try:
            return self._join_or_lead("preemptive", trial=False)
        except (RefreshFailedError, RefreshTimeoutError, TokenStoreError):
            # Counting as expired is not being expired: the last seconds of a token are better
            # than none.
            token = self._token_within_leeway()
            if token is None:
                raise
            return token

    def _join_or_lead(self, why: _Why, *, trial: bool) -> Token:
        deadline = self._monotonic() + self._wait_timeout
        self._look_for_a_siblings_token()
        while True:
            with self._handing_over():
                with self._turn:
                    _raise_shared(self._over)
                    token = self._good_token()
                    if token is not None:
                        return token
                    flight = self._flight
                    leading = flight is None
                    if flight is None:
                        self._raise_if_backing_off()
                        flight = self._open_flight(why, trial=trial)
                if leading:
                    self._lead(flight)
                else:
                    self._wait(flight, deadline)
            _raise_shared(flight.error)
            newest = self._newest(flight)
            if newest is not None:
                return newest
            # It ended with nothing: its leader was interrupted, it was an early one that gave way,
            # its token was an old one, or login() took its place. Look again.

    def _look_for_a_siblings_token(self) -> None:
        """While the login is over, or refreshing fails: go on with what another process has stored
        since, looking for it once a second."""
        over, failure = self._over, self._failure
        if (over is None and failure is None) or not self._store.shared:
            return
        with self._turn:
            if not self._look_may_help() or self._monotonic() < self._look_beside_at:
                return
            self._look_beside_at = self._monotonic() + _LOOK_AGAIN
        try:
            stored = self._load()
        except Exception as error:
            _log.warning("cannot see what another process has stored: %s", _told(error))
            return
        if stored is None:
            return
        with self._turn:
            if over is not self._over or failure is not self._failure:
                return
            if over is None and not self._is_news(stored, self._token):
                return
            self._over = None
            self._make_current(stored, unsaved=None)
            self._make_ready()
        if over is not None:
            self.tell(LoggedIn)

    def _newest(self, flight: _Flight) -> Token | None:
        """Return what *flight* brought, or what has come after it; None if that is on its way."""
        ready = self._ready
        if ready is not None:
            return None if self._counts_as_expired(ready.token) else ready.token
        replaced = flight.token is not self._token or flight.token is self._rejected
        return None if replaced else flight.token

    def _wait(self, flight: _Flight, deadline: float) -> None:
        if flight.leader == threading.get_ident():
            _refuse_to_wait_for_oneself(flight)
            return
        started = self._monotonic()
        self.tell(WaitStarted)
        try:
            with self._turn:
                self._wait_for_landing(flight, deadline)
        finally:
            self.tell(WaitEnded, seconds=self._monotonic() - started)

    def _wait_for_landing(self, flight: _Flight, deadline: float) -> None:
        # A new token wakes one waiter, who keeps the time of its trial for all. Whoever leaves
        # wakes the next: hundreds of threads that wake at once fight for the interpreter, and that
        # costs a storm more than the refresh does.
        try:
            if not flight.news.wait_for(
                lambda: flight.done or flight.token is not None, deadline - self._monotonic()
            ):
                raise RefreshTimeoutError(
                    f"no new access token after waiting {self._wait_timeout:g} s for another "
                    "thread's refresh; raise wait_timeout if the token endpoint is that slow"
                )
            ends = min(flight.trial_ends, deadline)
            landed = flight.news.wait_for(lambda: flight.done, ends - self._monotonic())
            if not landed and ends == flight.trial_ends:
                self._land(flight)  # no verdict in time
        finally:
            flight.news.notify()

    # -- Leading a flight: no lock is held here except the store's --------------------------------

    def _lead(self, flight: _Flight) -> None:
        """Fly, and see to it that the flight ends whatever happens."""
        outcome = "abandoned"
        try:
            self.tell(RefreshStarted, why=flight.why)
            outcome = self._fly(flight)
        finally:
            # Interrupted, or a store's lock has swallowed what was raised inside it; one that ended
            # in any other way is not under way any more.
            if outcome == "abandoned" or flight.token is None:
                self._abandon(flight)
            self.tell(RefreshEnded, outcome=outcome)

    @contextmanager
    def _handing_over(self) -> Iterator[None]:
        """Let a waiter take over if this thread is interrupted (KeyboardInterrupt, or whatever a
        signal handler raises) anywhere between opening a flight and the end of its refresh."""
        before = self._flight
        try:
            yield
        except BaseException:
            flight = self._flight
            # One that was under way before belongs to a call further out, which may go on: that of
            # a refresher that asks its own source, and is refused.
            opened_here = flight is not before
            if flight is not None and opened_here and flight.leader == threading.get_ident():
                self._abandon(flight)
            raise

    def _abandon(self, flight: _Flight) -> None:
        with self._turn:
            if flight is not self._flight:
                return
            if flight.why == "early":
                self._look_at = self._clock() + _LOOK_AGAIN
            if flight.token is None and flight.brought is not None:
                # It exists nowhere else, as far as is known.
                self._make_current(flight.brought, unsaved=flight.brought, ancestor=flight.ancestor)
                self._issued = flight.brought
            self._land(flight)

    def _fly(self, flight: _Flight) -> str:
        outcome = "transient"
        try:
            if self._adopt_at_a_glance(flight):
                return "adopted"
            if flight is not self._flight:
                return "discarded"  # login() or logout(), during the glance
            with self._store.lock(0.0 if flight.why == "early" else self._wait_timeout):
                if flight is not self._flight:
                    return "discarded"  # ... while the lock was somebody else's: nothing is ours
                self._in_turn = flight
                try:
                    outcome = self._refresh_in_turn(flight)
                finally:
                    try:
                        self._put_right(flight)
                    finally:
                        self._in_turn = None
        except LoginRequiredError as error:
            outcome = "permanent" if self._fail_for_good(flight, error) else "discarded"
        except Exception as error:
            if flight.why == "early" and isinstance(error, StoreLockTimeoutError):
                outcome = "skipped"  # a sibling is refreshing
            elif self._adopt_after_all(flight):
                outcome = "adopted"
            elif not self._fail_for_now(flight, _told(error)) and outcome == "transient":
                outcome = "discarded"
        if outcome == "skipped":
            self._give_way(flight)
        return outcome

    def _adopt_at_a_glance(self, flight: _Flight) -> bool:
        """Adopt what a sibling has left in the store already, without queueing for the lock."""
        if not self._store.shared or self._unsaved is not None:
            return False
        try:
            stored = self._load()
        except StoreDataLostError:
            return False
        if stored is None or not self._is_news(stored, flight.replaces):
            return False
        return self._adopt(flight, stored) == "adopted"

    def _adopt_after_all(self, flight: _Flight) -> bool:
        """Adopt what a sibling has left in the store while this flight was failing."""
        try:
            return flight.token is None and self._adopt_at_a_glance(flight)
        except Exception:
            return False  # the flight has failed already, for a better reason

    def _refresh_in_turn(self, flight: _Flight) -> str:
        """Adopt what a sibling has left in the store, else refresh; save, then publish."""
        basis = self._basis(flight)
        if flight is not self._flight:
            return "discarded"  # or *basis* would be the refresh token of the login() just made
        if basis is not None and self._is_news(basis, flight.replaces):
            # The login to start with is in no store yet.
            saved = basis is not self._seed or self._try_to_save(basis)
            return self._adopt(flight, basis, unsaved=None if saved else basis)
        if flight.why == "early" and self._clock() < self._early_from:
            return "skipped"  # saving was what this one was for
        never_saved = basis is not None and basis is self._unsaved
        ancestor = self._unsaved_ancestor if never_saved else basis
        token, outcome = self._renewed(flight, basis)
        if outcome == "adopted":
            return self._adopt(flight, token)
        flight.brought, flight.ancestor = token, ancestor
        if flight is not self._flight:
            return "discarded"
        # The server may revoke the whole login when it sees an old refresh token again (RFC 9700
        # section 4.14.2), so the new one is saved before anybody can use it.
        saved = self._try_to_save(token)
        newer = None if saved else self._newer_after_all(token, ancestor)
        if newer is not None:
            return self._adopt(flight, newer)
        unsaved = None if saved else token
        published = self._publish(flight, token, unsaved=unsaved, ancestor=ancestor, issued=True)
        return outcome if published else "discarded"

    def _basis(self, flight: _Flight) -> Token | None:
        """Return the token to refresh with: the store's, which siblings keep up to date, or ours,
        if that is newer and could not be saved yet."""
        pending = self._unsaved
        if pending is not None:
            try:
                newer = self._newer_in_store(pending, self._unsaved_ancestor)
            except StoreDataLostError:
                newer = None
            if newer is None:
                self._try_to_save(pending)
            return newer or pending
        try:
            stored = self._load()
        except StoreDataLostError:
            basis = flight.replaces or self._seed
            if basis is None or basis.refresh_token is None:
                return basis
            # A sibling may have used the refresh token that we know (RFC 9700 section 4.14.2).
            if self._log_in is None:
                raise
            return None
        if stored is None:
            self._raise_if_emptied()
            return flight.replaces or self._seed
        return stored

    def _newer_in_store(self, ours: Token, ancestor: Token | None) -> Token | None:
        """Return what a sibling has stored that is newer than *ours*, which could not be saved.

        *ours* takes the place of its *ancestor*, None if that is whatever is stored: a login.
        Anything else has come after it. Clocks do not tell: those of two machines may disagree.
        """
        if ancestor is None:
            return None
        stored = self._load()
        if stored is None:
            self._raise_if_emptied()
        return None if stored in (ours, ancestor) else stored

    def _newer_after_all(self, ours: Token, ancestor: Token | None) -> Token | None:
        """As `_newer_in_store`; None if the store does not answer: it is asked again before *ours*
        is saved."""
        try:
            return self._newer_in_store(ours, ancestor)
        except LoginRequiredError:
            raise
        except Exception:
            return None

    def _load(self) -> Token | None:
        stored = self._store.load()
        with self._turn:
            if stored is None or stored == self._refused:
                return None
            self._was_stored = True
        return stored

    def _raise_if_emptied(self) -> None:
        if not self._was_stored:
            return
        raise LoginRequiredError(
            "the token store has been emptied by another process, which ended the login; "
            "call login() with a new token",
            reason="logged_out_elsewhere",
        )

    def _is_news(self, basis: Token, replaces: Token | None) -> bool:
        if self._counts_as_expired(basis):
            return False
        return replaces is None or basis.access_token != replaces.access_token

    def _renewed(self, flight: _Flight, basis: Token | None) -> tuple[Token, str]:
        if basis is None and self._log_in is not None:
            return self._ask(self._log_in, None), "logged_in"
        try:
            return self._ask(functools.partial(self._refresher, basis), basis), "refreshed"
        except LoginRequiredError as refusal:
            rotated = None if basis is None else self._after_refusal(flight, basis, refusal)
            if rotated is not None:
                return rotated, "adopted"
            if self._log_in is None or not self._drop_token(flight):
                raise
        return self._ask(self._log_in, None), "logged_in"

    def _ask(
        self, ask: Callable[[], Token | Mapping[str, Any] | str], basis: Token | None
    ) -> Token:
        # From before the request: the lifetime began when the server made its reply, so this
        # expiry is never later than the server's.
        asked_at = self._clock()
        try:
            token = self._read(ask(), previous=basis, received_at=asked_at)
        except TokenRefreshError:
            raise
        except Exception as error:
            if says_invalid_grant(error):
                raise LoginRequiredError(
                    "the token endpoint refused the refresh token (invalid_grant); log in again",
                    reason="invalid_grant",
                ) from error
            # Not its message, which may repeat a URL or a form with secrets in it.
            raise RefreshFailedError(
                f"{type(error).__name__} while getting a new token"
                + ("" if basis is not None else " without an old one (nobody has logged in yet?)")
            ) from error
        if not self._counts_as_expired(token):
            return token
        _log.warning("a new token has expired on arrival: do the clocks disagree? Using it anyway")
        return dataclasses.replace(token, expires_at=None)

    def _after_refusal(
        self, flight: _Flight, basis: Token, refusal: LoginRequiredError
    ) -> Token | None:
        """Return what a sibling that does not use our lock has rotated to, or clear the store."""
        try:
            stored = self._load()
            never_saved = basis is self._unsaved
            if stored == basis or (never_saved and self._unsaved_ancestor in (None, stored)):
                # So that siblings learn it without asking the server again.
                self._store.clear()
                stored = None
        except Exception as error:
            # Whatever the store raises, the refusal stands: the server is not asked again.
            with self._turn:
                if flight is self._flight:
                    self._may_linger = True
                    self._refused = basis
            _log.warning("the login is over, but the store still says otherwise: %s", _told(error))
            return None
        if stored is None:
            return None
        if self._counts_as_expired(stored):
            raise RefreshFailedError(
                "another program rotated the refresh token meanwhile; try again", retry_after=0.0
            ) from refusal
        return stored

    def _adopt(self, flight: _Flight, token: Token, *, unsaved: Token | None = None) -> str:
        published = self._publish(flight, token, unsaved=unsaved, issued=False)
        return "adopted" if published else "discarded"

    def _publish(
        self,
        flight: _Flight,
        token: Token,
        *,
        unsaved: Token | None,
        ancestor: Token | None = None,
        issued: bool,
    ) -> bool:
        """Make *token* current, unless `login()` or `logout()` took the flight's place."""
        with self._turn:
            if flight is not self._flight:
                return False
            self._make_current(token, unsaved=unsaved, ancestor=ancestor)
            self._issued = token if issued else None
            # An adopted one has an age already; a login's is anybody's guess.
            self._born = self._monotonic() - max(0.0, self._clock() - (token.issued_at or 0.0))
            flight.token = token
            if flight.trial and self._trial_timeout > 0:
                flight.trial_ends = self._monotonic() + self._trial_timeout
                flight.news.notify()
            else:
                self._land(flight)
            return True

    def _fail_for_good(self, flight: _Flight, error: LoginRequiredError) -> bool:
        with self._turn:
            if flight is not self._flight:
                return False
            if error.reason == "no_token" and flight.replaces is None:
                # Nobody has logged in, so no login ends, and the store may hold one next time.
                flight.error = error
                if self._store.shared:  # others use it too: spare it
                    self._failure = error
                    self._retry_at = self._look_beside_at = self._monotonic() + _LOOK_AGAIN
                self._land(flight)
                return True
            self._end_login(error)
        self._announce_logout(error)
        return True

    def _fail_for_now(self, flight: _Flight, error: TokenRefreshError) -> bool:
        with self._turn:
            if flight is not self._flight or flight.token is not None:
                _log.warning("after the refresh: %s", error)
                return False
            delay = self._back_off(error)
            if flight.why == "early":
                self._look_at = self._clock() + delay  # the old token works, and nobody sees it
            else:
                flight.error = error
            self._land(flight)
        _log.warning("the refresh failed; the next one in %.1f s at the earliest: %s", delay, error)
        return True

    def _give_way(self, flight: _Flight) -> None:
        """End an early flight that asked nobody; the current token goes on."""
        with self._turn:
            if flight is not self._flight:
                return
            if self._unsaved is not None or self._clock() >= self._early_from:
                self._look_at = self._clock() + _LOOK_AGAIN
            self._land(flight)

    def _drop_token(self, flight: _Flight) -> bool:
        """Forget a refused token: whatever becomes of the unattended login, it is not tried again.

        Return whether there is to be one: not after `login()` or `logout()`.
        """
        with self._turn:
            if flight is not self._flight:
                return False
            self._token = self._unsaved = self._seed = self._ready = None
            self._was_stored = False
            return True

    def _try_to_save(self, token: Token) -> bool:
        try:
            _finish(lambda: self._store.save(token))
        except Exception as error:
            # A new token exists nowhere else: whatever the store raises, keep it in memory.
            _log.error(
                "a token could not be saved; it is in use, and only in memory: %s", _told(error)
            )
            return False
        self._saved(token)
        return True

    def _saved(self, token: Token) -> None:
        with self._turn:
            self._was_stored = True
            if self._over is not None:  # logout() has come meanwhile
                self._may_linger = True
            if self._unsaved is token:
                self._unsaved = None
                self._look_at = self._early_from
                self._make_ready()

    def _settle_store(self) -> None:
        """Make the store hold what `login()` or `logout()` has just made current.

        A leader inside the store's lock holds it for this whole process: writing is atomic without
        it, and the leader puts right what it may write afterwards. One that still queues for it
        holds nothing, and a sibling may be about to save.
        """
        beside = self._in_turn
        try:
            if beside is not None:
                written = self._write_current()
                in_turn = self._in_turn
                if in_turn is beside or (in_turn is None and written is self._token):
                    return
                # That leader has left, and the next one has saved, perhaps before a slow write.
            with self._store.lock(self._wait_timeout):
                if beside is None or self._store.load() == written:
                    self._write_current()
        except TokenRefreshError:
            raise
        except Exception as error:
            raise _as_store_error(error) from error

    def _put_right(self, flight: _Flight) -> None:
        """Make the store hold what `login()` or `logout()` made current while *flight* was in turn.

        That is newer than what was written here, unless the store itself has seen to it.
        """
        # A child that was forked in here is in nobody's turn.
        if self._in_turn is flight and flight is not self._flight and flight.token is None:
            with suppress(StoreLockLostError):
                _finish(self._write_current)

    def _write_current(self) -> Token | None:
        while True:
            token = self._token
            if token is None:
                self._store.clear()
                with self._turn:
                    self._may_linger = False
            else:
                self._store.save(token)
                self._saved(token)
            if token is self._token:  # else somebody else's write may have come before this one
                return token

    def _forget(self, token: Token, ancestor: Token | None, *, replaces_all: bool) -> None:
        """Clear the store of *token*, or of its ancestor if it never got there: whatever is stored,
        if it *replaces_all*."""
        try:
            with self._store.lock(self._wait_timeout):
                if self._store.load() in (token, ancestor) or replaces_all:
                    self._store.clear()
                with self._turn:
                    self._may_linger = False
        except Exception as error:
            _log.warning("the login is over, but the store still says otherwise: %s", _told(error))

    def _announce_logout(self, error: LoginRequiredError) -> None:
        _log.info("logged out: %s", error)
        self.tell(LoggedOut, reason=error.reason)
        if self._on_logout is not None:
            try:
                self._on_logout(error.reason)
            except Exception:
                _log.exception("on_logout raised")

    # -- The state: everything below is called with _turn held ------------------------------------

    def _open_flight(self, why: _Why, *, trial: bool) -> _Flight:
        self._flight = _Flight(why, turn=self._turn, trial=trial, replaces=self._token)
        return self._flight

    def _open_early_flight(self) -> _Flight | None:
        """Open one if it is time and nobody else has; the others have their hot path back."""
        flight = None
        if self._flight is None and self._clock() >= self._look_at:
            self._look_at = math.inf  # until the outcome of this one
            flight = self._open_flight("early", trial=False)
        self._make_ready()
        return flight

    def _land(self, flight: _Flight) -> None:
        """End the flight under way. One that is done is no longer `_flight`, and the reverse."""
        flight.done = True
        self._flight = None
        self._make_ready()
        flight.news.notify(_FIRST_AWAKE)

    def _end_trial(self, token: Token) -> None:
        flight = self._flight
        if flight is not None and flight.token is token:
            self._land(flight)

    def _end_login(self, error: LoginRequiredError) -> bool:
        """Latch *error* until `login()`; return False if the login was over already."""
        if self._over is not None:
            self._over = copy.copy(self._over)  # a look for a new login under way was too early
            return False
        self._over = error
        self._token = self._unsaved = None
        self._make_ready()
        flight = self._flight
        if flight is not None:
            flight.error = error
            self._land(flight)
        return True

    def _make_current(
        self, token: Token, *, unsaved: Token | None, ancestor: Token | None = None
    ) -> None:
        self._token = token
        self._ready = None  # until it lands: what it held is old
        self._born = -math.inf
        self._seed = self._rejected = self._issued = self._refused = None
        self._unsaved, self._unsaved_ancestor = unsaved, ancestor
        self._may_linger = False
        self._failures, self._failure, self._retry_at = 0, None, -math.inf
        self._early_from = self._look_at = self._early_window_opens(token)
        if unsaved is not None:
            self._look_at = min(self._look_at, self._clock() + _LOOK_AGAIN)

    def _make_ready(self) -> None:
        token = self._token
        if token is None or token is self._rejected:
            self._ready = None
        else:
            self._ready = _Ready(token, min(self._expires_for_us(token), self._look_at))

    def _mark_rejected(self, token: Token) -> None:
        if token is self._token:
            self._rejected = token
            self._make_ready()
            self._end_trial(token)

    def _look_may_help(self) -> bool:
        """Return whether a token of another process would be news."""
        if self._in_turn is not None:
            return False  # its leader may be about to save a token of the login that is over
        if self._over is not None:
            return not self._may_linger
        backs_off = self._good_token() is None and self._back_off_ends_in() > 0
        return backs_off and self._unsaved is None

    def _good_token(self) -> Token | None:
        """Return the current token if nobody has to wait for another."""
        token = self._token
        if token is None or token is self._rejected or self._counts_as_expired(token):
            return None
        flight = self._flight
        return token if flight is None or flight.why == "early" else None

    def _is_stale(self, token: Token) -> bool:
        """Return whether *token* has expired, or been rejected or replaced, or is being replaced.

        An early refresh counts as well: many a server revokes the old access token at the moment
        it issues the new one.
        """
        being_replaced = self._flight is not None and not self.on_trial(token)
        replaced = token is not self._token or token is self._rejected
        return being_replaced or replaced or self._counts_as_expired(token)

    def _token_within_leeway(self) -> Token | None:
        with self._turn:
            token = self._token
            if token is None or token is self._rejected:
                return None
            dead = token.expires_at is not None and self._clock() >= token.expires_at
            return None if dead else token

    def _back_off(self, error: TokenRefreshError) -> float:
        """Count a transient failure; return the seconds before the next attempt."""
        longest = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(self._failures, 30))
        self._failures += 1
        said = error.retry_after if isinstance(error, RefreshFailedError) else None
        delay = longest * self._random() if said is None else said
        if isinstance(error, RefreshFailedError):
            error.retry_after = delay
        self._failure = error
        self._retry_at = self._monotonic() + delay
        return delay

    def _back_off_ends_in(self) -> float:
        """Return the seconds until somebody may ask again."""
        return self._retry_at - self._monotonic()

    def _raise_if_backing_off(self) -> None:
        remaining = self._back_off_ends_in()
        if self._failure is None or remaining <= 0:
            return
        own = copy.copy(self._failure)
        if isinstance(own, RefreshFailedError):
            own.retry_after = remaining
        raise own from (self._failure.__cause__ or self._failure)

    # -- Expiry, in epoch seconds -----------------------------------------------------------------

    def _counts_as_expired(self, token: Token) -> bool:
        return self._clock() >= self._expires_for_us(token)

    def _expires_for_us(self, token: Token) -> float:
        if token.expires_at is None:
            return math.inf
        return token.expires_at - min(self._leeway, (token.lifetime or 0.0) / 10)

    def _early_window_opens(self, token: Token) -> float:
        if token.expires_at is None:
            return math.inf
        window = min(self._early, (token.lifetime or 0.0) / 5)
        # Between the whole window and half of it: processes that share a login do not all look
        # at the same moment.
        return token.expires_at - window * (1 - self._random() / 2)

    def _read(
        self,
        reply: Token | Mapping[str, Any] | str,
        *,
        previous: Token | None,
        received_at: float | None = None,
    ) -> Token:
        """Return a `Token` object that nobody else has: its identity is its generation."""
        now = self._clock() if received_at is None else received_at
        if isinstance(reply, str):
            reply = {"access_token": reply}
        if not isinstance(reply, Token):
            return Token.from_mapping(reply, received_at=now, previous=previous)
        kept = previous.refresh_token if previous is not None else None
        return dataclasses.replace(
            reply,
            refresh_token=reply.refresh_token or kept,
            issued_at=now if reply.issued_at is None else reply.issued_at,
        )


def _raise_shared(error: TokenRefreshError | None) -> None:
    """Raise this thread's own copy of *error*: one object would collect everybody's traceback."""
    if error is not None:
        raise copy.copy(error) from (error.__cause__ or error)


def _finish(write: Callable[[], object]) -> None:
    """Call *write*, and if it is interrupted (KeyboardInterrupt and the like) once more before that
    goes on: what the store does not hold is lost with the process, and so is the login."""
    try:
        write()
    except Exception:
        raise
    except BaseException:
        with suppress(Exception):
            write()
        raise


def _refuse_to_wait_for_oneself(flight: _Flight) -> None:
    if flight.token is None:
        raise RefreshFailedError(
            "the refresher asked for the very token that it was called to get; it must work "
            "without one"
        )


def _told(error: Exception) -> TokenRefreshError:
    """Return what may be told of *error*: the message of a foreign one may repeat the token."""
    return error if isinstance(error, TokenRefreshError) else _as_store_error(error)


def _as_store_error(error: Exception) -> TokenStoreError:
    wrapped = TokenStoreError(f"the token store raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped


def _check_callable(name: str, value: object, wanted: str) -> None:
    if not callable(value):
        raise TypeError(f"{name} is {wanted}, got {type(value).__name__}")


def _check_seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number of seconds, got {type(value).__name__}")
    if not 0 <= value <= threading.TIMEOUT_MAX:
        raise ValueError(f"{name} is a number of seconds, 0 or more, got {value!r}")
    return float(value)


_sources: weakref.WeakSet[TokenSource] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    # The leader and the waiters stayed in the parent, one of them perhaps with the lock.
    for source in _sources:
        source._turn = threading.RLock()
        source._flight = source._in_turn = None
        source._look_at = source._early_from if source._unsaved is None else -math.inf
        source._make_ready()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows has none
    os.register_at_fork(after_in_child=_after_fork_in_child)
