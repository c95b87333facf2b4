"""The device code (RFC 8628): when it is polled, and what becomes of each answer."""

from __future__ import annotations

import json
import pickle
from urllib.parse import parse_qsl

import pytest
import requests
import responses

from requests_tokenrefresh import (
    AuthorizationServer,
    InsecureTransportError,
    LoginFailedError,
    RefreshFailedError,
)
from requests_tokenrefresh.refreshers import DeviceCodeGrant
from tests.support.logins import Clock

ISSUER = "https://auth.example.com"
SERVER = AuthorizationServer(
    issuer=ISSUER,
    token_endpoint=f"{ISSUER}/token",
    device_authorization_endpoint=f"{ISSUER}/device",
)
BEGUN = {
    "device_code": "the-device-code",
    "user_code": "QKBB-LQDC",
    "verification_uri": f"{ISSUER}/enter",
    "expires_in": 600,
    "interval": 7,
}
TOKEN = {"access_token": "a", "refresh_token": "r"}
PENDING = {"error": "authorization_pending"}


class Site:
    """A server whose answers are given beforehand, and a clock that only sleeping moves.

    Attributes:
        polls: When it was polled, in seconds since the login began.
    """

    def __init__(self, mock: responses.RequestsMock, *answers: object, **begun: object) -> None:
        self.clock = Clock(0.0)
        self.polls: list[float] = []
        self.forms: list[dict[str, str]] = []
        self._answers = list(answers)
        fields = {name: value for name, value in {**BEGUN, **begun}.items() if value is not ...}
        mock.post(f"{ISSUER}/device", json=fields)
        mock.add_callback("POST", f"{ISSUER}/token", self._answer)

    def grant(self, **arguments: object) -> DeviceCodeGrant:
        return DeviceCodeGrant(
            SERVER,
            client_id="tv",
            monotonic=self.clock,
            clock=self.clock,
            sleep=self.clock.advance,
            **arguments,
        )

    def log_in(self, **arguments: object):
        grant = self.grant()
        return grant.finish(grant.begin(), **arguments)

    def _answer(self, request):
        self.polls.append(self.clock.now)
        self.forms.append(dict(parse_qsl(request.body)))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            self.clock.advance(3)  # it takes its time
            raise answer
        status, headers, body = answer if isinstance(answer, tuple) else (None, {}, answer)
        if status is None:
            status = 400 if "error" in body else 200
        return status, headers, body if isinstance(body, str) else json.dumps(body)


@pytest.fixture
def endpoint():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


# -- The beginning --------------------------------------------------------------------------------


def test_it_asks_as_the_client_and_shows_what_to_do(endpoint):
    """RFC 8628 sections 3.1, 3.2 and 3.4."""
    site = Site(endpoint, TOKEN)
    grant = pickle.loads(pickle.dumps(DeviceCodeGrant(SERVER, client_id="tv", scope="read")))
    attempt = grant.begin()
    assert dict(parse_qsl(endpoint.calls[0].request.body)) == {"client_id": "tv", "scope": "read"}
    assert (attempt.user_code, attempt.verification_uri) == ("QKBB-LQDC", f"{ISSUER}/enter")
    assert "the-device-code" not in repr(attempt)
    assert site.log_in().refresh_token == "r"
    assert site.forms == [
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": "the-device-code",
            "client_id": "tv",
        }
    ]


def test_targets_and_the_clients_secret_go_along(endpoint):
    site = Site(endpoint, TOKEN)
    grant = site.grant(
        resource="https://api.example.com",
        audience="api",
        client_secret="s3cret-of-tv",
        token_endpoint_auth_method="client_secret_post",
    )
    grant.finish(grant.begin())
    for call in endpoint.calls:
        form = dict(parse_qsl(call.request.body))
        assert form["resource"] == "https://api.example.com"
        assert (form["audience"], form["client_secret"]) == ("api", "s3cret-of-tv")


