"""A login under a scheduler, and the rules that no schedule may break."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from requests_tokenrefresh import LoginRequiredError, Token

from .scheduler import Scheduler, Task, Touch
from .watched_source import Store

ORIGIN = "https://api.example.com"


class Server:
    """An authorization server that rotates refresh tokens, and an API.

    Tokens are called by the number of their login and how often it was refreshed: ``1.0``.

    Args:
        answers: Used up first, one a request: what is raised.
        same: Whether all access tokens of a login are one string.
        expires_in: The seconds a new token lives, if anybody says so.

    Attributes:
        asked: The refresh tokens that were shown, in order.
        askers: The tasks that showed them.
        leaders: The tasks that asked, by the access token that they got.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *answers: Exception,
        same: bool = False,
        expires_in: float | None = None,
    ) -> None:
        self.asked: list[str] = []
        self.askers: set[str] = set()
        self.leaders: dict[str, str] = {}
        self._scheduler = scheduler
        self._answers = list(answers)
        self._same = same
        self._expires_in = expires_in

    def refresh(self, token: Token | None) -> dict[str, Any]:
        """Answer a refresh: at two points, as an answer takes its time."""
        assert token is not None
        assert token.refresh_token is not None
        touches = Touch("server", "write"), Touch("history", "write")
        self._scheduler.point("asks for a new token", *touches, waits=True)
        self.asked.append(token.refresh_token)
        self.askers.add(self._scheduler.here_name())
        self._scheduler.point("is answered", Touch("server", "write"))
        if self._answers:
            raise self._answers.pop(0)
        login, _, refreshes = token.refresh_token.partition(".")
        new = f"{login}.{int(refreshes) + 1}"
        self.leaders[new] = self._scheduler.here_name()
        return {
            "access_token": token.access_token if self._same else new,
            "refresh_token": new,
            "expires_in": self._expires_in,
        }


