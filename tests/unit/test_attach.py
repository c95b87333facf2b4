"""Where the token stands in a request, and what of the caller's own it takes the place of."""

from __future__ import annotations

import base64
import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from requests.cookies import RequestsCookieJar

from requests_tokenrefresh import (
    FileTokenStore,
    InsecureTransportError,
    Token,
    TokenRefreshAdapter,
    TokenSource,
    install,
    mount,
)
from tests.support.logins import ORIGIN, Refresher, make_source
from tests.support.servers import RawServer, read_request

URL = f"{ORIGIN}/orders"
SCOPE = 'Bearer error="insufficient_scope"'


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def session_for(source: TokenSource | None = None, **options: Any) -> requests.Session:
    session = requests.Session()
    session.mount(ORIGIN, TokenRefreshAdapter(source or make_source(), **options))
    return session


def sent(api: responses.RequestsMock, header: str = "Authorization") -> list[str | None]:
    """What stood in *header* of each request."""
    return [call.request.headers.get(header) for call in api.calls]


def reject_once(api: responses.RequestsMock) -> None:
    api.get(URL, status=401)
    api.get(URL, status=200)


def infos(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [it.getMessage() for it in caplog.records if it.levelno == logging.INFO]


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "requests_tokenrefresh")


# -- in a header ---------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["X-Auth-Token", "PRIVATE-TOKEN", "x-vault-token"])
def test_a_header_of_its_own_has_the_token_alone(api: responses.RequestsMock, header: str) -> None:
    reject_once(api)
    assert session_for(attach=header).get(URL).status_code == 200
    assert sent(api, header) == ["access-0", "access-1"]
    assert sent(api) == [None, None]


def test_a_header_may_have_a_scheme(api: responses.RequestsMock) -> None:
    reject_once(api)
    assert session_for(attach="Authorization: token").get(URL).status_code == 200
    assert sent(api) == ["token access-0", "token access-1"]


def test_authorization_may_have_the_token_alone(api: responses.RequestsMock) -> None:
    reject_once(api)
    assert session_for(attach="Authorization").get(URL).status_code == 200
    assert sent(api) == ["access-0", "access-1"]


def test_what_the_caller_has_put_into_the_header_is_replaced(api: responses.RequestsMock) -> None:
    reject_once(api)
    session = session_for(attach="X-Auth-Token")
    session.headers["x-auth-token"] = "stale"
    session.get(URL)
    assert sent(api, "X-Auth-Token") == ["access-0", "access-1"]


