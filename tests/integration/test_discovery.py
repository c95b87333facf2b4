"""What issuers publish about themselves (RFC 8414), and what becomes of it: real HTTP."""

from __future__ import annotations

import json
import pickle
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from requests_tokenrefresh import (
    AuthorizationServer,
    ClientCredentialsGrant,
    InsecureTransportError,
    LoginFailedError,
    LoginRequiredError,
    RefreshFailedError,
    RefreshTokenGrant,
    Token,
)
from requests_tokenrefresh.refreshers import _exchange
from tests.support.servers import HTTPServer, Received, Reply
from tests.support.tls_front import TLSFront, tls_front

OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"

Change = Callable[[str], Any]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxies of whoever runs the tests."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Site:
    """A server with pages: *pages* has a reply, or what makes one of the site's URL, by path."""

    def __init__(self, start: Callable[..., HTTPServer], **pages: Any) -> None:
        self.pages: dict[str, Reply | Change] = {}
        self._server = start(self._answer)
        self.url = self._server.url

    def _answer(self, request: Received) -> Reply | None:
        page = self.pages.get(request.path, Reply(404, b"not found"))
        return page if isinstance(page, Reply) else page(self.url)

    @property
    def asked(self) -> list[str]:
        return [request.path for request in self._server.requests]

    @property
    def requests(self) -> list[Received]:
        return self._server.requests

    def discover(self, path: str = "", **arguments: Any) -> AuthorizationServer:
        return AuthorizationServer.discover(self.url + path, **arguments)

    def failure(self, path: str = "", **arguments: Any) -> Exception:
        with pytest.raises((LoginFailedError, RefreshFailedError)) as caught:
            self.discover(path, **arguments)
        return caught.value


@pytest.fixture
def site(http_server: Callable[..., HTTPServer]) -> Site:
    return Site(http_server)


def metadata(url: str, **changes: Any) -> dict[str, Any]:
    usual = {"issuer": url, "token_endpoint": f"{url}/token"}
    told = {**usual, **changes}
    return {name: value for name, value in told.items() if value is not LEFT_OUT}


LEFT_OUT = object()


def page(**changes: Any) -> Change:
    """A page with the metadata of its site; a change may be a function of the site's URL."""

    def reply(url: str) -> Reply:
        told = {name: value(url) if callable(value) else value for name, value in changes.items()}
        return Reply.json(metadata(url, **told))

    return reply


# -- Where it is ----------------------------------------------------------------------------------


def test_what_an_issuer_publishes_is_known_of_it(site: Site) -> None:
    """RFC 8414 section 2; what is not there is not known."""
    site.pages[OAUTH] = page(
        authorization_endpoint=lambda url: f"{url}/authorize?tenant=1",
        device_authorization_endpoint=lambda url: f"{url}/device",
        revocation_endpoint="https://elsewhere.example/revoke",
        scopes_supported=["openid", "offline_access"],
        token_endpoint_auth_methods_supported=["client_secret_post", "none"],
        code_challenge_methods_supported=["plain", "S256"],
        authorization_response_iss_parameter_supported=True,
        jwks_uri=7,
    )
    server = site.discover()
    assert server == AuthorizationServer(
        issuer=site.url,
        token_endpoint=f"{site.url}/token",
        authorization_endpoint=f"{site.url}/authorize?tenant=1",
        device_authorization_endpoint=f"{site.url}/device",
        revocation_endpoint="https://elsewhere.example/revoke",
        scopes_supported=("openid", "offline_access"),
        token_endpoint_auth_methods_supported=("client_secret_post", "none"),
        code_challenge_methods_supported=("plain", "S256"),
        authorization_response_iss_parameter_supported=True,
    )
    assert pickle.loads(pickle.dumps(server)) == server
    assert len({server, pickle.loads(pickle.dumps(server))}) == 1


