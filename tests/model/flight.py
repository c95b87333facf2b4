"""What the one caller does to get another token: look into the store, ask the issuer, save.

In this order: adopt what another process has left in the store at a glance; take the store's lock,
and look again; ask with what is stored; save what is brought; use it. A refusal is the issuer's
last word on a refresh token. Anything else that goes wrong is for now.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from requests_tokenrefresh import (
    LoginRequiredError,
    RefreshFailedError,
    StoreDataLostError,
    StoreLockTimeoutError,
    Token,
)
from tests.model.words import Held, Standing, Unsaved, dead_at
from tests.model.world import ExpectedError, it_is_over

if TYPE_CHECKING:
    from tests.model.login import Login


class Flight:
    """One refresh of *login*.

    Args:
        held: What its caller has to say of a token, if anything.
        asked_by: Whose 401 asks for it, if nothing else does; see `Login`.
        early: It is before there is any need: the token in hand is in its early window, or is to be
            saved.
    """

    def __init__(
        self, login: Login, held: Held | None, asked_by: bool | None, *, early: bool
    ) -> None:
        self.login, self.world = login, login.world
        self.early = early
        self.before = login.current
        self.began = login.world.monotonic
        self.takeovers = login.takeovers
        self.asked_by = asked_by
        # Whose 401 is to be answered with what it brings.
        answers = None if early or held is None else held.resource
        replays = answers is not None and held.can_replay
        self.will_be_tried = replays and login.rules.tries
        self.replay_due = None if replays else answers
        self.refused: list[Token] = []  # by the issuer, and perhaps stored still
        self.refused_whatever_is_stored = False
        self.brought: Token | None = None
        self.follows = None  # what that takes the place of in the store
        self.failures = 0  # in a row, before this one, of all who share the store
        self.is_interrupted = False  # while what was refused is taken away
        self.told_to_wait: float | None = None  # by what another process has left in the store
        self.landed: str | None = None  # with a token, and how that was had

    def fly(self) -> ExpectedError | None:
        """Return what its caller is told, if it fails."""
        try:
            outcome, error = self._outcome()
        except KeyboardInterrupt:
            self._interrupted()
            self.login.outcomes.append("abandoned")
            raise
        self.login.outcomes.append(outcome)
        if self.is_interrupted:
            raise KeyboardInterrupt
        return error

    def _outcome(self) -> tuple[str, ExpectedError | None]:
        try:
            return self._find(), None
        except ExpectedError as error:
            if error.kind is LoginRequiredError:
                return self._refused(error)
            if self.early and error.kind is StoreLockTimeoutError:
                self._gives_way()  # another process is refreshing
                return "skipped", None
            if self.landed is not None:
                return self.landed, None  # what goes wrong afterwards undoes nothing
            with suppress(ExpectedError):
                if self._glance():
                    return "adopted", None
            delay = self._delay_after(error)
            if error.kind is RefreshFailedError and not self._is_displaced():
                self.login.failures = self.failures
            if self.told_to_wait is not None:
                return self._fails("transient", error, self.told_to_wait, counts=False)
            return self._fails("transient", error, delay)

    # -- Where a token comes from -----------------------------------------------------------------

    def _find(self) -> str:
        login = self.login
        with but_not_lost():
            if self._glance():
                return "adopted"
        self.world.may_fail("lock")
        login.in_turn = True
        try:
            outcome = self._find_in_turn()
        finally:
            try:
                if self._is_displaced():
                    login.put_right()
            finally:
                login.in_turn = False
        self.world.may_fail("unlock")
        if outcome == "skipped":
            self._gives_way()
        return outcome

    def _glance(self) -> bool:
        if not self.world.shared or self.login.unsaved:
            return False
        stored = self.login.load()
        return stored is not None and self._is_news(stored) and self._adopt(stored) == "adopted"

    def _find_in_turn(self) -> str:
        login = self.login
        basis = self._basis()
        if basis is not None and self._is_news(basis):
            saved = basis is not login.seed or self._try_to_save(basis)
            return self._adopt(basis, unsaved=not saved)
        if self.early and self.world.wall < login.early_from:
            return "skipped"  # it was there to save the token in hand
        follows = self._stored_before(basis)
        self._may_ask()
        try:
            token, how = self._renew(basis)
        except ExpectedError as error:
            self._tells_of(error)
            raise
        if how == "adopted":
            return self._adopt(token)
        self.brought, self.follows = token, None if how == "logged_in" else follows
        if self._is_displaced():
            return "discarded"
        newer = self._newer_after_all(token)
        saved = newer is None and self._try_to_save(token)
        if newer is None and not saved:
            newer = self._newer_after_all(token)
        if newer is not None:
            return self._adopt(newer)
        if self._is_displaced():
            return "discarded"
        self._land(token, unsaved=not saved)
        self.landed = how
        return how

    def _basis(self) -> Token | None:
        """Return what to refresh: the stored one, unless ours is newer and not saved."""
        login, ours = self.login, self.login.current
        if login.unsaved:
            newer = None
            with but_not_lost():
                newer = self._newer_than(ours, login.replaces)
            if newer is None:
                self._try_to_save(ours)
            return newer or ours
        try:
            found = self.world.load()
            stored = login.believed(found)
        except ExpectedError as error:
            if error.kind is not StoreDataLostError:
                raise
            known = self.before or login.seed
            if known is None or known.refresh_token is None:
                return known
            # Another process may have spent the refresh token that we know.
            if login.rules.unattended != "login":
                raise
            return None
        if found is None and ours is not None:
            raise it_is_over("logged_out_elsewhere")  # the store was emptied
        basis = login.seed if stored is None else stored
        if ours is None and basis is not None:  # if it lives, it is used until there is another
            login.unsaved, login.replaces = stored is None, None
            login.hold(basis, found=True)
        return basis

    def _stored_before(self, basis: Token | None) -> object:
        login = self.login
        if login.unsaved and basis is login.current:
            return login.replaces
        return None if basis is login.seed else basis

    def _newer_than(self, ours: Token, replaced: object) -> Token | None:
        """Return what another process has stored since *replaced*."""
        if replaced is Unsaved.WHATEVER:
            return None
        stored = self.login.load()
        if stored is None and replaced is not None:
            raise it_is_over("logged_out_elsewhere")
        return None if stored in (ours, replaced) else stored

    def _newer_after_all(self, ours: Token) -> Token | None:
        """The same, but a store that does not answer is no reason to lose *ours*."""
        try:
            return self._newer_than(ours, self.follows)
        except ExpectedError as error:
            if error.kind is LoginRequiredError:
                raise
            return None

    def _renew(self, basis: Token | None) -> tuple[Token, str]:
        login = self.login
        if basis is None and login.rules.unattended == "login":
            return self._ask(None, "login"), "logged_in"
        try:
            return self._ask(basis, "refresh"), "refreshed"
        except ExpectedError as error:
            if error.kind is not LoginRequiredError:
                raise
            rotated = None if basis is None else self._after_refusal(basis)
            if rotated is not None:
                return rotated, "adopted"
            if login.rules.unattended != "login" or self._is_displaced():
                raise
            # Whatever becomes of the unattended login, what was refused is not tried again.
            if self._is_to_be_used_up():
                login.unsaved = False
            else:
                login.drop()
            login.seed, login.look_beside_at = None, float("-inf")
            self._shun()
            if self.is_interrupted:
                raise
            return self._ask(None, "login"), "logged_in"

    def _may_ask(self) -> None:
        """Another process may have been told to wait: nobody asks, and nothing has failed here."""
        self.failures = self.login.failures
        if self.world.pause is None:
            return
        until, seconds, self.failures = self.world.pause
        if self.login.pause_seen != self.world.pause:
            self.login.pause_seen, self.login.seen_at = self.world.pause, self.world.monotonic
        # Whatever the clock of who has said so, for no longer than it lasted.
        left = min(seconds, 3600) - (self.world.monotonic - self.login.seen_at)
        if until > self.world.wall and left > 0:
            self.told_to_wait = min(until - self.world.wall, left)
            raise ExpectedError(RefreshFailedError)

    def _tells_of(self, error: ExpectedError) -> None:
        if error.kind is RefreshFailedError and self.world.keeps_pause:
            ends = self.world.monotonic + self._delay_after(error)
            seconds = ends - self.world.monotonic
            self.world.pause = self.world.wall + seconds, seconds, self.failures + 1
            self.login.pause_seen, self.login.seen_at = self.world.pause, self.world.monotonic

    def _ask(self, basis: Token | None, how: str) -> Token:
        asked_at = self.world.wall
        answer = self.world.answer(self.login, how, basis)
        if answer.interrupted:
            raise KeyboardInterrupt
        if answer.refused is not None:
            raise ExpectedError(LoginRequiredError, answer.refused)
        if answer.fails:
            raise ExpectedError(RefreshFailedError, retry_after=answer.retry_after)
        kept = None if basis is None else basis.refresh_token
        expires_at = None if answer.lifetime is None else asked_at + answer.lifetime
        token = Token(
            answer.access, answer.refresh or kept, expires_at=expires_at, issued_at=asked_at
        )
        # Dead on arrival: the clocks disagree.
        return replace(token, expires_at=None) if self.login.is_expired(token) else token

    def _try_to_save(self, token: Token) -> bool:
        try:
            self._finish(token)
        except ExpectedError:
            return False
        self.login.saved(token)
        return True

    def _finish(self, token: Token) -> None:
        try:
            self.world.save(token)
        except KeyboardInterrupt:
            with suppress(ExpectedError):
                self.world.save(token)  # once more, before that goes on
            raise

    # -- How it ends ------------------------------------------------------------------------------

    def _is_displaced(self) -> bool:
        """Somebody has called login() or logout() meanwhile."""
        return self.takeovers != self.login.takeovers

    def _is_news(self, stored: Token) -> bool:
        return self.login.is_news(stored, self.before)

    def _adopt(self, token: Token, *, unsaved: bool = False) -> str:
        if self._is_displaced():
            return "discarded"
        if self.login.is_anothers(token):
            self.login.logins += 1
            self.login.answers.forget_all()
        self.follows = None
        self._land(token, unsaved=unsaved, found=True)
        self.landed = "adopted"
        return "adopted"

    def _land(self, token: Token, *, unsaved: bool, found: bool = False) -> None:
        if self.asked_by is not None and not found:
            self.login.answers.in_vain[self.asked_by].add(self.world.monotonic)
        self.login.take(
            token,
            found=found,
            unsaved=unsaved,
            replaces=self.follows,
            on_trial=self.will_be_tried,
            replay_due=self.replay_due,
        )

    def _gives_way(self) -> None:
        login = self.login
        if self._is_displaced() or login.current is None:
            return
        is_early = self.world.wall >= login.early_from
        login.look_at = self.world.wall + 1 if is_early else login.due()

    def _interrupted(self) -> None:
        """What was brought exists nowhere else."""
        if self._is_displaced() or self.landed is not None:
            return
        if self.brought is None:
            self._gives_way()
        else:
            self.will_be_tried, self.replay_due, self.asked_by = False, None, None
            self._land(self.brought, unsaved=True)

    # -- A refusal, or a failure ------------------------------------------------------------------

    def _after_refusal(self, basis: Token) -> Token | None:
        """Nobody is to ask with *basis* again. But a program that ignores the lock may have put
        something else into the store."""
        login = self.login
        if login.rules.unattended == "the refresher":
            return None  # anybody may ask again
        replaces = login.replaces if login.unsaved else basis
        try:
            stored = login.load()
            if replaces is Unsaved.WHATEVER or stored in (basis, replaces):
                # Siblings would take an empty store for a logout.
                if self._is_to_be_used_up() or login.rules.unattended == "login":
                    used_up = replace(basis, refresh_token=None)
                    self._finish(used_up)
                    self.refused = [used_up]
                else:
                    self.world.clear()
                return None
        except (ExpectedError, KeyboardInterrupt) as error:
            self.is_interrupted = isinstance(error, KeyboardInterrupt)
            lingers = [replaces] if isinstance(replaces, Token) else []
            self.refused = [*login.shunned, basis, *lingers]
            self.refused_whatever_is_stored = replaces is Unsaved.WHATEVER
            return None
        if stored is not None and login.is_expired(stored):
            raise ExpectedError(RefreshFailedError, retry_after=0.0)
        return stored

    def _is_to_be_used_up(self) -> bool:
        """The refusal came early: nobody knows the token in hand to be dead."""
        held_back = self.login.standing is Standing.REJECTED
        alive = self.login.is_alive() and not held_back
        return self.early and alive

    def _shun(self) -> None:
        self.login.shunned = self.refused
        self.login.believes_nothing = self.refused_whatever_is_stored

    def _refused(self, error: ExpectedError) -> tuple[str, ExpectedError | None]:
        login, emptied = self.login, error.reason == "logged_out_elsewhere"
        if error.reason == "no_token" and self.before is None:
            # Nobody has logged in yet, here; the store may know more in a second.
            spared = 1.0 if self.world.shared else 0.0
            failed = self._fails("permanent", error, spared, counts=False)
            if not self._is_displaced():
                login.look_beside_at = login.pause_ends
            return failed
        if not emptied and login.rules.unattended != "nobody":
            # Nobody is there to log in: it heals by itself, or not.
            return self._fails("transient", error, min(300, 2.0**login.failures))
        if self._is_displaced():
            return "discarded", None
        if not emptied and self._is_to_be_used_up():
            login.over = error.reason
            login.look_at = dead_at(login.current)
            login.unsaved, login.seed, login.look_beside_at = False, None, float("-inf")
        else:
            login.end(error.reason)
        self._shun()
        return "permanent", error

    def _delay_after(self, error: ExpectedError) -> float:
        if error.retry_after is not None:  # with jitter on top, and an hour at most without
            return min(3600, error.retry_after) * (1 + 0.1 * self.world.luck)
        failures = self.failures if error.kind is RefreshFailedError else self.login.failures
        return min(30, 0.5 * 2**failures) * self.world.luck

    def _fails(
        self, outcome: str, error: ExpectedError, delay: float, *, counts: bool = True
    ) -> tuple[str, ExpectedError | None]:
        """Nobody asks for so many seconds, but a token that lives is used."""
        login, now = self.login, self.world.monotonic
        if self._is_displaced():
            return "discarded", None
        login.failures += counts
        login.failure, login.pause_ends = error, now + delay
        if login.current is not None:
            took = now - self.began
            login.look_at = self.world.wall + max(login.pause_ends - now, 10 * took)
            if login.standing is Standing.REJECTED:
                login.standing, login.found = Standing.UNTRIED, True
        return outcome, error.after(login.pause_ends - now)


@contextmanager
def but_not_lost() -> Iterator[None]:
    """Suppress that the store has lost its data, and nothing else."""
    try:
        yield
    except ExpectedError as error:
        if error.kind is not StoreDataLostError:
            raise
