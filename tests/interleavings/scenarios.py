"""Scenarios: who does what at the same time, and all that may come of it, whatever the order.

An outcome tells what each task got (the name of a token or of an error), the refresh tokens that
the server was shown, what ended the login, and what is left in the store. What else holds after
every schedule is in `login.py`.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from requests_tokenrefresh import LoginRequiredError, RefreshFailedError

from .login import Login, Server, told
from .scheduler import Scheduler
from .watched_source import Store


@dataclass(frozen=True)
class Scenario:
    """What happens at the same time.

    Args:
        tasks: What each task does with the login.
        outcomes: All there may be, and are.
        elsewhere: What tasks of another process do, which has the same store.
        server: Of `Server`.
        answers: What the server's first answers are, if not new tokens; made anew for each run.
        options: Of `Login`, and so of the source.
        save_fails: How many times the store refuses to save.
        clock: After how many seconds the tasks begin.
        passes: How many seconds pass meanwhile, all at once, at any moment; None: none do.
    """

    tasks: Mapping[str, Callable[[Login], Any]]
    outcomes: set[str]
    elsewhere: Mapping[str, Callable[[Login], Any]] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[Callable[[], Exception], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    save_fails: int = 0
    clock: float = 0.0
    passes: float | None = None

    def begin(self, module: types.ModuleType, scheduler: Scheduler) -> Callable[[], str]:
        """Start the tasks; return what tells the outcome, or which rule was broken."""
        server = Server(scheduler, *(answer() for answer in self.answers), **self.server)
        store = Store()
        everybody = [*self.tasks.values(), *self.elsewhere.values()]
        make = functools.partial(
            Login,
            scheduler,
            module,
            server,
            store=store,
            history=len(set(everybody)) > 1,
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

        def outcome() -> str:
            for login in logins:
                login.check()
            if not self.elsewhere:
                logins[0].check_store()
            got = [told(task) for task in scheduler.tasks if task.name != "clock"]
            asked = [f"asked {token}" for token in server.asked]
            ended = [f"ended {reason}" for login in logins for reason in login.ended]
            stored = store.load()
            left = "nothing" if stored is None else stored.access_token
            return ", ".join([*got, *asked, *ended, f"left {left}"])

        return outcome


get = Login.get
get_and_look_into_the_store = Login.get_and_look_into_the_store
refresh = Login.refresh
log_out = Login.log_out


def log_in(login: Login) -> None:
    login.log_in(2)


def log_in_again(login: Login) -> None:
    login.log_in(3)


def accepted(login: Login) -> Any:
    return login.replay("accept")


def refused(login: Login) -> Any:
    return login.replay("refuse")


def without_verdict(login: Login) -> Any:
    return login.replay("give_up")


def refusal() -> LoginRequiredError:
    return LoginRequiredError("the refresh token was refused", reason="invalid_grant")


def outage() -> RefreshFailedError:
    return RefreshFailedError("the token endpoint is down")


EXPIRING = {"lifetime": 100.0}
WINDOW_OPEN, EXPIRED = 86.0, 95.0  # it opens 15 s before the end, and the leeway is 10 s

SCENARIOS = {
    # -- A rejected token ----------------------------------------------------------------------
    "two rejections": Scenario(
        {"a": refresh, "b": refresh},
        {"1.1, 1.1, asked 1.0, left 1.1"},
    ),
    "three rejections": Scenario(
        {"a": refresh, "b": refresh, "c": refresh},
        {"1.1, 1.1, 1.1, asked 1.0, left 1.1"},
    ),
    "two rejections at an endpoint that repeats itself": Scenario(
        {"a": refresh, "b": refresh},
        {"1.0, 1.0, asked 1.0, left 1.0"},
        server={"same": True},
    ),
    "a rejection and a request": Scenario(
        {"rejected": refresh, "request": get},
        {
            "1.1, 1.0, asked 1.0, left 1.1",
            "1.1, 1.1, asked 1.0, left 1.1",
        },
    ),
    "a rejection and two requests": Scenario(
        {"rejected": refresh, "request": get, "another": get},
        {
            "1.1, 1.0, 1.0, asked 1.0, left 1.1",
            "1.1, 1.0, 1.1, asked 1.0, left 1.1",
            "1.1, 1.1, 1.0, asked 1.0, left 1.1",
            "1.1, 1.1, 1.1, asked 1.0, left 1.1",
        },
    ),
    "two rejections, and the token cannot be saved": Scenario(
        {"a": refresh, "b": refresh},
        {"1.1, 1.1, asked 1.0, left 1.0"},
        save_fails=1,
    ),
    "a rejection, and a request that looks into the store": Scenario(
        {"rejected": refresh, "request": get_and_look_into_the_store},
        {
            "1.1, 1.0, asked 1.0, left 1.1",
            "1.1, 1.1, asked 1.0, left 1.1",
        },
    ),
    # -- The trial -----------------------------------------------------------------------------
    "two replays that are accepted": Scenario(
        {"a": accepted, "b": accepted}, {"1.1, 1.1, asked 1.0, left 1.1"}
    ),
    "two replays that are refused": Scenario(
        {"a": refused, "b": refused},
        {"trial_refused, trial_refused, asked 1.0, ended trial_refused, left nothing"},
    ),
    "two replays without a verdict": Scenario(
        {"a": without_verdict, "b": without_verdict}, {"1.1, 1.1, asked 1.0, left 1.1"}
    ),
    "a replay that is refused, and a request": Scenario(
        {"a": refused, "b": get},
        {
            "trial_refused, 1.0, asked 1.0, ended trial_refused, left nothing",
            "trial_refused, 1.1, asked 1.0, ended trial_refused, left nothing",
            "trial_refused, trial_refused, asked 1.0, ended trial_refused, left nothing",
        },
    ),
    "a replay that is refused, and a login": Scenario(
        {"a": refused, "b": log_in},
        {
            "1.1, done, asked 1.0, left 2.0",
            "2.0, done, asked 1.0, left 2.0",
            "2.0, done, left 2.0",
            "trial_refused, done, asked 1.0, ended trial_refused, left 2.0",
        },
    ),
    "a replay that is accepted, and a logout": Scenario(
        {"a": accepted, "b": log_out},
        {
            "1.1, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, ended logged_out, left nothing",
        },
    ),
    "three replays that are refused": Scenario(
        {"a": refused, "b": refused, "c": refused},
        {
            "trial_refused, trial_refused, trial_refused, "
            "asked 1.0, ended trial_refused, left nothing"
        },
    ),
    "two replays that are accepted, and time": Scenario(
        {"a": accepted, "b": accepted}, {"1.1, 1.1, asked 1.0, left 1.1"}, passes=2
    ),
    # -- A refresh that fails ------------------------------------------------------------------
    "two rejections during an outage": Scenario(
        {"a": refresh, "b": refresh},
        {"RefreshFailedError, RefreshFailedError, asked 1.0, left 1.0"},
        answers=(outage,),
    ),
    "two rejections and a refusal": Scenario(
        {"a": refresh, "b": refresh},
        {"invalid_grant, invalid_grant, asked 1.0, ended invalid_grant, left nothing"},
        answers=(refusal,),
    ),
    "three rejections and a refusal": Scenario(
        {"a": refresh, "b": refresh, "c": refresh},
        {
            "invalid_grant, invalid_grant, invalid_grant, "
            "asked 1.0, ended invalid_grant, left nothing"
        },
        answers=(refusal,),
    ),
    "a rejection during an outage, and a login": Scenario(
        {"a": refresh, "b": log_in},
        {
            "2.0, done, asked 1.0, left 2.0",
            "2.0, done, left 2.0",
            "RefreshFailedError, done, asked 1.0, left 2.0",
        },
        answers=(outage,),
    ),
    "a rejection, a refusal and a login": Scenario(
        {"a": refresh, "b": log_in},
        {
            "2.0, done, asked 1.0, left 2.0",
            "2.0, done, left 2.0",
            "invalid_grant, done, asked 1.0, ended invalid_grant, left 2.0",
        },
        answers=(refusal,),
    ),
    "a rejection, a refusal and a logout": Scenario(
        {"a": refresh, "b": log_out},
        {
            "invalid_grant, done, asked 1.0, ended invalid_grant, left nothing",
            "logged_out, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, ended logged_out, left nothing",
        },
        answers=(refusal,),
    ),
    "two rejections, a refusal and an unattended login": Scenario(
        {"a": refresh, "b": refresh},
        {"9.0, 9.0, asked 1.0, left 9.0"},
        answers=(refusal,),
        options={"unattended": True},
    ),
    "a rejection, a refusal, an unattended login and a logout": Scenario(
        {"a": refresh, "b": log_out},
        {
            "9.0, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, ended logged_out, left nothing",
        },
        answers=(refusal,),
        options={"unattended": True},
    ),
    # -- Logging in and out --------------------------------------------------------------------
    "a rejection and a login": Scenario(
        {"a": refresh, "b": log_in},
        {
            "1.1, done, asked 1.0, left 2.0",
            "2.0, done, asked 1.0, left 2.0",
            "2.0, done, left 2.0",
        },
    ),
    "a rejection and a logout": Scenario(
        {"a": refresh, "b": log_out},
        {
            "1.1, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, ended logged_out, left nothing",
        },
    ),
    "two rejections and a login": Scenario(
        {"a": refresh, "b": refresh, "c": log_in},
        {
            "1.1, 1.1, done, asked 1.0, left 2.0",
            "1.1, 2.0, done, asked 1.0, left 2.0",
            "2.0, 1.1, done, asked 1.0, left 2.0",
            "2.0, 2.0, done, asked 1.0, left 2.0",
            "2.0, 2.0, done, left 2.0",
        },
    ),
    "two rejections and a logout": Scenario(
        {"a": refresh, "b": refresh, "c": log_out},
        {
            "1.1, 1.1, done, asked 1.0, ended logged_out, left nothing",
            "1.1, logged_out, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, 1.1, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, logged_out, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, logged_out, done, ended logged_out, left nothing",
        },
    ),
    "a rejection, a logout and a login": Scenario(
        {"a": refresh, "b": log_out, "c": log_in},
        {
            "1.1, done, done, asked 1.0, ended logged_out, left 2.0",
            "1.1, done, done, asked 1.0, ended logged_out, left nothing",
            "2.0, done, done, asked 1.0, ended logged_out, left 2.0",
            "2.0, done, done, asked 1.0, ended logged_out, left nothing",
            "2.0, done, done, ended logged_out, left 2.0",
            "2.0, done, done, ended logged_out, left nothing",
            "logged_out, done, done, asked 1.0, ended logged_out, left 2.0",
            "logged_out, done, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, done, ended logged_out, left 2.0",
            "logged_out, done, done, ended logged_out, left nothing",
        },
    ),
    "a request, a logout and a login": Scenario(
        {"a": get, "b": log_out, "c": log_in},
        {
            "1.0, done, done, ended logged_out, left 2.0",
            "1.0, done, done, ended logged_out, left nothing",
            "2.0, done, done, ended logged_out, left 2.0",
            "2.0, done, done, ended logged_out, left nothing",
            "logged_out, done, done, ended logged_out, left 2.0",
            "logged_out, done, done, ended logged_out, left nothing",
        },
    ),
    "two logouts": Scenario(
        {"a": log_out, "b": log_out}, {"done, done, ended logged_out, left nothing"}
    ),
    "two logins": Scenario(
        {"a": log_in, "b": log_in_again},
        {
            "done, done, left 2.0",
            "done, done, left 3.0",
        },
    ),
    # -- Expiry --------------------------------------------------------------------------------
    "two requests with an expired token": Scenario(
        {"a": get, "b": get}, {"1.1, 1.1, asked 1.0, left 1.1"}, options=EXPIRING, clock=EXPIRED
    ),
    "two requests in the early window": Scenario(
        {"a": get, "b": get},
        {
            "1.0, 1.1, asked 1.0, left 1.1",
            "1.1, 1.0, asked 1.0, left 1.1",
            "1.1, 1.1, asked 1.0, left 1.1",
        },
        options=EXPIRING,
        clock=WINDOW_OPEN,
    ),
    "a request in the early window, and a rejection": Scenario(
        {"a": get, "b": refresh},
        {"1.1, 1.1, asked 1.0, left 1.1"},
        options=EXPIRING,
        clock=WINDOW_OPEN,
    ),
    "a request in the early window, and a logout": Scenario(
        {"a": get, "b": log_out},
        {
            "1.1, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, ended logged_out, left nothing",
        },
        options=EXPIRING,
        clock=WINDOW_OPEN,
    ),
    "two requests in the early window during an outage": Scenario(
        {"a": get, "b": get},
        {"1.0, 1.0, asked 1.0, left 1.0"},
        options=EXPIRING,
        clock=WINDOW_OPEN,
        answers=(outage,),
    ),
    "two rejections, and more time than anybody waits": Scenario(
        {"a": refresh, "b": refresh},
        {
            "1.1, 1.1, asked 1.0, left 1.1",
            "1.1, RefreshTimeoutError, asked 1.0, left 1.1",
            "RefreshTimeoutError, 1.1, asked 1.0, left 1.1",
        },
        passes=40,
    ),
    # -- Two processes -------------------------------------------------------------------------
    "a rejection in each of two processes": Scenario(
        {"here": refresh}, {"1.1, 1.1, asked 1.0, left 1.1"}, elsewhere={"there": refresh}
    ),
    "a rejection here, and a logout elsewhere": Scenario(
        {"here": refresh},
        {
            "1.1, done, asked 1.0, ended logged_out, left nothing",
            "logged_out_elsewhere, done, "
            "ended logged_out_elsewhere, ended logged_out, left nothing",
        },
        elsewhere={"there": log_out},
    ),
    "a rejection here, and a login elsewhere": Scenario(
        {"here": refresh},
        {
            "1.1, done, asked 1.0, left 2.0",
            "2.0, done, left 2.0",
        },
        elsewhere={"there": log_in},
    ),
    "a rejection in each of two processes, and a refusal": Scenario(
        {"here": refresh},
        {
            "invalid_grant, logged_out_elsewhere, asked 1.0, "
            "ended invalid_grant, ended logged_out_elsewhere, left nothing",
            "logged_out_elsewhere, invalid_grant, asked 1.0, "
            "ended logged_out_elsewhere, ended invalid_grant, left nothing",
        },
        elsewhere={"there": refresh},
        answers=(refusal,),
    ),
    "a request in the early window in each of two processes": Scenario(
        {"here": get},
        {
            "1.0, 1.1, asked 1.0, left 1.1",
            "1.1, 1.0, asked 1.0, left 1.1",
            "1.1, 1.1, asked 1.0, left 1.1",
        },
        elsewhere={"there": get},
        options=EXPIRING,
        clock=WINDOW_OPEN,
    ),
    "two rejections here, and one elsewhere": Scenario(
        {"a": refresh, "b": refresh},
        {"1.1, 1.1, 1.1, asked 1.0, left 1.1"},
        elsewhere={"there": refresh},
    ),
}