def test_what_is_not_said_is_not_known(site: Site) -> None:
    site.pages[OAUTH] = page()
    assert site.discover() == AuthorizationServer(
        issuer=site.url, token_endpoint=f"{site.url}/token"
    )


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("", [OAUTH, OPENID]),
        ("/", [OAUTH, OPENID]),
        ("/t/1", [f"{OAUTH}/t/1", f"/t/1{OPENID}", f"/t/1{OAUTH}", f"{OPENID}/t/1"]),
        ("/t/1/", [f"{OAUTH}/t/1", f"/t/1{OPENID}", f"/t/1{OAUTH}", f"{OPENID}/t/1"]),
    ],
)
def test_addresses_are_tried_in_order_until_one_has_it(
    site: Site, path: str, there: list[str]
) -> None:
    """RFC 8414 sections 3 and 5, OpenID Connect Discovery section 4; then each the other way."""
    for number, address in enumerate(there, 1):
        asked_before = len(site.asked)
        site.pages = {address: page(issuer=lambda url: url + path)}
        assert site.discover(path).issuer == site.url + path
        assert site.asked[asked_before:] == there[:number]


NO_DOCUMENT: dict[str, Reply | Change] = {
    "404": Reply(404),
    "401": Reply(401, b'{"issuer": "x"}'),
    "400 in JSON": Reply.json({"error": "invalid"}, 400),
    "a page": Reply(200, b"<html>", [("Content-Type", "application/json")]),
    "a list": Reply.json([]),
    "a string": Reply.json("issuer"),
    "null": Reply.json(None),
    "a form": Reply(200, b"issuer=a&token_endpoint=b"),
    "nothing": Reply(200),
    "JSON of another kind": Reply.json({"message": "not found"}),
    "JSON without end": Reply(200, b'{"a":' * 100_000),
    "bytes that are no text": Reply(200, b"\xff\xfe\xfd"),
    "a redirect": Reply(302, headers=[("Location", "/token")]),
    "a redirect elsewhere": Reply(307, headers=[("Location", "https://evil.example/")]),
    "204": Reply(204),
    "another success": lambda url: Reply.json(metadata(url, token_endpoint=f"{url}/other"), 203),
    "another's document": Reply.json(metadata("https://evil.example")),
}


@pytest.mark.parametrize("reply", NO_DOCUMENT.values(), ids=NO_DOCUMENT)
def test_where_it_is_not_the_next_address_is_tried(site: Site, reply: Reply | Change) -> None:
    """Nor is a redirect followed, which would end wherever it likes."""
    site.pages = {OAUTH: reply, OPENID: page()}
    assert site.discover().token_endpoint == f"{site.url}/token"
    assert site.asked == [OAUTH, OPENID]


def test_one_that_publishes_nothing_can_be_written_down(site: Site) -> None:
    site.pages[OPENID] = Reply(301, headers=[("Location", "https://id.example.com/x?y=hunter2")])
    failure = site.failure()
    assert isinstance(failure, LoginRequiredError)
    assert failure.reason == "no_discovery"
    assert f"{OAUTH} (404)" in str(failure)
    assert f"{OPENID} (301, a redirect to https://id.example.com/x, not followed" in str(failure)
    assert "AuthorizationServer(token_endpoint=" in str(failure)
    assert "hunter2" not in str(failure)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_server_in_trouble_is_asked_later_and_nothing_is_concluded(
    site: Site, status: int
) -> None:
    site.pages = {OAUTH: Reply(status, headers=[("Retry-After", "7")]), OPENID: page()}
    failure = site.failure()
    assert isinstance(failure, RefreshFailedError)
    assert (failure.status, failure.retry_after) == (status, 7.0)
    assert "try again later" in str(failure)
    assert site.asked == [OAUTH]


def test_who_does_not_answer_is_out_of_reach(site: Site) -> None:
    with pytest.raises(RefreshFailedError, match=r"could not be had.*; try again later"):
        AuthorizationServer.discover("http://127.0.0.1:1")


def test_a_connection_that_breaks_is_made_once_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_exchange, "_LATE", 60.0)  # on a busy machine it may break late

    def breaks(_url: str) -> None:
        site.pages[OAUTH] = page()

    site.pages[OAUTH] = breaks
    assert site.discover().issuer == site.url
    assert site.asked == [OAUTH, OAUTH]


def test_an_answer_that_does_not_come_is_not_waited_for(
    raw_server: Callable[..., Any],
) -> None:
    """Long before the deadline."""
    silent = raw_server(lambda connection: connection.recv(65536) and connection.recv(1))
    with pytest.raises(RefreshFailedError, match="Read timed out"):
        AuthorizationServer.discover(silent.url, timeout=(5.0, 0.05))