@pytest.mark.parametrize(
    ("begun", "words"),
    [
        ({"device_code": ...}, "no device_code"),
        ({"device_code": 7}, "no device_code"),
        ({"user_code": ...}, "no user_code"),
        ({"user_code": ""}, "no user_code"),
        ({"user_code": "\x1b]0;x\x07"}, "user_code that nobody can type"),
        ({"user_code": "x" * 500}, "user_code that nobody can type"),
        ({"verification_uri": ...}, "no verification_uri"),
        ({"verification_uri": "http://auth.example.com/enter"}, "no https URL"),
        ({"verification_uri": "javascript:alert(1)"}, "no https URL"),
    ],
)
def test_a_login_that_nobody_can_finish_is_not_begun(endpoint, begun, words):
    """RFC 8628 section 3.2."""
    with pytest.raises(LoginFailedError, match=words) as caught:
        Site(endpoint, TOKEN, **begun).grant().begin()
    assert caught.value.reason == "bad_answer"
    assert "the-device-code" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("verification_uri_complete", f"{ISSUER}/enter?c=Q", f"{ISSUER}/enter?c=Q"),
        ("verification_uri_complete", "http://evil.example/", None),
        ("verification_uri_complete", 7, None),
        ("verification_uri_complete", f"{ISSUER}/\x1b[2J", None),
        ("verification_url_complete", f"{ISSUER}/e", f"{ISSUER}/e"),
    ],
)
def test_the_address_with_the_code_in_it_is_shown_if_it_is_good(endpoint, name, value, shown):
    attempt = Site(endpoint, TOKEN, **{name: value}).grant().begin()
    assert attempt.verification_uri_complete == shown


def test_a_verification_url_is_a_verification_uri(endpoint):
    attempt = (
        Site(endpoint, TOKEN, verification_uri=..., verification_url=f"{ISSUER}/there")
        .grant()
        .begin()
    )
    assert attempt.verification_uri == f"{ISSUER}/there"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"error": "invalid_client"}, "check the client's id"),
        (400, {"error": "unauthorized_client"}, "check its registration"),
        (404, "<html>", "check the URL"),
        (400, {"error": "made_up"}, "made_up"),
        (200, {"error": "invalid_scope"}, "invalid_scope"),
        (200, "[]", "not an object"),
    ],
)
def test_an_endpoint_that_begins_no_login_says_which_it_is_and_why(endpoint, status, body, words):
    """Nor does it help to wait."""
    endpoint.post(
        f"{ISSUER}/device",
        status=status,
        body=body if isinstance(body, str) else json.dumps(body),
        content_type="application/json",
    )
    named = rf"^the device authorization endpoint {ISSUER}/device did not .*\({status}: .*{words}"
    with pytest.raises(LoginFailedError, match=named) as caught:
        DeviceCodeGrant(SERVER, client_id="tv").begin()
    assert caught.value.reason == "bad_answer"


@pytest.mark.parametrize("status", [429, 503])
def test_an_endpoint_in_trouble_begins_a_login_later(endpoint, status):
    endpoint.post(f"{ISSUER}/device", status=status, headers={"Retry-After": "7"})
    with pytest.raises(
        RefreshFailedError, match=r"^the device authorization endpoint .* later$"
    ) as it:
        DeviceCodeGrant(SERVER, client_id="tv").begin()
    assert (it.value.status, it.value.retry_after) == (status, 7.0)


def test_a_device_authorization_url_in_plain_http_is_refused():
    with pytest.raises(InsecureTransportError):
        DeviceCodeGrant(
            f"{ISSUER}/token", client_id="c", device_authorization_url="http://auth.example.com/d"
        )


# -- When it is polled ----------------------------------------------------------------------------


def test_the_interval_counts_before_the_first_poll_too(endpoint):
    """RFC 8628 section 3.5."""
    site = Site(endpoint, PENDING, PENDING, TOKEN)
    assert site.log_in().access_token == "a"
    assert site.polls == [7, 14, 21]


