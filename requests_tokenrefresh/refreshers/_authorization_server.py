"""`AuthorizationServer`: what is known of an issuer, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from .._origins import require_secure
from ._discovery import ENDPOINTS, metadata_of
from ._documents import Documents


@dataclass(frozen=True, kw_only=True)
class AuthorizationServer:
    """An issuer's endpoints, and what it says of them; its fields are named as in RFC 8414.

    `discover` fills them in. For a server that publishes nothing about itself, write them down::

        AuthorizationServer(
            authorization_endpoint="https://github.com/login/oauth/authorize",
            device_authorization_endpoint="https://github.com/login/device/code",
            token_endpoint="https://github.com/login/oauth/access_token",
        )

    A grant takes it as its *token_url*, and from it whatever else it needs. Immutable, so safe from
    any thread; pickles.

    Args:
        token_endpoint: Where tokens come from (RFC 6749 section 3.2).
        issuer: The server's name: answers and id_tokens must be by it. None: nobody compares.
        authorization_endpoint: Where a browser is sent (section 3.1).
        device_authorization_endpoint: Where a device login begins (RFC 8628 section 4).
        revocation_endpoint: Where tokens are revoked (RFC 7009 section 2).
        scopes_supported: What can be asked for. None, here and below: it does not say.
        token_endpoint_auth_methods_supported: How a client may authenticate.
        code_challenge_methods_supported: By which methods a client may prove that the code is its
            own (RFC 7636 section 4.3).
        authorization_response_iss_parameter_supported: Whether all its answers name it (RFC 9207
            section 3).

    Raises:
        TypeError, ValueError: An endpoint is no URL, or has a fragment.
        InsecureTransportError: One is plain http to another machine. Where everybody on a network
            may read the tokens, a grant takes the URLs themselves, with ``insecure=True``.
    """

    token_endpoint: str
    issuer: str | None = None
    authorization_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    scopes_supported: tuple[str, ...] | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    code_challenge_methods_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool = False

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if name in ENDPOINTS and (value is not None or name == "token_endpoint"):
                _check_endpoint(name, value)
            elif isinstance(value, list):  # which could change, and has no hash
                object.__setattr__(self, name, tuple(value))

    @classmethod
    def discover(
        cls,
        issuer: str,
        *,
        timeout: tuple[float, float] = (5.0, 10.0),
        deadline: float = 20.0,
        verify: bool | str | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> AuthorizationServer:
        """Return what *issuer* publishes about itself (RFC 8414, OpenID Connect Discovery).

        Args:
            issuer: Its name: an https URL, or an http one of the loopback. A slash at the end may
                be missing, or too many: then the one that the server says counts.
            timeout: Seconds to connect, and seconds to wait for any one piece of an answer.
            deadline: Seconds for all of it; the metadata may be at any of four addresses.
            verify, proxies: As in `RefreshTokenGrant`.

        Raises:
            LoginFailedError: It publishes nothing (`reason`: ``no_discovery``), or is another
                (``issuer_mismatch``), or what it publishes cannot be used (``bad_answer``).
            RefreshFailedError: It is out of reach, or in trouble: try again later.
            TypeError, ValueError: An argument makes no sense.
            InsecureTransportError: *issuer* is plain http to another machine.
        """
        documents = Documents(timeout=timeout, deadline=deadline, verify=verify, proxies=proxies)
        return cls(**metadata_of(issuer, documents))


def _check_endpoint(name: str, url: str) -> None:
    if not isinstance(url, str):
        raise TypeError(f"{name} is the URL of an endpoint, got {type(url).__name__}")
    require_secure(url, what=name, switch="that URL itself to a grant, with insecure=True,")
    if "#" in url:
        raise ValueError(f"{name} has a fragment (RFC 6749 section 3): drop it")
