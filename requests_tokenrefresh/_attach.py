"""Where the token stands in a request, and which of the caller's own words give way to it."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any, TypeAlias
from urllib.parse import unquote

import requests
from requests.auth import HTTPBasicAuth
from requests.structures import CaseInsensitiveDict

from ._errors import InsecureTransportError
from ._evidence import resource_of
from ._netrc import found_in_netrc
from ._origins import is_read_by_a_proxy
from ._replay import shallow_copy
from ._source import TokenSource
from ._token import Token
from .refreshers._cause import innermost, unless_it_tells
from .refreshers._quote import Secrets, query_fields, secrets_in

Attach: TypeAlias = str | Callable[[requests.PreparedRequest, Token], object]
"""The header, or a function of the request's copy and the token."""

Send: TypeAlias = Callable[[requests.PreparedRequest, dict[str, Any]], requests.Response]

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # of a header, or a scheme: RFC 9110 section 5.6.2
_HEADER = re.compile(rf"({_NAME})(?:: ?({_NAME}))?")
_AUTHORIZATION = "authorization", "Authorization"
_SCHEME = re.compile(_NAME)
_OF_THE_CONNECTION = frozenset({"host", "content-length", "transfer-encoding", "connection"})

# What says where to go next; a server may repeat there the query that it was asked with.
_ADDRESSES = ("Location", "Content-Location", "Link", "Refresh")
_QUERY = re.compile(r"\?([^#<>\s]*)")

# The schemes of IANA's registry, and others that many servers have. Any other word in front of a
# space may be the secret itself, of somebody who has left out the scheme.
_KNOWN_SCHEMES = {
    name.lower(): name
    for name in (
        *("Basic", "Bearer", "Concealed", "Digest", "DPoP", "GNAP", "HOBA", "Mutual", "Negotiate"),
        *("OAuth", "PrivateToken", "SCRAM-SHA-1", "SCRAM-SHA-256", "vapid"),
        *("ApiKey", "AWS4-HMAC-SHA256", "GenieKey", "GoogleLogin", "Hawk", "HMAC", "JWT", "MAC"),
        *("NTLM", "SharedKey", "SharedKeyLite", "Signature", "SSWS", "token"),
    )
}


