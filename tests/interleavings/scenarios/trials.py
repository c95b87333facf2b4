"""The first replay with a new token, where nobody else holds a 401 to it."""

from ..scenario import Scenario, get, holds, log_in, log_out

ACCEPTED, REFUSED, LOST = (holds("a", answer) for answer in ("accept", "refuse", "lose"))
LOGS_OUT = {"when_trial_refused": "log_out"}

SCENARIOS = {
    "two replays that are accepted": Scenario(
        {"a": ACCEPTED, "b": ACCEPTED}, {"1.1, 1.1, asked 1.0, left 1.1"}
    ),
    "two replays without a verdict": Scenario(
        {"a": LOST, "b": LOST}, {"1.1, 1.1, asked 1.0, left 1.1"}
    ),
    "a replay that is accepted, and a logout": Scenario(
        {"a": ACCEPTED, "b": log_out},
        {
            "1.1, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, asked 1.0, ended logged_out, left nothing",
            "logged_out, done, ended logged_out, left nothing",
        },
    ),
    "two replays that are accepted, and time": Scenario(
        {"a": ACCEPTED, "b": ACCEPTED}, {"1.1, 1.1, asked 1.0, left 1.1"}, passes=2
    ),
    # -- Refused, and that is the end ----------------------------------------------------------
    "two replays that are refused, which ends the login": Scenario(
        {"a": REFUSED, "b": REFUSED},
        {"trial_refused, trial_refused, asked 1.0, ended trial_refused, left nothing"},
        options=LOGS_OUT,
    ),
    "a replay that is refused, which ends the login, and a request": Scenario(
        {"a": REFUSED, "b": get},
        {
            "trial_refused, 1.0, asked 1.0, ended trial_refused, left nothing",
            "trial_refused, trial_refused, asked 1.0, ended trial_refused, left nothing",
        },
        options=LOGS_OUT,
    ),
    "a replay that is refused, which ends the login, and a login": Scenario(
        {"a": holds("a", "refuse the first login"), "b": log_in},
        {
            "2.0, done, asked 1.0, ended trial_refused, left 2.0",
            "2.0, done, asked 1.0, left 2.0",
            "2.0, done, left 2.0",
            "trial_refused, done, asked 1.0, ended trial_refused, left 2.0",
        },
        options=LOGS_OUT,
    ),
    "three replays that are refused, which ends the login": Scenario(
        {"a": REFUSED, "b": REFUSED, "c": REFUSED},
        {
            "trial_refused, trial_refused, trial_refused, "
            "asked 1.0, ended trial_refused, left nothing"
        },
        options=LOGS_OUT,
    ),
}
