"""What the demo's server knows and counts, without HTTP and with a clock that the test moves."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from requests_tokenrefresh.cli.authorization import Authorization
from requests_tokenrefresh.cli.one_client import CLIENT_ID
from tests.support.logins import Clock
from tests.support.threads import run_together

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authorization(clock: Clock) -> Authorization:
    return Authorization(token_seconds=10, announce=True, clock=clock)


def accepts(authorization: Authorization, reply: dict[str, Any]) -> bool:
    return authorization.accepts({"Authorization": f"Bearer {reply['access_token']}"})


def refresh(
    authorization: Authorization, reply: dict[str, Any], **fields: str
) -> tuple[int, dict[str, Any]]:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": reply["refresh_token"],
        "client_id": CLIENT_ID,
    }
    status, headers, answer = authorization.exchange(urlencode(form | fields), FORM)
    assert headers["Cache-Control"] == "no-store"
    return status, json.loads(answer)


def test_a_login_is_good_until_its_token_has_lived(authorization, clock):
    login = authorization.log_in()
    clock.advance(9.9)
    assert accepts(authorization, login)
    clock.advance(0.1)
    assert not accepts(authorization, login)
    assert authorization.counts() == {
        "accepted": 1,
        "rejected": 1,
        "expiries": 1,
        "refreshes": 0,
        "refused": 0,
        "reuses": 0,
        "revoked": False,
    }


def test_the_lifetime_is_announced_in_every_reply(authorization):
    login = authorization.log_in()
    _, reply = refresh(authorization, login)
    assert (login["expires_in"], reply["expires_in"]) == (10, 10)


def test_the_lifetime_is_kept_secret_if_wanted(clock):
    authorization = Authorization(token_seconds=10, announce=False, clock=clock)
    login = authorization.log_in()
    _, reply = refresh(authorization, login)
    assert "expires_in" not in login
    assert "expires_in" not in reply


def test_a_refresh_gives_new_tokens(authorization, clock):
    login = authorization.log_in()
    clock.advance(10)
    status, reply = refresh(authorization, login)
    assert status == 200
    assert not {login["access_token"], login["refresh_token"]} & set(reply.values())
    assert accepts(authorization, reply)
    assert not accepts(authorization, login)


def test_a_refresh_leaves_the_old_access_token_its_life(authorization):
    login = authorization.log_in()
    refresh(authorization, login)
    assert accepts(authorization, login)


def test_a_refresh_token_that_comes_twice_revokes_the_login_with_all_its_tokens(authorization):
    first = authorization.log_in()
    _, second = refresh(authorization, first)
    assert refresh(authorization, first) == (400, {"error": "invalid_grant"})
    assert refresh(authorization, second) == (400, {"error": "invalid_grant"})
    assert not accepts(authorization, first)
    assert not accepts(authorization, second)
    counts = authorization.counts()
    assert (counts["refreshes"], counts["refused"], counts["reuses"]) == (1, 2, 1)
    assert counts["revoked"] is True


def test_of_many_refreshes_at_once_with_one_token_one_succeeds(authorization):
    login = authorization.log_in()
    answers = [
        outcome.result()[0] for outcome in run_together(8, lambda: refresh(authorization, login))
    ]
    assert sorted(answers) == [200] + 7 * [400]
    assert authorization.counts()["reuses"] == 7


def test_logins_do_not_touch_each_other(authorization):
    revoked, other = authorization.log_in(), authorization.log_in()
    refresh(authorization, revoked)
    refresh(authorization, revoked)
    assert accepts(authorization, other)
    counts = authorization.counts()  # of the one that began last
    assert (counts["accepted"], counts["refreshes"], counts["revoked"]) == (1, 0, False)


def test_a_dead_token_is_one_expiry_however_often_it_is_met(authorization, clock):
    login = authorization.log_in()
    clock.advance(10)
    accepts(authorization, login)
    accepts(authorization, login)
    refresh(authorization, login)
    assert authorization.counts()["expiries"] == 1
    assert authorization.counts()["rejected"] == 2


@pytest.mark.parametrize(("age", "expiries"), [(4.9, 0), (5, 1)])
def test_a_replaced_token_is_an_expiry_in_the_second_half_of_its_life(
    authorization, clock, age, expiries
):
    login = authorization.log_in()
    clock.advance(age)
    refresh(authorization, login)
    assert authorization.counts()["expiries"] == expiries


def test_the_death_of_a_revoked_token_is_no_expiry(authorization, clock):
    login = authorization.log_in()
    refresh(authorization, login)
    refresh(authorization, login)
    clock.advance(10)
    accepts(authorization, login)
    assert authorization.counts()["expiries"] == 0


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"refresh_token": "made-up"}, 400, "invalid_grant"),
        ({"client_id": "somebody-else"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "everything"}, 400, "invalid_scope"),
    ],
)
def test_what_is_not_a_refresh_of_this_client_is_refused(authorization, fields, status, error):
    login = authorization.log_in()
    assert refresh(authorization, login, **fields) == (status, {"error": error})
    assert authorization.counts()["refreshes"] == 0


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer made-up"}])
def test_without_a_token_of_its_own_nothing_is_accepted(authorization, headers):
    assert not authorization.accepts(headers)
