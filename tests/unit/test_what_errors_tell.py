"""Whatever fails while a secret is on its way, no error that comes of it tells the secret: not by
its words, nor by its arguments, attributes, causes, contexts or notes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from requests_tokenrefresh import (
    JSONRefresh,
    LoginRequiredError,
    RefreshFailedError,
    RefreshTokenGrant,
    Token,
    TokenRefreshAdapter,
    TokenRefreshError,
    TokenSource,
)
from tests.support.logins import make_source
from tests.support.servers import HTTPServer, Reply
from tests.support.tracebacks import shown_by_tools

SECRET = "7f3e9a1c5b2d8e4f"
OTHER = Token("at-0a9b8c7d6e5f", "rt-f0e1d2c3b4a5")  # what repeats nothing of it


def all_of(error: BaseException) -> str:
    """All that *error* has in it, groups and what is in containers included."""
    texts, left, met = [], [error], set[int]()
    while left:
        one = left.pop()
        if id(one) in met:
            continue
        met.add(id(one))
        texts += [repr(one.args), repr(vars(one)), repr(one)]
        if not isinstance(one, MuteError):
            texts.append(str(one))
        more = (one.__cause__, one.__context__, *one.args, *getattr(one, "exceptions", ()))
        left += [it for it in more if isinstance(it, BaseException)]
    return "\n".join(texts)


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError(SECRET)

    __repr__ = object.__repr__


def in_a_note(error: Exception) -> Exception:
    error.__notes__ = [SECRET]  # type: ignore[attr-defined]  # as add_note() of Python 3.11 does
    return error


def in_an_attribute(error: Exception) -> Exception:
    error.form = {"refresh_token": [SECRET.encode()]}  # type: ignore[attr-defined]
    return error


def beside_a_cause(error: Exception) -> Exception:
    error.__context__, error.__cause__ = KeyError(SECRET), OSError("of no harm")
    return error


class GroupError(Exception):
    """As an ExceptionGroup of Python 3.11."""

    def __init__(self) -> None:
        super().__init__("several")
        self.exceptions = (ValueError(SECRET),)


def raises(make: Callable[[], BaseException]) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise make()

    return fail


TELLING: dict[str, Callable[..., Any]] = {
    "in its words": lambda *_: int(SECRET + "."),
    "what cannot be encoded": lambda *_: f"{SECRET}\u20ac".encode("latin-1"),
    "what is no JSON": lambda *_: json.loads(f"{{{SECRET}"),
    "what is no JSON, and long": lambda *_: json.loads(f"{{{' ' * 9000}{SECRET}"),
    "a key": lambda *_: {}[SECRET],
    "in a note": raises(lambda: in_a_note(ValueError("what"))),
    "in an attribute": raises(lambda: in_an_attribute(ValueError("what"))),
    "beside a cause": raises(lambda: beside_a_cause(ValueError("what"))),
    "in a group": raises(GroupError),
    "in containers": raises(lambda: ValueError("what", [{"a": (SECRET,)}])),
    "in another error": raises(lambda: ValueError(OSError(SECRET))),
    "backwards": raises(lambda: ValueError(SECRET[::-1])),
    "of requests": raises(lambda: requests.ConnectionError(f"no {SECRET}")),
    "no words at all": raises(lambda: MuteError(SECRET)),
    "of ours": raises(lambda: RefreshFailedError(f"no {SECRET}", said=SECRET)),
    "of ours, for good": raises(lambda: LoginRequiredError(f"no {SECRET}", reason=SECRET)),
    "of ours, from another": raises(lambda: beside_a_cause(RefreshFailedError("what"))),
}
every_way = pytest.mark.parametrize("fail", TELLING.values(), ids=TELLING)


@every_way
@pytest.mark.parametrize("secret", ["access", "refresh", "id"])
def test_a_refresher_that_fails_tells_no_token(fail: Callable[..., Any], secret: str) -> None:
    tokens = {"access": "at-0a9b8c7d6e5f", "refresh": "rt-f0e1d2c3b4a5", "id": "id-4d5c6b7a8090"}
    tokens[secret] = SECRET
    token = Token(tokens["access"], tokens["refresh"], extra={"id_token": tokens["id"]})
    source = make_source(fail, logged_in=False)
    source.login(token)
    with pytest.raises(TokenRefreshError) as caught:
        source.refresh(source.token())
    assert SECRET not in all_of(caught.value).replace(repr(token.extra), "")


def test_what_tells_nothing_is_the_cause_as_it_was_raised() -> None:
    error = beside_a_cause(OSError("no file"))
    source = make_source(raises(lambda: error), logged_in=False)
    source.login(OTHER)
    with pytest.raises(RefreshFailedError) as caught:
        source.refresh(source.token())
    assert caught.value.__cause__ is error


def test_words_of_ours_that_resemble_a_token_are_told() -> None:
    """It is made of the same words."""
    own = RefreshFailedError("the refresh token is not known there", said="refresh token")
    source = make_source(raises(lambda: own), logged_in=False)
    source.login(Token("the-access-token", "the-refresh-token-is-1"))
    with pytest.raises(RefreshFailedError, match="the refresh token is not known there"):
        source.refresh(source.token())


def test_what_a_refresher_has_sent_is_known_by_the_request_in_its_error() -> None:
    def fail(_token: Token | None) -> Any:
        requests.get(f"http://127.0.0.1:1/?client_secret={SECRET}", timeout=5)

    source = make_source(fail, logged_in=False)
    source.login(OTHER)
    with pytest.raises(RefreshFailedError) as caught:
        source.refresh(source.token())
    assert isinstance(caught.value, RefreshFailedError)
    assert SECRET not in shown_by_tools(caught.value)


# -- A grant ---------------------------------------------------------------------------------------


@pytest.fixture
def server(http_server: Callable[..., HTTPServer]) -> HTTPServer:
    return http_server(lambda _: Reply.json({"error": "server_error"}, 500))


def in_a_hook(fail: Callable[..., Any]) -> Callable[..., Any]:
    """An `auth` that fails once the answer is there, as one may that signs a challenge."""

    def auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.register_hook("response", lambda response, **_how: fail(response))
        return request

    return auth


def with_header(value: Any) -> Callable[..., Any]:
    def auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Key"] = value
        return request

    return auth


def with_attribute(name: str, value: Any) -> Callable[..., Any]:
    def auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
        setattr(request, name, value)
        return request

    return auth


AUTHS = {
    **{f"auth: {name}": fail for name, fail in TELLING.items()},
    **{f"a hook: {name}": in_a_hook(fail) for name, fail in TELLING.items()},
    "a header beyond Latin-1": with_header(f"{SECRET}\u20ac"),
    "a header in two lines": with_header(f"{SECRET}\nX: y"),
    "a header in bytes, in two lines": with_header(f"{SECRET}\nX: y".encode()),
    "a header that is a list": with_header([SECRET]),
    "a body beyond Latin-1": with_attribute("body", f"{SECRET}\u20ac"),
    "a body that is none": with_attribute("body", {SECRET: 1}),
    "a body of strings": with_attribute("body", [SECRET]),
    "a URL that nobody reads": with_attribute("url", f"gopher://a/{SECRET}"),
    "a URL without a host": with_attribute("url", f"http:///{SECRET}"),
}


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
@pytest.mark.parametrize("kind", [RefreshTokenGrant, JSONRefresh])
def test_an_auth_that_fails_tells_nothing(server: HTTPServer, kind: Any, auth: Any) -> None:
    """Nobody here knows what of its words is secret."""
    with pytest.raises(RefreshFailedError) as caught:
        kind(server.url, auth=auth)(OTHER)
    assert SECRET not in all_of(caught.value)
    assert SECRET not in shown_by_tools(caught.value)


def test_what_the_network_has_to_say_is_told(server: HTTPServer) -> None:
    url = server.url
    server.close()
    with pytest.raises(RefreshFailedError, match=r"NewConnectionError: .* refused") as caught:
        RefreshTokenGrant(f"{url}?key={SECRET}")(OTHER)
    assert "refused" in str(caught.value.__cause__)
    assert SECRET not in all_of(caught.value)


def test_a_read_that_times_out_is_told_without_the_query(
    http_server: Callable[..., HTTPServer],
) -> None:
    """urllib3 keeps the URL in its error."""
    gate = threading.Event()
    server = http_server(lambda _: gate.wait(10) and None)
    with pytest.raises(RefreshFailedError, match="Read timed out") as caught:
        RefreshTokenGrant(f"{server.url}?key={SECRET}", timeout=(5.0, 0.1))(OTHER)
    gate.set()
    assert SECRET not in all_of(caught.value)


@pytest.mark.parametrize(
    "proxy", ["http://user:{}@127.0.0.1:1", "http://{}@127.0.0.1:1", "http://user:{}@a b:x"]
)
def test_the_password_of_a_proxy_is_not_told(proxy: str) -> None:
    proxies = {"https": proxy.format(SECRET)}
    with pytest.raises(RefreshFailedError) as caught:
        RefreshTokenGrant("https://auth.example.test/", proxies=proxies)(OTHER)
    assert SECRET not in all_of(caught.value)


# -- The adapter -----------------------------------------------------------------------------------


def puts(name: str, value: str) -> Callable[[requests.PreparedRequest, Token], None]:
    """A function for `attach` that puts what cannot be sent into an attribute or a header."""

    def attach(request: requests.PreparedRequest, token: Token) -> None:
        text = value.format(token.access_token)
        if name in vars(request):
            setattr(request, name, text)
        else:
            request.headers[name.format(token.access_token)] = text

    return attach


ATTACHES: dict[str, Callable[..., Any]] = {
    **TELLING,
    "a header beyond Latin-1": puts("X-Key", "{}\u20ac"),
    "a header in two lines": puts("X-Key", "{}\nX: y"),
    "a name that is none": puts("{}\n", "1"),
    "a method that is none": puts("method", "GET {}"),
}


@pytest.mark.parametrize("attach", ATTACHES.values(), ids=ATTACHES)
def test_an_attach_that_fails_tells_no_token(server: HTTPServer, attach: Any) -> None:
    source = TokenSource(lambda _: SECRET, origins=[server.url], token=SECRET)
    session = requests.Session()
    session.mount(server.url, TokenRefreshAdapter(source, attach=attach))
    with pytest.raises((requests.RequestException, ValueError)) as caught:
        session.get(f"{server.url}/orders")
    assert SECRET not in all_of(caught.value)


def test_what_an_attach_has_raised_is_told_by_its_kind(server: HTTPServer) -> None:
    def attach(request: requests.PreparedRequest, token: Token) -> None:
        raise LookupError(token.access_token)

    source = TokenSource(lambda _: SECRET, origins=[server.url], token=SECRET)
    session = requests.Session()
    session.mount(server.url, TokenRefreshAdapter(source, attach=attach))
    with pytest.raises(requests.RequestException) as caught:
        session.get(f"{server.url}/orders")
    assert str(caught.value) == "attach= raised LookupError, and what that says has the token in"
    assert caught.value.request is not None
    assert caught.value.request.url == f"{server.url}/orders"


@pytest.mark.parametrize("attach", sorted(ATTACHES.keys() - TELLING.keys()))
def test_what_cannot_be_sent_has_failed_for_the_request_as_it_was(
    server: HTTPServer, attach: str
) -> None:
    source = TokenSource(lambda _: SECRET, origins=[server.url], token=SECRET)
    session = requests.Session()
    session.mount(server.url, TokenRefreshAdapter(source, attach=ATTACHES[attach]))
    with pytest.raises(requests.RequestException) as caught:
        session.get(f"{server.url}/orders")
    assert caught.value.request is not None
    assert caught.value.request.url == f"{server.url}/orders"
    assert caught.value.request.headers.keys() == requests.Session().headers.keys()


def test_an_attach_that_fails_otherwise_fails_as_it_is(server: HTTPServer) -> None:
    error = KeyError("tenant")
    source = TokenSource(lambda _: SECRET, origins=[server.url], token=SECRET)
    session = requests.Session()
    session.mount(server.url, TokenRefreshAdapter(source, attach=raises(lambda: error)))
    with pytest.raises(KeyError) as caught:
        session.get(f"{server.url}/orders")
    assert caught.value is error
