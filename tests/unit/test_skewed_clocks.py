"""A client whose clock is wrong refreshes no more often than one whose clock is right."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import formatdate
from typing import Any

import pytest
import requests
import responses

from requests_tokenrefresh import RefreshFailedError, RefreshTokenGrant, Token
from tests.support.logins import DATA, START, Clock, make_source

URL = "https://auth.example.com/oauth/token"
LIFETIME = 100.0  # seconds
LIFETIMES = 5
SKEWS = [40.0, -40.0, 95.0, -95.0, 3600.0, -3600.0, 86_400.0 * 365, -86_400.0 * 365]


def jwt(number: int, **claims: float) -> str:
    body = json.dumps({"jti": number, **claims}).encode()
    return f"e30.{base64.urlsafe_b64encode(body).decode().rstrip('=')}.c2ln"


def opaque(number: int) -> str:
    return f"access-{number}"


# What the server says of the token of a number, issued at a time of its own clock.
WAYS: dict[str, Callable[[int, float], dict[str, Any]]] = {
    "expires_in": lambda n, at: {"access_token": opaque(n), "expires_in": LIFETIME},
    "both": lambda n, at: {
        "access_token": opaque(n),
        "expires_in": LIFETIME,
        "expires_at": at + LIFETIME,
    },
    "expires_at": lambda n, at: {"access_token": opaque(n), "expires_at": at + LIFETIME},
    "expires_at as a date": lambda n, at: {
        "access_token": opaque(n),
        "expires_at": datetime.fromtimestamp(at + LIFETIME, timezone.utc).isoformat(),
    },
    "a JWT": lambda n, at: {"access_token": jwt(n, iat=at, exp=at + LIFETIME)},
    "a JWT without iat": lambda n, at: {"access_token": jwt(n, exp=at + LIFETIME)},
    "nothing": lambda n, at: {"access_token": opaque(n)},
}


class Issuer:
    """Issues tokens, and knows which of them still live."""

    def __init__(self, clock: Clock, way: str) -> None:
        self.clock = clock
        self.way = WAYS[way]
        self.issued: dict[str, float] = {}

    def issue(self) -> dict[str, Any]:
        number = len(self.issued)
        reply = self.way(number, self.clock.now)
        self.issued[reply["access_token"]] = self.clock.now
        return {**reply, "refresh_token": f"refresh-{number}"}

    def accepts(self, token: Token) -> bool:
        return self.clock.now < self.issued[token.access_token] + LIFETIME

    def answer(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        headers = {"Date": formatdate(self.clock.now, usegmt=True)}
        return 200, headers, json.dumps(self.issue())


@functools.cache
def refreshes_in_five_lifetimes(way: str, skew: float) -> tuple[int, int]:
    """Return how many refreshes and how many 401s a request a second costs."""
    true = Clock()
    issuer = Issuer(true, way)

    def wrong() -> float:
        return true.now + skew

    source = make_source(
        RefreshTokenGrant(URL, clock=wrong),
        clock=wrong,
        monotonic=true,
        random=lambda: 0.5,
        logged_in=False,
    )
    source.login(issuer.issue())
    rejections = 0
    with responses.RequestsMock() as web:
        web.add_callback(responses.POST, URL, issuer.answer)
        for _ in range(int(LIFETIME) * LIFETIMES):
            token = source.token()
            if not issuer.accepts(token):
                rejections += 1
                another = source.reject(token, DATA)
                assert another is not None
                token = another
            assert issuer.accepts(token)
            source.accept(token, DATA)
            true.advance(1)
        return len(web.calls), rejections


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("way", WAYS)
def test_a_wrong_clock_costs_at_most_one_refresh_more(way: str, skew: float) -> None:
    usual, rejections_as_usual = refreshes_in_five_lifetimes(way, 0.0)
    refreshes, rejections = refreshes_in_five_lifetimes(way, skew)
    assert usual - 1 <= refreshes <= usual + 1
    assert rejections <= rejections_as_usual + 1


@pytest.mark.parametrize("way", ["a JWT", "expires_in"])
@pytest.mark.parametrize("skew", SKEWS)
def test_so_it_is_for_a_function_of_the_users_own(way: str, skew: float) -> None:
    """Which does not tell the server's clock."""
    true = Clock()
    issuer = Issuer(true, way)
    source = make_source(
        lambda _token: issuer.issue(),
        clock=lambda: true.now + skew,
        monotonic=true,
        random=lambda: 0.5,
        logged_in=False,
    )
    source.login(issuer.issue())
    for _ in range(int(LIFETIME) * LIFETIMES):
        token = source.token()
        if not issuer.accepts(token):
            token = source.refresh(token)
        assert issuer.accepts(token)
        source.accept(token, DATA)
        true.advance(1)
    assert len(issuer.issued) <= 8


# -- Retry-After ---------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("says_the_time", [True, False])
def test_a_date_in_retry_after_is_one_of_the_servers_clock(
    skew: float, says_the_time: bool
) -> None:
    headers = {"Retry-After": formatdate(START + 90, usegmt=True)}
    if says_the_time:
        headers["Date"] = formatdate(START, usegmt=True)
    with responses.RequestsMock() as web:
        web.post(URL, status=429, headers=headers)
        with pytest.raises(RefreshFailedError) as caught:
            RefreshTokenGrant(URL, clock=lambda: START + skew)(Token("a", "r"))
    left = 90 if says_the_time else 90 - skew
    assert caught.value.retry_after == (min(left, 3600) if left > 0 else None)


@pytest.mark.parametrize("date", ["yesterday", "", "Mon, 99 Foo 2023 99:99:99 GMT"])
def test_a_time_that_cannot_be_read_is_as_good_as_none(date: str) -> None:
    headers = {"Retry-After": formatdate(START + 90, usegmt=True), "Date": date}
    with responses.RequestsMock() as web:
        web.post(URL, status=429, headers=headers)
        with pytest.raises(RefreshFailedError) as caught:
            RefreshTokenGrant(URL, clock=lambda: START + 30)(Token("a", "r"))
    assert caught.value.retry_after == 60
