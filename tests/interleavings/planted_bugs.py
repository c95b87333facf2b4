"""Bugs of the kind that one writes, as edits of files of a login: the scenario named finds it."""

from __future__ import annotations

from dataclasses import dataclass

from .watched_source import Edit


@dataclass(frozen=True)
class Bug:
    """Edits of the files.

    Args:
        found_by: The scenario that finds it.
        breaks: What the schedule that was found says, as a regular expression.
        edits: A file, and what is replaced in it by what, each exactly once.
        interrupts: The task that has to be interrupted for it.
    """

    found_by: str
    breaks: str
    edits: tuple[Edit, ...]
    interrupts: str | None = None


def in_file(name: str, *changes: tuple[str, str]) -> tuple[Edit, ...]:
    return tuple((name, old, new) for old, new in changes)


OF_THE_FLIGHT = {
    "look and open the flight in two critical sections": Bug(
        "two rejections",
        "goes on and on",
        in_file(
            "_flight",
            (
                """\
            if step.then in (LEAD, LEAD_EARLY):
                asker""",
                """\
        with self.turn:
            if step.then in (LEAD, LEAD_EARLY):
                asker""",
            ),
        ),
    ),
    "look at the login outside of the critical section": Bug(
        "a rejection and a logout",
        "goes on, and nobody has logged in",
        in_file(
            "_flight",
            (
                """\
        with self.turn:
            before, now, flight = self.login, self.now(), self.login.flight
            if held is not None:
""",
                """\
        before, now, flight = self.login, self.now(), self.login.flight
        with self.turn:
            if held is not None:
""",
            ),
        ),
    ),
    "wake one waiter and let it wake nobody": Bug(
        "three rejections",
        "have not ended",
        in_file(
            "_flight",
            ("_FIRST_AWAKE = 4", "_FIRST_AWAKE = 1"),
            (
                """\
                flight.waiters.pop(here, None)
                flight.news.notify()
""",
                """\
                flight.waiters.pop(here, None)
""",
            ),
        ),
    ),
    "land without waking anybody": Bug(
        "two rejections during an outage",
        "have not ended",
        in_file(
            "_flight",
            (
                "            try:\n                flight.news.notify(_FIRST_AWAKE)\n",
                "            try:\n                pass\n",
            ),
        ),
    ),
    "end the login without landing the flight": Bug(
        "two rejections and a refusal",
        "have not ended",
        in_file(
            "_flight",
            (
                "        if flight is not None and after.flight is not flight:\n",
                "        if flight and after.flight is not flight and not after.over:\n",
            ),
        ),
    ),
    "forget the flight of a leader that is interrupted": Bug(
        "two rejections",
        "have not ended",
        (
            *in_file(
                "_flight",
                (
                    "                        self.abandon(flight)\n",
                    "                        pass\n",
                ),
            ),
            *in_file(
                "_getting",
                ("            self._flights.abandon(flight)\n", "            pass\n"),
            ),
        ),
        interrupts="a",
    ),
    "let a wake-up carry a decision": Bug(
        "two replays that are accepted",
        "before the trial is over",
        in_file(
            "_flight",
            (
                """\
            if flight.news.wait(ends - self._monotonic()):
                continue
""",
                """\
            if flight.news.wait(ends - self._monotonic()):
                return flight.landed is not None
""",
            ),
        ),
    ),
    "take the outcome of another flight": Bug(
        "a rejection, and a login whose token a page refuses",
        "this came of it: 401",
        in_file(
            "_getting",
            (
                "                login = flight.landed\n",
                "                login = self._flights.login\n",
            ),
        ),
    ),
    "leave a token held back when a flight has failed": Bug(
        "a forbidden page and a request during an outage",
        "leaves a token held back",
        in_file("_login", ("        if hand.standing is REJECTED:\n", "        if False:\n")),
    ),
    "leave the rejected token on the hot path": Bug(
        "a rejection and a request",
        "the hot path sends a token|a token that was rejected before",
        in_file(
            "_login", ("hand.standing in (ON_TRIAL, REJECTED)\n", "hand.standing is ON_TRIAL\n")
        ),
    ),
    "tell tokens apart by their strings": Bug(
        "two rejections at an endpoint that repeats itself",
        "goes on and on",
        in_file(
            "_rules",
            (
                "    if hand is None or held is None or held.token is not hand.token:\n        if",
                """\
    if held is not None and hand is not None and held.token.access_token == hand.token.access_token:
        held = held._replace(token=hand.token)
    if hand is None or held is None or held.token is not hand.token:
        if""",
            ),
        ),
    ),
}