def test_an_authorization_of_the_callers_stands_beside_it(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    """Another door, of a gateway say, has another key."""
    reject_once(api)
    session_for(attach="X-Auth-Token").get(URL, auth=("ann", "s3cret"))
    assert sent(api, "X-Auth-Token") == ["access-0", "access-1"]
    assert sent(api) == ["Basic YW5uOnMzY3JldA=="] * 2
    assert infos(caplog) == []


def test_headers_of_another_kind_are_copied_their_own_way(api: responses.RequestsMock) -> None:
    class Headers(requests.structures.CaseInsensitiveDict[str]):
        pass

    session = session_for(attach="X-Auth-Token")
    request = requests.Request("GET", URL, headers={"A": "b"}).prepare()
    request.headers = Headers(request.headers)
    reject_once(api)
    session.send(request)
    assert sent(api, "X-Auth-Token") == ["access-0", "access-1"]
    assert (sent(api, "A"), dict(request.headers)) == (["b", "b"], {"A": "b"})


@pytest.mark.parametrize("attach", [None, "X-Auth-Token", "Authorization: Bearer"])
def test_a_challenge_is_read_for_the_scheme_of_the_token(
    api: responses.RequestsMock, attach: str | None
) -> None:
    api.get(URL, status=401, headers={"WWW-Authenticate": SCOPE})
    assert session_for(attach=attach).get(URL).history == []


def test_a_challenge_is_read_for_the_scheme_that_was_sent(api: responses.RequestsMock) -> None:
    session = session_for(attach="Authorization: token")
    api.get(URL, status=401, headers={"WWW-Authenticate": SCOPE.replace("Bearer", "Token")})
    assert session.get(URL).history == []
    api.reset()
    api.get(URL, status=401, headers={"WWW-Authenticate": SCOPE})
    api.get(URL, status=200)
    assert session.get(URL).status_code == 200


@pytest.mark.parametrize(
    ("attach", "error", "message"),
    [
        (7, TypeError, "the name of a header, such as .* or a function .*, got int"),
        ("", ValueError, "the name of a header, such as"),
        ("X Auth", ValueError, "the name of a header, such as"),
        ("X-Auth-Token: {}", ValueError, "or a header and a scheme"),
        ("X-Auth-Token: a b", ValueError, "or a header and a scheme"),
        ("X-Auth-Token\r\nX: y", ValueError, "the name of a header"),
        ("Authorization: token s3cret", ValueError, 'such as "Authorization: token"$'),
        ("Cookie", ValueError, "pass a function that adds the cookie"),
        ("host", ValueError, "attach cannot be host, which says where a message goes or ends"),
        ("Content-Length: x", ValueError, "attach cannot be Content-Length"),
        ("Transfer-Encoding", ValueError, "attach cannot be Transfer-Encoding"),
        ("Connection", ValueError, 'reads a token from, such as "X-Auth-Token"'),
    ],
)
def test_what_is_no_place_for_a_token_is_refused(
    attach: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        TokenRefreshAdapter(make_source(), attach=attach)


# -- by a function -------------------------------------------------------------------------------


def in_a_cookie(request: requests.PreparedRequest, token: Token) -> None:
    request.headers["Cookie"] = f"session={token.access_token}"


def in_the_query(request: requests.PreparedRequest, token: Token) -> requests.PreparedRequest:
    request.prepare_url(request.url, {"access_token": token.access_token})
    return request


def test_a_function_puts_the_token_wherever_it_likes(api: responses.RequestsMock) -> None:
    reject_once(api)
    assert session_for(attach=in_a_cookie).get(URL).status_code == 200
    assert sent(api, "Cookie") == ["session=access-0", "session=access-1"]
    assert sent(api) == [None, None]


def test_a_function_may_return_a_request_of_its_own(api: responses.RequestsMock) -> None:
    def attach(request: requests.PreparedRequest, token: Token) -> requests.PreparedRequest:
        other = request.copy()
        other.headers["X-Key"] = token.access_token
        return other

    reject_once(api)
    session_for(attach=attach).get(URL)
    assert sent(api, "X-Key") == ["access-0", "access-1"]


def test_what_else_a_function_returns_is_not_looked_at(api: responses.RequestsMock) -> None:
    reject_once(api)
    session_for(
        attach=lambda request, token: request.headers.setdefault("X-Key", token.access_token)
    ).get(URL)
    assert sent(api, "X-Key") == ["access-0", "access-1"]


def test_a_function_has_a_copy_to_change(api: responses.RequestsMock) -> None:
    def attach(request: requests.PreparedRequest, token: Token) -> None:
        assert isinstance(request._cookies, RequestsCookieJar)  # type: ignore[attr-defined]
        request._cookies.set("key", token.access_token)  # type: ignore[attr-defined]
        request.headers["X-Key"] = token.access_token
        request.prepare_body(b"another", None)

    session = session_for(attach=attach)
    request = session.prepare_request(
        requests.Request("GET", URL, data=b"body", cookies={"a": "1"}, headers={"A": "b"})
    )
    before = dict(request.headers), request.body, list(request._cookies), request.url  # type: ignore[attr-defined]
    reject_once(api)
    session.send(request)
    after = dict(request.headers), request.body, list(request._cookies), request.url  # type: ignore[attr-defined]
    assert after == before
    assert [call.request.body for call in api.calls] == [b"another"] * 2


def test_an_authorization_of_the_callers_is_left_to_the_function(
    api: responses.RequestsMock,
) -> None:
    reject_once(api)
    session_for(attach=in_a_cookie).get(URL, auth=("ann", "s3cret"))
    assert sent(api) == ["Basic YW5uOnMzY3JldA=="] * 2
    assert sent(api, "Cookie") == ["session=access-0", "session=access-1"]


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example.org/", f"{ORIGIN}.evil.org/", "http://api.example.com/", ""]
)
def test_a_function_cannot_take_the_token_to_another_origin(elsewhere: str) -> None:
    def attach(request: requests.PreparedRequest, token: Token) -> None:
        request.headers["X-Key"] = token.access_token
        request.url = elsewhere

    with pytest.raises(
        requests.exceptions.InvalidURL, match="not on the login's origins"
    ) as caught:
        session_for(attach=attach).get(URL)
    assert caught.value.request is not None
    assert caught.value.request.url == URL


def test_a_function_cannot_take_the_token_to_a_proxy_in_plain_http() -> None:
    """The URL that it makes is one of the origins, and its proxy is another machine."""

    def downgrade(request: requests.PreparedRequest, token: Token) -> None:
        request.url = "http://localhost:8000/orders"
        request.headers["X-Auth-Token"] = token.access_token

    source = make_source(origins=["https://localhost", "http://localhost:8000"])
    session = requests.Session()
    session.mount("https://localhost", TokenRefreshAdapter(source, attach=downgrade))
    session.proxies = {"http": "http://127.0.0.1:3128"}
    with pytest.raises(InsecureTransportError, match="NO_PROXY"):
        session.get("https://localhost/orders")


# -- in the query: never in an error, and warned of once ------------------------------------------


def test_a_token_in_the_query_is_warned_of_once(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    reject_once(api)
    assert session_for(attach=in_the_query).get(f"{URL}?page=2").status_code == 200
    queries = [call.request.params for call in api.calls]
    assert queries == [
        {"page": "2", "access_token": "access-0"},
        {"page": "2", "access_token": "access-1"},
    ]
    assert [(it.levelname, it.getMessage()) for it in caplog.records] == [
        (
            "WARNING",
            "attach= puts the token into the URL, which servers, proxies, and the logger urllib3 "
            "at DEBUG write into their logs",
        )
    ]


def test_the_error_of_an_answer_does_not_repeat_it(api: responses.RequestsMock) -> None:
    api.get(URL, status=401)
    api.get(URL, status=503)
    response = session_for(attach=in_the_query).get(URL)
    assert [it.url for it in (response, *response.history)] == [URL, URL]
    with pytest.raises(requests.HTTPError) as caught:
        response.raise_for_status()
    assert str(caught.value).endswith(f"for url: {URL}")


def test_a_redirect_goes_on_from_the_callers_url(api: responses.RequestsMock) -> None:
    api.get(URL, status=302, headers={"Location": "orders/2"})
    api.get(f"{ORIGIN}/orders/2")
    response = session_for(attach=in_the_query).get(URL)
    assert (response.status_code, response.url) == (200, f"{ORIGIN}/orders/2")
    assert [call.request.params for call in api.calls] == [{"access_token": "access-0"}] * 2


AGAIN = "access_token=access-0"


@pytest.mark.parametrize(
    ("location", "next_url"),
    [
        (f"/orders/2?{AGAIN}", f"{ORIGIN}/orders/2"),
        (f"{ORIGIN}/orders/2?a=1&{AGAIN}&b=%26#end", f"{ORIGIN}/orders/2?a=1&b=%26#end"),
        ("/orders/2?access_token=access%2D0&a=1", f"{ORIGIN}/orders/2?a=1"),
        ("?page=2&access%5Ftoken=access-0", f"{URL}?page=2"),
    ],
    ids=["relative", "absolute", "spelt otherwise", "the same path"],
)
@pytest.mark.parametrize("name", ["Location", "location"])
def test_a_redirect_that_repeats_the_query_goes_on_without_the_token(
    api: responses.RequestsMock, location: str, next_url: str, name: str
) -> None:
    """Otherwise it would be there twice, and the first be the old one after a refresh."""
    api.get(URL, status=302, headers={name: location})
    api.get(next_url.partition("?")[0].partition("#")[0])
    response = session_for(attach=in_the_query).get(f"{URL}?page=1")
    assert (response.status_code, response.url) == (200, next_url)
    assert "access-0" not in response.history[0].headers["Location"]
    assert api.calls[1].request.url.count(AGAIN) == 1


def test_a_redirect_to_another_host_has_no_token_in_its_query(api: responses.RequestsMock) -> None:
    api.get(URL, status=302, headers={"Location": f"https://cdn.example.org/1?{AGAIN}"})
    api.get("https://cdn.example.org/1")
    session = session_for(attach=in_the_query)
    assert session.get(URL).url == api.calls[1].request.url == "https://cdn.example.org/1"


def test_redirects_without_end_do_not_show_the_token(api: responses.RequestsMock) -> None:
    api.get(URL, status=302, headers={"Location": f"{URL}?{AGAIN}"})
    with pytest.raises(requests.TooManyRedirects) as caught:
        session_for(attach=in_the_query).get(URL)
    response = caught.value.response
    assert response is not None
    told = [response.url, *(one.headers["Location"] for one in (response, *response.history))]
    assert set(told) == {URL}


@pytest.mark.parametrize(
    "location",
    ["/orders/access-0", "/orders#access-0", "/orders?next=%2F%3Faccess_token=access%252D0"],
)
def test_where_the_token_cannot_be_left_out_a_redirect_is_not_followed(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture, location: str
) -> None:
    api.get(URL, status=302, headers={"Location": location})
    response = session_for(attach=in_the_query).get(URL)
    assert (response.status_code, "Location" in response.headers) == (302, False)
    assert [record.message for record in caplog.records if "redirect" in record.message] == [
        "a server has put the token into the Location of an answer, where it is left out: a "
        "redirect to there is not followed"
    ]


def test_links_to_other_pages_are_without_the_token(api: responses.RequestsMock) -> None:
    link = f'<{URL}?{AGAIN}&page=2>; rel="next", <{URL}?page=9&{AGAIN}>; rel="last"'
    api.get(URL, headers={"Link": link, "Content-Location": f"/orders/1?{AGAIN}"})
    response = session_for(attach=in_the_query).get(URL)
    assert response.links["next"]["url"] == f"{URL}?page=2"
    assert response.links["last"]["url"] == f"{URL}?page=9"
    assert response.headers["Content-Location"] == "/orders/1"


def test_what_a_function_derives_from_the_token_is_left_out_too(
    api: responses.RequestsMock,
) -> None:
    def sign(request: requests.PreparedRequest, token: Token) -> None:
        request.prepare_url(request.url, {"sig": token.access_token[::-1]})

    api.get(URL, status=302, headers={"Location": "/orders/2?a=1&sig=0-ssecca"})
    api.get(f"{ORIGIN}/orders/2")
    assert session_for(attach=sign).get(f"{URL}?a=1").url == f"{ORIGIN}/orders/2?a=1"


SECRET = "s3cret/+=~"  # most of it is spelt otherwise in a URL


def shown(error: BaseException | None) -> str:
    """All that a program might show of *error*, and of what caused it."""
    if error is None:
        return ""
    url = getattr(error, "url", None), getattr(getattr(error, "request", None), "url", None)
    return f"{error!r} {error} {error.args} {url}\n{shown(error.__cause__ or error.__context__)}"


def hang_up(connection: Any) -> None:
    read_request(connection)


def never_answer(connection: Any) -> None:
    read_request(connection)
    connection.recv(1)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (None, requests.ConnectionError),
        (hang_up, requests.ConnectionError),
        (never_answer, requests.ReadTimeout),
    ],
)
@pytest.mark.parametrize("inside", [in_the_query, None])
def test_the_error_of_a_connection_does_not_repeat_it(
    raw_server: Callable[..., RawServer],
    script: Callable[[Any], None] | None,
    kind: type[Exception],
    inside: Callable[..., Any] | None,
) -> None:
    """Without one of ours in the way, the first of them does."""
    url = "http://127.0.0.1:1" if script is None else raw_server(script).url
    session = requests.Session()
    if inside is not None:
        source = TokenSource(Refresher(), origins=[url], token=SECRET)
        session.mount(url, TokenRefreshAdapter(source, attach=inside))
        query = ""
    else:
        query = "?access_token=" + requests.utils.quote(SECRET, safe="")
    with pytest.raises(kind) as caught:
        session.get(f"{url}/orders{query}", timeout=0.3 if script is never_answer else 10)
    assert ("s3cret" in shown(caught.value)) is (inside is None)
    assert isinstance(caught.value.args[0], Exception)
    if inside is not None:
        assert caught.value.request is not None
        assert caught.value.request.url == f"{url}/orders"


