"""The grants of RFC 6749 that need nobody at the keyboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from oauthlib.oauth2.rfc6749.errors import (
    CustomOAuth2Error,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
)
from oauthlib.oauth2.rfc6749.parameters import prepare_token_request

from .._door import check_mapping, check_text
from .._errors import LoginRequiredError, RefreshFailedError
from .._token import Token
from ._answer import Answer, Refused
from ._authorization_server import AuthorizationServer
from ._client import Auth, AuthMethod, ByAssertion, auth_method, check_string, identify
from ._endpoint import Question, TokenEndpoint, check_one_authorization
from ._refusal import check_refused, check_token_type, refresh_token_of
from ._revocation import revoke

_OAUTHLIBS: dict[str, type[OAuth2Error]] = {
    error.error: error
    for error in (
        InvalidClientError,
        InvalidGrantError,
        InvalidRequestError,
        InvalidScopeError,
        UnauthorizedClientError,
        UnsupportedGrantTypeError,
    )
}


class _Grant:
    """What the grants have in common: a form, and a client."""

    _confidential = False  # whether only a client that authenticates itself may use it
    _sends = frozenset({"grant_type", "scope"})  # fields of the form that it takes no other for

    def __init__(
        self,
        token_url: str | AuthorizationServer,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        auth: Auth | None = None,
        token_endpoint_auth_method: AuthMethod | None = None,
        private_key: str | bytes | Mapping[str, Any] | None = None,
        private_key_password: str | None = None,
        key_id: str | None = None,
        signing_alg: str | None = None,
        assertion_audience: str | None = None,
        client_assertion: Callable[[], str] | None = None,
        scope: str | None = None,
        revocation_url: str | None = None,
        refused: Refused = frozenset(),
        token_type: str | None = None,
        data: Mapping[str, str | Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: tuple[float, float] = (5.0, 10.0),
        deadline: float = 20.0,
        max_reply_bytes: int = 1024 * 1024,
        verify: bool | str | None = None,
        cert: str | tuple[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
        insecure: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if isinstance(token_url, AuthorizationServer):
            url, listed = token_url.token_endpoint, token_url.token_endpoint_auth_methods_supported
            revocation_url = revocation_url or token_url.revocation_endpoint
            issuer = token_url.issuer or url
        else:
            url, listed, issuer = token_url, None, token_url
        self._endpoint = TokenEndpoint(
            url,
            insecure=insecure,
            headers=headers,
            timeout=timeout,
            deadline=deadline,
            max_reply_bytes=max_reply_bytes,
            verify=verify,
            cert=cert,
            proxies=proxies,
            clock=clock,
        )
        self._revocation: TokenEndpoint | None = None
        if revocation_url is not None:
            self._revocation = self._endpoint.at(revocation_url, "revocation")
        # An *auth* of somebody else's may be bound to its thread.
        self.any_thread = auth is None
        self._client_id = client_id
        by_assertion = ByAssertion(
            private_key,
            private_key_password,
            key_id,
            signing_alg,
            assertion_audience,
            client_assertion,
            issuer,
        )
        signs = by_assertion.is_given
        method = auth_method(token_endpoint_auth_method, listed, by_assertion=signs)
        self._auth, self._client_fields = identify(
            client_id, client_secret, auth, method, by_assertion
        )
        is_public = client_secret is None and auth is None and cert is None and not signs
        if self._confidential and is_public:
            raise ValueError(
                f"{type(self).__name__} is for clients that authenticate themselves: "
                "pass client_id and client_secret, or auth=, or cert="
            )
        if client_secret is not None and method == "client_secret_basic":
            check_one_authorization(headers, "client_secret")
        check_string("scope", scope)
        self._scope = scope
        self._refused = check_refused(refused)
        self._token_type = check_token_type(token_type)
        data = check_mapping("data", data, '{"audience": "reports"}')
        self._data = _encoded(data, beside={*self._sends, *self._client_fields})

    def __repr__(self) -> str:
        client = "" if self._client_id is None else f", client_id={self._client_id!r}"
        return f"{type(self).__name__}({self._endpoint.name!r}{client})"

    @property
    def can_revoke(self) -> bool:
        """Whether it knows where: *revocation_url*."""
        return self._revocation is not None

    def revoke(self, token: Token) -> None:
        """Tell the server that *token* is not used any more (RFC 7009): the refresh token first,
        then the access token. Blocks for at most *deadline* seconds for each.

        A server that does not know a token, or not any more, has been told. An access token that it
        cannot revoke expires by itself.

        Raises:
            RevocationFailedError: The server was not told, or has not done so.
            ValueError: There is no *revocation_url*; nothing was sent.
        """
        endpoint = self._revocation
        if endpoint is None:
            raise ValueError(
                f"{self!r} has no revocation endpoint: pass revocation_url=, or an "
                "AuthorizationServer that has one"
            )
        revoke(token, lambda question: endpoint.ask(question, auth=self._auth), self._fields)

    def _fields(self, **fields: str) -> Question:
        """Return a form of *fields* and what identifies the client."""
        return form(urlencode({**fields, **self._client_fields}))

    def _question(self, grant_type: str, **fields: str) -> Question:
        own: dict[str, Any] = {**fields, **self._client_fields, "scope": self._scope}
        return form(prepare_token_request(grant_type, body=self._data, **own))

    def _ask(self, question: Question, *, previous: Token | None) -> Token:
        return self._token_in(self._endpoint.ask(question, auth=self._auth), previous=previous)

    def _token_in(self, answer: Answer, *, previous: Token | None) -> Token:
        try:
            return answer.token(
                previous=previous, refused=self._refused, token_type=self._token_type
            )
        except (LoginRequiredError, RefreshFailedError) as error:
            raise error from _as_oauthlib_has_it(error)


class RefreshTokenGrant(_Grant):
    """Buys the next token with a refresh token (RFC 6749 section 6).

    Call it with a `Token`, it returns the next one. The reply may be JSON or a form. What it leaves
    out, the refresh token first of all, is as it was; what else it has that cannot be read is a
    WARNING in the log, and no reason to lose a token that is good. Safe from any thread and after
    a fork; pickles, the client's secret included.

    One call makes one attempt. If nobody can be reached, or the connection breaks before all of
    the answer is there, it asks once more at once, unless the refresh is an early one: whoever
    comes next would have to send the same refresh token, and the server may honour it only for a
    few seconds more.

    Args:
        token_url: The token endpoint: https, or http to the loopback. Or an `AuthorizationServer`,
            which knows this and more.
        client_id: Who asks; a public client sends it in the form.
        client_secret: Authenticates the client, by *token_endpoint_auth_method*.
        auth: Authenticates it in any other way: a `requests` `AuthBase`, or a function like one.
            It may change the body too (``client_assertion``). *client_id* goes into the form.
        token_endpoint_auth_method: ``client_secret_basic`` (both form-encoded, then Basic:
            section 2.3.1) or ``client_secret_post`` (both in the form); None: what the server
            lists, or the former. For a server that does not decode them again pass
            ``auth=requests.auth.HTTPBasicAuth(client_id, secret)``. ``private_key_jwt`` and
            ``client_secret_jwt`` sign an assertion for each request (RFC 7523 section 2.2), which
            takes the extra ``jwt``; the former is usual if there is a *private_key*.
        private_key: What signs it: the text of a PEM file, or a JWK.
        private_key_password: Of a PEM file that is encrypted.
        key_id: What the server calls the key (``kid``).
        signing_alg: By which algorithm (``PS256``); None: what suits the key.
        assertion_audience: Who the assertion is for; None: the issuer, or the token endpoint if no
            `AuthorizationServer` says who that is.
        client_assertion: Returns an assertion that somebody else has signed, new for each request.
        scope: What to ask for, separated by spaces; None for what was granted before.
        revocation_url: Where `revoke` tells the server (RFC 7009); None: an `AuthorizationServer`
            knows it, or nobody does.
        refused: What ends the login, beside ``invalid_grant`` and the other ways that are known:
            a set of error codes (``{"account_locked"}``) and HTTP statuses, which count only in
            the endpoint's own JSON or form; or a function that takes a `requests.Response` and
            returns whether it does.
        token_type: The scheme the token is sent by, whatever the replies say. None: what they
            say; other names of a bearer token (``JWT``, ``access_token``) mean ``Bearer``.
        data: Further form fields, such as ``audience`` or ``resource``; a list is sent as one
            field for each item.
        headers: Sent with every request; they outrank the grant's own.
        timeout: Seconds to connect, and seconds to wait for any one piece of the answer.
        deadline: Seconds for all of it, from looking up the name to the last byte.
        max_reply_bytes: How large a reply may be, both as it travels and decompressed; its head has
            64 KiB at most.
        verify: As in `requests.Session`, whose own does not count here; None is the environment's
            CA bundle, or certifi's.
        cert: Likewise: a client certificate (RFC 8705).
        proxies: Likewise; none may be for *token_url* if that is plain http. Those of the
            environment count as well, but not there.
        insecure: Whether *token_url* may be plain http to another machine: for a network on which
            everybody may read the tokens. Said once at WARNING.
        clock: Tells the epoch seconds.

    Raises:
        TypeError, ValueError: An argument makes no sense; the message says what to pass.
        InsecureTransportError: *token_url* is plain http to another machine, and not *insecure*; or
            it is plain http, and one of *proxies* is for it.
    """

    _sends = frozenset({"grant_type", "refresh_token", "scope"})

    def __call__(self, token: Token | None) -> Token:
        """Return the token that replaces *token*; blocks for at most *deadline* seconds.

        Raises:
            LoginRequiredError: The server says that the login is over (``invalid_grant``, or one
                of *refused*), or there is no refresh token; without one nothing is sent.
            RefreshFailedError: Anything else. The refresh token may still be good; if the
                answer was lost, the server may have rotated it.
        """
        question = self._question("refresh_token", refresh_token=refresh_token_of(token))
        return self._ask(question, previous=token)


class ClientCredentialsGrant(_Grant):
    """Gets a token for the client itself (RFC 6749 section 4.4).

    Takes the arguments of `RefreshTokenGrant` and keeps its promises. Nothing is refreshed, so it
    can be called without a token: it is a `login` as well as a refresher.

    Raises:
        TypeError, ValueError: As there, or nothing authenticates the client: there is no
            *client_secret*, no *auth* and no *cert*.
        InsecureTransportError: *token_url* is plain http to another machine, and not *insecure*.
    """

    unattended = True
    """Nobody has to log in: a refusal may pass, and each process may get a token of its own."""

    _confidential = True  # section 4.4: it MUST be

    def __call__(self, token: Token | None = None) -> Token:
        """Return a new token, whatever *token* is; blocks for at most *deadline* seconds.

        Raises:
            LoginRequiredError: The server refused (``invalid_grant``, or one of *refused*).
            RefreshFailedError: Anything else.
        """
        return self._ask(self._question("client_credentials"), previous=None)


def form(body: str) -> Question:
    """Return the question that *body* is, a form."""
    return Question(body, {"Content-Type": "application/x-www-form-urlencoded"})


def _as_oauthlib_has_it(error: LoginRequiredError | RefreshFailedError) -> OAuth2Error | None:
    """Return what oauthlib would have raised, for who tells errors apart by its classes."""
    if error.code is None:
        return None
    if error.code in _OAUTHLIBS:
        return _OAUTHLIBS[error.code](error.said)
    return CustomOAuth2Error(error.code, error.said)


def _encoded(data: Mapping[str, str | Sequence[str]], *, beside: Collection[str]) -> str:
    for name, value in data.items():
        if name in beside:
            raise ValueError(f"data must not have {name!r}: the grant sends it by itself")
        for text in (name, *(value if isinstance(value, list | tuple) else [value])):
            if not isinstance(text, str):
                raise TypeError(f"data[{name!r}] is a string or a list of strings, by a string")
            check_text("data" if text is name else f"data[{name!r}]", text)
    return urlencode(data, doseq=True)
