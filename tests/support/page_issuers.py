"""Whoever can issue the tokens of a `PageSite`: the arguments of a `Program`, for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from requests_tokenrefresh import ClientCredentialsGrant, LoginRequiredError, Token
from tests.support.length import long
from tests.support.page_site import PageSite
from tests.support.servers import Received, Reply

Issuer: TypeAlias = Callable[[PageSite], dict[str, Any]]


def refuse(_token: Token | None) -> Token:
    """Refuse, for good."""
    raise LoginRequiredError("this refresh token is refused", reason="invalid_grant")


def refresh_token(_site: PageSite) -> dict[str, Any]:
    return {}


def client_credentials(site: PageSite) -> dict[str, Any]:
    grant = ClientCredentialsGrant(f"{site.url}/token", client_id="a", client_secret="b")
    return {"refresher": grant}


def own_function(site: PageSite) -> dict[str, Any]:
    return {"refresher": site.renew}


def own_function_that_returns_a_string(site: PageSite) -> dict[str, Any]:
    return {"refresher": lambda _token: site.renew(None)["access_token"]}


def unattended_login(site: PageSite) -> dict[str, Any]:
    return {"refresher": refuse, "login": lambda: site.renew(None)}


ISSUERS = [
    refresh_token,
    unattended_login,
    *long("servers", client_credentials, own_function, own_function_that_returns_a_string),
]


def too_many(_request: Received) -> Reply:
    """Answer a token request by 429, for half a minute; a fault of a `PageSite`."""
    return Reply(429, b"", [("Retry-After", "30")])