OF_THE_TRIAL = {
    "let the waiters go when the new token is there": Bug(
        "two replays that are accepted",
        "before the trial is over",
        in_file(
            "_flight",
            (
                "            ends = min(flight.trial_ends, deadline)\n",
                """\
            if flight.token is not None:
                return False
            ends = min(flight.trial_ends, deadline)
""",
            ),
        ),
    ),
    "clear the store after a refused trial": Bug(
        "two pages refuse",
        "does not hold what is current|an API's answer has changed",
        in_file(
            "_getting",
            (
                """\
        if ended:
            self._keeping.forget(before)
""",
                """\
        self._keeping.forget(before)
""",
            ),
        ),
    ),
    "doubt a token before the next is asked": Bug(
        "one page refuses, and another accepts",
        "while another can be asked",
        in_file(
            "_flight",
            ("            can_ask = not mine or ", "            can_ask = not mine and "),
        ),
    ),
    "ask for the opinion of one who has gone": Bug(
        "one page refuses, and another accepts",
        "have not ended|a flight is left",
        in_file(
            "_flight",
            (
                """\
                flight.waiters.pop(here, None)
                flight.news.notify()
""",
                """\
                flight.news.notify()
""",
            ),
            (
                "                    flight.waiters.pop(threading.get_ident(), None)\n",
                "                    pass\n",
            ),
        ),
        interrupts="data",
    ),
    "ask for a fourth opinion": Bug(
        "four pages refuse",
        "a fourth opinion is asked",
        in_file(
            "_flight", ("        if self.opinions >= MOST_OPINIONS or hand", "        if hand")
        ),
    ),
    "be present only when one sleeps": Bug(
        "one page refuses, and another accepts",
        "401, 401",
        in_file(
            "_flight",
            (
                "            elif step.then is WAIT and flight is not None:\n",
                "            elif False:\n",
            ),
        ),
    ),
    "pass nothing on when an opinion is interrupted": Bug(
        "three pages refuse",
        "have not ended|a flight is left",
        in_file(
            "_flight",
            (
                """\
                    if self.login.standing is ON_TRIAL:
                        self._pass_on(flight)
""",
                """\
                    if self.login.standing is ON_TRIAL:
                        pass
""",
            ),
        ),
        interrupts="b",
    ),
    "keep the doubt when a token is accepted": Bug(
        "a trial is refused, and another request is accepted",
        "a proven token is doubted",
        in_file("_evidence", ("self._replace(doubt=None)", "self")),
    ),
    "keep a wake-up while being patient": Bug(
        "a page learns of the new token later than a trial may take",
        "before the trial is over",
        in_file(
            "_flight",
            ("            elif ends == deadline:  # else", "            else:  # not"),
        ),
    ),
    "replay a request as another person": Bug(
        "a POST that holds a 401, and another person's login",
        "this came of it: 2.0, done",
        in_file(
            "_rules",
            (
                "        if hand is not None and _is_of_another_person(held, hand):\n",
                "        if False:\n",
            ),
        ),
    ),
}

OF_THE_STORE = {
    "publish what an older flight brought": Bug(
        "a rejection and a login",
        "left 2.0, not saved",
        (
            *in_file(
                "_flight",
                ("            if before.flight is flight:\n", "            if True:\n"),
            ),
            *in_file(
                "_login",
                (
                    """\
    if flight is not login.flight:
        return login
    after = _in_use(""",
                    "    after = _in_use(",
                ),
            ),
        ),
    ),
    "leave in the store what an older flight saved": Bug(
        "a rejection and a logout",
        "the store does not hold what is current",
        in_file(
            "_renewal",
            (
                "                        self._kept.put_right(flight)\n",
                "                        pass\n",
            ),
        ),
    ),
    "save a login over what it was refreshed to": Bug(
        "a login whose token is rejected at once",
        "the store does not hold what is current",
        in_file(
            "_keeping",
            (
                "            if beside is not None and self._flights.flies(beside):\n",
                "            if False:\n",
            ),
        ),
    ),
    "publish before the token is saved": Bug(
        "a rejection, and a request that looks into the store",
        "in use before it was saved",
        in_file(
            "_renewal",
            (
                "        is_stored = newer is None and self._kept.try_to_save(token)\n",
                """\
        self._publish(flight, hand, None, outcome)
        is_stored = newer is None and self._kept.try_to_save(token)
""",
            ),
        ),
    ),
    "say twice that the login is over": Bug(
        "two logouts",
        "ended logged_out, ended logged_out",
        in_file(
            "_telling", (" and after.is_over() and not before.is_over():", " and after.is_over():")
        ),
    ),
    "revoke what was stored while somebody refreshed": Bug(
        "a rejection here, and a logout elsewhere that revokes",
        "asked 1.0, revoked 1.0, ended",
        in_file(
            "_ending",
            (
                "            with nullcontext() if is_ours else store.lock(self._wait_timeout):\n",
                "            with nullcontext():\n",
            ),
        ),
    ),
    "end the login before the turn in which it is revoked": Bug(
        "a rejection, and a logout that revokes",
        "asked 1.0, revoked 1.0, ended",
        in_file(
            "_ending",
            (
                "        stored = change = None\n",
                "        stored, change = None, self._flights.change(_logged_out)\n",
            ),
            ("                change = self._flights.change(_logged_out)\n", ""),
        ),
    ),
    "end the login with a refusal that comes early": Bug(
        "two requests in the early window, and a refusal",
        "ended invalid_grant",
        in_file(
            "_renewal", ("                end = refused_early\n", "                end = refused\n")
        ),
    ),
    "refresh without looking into the store": Bug(
        "a rejection in each of two processes",
        "a refresh token came twice|asked 1.0, asked 1.1",
        in_file(
            "_renewal",
            (
                "        if basis is not None and self._is_news(basis, flight):",
                "        if basis is not None and flight.began.token is None:",
            ),
            ("            if self._adopt_at_a_glance(flight):\n", "            if False:\n"),
        ),
    ),
    "refresh without the lock of the store": Bug(
        "a rejection in each of two processes",
        "a refresh token came twice",
        in_file(
            "_renewal",
            (
                'self._store.lock(0.0 if flight.why == "early" else self._wait_timeout)',
                "__import__('contextlib').suppress()",
            ),
        ),
    ),
}

BUGS = {**OF_THE_FLIGHT, **OF_THE_TRIAL, **OF_THE_STORE}
