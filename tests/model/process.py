"""A `TokenSource` and its model, side by side: each is told the same, and has to say the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from requests_tokenrefresh import Token, TokenRefreshError, TokenSource
from requests_tokenrefresh.events import (
    LoggedIn,
    LoggedOut,
    RefreshEnded,
    RefreshStarted,
    WaitEnded,
    WaitStarted,
)
from tests.model.login import Login
from tests.model.words import Resource, Rules
from tests.model.world import ExpectedError
from tests.support.logins import ORIGIN, Heard

if TYPE_CHECKING:
    from tests.model.machine import LoginMachine

Pair = tuple[Token, Token]  # the source's, the model's

MOST_REPLAYS = 2
# What a resource answers to a request, to its replay, and to its second replay.
TAKES_IT = ("yes",)
BEHAVIOURS = {
    "takes it": TAKES_IT,
    "takes the next one": ("401", "yes"),
    "takes none": ("401", "401", "401"),
    "does not answer the replay": ("401", None),
    "takes the second one": ("401", "401", "yes"),
    "was sent what cannot be sent again": ("401 for good",),
    "does not answer": (None,),
}


class Process:
    """One process's source, and its model.

    Attributes:
        tokens: What they have returned lately, in pairs.
    """

    def __init__(self, machine: LoginMachine, number: int, seed: Token | None) -> None:
        self.machine = machine
        self.number = number
        rules: Rules = machine.rules
        self.heard = Heard()
        self.logouts: list[str] = []
        self.tokens: list[Pair] = []
        self.of_older_logins: list[Token] = []
        self.model = Login(machine.world, number, seed=seed, rules=rules)

        def refresh(basis: Token | None) -> Any:
            return machine.ask(self, "refresh", basis)

        if rules.unattended == "the refresher":
            refresh.unattended = True  # type: ignore[attr-defined]
        self.source = TokenSource(
            refresh,
            origins=[ORIGIN],
            token=seed,
            store=machine.stores_of[number],
            login=self._log_in if rules.unattended == "login" else None,
            on_logout=self.logouts.append,
            listeners=[self.heard],
            clock=machine.wall,
            monotonic=machine.monotonic,
            random=lambda: machine.world.luck,
            wait_timeout=0,
            trial_timeout=1.0 if rules.tries else 0.0,
            min_refresh_interval=rules.first_patience,
            when_trial_refused="log_out" if rules.logs_out else "return",
        )

    def _log_in(self) -> Any:
        return self.machine.ask(self, "login", None)

    # -- What a program does ----------------------------------------------------------------------

    def login(self, token: Token) -> None:
        self._both(self.source.login, self.model.login, (token,), (token,))
        self.of_older_logins = [real for real, _ in self.tokens]

    def logout(self) -> None:
        self._both(self.source.logout, self.model.logout)
        self.of_older_logins = [real for real, _ in self.tokens]

    def request(self, resource: Resource, answers: tuple[str | None, ...]) -> None:
        """Send a request as the adapter does, to a *resource* that gives these *answers*."""
        pair = self._token_of(self._both(self.source.token, self.model.token))
        if pair is None or answers[0] is None:
            return
        if answers[0] == "yes":
            self.accepted(pair, resource)
        elif self.is_own(pair, resource):
            return
        elif answers[0] == "401 for good":
            self.reject(pair, resource, can_replay=False)
        else:
            self._replays(pair, resource, answers[1:])

    def _replays(self, pair: Pair, resource: Resource, answers: tuple[str | None, ...]) -> None:
        for replays in range(MOST_REPLAYS):
            another = self.reject(pair, resource, replayed=replays > 0)
            if another is None:
                return
            pair = another
            if answers[replays] == "yes":
                self.accepted(pair, resource, replayed=True)
                return
            if answers[replays] is None:
                self.give_up(pair)
                return
            if self.refuse(pair, resource):
                return

    def answered_401(self, pair: Pair, resource: Resource) -> None:
        """A request of any time before gets its answer now."""
        if not self.is_own(pair, resource):
            self.reject(pair, resource)

    def refresh(self, pair: Pair) -> None:
        self._token_of(self._about(pair, self.source.refresh, self.model.refresh), pair)

    # -- What the adapter reports -----------------------------------------------------------------

    def accepted(self, pair: Pair, resource: Resource, *, replayed: bool = False) -> None:
        def accept(token: Token, resource: Resource) -> None:
            if self.source.learns_from(token):
                self.source.accept(token, resource, replay=replayed)

        def accept_too(token: Token, resource: Resource) -> None:
            self.model.accept(token, resource, replayed)

        self._about(pair, accept, accept_too, resource, asks=False)

    def is_own(self, pair: Pair, resource: Resource) -> bool:
        said = self._about(pair, self.source.is_own, self.model.is_own, resource, asks=False)
        return said == (True, True)

    def reject(
        self, pair: Pair, resource: Resource, *, replayed: bool = False, can_replay: bool = True
    ) -> Pair | None:
        def reject(token: Token, resource: Resource) -> Token | None:
            return self.source.reject(token, resource, replay=replayed, can_replay=can_replay)

        def reject_too(token: Token, resource: Resource) -> Token | None:
            return self.model.reject(token, resource, replayed, can_replay)

        return self._token_of(self._about(pair, reject, reject_too, resource), pair)

    def refuse(self, pair: Pair, resource: Resource) -> bool:
        said = self._about(pair, self.source.refuse, self.model.refuse, resource, asks=False)
        return said == (True, True)

    def give_up(self, pair: Pair) -> None:
        self._about(pair, self.source.give_up, self.model.give_up, asks=False)

    # -- Side by side -----------------------------------------------------------------------------

    def _about(
        self,
        pair: Pair,
        tell: Callable[..., object],
        tell_model: Callable[..., object],
        *more: object,
        asks: bool = True,
    ) -> tuple[object, object]:
        """Tell both something of their token.

        Args:
            asks: Whether it may bring a token. Otherwise it is an API's word: that never reaches
                the issuer, nor takes a token out of a store.
        """
        asked, stored = len(self.machine.asked), self.machine.world.stored
        said = self._both(tell, tell_model, (pair[0], *more), (pair[1], *more))
        if not asks:
            assert len(self.machine.asked) == asked
            assert self.machine.rules.logs_out or self.machine.world.stored is stored
        return said

    def _both(
        self,
        tell: Callable[..., object],
        tell_model: Callable[..., object],
        about: tuple[object, ...] = (),
        about_too: tuple[object, ...] = (),
    ) -> tuple[object, object]:
        theirs, ours = outcome(tell, *about), outcome(tell_model, *about_too)
        if isinstance(theirs, Token) and isinstance(ours, Token):
            assert theirs.to_mapping() == ours.to_mapping()
        else:
            assert theirs == ours
        self.machine.command_done()
        if self.model.is_over():
            self.of_older_logins = [real for real, _ in self.tokens]
        return theirs, ours

    def _token_of(self, said: tuple[object, object], instead_of: Pair | None = None) -> Pair | None:
        """Return the token that both have come back with, if they have."""
        theirs, ours = said
        if not isinstance(theirs, Token) or not isinstance(ours, Token):
            return None
        known = [pair for pair in self.tokens if theirs is pair[0] or ours is pair[1]]
        assert all(theirs is pair[0] and ours is pair[1] for pair in known), "another object"
        others = [pair for pair in self.tokens if pair[0] is not theirs]
        self.tokens = [*others, (theirs, ours)][-6:]
        # What no model is needed for:
        assert instead_of is None or theirs is not instead_of[0]
        assert not any(theirs is old for old in self.of_older_logins)
        alive = theirs.expires_at is None or self.machine.wall() < theirs.expires_at
        assert alive or self.source.on_trial(theirs)
        return theirs, ours

    def check(self) -> None:
        """Check all that can be seen of a source."""
        model, heard = self.model, self.heard
        assert repr(self.source).endswith(f": {model.state()}>")
        assert self.logouts == model.logouts
        for theirs, ours in self.tokens[-3:]:
            assert self.source.on_trial(theirs) == model.is_on_trial(ours)
        assert [event.outcome for event in heard.of(RefreshEnded)] == model.outcomes
        assert [event.reason for event in heard.of(LoggedOut)] == model.logouts
        assert len(heard.of(RefreshStarted)) == len(model.outcomes)
        assert len(heard.of(LoggedIn)) == model.logins
        assert heard.of(WaitStarted) == heard.of(WaitEnded) == []  # nobody waits for himself


def outcome(function: Callable[..., object], *arguments: object) -> object:
    """Return what *function* returns, or what the error says to a program."""
    try:
        return function(*arguments)
    except KeyboardInterrupt:
        return "interrupted"
    except ExpectedError as error:
        return error.kind, error.reason, error.retry_after
    except TokenRefreshError as error:
        retry_after = getattr(error, "retry_after", None)
        assert retry_after is None or retry_after >= 0
        return type(error), getattr(error, "reason", None), retry_after
