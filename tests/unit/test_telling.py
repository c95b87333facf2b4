"""What the log is told of one login, and how often."""

from __future__ import annotations

import base64
import json

import pytest

from requests_tokenrefresh import Token
from requests_tokenrefresh._hand import Hand
from requests_tokenrefresh._login import Login, Unsaved
from requests_tokenrefresh._rules import IN_DOUBT, ITS_HABIT, NEW_TOO
from requests_tokenrefresh._telling import Telling
from tests.support.logins import DATA, ORIGIN, OTHER, Clock

PASSED_ON = f"the 401 of GET {ORIGIN}/data is passed on: "


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "requests_tokenrefresh")


@pytest.fixture
def telling() -> Telling:
    return Telling([], None, Clock())


def test_why_a_401_is_passed_on_is_said_once_of_each_resource(
    telling: Telling, caplog: pytest.LogCaptureFixture
) -> None:
    for why in (ITS_HABIT, IN_DOUBT, ITS_HABIT):
        telling.passes_on(DATA, why)
    telling.passes_on(OTHER, IN_DOUBT)
    assert caplog.messages == [
        PASSED_ON + ITS_HABIT,
        f"the 401 of GET {ORIGIN}/other is passed on: {IN_DOUBT}",
    ]


@pytest.mark.parametrize("after", [False, True])
def test_and_once_more_if_that_was_after_a_refresh_or_is_now(
    telling: Telling, caplog: pytest.LogCaptureFixture, after: bool
) -> None:
    reasons = [NEW_TOO, ITS_HABIT] if after else [ITS_HABIT, NEW_TOO]
    for why in reasons * 2:
        telling.passes_on(DATA, why)
    assert caplog.messages == [PASSED_ON + why for why in reasons]


def test_other_news_is_said_once_as_well(
    telling: Telling, caplog: pytest.LogCaptureFixture
) -> None:
    for message in ("one", "another", "one"):
        telling.say_once(message, 30)
    assert caplog.messages == ["one", "another"]


def test_of_all_that_was_said_the_last_256_things_are_remembered(
    telling: Telling, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(256):
        telling.say_once(str(number), 30)
    telling.say_once("0", 30)
    assert len(caplog.messages) == 256
    telling.say_once("256", 30)
    telling.say_once("1", 30)
    assert len(caplog.messages) == 257
    telling.say_once("0", 30)
    assert caplog.messages[-2:] == ["256", "0"]


def login_of(person: str | None, number: int, unsaved: Unsaved | None = None) -> Login:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": person}).encode()).decode()
    hand = Hand.of(Token(f"-.{claims}.-"), found=True, leeway=0, early=0, luck=0)
    return Login(hand=None if person is None else hand, number=number, unsaved=unsaved)


@pytest.mark.parametrize(
    ("before", "after", "is_told"),
    [
        (login_of("ann", 1), login_of("ben", 2), True),
        (login_of("ann", 1), login_of("ann", 2), False),
        (login_of("ann", 1), login_of("ben", 1), False),
        (login_of("ann", 1), login_of("ben", 2, Unsaved(None)), False),  # by login(), here
        (login_of(None, 1), login_of("ben", 2), False),
        (login_of("ann", 1), login_of(None, 2), False),
    ],
)
def test_that_another_person_has_logged_in_elsewhere_is_told(
    telling: Telling,
    caplog: pytest.LogCaptureFixture,
    before: Login,
    after: Login,
    is_told: bool,
) -> None:
    telling.announce(before, after)
    assert ["another person has logged in" in message for message in caplog.messages] == (
        [True] if is_told else []
    )
