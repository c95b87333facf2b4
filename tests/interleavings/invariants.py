"""What is true of a login at every moment, and of every change to it, whatever the schedule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SOMEWHERE = ("GET", "https://api.example.com", "/somewhere")


def broken(modules: dict[str, Any], login: Any, now: Any) -> Iterator[str]:
    """Yield what is wrong with *login* at a moment.

    Args:
        modules: The files of the login, by their names.
    """
    of_hand, rules = modules["_hand"], modules["_rules"]
    hand, standing = login.hand, login.standing
    if standing is of_hand.ON_TRIAL and login.flight is None:
        yield "a token is on trial without a flight"
    if login.unsaved is not None and hand is None:
        yield "no token is the one that is not saved"
    if standing is of_hand.PROVEN and login.evidence.doubt is not None:
        yield "a proven token is doubted"
    held_back = standing in (of_hand.ON_TRIAL, of_hand.REJECTED)
    if held_back and login.flight is None and login.pauses(now):
        yield "a failed flight leaves a token held back"
    yield from _broken_by_what_threads_do(rules, login, now)


def broken_by(modules: dict[str, Any], before: Any, after: Any) -> Iterator[str]:
    """Yield what is wrong with a change, that is made with turn."""
    of_hand = modules["_hand"]
    if before.over is not None and after.over is None and after.number == before.number:
        yield "a login that was over goes on, and nobody has logged in"
    if before.flight is not None and after.flight not in (None, before.flight):
        yield "a flight takes the place of another"
    if after.number < before.number:
        yield "an older login comes back"
    is_verdict = after.token is before.token and before.standing is of_hand.ON_TRIAL
    if is_verdict and after.standing is of_hand.DOUBTED:
        flight = before.flight
        can_be_asked = any(held and held.tries for held in flight.waiters.values())
        if can_be_asked and flight.opinions < of_hand.MOST_OPINIONS:
            yield "a token is doubted while another can be asked"


def broken_by_an_answer(before: Any, after: Any) -> Iterator[str]:
    """Yield what has changed that an API's answer may not."""
    for name in ("over", "pause", "unsaved", "kept", "token"):
        if getattr(after, name) is not getattr(before, name):
            yield f"an API's answer has changed {name}"


def _broken_by_what_threads_do(rules: Any, login: Any, now: Any) -> Iterator[str]:
    hand = login.hand
    step = rules.decide(login, None, now)[1].then
    if now.wall < login.until and step is not rules.GO:
        yield f"the hot path sends a token where a thread {step.value}"
    steps = [step]
    if hand is not None:
        for replay in (False, True):
            held = rules.Held(hand.token, SOMEWHERE, replay)
            step = rules.decide(login, held, now)[1].then
            steps.append(step)
            if step in (rules.GO, rules.LOOK, rules.LEAD_EARLY):
                yield "who holds a 401 is to send the same token again"
    if rules.WAIT in steps and login.flight is None:
        yield "a thread is to wait although nobody flies"
    if login.flight is not None and {rules.LEAD, rules.LEAD_EARLY} & set(steps):
        yield "a thread is to lead although somebody flies"
    if login.is_over() and set(steps) != {rules.FAIL}:
        yield "the login is over, and not all fail"
