"""The same commands for a `TokenSource` and for its model, and a look at both after each."""

from __future__ import annotations

import copy
import itertools
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from requests_tokenrefresh import (
    StoreContentError,
    StoreDataLostError,
    StoreLockLostError,
    StoreLockTimeoutError,
    StoreUnavailableError,
    Token,
    TokenRefreshError,
    TokenSource,
    TokenStoreError,
)
from requests_tokenrefresh.events import (
    LoggedIn,
    LoggedOut,
    RefreshEnded,
    RefreshStarted,
    WaitEnded,
    WaitStarted,
)
from tests.model.endpoint import OTHERS, TOKENS, meaning, reply
from tests.model.login import Answer, ExpectedError, Login, World
from tests.support.logins import ORIGIN, Clock, Heard
from tests.support.troubled_store import Store, Troubled, TroubledFile


class InMemory(Store):
    """A store of this process."""

    shared = False


class Copies(Store):
    """Every reader has an object of his own, as in another process."""

    def load(self) -> Token | None:
        return copy.copy(super().load())


TROUBLES = st.sampled_from(
    [
        ("load", StoreUnavailableError),
        ("load", StoreContentError),
        ("load", StoreDataLostError),
        ("load", RuntimeError),
        ("save", StoreUnavailableError),
        ("save", StoreLockLostError),
        ("save", RuntimeError),
        ("clear", StoreUnavailableError),
        ("lock", StoreLockTimeoutError),
        ("lock", StoreUnavailableError),
    ]
)
LIFETIMES = st.sampled_from([None, 4.0, 60.0, 3600.0])
NUMBERS = st.integers(0, 2)

MEANWHILE = st.just(None) | st.sampled_from(
    [
        "login",
        "logout",
        "login during the save",
        "logout during the save",
        "a stranger saves",
        "a stranger saves an old one",
        "a stranger clears",
        "time passes",
        ("load", StoreUnavailableError),
        ("save", StoreUnavailableError),
        ("clear", RuntimeError),
    ]
)
# What the token endpoint answers next, and what happens before it does.
NEXT = st.lists(
    st.tuples(st.sampled_from(list(TOKENS)) | st.sampled_from(list(OTHERS)), MEANWHILE),
    max_size=2,
)
VERDICTS = st.sampled_from(["reject", "accept", "refuse", "give_up", "refresh"])


class Process:
    """A source and its model, and which token of one is which of the other."""

    def __init__(
        self, machine: LoginMachine, number: int, seed: Token | None, *, unattended: bool
    ) -> None:
        self.number = number
        self.wall = machine.wall
        self.command_done = machine.command_done
        self.heard = Heard()
        self.logouts: list[str] = []
        self.model = Login(machine.world, number, seed=seed, unattended=unattended)
        self.source = TokenSource(
            lambda basis: machine.ask(self, "refresh", basis),
            origins=[ORIGIN],
            token=seed,
            store=machine.store_of(number),
            login=(lambda: machine.ask(self, "login", None)) if unattended else None,
            on_logout=self.logouts.append,
            listeners=[self.heard],
            clock=machine.wall,
            monotonic=machine.monotonic,
            random=lambda: machine.world.luck,
            wait_timeout=0,
        )
        self.tokens: list[tuple[Token, Token]] = []  # the source's, the model's
        self.rejected: set[str] = set()  # access tokens
        self.of_older_logins: list[Token] = []

    def do(self, command: str, number: int = 0) -> bool:
        """Give both a command, about the *number*th of the last tokens that they have returned.

        Return whether it came back with a token, or with no error.
        """
        pair: tuple[Token, ...] = ()
        if command not in ("token", "logout"):
            if not self.tokens:
                return False
            pair = self.tokens[-1 - number % len(self.tokens)]
        if command in ("refresh", "reject") and self.model.current is pair[1]:
            self.rejected.add(pair[0].access_token)
        theirs = outcome(getattr(self.source, command), *pair[:1])
        ours = outcome(getattr(self.model, command), *pair[1:])
        if isinstance(theirs, Token) and isinstance(ours, Token):
            self._promised(theirs)
            known = [pair for pair in self.tokens if theirs is pair[0] or ours is pair[1]]
            assert all(theirs is pair[0] and ours is pair[1] for pair in known), "another object"
            others = [pair for pair in self.tokens if pair[0] is not theirs]
            self.tokens = [*others, (theirs, ours)]
            theirs, ours = theirs.to_mapping(), ours.to_mapping()
        assert theirs == ours
        self.command_done()
        if self.model.over is not None:
            self.of_older_logins = [real for real, _ in self.tokens]
        return not isinstance(ours, tuple)

    def login(self, token: Token) -> None:
        self.of_older_logins = [real for real, _ in self.tokens]
        theirs = outcome(self.source.login, token)
        assert theirs == outcome(self.model.login, token)
        self.command_done()

    def _promised(self, token: Token) -> None:
        """Check what no model is needed for."""
        assert token.access_token not in self.rejected
        assert not any(token is old for old in self.of_older_logins)
        on_trial = self.source.on_trial(token)
        assert on_trial or token.expires_at is None or self.wall() < token.expires_at


