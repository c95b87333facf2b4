"""Two processes that share a store."""

from ..scenario import (
    EXPIRING,
    WINDOW_OPEN,
    Scenario,
    get,
    log_in,
    log_out,
    outage,
    refresh,
    refusal,
)

SCENARIOS = {
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
    "a rejection in each of two processes, and a short outage": Scenario(
        {"here": refresh}, set(), elsewhere={"there": refresh}, answers=(outage,)
    ),
    "a rejection in each of two processes during an outage": Scenario(
        {"here": refresh}, set(), elsewhere={"there": refresh}, answers=(outage, outage)
    ),
    "a token that cannot be saved, and a login elsewhere": Scenario(
        {"here": refresh}, set(), elsewhere={"there": log_in}, save_fails=1
    ),
    "a token that cannot be saved, and a logout elsewhere": Scenario(
        {"here": refresh}, set(), elsewhere={"there": log_out}, save_fails=1
    ),
    "a request while a token is not saved, and a login elsewhere": Scenario(
        {"a": refresh, "b": get}, set(), elsewhere={"there": log_in}, save_fails=2
    ),
    "two rejections here, and one elsewhere": Scenario(
        {"a": refresh, "b": refresh},
        {"1.1, 1.1, 1.1, asked 1.0, left 1.1"},
        elsewhere={"there": refresh},
    ),
}
