"""A refresh that fails, for now or for good."""

from ..scenario import (
    Scenario,
    asks,
    get,
    holds,
    log_in,
    log_in_and_be_rejected,
    log_out,
    new_token,
    outage,
    refresh,
    refusal,
)

SCENARIOS = {
    "two rejections during an outage": Scenario(
        {"a": refresh, "b": refresh},
        {"RefreshFailedError, RefreshFailedError, asked 1.0, left 1.0"},
        answers=(outage,),
    ),
    "a forbidden page and a request during an outage": Scenario(
        {"page": holds("forbidden", "refuse"), "request": asks("data", "accept", old="accept")},
        {"RefreshFailedError, 1.0, asked 1.0, left 1.0"},
        answers=(outage,),
    ),
    "a forbidden page and two requests during an outage": Scenario(
        {
            "page": holds("forbidden", "refuse"),
            "request": asks("data", "accept", old="accept"),
            "another": get,
        },
        {"RefreshFailedError, 1.0, 1.0, asked 1.0, left 1.0"},
        answers=(outage,),
    ),
    "two pages and a request during an outage": Scenario(
        {
            "a": holds("a", "refuse"),
            "b": asks("b", "refuse"),
            "request": asks("data", "accept", old="accept"),
        },
        {"RefreshFailedError, RefreshFailedError, 1.0, asked 1.0, left 1.0"},
        answers=(outage,),
    ),
    "two rejections, and a login that is rejected during an outage": Scenario(
        {"a": refresh, "b": refresh, "c": log_in_and_be_rejected},
        {
            "1.1, 1.1, RefreshFailedError, asked 1.0, asked 2.0, left 2.0",
            "1.1, 2.0, RefreshFailedError, asked 1.0, asked 2.0, left 2.0",
            "2.0, 1.1, RefreshFailedError, asked 1.0, asked 2.0, left 2.0",
            "2.0, 2.0, RefreshFailedError, asked 1.0, asked 2.0, left 2.0",
            "2.0, 2.0, 2.1, asked 2.0, left 2.1",
            "2.0, 2.1, 2.1, asked 2.0, left 2.1",
            "2.1, 2.0, 2.1, asked 2.0, left 2.1",
            "2.1, 2.1, 2.1, asked 2.0, left 2.1",
        },
        answers=(new_token, outage),
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
}
