"""A scenario: who does what at the same time, and all that may come of it, whatever the order.

An outcome tells what each task got (the name of a token or of an error, or 401), the refresh tokens
that the server was shown, and those that were revoked, what ended the login, what is left in the
store, and what was learnt of APIs. What else holds in every schedule is in `login.py` and
`invariants.py`.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from requests_tokenrefresh import LoginRequiredError, RefreshFailedError, Token

from .login import Login, Server, name_of, told
from .scheduler import Scheduler
from .watched_source import Store

Do = Callable[[Login], object]


@dataclass(frozen=True)
class Scenario:
    """What happens at the same time.

    Args:
        tasks: What each task does with the login.
        outcomes: All there may be, and are.
        elsewhere: What tasks of another process do, which has the same store.
        server: Of `Server`.
        answers: What the server's first answers are: errors, made anew for each run, or None: a new
            token.
        options: Of `Login`, and so of the source.
        store: The kind of store.
        save_fails: How many times it refuses to save.
        clock: After how many seconds the tasks begin.
        passes: How many seconds pass meanwhile, all at once, at any moment; None: none do.
        passes_when_idle: How many seconds may pass when nobody can go on.
    """

    tasks: Mapping[str, Do]
    outcomes: set[str]
    elsewhere: Mapping[str, Do] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[Callable[[], Exception | None], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    store: type[Store] = Store
    save_fails: int = 0
    clock: float = 0.0
    passes: float | None = None
    passes_when_idle: float | None = None

    def begin(self, modules: dict[str, Any], scheduler: Scheduler) -> Callable[[], str]:
        """Start the tasks; return what tells the outcome, or which rule was broken."""
        server = Server(scheduler, *(answer() for answer in self.answers), **self.server)
        store = self.store()
        everybody = [*self.tasks.values(), *self.elsewhere.values()]
        make = functools.partial(
            Login,
            scheduler,
            modules,
            server,
            store=store,
            history=not all(do == refresh or isinstance(do, Holds) for do in everybody),
            **self.options,
        )
        logins = [make(), make()] if self.elsewhere else [make()]
        store.refuses_to_save = self.save_fails
        scheduler.now = self.clock
        for login, tasks in zip(logins, (self.tasks, self.elsewhere), strict=False):
            for name, do in tasks.items():
                login.start(name, functools.partial(do, login))
        if self.passes is not None:
            scheduler.start_clock(self.passes)
        if self.passes_when_idle is not None:
            scheduler.start_idle_clock(self.passes_when_idle)

        def outcome() -> str:
            for login in logins:
                login.check()
            if not self.elsewhere:
                logins[0].check_store()
            got = [told(task) for task in scheduler.tasks if task.name != "clock"]
            asked = [f"asked {token}" for token in server.asked]
            asked += [f"revoked {token}" for token in server.revoked]
            ended = [f"ended {reason}" for login in logins for reason in login.ended]
            stored = store.load()
            left = "nothing" if stored is None else name_of(stored)
            learnt = [fact for login in logins for fact in login.told()]
            return ", ".join([*got, *asked, *ended, f"left {left}", *learnt])

        return outcome


# -- What tasks do ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Holds:
    """Goes on with a request to *path* that the first token was refused for."""

    path: str
    answers: tuple[str, ...]

    def __call__(self, login: Login) -> object:
        return login.replay(self.path, *self.answers)


@dataclass(frozen=True)
class Asks:
    """Sends a request to *path*, whose answer to the first token is *old*."""

    path: str
    answers: tuple[str, ...]
    old: str

    def __call__(self, login: Login) -> object:
        return login.request(self.path, *self.answers, old=self.old)


def holds(path: str, *answers: str) -> Holds:
    return Holds(path, answers)


def asks(path: str, *answers: str, old: str = "refuse") -> Asks:
    return Asks(path, answers, old)


get = Login.get
be_rejected = Login.be_rejected
get_and_look_into_the_store = Login.get_and_look_into_the_store
refresh = Login.refresh
log_out = Login.log_out
log_out_everywhere = Login.log_out_everywhere


def refresh_and_get(login: Login) -> Token:
    login.refresh()
    return login.get()


def log_in(login: Login) -> None:
    login.log_in(Token("2.0", "2.0"))


def log_in_again(login: Login) -> None:
    login.log_in(Token("3.0", "3.0"))


def log_in_and_be_rejected(login: Login) -> object:
    log_in(login)
    return login.be_rejected()


def log_in_and_be_refused(login: Login) -> object:
    log_in(login)
    return login.request("forbidden", "refuse", old="refuse")


def log_in_as_another(login: Login) -> None:
    login.log_in(dataclasses.replace(of("bob"), access_token="2.0", refresh_token="2.0"))


def of(person: str) -> Token:
    """Return a first token that says whose it is."""
    claims = base64.urlsafe_b64encode(json.dumps({"sub": person}).encode()).rstrip(b"=").decode()
    return Token("1.0", "1.0", extra={"id_token": f"e30.{claims}.x"})


# -- What goes wrong ----------------------------------------------------------------------------


def refusal() -> LoginRequiredError:
    return LoginRequiredError("the refresh token was refused", reason="invalid_grant")


def new_token() -> None: ...


def outage() -> RefreshFailedError:
    return RefreshFailedError("the token endpoint is down")


# -- When ---------------------------------------------------------------------------------------

EXPIRING = {"lifetime": 100.0}
WINDOW_OPEN, EXPIRED = 86.0, 95.0  # it opens 15 s before the end, and the leeway is 10 s
