"""Client authentication at the token endpoint (RFC 6749 section 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import quote

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from .._door import check_callable, check_text

Auth: TypeAlias = Callable[[requests.PreparedRequest], requests.PreparedRequest]
"""What `requests` takes as *auth*: an `AuthBase`, or a function like one."""

AuthMethod: TypeAlias = Literal[
    "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"
]
"""How the client authenticates, by the names of RFC 7591 section 2 and OpenID Connect Core section
9."""


@dataclass(frozen=True)
class ByAssertion:
    """What a client signs assertions with; by the arguments of `RefreshTokenGrant`.

    Attributes:
        issuer: Who they are for, if *assertion_audience* is None.
    """

    private_key: str | bytes | Mapping[str, Any] | None
    private_key_password: str | None
    key_id: str | None
    signing_alg: str | None
    assertion_audience: str | None
    client_assertion: Callable[[], str] | None
    issuer: str

    @property
    def is_given(self) -> bool:
        """Whether the client has a key, or a function that has one."""
        return self.private_key is not None or self.client_assertion is not None


class NoAuth(AuthBase):
    """Adds nothing; passed so that requests does not add the credentials of a netrc entry."""

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r


def auth_method(
    wanted: AuthMethod | None, listed: Collection[str] | None, *, by_assertion: bool = False
) -> AuthMethod:
    """Return *wanted*, else what suits a client that signs assertions, else what a server has
    *listed*: ``client_secret_basic`` if it can be, which is also what counts where nothing is
    listed (RFC 8414 section 2)."""
    if wanted is not None:
        return wanted
    if by_assertion:
        return "private_key_jwt"
    if listed and "client_secret_post" in listed and "client_secret_basic" not in listed:
        return "client_secret_post"
    return "client_secret_basic"


def identify(
    client_id: str | None,
    client_secret: str | None,
    auth: Auth | None,
    method: AuthMethod,
    by_assertion: ByAssertion,
) -> tuple[Auth, dict[str, str]]:
    """Return what authenticates a request, and what goes into its form.

    Raises:
        TypeError, ValueError: The arguments contradict each other, or one is of another type.
    """
    check_string("client_id", client_id)
    check_string("client_secret", client_secret)
    _check_method(method)
    public = {} if client_id is None else {"client_id": client_id}
    if by_assertion.is_given or method in ("private_key_jwt", "client_secret_jwt"):
        _check_alone(client_secret, auth, method)
        return _signed(client_id, client_secret, method, by_assertion), public
    if auth is not None:
        if client_secret is not None:
            raise ValueError("client_secret and auth both authenticate the client: pass one")
        return check_auth(auth), public
    if client_secret is None:
        return NoAuth(), public
    return _by_secret(client_id, client_secret, method)


def _check_method(method: AuthMethod) -> None:
    if method not in get_args(AuthMethod):
        raise ValueError(
            f"token_endpoint_auth_method is one of {', '.join(get_args(AuthMethod))}, "
            f"got {method!r}; for any other pass auth="
        )


def _check_alone(client_secret: str | None, auth: Auth | None, method: AuthMethod) -> None:
    """Return if what signs an assertion is all that authenticates the client."""
    by_secret = method == "client_secret_jwt"
    if auth is not None or (client_secret is not None) != by_secret:
        raise ValueError(
            f"token_endpoint_auth_method={method!r} takes "
            + ("client_secret" if by_secret else "private_key")
            + ", and nothing else that authenticates the client"
        )


def _signed(
    client_id: str | None, client_secret: str | None, method: AuthMethod, asked: ByAssertion
) -> Auth:
    from ._client_assertion import ClientAssertion, SecretSigner, Signer  # an optional extra

    if client_id is None:
        raise ValueError(f"token_endpoint_auth_method={method!r} without client_id: pass both")
    if asked.client_assertion is not None:
        check_callable("client_assertion", asked.client_assertion, "a function that returns one")
        return ClientAssertion(asked.client_assertion)
    key = asked.private_key if client_secret is None else client_secret
    if key is None:
        raise ValueError(f"token_endpoint_auth_method={method!r} without private_key: pass it")
    signer = (Signer if client_secret is None else SecretSigner)(
        client_id,
        asked.assertion_audience or asked.issuer,
        key,
        password=asked.private_key_password,
        key_id=asked.key_id,
        alg=asked.signing_alg,
    )
    return ClientAssertion(signer)


def _by_secret(
    client_id: str | None, client_secret: str, method: AuthMethod
) -> tuple[Auth, dict[str, str]]:
    if client_id is None:
        raise ValueError("client_secret without client_id: pass both")
    if method == "none":
        raise ValueError("client_secret authenticates the client, and 'none' does not: pass one")
    if method == "client_secret_post":
        return NoAuth(), {"client_id": client_id, "client_secret": client_secret}
    # Section 2.3.1 form-encodes both before Basic does, so that an id may contain a colon. A space
    # as %20, and not as +, because some servers undo only the former.
    return HTTPBasicAuth(quote(client_id, safe=""), quote(client_secret, safe="")), {}


def check_auth(auth: Auth | None) -> Auth:
    """Return *auth*, or what stands for none.

    Raises:
        TypeError: It is not something `requests` could call.
    """
    if auth is None:
        return NoAuth()
    if not callable(auth):
        raise TypeError(
            "auth is a requests AuthBase, or a function that takes a PreparedRequest and returns "
            f"it, got {type(auth).__name__} (for a pair: requests.auth.HTTPBasicAuth(*pair))"
        )
    return auth


def check_string(name: str, value: object) -> None:
    """Return if *value* is None, or a string that can be sent.

    Raises:
        TypeError, ValueError: It is not.
    """
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"{name} is a string or None, got {type(value).__name__}")
    check_text(name, value)