def outcome(function: Callable[..., object], *arguments: object) -> object:
    """Return what *function* returns, or what the error says to a program."""
    try:
        return function(*arguments)
    except ExpectedError as error:
        return error.kind, error.reason, error.retry_after
    except TokenRefreshError as error:
        retry_after = getattr(error, "retry_after", None)
        assert retry_after is None or retry_after >= 0
        return type(error), getattr(error, "reason", None), retry_after


class LoginMachine(RuleBasedStateMachine):
    """One process, whose store is its own or shared with programs that are not modelled."""

    stores: st.SearchStrategy[str] = st.sampled_from(["its own", "shared"])
    count = 1

    @initialize(
        data=st.data(),
        lifetime=st.just("no token") | LIFETIMES,
        unattended=st.booleans(),
        luck=st.sampled_from([0.0, 0.5, 1.0]),
    )
    def begin(self, data: Any, lifetime: Any, unattended: bool, luck: float) -> None:
        self.wall, self.monotonic = Clock(), Clock()
        self.numbers = itertools.count(1)
        self.script: dict[int, tuple[str, Any]] = {}
        self.asked: list[tuple[int, str, Token | None]] = []
        self.asked_of_model: list[tuple[int, str, Token | None]] = []
        self.spent: set[str | None] = set()  # refresh tokens that the server would not take again
        self.spent_again: list[str | None] = []
        self.excused = False
        self.folder = None
        kept = data.draw(self.stores)
        self.shared = kept != "its own"
        self.stores_of = self.open_stores(kept)
        self.world = World(self.shared, luck, self.answer)
        seed = None if lifetime == "no token" else self.new_token(lifetime)
        # Only one starts with a token: another that did so later, after a logout, could not know.
        seeds = [seed, *[None] * (self.count - 1)]
        self.processes = [
            Process(self, number, seed, unattended=unattended) for number, seed in enumerate(seeds)
        ]

    def open_stores(self, kept: str) -> list[Any]:
        if kept == "a file":
            self.folder = tempfile.mkdtemp()
            return [TroubledFile(Path(self.folder, "token")) for _ in range(self.count)]
        return [InMemory() if kept == "its own" else Copies()] * self.count

    def teardown(self) -> None:
        if getattr(self, "folder", None):
            shutil.rmtree(self.folder)

    def store_of(self, number: int) -> Any:
        return self.stores_of[number]

    def new_token(self, lifetime: float | None) -> Token:
        name = f"login-{next(self.numbers)}"
        expires_at = None if lifetime is None else self.wall.now + lifetime
        return Token(name, f"refresh-{name}", issued_at=self.wall.now, expires_at=expires_at)

    # -- The token endpoint: asked by the source, and by the model ---------------------------------

    def ask(self, process: Process, how: str, basis: Token | None) -> Any:
        self.asked.append((process.number, how, basis))
        number = len(self.asked)
        kind, meanwhile = self.script.get(number, ("for an hour", None))
        with suppress(TokenStoreError):
            self._meanwhile(meanwhile, number, process.source, self)
        answer = meaning(kind, number, how, basis)
        for one in self.processes:
            one.rejected.discard(answer.access)  # it is issued anew
        if basis is not None and basis.refresh_token is not None:
            if basis.refresh_token in self.spent:
                self.spent_again.append(basis.refresh_token)
            if answer.refused or answer.refresh:
                self.spent.add(basis.refresh_token)
        return reply(kind, answer)

    def answer(self, model: Login, how: str, basis: Token | None) -> Answer:
        self.asked_of_model.append((model.number, how, basis))
        number = len(self.asked_of_model)
        kind, meanwhile = self.script.get(number, ("for an hour", None))
        with suppress(ExpectedError):
            self._meanwhile(meanwhile, number, model, self.world)
        return meaning(kind, number, how, basis)

    def _meanwhile(
        self, what: Any, number: int, login: TokenSource | Login, world: LoginMachine | World
    ) -> None:
        name = f"meanwhile-{number}"
        expires_at = 1.0 if what == "a stranger saves an old one" else 2e9
        token = Token(name, f"refresh-{name}", issued_at=0.0, expires_at=expires_at)
        if what in ("login during the save", "logout during the save"):
            first = what.split()[0]
            world.before_save(lambda: self._meanwhile(first, number, login, world))
        elif what == "login":
            login.login(token)
        elif what == "logout":
            login.logout()
        elif what == "time passes":
            world.pass_time(20)
        elif isinstance(what, tuple):
            world.break_store(*what)
        elif what is not None and self.shared:
            world.overwrite(None if what == "a stranger clears" else token)

    def before_save(self, happens: Callable[[], None] | None) -> None:
        for store in self.stores_of:
            store.before = {} if happens is None else {"save": happens}

    def pass_time(self, seconds: float) -> None:
        self.wall.advance(seconds)
        self.monotonic.advance(seconds)

    def overwrite(self, token: Token | None) -> None:
        store = super(Troubled, self.stores_of[0])  # no trouble for him
        store.clear() if token is None else store.save(token)

    def break_store(self, what: str, kind: type[Exception]) -> None:
        if self.count > 1 and what != "lock":
            self.excused = True  # what is only in one's memory, others cannot know
        for store in self.stores_of:
            store.fails[what] = kind("trouble")

    def repair_store(self) -> None:
        for store in self.stores_of:
            store.fails.clear()

    # -- Commands ----------------------------------------------------------------------------------

    def command_done(self) -> None:
        for side in (self, self.world):
            side.before_save(None)

    def process(self, number: int) -> Process:
        return self.processes[number % len(self.processes)]

    # Few rules with much in each: hypothesis leaves out some of them in most of its examples.

    @rule(which=NUMBERS, answers=NEXT, verdict=VERDICTS)
    def a_request(self, which: int, answers: list[Any], verdict: str) -> None:
        self.script |= enumerate(answers, len(self.asked) + 1)
        if self.process(which).do("token"):
            self.process(which).do(verdict)

    @rule(which=NUMBERS, answers=NEXT, verdict=VERDICTS)
    def a_request_and_its_replay(self, which: int, answers: list[Any], verdict: str) -> None:
        self.script |= enumerate(answers, len(self.asked) + 1)
        if self.process(which).do("token") and self.process(which).do("reject"):
            self.process(which).do(verdict)

    @rule(which=NUMBERS, number=NUMBERS, answers=NEXT, verdict=VERDICTS)
    def a_late_answer(self, which: int, number: int, answers: list[Any], verdict: str) -> None:
        self.script |= enumerate(answers, len(self.asked) + 1)
        self.process(which).do(verdict, number)

    @rule(which=NUMBERS, lifetime=st.sampled_from([3600.0, 60.0, 4.0, None, "logout"]))
    def login_or_logout(self, which: int, lifetime: Any) -> None:
        process = self.process(which)
        if lifetime == "logout":
            process.do("logout")
        else:
            process.login(self.new_token(lifetime))

    @rule(which=NUMBERS, seconds=st.sampled_from(["until due", "nearly", 0.25, 1.0, 31.0, 3000.0]))
    def time_passes(self, which: int, seconds: Any) -> None:
        due = self.process(which).model.due_in()
        if seconds in ("until due", "nearly"):
            seconds = (due if due < 1e6 else 0.0) - (seconds == "nearly") / 8
        for side in (self, self.world):
            side.pass_time(max(0.0, seconds))

    @rule(seconds=st.sampled_from([-40.0, 40.0]))
    def somebody_sets_the_clock(self, seconds: float) -> None:
        self.wall.advance(seconds)
        self.world.wall += seconds

    @rule(trouble=st.none() | TROUBLES)
    def the_store_fails_or_works_again(self, trouble: tuple[str, type[Exception]] | None) -> None:
        for side in (self, self.world):
            side.repair_store() if trouble is None else side.break_store(*trouble)

    @precondition(lambda self: self.shared)
    @rule(lifetime=LIFETIMES | st.just("nothing"))
    def a_stranger_saves_or_clears(self, lifetime: Any) -> None:
        token = None if lifetime == "nothing" else self.new_token(lifetime)
        for side in (self, self.world):
            side.overwrite(token)

    # -- What holds after each ---------------------------------------------------------------------

    @invariant()
    def the_token_endpoint_was_asked_the_same(self) -> None:
        assert self.asked == self.asked_of_model
        assert (self.wall.now, self.monotonic.now) == (self.world.wall, self.world.monotonic)

    @invariant()
    def no_refresh_token_is_spent_twice(self) -> None:
        assert self.excused or not self.spent_again

    @invariant()
    def the_store_holds_the_same(self) -> None:
        assert super(Troubled, self.stores_of[0]).load() == self.world.stored

    @invariant()
    def the_login_is_over_or_not(self) -> None:
        for process in self.processes:
            assert repr(process.source).endswith(f": {process.model.state()}>")
            assert process.logouts == process.model.logouts

    @invariant()
    def a_401_is_the_resources_own_answer_or_not(self) -> None:
        for process in self.processes:
            for theirs, ours in process.tokens[-3:]:
                assert process.source.trusts(theirs) == process.model.trusts(ours)
                assert process.source.on_trial(theirs) == (process.model.trial is ours)

    @invariant()
    def the_events_tell_the_same(self) -> None:
        for process in self.processes:
            heard, model = process.heard, process.model
            assert [event.outcome for event in heard.of(RefreshEnded)] == model.outcomes
            assert [event.reason for event in heard.of(LoggedOut)] == model.logouts
            assert len(heard.of(RefreshStarted)) == len(model.outcomes)
            assert len(heard.of(LoggedIn)) == model.logins
            assert heard.of(WaitStarted) == heard.of(WaitEnded) == []  # nobody waits for himself


class ProcessesMachine(LoginMachine):
    """Two processes that share a store."""

    stores = st.sampled_from(["shared", "a file"])
    count = 2
