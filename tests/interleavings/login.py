"""A login under a scheduler, and the rules that no schedule may break."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from requests_tokenrefresh import LoginRequiredError, Token

from .invariants import broken, broken_by, broken_by_an_answer
from .scheduler import Scheduler, Task, Touch
from .watched_source import Store

ORIGIN = "https://api.example.com"
MOST_REPLAYS = 2  # of one request, as the adapter has it
MOST_OPINIONS = 3


class Server:
    """An authorization server that rotates refresh tokens.

    Tokens are called by the number of their login and how often it was refreshed: ``1.0``.

    Args:
        answers: Used up first, one a request: what is raised, or None: a new token.
        same: Whether all access tokens of a login are one string.
        expires_in: The seconds a new token lives, if anybody says so.

    Attributes:
        asked: The refresh tokens that were shown, in order.
        askers: The tasks that showed them, and were answered with a new one.
        revoked: The refresh tokens that were revoked, in order.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        *answers: Exception | None,
        same: bool = False,
        expires_in: float | None = None,
    ) -> None:
        self.asked: list[str] = []
        self.askers: set[str] = set()
        self.revoked: list[str] = []
        self._scheduler = scheduler
        self._answers = list(answers)
        self._same = same
        self._expires_in = expires_in
        self._spent: set[str] = set()

    def refresh(self, token: Token | None) -> dict[str, Any]:
        """Answer a refresh: at two points, as an answer takes its time."""
        assert token is not None
        assert token.refresh_token is not None
        touches = Touch("server", "write"), Touch("history", "write")
        self._scheduler.foreign_code("asks for a new token", *touches)
        self.asked.append(token.refresh_token)
        self._scheduler.must(token.refresh_token not in self._spent, "a refresh token came twice")
        error = self._answers.pop(0) if self._answers else None
        if error is None:
            self.askers.add(self._scheduler.here_name())
        self._scheduler.point("is answered", Touch("server", "write"))
        if error is not None:
            raise error
        self._spent.add(token.refresh_token)
        login, _, refreshes = token.refresh_token.partition(".")
        new = f"{login}.{int(refreshes) + 1}"
        return {
            "access_token": token.access_token if self._same else new,
            "refresh_token": new,
            "expires_in": self._expires_in,
        }

    def revoke(self, token: Token) -> None:
        """Hear that a login is over, while nobody refreshes with what is revoked."""
        assert token.refresh_token is not None
        self._scheduler.foreign_code("revokes", Touch("server", "write"))
        self.revoked.append(token.refresh_token)


class _Refresher:
    def __init__(
        self, refresh: Callable[[Token | None], object], revoke: Callable[[Token], None]
    ) -> None:
        self._refresh = refresh
        self.revoke = revoke

    def __call__(self, token: Token | None) -> object:
        return self._refresh(token)


