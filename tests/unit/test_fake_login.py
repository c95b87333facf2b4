"""The fake login that users' tests are given, used as they would use it: with `responses`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import responses

from requests_tokenrefresh import LoginRequiredError, RefreshFailedError, mount
from requests_tokenrefresh.testing import FakeTokenSource

URL = "https://api.example.com/reports"


@pytest.fixture
def session(fake_tokens: FakeTokenSource) -> Iterator[requests.Session]:
    """A session with the fake login, and an API that knows which token is good."""

    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        return (200 if fake_tokens.accepts(request) else 401), {}, ""

    with (
        responses.RequestsMock(assert_all_requests_are_fired=False) as api,
        requests.Session() as s,
    ):
        api.add_callback(responses.GET, URL, answer)
        mount(s, fake_tokens)
        yield s


def sent(response: requests.Response) -> list[str]:
    """The tokens of a request and its replays."""
    return [one.request.headers["Authorization"] for one in [*response.history, response]]


def test_it_is_logged_in(fake_tokens: FakeTokenSource, session: requests.Session) -> None:
    assert sent(session.get(URL)) == ["Bearer access-0"]
    assert fake_tokens.refreshes == 0


def test_an_expired_token_is_refreshed_before_it_is_sent(
    fake_tokens: FakeTokenSource, session: requests.Session
) -> None:
    old = session.get(URL).request
    fake_tokens.expire()
    assert not fake_tokens.accepts(old)

    assert sent(session.get(URL)) == ["Bearer access-1"]
    assert fake_tokens.refreshes == 1


def test_a_revoked_token_is_rejected_and_the_request_replayed(
    fake_tokens: FakeTokenSource, session: requests.Session
) -> None:
    for number in range(3):
        fake_tokens.revoke()
        response = session.get(URL)
        assert response.status_code == 200
        assert sent(response) == [f"Bearer access-{number}", f"Bearer access-{number + 1}"]
    assert fake_tokens.refreshes == 3


def test_a_refused_refresh_ends_the_login_and_another_can_begin(
    fake_tokens: FakeTokenSource, session: requests.Session
) -> None:
    fake_tokens.revoke()
    fake_tokens.refuse_refresh()
    for _ in range(2):
        with pytest.raises(LoginRequiredError) as caught:
            session.get(URL)
        assert caught.value.reason == "invalid_grant"
    assert fake_tokens.refreshes == 1

    fake_tokens.login("by-hand")
    assert sent(session.get(URL)) == ["Bearer by-hand"]


def test_a_failed_refresh_is_tried_again_when_its_time_has_come(
    fake_tokens: FakeTokenSource, session: requests.Session
) -> None:
    fake_tokens.expire()
    fake_tokens.fail_refresh(retry_after=5)
    for _ in range(2):
        with pytest.raises(RefreshFailedError) as caught:
            session.get(URL)
        assert caught.value.retry_after == 5
    assert fake_tokens.refreshes == 1

    fake_tokens.advance(5)
    assert sent(session.get(URL)) == ["Bearer access-2"]


def test_it_takes_the_arguments_of_a_source() -> None:
    reasons: list[str] = []
    tokens = FakeTokenSource(
        origins=["https://other.example.com"], lifetime=60, on_logout=reasons.append
    )
    assert tokens.origins.origins == ("https://other.example.com",)
    assert tokens.token().lifetime == 60
    tokens.logout()
    assert reasons == ["logged_out"]


def test_a_request_without_the_token_is_not_accepted(fake_tokens: FakeTokenSource) -> None:
    assert not fake_tokens.accepts(requests.Request("GET", URL).prepare())


def test_before_it_expires_one_request_refreshes_early(
    fake_tokens: FakeTokenSource, session: requests.Session
) -> None:
    fake_tokens.expire_soon()
    assert sent(session.get(URL)) == ["Bearer access-1"]
    assert fake_tokens.refreshes == 1


def test_a_revoked_token_cannot_expire_soon(
    fake_tokens: FakeTokenSource, session: requests.Session
) -> None:
    fake_tokens.revoke()
    fake_tokens.expire_soon()
    assert sent(session.get(URL)) == ["Bearer access-0", "Bearer access-1"]


def test_an_early_refusal_ends_the_login_with_its_token(
    fake_tokens: FakeTokenSource, session: requests.Session
) -> None:
    fake_tokens.expire_soon()
    fake_tokens.refuse_refresh()
    for _ in range(2):
        assert sent(session.get(URL)) == ["Bearer access-0"]
    fake_tokens.expire()
    with pytest.raises(LoginRequiredError):
        session.get(URL)
    assert fake_tokens.refreshes == 1


def test_a_new_token_that_all_reject_is_doubted_until_one_accepts_it(
    fake_tokens: FakeTokenSource, session: requests.Session
) -> None:
    fake_tokens.reject_all()
    assert [session.get(URL).status_code for _ in range(3)] == [401] * 3
    assert fake_tokens.refreshes == 1
    fake_tokens.advance(5)
    assert session.get(URL).status_code == 401
    assert fake_tokens.refreshes == 2

    fake_tokens.recover()
    assert sent(session.get(URL)) == ["Bearer access-2"]


def test_an_api_that_learns_late_rejects_each_new_token_at_first(
    fake_tokens: FakeTokenSource, session: requests.Session
) -> None:
    fake_tokens.learn_late(2)
    assert session.get(URL).status_code == 200
    fake_tokens.revoke()
    assert [session.get(URL).status_code for _ in range(3)] == [401, 401, 200]
    assert fake_tokens.refreshes == 1


def test_patience_outlasts_an_api_that_learns_late() -> None:
    tokens = FakeTokenSource(trial_patience=30)
    tokens.learn_late()
    with responses.RequestsMock() as api, requests.Session() as session:
        api.add_callback(
            responses.GET, URL, lambda sent: (200 if tokens.accepts(sent) else 401, {}, "")
        )
        mount(session, tokens)
        tokens.revoke()
        assert session.get(URL).status_code == 200
    assert tokens.refreshes == 1


def test_what_was_sent_as_one_person_is_not_replayed_as_another(
    fake_tokens: FakeTokenSource,
) -> None:
    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        if request.headers["Authorization"] == "Bearer access-0":
            fake_tokens.log_in_as("ben")
        return (200 if fake_tokens.accepts(request) else 401), {}, ""

    with responses.RequestsMock() as api, requests.Session() as session:
        api.add_callback(responses.GET, URL, answer)
        mount(session, fake_tokens)
        rejected = session.get(URL)
        assert (rejected.status_code, sent(rejected)) == (401, ["Bearer access-0"])
        assert sent(session.get(URL)) == ["Bearer access-of-ben-1"]
    assert fake_tokens.refreshes == 0


def test_the_same_person_may_log_in_again(fake_tokens: FakeTokenSource) -> None:
    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        if request.headers["Authorization"] == "Bearer access-0":
            fake_tokens.log_in_as("ann")
        return (200 if fake_tokens.accepts(request) else 401), {}, ""

    with responses.RequestsMock() as api, requests.Session() as session:
        api.add_callback(responses.GET, URL, answer)
        mount(session, fake_tokens)
        assert sent(session.get(URL)) == ["Bearer access-0", "Bearer access-of-ann-1"]
