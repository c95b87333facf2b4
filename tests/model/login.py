"""A login in plain words, to hold a `TokenSource` against: one caller, no lock, no thread, no HTTP.

What the rules leave open (which error a store's failure is, what jitter is drawn) is given to both
sides alike. Tokens are told apart as the rules do it: by identity inside a process, by their
secrets across processes. This file has what a caller can do, and what a 401 means; what a refresh
does is in `flight.py`, what the answers of APIs leave behind in `answers.py`.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace

from requests_tokenrefresh import StoreLockLostError, Token
from tests.model.answers import Answers
from tests.model.flight import Flight
from tests.model.words import Held, Resource, Rules, Standing, Unsaved, dead_at
from tests.model.world import ExpectedError, World, it_is_over


class Login:
    """One process's view of the login."""

    def __init__(self, world: World, number: int, *, seed: Token | None, rules: Rules) -> None:
        self.world = world
        self.number = number
        self.rules = rules
        self.current: Token | None = None
        self.standing = Standing.NONE
        self.found = False  # perhaps old; else the issuer has just given it out
        self.refused_by: list[Resource] = []
        self.proven_by: Resource | None = None
        self.replay_due: Resource | None = None  # its next request is one, though it is the first
        self.unsaved = False
        self.replaces: Token | Unsaved | None = None  # in the store, if it is unsaved
        self.early_from = math.inf
        self.look_at = -math.inf  # somebody has something to do then, though the token is good
        self.failure: ExpectedError | None = None  # the last one, if nothing came after it
        self.failures = 0  # in a row
        self.pause_ends = -math.inf  # until then nobody asks the issuer
        self.pause_seen: tuple[float, float, int] | None = None  # that was found last, or told
        self.seen_at = 0.0
        self.over: str | None = None  # the reason; beside a token, it ends when that is dead
        self.answers = Answers(rules.first_patience)
        self.seed = None if seed is None else replace(seed)  # to start with if nothing is stored
        self.shunned: list[Token] = []  # the store may hold them, and they are not believed
        self.believes_nothing = False  # of what the store holds
        self.look_beside_at = -math.inf
        self.takeovers = 0  # by login() and logout()
        self.in_turn = False
        self.outcomes: list[str] = []
        self.logins = 0
        self.logouts: list[str] = []

    # -- What anybody may call --------------------------------------------------------------------

    def token(self) -> Token:
        if self._goes_unasked():
            return self.current
        return self._another(None)

    def refresh(self, rejected: Token) -> Token:
        """Nobody's 401: it minds the issuer's pause only, and what it brings is on no trial."""
        return self._another(Held(rejected, None))

    def login(self, token: Token) -> None:
        self.takeovers += 1
        self.logins += 1
        self.answers.forget_all()
        self.take(replace(token), found=True, unsaved=True, replaces=Unsaved.WHATEVER)
        self._settle()

    def logout(self) -> None:
        self.takeovers += 1
        self.end("logged_out")
        self.believes_nothing = True
        self._settle()

    # -- What the adapter reports -----------------------------------------------------------------

    def accept(self, token: Token, resource: Resource, replayed: bool) -> None:
        if token is not self.current or self.standing is Standing.REJECTED:
            return
        if self.standing is not Standing.PROVEN:
            self.answers.believe()
            self.answers.know(self.refused_by, self.world.monotonic)
            if self._is_a_replay(Held(token, resource, replayed)) and not self.found:
                self.answers.was_worth_it()
            self.standing, self.proven_by, self.refused_by = Standing.PROVEN, resource, []
        self.answers.forget(resource)
        self._has_answered(resource)

    def is_own(self, token: Token, resource: Resource) -> bool:
        """The first answer of *resource* was a 401: is it its own, so that nothing is asked?"""
        held = Held(token, resource)
        if token is self.current and self._is_a_replay(held):
            return self.refuse(token, resource)
        if self.over is not None:
            return False
        if token is self.current and self._is_own(held) and self._is_in_vain(resource):
            self._look_beside(held)  # before nothing is done, for another process may have
        if token is not self.current:
            return self._is_of_another_person(held)
        return self._is_own(held) and self._what_to_do(held) == "own"

    def reject(
        self, token: Token, resource: Resource, replayed: bool, can_replay: bool
    ) -> Token | None:
        """Return the token to replay with; None: the 401 is the resource's own."""
        return self._another(Held(token, resource, replayed, can_replay))

    def refuse(self, token: Token, resource: Resource) -> bool:
        """A replay was answered 401: is that the resource's own answer?"""
        if self.over is not None:
            self._dies()
            return False
        before = self.standing
        own = self._what_to_do(Held(token, resource, replayed=True)) == "own"
        if self.rules.logs_out and self.standing is Standing.DOUBTED is not before:
            self._trial_ends_the_login()
            return False
        return own

    def give_up(self, token: Token) -> None:
        """The replay had no answer, or one that says nothing."""
        if token is self.current and self.standing is Standing.ON_TRIAL:
            self.standing = Standing.UNTRIED

    # -- What can be seen -------------------------------------------------------------------------

    def state(self) -> str:
        if self.is_over():
            return "over"
        return "refreshing" if self.standing is Standing.ON_TRIAL else "ready"

    def is_on_trial(self, token: Token) -> bool:
        return token is self.current and self.standing is Standing.ON_TRIAL

    def is_over(self) -> bool:
        return self.over is not None and self.current is None

    def moments(self) -> list[float]:
        """Return in how many seconds time alone brings something about."""
        wall, monotonic = [self.look_at], [self.pause_ends, self.look_beside_at]
        monotonic += self.answers.moments()
        if self.current is not None:
            wall += [self.early_from, self.good_until(self.current), dead_at(self.current)]
        left = [at - self.world.wall for at in wall]
        left += [at - self.world.monotonic for at in monotonic]
        return sorted({seconds for seconds in left if 0 < seconds < 1e6})

    # -- A token, by all means --------------------------------------------------------------------

    def _another(self, held: Held | None) -> Token | None:
        self._look_beside(held)
        while True:
            if self.over is not None:
                return self._after_the_end(held)
            asked_by = self._asked_by(held)
            todo = self._what_to_do(held)
            if todo == "own":
                if self.standing is Standing.ON_TRIAL:  # another person's, and nobody tries that
                    self.standing = Standing.UNTRIED
                return None
            if todo == "fail":
                raise self.failure.after(self.pause_ends - self.world.monotonic)
            if todo == "go":
                return self.current
            error = Flight(self, held, asked_by, early=todo == "refresh early").fly()
            if self.over is not None:
                error = it_is_over(self.over)
            if error is not None:
                if self.is_alive() and not self._is_about_the_current(held):
                    return self.current
                raise error

    def _after_the_end(self, held: Held | None) -> Token:
        """It is over, but the last token may be used up by those to whom nobody has refused it."""
        self._dies()
        if self.current is None or self._is_about_the_current(held):
            raise it_is_over(self.over)
        return self.current

    def _dies(self) -> None:
        if self.current is not None and not self.is_alive():
            self.drop()
            self.logouts.append(self.over)

    def _goes_unasked(self) -> bool:
        held_back = self.standing in (Standing.NONE, Standing.ON_TRIAL, Standing.REJECTED)
        return not held_back and self.is_alive() and self.world.wall < self.look_at

    def _what_to_do(self, held: Held | None) -> str:
        """Return "go" (with what is in hand), "own", "fail", "refresh" or "refresh early"."""
        if self._is_about_the_current(held):
            replayed = self._is_a_replay(held)
            todo = self._replay_refused(held) if replayed else self._refused_at_first(held)
            self._has_answered(held.resource)
            return todo
        if held is not None and self._is_of_another_person(held):
            return "own"
        if self.standing is Standing.ON_TRIAL:
            return "go"
        if self.standing in (Standing.NONE, Standing.REJECTED):
            return self._ask_or("fail")
        if self._counts_as_expired():
            return self._ask_or("go" if self.is_alive() else "fail")
        return "go" if self.world.wall < self.look_at else self._look_after_it()

    def _look_after_it(self) -> str:
        if self.pauses():
            return self._ask_or("go")
        if self.unsaved or self.world.wall >= self.early_from:
            return "refresh early"
        self.look_at = min(self.early_from, self.good_until(self.current))
        return "go"

    def _ask_or(self, otherwise: str) -> str:
        if not self.pauses():
            return "refresh"
        if otherwise == "go":
            self.look_at = self.world.wall + self.pause_ends - self.world.monotonic
        return otherwise

    # -- What a 401 to the token in hand means ----------------------------------------------------

    def _is_a_replay(self, held: Held) -> bool:
        if held.resource is None:
            return False
        on_trial = self.standing is Standing.ON_TRIAL
        return held.replayed or on_trial or held.resource == self.replay_due

    def _has_answered(self, resource: Resource | None) -> None:
        if resource == self.replay_due:
            self.replay_due = None

    def _is_own(self, held: Held) -> bool:
        """There is reason to take the 401 for its resource's own: never if it counts as expired."""
        if self._counts_as_expired() or held.resource is None:
            return False
        if self._is_a_replay(held):
            return self.standing is not Standing.REJECTED and not self._may_be_old()
        return self._has_its_reasons(held.resource)

    def _refused_at_first(self, held: Held) -> str:
        """It is the first answer to a request, or the word of somebody who calls refresh()."""
        resource = held.resource
        if resource is not None and self._has_its_reasons(resource):
            if not self._is_own(held):
                return self._ask_or("fail")  # nobody else is held back on its word
            if not self._is_known(resource) and self._is_in_doubt():
                self.standing = Standing.DOUBTED
            return "own"
        if self.pauses() and self.standing is not Standing.REJECTED:
            return "fail"
        if self.standing is Standing.PROVEN and resource is not None:
            self.answers.know_better(resource, self.world.monotonic)
        self.standing = Standing.REJECTED
        return self._ask_or("fail")

    def _has_its_reasons(self, resource: Resource) -> bool:
        return self._is_known(resource) or self._is_in_vain(resource) or self._is_in_doubt()

    def _is_known(self, resource: Resource) -> bool:
        undoubted = self.standing in (Standing.UNTRIED, Standing.PROVEN)
        return undoubted and self.answers.has_refused_lately(resource, self.world.monotonic)

    def _is_in_vain(self, resource: Resource) -> bool:
        in_vain = self.answers.in_vain[resource == self.proven_by]
        return self.standing is Standing.PROVEN and in_vain.are_enough(self.world.monotonic)

    def _is_in_doubt(self) -> bool:
        """Nobody has accepted what the issuer gave out last, or just now."""
        unproven = self.standing in (Standing.UNTRIED, Standing.DOUBTED) and not self.found
        return unproven and self.answers.is_in_doubt(self.world.monotonic)

    def _may_be_old(self) -> bool:
        """Nobody has had to do with it, and it was not just given out."""
        return self.found and self.standing in (Standing.UNTRIED, Standing.ON_TRIAL)

    def _replay_refused(self, held: Held) -> str:
        """There is nobody else who could be asked for an opinion."""
        own, now, before = self._is_own(held), self.world.monotonic, self.standing
        if before is not Standing.PROVEN and held.resource not in self.refused_by:
            self.refused_by = [*self.refused_by, held.resource][:3]
        if own and before is Standing.PROVEN:
            self.answers.know([held.resource], now)
        elif own and before is not Standing.DOUBTED:
            self.standing = Standing.DOUBTED
            self.answers.doubt_again(now)
        if own:
            return "own"
        if self._may_be_old() or before is Standing.ON_TRIAL:
            if self.pauses():
                return "fail"
            self.standing = Standing.REJECTED
        return self._ask_or("fail")

    def _asked_by(self, held: Held | None) -> bool | None:
        """A refresh that only a 401 asks for may be in vain: return whether it is the 401 of what
        has proven the token. None: there are other reasons, or it is known what to think of it."""
        if held is None or held.token is not self.current or held.resource is None:
            return None
        usual = self.standing in (Standing.PROVEN, Standing.UNTRIED)
        if not usual or held.resource in self.answers.known or self._counts_as_expired():
            return None
        return held.resource == self.proven_by

    def _trial_ends_the_login(self) -> None:
        """As logout() does, store included."""
        token, replaces = self.current, self.replaces if self.unsaved else self.current
        self.end("trial_refused")
        self.believes_nothing = True
        with suppress(ExpectedError):
            self.world.may_fail("lock")
            if replaces is Unsaved.WHATEVER or self.world.load() in (token, replaces):
                self.world.clear()
            self.believes_nothing, self.shunned = False, []
            self.world.may_fail("unlock")

    # -- The store, outside a flight --------------------------------------------------------------

    def _look_beside(self, held: Held | None) -> None:
        """While nothing but another process can help, look what it has stored, once a second."""
        busy = self.standing is Standing.ON_TRIAL or self.in_turn
        ours_is_newer = self.unsaved and self.replaces is not None
        if not self.world.shared or busy or ours_is_newer or self.believes_nothing:
            return
        if not self._is_in_need(held) or self.world.monotonic < self.look_beside_at:
            return
        self.look_beside_at = self.world.monotonic + 1
        with suppress(ExpectedError):
            stored = self.load()
            if stored is None or (self.over is None and not self.is_news(stored, self.current)):
                return
            if self.over is not None or self.is_anothers(stored):
                self.logins += 1
                self.answers.forget_all()
            self.take(stored, found=True)

    def _is_in_need(self, held: Held | None) -> bool:
        if self.over is not None:
            return True
        if held is None:
            return self.pauses() and not self.is_alive()
        return self.pauses() or (held.resource is not None and self._is_in_vain(held.resource))

    def load(self) -> Token | None:
        """Return what is stored, if it is to be believed."""
        return self.believed(self.world.load())

    def believed(self, stored: Token | None) -> Token | None:
        return None if self.believes_nothing or stored in self.shunned else stored

    def _settle(self) -> None:
        if self.in_turn:
            self.write_current()
            return
        self.world.may_fail("lock")
        self.write_current()
        self.world.may_fail("unlock")

    def write_current(self) -> None:
        if self.current is None:
            self.world.clear()
            self.believes_nothing, self.shunned = False, []
        else:
            self.world.save(self.current)
            self.saved(self.current)

    def put_right(self) -> None:
        """What was written in the store's turn is older than login() or logout()."""
        try:
            self.write_current()
        except ExpectedError as error:
            if error.kind is not StoreLockLostError:
                raise
        except KeyboardInterrupt:
            with suppress(ExpectedError):
                self.write_current()
            raise

    def saved(self, token: Token) -> None:
        if token is self.current and self.unsaved:
            self.unsaved, self.shunned, self.believes_nothing = False, [], False
            self.seed, self.look_beside_at = None, -math.inf
            self.look_at = self.due()
        elif self.is_over() and not self.believes_nothing:
            self.shunned.append(token)  # it came too late

    # -- What becomes of the token in hand --------------------------------------------------------

    def take(
        self,
        token: Token,
        *,
        found: bool,
        unsaved: bool = False,
        replaces: Token | Unsaved | None = None,
        on_trial: bool = False,
        replay_due: Resource | None = None,
    ) -> None:
        """Go on with *token*: whatever there was before is forgotten."""
        self.over = self.failure = self.seed = None
        self.failures, self.pause_ends, self.look_beside_at = 0, -math.inf, -math.inf
        if not unsaved or replaces is Unsaved.WHATEVER:
            self.shunned, self.believes_nothing = [], False
        self.unsaved, self.replaces = unsaved, replaces
        self.hold(token, found=found)
        if on_trial:
            self.standing = Standing.ON_TRIAL
        self.replay_due = replay_due

    def hold(self, token: Token, *, found: bool) -> None:
        """Have *token* in hand, and nothing else is changed by that."""
        self.current, self.found, self.standing = token, found, Standing.UNTRIED
        self.refused_by, self.proven_by, self.replay_due = [], None, None
        window = min(300, (token.lifetime or 0) / 5)
        self.early_from = dead_at(token) - window * (1 - self.world.luck / 2)
        self.look_at = self.due()

    def drop(self) -> None:
        self.current, self.standing, self.unsaved = None, Standing.NONE, False

    def end(self, reason: str) -> None:
        if not self.is_over():
            self.over = reason
            self.logouts.append(reason)
        self.drop()
        self.failure, self.failures, self.pause_ends = None, 0, -math.inf
        self.seed, self.shunned, self.believes_nothing = None, [], False
        self.look_beside_at = -math.inf
        self.answers.forget_all()

    def due(self) -> float:
        """Return when somebody has something to do about the token in hand."""
        save = self.world.wall + 1 if self.unsaved else math.inf
        return min(self.early_from, self.good_until(self.current), save)

    # -- What is true -----------------------------------------------------------------------------

    def pauses(self) -> bool:
        return self.failure is not None and self.world.monotonic < self.pause_ends

    def is_alive(self) -> bool:
        return self.current is not None and self.world.wall < dead_at(self.current)

    def _counts_as_expired(self) -> bool:
        return self.is_expired(self.current)

    def is_expired(self, token: Token) -> bool:
        return self.world.wall >= self.good_until(token)

    def good_until(self, token: Token) -> float:
        return dead_at(token) - min(10, (token.lifetime or 0) / 10)

    def is_news(self, token: Token, than: Token | None) -> bool:
        other = than is None or token.access_token != than.access_token
        return other and not self.is_expired(token)

    def is_anothers(self, token: Token) -> bool:
        """It is known to be another person's than the one in hand."""
        return self.current is not None and self._differ(token, self.current)

    def _is_of_another_person(self, held: Held) -> bool:
        answered = held.resource is not None and self.current is not None
        return answered and self._differ(held.token, self.current)

    def _differ(self, one: Token, other: Token) -> bool:
        persons = {self.world.person(one.access_token), self.world.person(other.access_token)}
        return len(persons) == 2 and None not in persons

    def _is_about_the_current(self, held: Held | None) -> bool:
        return held is not None and held.token is self.current