class Login:
    """A source that is logged in, and tasks that use it.

    Args:
        scheduler: Of this run.
        module: `_source.py`, as it is or with a bug.
        server: Whose login it is.
        store: Where it is kept.
        unattended: Whether it logs in again by itself, as login 9.
        history: Whether it matters what has ended before a task begins. If all say the same it does
            not, and there are fewer schedules.
        lifetime: The seconds that the first token lives, from 0 on.
        options: Of the source, whose clocks are the scheduler's.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        module: types.ModuleType,
        server: Server,
        *,
        store: Store,
        unattended: bool = False,
        history: bool = True,
        lifetime: float | None = None,
        **options: Any,
    ) -> None:
        self.scheduler = scheduler
        self.server = server
        self.store = store
        self._history = history
        self.ended: list[str] = []  # on_logout's reasons
        self.source: Any = module.TokenSource(
            server.refresh,
            origins=[ORIGIN],
            token=Token("1.0", "1.0", issued_at=0, expires_at=lifetime),
            store=self.store,
            clock=scheduler.time,
            monotonic=scheduler.time,
            random=lambda: 0.5,
            on_logout=self.ended.append,
            login=self._log_in_unattended if unattended else None,
            **options,
        )
        self.old: Token = self.source.token()
        self._newest = 1  # the last login() that has returned
        self._begun = 0  # how many calls of login() have begun
        self._running = 0  # how many of them have not returned
        self._out: int | None = None  # what _begun was when logout() returned, and nobody logged in
        self._dead: list[Token] = []  # refresh() of these has returned
        self._rejecting: set[str] = set()  # the tasks that say that the first token is rejected
        self._replaying: set[str] = set()  # those of them that have not come to a verdict

    # -- What tasks do ----------------------------------------------------------------------------

    def start(self, name: str, function: Callable[[], Token | None]) -> Task:
        """Start a task; the token that it gets, if any, is held to the rules."""
        return self.scheduler.start(name, lambda: self._keep_to_the_rules(function))

    def get(self) -> Token:
        """Get a token, as for a request that has not been sent."""
        token: Token = self.source.token()
        return token

    def refresh(self) -> Token:
        """Say that a server has rejected the token that all begin with."""
        return self._another_than_the_old(self.source.refresh)

    def replay(self, verdict: str) -> Token:
        """The same, and send the request again; it is answered as *verdict* says."""
        here = self.scheduler.here_name()
        self._replaying.add(here)
        try:
            token = self._another_than_the_old(self.source.reject)
            self._send_again(token, verdict)
        finally:
            self._replaying.remove(here)
        if verdict == "refuse":
            self.source.refuse(token)
        return token

    def _send_again(self, token: Token, verdict: str) -> None:
        """As the adapter: there is a verdict on every way out."""
        judged = False
        try:
            self.scheduler.point("sends its request again", Touch("api", "write"), waits=True)
            self._wait_for_the_trial(token)
            if verdict == "accept":
                self.source.accept(token)
            judged = verdict != "give_up"
        finally:
            if not judged:
                self.source.give_up(token)

    def _wait_for_the_trial(self, token: Token) -> None:
        """Check that this task leads the flight that brought *token*, or its trial is over."""
        leader = self.server.leaders.get(token.access_token)
        on_trial = leader in self._replaying and not self.scheduler.clock_moves
        here = self.scheduler.here_name()
        assert not on_trial or leader == here, "a waiter goes before the trial is over"

    def _another_than_the_old(self, get: Callable[[Token], Token]) -> Token:
        self._rejecting.add(self.scheduler.here_name())
        token = get(self.old)
        assert token is not self.old, "the rejected token is handed out again"
        self._say_it_is_done()
        self._dead.append(self.old)
        return token

    def get_and_look_into_the_store(self) -> Token:
        """As `get`. A token that is in use has been saved."""
        token = self.get()
        self.scheduler.point("looks into the store", Touch("store", "read"))
        assert token.access_token in self.store.saved, "a token is in use before it was saved"
        return token

    def log_in(self, number: int) -> None:
        """Begin login *number*, from first to last."""
        self._begun, self._running = self._begun + 1, self._running + 1
        self.source.login(Token(f"{number}.0", f"{number}.0"))
        self._say_it_is_done()
        self._newest, self._running = number, self._running - 1

    def _log_in_unattended(self) -> dict[str, str]:
        self.scheduler.point("logs in unattended", Touch("server", "write"), waits=True)
        return {"access_token": "9.0", "refresh_token": "9.0"}

    def log_out(self) -> None:
        """End the login."""
        begun = None if self._running else self._begun
        self.source.logout()
        self._say_it_is_done()
        self._out = begun

    def _say_it_is_done(self) -> None:
        if self._history:
            self.scheduler.point("is done", Touch("history", "write"))

    def _keep_to_the_rules(self, function: Callable[[], Token | None]) -> Token | None:
        if self._history:
            self.scheduler.point("begins", Touch("history", "read"))
        newest, out, dead = self._newest, self._out == self._begun, list(self._dead)
        if self._rejecting & self.server.askers:
            dead.append(self.old)
        try:
            token = function()
        except LoginRequiredError:
            raise
        except Exception:
            assert not (out and self._out == self._begun), "after a logout all may be well"
            raise
        if token is None:
            return None
        assert not (out and self._out == self._begun), "after a logout there was a token"
        assert int(token.access_token.partition(".")[0]) >= newest, "a token of an older login"
        assert all(token is not one for one in dead), "a token that was rejected before"
        return token

    # -- When all have ended ----------------------------------------------------------------------

    def check(self) -> None:
        """Check what holds after any schedule."""
        for task in self.scheduler.tasks:
            if isinstance(task.error, AssertionError):
                raise AssertionError(f"{task.name}: {task.error}")
        assert len(set(self.server.asked)) == len(self.server.asked), "a refresh token came twice"
        source = self.source
        assert source._flight is None, "a flight is left"
        assert source._in_turn is None, "somebody is left in turn"
        assert not source._turn._lock.locked(), "_turn is left locked"
        assert not self.store._lock.locked(), "the store is left locked"
        token, ready = source._token, source._ready
        assert (token is None) == (source._over is not None), "a token although the login is over"
        usable = None if token is source._rejected else token
        assert (ready.token if ready else None) is usable, "the hot path has another token"

    def check_store(self) -> None:
        """Check that the store holds what is current, if nobody else writes to it."""
        if self.source._unsaved is None:
            current = self.source._token
            assert self.store.load() == current, "the store does not hold what is current"


def told(task: Task) -> str:
    """Return what *task* got: the name of a token, or of an error."""
    error: Any = task.error
    if error is None:
        return getattr(task.value, "access_token", "done")
    return getattr(error, "reason", type(error).__name__)
