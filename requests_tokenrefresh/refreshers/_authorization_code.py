"""The authorization code, with PKCE (RFC 6749 section 4.1, RFC 7636)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from .._door import check_mapping, check_text
from .._origins import require_secure
from .._token import Token
from ._attempt import (
    AuthorizationAttempt,
    check_attempt,
    check_redirect_uri,
    code_challenge,
    new_attempt,
)
from ._authorization_answer import BrowserAnswer, code_in, query_of
from ._authorization_server import AuthorizationServer
from ._endpoint import Question
from ._person import PersonGrant
from ._quote import name_of

_OURS = frozenset(
    {
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "resource",
        "audience",
        # The code comes back in the query, as every server can: a form or a signed answer would
        # not be read.
        "response_mode",
    }
)


class AuthorizationCodeGrant(PersonGrant):
    """Logs a person in by a browser (RFC 6749 section 4.1), and renews the login afterwards.

    For a program on the person's own machine there is `log_in`. For a web application::

        attempt = grant.begin("https://app.example.com/callback")
        session["attempt"] = attempt          # then redirect to attempt.url
        ...
        token = grant.finish(session.pop("attempt"), request.url)

    Called with a `Token` it is a `RefreshTokenGrant`, with the same arguments and promises. PKCE is
    by S256, always (RFC 7636 section 4.2). Safe from any thread; pickles.

    Args:
        token_url: The token endpoint, or an `AuthorizationServer`, which knows all of them.
        client_id: As what the client is registered.
        authorization_url: Where the browser goes; may have a query.
        issuer: The issuer's identifier, which answers and id_tokens must name. Both only if
            *token_url* is a URL.
        scope: What to ask for, separated by spaces; with ``openid`` an id_token comes along, and is
            checked.
        resource: Which APIs the token is for (RFC 8707): one absolute URI, or a list.
        audience: The same, for servers that call it so.
        params: Further parameters of the authorization request (``{"prompt": "consent"}``).
        **client: The other arguments of `RefreshTokenGrant`.

    Raises:
        TypeError, ValueError: An argument makes no sense, or the server's metadata lists methods
            for PKCE without S256.
        InsecureTransportError: A URL is plain http to another machine, and not *insecure*.
    """

    _sends = PersonGrant._sends | {"code", "redirect_uri", "code_verifier"}

    def __init__(
        self,
        token_url: str | AuthorizationServer,
        *,
        client_id: str,
        authorization_url: str | None = None,
        issuer: str | None = None,
        scope: str | None = None,
        resource: str | Sequence[str] | None = None,
        audience: str | None = None,
        params: Mapping[str, str | Sequence[str]] | None = None,
        insecure: bool = False,
        **client: Any,
    ) -> None:
        super().__init__(
            token_url,
            client_id=client_id,
            issuer=issuer,
            scope=scope,
            resource=resource,
            audience=audience,
            insecure=insecure,
            **client,
        )
        url = self._endpoint_of_server(
            authorization_url, "authorization_endpoint", "authorization_url"
        )
        require_secure(url, insecure=insecure)
        self._authorization_url = _checked_url(url)
        self._insecure = insecure
        self._params = _checked_params(params)
        methods = getattr(self._server, "code_challenge_methods_supported", None)
        if methods is not None and "S256" not in methods:
            raise ValueError(
                f"{self._authorization_server} lists methods for PKCE, and S256 is not among them "
                "(RFC 9700 section 2.1.1): a code could be stolen on its way; DeviceCodeGrant does "
                "without one"
            )

    def begin(self, redirect_uri: str) -> AuthorizationAttempt:
        """Return an attempt to log in, whose `url` is for the person's browser. Sends nothing.

        Args:
            redirect_uri: Where the browser comes back to with the answer, as it is registered:
                https, http on the loopback, or a scheme of your own (RFC 8252 section 7).

        Raises:
            TypeError, ValueError: It is none of these.
            InsecureTransportError: It is plain http to another machine, and not *insecure*.
        """
        check_redirect_uri(redirect_uri, insecure=self._insecure)
        with_nonce = "openid" in (self._asked_scope or "").split()
        attempt = new_attempt(self._attempts_issuer, redirect_uri, with_nonce=with_nonce)
        fields: dict[str, Any] = {
            "response_type": "code",
            "client_id": self._client_id,
            "scope": self._asked_scope,
            **self._targets,
            "redirect_uri": redirect_uri,
            "state": attempt["state"],
            "nonce": attempt.get("nonce"),
            "code_challenge": code_challenge(attempt["code_verifier"]),
            "code_challenge_method": "S256",
            **self._params,
        }
        query = urlencode(
            {name: value for name, value in fields.items() if value is not None},
            doseq=True,
            quote_via=quote,
        )
        joint = "&" if urlsplit(self._authorization_url).query else "?"
        attempt["url"] = f"{self._authorization_url.rstrip('?&')}{joint}{query}"
        return attempt

    def finish(self, attempt: Mapping[str, Any], answer_url: str) -> Token:
        """Return the token that the person was given; blocks for at most *deadline* seconds.

        Args:
            attempt: What `begin` returned, or what is left of it after JSON.
            answer_url: Where the browser ended, with the query: of a web application the URL of the
                request. Its host is not looked at, since a proxy may have changed it.

        Raises:
            LoginFailedError: There is none, and this attempt will bring none; `reason` says why.
            RefreshFailedError: The server could not be reached, or is in trouble.
            TypeError, ValueError: *attempt* is no attempt of this grant.
        """
        # There are tools that show the variables of a traceback: none of these has a secret there.
        attempt = AuthorizationAttempt(check_attempt(attempt, self._attempts_issuer))
        brought = BrowserAnswer(query_of(answer_url))
        del answer_url
        question = self._exchange(attempt, brought)
        answer = self._endpoint.ask(question, auth=self._auth)
        return self._logged_in(answer, nonce=attempt.get("nonce"))

    def _exchange(self, attempt: Mapping[str, Any], brought: BrowserAnswer) -> Question:
        """Return what the token endpoint is asked (RFC 6749 section 4.1.3)."""
        promises = getattr(self._server, "authorization_response_iss_parameter_supported", False)
        return self._question(
            "authorization_code",
            code=code_in(
                brought,
                attempt,
                issuer=self._issuer,
                promises_iss=bool(promises),
                server=self._authorization_server,
            ),
            redirect_uri=attempt["redirect_uri"],
            code_verifier=attempt["code_verifier"],
        )

    @property
    def _authorization_server(self) -> str:
        return name_of(self._authorization_url)

    @property
    def _attempts_issuer(self) -> str:
        return self._issuer or self._endpoint.name


def _checked_url(url: str) -> str:
    if "#" in url:
        raise ValueError("authorization_url has a fragment (RFC 6749 section 3.1): drop it")
    for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name in _OURS:
            raise ValueError(f"authorization_url must not have {name!r}: the grant sends it itself")
    return url


def _checked_params(
    params: Mapping[str, str | Sequence[str]] | None,
) -> dict[str, str | Sequence[str]]:
    params = check_mapping("params", params, '{"prompt": "consent"}')
    for name, value in params.items():
        if name in _OURS:
            raise ValueError(
                f"params must not have {name!r}: the grant sends it itself, or has an argument "
                "for it"
            )
        items = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(text, str) for text in (name, *items)):
            raise TypeError(f"params[{name!r}] is a string or a list of strings, by a string")
        for text in (name, *items):
            check_text("params" if text is name else f"params[{name!r}]", text)
    return dict(params)
