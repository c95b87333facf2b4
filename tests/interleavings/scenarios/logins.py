"""Logging in and out while others refresh."""

from ..scenario import (
    Scenario,
    be_rejected,
    get,
    holds,
    log_in,
    log_in_again,
    log_in_and_be_refused,
    log_in_and_be_rejected,
    log_in_as_another,
    log_out,
    log_out_everywhere,
    of,
    refresh,
)

SCENARIOS = {
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
    "a rejection, and a logout that revokes": Scenario(
        {"a": refresh, "b": log_out_everywhere},
        {
            "1.1, done, asked 1.0, revoked 1.1, ended logged_out, left nothing",
            "logged_out, done, asked 1.0, revoked 1.1, ended logged_out, left nothing",
            "logged_out, done, revoked 1.0, ended logged_out, left nothing",
        },
    ),
    "a login, and a logout that revokes": Scenario(
        {"a": log_in, "b": log_out_everywhere},
        {
            "done, done, revoked 1.0, ended logged_out, left 2.0",
            "done, done, revoked 2.0, ended logged_out, left nothing",
            "done, done, revoked 2.0, revoked 1.0, ended logged_out, left nothing",
        },
    ),
    "two logouts that revoke": Scenario(
        {"a": log_out_everywhere, "b": log_out_everywhere},
        {
            "done, done, revoked 1.0, ended logged_out, left nothing",
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
    "a login whose token is rejected at once": Scenario(
        {"a": log_in, "b": be_rejected},
        {
            "done, 2.1, asked 2.0, left 2.1",
            "done, done, left 2.0",
        },
    ),
    "a rejection, and a login whose token is rejected at once": Scenario(
        {"a": refresh, "b": log_in_and_be_rejected},
        {
            "1.1, 2.1, asked 1.0, asked 2.0, left 2.1",
            "2.0, 2.1, asked 1.0, asked 2.0, left 2.1",
            "2.0, 2.1, asked 2.0, left 2.1",
            "2.1, 2.1, asked 1.0, asked 2.0, left 2.1",
            "2.1, 2.1, asked 2.0, left 2.1",
        },
    ),
    "a rejection, and a login whose token a page refuses": Scenario(
        {"a": holds("data", "accept"), "b": log_in_and_be_refused},
        {
            "1.1, 401, asked 1.0, asked 2.0, left 2.1, doubted",
            "2.0, 401, asked 1.0, asked 2.0, left 2.1, doubted",
            "2.0, 401, asked 2.0, left 2.1, doubted",
            "2.1, 401, asked 1.0, asked 2.0, left 2.1, knows /forbidden",
            "2.1, 401, asked 2.0, left 2.1, knows /forbidden",
        },
    ),
    "a POST that holds a 401, and another person's login": Scenario(
        {"post": holds("post", "accept"), "login": log_in_as_another},
        {
            "1.1, done, asked 1.0, left 2.0",
            "401, done, asked 1.0, left 2.0",
            "401, done, left 2.0",
        },
        options={"first": of("alice")},
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
}
