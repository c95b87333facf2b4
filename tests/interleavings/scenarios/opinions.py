"""A new token that is refused by one page: others that hold a 401 are asked, three in all."""

from ..scenario import Scenario, get, holds
from .trials import LOGS_OUT

FORBIDDEN, ELSEWHERE, THIRD = (holds(path, "refuse") for path in ("forbidden", "b", "c"))
DATA = holds("data", "accept")

SCENARIOS = {
    "one page refuses, and another accepts": Scenario(
        {"forbidden": FORBIDDEN, "data": DATA},
        {"401, 1.1, asked 1.0, left 1.1, knows /forbidden"},
    ),
    "one page refuses and another accepts, which would end the login": Scenario(
        {"forbidden": FORBIDDEN, "data": DATA},
        {
            "401, 1.1, asked 1.0, left 1.1, knows /forbidden",
            "trial_refused, trial_refused, asked 1.0, ended trial_refused, left nothing",
        },
        options=LOGS_OUT,
    ),
    "two pages refuse": Scenario(
        {"a": FORBIDDEN, "b": ELSEWHERE},
        {"401, 401, asked 1.0, left 1.1, doubted"},
    ),
    "two pages refuse, which ends the login": Scenario(
        {"a": FORBIDDEN, "b": ELSEWHERE},
        {"trial_refused, trial_refused, asked 1.0, ended trial_refused, left nothing"},
        options=LOGS_OUT,
    ),
    "three pages refuse": Scenario(
        {"a": FORBIDDEN, "b": ELSEWHERE, "c": THIRD},
        {"401, 401, 401, asked 1.0, left 1.1, doubted"},
    ),
    "three pages refuse, which ends the login": Scenario(
        {"a": FORBIDDEN, "b": ELSEWHERE, "c": THIRD},
        {
            "trial_refused, trial_refused, trial_refused, "
            "asked 1.0, ended trial_refused, left nothing"
        },
        options=LOGS_OUT,
    ),
    "four pages refuse": Scenario(
        {"a": FORBIDDEN, "b": ELSEWHERE, "c": THIRD, "d": holds("d", "refuse")},
        {"401, 401, 401, 401, asked 1.0, left 1.1, doubted"},
    ),
    "two pages refuse, and a third accepts": Scenario(
        {"a": FORBIDDEN, "b": ELSEWHERE, "data": DATA},
        {"401, 401, 1.1, asked 1.0, left 1.1, knows /forbidden, knows /b"},
    ),
    "a page refuses one, and accepts another": Scenario(
        {"a": holds("data", "refuse"), "b": DATA},
        {
            "401, 1.1, asked 1.0, left 1.1",
            "401, 1.1, asked 1.0, left 1.1, knows /data",
        },
    ),
    "one page refuses, and another does not answer": Scenario(
        {"a": FORBIDDEN, "b": holds("b", "lose")},
        {"401, 1.1, asked 1.0, left 1.1", "401, 1.1, asked 1.0, left 1.1, doubted"},
    ),
    "two pages refuse, and a request": Scenario(
        {"a": FORBIDDEN, "b": ELSEWHERE, "request": get},
        {
            "401, 401, 1.0, asked 1.0, left 1.1, doubted",
            "401, 401, 1.1, asked 1.0, left 1.1, doubted",
        },
    ),
    # -- Servers that learn of a new token late ------------------------------------------------
    "a page learns of the new token late": Scenario(
        {"a": holds("a", "refuse", "accept"), "b": DATA},
        {
            "1.1, 1.1, asked 1.0, left 1.1",
            "401, 1.1, asked 1.0, left 1.1, knows /a",  # only who leads is patient
        },
        options={"trial_patience": 0.1},
        passes_when_idle=0.5,
    ),
    "a page learns of the new token too late": Scenario(
        {"forbidden": FORBIDDEN, "data": DATA},
        {"401, 1.1, asked 1.0, left 1.1, knows /forbidden"},
        options={"trial_patience": 0.1},
        passes_when_idle=0.5,
    ),
    "a page learns of the new token later than a trial may take": Scenario(
        {"a": holds("a", "refuse", "accept"), "request": get},
        {
            "1.1, 1.0, asked 1.0, left 1.1",
            "1.1, 1.1, asked 1.0, left 1.1",
        },
        options={"trial_patience": 0.1, "trial_timeout": 0.05},
        passes_when_idle=0.5,
    ),
    "a page learns of the new token late, and a request": Scenario(
        {"a": holds("a", "refuse", "accept"), "request": get},
        {
            "1.1, 1.0, asked 1.0, left 1.1",
            "1.1, 1.1, asked 1.0, left 1.1",
        },
        options={"trial_patience": 0.1},
        passes_when_idle=0.5,
    ),
}
