"""A login in plain words, to hold a `TokenSource` against: one caller, no lock, no thread, no HTTP.

What the rules leave open (which error a store's failure is, what jitter is drawn) is given to both
sides alike. Tokens are told apart as the rules do it: by identity inside a process, by their
secrets across processes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from requests_tokenrefresh import (
    LoginRequiredError,
    RefreshFailedError,
    StoreDataLostError,
    StoreLockTimeoutError,
    Token,
    TokenRefreshError,
    TokenStoreError,
)
from tests.support.logins import START


class ExpectedError(Exception):
    """What the source is to raise, by its class and what it says."""

    def __init__(
        self,
        kind: type[TokenRefreshError],
        reason: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(kind.__name__, reason, retry_after)
        self.kind, self.reason, self.retry_after = kind, reason, retry_after

    def after(self, seconds: float) -> ExpectedError:
        """Return the same for so many seconds before another attempt."""
        says = self.kind is RefreshFailedError
        return ExpectedError(self.kind, self.reason, seconds if says else None)


@dataclass
class Answer:
    """What the token endpoint says, by its meaning: a token, unless it refuses or fails."""

    access: str = ""
    refresh: str | None = None
    lifetime: float | None = None
    refused: str | None = None  # the reason
    fails: bool = False
    retry_after: float | None = None


@dataclass
class World:
    """What the processes of a login have in common.

    Attributes:
        wall, monotonic: The clocks, in seconds.
        luck: What the dice always show.
        answer: Asks the token endpoint with a token, or logs in unattended with None.
        stored: What the store holds.
        trouble: What its ``load``, ``save``, ``clear`` and ``lock`` fail with.
        next_save: What happens before the next ``save`` does anything, once.
    """

    shared: bool
    luck: float
    answer: Callable[[Login, str, Token | None], Answer]
    wall: float = START
    monotonic: float = START
    stored: Token | None = None
    trouble: dict[str, type[Exception]] = field(default_factory=dict)
    next_save: Callable[[], None] | None = None

    def load(self) -> Token | None:
        self._may_fail("load")
        return copy.copy(self.stored) if self.shared else self.stored

    def save(self, token: Token) -> None:
        happens, self.next_save = self.next_save, None
        if happens is not None:
            happens()
        self._may_fail("save")
        self.stored = token

    def clear(self) -> None:
        self._may_fail("clear")
        self.stored = None

    def lock(self) -> None:
        self._may_fail("lock")

    def overwrite(self, token: Token | None) -> None:
        """Another program writes, who knows nothing of the lock."""
        self.stored = token

    def before_save(self, happens: Callable[[], None] | None) -> None:
        self.next_save = happens

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def break_store(self, what: str, kind: type[Exception]) -> None:
        self.trouble[what] = kind

    def repair_store(self) -> None:
        self.trouble.clear()

    def _may_fail(self, what: str) -> None:
        kind = self.trouble.get(what)
        if kind is not None:
            raise ExpectedError(kind if issubclass(kind, TokenStoreError) else TokenStoreError)


class Login:
    """One process's view of the login."""

    def __init__(self, world: World, number: int, *, seed: Token | None, unattended: bool) -> None:
        self.world = world
        self.number = number
        self.unattended = unattended
        self.seed = None if seed is None else replace(seed)  # until the store has held a login
        self.current: Token | None = None
        self.refused_by_server = False  # the current one: somebody was answered 401
        self.proven: Token | None = None
        self.issued = False  # the current one was brought by a refresh, not found somewhere
        self.born = -math.inf
        self.over: str | None = None  # the reason
        self.trial: Token | None = None
        self.unsaved = False  # the current one is only in memory
        self.ancestor: Token | None = None  # the stored one that it takes the place of
        self.seen_stored = False
        self.lingers = False  # the store may hold what is over
        self.refused: Token | None = None  # by the token endpoint; the store may hold it still
        self.early_from = self.look_at = math.inf
        self.look_beside_at = -math.inf
        self.failures = 0
        self.failure: ExpectedError | None = None
        self.retry_at = -math.inf
        self.takeovers = 0  # by login() and logout()
        self.in_turn = False
        self.outcomes: list[str] = []
        self.logins = 0
        self.logouts: list[str] = []

    # -- Commands ---------------------------------------------------------------------------------

    def token(self) -> Token:
        if self._good() and not self.trial and self.world.wall >= self.look_at:
            self.look_at = math.inf
            self._fly("early")
            if self.over is not None:
                raise ExpectedError(LoginRequiredError, self.over)
        try:
            return self._get("preemptive")
        except ExpectedError as error:
            # The last seconds of a token are better than none.
            token = self.current
            alive = token is not None and self.world.wall < _or_never(token.expires_at)
            if error.kind is LoginRequiredError or not alive or self.refused_by_server:
                raise
            return token

    def refresh(self, rejected: Token) -> Token:
        self._mark(rejected)
        return self._get("reactive")

    def reject(self, token: Token) -> Token:
        self._mark(token)
        return self._get("reactive", trial=True)

    def trusts(self, token: Token) -> bool:
        young = self.world.monotonic - self.born < 1
        return young and token is self.proven and not self._stale(token)

    def accept(self, token: Token) -> None:
        if token is self.current:
            self.proven = token
        self.give_up(token)

    def give_up(self, token: Token) -> None:
        if token is self.trial:
            self.trial = None

    def refuse(self, token: Token) -> bool:
        if self._stale(token):
            self.give_up(token)
            return True
        if token is self.proven:
            return False
        if not self.issued:  # it was found in the store, perhaps old
            self._mark(token)
            return True
        ancestor, replaces_all = self.ancestor, self.unsaved and self.ancestor is None
        self._end("trial_refused")
        self.lingers = True
        with suppress(ExpectedError):
            self.world.lock()
            if self.world.load() in (token, ancestor) or replaces_all:
                self.world.clear()
            self.lingers = False
        raise ExpectedError(LoginRequiredError, "trial_refused")

    def login(self, token: Token) -> None:
        self._take_over()
        self.over = None
        self._hold(replace(token), unsaved=True)
        self.logins += 1
        self._settle()

    def logout(self) -> None:
        if self.over is None:
            self._take_over()
            self._end("logged_out")
        self.lingers = True
        self._settle()

    def state(self) -> str:
        if self.over is not None:
            return "over"
        return "ready" if self.trial is None else "refreshing"

    def due_in(self) -> float:
        """Return the seconds until the next thing that time alone brings about."""
        wall, monotonic = [self.look_at], [self.retry_at, self.look_beside_at]
        if self.current is not None:
            wall += [self._dead_for_us(self.current), _or_never(self.current.expires_at)]
        left = [at - self.world.wall for at in wall]
        left += [at - self.world.monotonic for at in monotonic]
        return min((seconds for seconds in left if seconds > 0), default=math.inf)

    # -- A token, by all means --------------------------------------------------------------------

    def _get(self, why: str, *, trial: bool = False) -> Token:
        self._look_beside()
        while True:
            if self.over is not None:
                raise ExpectedError(LoginRequiredError, self.over)
            if self.trial is not None or self._good():
                return self.current
            remaining = self.retry_at - self.world.monotonic
            if self.failure is not None and remaining > 0:
                raise self.failure.after(remaining)
            self._fly(why, trial=trial)

    def _look_beside(self) -> None:
        """While it is over or backs off, a sibling's login is looked for once a second."""
        backs_off = self.failure is not None and self.retry_at > self.world.monotonic
        waits = backs_off and not self._good() and not self.unsaved
        helps = waits if self.over is None else not self.lingers
        if not self.world.shared or not helps or self.world.monotonic < self.look_beside_at:
            return
        self.look_beside_at = self.world.monotonic + 1
        with suppress(ExpectedError):
            stored = self._load()
            if stored is None or (self.over is None and not self._news(stored, self.current)):
                return
            self.logins += self.over is not None
            self.over = None
            self._hold(stored)

    def _fly(self, why: str, *, trial: bool = False) -> None:
        before, takeovers, error = self.current, self.takeovers, None
        try:
            outcome = self._find(why, before, takeovers)
        except ExpectedError as failure:
            outcome, error = self._fail(failure, why, before, takeovers)
        self.outcomes.append(outcome)
        if trial and outcome in ("adopted", "refreshed", "logged_in"):
            self.trial = self.current
        if outcome == "skipped" and (self.unsaved or self.world.wall >= self.early_from):
            self.look_at = self.world.wall + 1
        if error is not None:
            raise error

    def _fail(
        self, error: ExpectedError, why: str, before: Token | None, takeovers: int
    ) -> tuple[str, ExpectedError | None]:
        """Return how the flight ends, and what its caller is told."""
        if takeovers != self.takeovers:
            return "discarded", None
        if error.kind is LoginRequiredError:
            self._fail_for_good(error, before)
            return "permanent", error
        if why == "early" and error.kind is StoreLockTimeoutError:
            return "skipped", None
        with suppress(ExpectedError):
            if self._glance(before):
                return "adopted", None
        return "transient", self._fail_for_now(error, why)

    def _find(self, why: str, before: Token | None, takeovers: int) -> str:
        """Find the next token in the store, or get it; hold it, and say where it comes from."""
        with but_not_lost():
            if self._glance(before):
                return "adopted"
        self.world.lock()
        self.in_turn = True
        try:
            return self._find_in_turn(why, before, takeovers)
        finally:
            try:
                if takeovers != self.takeovers:  # what was written here is older
                    self._write_current()
            finally:
                self.in_turn = False

    def _find_in_turn(self, why: str, before: Token | None, takeovers: int) -> str:
        basis = self._basis(before)
        if basis is not None and self._news(basis, before):
            saved = basis is not self.seed or self._try_to_save(basis)
            self._adopt(basis, unsaved=not saved)
            return "adopted"
        if why == "early" and self.world.wall < self.early_from:
            return "skipped"
        ancestor = self.ancestor if self.unsaved and basis is self.current else basis
        token, outcome = self._renew(basis, takeovers)
        if takeovers != self.takeovers:
            return "discarded"
        saved = outcome == "adopted" or self._try_to_save(token)
        newer = None
        if not saved:
            with but_only(LoginRequiredError):
                newer = self._newer_than(token, ancestor)
        if takeovers != self.takeovers:
            return "discarded"
        if outcome == "adopted" or newer is not None:
            self._adopt(newer or token)
            return "adopted"
        self._hold(token, unsaved=not saved, ancestor=ancestor)
        self.issued, self.born = True, self._birth(token)
        return outcome

    def _glance(self, before: Token | None) -> bool:
        if not self.world.shared or self.unsaved:
            return False
        stored = self._load()
        if stored is None or not self._news(stored, before):
            return False
        self._adopt(stored)
        return True

    def _basis(self, before: Token | None) -> Token | None:
        """Return what to refresh: the stored one, unless ours is newer and not saved."""
        if self.unsaved:
            newer = None
            with but_not_lost():
                newer = self._newer_than(self.current, self.ancestor)
            if newer is None and self._try_to_save(self.current):
                self._saved()
            return newer or self.current
        ours = before or self.seed
        try:
            stored = self._load()
        except ExpectedError as error:
            if error.kind is not StoreDataLostError:
                raise
            # A sibling may have spent the refresh token that we know.
            if ours is not None and ours.refresh_token is not None:
                if not self.unattended:
                    raise
                return None
            return ours
        if stored is None:
            self._check_emptied()
        return stored or ours

    def _newer_than(self, ours: Token, ancestor: Token | None) -> Token | None:
        if ancestor is None:
            return None
        stored = self._load()
        if stored is None:
            self._check_emptied()
        return None if stored in (ours, ancestor) else stored

    def _check_emptied(self) -> None:
        if self.seen_stored:
            raise ExpectedError(LoginRequiredError, "logged_out_elsewhere")

    def _renew(self, basis: Token | None, takeovers: int) -> tuple[Token, str]:
        if basis is None and self.unattended:
            return self._ask(None, "login"), "logged_in"
        try:
            return self._ask(basis, "refresh"), "refreshed"
        except ExpectedError as error:
            if error.kind is not LoginRequiredError:
                raise
            rotated = None if basis is None else self._after_refusal(basis, takeovers)
            if rotated is not None:
                return rotated, "adopted"
            if not self.unattended or takeovers != self.takeovers:
                raise
            # Whatever becomes of the unattended login, what was refused is not tried again.
            self.current = self.seed = None
            self.unsaved = self.seen_stored = False
            return self._ask(None, "login"), "logged_in"

    def _after_refusal(self, basis: Token, takeovers: int) -> Token | None:
        """Clear the store, unless a program that ignores the lock has put something else there."""
        try:
            stored = self._load()
            never_saved = self.unsaved and basis is self.current
            if stored == basis or (never_saved and self.ancestor in (None, stored)):
                self.world.clear()
                return None
        except ExpectedError:
            if takeovers == self.takeovers:
                self.lingers, self.refused = True, basis
            return None
        if stored is not None and self._expired(stored):
            raise ExpectedError(RefreshFailedError, retry_after=0.0)
        return stored

    def _ask(self, basis: Token | None, how: str) -> Token:
        asked_at = self.world.wall
        answer = self.world.answer(self, how, basis)
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
        return replace(token, expires_at=None) if self._expired(token) else token

    # -- What becomes of it -----------------------------------------------------------------------

    def _adopt(self, token: Token, *, unsaved: bool = False) -> None:
        self._hold(token, unsaved=unsaved)
        self.born = self._birth(token)

    def _hold(self, token: Token, *, unsaved: bool = False, ancestor: Token | None = None) -> None:
        self.current, self.unsaved, self.ancestor = token, unsaved, ancestor
        self.refused_by_server = self.issued = self.lingers = False
        self.seed, self.refused, self.born = None, None, -math.inf
        self.failures, self.failure, self.retry_at = 0, None, -math.inf
        window = min(300, (token.lifetime or 0) / 5)
        opens = _or_never(token.expires_at) - window * (1 - self.world.luck / 2)
        self.early_from = self.look_at = opens if window else math.inf
        if unsaved:
            self.look_at = min(self.look_at, self.world.wall + 1)

    def _end(self, reason: str) -> None:
        self.over = reason
        self.current = self.trial = None
        self.unsaved = False
        self.logouts.append(reason)

    def _fail_for_good(self, error: ExpectedError, before: Token | None) -> None:
        if error.reason != "no_token" or before is not None:
            self._end(error.reason)
        elif self.world.shared:  # nobody has logged in yet; the store may know more in a second
            self.failure = error
            self.retry_at = self.look_beside_at = self.world.monotonic + 1

    def _fail_for_now(self, error: ExpectedError, why: str) -> ExpectedError | None:
        delay = error.retry_after
        if delay is None:
            delay = min(30, 0.5 * 2**self.failures) * self.world.luck
        self.failures += 1
        self.failure = error.after(delay)
        self.retry_at = self.world.monotonic + delay
        if why != "early":
            return self.failure
        self.look_at = self.world.wall + delay  # the old one works, and nobody sees it
        return None

    def _take_over(self) -> None:
        self.takeovers += 1
        self.trial = None

    def _settle(self) -> None:
        if not self.in_turn:
            self.world.lock()
        self._write_current()

    def _write_current(self) -> None:
        if self.current is not None:
            self.world.save(self.current)
            self._saved()
        else:
            self.world.clear()
            self.lingers = False

    def _try_to_save(self, token: Token) -> bool:
        try:
            self.world.save(token)
        except ExpectedError:
            return False
        self.seen_stored = True
        return True

    def _saved(self) -> None:
        self.seen_stored, self.unsaved, self.look_at = True, False, self.early_from

    def _load(self) -> Token | None:
        stored = self.world.load()
        if stored is None or stored == self.refused:
            return None
        self.seen_stored = True
        return stored

    def _mark(self, token: Token) -> None:
        if token is self.current:
            self.refused_by_server = True
            self.give_up(token)

    # -- What is true of a token ------------------------------------------------------------------

    def _good(self) -> bool:
        token = self.current
        return token is not None and not self.refused_by_server and not self._expired(token)

    def _stale(self, token: Token) -> bool:
        return token is not self.current or self.refused_by_server or self._expired(token)

    def _expired(self, token: Token) -> bool:
        return self.world.wall >= self._dead_for_us(token)

    def _dead_for_us(self, token: Token) -> float:
        return _or_never(token.expires_at) - min(10, (token.lifetime or 0) / 10)

    def _news(self, token: Token, than: Token | None) -> bool:
        other = than is None or token.access_token != than.access_token
        return other and not self._expired(token)

    def _birth(self, token: Token) -> float:
        return self.world.monotonic - max(0, self.world.wall - token.issued_at)


def _or_never(moment: float | None) -> float:
    return math.inf if moment is None else moment


@contextmanager
def but_only(kind: type[TokenRefreshError]) -> Iterator[None]:
    """Suppress any other error."""
    try:
        yield
    except ExpectedError as error:
        if error.kind is kind:
            raise


@contextmanager
def but_not_lost() -> Iterator[None]:
    """Suppress that the store has lost its data, and nothing else."""
    try:
        yield
    except ExpectedError as error:
        if error.kind is not StoreDataLostError:
            raise
