"""What the store holds of the login: what is believed of it, and what is written to it.

A leader writes in the store's turn. `login()` and `logout()` write whenever they come, and what
they say counts more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from ._backoff import LONGEST_PAUSE
from ._errors import (
    LONGEST_SAID,
    LoginRequiredError,
    RefreshFailedError,
    StoreLockLostError,
    TokenRefreshError,
    TokenStoreError,
)
from ._flight import Flight, Flights
from ._foreign import plainly
from ._hand import Now
from ._login import ANYTHING, Login, Pause, Unsaved, cleared, saved
from ._token import Token
from .stores import ChecksSaving, KeepsPause, StoredPause, TokenStore

_log = logging.getLogger("requests_tokenrefresh")


class Keeping:
    """The login of this process in its store."""

    def __init__(self, flights: Flights, store: TokenStore, *, wait_timeout: float) -> None:
        self.store = store
        self._flights = flights
        self._wait_timeout = wait_timeout
        # Written by its leader: the flight inside the store's lock, which that holds for this whole
        # process, also when login() or logout() has taken the flight's place.
        self.in_turn: Flight | None = None
        # Also by a leader only: the pause that was found last, and since when it has been known.
        self._pause_seen: StoredPause | None = None
        self._seen_at = 0.0
        # Likewise: the token of which the log knows that it could not be saved. That is tried again
        # every second.
        self._told_of: Token | None = None

    def is_led_here(self) -> bool:
        """Return whether this very thread is inside the store's lock."""
        flight = self.in_turn
        return flight is not None and flight.is_led_here()

    def load(self) -> Token | None:
        """Return the stored token, if it is to be believed."""
        return self.believed(self.store.load())

    def believed(self, stored: Token | None) -> Token | None:
        """Return *stored*, unless it was refused, or is logged out."""
        believes = stored is not None and self._flights.login.kept.believes(stored)
        return stored if believes else None

    def what_follows(self, basis: Token | None) -> Unsaved:
        """Return what a token made from *basis* takes the place of in the store."""
        login = self._flights.login
        if login.unsaved is not None and basis is login.token:
            return login.unsaved
        return Unsaved(None if basis is login.kept.seed else basis)

    def newer_than(self, ours: Token, unsaved: Unsaved) -> Token | None:
        """Return what a sibling has stored that is newer than *ours*, which could not be saved.

        Whatever is neither *ours* nor what that replaces has come after it. Clocks do not tell:
        those of two machines may disagree.
        """
        if unsaved.replaces is ANYTHING:
            return None
        stored = self.load()
        if stored is None and unsaved.replaces is not None:
            raise emptied()
        return None if stored in (ours, unsaved.replaces) else stored

    def newer_after_all(self, ours: Token, unsaved: Unsaved) -> Token | None:
        """As `newer_than`; None if the store does not answer: *ours* is kept then."""
        try:
            return self.newer_than(ours, unsaved)
        except LoginRequiredError:
            raise
        except Exception:
            return None

    def ensure_can_save(self) -> None:
        """Raise what saving would, before the refresh token is spent; see `ChecksSaving`."""
        if isinstance(self.store, ChecksSaving):
            self.store.ensure_can_save()

    def pause(self, now: Now) -> Pause | None:
        """Return the pause that a sibling has been told to make, over or not; see `KeepsPause`."""
        if not isinstance(self.store, KeepsPause):
            return None
        try:
            kept = self.store.load_pause()
        except Exception as error:
            _log.warning("cannot see whether the token endpoint has a pause: %s", told(error))
            return None
        if kept is None:
            return None
        if kept != self._pause_seen:
            self._pause_seen, self._seen_at = kept, now.steady
        # The clock that has told the end may be wrong, by minutes or by years.
        left = min(kept.seconds, LONGEST_SAID) - (now.steady - self._seen_at)
        lasts = kept.until > now.wall and left > 0  # which no NaN is
        seconds = min(left, kept.until - now.wall) if lasts else 0.0
        resting = RefreshFailedError(
            "the token endpoint failed another process with this login, and is not asked again yet"
        )
        pause = Pause(resting, kept.failures, now.steady + seconds)
        if kept.until > now.wall + LONGEST_PAUSE:
            # By our clock it ends in an hour at most, also for who lives for a minute each day.
            self.keep_pause(pause, now)
        return pause

    def keep_pause(self, pause: Pause, now: Now) -> None:
        """Let siblings know of *pause*. It is advice, and no reason to fail."""
        if isinstance(self.store, KeepsPause):
            try:
                seconds = pause.until - now.steady
                kept = StoredPause(now.wall + seconds, seconds, pause.failures)
                self._pause_seen, self._seen_at = kept, now.steady
                self.store.save_pause(kept)
            except Exception as error:
                _log.warning("other processes do not learn of the pause: %s", told(error))

    def try_to_save(self, token: Token) -> bool:
        """Save *token*, and return whether that was possible."""
        try:
            finish(lambda: self.store.save(token))
        except Exception as error:
            # A new token exists nowhere else: whatever the store raises, keep it in memory.
            level = logging.DEBUG if token is self._told_of else logging.ERROR
            self._told_of = token
            _log.log(
                level,
                "a token could not be saved; it is in use, and only in memory: %s",
                told(error),
            )
            return False
        self._is_saved(token)
        return True

    def put_seed(self) -> None:
        """Put the token to start with into the store, if none has been there: who is made from a
        pickle has no other.

        Raises:
            TokenStoreError: The store does not hold it.
        """
        login = self._flights.login
        seed = login.kept.seed
        if seed is None or login.token is not None or login.over is not None:
            return
        with self.store.lock(self._wait_timeout):
            if self.store.load() is None:
                self.store.save(seed)

    def settle(self) -> None:
        """Make the store hold what `login()` or `logout()` has just made current.

        A leader inside the store's lock, whose flight has lost its place, holds it for this whole
        process: writing is atomic without it, and the leader puts right what it may write
        afterwards. One that still queues for it holds nothing, and a sibling may be about to save;
        one whose flight is under way has begun with what is current, and saves it first.

        Raises:
            TokenStoreError: The store does not hold it.
        """
        beside = self.in_turn
        try:
            if beside is not None and self._flights.flies(beside):
                beside = None
            if beside is not None:
                written = self._write_current()
                in_turn = self.in_turn
                current = self._flights.login.token
                if in_turn is beside or (in_turn is None and written is current):
                    return
                # That leader has left, and the next one has saved, perhaps before a slow write.
            with self.store.lock(self._wait_timeout):
                if self._is_to_be_saved() if beside is None else self.store.load() == written:
                    self._write_current()
        except TokenRefreshError:
            raise
        except Exception as error:
            raise _as_store_error(error) from error

    def _is_to_be_saved(self) -> bool:
        """Return whether the store may not hold what is current, of which it may hold a later one
        otherwise, by a sibling."""
        login = self._flights.login
        return login.token is None or login.unsaved is not None

    def put_right(self, flight: Flight) -> None:
        """Make the store hold what `login()` or `logout()` made current while *flight* was in turn.

        That is newer than what was written here, unless the store itself has seen to it.
        """
        # A child that was forked in here is in nobody's turn.
        displaced = flight.token is None and not self._flights.flies(flight)
        if self.in_turn is flight and displaced:
            with suppress(StoreLockLostError):
                finish(self._write_current)

    def forget(self, before: Login) -> None:
        """Clear the store of the token that *before* had in hand, and of what that takes the place
        of; what a sibling has stored since stays."""
        replaces = before.unsaved.replaces if before.unsaved else before.token
        try:
            with self.store.lock(self._wait_timeout):
                if replaces is ANYTHING or self.store.load() in (before.token, replaces):
                    self.store.clear()
                self._flights.change(_cleared)
        except Exception as error:
            _log.warning("the login is over, but the store still says otherwise: %s", told(error))

    def _write_current(self) -> Token | None:
        while True:
            token = self._flights.login.token
            if token is None:
                self.store.clear()
                self._flights.change(_cleared)
            else:
                self.store.save(token)
                self._is_saved(token)
            # Else somebody else's write may have come before this one.
            if token is self._flights.login.token:
                return token

    def _is_saved(self, token: Token) -> None:
        self._flights.change(lambda login, now: saved(login, token, now))


def _cleared(login: Login, _now: Now) -> Login:
    return cleared(login)


def finish(write: Callable[[], object]) -> None:
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


def told(error: Exception) -> TokenRefreshError:
    """Return what may be told of *error*: the message of a foreign one may repeat the token."""
    return error if isinstance(error, TokenRefreshError) else _as_store_error(error)


def _as_store_error(error: Exception) -> TokenStoreError:
    wrapped = TokenStoreError(f"the token store raised {type(error).__name__}")
    wrapped.__cause__ = plainly(error)
    return wrapped


def emptied() -> LoginRequiredError:
    return LoginRequiredError(
        "the token store has been emptied by another process, which ended the login; "
        "call login() with a new token",
        reason="logged_out_elsewhere",
    )
