"""Two processes that share a store."""

from ..scenario import (
    EXPIRING,
    WINDOW_OPEN,
    Scenario,
    get,
    log_in,
    log_out,
    log_out_everywhere,
    outage,
    refresh,
    refresh_and_get,
    refusal,
)
from ..watched_source import PausingStore

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
    "a rejection here, and a logout elsewhere that revokes": Scenario(
        {"here": refresh},
        {
            "1.1, done, asked 1.0, revoked 1.1, revoked 1.0, ended logged_out, left nothing",
            "logged_out_elsewhere, done, revoked 1.0, "
            "ended logged_out_elsewhere, ended logged_out, left nothing",
        },
        elsewhere={"there": log_out_everywhere},
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
        {"here": refresh},
        {
            "1.1, 1.1, asked 1.0, asked 1.0, left 1.1",
            "1.1, RefreshFailedError, asked 1.0, asked 1.0, left 1.1",
            "RefreshFailedError, 1.1, asked 1.0, asked 1.0, left 1.1",
        },
        elsewhere={"there": refresh},
        answers=(outage,),
    ),
    "a rejection in each of two processes, an outage, and a store that keeps the pause": Scenario(
        {"here": refresh},
        {"RefreshFailedError, RefreshFailedError, asked 1.0, left 1.0"},
        elsewhere={"there": refresh},
        answers=(outage,),
        store=PausingStore,
    ),
    "a login here ends the pause that the store keeps": Scenario(
        {"a": refresh, "b": log_in},
        {
            "2.0, done, asked 1.0, left 2.0",
            "2.0, done, left 2.0",
            "RefreshFailedError, done, asked 1.0, left 2.0",
        },
        answers=(outage,),
        store=PausingStore,
    ),
    "a token that cannot be saved, and a login elsewhere": Scenario(
        {"here": refresh},
        {
            "1.1, TokenStoreError, asked 1.0, left 1.1, not saved",
            "1.1, done, asked 1.0, left 2.0, not saved",
        },
        elsewhere={"there": log_in},
        save_fails=1,
    ),
    "a token that cannot be saved, and a logout elsewhere": Scenario(
        {"here": refresh},
        {
            "1.1, done, asked 1.0, ended logged_out, left nothing, not saved",
            "logged_out_elsewhere, done, "
            "ended logged_out_elsewhere, ended logged_out, left nothing",
        },
        elsewhere={"there": log_out},
        save_fails=1,
    ),
    "a token that is saved later, and a login elsewhere": Scenario(
        {"here": refresh_and_get},
        {
            "1.1, TokenStoreError, asked 1.0, left 1.1, not saved",
            "1.1, done, asked 1.0, left 2.0",
            "1.1, done, asked 1.0, left 2.0, not saved",
            "2.0, done, asked 1.0, left 2.0",
        },
        elsewhere={"there": log_in},
        save_fails=1,
        passes=2,
    ),
    "two rejections here, and one elsewhere": Scenario(
        {"a": refresh, "b": refresh},
        {"1.1, 1.1, 1.1, asked 1.0, left 1.1"},
        elsewhere={"there": refresh},
    ),
}
