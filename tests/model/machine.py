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
    TokenSource,
    TokenStoreError,
)
from tests.model.endpoint import KINDS, access_token, meaning, person_of, reply
from tests.model.login import Login
from tests.model.process import BEHAVIOURS, Process
from tests.model.words import Resource, Rules, Standing
from tests.model.world import Answer, ExpectedError, World
from tests.support.logins import ORIGIN, Clock
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
        ("unlock", RuntimeError),
    ]
)
LIFETIMES = st.sampled_from([None, 4.0, 60.0, 3600.0])
PERSONS = st.sampled_from([None, "ann", "ben"])
NUMBERS = st.integers(0, 2)

MEANWHILE = st.just(None) | st.sampled_from(
    [
        "login",
        "logout",
        "login during the save",
        "logout during the save",
        "an interrupt during the save",
        "a stranger saves",
        "a stranger saves an old one",
        "a stranger clears",
        "time passes",
        ("load", StoreUnavailableError),
        ("save", StoreUnavailableError),
        ("clear", RuntimeError),
    ]
)
# What the issuer answers next, and what happens before it does.
NEXT = st.lists(st.tuples(st.sampled_from(KINDS), MEANWHILE), max_size=2)
USUAL = st.just("for an hour") | st.sampled_from(KINDS)
# Who answers, and how: some are known, and "another" is somebody who has never been asked.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["/data", "/other", "another"]),
        st.sampled_from(list(BEHAVIOURS.values())),
    ),
    min_size=1,
    max_size=3,
)
TAKES_IT, TAKES_NONE = BEHAVIOURS["takes it"], BEHAVIOURS["takes none"]
# What takes many of the same kind to come about.
SCENES = [
    [("/data", TAKES_IT), ("another", TAKES_NONE)],  # a crawl beside healthy requests
    [("/data", TAKES_IT), ("/data", TAKES_NONE)],  # a server that changes its mind
    [("/data", TAKES_IT), ("/other", TAKES_NONE)],  # a page that one may not see
    [("/data", TAKES_NONE)],  # a server that takes nothing
    [("/data", BEHAVIOURS["takes the next one"])],
    [("/data", TAKES_IT), ("/other", BEHAVIOURS["was sent what cannot be sent again"])],
]
WORDS = st.sampled_from(["a 401", "a 401 to a replay", "yes", "yes to a replay", "nothing", "old"])


