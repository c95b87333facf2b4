"""What the adapter does with answers, with `responses` in place of servers."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.util.retry import Retry

from requests_tokenrefresh import (
    InsecureTransportError,
    LoginRequiredError,
    RefreshFailedError,
    StoreLockTimeoutError,
    TokenRefreshAdapter,
    TokenSource,
    TokenStoreError,
)
from requests_tokenrefresh.events import (
    RefreshStarted,
    ReplayEnded,
    ReplayStarted,
    TokenRejected,
)
from tests.support.doors import flying, is_proven
from tests.support.logins import ORIGIN, OTHER, Clock, Heard, Refresher, make_source

URL = f"{ORIGIN}/orders"
BEARER = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
SCOPE = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def session_for(source: TokenSource, **options: Any) -> requests.Session:
    session = requests.Session()
    session.mount(f"{ORIGIN}/", TokenRefreshAdapter(source, **options))
    return session


def authorizations(api: responses.RequestsMock) -> list[str | None]:
    return [call.request.headers.get("Authorization") for call in api.calls]


# -- the plain way -----------------------------------------------------------------------------


def test_a_request_is_sent_with_the_token(api: responses.RequestsMock) -> None:
    api.get(URL, json={"orders": []})
    response = session_for(make_source()).get(URL)
    assert response.json() == {"orders": []}
    assert authorizations(api) == ["Bearer access-0"]
    assert response.history == []


def test_after_a_401_the_token_is_refreshed_and_the_request_replayed(
    api: responses.RequestsMock,
) -> None:
    heard = Heard()
    source = make_source(listeners=[heard])
    api.get(URL, status=401, headers=BEARER, body="expired")
    api.get(URL, body="fine")
    response = session_for(source).get(URL)
    assert (response.status_code, response.text) == (200, "fine")
    assert authorizations(api) == ["Bearer access-0", "Bearer access-1"]
    assert [(r.status_code, r.text) for r in response.history] == [(401, "expired")]
    assert is_proven(source, source.token())
    assert [e.replay for e in heard.of(TokenRejected)] == [False]  # type: ignore[attr-defined]
    assert [e.why for e in heard.of(RefreshStarted)] == ["reactive"]  # type: ignore[attr-defined]
    assert [e.trial for e in heard.of(ReplayStarted)] == [True]  # type: ignore[attr-defined]
    assert [e.verdict for e in heard.of(ReplayEnded)] == ["accepted"]  # type: ignore[attr-defined]


def test_a_response_hook_sees_the_last_answer_only(api: responses.RequestsMock) -> None:
    seen: list[int] = []
    api.get(URL, status=401)
    api.get(URL, status=200)
    session_for(make_source()).get(
        URL, hooks={"response": lambda r, **_: seen.append(r.status_code)}
    )
    assert seen == [200]


def test_any_answer_but_a_rejection_proves_the_token(api: responses.RequestsMock) -> None:
    source = make_source()
    api.get(URL, status=503)
    session_for(source).get(URL)
    assert is_proven(source, source.token())


def test_a_401_that_does_not_reject_proves_nothing_either(api: responses.RequestsMock) -> None:
    source = make_source()
    api.get(URL, status=401, headers=SCOPE)
    assert session_for(source).get(URL).status_code == 401
    assert not is_proven(source, source.token())
    assert len(api.calls) == 1


# -- refused -----------------------------------------------------------------------------------


def test_a_replay_that_is_refused_is_that_resources_own_answer(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    heard, reasons = Heard(), list[str]()
    source = make_source(listeners=[heard], on_logout=reasons.append)
    api.get(URL, status=401, body="first")
    api.get(URL, status=401, body="second")
    response = session_for(source).get(URL)
    assert (response.status_code, response.text) == (401, "second")
    assert [r.text for r in response.history] == ["first"]
    assert source.token().access_token == "access-1"
    assert reasons == []
    assert [e.replay for e in heard.of(TokenRejected)] == [False, True]  # type: ignore[attr-defined]
    assert [e.verdict for e in heard.of(ReplayEnded)] == ["refused"]  # type: ignore[attr-defined]
    assert caplog.messages == [
        f"the 401 of GET {URL} is passed on: a new token was refused as well"
    ]


def test_a_replay_that_is_refused_ends_the_login_where_that_is_wanted(
    api: responses.RequestsMock,
) -> None:
    heard = Heard()
    source = make_source(listeners=[heard], when_trial_refused="log_out")
    api.get(URL, status=401, body="first")
    api.get(URL, status=401, body="second")
    with pytest.raises(requests.HTTPError) as caught:
        session_for(source).get(URL)
    error = caught.value
    assert isinstance(error, LoginRequiredError)
    assert (error.reason, error.response.status_code, error.response.text) == (
        "trial_refused",
        401,
        "second",
    )
    assert [r.text for r in error.response.history] == ["first"]
    assert error.request is not None
    assert error.request.url == URL
    assert [e.replay for e in heard.of(TokenRejected)] == [False, True]  # type: ignore[attr-defined]
    assert [e.verdict for e in heard.of(ReplayEnded)] == ["refused"]  # type: ignore[attr-defined]


def test_after_that_nothing_is_sent(api: responses.RequestsMock) -> None:
    source = make_source()
    source.logout()
    with pytest.raises(LoginRequiredError) as caught:
        session_for(source).get(URL)
    response = caught.value.response
    assert (response.status_code, response.reason, response.url) == (401, "Unauthorized", URL)
    assert (response.text, response.headers) == ("", {})
    assert caught.value.request is response.request
    assert len(api.calls) == 0


def test_a_waiters_error_carries_its_own_401(api: responses.RequestsMock) -> None:
    source = make_source(Refresher(LoginRequiredError("no", reason="invalid_grant")))
    api.get(URL, status=401, body="mine")
    with pytest.raises(LoginRequiredError) as caught:
        session_for(source).get(URL)
    assert caught.value.response.text == "mine"
    assert caught.value.reason == "invalid_grant"


def test_when_logged_out_return_gives_the_401_itself(api: responses.RequestsMock) -> None:
    source = make_source(
        Refresher(LoginRequiredError("no", reason="invalid_grant")), when_logged_out="return"
    )
    session = session_for(source)
    api.get(URL, status=401, body="mine")
    assert session.get(URL).text == "mine"
    local = session.get(URL, stream=True)
    assert (local.status_code, local.raw.read(), local.url) == (401, b"", URL)
    assert len(api.calls) == 1


def test_when_logged_out_detach_sends_without_a_token_until_login(
    api: responses.RequestsMock,
) -> None:
    source = make_source(when_logged_out="detach")
    session = session_for(source)
    api.get(URL, status=401)
    source.logout()
    assert session.get(URL).status_code == 401
    source.login("again")
    api.get(URL, status=200)
    session.get(URL)
    assert authorizations(api)[0] is None
    assert authorizations(api)[-1] in ("Bearer again", "Bearer access-1")


def test_when_logged_out_detach_the_request_that_met_the_end_gets_its_401(
    api: responses.RequestsMock,
) -> None:
    source = make_source(
        Refresher(LoginRequiredError("no", reason="invalid_grant")), when_logged_out="detach"
    )
    api.get(URL, status=401, body="mine")
    assert session_for(source).get(URL).text == "mine"
    assert len(api.calls) == 1


def test_a_request_without_a_login_is_not_sent(api: responses.RequestsMock) -> None:
    nothing = LoginRequiredError("there is no token; log in first", reason="no_token")
    source = make_source(Refresher(nothing), logged_in=False)
    with pytest.raises(LoginRequiredError, match="log in first"):
        session_for(source).get(URL)
    assert len(api.calls) == 0


# -- failures that pass ------------------------------------------------------------------------


def test_a_transient_failure_says_try_again_and_carries_the_request(
    api: responses.RequestsMock,
) -> None:
    refresher = Refresher(RefreshFailedError("unreachable", retry_after=3))
    session = session_for(make_source(refresher, random=lambda: 0.0))
    api.get(URL, status=401, body="who are you?")
    for _ in range(2):
        with pytest.raises(RefreshFailedError) as caught:
            session.get(URL)
        assert caught.value.retry_after == 3
        assert caught.value.request is not None
        assert caught.value.request.url == URL
        assert caught.value.response is not None
        assert (caught.value.response.status_code, caught.value.response.text) == (
            401,
            "who are you?",
        )
    assert (len(api.calls), len(refresher.calls)) == (2, 1)


def test_a_failure_before_anything_is_sent_carries_no_response(
    api: responses.RequestsMock,
) -> None:
    source = make_source(Refresher(RefreshFailedError("unreachable")), logged_in=False)
    with pytest.raises(RefreshFailedError) as caught:
        session_for(source).get(URL)
    assert caught.value.response is None
    assert len(api.calls) == 0


# -- whose answer a 401 is ---------------------------------------------------------------------


def test_one_forbidden_endpoint_does_not_drive_the_token_endpoint(
    api: responses.RequestsMock,
) -> None:
    refresher = Refresher()
    source = make_source(refresher)
    session = session_for(source)
    api.get(URL, status=200)
    api.get(f"{ORIGIN}/forbidden", status=401, body="not you" + "." * 100_000)
    session.get(URL)
    assert len(session.get(f"{ORIGIN}/forbidden").history) == 1
    session.get(URL)
    for _ in range(5):
        response = session.get(f"{ORIGIN}/forbidden")
        assert (response.status_code, len(response.text), response.history) == (401, 100_007, [])
    assert len(refresher.calls) == 1


def test_a_401_to_a_replay_with_a_proven_token_is_returned(api: responses.RequestsMock) -> None:
    source = make_source(Refresher(lifetime=3600), trial_timeout=0)
    api.get(URL, status=401, body="first")
    api.get(URL, status=401, body="own")
    source_reject = source.reject

    def reject_and_prove(*args: Any, **facts: Any) -> Any:
        new = source_reject(*args, **facts)
        assert new is not None
        source.accept(new, OTHER)  # as another thread's request might
        return new

    source.reject = reject_and_prove  # type: ignore[method-assign]
    response = session_for(source).get(URL)
    assert (response.text, [r.text for r in response.history]) == ("own", ["first"])
    assert source.token().access_token == "access-1"


def test_a_replay_that_meets_the_next_expiry_is_replayed_once_more(
    api: responses.RequestsMock,
) -> None:
    clock, refresher = Clock(), Refresher(lifetime=2)
    source = make_source(refresher, clock=clock)

    def slow(_request: object) -> tuple[int, dict[str, str], str]:
        clock.advance(2)
        return 401, {}, "old again"

    api.get(URL, status=401, body="old")
    api.add_callback("GET", URL, slow)
    api.get(URL, body="fine")
    response = session_for(source).get(URL)
    assert (response.text, [r.text for r in response.history]) == ("fine", ["old", "old again"])
    assert authorizations(api) == ["Bearer access-0", "Bearer access-1", "Bearer access-2"]


def test_two_replays_are_the_limit(api: responses.RequestsMock) -> None:
    clock, refresher = Clock(), Refresher(lifetime=2)
    source = make_source(refresher, clock=clock)

    def slow(_request: object) -> tuple[int, dict[str, str], str]:
        clock.advance(2)
        return 401, {}, ""

    api.add_callback("GET", URL, slow)
    response = session_for(source).get(URL)
    assert (response.status_code, len(response.history), len(api.calls)) == (401, 2, 3)
    assert len(refresher.calls) == 2


def test_the_401_to_a_second_replay_says_why_it_is_passed_on(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    source = make_source(Refresher(lifetime=2), clock=clock)

    def slow(_request: object) -> tuple[int, dict[str, str], str]:
        clock.advance(2)
        return 401, {}, ""

    api.add_callback("GET", URL, slow)
    with caplog.at_level("INFO", "requests_tokenrefresh"):
        session_for(source).get(URL)
    assert caplog.messages == [f"the 401 of GET {URL} is passed on: it was sent again twice"]


@pytest.mark.parametrize("when_logged_out", ["raise", "return"])
def test_a_second_replay_may_end_the_login_as_the_first_does(
    api: responses.RequestsMock, when_logged_out: str
) -> None:
    clock = Clock()
    source = make_source(
        Refresher(lifetime=2),
        clock=clock,
        when_trial_refused="log_out",
        when_logged_out=when_logged_out,
    )

    def slow(_request: object) -> tuple[int, dict[str, str], str]:
        clock.advance(2)
        return 401, {}, "old again"

    api.get(URL, status=401, body="old")
    api.add_callback("GET", URL, slow)
    api.get(URL, status=401, body="refused")
    if when_logged_out == "raise":
        with pytest.raises(LoginRequiredError) as caught:
            session_for(source).get(URL)
        assert caught.value.reason == "trial_refused"
        response = caught.value.response
    else:
        response = session_for(source).get(URL)
    assert (response.text, [r.text for r in response.history]) == ("refused", ["old", "old again"])


def test_a_rule_of_ones_own_says_what_rejects_a_token(api: responses.RequestsMock) -> None:
    source = make_source()
    api.get(URL, status=419)
    api.get(URL, status=200)
    session = session_for(source, is_rejected=lambda response: response.status_code == 419)
    assert session.get(URL).status_code == 200
    assert authorizations(api) == ["Bearer access-0", "Bearer access-1"]


def test_an_error_has_a_401_whatever_rejected_the_token(api: responses.RequestsMock) -> None:
    api.get(URL, status=403, body="no")
    session = session_for(
        make_source(when_trial_refused="log_out"),
        is_rejected=lambda response: response.status_code == 403,
    )
    with pytest.raises(LoginRequiredError) as caught:
        session.get(URL)
    response = caught.value.response
    assert (response.status_code, response.url) == (401, URL)
    assert response.request is caught.value.request
    assert [r.status_code for r in response.history] == [403, 403]


def test_a_challenge_is_read_for_the_scheme_of_the_token(api: responses.RequestsMock) -> None:
    source = make_source(Refresher({"access_token": "b", "token_type": "Token"}), logged_in=False)
    source.login({"access_token": "a", "token_type": "Token"})
    api.get(URL, status=401, headers={"WWW-Authenticate": "Token"})
    api.get(URL, status=200)
    assert session_for(source).get(URL).status_code == 200
    assert authorizations(api) == ["Token a", "Token b"]


def test_a_challenge_of_another_scheme_does_not_stand_in_the_way(
    api: responses.RequestsMock,
) -> None:
    api.get(URL, status=401, headers={"WWW-Authenticate": 'Basic realm="admin"'})
    api.get(URL, status=200)
    assert session_for(make_source()).get(URL).status_code == 200
    assert authorizations(api) == ["Bearer access-0", "Bearer access-1"]


def test_insufficient_scope_is_not_a_matter_of_refreshing(api: responses.RequestsMock) -> None:
    api.get(URL, status=401, headers=SCOPE)
    assert session_for(make_source()).get(URL).status_code == 401
    assert len(api.calls) == 1


# -- a trial has a verdict on every way out ----------------------------------------------------


@pytest.mark.parametrize("report", ["accept", "refuse"])
def test_an_interrupt_while_a_verdict_is_reported_ends_the_trial(
    api: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch, report: str
) -> None:
    source = make_source()

    def interrupted(*_args: object, **_facts: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(source, report, interrupted)
    api.get(URL, status=401)
    api.get(URL, status=200 if report == "accept" else 401)
    with pytest.raises(KeyboardInterrupt):
        session_for(source).get(URL)
    assert not flying(source)


@pytest.mark.parametrize("error", [requests.ConnectionError("reset"), KeyboardInterrupt()])
def test_a_trial_that_ends_without_an_answer_lets_the_waiters_go(
    api: responses.RequestsMock, error: BaseException
) -> None:
    heard = Heard()
    source = make_source(trial_timeout=60, listeners=[heard])

    def break_off(_request: object) -> tuple[int, dict[str, str], str]:
        raise error

    api.get(URL, status=401)
    api.add_callback("GET", URL, break_off)
    with pytest.raises(type(error)):
        session_for(source).get(URL)
    assert source.token().access_token == "access-1"
    assert not source.on_trial(source.token())
    assert [e.verdict for e in heard.of(ReplayEnded)] == ["none"]  # type: ignore[attr-defined]


def test_a_trial_whose_token_is_not_what_a_401_minds_has_no_verdict(
    api: responses.RequestsMock,
) -> None:
    source = make_source(trial_timeout=60)
    old = source.token()
    api.get(URL, status=401)
    api.get(URL, status=401, headers=SCOPE)
    assert session_for(source).get(URL).status_code == 401
    assert source.token().access_token == "access-1"
    assert not source.on_trial(source.token())
    assert not is_proven(source, old)
    assert not is_proven(source, source.token())


# -- what passes through -----------------------------------------------------------------------


def test_other_origins_get_no_token(api: responses.RequestsMock) -> None:
    session = requests.Session()
    session.mount("https://", TokenRefreshAdapter(make_source()))
    api.get("https://api.example.com.evil.com/", status=401)
    assert session.get("https://api.example.com.evil.com/").status_code == 401
    assert authorizations(api) == [None]


@pytest.mark.parametrize("scheme", ["http", "all"])
def test_plain_http_does_not_take_the_token_to_a_proxy(
    api: responses.RequestsMock, scheme: str
) -> None:
    source = make_source(origins=["http://localhost:8000", "https://localhost"])
    session = requests.Session()
    session.mount("http://", TokenRefreshAdapter(source))
    session.mount("https://", TokenRefreshAdapter(source))
    proxies = {scheme: "http://127.0.0.1:3128"}
    with pytest.raises(InsecureTransportError, match="NO_PROXY") as caught:
        session.get("http://localhost:8000/", proxies=proxies)
    assert caught.value.request is not None
    api.get("https://localhost/")
    session.get("https://localhost/", proxies=proxies)
    assert authorizations(api) == ["Bearer access-0"]


@pytest.mark.parametrize("url", ["HTTP://localhost:8000/", "hTTp://LOCALHOST:8000/orders"])
def test_nor_does_a_request_whose_scheme_is_spelled_otherwise(url: str) -> None:
    """As one may be that was not prepared by requests."""
    source = make_source(origins=["http://localhost:8000"])
    session = requests.Session()
    session.mount("http://", TokenRefreshAdapter(source))
    session.proxies = {"http": "http://127.0.0.1:3128"}
    request = session.prepare_request(requests.Request("GET", "http://localhost:8000/"))
    request.url = url
    with pytest.raises(InsecureTransportError):
        session.send(request)


@pytest.mark.parametrize("value", ["Basic dTpw", b"Digest username=me", "AWS4-HMAC-SHA256 x"])
def test_an_authorization_of_another_scheme_passes_through(
    api: responses.RequestsMock, value: str | bytes
) -> None:
    api.get(URL, status=401)
    session_for(make_source()).get(URL, headers={"Authorization": value})
    assert [call.request.headers["Authorization"] for call in api.calls] == [value]


@pytest.mark.parametrize("value", ["Bearer stale", "bearer  stale", b"Bearer stale"])
def test_a_bearer_token_from_before_is_replaced(
    api: responses.RequestsMock, value: str | bytes
) -> None:
    api.get(URL)
    session = session_for(make_source())
    session.headers["Authorization"] = value
    session.get(URL)
    assert authorizations(api) == ["Bearer access-0"]


def test_a_refresher_that_comes_through_the_adapter_passes_through_untouched(
    api: responses.RequestsMock,
) -> None:
    def refresh(token: Any) -> str:
        refresh_token = {"Authorization": f"Bearer {token.refresh_token}"}
        return str(session.post(f"{ORIGIN}/refresh", headers=refresh_token).json()["token"])

    session = session_for(make_source(refresh))
    api.get(URL, status=401)
    api.get(URL, status=200)
    api.post(f"{ORIGIN}/refresh", json={"token": "new"})
    assert session.get(URL).status_code == 200
    assert authorizations(api) == ["Bearer access-0", "Bearer refresh-0", "Bearer new"]


def test_the_callers_prepared_request_is_not_changed(api: responses.RequestsMock) -> None:
    session = session_for(make_source())
    api.get(URL, status=401, headers={"Set-Cookie": "a=1"})
    api.get(URL, status=200)
    request = session.prepare_request(requests.Request("GET", URL))
    before = dict(request.headers), request.body, list(request._cookies)
    session.send(request)
    assert (dict(request.headers), request.body, list(request._cookies)) == before


# -- bodies that cannot be sent again ----------------------------------------------------------


def test_a_body_that_cannot_be_sent_again_gets_its_401_and_the_next_request_a_new_token(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_source()
    session = session_for(source)
    api.post(URL, status=401, body="expired")
    response = session.post(URL, data=iter([b"1"]))
    assert (response.status_code, response.text) == (401, "expired")
    assert "spool_bodies=BYTES" in caplog.text
    assert source.token().access_token == "access-1"
    assert len(api.calls) == 1


def test_the_next_request_there_counts_as_its_replay(api: responses.RequestsMock) -> None:
    """Or a page that answers 401 to whatever is sent to it would cost a refresh each time."""
    refresher = Refresher()
    source = make_source(refresher)
    session = session_for(source)
    api.post(URL, status=401)
    for _ in range(2):
        session.post(URL, data=iter([b"1"]))
        assert not source.on_trial(source.token())
    assert len(refresher.calls) == 1


def test_a_401_whose_challenge_says_so_is_passed_on_with_that_reason(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    api.get(URL, status=401, headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'})
    with caplog.at_level("INFO", "requests_tokenrefresh"):
        session_for(make_source()).get(URL)
    assert caplog.messages == [
        f"the 401 of GET {URL} is passed on: its challenge says insufficient_scope"
    ]


def test_if_the_refresh_for_the_next_request_fails_the_caller_still_gets_its_401(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    session = session_for(make_source(Refresher(RefreshFailedError("unreachable"))))
    api.post(URL, status=401, body="expired")
    assert session.post(URL, data=iter([b"once"])).text == "expired"
    assert "unreachable" in caplog.text


def test_if_it_ends_the_login_the_caller_learns_it(api: responses.RequestsMock) -> None:
    session = session_for(make_source(Refresher(LoginRequiredError("no", reason="invalid_grant"))))
    api.post(URL, status=401, body="expired")
    with pytest.raises(LoginRequiredError) as caught:
        session.post(URL, data=iter([b"once"]))
    assert caught.value.response.text == "expired"


# -- the adapter itself ------------------------------------------------------------------------


class Recording(BaseAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []
        self.closed = False

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:  # type: ignore[override]
        self.seen.append({"authorization": request.headers["Authorization"], **how})
        response = requests.Response()
        response.status_code = 200 if len(self.seen) > 1 else 401
        response.request = request
        return response

    def close(self) -> None:
        self.closed = True


def test_a_transport_gets_both_sends_with_the_same_arguments() -> None:
    transport = Recording()
    adapter = TokenRefreshAdapter(make_source(), transport=transport)
    request = requests.Request("GET", URL).prepare()
    how = {
        "stream": True,
        "timeout": (1, 2),
        "verify": "/ca",
        "cert": "/cert",
        "proxies": {"https": "http://127.0.0.1:1"},
    }
    adapter.send(request, **how)  # type: ignore[arg-type]
    assert transport.seen == [
        {"authorization": "Bearer access-0", **how},
        {"authorization": "Bearer access-1", **how},
    ]
    adapter.close()
    assert transport.closed


class Foreign(Recording):
    """Its answers are not urllib3's: whatever can be read."""

    def __init__(self, body: object) -> None:
        super().__init__()
        self.body = body

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:  # type: ignore[override]
        response = super().send(request, **how)
        response.raw = self.body
        return response


