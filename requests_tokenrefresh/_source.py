"""`TokenSource`: one login, its door, and what the adapter reports. Each method reads as its rule.

What is known of the login is in `_login.py`, what is done about it in `_rules.py`; `_flight.py` has
the threads, `_renewal.py` the leader's work, `_keeping.py` the store.
"""

from __future__ import annotations

import functools
import logging
import os
import random as _random
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from ._door import check_callable, check_choice, check_refresher, check_seconds, check_unattended
from ._ending import Ending
from ._evidence import Evidence, Resource
from ._flight import Flights
from ._getting import Getting
from ._hand import PROVEN, Hand
from ._keeping import Keeping
from ._login import Kept, Login, logged_in
from ._origins import Origins
from ._renewal import Renewal
from ._rules import ACCEPTED, NO_VERDICT, Held, answers_a_replay
from ._telling import Telling
from ._token import Token, read_login
from .events import Event, Listener
from .refreshers import Refresher
from .stores import MemoryTokenStore, TokenStore, open_store

WhenLoggedOut: TypeAlias = Literal["raise", "return", "detach"]
WhenTrialRefused: TypeAlias = Literal["return", "log_out"]

_log = logging.getLogger("requests_tokenrefresh")


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
        insecure_origins: More origins, which may be plain http to another machine: for a network
            on which everybody may read the token, such as that of a few containers. Said once at
            WARNING.
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
        trial_timeout: Seconds the waiters wait at most for a replay with a new token; 0 means that
            nobody waits for it.
        trial_patience: Seconds for which a new token that is refused is tried again, with growing
            pauses, before it counts as refused: for servers that learn of a new token late.
        when_trial_refused: What a new token means that is refused wherever it is tried, by three
            requests at most: ``"return"`` their 401s, and refresh again after a pause; or
            ``"log_out"``: the login is over.
        min_refresh_interval: Seconds before a 401 of a resource that has refused what others
            accept, or a 401 to a token that all have refused, costs another refresh; it doubles
            each time, up to 5 minutes. 0: no pause at all.
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
        InsecureTransportError: One of *origins* is plain http and not on this machine.
    """

    def __init__(
        self,
        refresher: Refresher,
        *,
        origins: Iterable[str] = (),
        insecure_origins: Iterable[str] = (),
        token: Token | Mapping[str, Any] | str | None = None,
        store: TokenStore | str | os.PathLike[str] | None = None,
        login: Callable[[], Token | Mapping[str, Any] | str] | None = None,
        leeway: float = 10.0,
        early: float = 300.0,
        wait_timeout: float = 30.0,
        trial_timeout: float = 1.0,
        trial_patience: float = 0.0,
        when_trial_refused: WhenTrialRefused = "return",
        min_refresh_interval: float = 1.0,
        when_logged_out: WhenLoggedOut = "raise",
        on_logout: Callable[[str], object] | None = None,
        listeners: Iterable[Listener] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random.random,
    ) -> None:
        check_refresher(refresher)
        for name, function in (("login", login), ("on_logout", on_logout)):
            if function is not None:
                check_callable(name, function, "a function, or None")
        for name, source in (("clock", clock), ("monotonic", monotonic), ("random", random)):
            check_callable(name, source, "a function that returns a number")
        check_unattended(login)
        check_choice("when_logged_out", when_logged_out, ("raise", "return", "detach"))
        check_choice("when_trial_refused", when_trial_refused, ("return", "log_out"))
        self.origins = Origins(origins, insecure_origins)
        if self.origins.insecure:
            _log.warning(
                "tokens go to %s in plain http, and everybody on the way can read them",
                ", ".join(self.origins.insecure),
            )
        self.when_logged_out: WhenLoggedOut = when_logged_out
        self._refresher = refresher
        self._leeway = check_seconds("leeway", leeway)
        self._early = check_seconds("early", early)
        self._wait_timeout = check_seconds("wait_timeout", wait_timeout)
        self._clock = clock
        self._monotonic = monotonic
        self._random = random
        self._take = functools.partial(_take, leeway=self._leeway, early=self._early, random=random)
        self._configuration: dict[str, Any] = {
            "store": open_store(store),
            "login": login,
            "trial_timeout": check_seconds("trial_timeout", trial_timeout),
            "trial_patience": check_seconds("trial_patience", trial_patience),
            "when_trial_refused": when_trial_refused,
            "min_refresh_interval": check_seconds("min_refresh_interval", min_refresh_interval),
        }
        seed = None if token is None else read_login(token, received_at=clock())
        self._telling = Telling(listeners, on_logout, monotonic)
        self._flights = Flights(
            Login(evidence=Evidence(float(min_refresh_interval)), kept=Kept(seed)),
            wait_timeout=self._wait_timeout,
            trial_timeout=self._configuration["trial_timeout"],
            trial_patience=self._configuration["trial_patience"],
            clock=clock,
            monotonic=monotonic,
        )
        self._keeping = Keeping(
            self._flights, self._configuration["store"], wait_timeout=self._wait_timeout
        )
        renewal = Renewal(
            self._flights,
            self._keeping,
            refresher,
            login,
            announce=self._telling.announce,
            take=self._take,
            wait_timeout=self._wait_timeout,
            random=random,
        )
        self._getting = Getting(
            self._flights,
            renewal,
            self._keeping,
            self._telling,
            take=self._take,
            ends_in_doubt=when_trial_refused == "log_out",
            wait_timeout=self._wait_timeout,
            monotonic=monotonic,
        )
        self._ending = Ending(
            self._flights, self._keeping, self._telling, refresher, self._wait_timeout
        )
        _sources.add(self)

    def __repr__(self) -> str:
        login = self._flights.login
        state = "over" if login.is_over() else "refreshing" if login.flight else "ready"
        return f"<TokenSource for {', '.join(self.origins.origins)}: {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        configuration = {
            **self._configuration,
            "origins": self.origins.origins,
            "insecure_origins": self.origins.insecure,
            "leeway": self._leeway,
            "early": self._early,
            "wait_timeout": self._wait_timeout,
            "when_logged_out": self.when_logged_out,
            "on_logout": self._telling.on_logout,
            "listeners": self._telling.listeners,
            "clock": self._clock,
            "monotonic": self._monotonic,
            "random": self._random,
        }
        if self._keeping.store.shared:
            self._keeping.put_seed()
        else:
            if not getattr(self._refresher, "unattended", False):
                raise TypeError(
                    "a TokenSource that keeps its login in memory does not pickle: two processes "
                    "would refresh with the same refresh token, and the server may revoke the "
                    "login. Give it a store that processes share, such as "
                    "store=FileTokenStore(path)"
                )
            # Each process gets a token of its own, with nothing but the client's credentials.
            if isinstance(self._keeping.store, MemoryTokenStore):
                configuration["store"] = None
        return functools.partial(type(self), **configuration), (self._refresher,)

    # -- What anybody may call --------------------------------------------------------------------

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
        login = self._flights.login
        if self._clock() < login.until and login.hand is not None:
            return login.hand.token
        return self._getting.token()

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
        return self._getting.another(Held(rejected, None), "reactive")

    def login(self, token: Token | Mapping[str, Any] | str) -> None:
        """Begin a login with *token*, whatever became of the one before.

        A refresh that is under way for the old login is discarded, and its waiters get *token*. A
        mapping is read by `Token.from_mapping`: what cannot be read beside the secrets is a
        WARNING, and no reason to lose them.

        Raises:
            ValueError: *token* is not usable, or needs a proof with every request (DPoP); the login
                before goes on.
            TokenStoreError: *token* is in use, and saving it is tried again later, but for now it
                is only in memory.
        """
        fresh = read_login(token, received_at=self._clock())
        hand = self._take(fresh, True)
        before, after = self._flights.change(lambda login, now: logged_in(login, hand, now))
        self._telling.announce(before, after)
        self._keeping.settle()

    def logout(self, *, revoke: bool = False) -> None:
        """End the login: wake all waiters with `LoginRequiredError`, and clear the store.

        What a refresh under way brings is discarded. Does nothing to a login that is over already,
        except to clear the store again.

        Args:
            revoke: Tell the issuer as well, by `revoke` of the refresher (RFC 7009). First waits
                for a refresh that is under way, also in another process, at most *wait_timeout*
                seconds: what it brings is revoked too.

        Raises:
            TokenStoreError: The login is over here, but the store could not be cleared.
            RevocationFailedError: It is over here and in the store, but not at the issuer.
            TypeError, ValueError: The refresher cannot *revoke*; nothing has happened.
        """
        if revoke:
            self._ending.log_out_and_revoke()
        else:
            self._ending.log_out()

    # -- What the adapter reports -----------------------------------------------------------------

    def learns_from(self, token: Token) -> bool:
        """Return whether it would be news that a server has taken *token*."""
        login = self._flights.login
        hand = login.hand
        if hand is None or hand.token is not token:
            return False
        return hand.standing is not PROVEN or bool(login.evidence.known)

    def accept(self, token: Token, resource: Resource, *, replay: bool = False) -> None:
        """*resource* took *token*: it is proven, and a trial of it is over."""
        self._flights.judge(ACCEPTED, Held(token, resource, replay))

    def is_own(self, token: Token, resource: Resource) -> bool:
        """Return whether the 401 of *resource* to *token* goes to its caller at once."""
        held = Held(token, resource)
        if answers_a_replay(held, self._flights.login.hand):
            return self.refuse(token, resource)
        step = self._getting.is_own(held)
        if step is not None:
            self._telling.passes_on(resource, step.why)
        return step is not None

    def reject(
        self,
        token: Token,
        resource: Resource,
        *,
        replay: bool = False,
        can_replay: bool = True,
        is_last: bool = False,
    ) -> Token | None:
        """*resource* answered 401 to *token*: return the one to replay the request with.

        None: that answer is the resource's own. As `refresh`, and whoever leads the flight, or is
        asked for an opinion, owes a verdict on the new token, for which others wait: `accept`,
        `refuse` or `give_up`; but not a request that cannot be sent again.

        Raises:
            LoginRequiredError, RefreshFailedError, RefreshTimeoutError, TokenStoreError: As
                `token()`.
        """
        held = Held(token, resource, replay, can_replay, is_last)
        return self._getting.replayable(held, "reactive")

    def refuse(self, token: Token, resource: Resource) -> bool:
        """*resource* answered 401 to a replay with *token*: return whether that is its own answer,
        or whether `reject` may help once more."""
        return self._getting.is_own_at_last(Held(token, resource, replay=True))

    def tries_again(self, token: Token) -> bool:
        """A replay with *token* was refused: after a pause, return whether it is to be repeated,
        because servers may learn of a new token late (`trial_patience`)."""
        return self._flights.be_patient(token)

    def give_up(self, token: Token) -> None:
        """The answer says nothing of *token*, or there was none: its trial has no verdict."""
        self._flights.judge(NO_VERDICT, Held(token, None))

    def on_trial(self, token: Token) -> bool:
        """Return whether *token* waits for its verdict."""
        return self._flights.is_on_trial(token)

    def scheme(self) -> str | None:
        """Return the scheme of the token in hand, else of the one in the store, if there is one."""
        return self._getting.scheme()

    def refreshing_here(self) -> bool:
        """Return whether this very thread is inside the refresher (or the store)."""
        if self._flights.login.flight is None and self._keeping.in_turn is None:
            return False  # nobody is; every request asks
        return self._keeping.is_led_here() or self._flights.is_led_here()

    def tell(self, event: Callable[..., Event], **facts: Any) -> None:
        """Tell the listeners of *event*, which happens now on this thread."""
        self._telling.tell(event, **facts)

    def passes_on(self, resource: Resource, why: str) -> None:
        """A 401 goes to its caller without a refresh: say why, once."""
        self._telling.passes_on(resource, why)

    def say_once(self, message: str, level: int = logging.INFO) -> None:
        """Log *message*, unless it has been said of this login before."""
        self._telling.say_once(message, level)


def _take(
    token: Token, found: bool, *, leeway: float, early: float, random: Callable[[], float]
) -> Hand:
    return Hand.of(token, found=found, leeway=leeway, early=early, luck=random())


_sources: weakref.WeakSet[TokenSource] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    # The leader and the waiters stayed in the parent, one of them perhaps with the lock.
    for source in _sources:
        source._flights.in_child()
        source._keeping.in_turn = None


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows has none
    os.register_at_fork(after_in_child=_after_fork_in_child)