class Login:
    """A source that is logged in, and tasks that use it.

    Args:
        scheduler: Of this run.
        modules: The files of the source, as they are or with a bug.
        server: Whose login it is.
        store: Where it is kept.
        first: The token that all begin with, if not just ``1.0``.
        unattended: Whether it logs in again by itself, as login 9.
        history: Whether it matters what has ended before a task begins. If all say the same it does
            not, and there are fewer schedules.
        lifetime: The seconds that the first token lives, from 0 on.
        options: Of the source, whose clocks are the scheduler's.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        modules: dict[str, Any],
        server: Server,
        *,
        store: Store,
        first: Token | None = None,
        unattended: bool = False,
        history: bool = True,
        lifetime: float | None = None,
        **options: Any,
    ) -> None:
        self.scheduler = scheduler
        self.server = server
        self.store = store
        self._modules = modules
        self._history = history
        self._may_end = options.get("when_trial_refused") == "log_out"
        self.ended: list[str] = []  # on_logout's reasons
        self.source: Any = modules["_source"].TokenSource(
            _Refresher(self._refresh, server.revoke),
            origins=[ORIGIN],
            token=first or Token("1.0", "1.0", issued_at=0, expires_at=lifetime),
            store=self.store,
            clock=scheduler.time,
            monotonic=scheduler.time,
            random=lambda: 0.5,
            on_logout=self._note_the_end,
            login=self._log_in_unattended if unattended else None,
            **options,
        )
        self.old: Token = self.source.token()
        self.source._flights.on_change = self._keep_to_the_invariants
        self._refreshed: list[Any] = []  # the flights that have asked the server
        self._newest = 1  # the last login() that has returned
        self._begun = 0  # how many calls of login() have begun
        self._running = 0  # how many of them have not returned
        self._out: int | None = None  # what _begun was when logout() returned, and nobody logged in
        self._dead: list[Token] = []  # refresh() of these has returned
        self._rejecting: set[str] = set()  # the tasks that say that the first token is rejected
        self._sending: dict[str, Token] = {}  # what tasks send again, and have no verdict on yet
        self._opinions: dict[str, set[str]] = {}  # who has tried a token, while it was on trial
        self._reporting: set[str] = set()  # the tasks that report what an API has answered

    # -- What tasks do ----------------------------------------------------------------------------

    def start(self, name: str, function: Callable[[], object]) -> Task:
        """Start a task; the token that it gets, if any, is held to the rules."""
        return self.scheduler.start(name, lambda: self._keep_to_the_rules(function))

    def get(self) -> Token:
        """Get a token, as for a request that has not been sent."""
        token: Token = self.source.token()
        on_trial = self._is_on_trial(token) and not self.scheduler.clock_moves
        self.scheduler.must(not on_trial, "a request goes before the trial is over")
        return token

    def refresh(self) -> Token:
        """Say that a server has rejected the token that all begin with."""
        return self._another(self.source.refresh, self.old)

    def request(self, path: str, *answers: str, old: str) -> Token | str:
        """Send a request.

        Args:
            answers: What *path* answers, one after the other, the last again and again:
                ``accept``, ``refuse``, ``refuse the first login`` (and accept others), ``lose``.
            old: What it answers to the token that all begin with.
        """
        token = self.get()
        resource = ("GET", ORIGIN, f"/{path}")
        left = list(answers)
        self.scheduler.foreign_code("sends its request", Touch("api", "write"))
        answer = old if token is self.old else _next(left, token)
        if answer == "accept":
            self._accept(token, resource)
        if answer != "refuse":
            return token
        if self.source.is_own(token, resource):
            return "401"
        return self._replay(resource, token, left)

    def replay(self, path: str, *answers: str) -> Token | str:
        """Go on with a request to *path*, which has answered 401 to the first token; that is not
        its own. *answers* are to replays."""
        return self._replay(("GET", ORIGIN, f"/{path}"), self.old, list(answers))

    def _replay(self, resource: Any, token: Token, answers: list[str]) -> Token | str:
        """As the adapter."""
        for replays in range(MOST_REPLAYS):

            def reject(token: Token, replay: bool = replays > 0) -> Token | None:
                another: Token | None = self.source.reject(token, resource, replay=replay)
                return another

            another = self._another(reject, token)
            if another is None:
                return "401"
            token = another
            here = self.scheduler.here_name()
            self._sending[here] = token
            try:
                answer, is_last = self._send_again(token, resource, answers)
            finally:
                self._sending.pop(here, None)
            if answer != "refuse":
                return token
            if is_last:
                return "401"
        return "401"

    def _send_again(self, token: Token, resource: Any, answers: list[str]) -> tuple[str, bool]:
        """As the adapter: there is a verdict on every way out."""
        here = self.scheduler.here_name()
        is_last, judged = True, False
        try:
            while True:
                self.scheduler.foreign_code("sends its request again", Touch("api", "write"))
                self._check_trial(token)
                answer = _next(answers, token)
                if not (answer == "refuse" and self.source.tries_again(token)):
                    break
            del self._sending[here]
            if answer == "refuse":
                with self._reports():
                    is_last = self.source.refuse(token, resource)
                judged = True
            elif answer == "accept":
                self._accept(token, resource, replay=True)
                judged = True
        finally:
            self._sending.pop(here, None)
            if not judged:
                with self._reports():
                    self.source.give_up(token)
        return answer, is_last

    def _accept(self, token: Token, resource: Any, *, replay: bool = False) -> None:
        if self.source.learns_from(token):
            with self._reports():
                self.source.accept(token, resource, replay=replay)

    def _another(self, get: Callable[[Token], Any], token: Token) -> Any:
        if token is self.old:
            self._rejecting.add(self.scheduler.here_name())
        another = get(token)
        self.scheduler.must(another is not token, "the rejected token is handed out again")
        if token is self.old and another is not None:
            self._say_it_is_done()
            self._dead.append(token)
        return another

    def get_and_look_into_the_store(self) -> Token:
        """As `get`. A token that is in use has been saved."""
        token = self.get()
        self.scheduler.point("looks into the store", Touch("store", "read"))
        saved = token.access_token in self.store.saved
        self.scheduler.must(saved, "a token is in use before it was saved")
        return token

    def be_rejected(self) -> Token | None:
        """Say that a server has rejected the token of the second login, if that is in use."""
        token = self.get()
        if login_of(token) == 1:
            return None
        another: Token = self._another(self.source.refresh, token)
        return another

    def log_in(self, token: Token) -> None:
        """Begin a login with *token*, whose number tells the older from the newer."""
        self._begun, self._running = self._begun + 1, self._running + 1
        self.source.login(token)
        self._say_it_is_done()
        self._newest, self._running = login_of(token), self._running - 1

    def log_out(self) -> None:
        """End the login."""
        begun = None if self._running else self._begun
        self.source.logout()
        self._say_it_is_done()
        self._out = begun

    def log_out_everywhere(self) -> None:
        """End the login at the server too: nothing that it has given out is good afterwards."""
        begun = None if self._running else self._begun
        self.source.logout(revoke=True)
        self._say_it_is_done()
        self._out = begun

    def _say_it_is_done(self) -> None:
        if self._history:
            self.scheduler.point("is done", Touch("history", "write"))

    # -- What the source calls --------------------------------------------------------------------

    def _refresh(self, token: Token | None) -> dict[str, Any]:
        flight = self.source._keeping.__dict__["in_turn"]
        once = all(flight is not before for before in self._refreshed)
        self.scheduler.must(once, "one flight asks for two tokens")
        self._refreshed.append(flight)
        return self.server.refresh(token)

    def _log_in_unattended(self) -> dict[str, str]:
        self.scheduler.foreign_code("logs in unattended", Touch("server", "write"))
        return {"access_token": "9.0", "refresh_token": "9.0"}

    def _note_the_end(self, reason: str) -> None:
        task = self.scheduler.here()
        has_turn = task is not None and bool(task.holds)
        self.scheduler.must(not has_turn, "on_logout is called with turn")
        self.ended.append(reason)

    # -- The rules --------------------------------------------------------------------------------

    def _keep_to_the_rules(self, function: Callable[[], object]) -> object:
        if self._history:
            self.scheduler.point("begins", Touch("history", "read"))
        newest, out, dead = self._newest, self._out == self._begun, list(self._dead)
        if self._rejecting & self.server.askers:
            dead.append(self.old)

        def is_out() -> bool:
            return out and self._out == self._begun

        try:
            got = function()
        except LoginRequiredError:
            raise
        except Exception:
            self.scheduler.must(not is_out(), "after a logout all may be well")
            raise
        if isinstance(got, Token):
            self.scheduler.must(not is_out(), "after a logout there was a token")
            self.scheduler.must(login_of(got) >= newest, "a token of an older login")
            is_dead = any(got is one for one in dead)
            self.scheduler.must(not is_dead, "a token that was rejected before")
        return got

    def _check_trial(self, token: Token) -> None:
        """Check that nobody else sends *token* now, if it is on trial, and how many have tried."""
        if self.scheduler.clock_moves or not self._is_on_trial(token):
            return
        here = self.scheduler.here_name()
        others = [one for name, one in self._sending.items() if name != here]
        alone = all(one is not token for one in others)
        self.scheduler.must(alone, "a waiter goes before the trial is over")
        tried = self._opinions.setdefault(token.access_token, set())
        tried.add(here)
        self.scheduler.must(len(tried) <= MOST_OPINIONS, "a fourth opinion is asked")

    def _is_on_trial(self, token: Token) -> bool:
        flight = self.source._flights.__dict__["login"].flight
        return flight is not None and flight.__dict__["token"] is token

    @contextmanager
    def _reports(self) -> Iterator[None]:
        here = self.scheduler.here_name()
        self._reporting.add(here)
        try:
            yield
        finally:
            self._reporting.discard(here)

    def _keep_to_the_invariants(self, before: Any, after: Any) -> None:
        self._note(broken_by(self._modules, before, after))
        if self.scheduler.here_name() in self._reporting and not self._may_end:
            self._note(broken_by_an_answer(before, after))
        self._note(broken(self._modules, after, self._now()))

    def _note(self, rules: Iterable[str]) -> None:
        for rule in rules:
            self.scheduler.must(False, rule)

    def _now(self) -> Any:
        return self._modules["_hand"].Now(self.scheduler.now, self.scheduler.now)

    # -- When all have ended ----------------------------------------------------------------------

    def check(self) -> None:
        """Check what holds after any schedule."""
        for task in self.scheduler.tasks:
            if isinstance(task.error, AssertionError):
                raise AssertionError(f"{task.name}: {task.error}")
        source, login = self.source, self.source._flights.login
        for rule in broken(self._modules, login, self._now()):
            raise AssertionError(f"at the end: {rule}")
        assert login.flight is None, "a flight is left"
        assert login.standing is not self._modules["_hand"].ON_TRIAL, "a trial is left"
        assert source._keeping.in_turn is None, "somebody is left in turn"
        assert not source._flights.turn.locked(), "turn is left locked"
        assert not self.store._lock.locked(), "the store is left locked"
        assert (login.hand is None) == login.is_over(), "no token, although the login goes on"

    def check_store(self) -> None:
        """Check that the store holds what is current, if nobody else writes to it."""
        login, stored = self.source._flights.login, self.store.load()
        if login.unsaved is not None:
            return
        kept = stored == login.token
        if login.over is not None:
            # It may be used up, also by siblings where it was not to be, but refreshed by nobody.
            kept = stored is None or stored.refresh_token is None
        assert kept, "the store does not hold what is current"

    def told(self) -> list[str]:
        """Return what has come of the login, beyond its token."""
        login = self.source._flights.login
        lives_on = login.over is not None and login.hand is not None
        return [
            *([f"uses {login.token.access_token} up"] if lives_on else []),
            *(["doubted"] if login.standing.name == "DOUBTED" else []),
            *sorted(f"knows {path}" for _, _, path in login.evidence.known),
            *(["not saved"] if login.unsaved else []),
        ]


def told(task: Task) -> str:
    """Return what *task* got: the name of a token, a 401, or the name of an error."""
    if task.error is not None:
        return getattr(task.error, "reason", type(task.error).__name__)
    if isinstance(task.value, Token):
        return name_of(task.value)
    return task.value or "done"


def name_of(token: Token) -> str:
    return token.refresh_token or token.access_token


def login_of(token: Token) -> int:
    return int(name_of(token).partition(".")[0])


def _next(answers: list[str], token: Token) -> str:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if answer == "refuse the first login":
        return "refuse" if login_of(token) == 1 else "accept"
    return answer