class BrokenOff:
    def read(self, *_size: int) -> bytes:
        raise requests.ConnectionError("broken off")


def test_a_401_of_another_kind_that_breaks_off_is_no_reason_to_fail() -> None:
    session = session_for(make_source(), transport=Foreign(BrokenOff()))
    assert session.get(URL, stream=True).status_code == 200


def test_a_401_of_another_kind_that_a_rule_has_read_to_its_end_is_replayed() -> None:
    def is_rejected(response: requests.Response) -> bool:
        return b"expired" in b"".join(response.iter_content(10)) or response.status_code == 401

    session = session_for(
        make_source(), transport=Foreign(io.BytesIO(b"expired")), is_rejected=is_rejected
    )
    assert session.get(URL, stream=True).status_code == 200


def test_send_has_the_defaults_of_httpadapter() -> None:
    transport = Recording()
    request = requests.Request("GET", URL).prepare()
    TokenRefreshAdapter(make_source(), transport=transport).send(request)
    defaults = {"stream": False, "timeout": None, "verify": True, "cert": None, "proxies": None}
    assert transport.seen[0] == {"authorization": "Bearer access-0", **defaults}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tokens": "abc"}, TypeError, "tokens is a TokenSource"),
        ({"transport": requests.Session()}, TypeError, r"such as session.get_adapter\(url\)"),
        ({"is_rejected": 403}, TypeError, "is_rejected is a function that takes a Response"),
        ({"max_retries": Retry(status_forcelist=[401])}, ValueError, "leave 401 out"),
        ({"spool_bodies": -1}, ValueError, "spool_bodies is a number of bytes"),
        ({"spool_bodies": "1"}, TypeError, "spool_bodies is a whole number of bytes, got str"),
        ({"spool_bodies": 1.5}, TypeError, "spool_bodies is a whole number of bytes, got float"),
        ({"spool_bodies": True}, TypeError, "spool_bodies is a whole number of bytes, got bool"),
    ],
)
def test_an_argument_that_cannot_work_is_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = {"tokens": make_source(), **arguments}
    with pytest.raises(error, match=message):
        TokenRefreshAdapter(arguments.pop("tokens"), **arguments)