def test_an_error_that_says_nothing_else_is_replaced() -> None:
    class Wire(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *_args: Any, **_how: Any) -> Any:
            raise requests.exceptions.InvalidURL(f"cannot read {request.url}", request=request)

    adapter = TokenRefreshAdapter(make_source(), attach=in_the_query, transport=Wire())
    with pytest.raises(requests.exceptions.InvalidURL) as caught:
        adapter.send(requests.Request("GET", URL).prepare())
    assert "access-0" not in shown(caught.value)
    assert "InvalidURL, whose message has the token in" in str(caught.value)


def test_another_error_stays_the_object_that_it_is() -> None:
    error = requests.exceptions.SSLError("certificate verify failed")

    class Wire(requests.adapters.HTTPAdapter):
        def send(self, *_args: Any, **_how: Any) -> Any:
            raise error

    adapter = TokenRefreshAdapter(make_source(), attach=in_the_query, transport=Wire())
    with pytest.raises(requests.exceptions.SSLError) as caught:
        adapter.send(requests.Request("GET", URL).prepare())
    assert caught.value is error


# -- what gives way ------------------------------------------------------------------------------


def test_a_scheme_that_is_a_placeholder_is_replaced_and_that_is_said_once(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    session = session_for(replaces=["Token"])
    session.headers["Authorization"] = "token ghp_placeholder"
    reject_once(api)
    session.get(URL)
    session.get(URL)
    assert sent(api) == ["Bearer access-0", "Bearer access-1", "Bearer access-1"]
    assert infos(caplog) == [
        f"requests to {ORIGIN} get the token in place of an Authorization of the scheme token "
        "(replaces=)"
    ]


@pytest.mark.parametrize("attach", ["X-Auth-Token", in_a_cookie])
@pytest.mark.parametrize("placeholder", [b"Bearer placeholder", "bearer of two words", "Bearer"])
def test_a_placeholder_is_taken_out_where_the_token_stands_elsewhere(
    api: responses.RequestsMock, attach: Any, placeholder: str | bytes
) -> None:
    session = session_for(attach=attach, replaces=("Bearer",))
    session.headers["Authorization"] = placeholder
    reject_once(api)
    session.get(URL)
    assert sent(api) == [None, None]
    assert session.headers["Authorization"] == placeholder


def test_a_scheme_that_nobody_has_sent_is_not_taken_out(api: responses.RequestsMock) -> None:
    api.get(URL)
    session_for(attach="X-Auth-Token", replaces=("XXXX",)).get(URL)
    assert sent(api) == [None]


@pytest.mark.parametrize(
    ("attach", "own"),
    [
        (None, "Sesame stale"),
        (None, "sesame stale"),
        (None, b"Sesame stale"),
        (None, "Bearer stale"),
        ("Authorization: token", "Token stale"),
        ("Authorization: token", "Bearer stale"),
        ("Authorization", "stale"),
        ("Authorization", "Bearer stale"),
    ],
)
def test_a_header_of_the_logins_own_scheme_is_replaced(
    api: responses.RequestsMock, attach: str | None, own: str | bytes
) -> None:
    source = make_source(logged_in=False)
    source.login({"access_token": "a", "token_type": "Sesame"})
    api.get(URL)
    session_for(source, attach=attach).get(URL, headers={"Authorization": own})
    [value] = sent(api)
    assert value in ("Sesame a", "token a", "a")


@pytest.mark.parametrize("in_the_store", [True, False])
def test_the_scheme_is_known_before_anything_was_sent(
    api: responses.RequestsMock, tmp_path: Path, in_the_store: bool
) -> None:
    """It is that of the stored login, or of the one to start with."""
    login = Token("a", token_type="Sesame")
    store = FileTokenStore(tmp_path / "token.json")
    if in_the_store:
        store.save(login)
    source = TokenSource(
        Refresher(), origins=[ORIGIN], store=store, token=None if in_the_store else login
    )
    api.get(URL)
    session_for(source).get(URL, headers={"Authorization": "Sesame stale"})
    assert sent(api) == ["Sesame a"]


def test_a_store_that_fails_does_not_stop_a_request_with_a_word_of_its_own(
    api: responses.RequestsMock, tmp_path: Path
) -> None:
    (tmp_path / "token.json").write_text("not a token")
    source = TokenSource(Refresher(), origins=[ORIGIN], store=tmp_path / "token.json")
    api.get(URL)
    session_for(source).get(URL, headers={"Authorization": "Sesame its-own"})
    assert sent(api) == ["Sesame its-own"]


def test_a_request_with_a_word_of_its_own_asks_the_issuer_for_nothing(
    api: responses.RequestsMock,
) -> None:
    refresher = Refresher()
    api.get(URL)
    session_for(make_source(refresher, logged_in=False)).get(URL, auth=("ann", "s3cret"))
    assert sent(api) == ["Basic YW5uOnMzY3JldA=="]
    assert refresher.calls == []


@pytest.mark.parametrize(
    ("own", "shown"),
    [
        ("token ghp_s3cret", "the scheme token"),
        ("TOKEN ghp_s3cret", "the scheme token"),
        (b"digest username=s3cret", "the scheme Digest"),
        ("AWS4-HMAC-SHA256 Credential=s3cret", "the scheme AWS4-HMAC-SHA256"),
    ],
)
def test_a_word_of_the_callers_own_passes_through_and_that_is_said_once(
    api: responses.RequestsMock,
    caplog: pytest.LogCaptureFixture,
    own: str | bytes,
    shown: str,
) -> None:
    session = session_for()
    api.get(URL, status=401)
    for _ in range(2):
        assert session.get(URL, headers={"Authorization": own}).status_code == 401
    assert sent(api) == [own, own]
    assert infos(caplog) == [
        f"requests to {ORIGIN} that have an Authorization of their own ({shown}) go out without "
        "the token; to have them get it, name the scheme in replaces="
    ]


@pytest.mark.parametrize(
    ("replaces", "error", "message"),
    [
        ("token", TypeError, r'replaces is a list of schemes, such as \["token"\], got str'),
        (7, TypeError, "replaces is a list of schemes"),
        (["token", "to ken"], ValueError, r"replaces\[1\] is not the name of an authentication"),
        ([b"token"], ValueError, r"replaces\[0\] is not the name"),
    ],
)
def test_what_is_no_list_of_schemes_is_refused(
    replaces: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        TokenRefreshAdapter(make_source(), replaces=replaces)


# -- netrc ---------------------------------------------------------------------------------------


ENTRY = ("ann", "s3cret")


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with an entry for the API."""
    path = tmp_path / ".netrc"
    path.write_text(f"machine api.example.com login {ENTRY[0]} password {ENTRY[1]}\n")
    path.chmod(0o600)
    monkeypatch.delenv("NETRC", raising=False)  # which requests 2.22 does not know
    monkeypatch.setenv("HOME", str(tmp_path))
    return path


def test_what_only_netrc_has_put_there_is_replaced_and_that_is_said_once(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture, netrc: Path
) -> None:
    reject_once(api)
    session = session_for()
    assert session.get(URL).status_code == 200
    session.get(URL)
    assert sent(api) == ["Bearer access-0", "Bearer access-1", "Bearer access-1"]
    assert infos(caplog) == [
        f"requests to {ORIGIN} get the token in place of what netrc has for that host"
    ]


@pytest.mark.parametrize("own", [("bob", "s3cret"), ("ann", "other")])
def test_other_credentials_are_the_callers_word(
    api: responses.RequestsMock, netrc: Path, own: tuple[str, str]
) -> None:
    api.get(URL)
    session_for().get(URL, auth=own)
    assert sent(api) == ["Basic " + base64.b64encode(":".join(own).encode()).decode()]


def test_what_requests_could_not_have_sent_is_not_from_netrc(
    api: responses.RequestsMock, netrc: Path
) -> None:
    netrc.write_text("machine api.example.com login ann password пароль\n", encoding="utf-8")
    api.get(URL)
    session_for().get(URL, auth=ENTRY)
    assert sent(api) == ["Basic YW5uOnMzY3JldA=="]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer stale"}])
def test_nobody_looks_into_netrc_where_there_is_nothing_to_compare(
    api: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    looked_up: list[str] = []
    monkeypatch.setattr("requests.sessions.get_netrc_auth", lambda url: looked_up.append(url))
    session = session_for()
    session.trust_env = False
    api.get(URL)
    session.get(URL, headers=headers)
    assert looked_up == []


def test_what_netrc_has_put_there_stays_where_the_token_does_not_stand(
    api: responses.RequestsMock, netrc: Path
) -> None:
    api.get(URL)
    session_for(attach="X-Auth-Token").get(URL)
    assert sent(api) == ["Basic YW5uOnMzY3JldA=="]


# -- through every door ---------------------------------------------------------------------------


def test_mount_hands_both_on(api: responses.RequestsMock) -> None:
    with requests.Session() as session:
        mount(session, make_source(), attach="X-Auth-Token", replaces=["token"])
        reject_once(api)
        session.get(URL, headers={"Authorization": "token placeholder"})
    assert (sent(api), sent(api, "X-Auth-Token")) == ([None, None], ["access-0", "access-1"])


def test_install_hands_both_on(api: responses.RequestsMock) -> None:
    reject_once(api)
    with install(make_source(), attach="X-Auth-Token", replaces=["token"]):
        requests.get(URL, headers={"Authorization": "token placeholder"}, timeout=10)
    assert (sent(api), sent(api, "X-Auth-Token")) == ([None, None], ["access-0", "access-1"])


def test_install_says_once_what_all_its_sessions_do(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    api.get(URL)
    with install(make_source(), replaces=["token"]):
        for _ in range(3):
            requests.get(URL, headers={"Authorization": "token placeholder"}, timeout=10)
    assert len(infos(caplog)) == 1


@pytest.mark.parametrize("door", ["mount", "install"])
def test_a_mistake_is_raised_at_each_door(door: str) -> None:
    with pytest.raises(TypeError, match="replaces is a list"):
        if door == "mount":
            mount(requests.Session(), make_source(), replaces="token")
        else:
            install(make_source(), replaces="token")


def no_refresh(_token: object) -> str:
    raise AssertionError


def test_a_session_pickles_with_the_place_of_its_token(
    api: responses.RequestsMock, tmp_path: Path
) -> None:
    store = FileTokenStore(tmp_path / "token.json")
    store.save(Token("a"))
    source = TokenSource(no_refresh, origins=[ORIGIN], store=store)
    session = session_for(source, attach=in_a_cookie, replaces=["token"])
    again = pickle.loads(pickle.dumps(session))
    adapter = again.get_adapter(URL)
    assert adapter._attachment._source is adapter._source
    api.get(URL)
    again.get(URL, headers={"Authorization": "token placeholder"})
    assert (sent(api), sent(api, "Cookie")) == ([None], ["session=a"])
