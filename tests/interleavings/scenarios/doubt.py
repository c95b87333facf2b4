"""A token that every server has refused so far is used on, and refreshed after a pause."""

from ..scenario import Scenario, asks, get, holds

REFUSED = holds("a", "refuse")

SCENARIOS = {
    "a trial is refused, and a request has sent nothing": Scenario(
        {"a": REFUSED, "request": get},
        {
            "401, 1.0, asked 1.0, left 1.1, doubted",
            "401, 1.1, asked 1.0, left 1.1, doubted",
        },
    ),
    "a trial is refused, and another request is accepted": Scenario(
        {"a": REFUSED, "b": asks("data", "accept")},
        {"401, 1.1, asked 1.0, left 1.1, knows /a"},
    ),
    "a trial is refused, and so is another request": Scenario(
        {"a": REFUSED, "b": asks("b", "refuse")},
        {"401, 401, asked 1.0, left 1.1, doubted"},
    ),
    "a trial is refused, and so is another request after the pause": Scenario(
        {"a": REFUSED, "b": asks("b", "refuse")},
        {
            "401, 401, asked 1.0, asked 1.1, left 1.2, doubted",
            "401, 401, asked 1.0, left 1.1, doubted",
        },
        passes=2,
    ),
}