class LoginMachine(RuleBasedStateMachine):
    """One process, whose store is its own or shared with programs that are not modelled."""

    stores: st.SearchStrategy[str] = st.sampled_from(["its own", "shared"])
    count = 1

    @initialize(
        data=st.data(),
        lifetime=st.just("no token") | LIFETIMES,
        person=PERSONS,
        luck=st.sampled_from([0.0, 0.5, 1.0]),
        rules=st.builds(
            Rules,
            first_patience=st.sampled_from([1.0, 1.0, 8.0, 0.0]),
            tries=st.sampled_from([True, True, False]),
            logs_out=st.sampled_from([False, False, True]),
            unattended=st.sampled_from(["nobody", "login", "the refresher"]),
        ),
    )
    def begin(self, data: Any, lifetime: Any, person: Any, luck: float, rules: Rules) -> None:
        self.wall, self.monotonic = Clock(), Clock()
        self.numbers = itertools.count(1)
        self.script: dict[int, tuple[str, Any]] = {}
        self.usual = "for an hour"
        self.asked: list[tuple[int, str, Token | None]] = []
        self.asked_of_model: list[tuple[int, str, Token | None]] = []
        self.spent: set[str | None] = set()  # refresh tokens that the issuer would not take again
        self.spent_again: list[str | None] = []
        self.excused = rules.unattended == "the refresher"
        self.folder = None
        self.rules = rules
        kept = data.draw(self.stores)
        self.shared = kept != "its own"
        self.stores_of = self.open_stores(kept)
        self.world = World(self.shared, luck, self.answer, person_of, kept == "a file")
        seed = None if lifetime == "no token" else self.new_token(lifetime, person)
        # Only one starts with a token: another that did so later, after a logout, could not know.
        seeds = [seed, *[None] * (self.count - 1)]
        self.processes = [Process(self, number, seed) for number, seed in enumerate(seeds)]

    def open_stores(self, kept: str) -> list[Any]:
        if kept == "a file":
            self.folder = tempfile.mkdtemp()
            return [TroubledFile(Path(self.folder, "token")) for _ in range(self.count)]
        return [InMemory() if kept == "its own" else Copies()] * self.count

    def teardown(self) -> None:
        if getattr(self, "folder", None):
            shutil.rmtree(self.folder)

    def new_token(self, lifetime: float | None, person: str | None) -> Token:
        name = f"login-{next(self.numbers)}"
        expires_at = None if lifetime is None else self.wall.now + lifetime
        return Token(
            access_token(name, person),
            f"refresh-{name}",
            issued_at=self.wall.now,
            expires_at=expires_at,
        )

    # -- The issuer: asked by the source, and by the model -----------------------------------------

    def ask(self, process: Process, how: str, basis: Token | None) -> Any:
        self.asked.append((process.number, how, basis))
        number = len(self.asked)
        kind, meanwhile = self.script.get(number, (self.usual, None))
        with suppress(TokenStoreError):
            self._meanwhile(meanwhile, number, process.source, self)
        answer = self._meaning(kind, number, how, basis)
        if basis is not None and basis.refresh_token is not None and not answer.interrupted:
            if basis.refresh_token in self.spent:
                self.spent_again.append(basis.refresh_token)
            if answer.refused or answer.refresh:
                self.spent.add(basis.refresh_token)
        return reply(kind, answer)

    def answer(self, model: Login, how: str, basis: Token | None) -> Answer:
        self.asked_of_model.append((model.number, how, basis))
        number = len(self.asked_of_model)
        kind, meanwhile = self.script.get(number, (self.usual, None))
        with suppress(ExpectedError):
            self._meanwhile(meanwhile, number, model, self.world)
        return self._meaning(kind, number, how, basis)

    def _meaning(self, kind: str, number: int, how: str, basis: Token | None) -> Answer:
        person = None if basis is None else person_of(basis.access_token)
        return meaning(kind, number, how, basis, person, self.rules.unattended)

    def _meanwhile(
        self, what: Any, number: int, login: TokenSource | Login, world: LoginMachine | World
    ) -> None:
        name = f"meanwhile-{number}"
        expires_at = 1.0 if what == "a stranger saves an old one" else 2e9
        token = Token(name, f"refresh-{name}", issued_at=0.0, expires_at=expires_at)
        if what in ("login during the save", "logout during the save"):
            first = what.split()[0]
            world.before_save(lambda: self._meanwhile(first, number, login, world))
        elif what == "an interrupt during the save":
            world.before_save(interrupt)
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

    def set_clock(self, seconds: float) -> None:
        self.wall.advance(seconds)

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

    def issuer_will(self, answers: list[Any], usual: str) -> None:
        self.script |= enumerate(answers, len(self.asked) + 1)
        self.usual = usual

    def resource(self, path: str) -> Resource:
        return "GET", ORIGIN, f"/{next(self.numbers)}" if path == "another" else path

    def time_goes_by(self, process: Process, which: int, nudge: float) -> None:
        """Until something is due, or a little before or after."""
        moments = process.model.moments()
        self.let_pass(moments[which % len(moments)] + nudge if moments else 1.0)

    def let_pass(self, seconds: float) -> None:
        for side in (self, self.world):
            side.pass_time(max(0.0, seconds))

    # Few rules with much in each: hypothesis leaves out some of them in most of its examples.

    @rule(
        which=NUMBERS,
        steps=STEPS,
        times=st.sampled_from([1, 1, 2, 4, 12]),
        due=st.none() | NUMBERS,
        answers=NEXT,
        usual=USUAL,
    )
    def some_requests(
        self, which: int, steps: Any, times: int, due: int | None, answers: list[Any], usual: str
    ) -> None:
        self.requests(which, steps, times, due, answers, usual)

    def requests(
        self, which: int, steps: Any, times: int, due: int | None, answers: list[Any], usual: str
    ) -> None:
        process = self.process(which)
        self.issuer_will(answers, usual)
        for _ in range(times):
            for path, behaviour in steps:
                process.request(self.resource(path), behaviour)
            if due is not None:
                self.time_goes_by(process, due, 0.0)

    @rule(
        which=NUMBERS,
        steps=st.sampled_from(SCENES),
        times=st.integers(1, 12),
        due=st.none() | st.none() | NUMBERS,
    )
    def the_same_again_and_again(self, which: int, steps: Any, times: int, due: int | None) -> None:
        """The issuer is well meanwhile."""
        self.requests(which, steps, times, due, [], "for an hour")

    @rule(
        which=NUMBERS,
        early=st.booleans(),
        nudge=st.sampled_from([0.0, -0.125, 0.125]),
        answer=st.tuples(st.sampled_from(KINDS), st.just(None) | st.just("time passes")),
        number=st.integers(0, 2),
        due=st.lists(st.integers(0, 3), max_size=3),
    )
    def the_last_minutes(
        self, which: int, early: bool, nudge: float, answer: Any, number: int, due: list[int]
    ) -> None:
        """Of a token that expires, and a late 401, whatever the issuer does."""
        process = self.process(which)
        token = process.model.current
        if token is None or token.expires_at is None:
            process.login(self.new_token(3600.0, None))
            token = process.model.current
        if process.model.standing is not Standing.UNTRIED:
            process.request(self.resource("/data"), BEHAVIOURS["takes the next one"])
        token = process.model.current
        if token is None or token.expires_at is None:
            return
        ends = process.model.early_from if early else process.model.good_until(token)
        self.let_pass(ends - self.world.wall + nudge)
        self.issuer_will([answer], answer[0])
        process.request(self.resource("/data"), TAKES_IT)
        for moment in due:
            if process.tokens:
                pair = process.tokens[-1 - number % len(process.tokens)]
                process.answered_401(pair, self.resource("/other"))
            process.request(self.resource("/data"), TAKES_IT)
            self.time_goes_by(process, moment, 0.0)

    @rule(
        which=NUMBERS,
        number=st.integers(0, 5),
        path=st.sampled_from(["/data", "/other", "another"]),
        word=WORDS,
        answers=NEXT,
    )
    def a_late_answer(
        self, which: int, number: int, path: str, word: str, answers: list[Any]
    ) -> None:
        process = self.process(which)
        self.issuer_will(answers, "for an hour")
        if not process.tokens:
            return
        pair, resource = process.tokens[-1 - number % len(process.tokens)], self.resource(path)
        if word == "a 401":
            process.answered_401(pair, resource)
        elif word == "a 401 to a replay":
            if not process.refuse(pair, resource):
                process.reject(pair, resource, replayed=True)
        elif word == "nothing":
            process.give_up(pair)
        elif word == "old":
            process.refresh(pair)
        else:
            process.accepted(pair, resource, replayed=word == "yes to a replay")

    @rule(which=NUMBERS, lifetime=LIFETIMES | st.just("logout"), person=PERSONS)
    def login_or_logout(self, which: int, lifetime: Any, person: Any) -> None:
        process = self.process(which)
        if lifetime == "logout":
            process.logout()
        else:
            process.login(self.new_token(lifetime, person))

    @rule(which=NUMBERS, due=st.integers(0, 7), nudge=st.sampled_from([0.0, -0.125, 0.125, 31.0]))
    def time_passes(self, which: int, due: int, nudge: float) -> None:
        self.time_goes_by(self.process(which), due, nudge)

    @rule(seconds=st.sampled_from([-40.0, 40.0]))
    def somebody_sets_the_clock(self, seconds: float) -> None:
        for side in (self, self.world):
            side.set_clock(seconds)

    @rule(trouble=st.none() | TROUBLES)
    def the_store_fails_or_works_again(self, trouble: tuple[str, type[Exception]] | None) -> None:
        for side in (self, self.world):
            side.repair_store() if trouble is None else side.break_store(*trouble)

    @precondition(lambda self: self.shared)
    @rule(lifetime=LIFETIMES | st.just("nothing"), person=PERSONS)
    def a_stranger_saves_or_clears(self, lifetime: Any, person: Any) -> None:
        token = None if lifetime == "nothing" else self.new_token(lifetime, person)
        for side in (self, self.world):
            side.overwrite(token)

    # -- What holds after each ---------------------------------------------------------------------

    @invariant()
    def the_issuer_was_asked_the_same(self) -> None:
        assert self.asked == self.asked_of_model
        assert (self.wall.now, self.monotonic.now) == (self.world.wall, self.world.monotonic)

    @invariant()
    def no_refresh_token_is_spent_twice(self) -> None:
        assert self.excused or not self.spent_again

    @invariant()
    def the_store_holds_the_same(self) -> None:
        assert super(Troubled, self.stores_of[0]).load() == self.world.stored
        if self.world.keeps_pause:
            assert self.stores_of[0].load_pause() == self.world.pause

    @invariant()
    def a_source_and_its_model_look_the_same(self) -> None:
        for process in self.processes:
            process.check()


def interrupt() -> None:
    raise KeyboardInterrupt


class ProcessesMachine(LoginMachine):
    """Two processes that share a store."""

    stores = st.sampled_from(["shared", "a file"])
    count = 2