class Attachment:
    """Puts the token into a header. Immutable, so safe from any thread; pickles with its source.

    Args:
        tokens: The login.
        attach: The header, and after a colon the scheme; without one the token stands there alone.
            None: ``Authorization``, and the scheme of the token's own.
        replaces: The schemes of an ``Authorization`` of the caller's that are placeholders only.

    Raises:
        TypeError, ValueError: An argument is not what it should be.
    """

    def __init__(
        self, tokens: TokenSource, attach: str | None = None, replaces: Collection[str] = ()
    ) -> None:
        self._source = tokens
        self._placeholders = _checked_schemes(replaces)
        name, scheme = ("Authorization", None) if attach is None else _parsed(attach)
        self._header = name.lower(), name
        self._before: str | None = None  # what stands before the token; None: as the token says
        if attach is not None:
            self._before = f"{scheme} " if scheme else ""
        self._beside = self._header[0] != "authorization"

    def scheme_of(self, token: Token) -> str:
        """Return the scheme by which a challenge would speak of *token*."""
        return (self._before or "").strip() or token.token_type

    def outranks(self, request: requests.PreparedRequest) -> bool:
        """Return whether *request*, which has an ``Authorization``, gets the token all the same.

        The caller's word is last, where it is one: a header of the login's own scheme stands where
        the token belongs, and so does one that `replaces` or netrc has put there.
        """
        value = _text(authorization_of(request))
        scheme, space, credentials = value.partition(" ")
        _, origin, _ = resource_of(request.method, request.url)
        if scheme.lower() in self._placeholders:
            self._source.say_once(
                f"requests to {origin} get the token in place of an Authorization of the scheme "
                f"{scheme.lower()} (replaces=)"
            )
            return True
        if self._beside or scheme.lower() in ("bearer", self._own_scheme()):
            return True
        if self._before == "" and not space:
            return True  # no scheme here, and none there
        if scheme.lower() == "basic" and _is_from_netrc(value, request.url or ""):
            self._source.say_once(
                f"requests to {origin} get the token in place of what netrc has for that host"
            )
            return True
        known = _KNOWN_SCHEMES.get(scheme.lower()) if scheme.isascii() else None
        shown = f"the scheme {known}" if known and credentials.strip() else "no known scheme"
        self._source.say_once(
            f"requests to {origin} that have an Authorization of their own ({shown}) go out "
            "without the token; to have them get it, name the scheme in replaces="
        )
        return False

    def send(
        self, request: requests.PreparedRequest, token: Token, send: Send, how: dict[str, Any]
    ) -> requests.Response:
        """Return the answer to a copy of *request* with *token* in it, which *send* sends."""
        if self._before is None:
            return send(_with_header(request, _AUTHORIZATION, token.authorization), how)
        attached = _with_header(request, self._header, self._before + token.access_token)
        return send(self._without_placeholder(attached), how)

    def _without_placeholder(self, copy: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return *copy*, from which a placeholder is taken out where no token has replaced it."""
        if self._beside and _scheme_in(copy) in self._placeholders:
            del copy.headers["Authorization"]
        return copy

    def _own_scheme(self) -> str | None:
        scheme = self._source.scheme() if self._before is None else self._before.strip()
        return scheme.lower() if scheme else None


class _ByFunction(Attachment):
    """Leaves it to a function where the token goes, but not to which server."""

    def __init__(
        self,
        tokens: TokenSource,
        attach: Callable[[requests.PreparedRequest, Token], object],
        replaces: Collection[str],
    ) -> None:
        super().__init__(tokens, None, replaces)
        self._attach = attach
        self._beside = True

    def send(
        self, request: requests.PreparedRequest, token: Token, send: Send, how: dict[str, Any]
    ) -> requests.Response:
        # All its own but the body and what is not known to requests.
        copy = shallow_copy(request)
        vars(copy).update(vars(request.copy()))
        self._without_placeholder(copy)
        attached = self._attached(copy, token, request)
        if attached.url != request.url:
            self._check_url(attached, request)
            refuse_plain_http_to_a_proxy(attached, how["proxies"])  # on another of the origins
        try:
            response = send(attached, how)
        except Exception as error:
            told = _without_token(error, request, token)
        else:
            if attached.url != request.url:
                response.url = request.url or ""  # what raise_for_status() says has it in
                self._take_out_of_addresses(response, attached, token)
            return response
        del copy, attached  # their repr has the method, and a function may put the token there
        raise told  # out here, where it has no context that shows the token

    def _attached(
        self, copy: requests.PreparedRequest, token: Token, request: requests.PreparedRequest
    ) -> requests.PreparedRequest:
        try:
            attached = self._attach(copy, token)
        except Exception as error:
            if unless_it_tells(error, _secrets_of(token)) is not None:
                raise
            kind = type(error).__name__
        else:
            return attached if isinstance(attached, requests.PreparedRequest) else copy
        raise requests.RequestException(
            f"attach= raised {kind}, and what that says has the token in", request=request
        )

    def _check_url(
        self, attached: requests.PreparedRequest, request: requests.PreparedRequest
    ) -> None:
        if not self._source.origins.allow(attached.url or ""):
            raise requests.exceptions.InvalidURL(
                "attach= has changed the URL of a request to one that is not on the login's "
                "origins, so the token was not sent",
                request=request,
            )
        self._source.say_once(
            "attach= puts the token into the URL, which servers, proxies, and the logger urllib3 "
            "at DEBUG write into their logs",
            logging.WARNING,
        )

    def _take_out_of_addresses(
        self, response: requests.Response, attached: requests.PreparedRequest, token: Token
    ) -> None:
        """Take the token out of where the server says to go next: it is put there again for the
        login's origins, and for nobody else."""
        added = set(query_fields(attached.url or "")) - set(query_fields(response.url))
        for name in filter(response.headers.__contains__, _ADDRESSES):
            addresses = _without(added, response.headers[name])
            if token.access_token not in unquote(unquote(addresses)):
                response.headers[name] = addresses
                continue
            del response.headers[name]
            self._source.say_once(
                f"a server has put the token into the {name} of an answer, where it is left out: a "
                "redirect to there is not followed",
                logging.WARNING,
            )


def attachment(tokens: TokenSource, attach: Attach | None, replaces: Collection[str]) -> Attachment:
    """Return what puts the token where *attach* says.

    Raises:
        TypeError, ValueError: An argument is not what it should be.
    """
    if attach is None or isinstance(attach, str):
        return Attachment(tokens, attach, replaces)
    if not callable(attach):
        raise TypeError(
            'attach is the name of a header, such as "X-Auth-Token", or a function of a request '
            f"and a token, got {type(attach).__name__}"
        )
    return _ByFunction(tokens, attach, replaces)


def refuse_plain_http_to_a_proxy(
    request: requests.PreparedRequest, proxies: dict[str, str] | None
) -> None:
    """Raise if *request*, which has a token in it or gets one, would go through a proxy so."""
    if is_read_by_a_proxy(request.url or "", proxies):
        raise InsecureTransportError(
            "a plain http request with a token would go through a proxy; "
            "name its host in NO_PROXY, or use https",
            request=request,
        )


def authorization_of(request: requests.PreparedRequest) -> str | bytes | None:
    """Return the ``Authorization`` of *request*, if it has one."""
    entries = _entries(request.headers)
    if entries is None:
        return request.headers.get("Authorization")
    # Most requests have none, and a lookup that fails by a KeyError takes several times as long.
    entry = entries.get("authorization")
    return None if entry is None else entry[1]


def _with_header(
    request: requests.PreparedRequest, header: tuple[str, str], value: str
) -> requests.PreparedRequest:
    """Return a copy of *request*, shallow but for its headers, with *value* in *header*, which is
    its name in lower case and its name.

    Every request pays for it, and `PreparedRequest.copy` copies the cookies too.
    """
    copy = shallow_copy(request)
    entries = _entries(request.headers)
    if entries is None:
        copy.headers = request.headers.copy()
        copy.headers[header[1]] = value
    else:
        # The copy() of these headers inserts one after the other, in five times the time.
        headers = copy.headers = object.__new__(CaseInsensitiveDict)
        headers._store = entries.copy()
        headers._store[header[0]] = (header[1], value)
    return copy


def _without(fields: set[tuple[str, str]], addresses: str) -> str:
    """Return *addresses* without those of *fields* that are in the queries of them."""

    def query(found: re.Match[str]) -> str:
        kept = [
            field for field in found[1].split("&") if fields.isdisjoint(query_fields(f"?{field}"))
        ]
        return f"?{'&'.join(kept)}" if kept else ""

    return _QUERY.sub(query, addresses)


def _entries(headers: Any) -> OrderedDict[str, tuple[str, str | bytes]] | None:
    """Return in what requests keeps its own kind of *headers*: their names and values, by the name
    in lower case. None: they are of another kind."""
    return headers._store if type(headers) is CaseInsensitiveDict else None


def _parsed(attach: str) -> tuple[str, str | None]:
    header = _HEADER.fullmatch(attach)
    if header is None:
        raise ValueError(
            'attach is the name of a header, such as "X-Auth-Token", or a header and a scheme, '
            'such as "Authorization: token"'
        )
    if header[1].lower() in _OF_THE_CONNECTION:
        raise ValueError(
            f"attach cannot be {header[1]}, which says where a message goes or ends: pass the name "
            'of the header that the API reads a token from, such as "X-Auth-Token"'
        )
    if header[1].lower() == "cookie":
        raise ValueError(
            "attach cannot be the whole Cookie header: pass a function that adds the cookie"
        )
    return header[1], header[2]


def _checked_schemes(replaces: Collection[str]) -> frozenset[str]:
    if isinstance(replaces, str | bytes) or not isinstance(replaces, Collection):
        raise TypeError(
            f'replaces is a list of schemes, such as ["token"], got {type(replaces).__name__}'
        )
    for number, scheme in enumerate(replaces):
        if not isinstance(scheme, str) or not _SCHEME.fullmatch(scheme):
            raise ValueError(f"replaces[{number}] is not the name of an authentication scheme")
    return frozenset(scheme.lower() for scheme in replaces)


def _text(value: str | bytes | None) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value or ""


def _scheme_in(request: requests.PreparedRequest) -> str:
    return _text(authorization_of(request)).partition(" ")[0].lower()


def _is_from_netrc(value: str, url: str) -> bool:
    """Return whether *value* is what requests makes of netrc for *url*.

    Whether its session asked netrc does not show in a request. Credentials that are there are not
    taken for the caller's own if they come by hand either.
    """
    found = found_in_netrc(url)
    if found is None:
        return False
    request = requests.PreparedRequest()
    request.headers = CaseInsensitiveDict()
    try:
        return HTTPBasicAuth(*found)(request).headers["Authorization"] == value
    except UnicodeError:  # requests could not have sent it
        return False


def _without_token(error: Exception, request: requests.PreparedRequest, token: Token) -> Exception:
    """Return *error*, which a copy of *request* has met with *token* in it, or one that says less,
    if that shows the token: in its URL, or in a header that cannot be sent."""
    secrets = _secrets_of(token)
    if isinstance(error, requests.RequestException):
        error.request = request
    if unless_it_tells(error, secrets) is not None:
        return error
    if not isinstance(error, requests.RequestException):
        return requests.RequestException(
            f"what attach= has made of a request cannot be sent ({type(error).__name__}, whose "
            "message has the token in)",
            request=request,
        )
    cause = innermost(error)
    if unless_it_tells(cause, secrets) is None:
        cause = requests.RequestException(f"{type(cause).__name__}, whose message has the token in")
    # Without __init__: a subclass may take other arguments.
    told = type(error).__new__(type(error))
    told.args = (cause,)
    told.request, told.response = request, None
    return told


def _secrets_of(token: Token) -> Secrets:
    return Secrets.of(known=secrets_in(token))
