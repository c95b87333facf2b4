"""What the grants have in common that ask a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from .._errors import LoginFailedError, LoginRequiredError, RefreshFailedError
from .._token import Token
from ._answer import Answer
from ._authorization_server import AuthorizationServer
from ._client import check_string
from ._dialects import is_in_trouble
from ._endpoint import Question
from ._grants import RefreshTokenGrant, form
from ._id_token import check_id_token


class PersonGrant(RefreshTokenGrant):
    """A grant that asks a person for the first token, and renews it by its refresh token."""

    asks_a_person = True
    """It takes as long as that person does, so it cannot be the `login` of a `TokenSource`: a
    flight holds the store's lock."""

    def __init__(
        self,
        token_url: str | AuthorizationServer,
        *,
        client_id: str,
        scope: str | None = None,
        resource: str | Sequence[str] | None = None,
        audience: str | None = None,
        issuer: str | None = None,
        data: Mapping[str, str | Sequence[str]] | None = None,
        **client: Any,
    ) -> None:
        self._targets = targets(resource, audience)
        for name in self._targets.keys() & (data or {}).keys():
            raise ValueError(f"{name}= and data[{name!r}] are the same: pass one")
        # Without scope: a refresh asks for what was granted, which may be less than what is asked
        # for here.
        super().__init__(
            token_url,
            client_id=client_id,
            data={**(data or {}), **self._targets},
            **client,
        )
        if not client_id:
            raise ValueError("client_id is empty: pass what the client is registered as")
        check_string("scope", scope)
        check_string("issuer", issuer)
        self._asked_scope = scope
        self._server = token_url if isinstance(token_url, AuthorizationServer) else None
        self._issuer = issuer if self._server is None else self._server.issuer

    def _first_question(self, **fields: str | None) -> Question:
        """Return what begins a login, with those of *fields* that are not None."""
        asked = {name: value for name, value in fields.items() if value is not None}
        body = urlencode({**asked, **self._client_fields})
        return form("&".join(filter(None, (self._data, body))))

    def _endpoint_of_server(self, url: str | None, name: str, keyword: str) -> str:
        """Return *url*, or what the server calls *name*.

        Raises:
            ValueError: Neither is there.
        """
        url = url or getattr(self._server, name, None)
        if not isinstance(url, str):
            raise ValueError(
                f"{type(self).__name__} needs {keyword}=, or as token_url an AuthorizationServer "
                f"that has a {name} (RFC 8414 section 2)"
            )
        return url

    def _logged_in(self, answer: Answer, *, nonce: str | None) -> Token:
        """Return the token that *answer* gives to the person.

        Raises:
            LoginFailedError: It gives none, or an id_token of somebody else's.
            RefreshFailedError: It gives none, and may do so later.
        """
        try:
            token = self._token_in(answer, previous=None)
        except (LoginRequiredError, RefreshFailedError) as error:
            raise login_failure(answer, error) from error.__cause__
        check_id_token(
            token,
            issuer=self._issuer,
            client_id=self._client_id,
            nonce=nonce,
            now=answer.now_there,
            secrets=answer.secrets,
        )
        return token


def login_failure(
    answer: Answer, failure: LoginRequiredError | RefreshFailedError
) -> LoginFailedError | RefreshFailedError:
    """Return what *failure*, by which *answer* has brought nothing, means to whoever logs in: only
    a server in trouble is worth a second attempt that is like the first."""
    if isinstance(failure, RefreshFailedError) and is_in_trouble(answer.status):
        return failure
    return LoginFailedError(
        f"the {answer.kind} endpoint {answer.endpoint} did not take the login "
        f"({failure.status}: {failure.said}); {answer.advice('begin again')}",
        reason="bad_answer",
        status=failure.status,
        code=failure.code,
        said=failure.said,
    )


def targets(
    resource: str | Sequence[str] | None, audience: str | None
) -> dict[str, str | list[str]]:
    """Return the fields that say which APIs a token is for.

    Raises:
        TypeError, ValueError: *resource* is no absolute URI (RFC 8707 section 2).
    """
    check_string("audience", audience)
    resources = [resource] if isinstance(resource, str) else list(resource or ())
    for one in resources:
        check_string("resource", one)
        if not one or not urlsplit(one).scheme or "#" in one:
            raise ValueError(
                f"resource is an absolute URI without a fragment (RFC 8707 section 2), got {one!r}"
            )
    found: dict[str, str | list[str]] = {}
    if resources:
        found["resource"] = resources
    if audience is not None:
        found["audience"] = audience
    return found
