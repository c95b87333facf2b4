"""Tokens that expire, and the early window."""

from ..scenario import (
    EXPIRED,
    EXPIRING,
    WINDOW_OPEN,
    Scenario,
    get,
    holds,
    log_out,
    outage,
    refresh,
    refusal,
)

SCENARIOS = {
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
    "two requests in the early window, and a refusal": Scenario(
        {"a": get, "b": get},
        {"1.0, 1.0, asked 1.0, left 1.0, uses 1.0 up"},
        options=EXPIRING,
        clock=WINDOW_OPEN,
        answers=(refusal,),
    ),
    "a request in the early window, a refusal and a rejection": Scenario(
        {"a": get, "b": holds("b", "refuse")},
        {
            "1.0, invalid_grant, asked 1.0, left 1.0, uses 1.0 up",
            "invalid_grant, invalid_grant, asked 1.0, ended invalid_grant, left 1.0",
            "invalid_grant, invalid_grant, asked 1.0, ended invalid_grant, left nothing",
        },
        options=EXPIRING,
        clock=WINDOW_OPEN,
        answers=(refusal,),
    ),
    "a request in the early window, a refusal, and the token dies": Scenario(
        {"a": get},
        set(),
        options=EXPIRING,
        clock=WINDOW_OPEN,
        answers=(refusal,),
        passes=20,
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
}
