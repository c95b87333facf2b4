"""The demo's server as an issuer: what it says of itself, and where programs and persons log in.

Each route is a function of the server and of what was asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl

from . import issuer_pages as pages
from .authorization import PERSON, Authorization
from .code_endpoint import NoRedirectError
from .device_endpoint import GRANT_TYPE as DEVICE_CODE
from .one_client import SCOPES


@dataclass(frozen=True)
class Issuer:
    """What the routes are about.

    Attributes:
        url: The issuer's identifier, and where it is.
        authorization: What it does.
        consents: Whether it agrees at once, and shows no page with a button.
    """

    url: str
    authorization: Authorization
    consents: bool


@dataclass(frozen=True)
class Asked:
    """A request: its query, its headers, its body."""

    query: str
    headers: Mapping[str, str]
    body: str

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The query's parameters. One without a value is none (RFC 6749 section 3.1)."""
        return parse_qsl(self.query)

    @property
    def form(self) -> list[tuple[str, str]]:
        """The fields of the body."""
        return parse_qsl(self.body)


@dataclass(frozen=True)
class Reply:
    """An answer: its status, its body, its headers."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


def _metadata(issuer: Issuer, asked: Asked) -> Reply:
    """RFC 8414 section 3.2; the same for who asks for OpenID Connect's."""
    public = ["none"]
    document = {
        "issuer": issuer.url,
        "authorization_endpoint": f"{issuer.url}/authorize",
        "token_endpoint": f"{issuer.url}/oauth/token",
        "device_authorization_endpoint": f"{issuer.url}/oauth/device",
        "revocation_endpoint": f"{issuer.url}/oauth/revoke",
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_CODE],
        "token_endpoint_auth_methods_supported": public,
        "revocation_endpoint_auth_methods_supported": public,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["none"],
    }
    return Reply(200, json.dumps(document))


def _authorize(issuer: Issuer, asked: Asked) -> Reply:
    """RFC 6749 section 4.1.1: a page with a button, unless nothing is to be decided."""
    codes = issuer.authorization.codes
    try:
        refusal = codes.refusal(asked.fields)
        if refusal is not None:
            return _redirect(refusal)
        # OpenID Connect Core section 3.1.2.1: alice has logged in here, and agrees.
        if issuer.consents or ("prompt", "none") in asked.fields:
            return _redirect(codes.decided(asked.fields, agreed=True))
    except NoRedirectError as error:
        return _not_sent_on(error)
    return _page(200, pages.consent(asked.fields, PERSON))


def _decide(issuer: Issuer, asked: Asked) -> Reply:
    """The button of that page."""
    fields = [(name, value) for name, value in asked.form if name != "decision"]
    try:
        agreed = _agreed(asked)
        return _redirect(issuer.authorization.codes.decided(fields, agreed=agreed))
    except NoRedirectError as error:
        return _not_sent_on(error)


def _device(issuer: Issuer, asked: Asked) -> Reply:
    """RFC 8628 sections 3.3 and 3.3.1."""
    user_code = dict(asked.fields).get("user_code", "")
    return _page(200, pages.device(user_code, PERSON))


def _decide_device(issuer: Issuer, asked: Asked) -> Reply:
    agreed = _agreed(asked)
    user_code = dict(asked.form).get("user_code", "")
    if not issuer.authorization.devices.decide(user_code, agreed=agreed):
        return _page(404, pages.message("Not logged in", "No device waits with that code."))
    if agreed:
        return _page(200, pages.message("Logged in", "The device goes on by itself."))
    return _page(200, pages.message("Refused", "The device will be told so."))


def _begin_device(issuer: Issuer, asked: Asked) -> Reply:
    page = f"{issuer.url}/device"
    return _reply(issuer.authorization.begin_device(asked.body, asked.headers, page))


def _revoke(issuer: Issuer, asked: Asked) -> Reply:
    return _reply(issuer.authorization.revoke(asked.body, asked.headers))


Route: TypeAlias = Callable[[Issuer, Asked], Reply]

ROUTES: dict[str, Route] = {
    "GET /.well-known/oauth-authorization-server": _metadata,
    "GET /.well-known/openid-configuration": _metadata,
    "GET /authorize": _authorize,
    "POST /authorize": _decide,
    "POST /oauth/device": _begin_device,
    "GET /device": _device,
    "POST /device": _decide_device,
    "POST /oauth/revoke": _revoke,
}


def _agreed(asked: Asked) -> bool:
    return dict(asked.form).get("decision") == "agree"


def _reply(answer: tuple[int, dict[str, str], str]) -> Reply:
    status, headers, body = answer
    return Reply(status, body, headers)


def _page(status: int, html: str) -> Reply:
    return Reply(status, html, pages.HEADERS)


def _not_sent_on(error: NoRedirectError) -> Reply:
    """The browser stays here: who asked is not to be trusted with an answer."""
    sentence = f"The program that has sent you here did not ask as it must: {error}"
    return _page(400, pages.message("Not logged in", sentence))


def _redirect(location: str) -> Reply:
    """303, so that a browser does not send the form on (RFC 9700 section 4.12)."""
    return Reply(303, "", {**pages.HEADERS, "Location": location})