def test_the_interval_counts_from_the_beginning_of_the_login_and_not_from_finish(endpoint):
    site = Site(endpoint, TOKEN)
    grant = site.grant()
    attempt = grant.begin()
    site.clock.advance(4)
    grant.finish(attempt)
    assert site.polls == [7]


def test_the_interval_counts_from_the_answer(endpoint):
    site = Site(endpoint, PENDING, PENDING, TOKEN)
    answer = site._answer

    def slow(request):
        try:
            return answer(request)
        finally:
            site.clock.advance(2)

    endpoint.remove("POST", f"{ISSUER}/token")
    endpoint.add_callback("POST", f"{ISSUER}/token", slow)
    site.log_in()
    assert site.polls == [7, 16, 25]


@pytest.mark.parametrize("junk", [..., None, "soon", 0, -3, True, float("nan"), [5], 5000, "1e400"])
def test_an_interval_that_is_none_is_five_seconds(endpoint, junk):
    """RFC 8628 section 3.2; 5,000 are milliseconds, of a code that lives for ten minutes."""
    site = Site(endpoint, PENDING, TOKEN, interval=junk)
    site.log_in()
    assert site.polls == [5, 10]


def test_an_interval_may_be_text_or_a_fraction(endpoint):
    site = Site(endpoint, PENDING, TOKEN, interval="2.5")
    site.log_in()
    assert site.polls == [2.5, 5]


def test_slow_down_adds_five_seconds_for_good(endpoint):
    """RFC 8628 section 3.5."""
    slow = {"error": "slow_down"}
    site = Site(endpoint, slow, PENDING, slow, PENDING, TOKEN)
    site.log_in()
    assert site.polls == [7, 19, 31, 48, 65]


def test_an_answer_that_does_not_come_doubles_the_interval(endpoint):
    """RFC 8628 section 3.5; counted from when that is known, 3 s after it was asked for."""
    site = Site(endpoint, requests.ReadTimeout(), requests.ConnectTimeout(), PENDING, TOKEN)
    site.log_in()
    assert site.polls == [7, 24, 55, 83]


def test_it_doubles_to_a_minute_and_no_further(endpoint):
    site = Site(endpoint, *[requests.ReadTimeout()] * 5, TOKEN, expires_in=10000)
    site.log_in()
    assert [b - a - 3 for a, b in zip(site.polls, site.polls[1:], strict=False)] == [
        14,
        28,
        56,
        60,
        60,
    ]


def test_a_lost_answer_is_not_asked_for_again_at_once(raw_server):
    """As a refresh would: here that is a poll too early."""
    asked = []

    def hang_up(connection):
        asked.append(connection.recv(65536))

    server = raw_server(hang_up)
    clock = Clock(0.0)
    grant = DeviceCodeGrant(
        f"{server.url}/token",
        client_id="tv",
        device_authorization_url=f"{server.url}/device",
        monotonic=clock,
        sleep=clock.advance,
    )
    from requests_tokenrefresh.refreshers._device_answer import DeviceAttempt

    attempt = DeviceAttempt("Q", ISSUER, None, 10.0, 6.0, 0.0, "d")
    with pytest.raises(RefreshFailedError):
        grant.finish(attempt)
    assert server.accepted == 1


@pytest.mark.parametrize("status", [400, 429, 503])
def test_retry_after_is_minded_if_it_is_longer(endpoint, status):
    body = PENDING if status == 400 else ""
    site = Site(
        endpoint,
        (status, {"Retry-After": "40"}, body),
        (status, {"Retry-After": "1"}, body),
        TOKEN,
    )
    site.log_in()
    assert site.polls[:2] == [7, 47]
    assert site.polls[2] - site.polls[1] == (7 if status == 400 else 28)


# -- What comes of it -----------------------------------------------------------------------------

