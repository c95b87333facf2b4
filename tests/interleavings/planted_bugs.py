"""Bugs of the kind that one writes, as edits of `_source.py`: the scenario named finds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """An edit of `_source.py`.

    Args:
        found_by: The scenario that finds it.
        breaks: What the schedule that was found says, as a regular expression.
        edits: What is replaced by what, each exactly once.
        interrupts: The task that has to be interrupted for it.
    """

    found_by: str
    breaks: str
    edits: tuple[tuple[str, str], ...]
    interrupts: str | None = None


BUGS = {
    "look and open the flight in two critical sections": Bug(
        "two rejections",
        "asked 1.0, asked 1.1",
        (
            (
                """\
                    flight = self._flight
                    leading = flight is None
                    if flight is None:
                        self._raise_if_backing_off()
                        flight = self._open_flight(why, trial=trial)
""",
                """\
                    flight = self._flight
                    leading = flight is None
                if flight is None:
                    with self._turn:
                        self._raise_if_backing_off()
                        flight = self._open_flight(why, trial=trial)
""",
            ),
        ),
    ),
    "tell tokens apart by their strings": Bug(
        "two rejections at an endpoint that repeats itself",
        "asked 1.0, asked 1.1",
        (
            (
                """\
        if token is self._token:
            self._rejected = token
""",
                """\
        if token.access_token == self._token.access_token:
            self._rejected = self._token
""",
            ),
        ),
    ),
    "wake one waiter and let it wake nobody": Bug(
        "three rejections",
        "have not ended",
        (
            ("_FIRST_AWAKE = 4", "_FIRST_AWAKE = 1"),
            (
                """\
        finally:
            flight.news.notify()
""",
                """\
        finally:
            pass
""",
            ),
        ),
    ),
    "land without waking anybody": Bug(
        "two rejections during an outage",
        "have not ended",
        (("        flight.news.notify(_FIRST_AWAKE)\n", ""),),
    ),
    "end the login without landing the flight": Bug(
        "two rejections and a refusal",
        "have not ended",
        (
            (
                """\
        if flight is not None:
            flight.error = error
            self._land(flight)
        return True
""",
                """\
        self._flight = None
        return True
""",
            ),
        ),
    ),
    "publish what an older flight brought": Bug(
        "a rejection and a login",
        "the store does not hold what is current",
        (
            (
                """\
            if flight is not self._flight:
                return False
            self._make_current(token, unsaved=unsaved, ancestor=ancestor)
""",
                """\
            self._make_current(token, unsaved=unsaved, ancestor=ancestor)
""",
            ),
        ),
    ),
    "leave in the store what an older flight saved": Bug(
        "a rejection and a logout",
        "the store does not hold what is current",
        (
            (
                """\
                    try:
                        self._put_right(flight)
                    finally:
                        self._in_turn = None
""",
                """\
                    self._in_turn = None
""",
            ),
        ),
    ),
    "leave the rejected token on the hot path": Bug(
        "a rejection and a request",
        "a token that was rejected before",
        (
            (
                """\
            self._rejected = token
            self._make_ready()
            self._end_trial(token)
""",
                """\
            self._rejected = token
            self._end_trial(token)
""",
            ),
        ),
    ),
    "let the waiters go when the new token is there": Bug(
        "two replays that are accepted",
        "before the trial is over",
        (
            (
                "flight.news.wait_for(lambda: flight.done, ends - self._monotonic())",
                "True",
            ),
        ),
    ),
    "say twice that the login is over": Bug(
        "two logouts",
        "ended logged_out, ended logged_out",
        (
            (
                """\
            self._over = copy.copy(self._over)  # a look for a new login under way was too early
            return False
""",
                """\
            return True
""",
            ),
        ),
    ),
    "publish before the token is saved": Bug(
        "a rejection, and a request that looks into the store",
        "in use before it was saved",
        (
            (
                """\
        saved = self._try_to_save(token)
        newer = None if saved else self._newer_after_all(token, ancestor)
        if newer is not None:
            return self._adopt(flight, newer)
        unsaved = None if saved else token
        published = self._publish(flight, token, unsaved=unsaved, ancestor=ancestor, issued=True)
""",
                """\
        published = self._publish(flight, token, unsaved=None, ancestor=ancestor, issued=True)
        self._try_to_save(token)
""",
            ),
        ),
    ),
    "look at the login outside of the critical section": Bug(
        "a rejection and a logout",
        "ended logged_out, ended logged_out_elsewhere",
        (
            (
                """\
            with self._handing_over():
                with self._turn:
                    _raise_shared(self._over)
                    token = self._good_token()
""",
                """\
            with self._handing_over():
                _raise_shared(self._over)
                with self._turn:
                    token = self._good_token()
""",
            ),
        ),
    ),
    "forget the flight of a leader that is interrupted": Bug(
        "two rejections",
        "have not ended",
        (
            (
                """\
            if outcome == "abandoned" or flight.token is None:
                self._abandon(flight)
""",
                "",
            ),
            (
                """\
            if flight is not None and opened_here and flight.leader == threading.get_ident():
                self._abandon(flight)
            raise
""",
                """\
            raise
""",
            ),
        ),
        interrupts="a",
    ),
    "refresh without looking into the store": Bug(
        "a rejection in each of two processes",
        "asked 1.0, asked 1.1",
        (
            ("if basis is not None and self._is_news(basis, flight.replaces):", "if False:"),
            ("            if self._adopt_at_a_glance(flight):\n", "            if False:\n"),
        ),
    ),
    "refresh without the lock of the store": Bug(
        "a rejection in each of two processes",
        "a refresh token came twice",
        (
            (
                'self._store.lock(0.0 if flight.why == "early" else self._wait_timeout)',
                "suppress()",
            ),
        ),
    ),
}
