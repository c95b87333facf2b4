"""A token that was rejected."""

from ..scenario import Scenario, get, get_and_look_into_the_store, refresh

SCENARIOS = {
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
        {"1.1, 1.1, asked 1.0, left 1.1"},
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
        {"1.1, 1.1, asked 1.0, left 1.0, not saved"},
        save_fails=1,
    ),
    "a rejection, and a request that looks into the store": Scenario(
        {"rejected": refresh, "request": get_and_look_into_the_store},
        {
            "1.1, 1.0, asked 1.0, left 1.1",
            "1.1, 1.1, asked 1.0, left 1.1",
        },
    ),
}