def test_the_arguments_of_httpadapter_keep_their_meaning() -> None:
    adapter = TokenRefreshAdapter(
        make_source(), pool_connections=3, pool_maxsize=4, max_retries=5, pool_block=True
    )
    plain = HTTPAdapter(pool_connections=3, pool_maxsize=4, max_retries=5, pool_block=True)
    assert {name: repr(getattr(adapter, name)) for name in HTTPAdapter.__attrs__} == {
        name: repr(getattr(plain, name)) for name in HTTPAdapter.__attrs__
    }


def no_refresh(_token: object) -> str:
    raise AssertionError


def test_a_session_with_the_adapter_pickles_and_goes_on(
    tmp_path: Path, api: responses.RequestsMock
) -> None:
    source = TokenSource(no_refresh, origins=[ORIGIN], store=tmp_path / "token.json")
    source.login("a")
    session = pickle.loads(pickle.dumps(session_for(source, spool_bodies=7)))
    api.get(URL)
    session.get(URL)
    assert authorizations(api) == ["Bearer a"]
    assert session.get_adapter(URL)._spool_bodies == 7


@pytest.mark.parametrize(
    "error",
    [
        LoginRequiredError("m", reason="r"),
        RefreshFailedError("m", retry_after=2.0),
        StoreLockTimeoutError("m"),
        TokenStoreError("m"),
    ],
)
def test_errors_pickle_with_their_facts_and_without_request_and_response(
    error: requests.RequestException,
) -> None:
    error.request = requests.Request("GET", URL, headers={"Authorization": "s3cret"}).prepare()
    pickled = pickle.dumps(error)
    again = pickle.loads(pickled)
    assert b"s3cret" not in pickled
    assert (type(again), str(again)) == (type(error), "m")
    assert getattr(again, "reason", None) == getattr(error, "reason", None)
    assert getattr(again, "retry_after", None) == getattr(error, "retry_after", None)
    assert again.request is None