# Each reply to the second poll, as servers have them, and what comes of it: a token, a reason, or
# a bad answer with these words.
REPLIES = {
    "a token": (TOKEN, "token"),
    "a token as a form": ((200, {}, "access_token=a&token_type=bearer"), "token"),
    "pending with a 200, as GitHub": ((200, {}, PENDING), "token"),
    "pending with a 428, as Google": ((428, {}, PENDING), "token"),
    "pending with a 403, as Auth0": ((403, {}, PENDING), "token"),
    "pending, as AWS": ((400, {}, {"error": "AuthorizationPendingException"}), "token"),
    "slow down": ({"error": "slow_down"}, "token"),
    "slow down, as AWS": ({"error": "SlowDownException"}, "token"),
    "denied": ({"error": "access_denied"}, "access_denied"),
    "denied with a 403": ((403, {}, {"error": "access_denied"}), "access_denied"),
    "declined, as Azure": ({"error": "authorization_declined"}, "access_denied"),
    "expired": ({"error": "expired_token"}, "expired_token"),
    "expired, as Azure": ({"error": "code_expired"}, "expired_token"),
    "a code that is unknown": ({"error": "invalid_grant"}, "bad_answer"),
    "a client that is unknown": ({"error": "invalid_client"}, "check the client's id"),
    "a grant that is not allowed": ({"error": "unauthorized_client"}, "check its registration"),
    "no such grant": ({"error": "unsupported_grant_type"}, "check the URL"),
    "an error nobody knows": ({"error": "made_up"}, "made_up"),
    "a page that is not there": ((404, {}, "<html>"), "check the URL"),
    "a redirect": ((302, {"Location": "https://x.example/"}, ""), "redirect"),
    "no token in it": ((200, {}, {"token_type": "bearer"}), "no access_token"),
    "not an object": ((200, {}, "[]"), "not an object"),
    "trouble": ((503, {}, "<html>"), "token"),
    "too many": ((429, {}, ""), "token"),
    "a gateway that has waited": ((504, {}, ""), "token"),
}


@pytest.mark.parametrize(("reply", "outcome"), REPLIES.values(), ids=REPLIES)
def test_each_reply_has_its_result(endpoint, reply, outcome):
    site = Site(endpoint, PENDING, reply, TOKEN)
    if outcome == "token":
        assert site.log_in().access_token == "a"
        return
    is_reason = outcome in ("access_denied", "expired_token", "bad_answer")
    with pytest.raises(LoginFailedError) as caught:
        site.log_in()
    assert caught.value.reason == (outcome if is_reason else "bad_answer")
    assert is_reason or outcome in str(caught.value)
    assert "the-device-code" not in str(caught.value)
    assert len(site.polls) == 2


def test_it_ends_when_the_code_expires(endpoint):
    """RFC 8628 section 3.2, whatever the server goes on saying."""
    site = Site(endpoint, PENDING, expires_in=30)
    with pytest.raises(LoginFailedError, match="begin again") as caught:
        site.log_in()
    assert caught.value.reason == "expired_token"
    assert site.polls == [7, 14, 21, 28]


def test_it_ends_when_the_person_has_had_the_time(endpoint):
    site = Site(endpoint, PENDING)
    with pytest.raises(LoginFailedError, match="timeout=") as caught:
        site.log_in(timeout=20)
    assert caught.value.reason == "timed_out"
    assert site.polls == [7, 14]


def test_a_server_that_never_answers_is_not_the_persons_fault(endpoint):
    site = Site(endpoint, requests.ReadTimeout(), expires_in=30)
    with pytest.raises(RefreshFailedError, match="ReadTimeout"):
        site.log_in()


@pytest.mark.parametrize("junk", [..., None, "soon", 0, -1])
def test_a_code_that_does_not_say_how_long_it_lives_is_given_ten_minutes(endpoint, junk):
    site = Site(endpoint, PENDING, expires_in=junk, interval=100)
    with pytest.raises(LoginFailedError):
        site.log_in()
    assert site.polls == [100, 200, 300, 400, 500]