def test_proxies_are_used_where_nobody_can_read_along() -> None:
    proxies = {"https": "http://127.0.0.1:1"}
    with pytest.raises(RefreshFailedError, match="check proxies="):
        AuthorizationServer.discover("https://auth.example.com", proxies=proxies)


def test_all_addresses_have_one_deadline(raw_server: Callable[..., Any]) -> None:
    """Each of the four would answer by itself in time."""

    def script(connection: Any) -> None:
        connection.recv(65536)
        time.sleep(0.15)
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    server = raw_server(script)
    with pytest.raises(RefreshFailedError, match="no complete answer within"):
        AuthorizationServer.discover(f"{server.url}/t", deadline=0.3)
    assert server.accepted < 4


def test_a_document_without_end_is_not_read_to_it(site: Site) -> None:
    site.pages[OAUTH] = Reply(200, (b" " * 65536 for _ in range(100)))
    assert "larger than" in str(site.failure())


def test_nothing_is_sent_that_the_environment_knows(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    site.pages[OAUTH] = page()
    site.discover()
    [request] = site.requests
    assert request.headers["Authorization"] is None
    assert request.headers["Accept"] == "application/json"


@pytest.mark.parametrize("key", ["http", "all", "HTTP", "http://127.0.0.1", "All://127.0.0.1"])
def test_a_proxy_cannot_make_up_what_a_server_on_this_machine_says(site: Site, key: str) -> None:
    with pytest.raises(InsecureTransportError, match="proxies="):
        site.discover(proxies={key: "http://127.0.0.1:1"})
    assert site.asked == []


def test_the_password_of_a_proxy_is_not_told() -> None:
    for proxy in ("http://me:{}@127.0.0.1:1", "http://me:{}@a b:x"):
        proxies = {"https": proxy.format("pw-5f2d9c1b7a3e")}
        with pytest.raises(RefreshFailedError) as caught:
            AuthorizationServer.discover("https://auth.example.test", proxies=proxies)
        shown = f"{caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
        assert "5f2d9c1b7a3e" not in shown


# -- Whose it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("ours", "theirs"), [("", "/"), ("/", ""), ("/t", "/t/"), ("/t/", "/t")])
def test_a_slash_at_the_end_may_differ_and_then_theirs_counts(
    site: Site, ours: str, theirs: str
) -> None:
    """RFC 8414 section 3.3 wants the same; people and servers do not keep to it."""
    site.pages[OAUTH + ours.rstrip("/")] = page(issuer=lambda url: url + theirs)
    assert site.discover(ours).issuer == site.url + theirs


MISMATCHES: dict[str, tuple[Any, str]] = {
    "another": ("https://evil.example", "pass it as the issuer"),
    "a longer one": (lambda url: f"{url}/t", "pass it as the issuer"),
    "two slashes": (lambda url: f"{url}//", "pass it as the issuer"),
    "another spelling": (lambda url: url.replace("http", "HTTP"), "pass it as the issuer"),
    "that of many tenants": (
        "https://login.example.com/{tenantid}/v2.0",
        "for many tenants; pass the issuer of yours, which is like "
        "https://login.example.com/{tenantid}/v2.0",
    ),
    "none": (LEFT_OUT, "does not say whose it is"),
    "null": (None, "does not say whose it is"),
    "a number": (7, "does not say whose it is"),
    "an object": ({"url": "https://a"}, "does not say whose it is"),
}


@pytest.mark.parametrize(("named", "words"), MISMATCHES.values(), ids=MISMATCHES)
def test_what_is_of_another_is_not_used(site: Site, named: Any, words: str) -> None:
    """RFC 8414 section 3.3."""
    site.pages[OAUTH] = page(issuer=named)
    failure = site.failure()
    assert isinstance(failure, LoginFailedError)
    assert failure.reason == "issuer_mismatch"
    assert words in str(failure)


def test_of_two_that_are_of_others_the_first_is_told(site: Site) -> None:
    site.pages = {
        OAUTH: page(issuer="https://one.example"),
        OPENID: page(issuer="https://b.example"),
    }
    assert "https://one.example" in str(site.failure())


def test_a_mismatch_is_told_although_the_next_address_is_in_trouble(site: Site) -> None:
    site.pages = {OAUTH: page(issuer="https://evil.example"), OPENID: Reply(500)}
    assert getattr(site.failure(), "reason", None) == "issuer_mismatch"


def test_what_a_server_calls_itself_is_one_printable_line(site: Site) -> None:
    site.pages[OAUTH] = page(issuer="https://evil.example/\x1b[2J\n" + "x" * 5000)
    assert str(site.failure()).isprintable()
    assert len(str(site.failure())) < 500


# -- What cannot be right -------------------------------------------------------------------------

ENDPOINTS = [
    "token_endpoint",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
]
UNUSABLE: dict[str, tuple[Any, str]] = {
    "plain http to another machine": ("http://a.example/x", "plain http"),
    "a script": ("javascript:alert(1)", "not the URL"),
    "a path": ("/token", "not the URL"),
    "a user name": ("https://u:hunter2@a.example/", "not the URL"),
    "a fragment": ("https://a.example/x#y", "not the URL"),
    "a list": (["https://a.example/x"], "not the URL"),
    "a number": (7, "not the URL"),
}


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize(("url", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_endpoint_to_which_nothing_secret_can_go_is_none(
    site: Site, name: str, url: Any, words: str
) -> None:
    site.pages[OAUTH] = page(**{name: url})
    failure = site.failure()
    assert isinstance(failure, LoginFailedError)
    assert failure.reason == "bad_answer"
    assert f"its {name} is {words}" in str(failure)
    assert "hunter2" not in str(failure)
    assert site.asked == [OAUTH]  # it is of the issuer: there is no other


@pytest.mark.parametrize("value", [LEFT_OUT, None, ""])
def test_without_a_token_endpoint_nothing_can_be_done(site: Site, value: Any) -> None:
    site.pages[OAUTH] = page(token_endpoint=value)
    failure = site.failure()
    assert isinstance(failure, LoginFailedError)
    assert failure.reason == "bad_answer"
    assert "its token_endpoint is missing" in str(failure)


@pytest.mark.parametrize("name", ENDPOINTS[1:])
@pytest.mark.parametrize("value", [None, ""])
def test_an_endpoint_that_is_null_or_empty_is_not_there(site: Site, name: str, value: Any) -> None:
    site.pages[OAUTH] = page(**{name: value})
    assert getattr(site.discover(), name) is None


ODD: dict[str, tuple[str, Any, Any]] = {
    "words in a string": (
        "scopes_supported",
        "openid offline_access",
        ("openid", "offline_access"),
    ),
    "a list of other things": ("scopes_supported", ["openid", 1], None),
    "an object": ("code_challenge_methods_supported", {}, None),
    "an empty list": ("code_challenge_methods_supported", [], ()),
    "null": ("token_endpoint_auth_methods_supported", None, None),
    "a promise in words": ("authorization_response_iss_parameter_supported", "true", False),
}


@pytest.mark.parametrize(("name", "value", "read"), ODD.values(), ids=ODD)
def test_what_is_only_odd_is_read_as_far_as_it_can_be(
    site: Site, name: str, value: Any, read: Any
) -> None:
    site.pages[OAUTH] = page(**{name: value})
    assert getattr(site.discover(), name) == read


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_json_may_be_in_any_of_its_encodings(site: Site, encoding: str) -> None:
    body = json.dumps(metadata(site.url, policy="dürfen"), ensure_ascii=False).encode(encoding)
    site.pages[OAUTH] = Reply(200, body, [("Content-Type", "text/plain")])
    assert site.discover().issuer == site.url


# -- Over TLS -------------------------------------------------------------------------------------


@pytest.fixture
def front(site: Site, tmp_path: Path) -> Iterator[TLSFront]:
    """In front of the site, which does not know of it."""
    with tls_front(int(site.url.rpartition(":")[2]), tmp_path) as front:
        yield front


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_issuer_elsewhere_cannot_name_a_program_on_this_machine(
    site: Site, front: TLSFront, name: str
) -> None:
    """RFC 8252 section 8.3: plain http to the loopback is for an issuer that is there itself."""
    issuer = f"HTTPS://127.0.0.1:{front.port}"
    told = {"issuer": issuer, "token_endpoint": f"{issuer}/token"}
    site.pages[OAUTH] = Reply.json({**told, name: f"http://127.0.0.1:{front.port}/x"})
    with pytest.raises(LoginFailedError, match=f"its {name} is plain http, and the issuer is not"):
        AuthorizationServer.discover(issuer, verify=str(front.certificate))
    site.pages[OAUTH] = Reply.json({**told, name: f"{issuer}/x"})
    server = AuthorizationServer.discover(issuer, verify=str(front.certificate))
    assert getattr(server, name) == f"{issuer}/x"


def test_a_certificate_that_nobody_knows_names_the_argument_that_helps(front: TLSFront) -> None:
    with pytest.raises(RefreshFailedError, match="pass verify= with the CA bundle") as caught:
        AuthorizationServer.discover(f"https://127.0.0.1:{front.port}")
    assert "later" not in str(caught.value)


# -- Who is asked at all --------------------------------------------------------------------------

NO_ISSUER: dict[str, tuple[Any, type[Exception], str]] = {
    "plain http": (
        "http://auth.example.com",
        InsecureTransportError,
        "the issuer is plain http.*to a grant, with insecure=True",
    ),
    "a name": ("auth.example.com", ValueError, "the issuer is not an http or https URL"),
    "no string": (7, ValueError, "the issuer is not an http or https URL"),
    "a user": ("https://u:hunter2@auth.example.com", ValueError, "not repeated here"),
    "a query": ("https://a.example?tenant=1", ValueError, "no query and no fragment"),
    "a fragment": ("https://a.example#x", ValueError, "no query and no fragment"),
    "an address": (
        f"https://a.example/t{OPENID}",
        ValueError,
        "and not its name: pass 'https://a.example/t'",
    ),
    "an address of RFC 8414": (f"https://a.example{OAUTH}/t", ValueError, "'https://a.example/t'"),
}


@pytest.mark.parametrize(("issuer", "error", "words"), NO_ISSUER.values(), ids=NO_ISSUER)
def test_what_is_no_issuer_is_not_asked(issuer: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        AuthorizationServer.discover(issuer)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [{"timeout": 3}, {"timeout": (0, 1)}, {"deadline": 0}, {"deadline": "long"}],
)
def test_what_no_time_can_be_is_not_taken(site: Site, arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=next(iter(arguments))):
        site.discover(**arguments)
    assert site.asked == []


# -- Written down, and used -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://auth.example.com/x", InsecureTransportError),
        ("https://a.example/x#y", ValueError),
        ("a.example/x", ValueError),
        (7, TypeError),
    ],
)
def test_one_that_is_written_down_is_checked_too(
    name: str, url: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=name):
        AuthorizationServer(**{"token_endpoint": "https://a.example/t", name: url})


def test_what_is_written_down_does_not_change() -> None:
    scopes = ["a"]
    server = AuthorizationServer(token_endpoint="https://a", scopes_supported=scopes)  # type: ignore[arg-type]
    scopes.append("b")
    assert server.scopes_supported == ("a",)


@pytest.mark.parametrize(
    ("listed", "wanted", "in_the_form"),
    [
        (None, None, False),
        (["client_secret_post"], None, True),
        (["client_secret_post", "client_secret_basic"], None, False),
        (["private_key_jwt"], None, False),
        ([], None, False),
        (["client_secret_post"], "client_secret_basic", False),
        (["client_secret_basic"], "client_secret_post", True),
    ],
)
def test_a_grant_authenticates_as_the_server_lists_it_unless_told(
    site: Site, listed: Any, wanted: Any, in_the_form: bool
) -> None:
    site.pages[OAUTH] = page(token_endpoint_auth_methods_supported=listed)
    site.pages["/token"] = Reply.json({"access_token": "new"})
    grant = ClientCredentialsGrant(
        site.discover(),
        client_id="reports",
        client_secret="s3cret",
        token_endpoint_auth_method=wanted,
    )
    assert grant().access_token == "new"
    asked = site.requests[-1]
    assert parse_qs(asked.body.decode()).get("client_secret") == (
        ["s3cret"] if in_the_form else None
    )
    if not in_the_form:
        assert b64decode(asked.headers["Authorization"].split()[1]) == b"reports:s3cret"


def test_a_grant_of_a_server_refreshes_there_and_pickles(site: Site) -> None:
    site.pages[OAUTH] = page()
    site.pages["/token"] = Reply.json({"access_token": "new"})
    grant = RefreshTokenGrant(site.discover(), client_id="reports")
    assert pickle.loads(pickle.dumps(grant))(Token("old", "refresh")).access_token == "new"
    assert repr(grant) == f"RefreshTokenGrant('{site.url}/token', client_id='reports')"
