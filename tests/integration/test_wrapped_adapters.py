"""The adapter in front of other people's adapters: the real ones, on real servers."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests_ratelimiter import LimiterAdapter
from requests_toolbelt.adapters.fingerprint import FingerprintAdapter
from requests_toolbelt.adapters.host_header_ssl import HostHeaderSSLAdapter
from requests_toolbelt.adapters.socket_options import TCPKeepAliveAdapter
from requests_toolbelt.adapters.source import SourceAddressAdapter
from requests_toolbelt.adapters.ssl import SSLAdapter
from requests_unixsocket import UnixAdapter
from urllib3.util.retry import Retry

from requests_tokenrefresh import install, mount
from requests_tokenrefresh.testing import FakeTokenSource
from tests.support.guarded_api import GuardedAPI
from tests.support.servers import RawServer, Received, Reply, read_request
from tests.support.tls_front import TLSFront, tls_front
from tests.support.unix_socket import unix_socket

# As a server sees it: a rejection, and the replay.
REPLAYED = ["Bearer access-0", "Bearer access-1"]


@pytest.fixture
def api() -> Iterator[GuardedAPI]:
    with GuardedAPI() as api:
        yield api


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False  # a CA bundle in the environment outranks session.verify
        yield session


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture
def front(api: GuardedAPI, tmp_path: Path) -> Iterator[TLSFront]:
    """The API by TLS, for 127.0.0.1 by its certificate; the login is for this origin."""
    with tls_front(int(api.url.rpartition(":")[2]), tmp_path) as front:
        api.tokens = FakeTokenSource(
            origins=[f"https://127.0.0.1:{front.port}", f"https://localhost:{front.port}"]
        )
        yield front


def trusting(front: TLSFront) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=front.certificate)
    context.check_hostname = False  # urllib3 1.26 cannot, for an address
    return context


class WithContext(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self.context, **kwargs)


def test_a_tls_context_of_ones_own_is_used(
    api: GuardedAPI, front: TLSFront, session: requests.Session
) -> None:
    context = trusting(front)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    url = f"https://127.0.0.1:{front.port}/orders"
    session.mount("https://", WithContext(context))
    wrapped = mount(session, api.tokens)
    api.tokens.revoke()

    with session.get(url, stream=True) as response:
        assert response.raw.connection.sock.version() == "TLSv1.2"
    assert (response.status_code, api.sent) == (200, REPLAYED)
    assert {type(adapter) for adapter in wrapped.values()} == {WithContext}


def test_a_tls_context_of_ones_own_is_used_where_it_is_mounted_after_install(
    api: GuardedAPI, front: TLSFront
) -> None:
    with install(api.tokens), requests.Session() as session:
        session.mount("https://", WithContext(trusting(front)))
        api.tokens.revoke()
        assert session.get(f"https://127.0.0.1:{front.port}/orders").status_code == 200
    assert api.sent == REPLAYED


def fingerprint_of(certificate: Path) -> str:
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    return hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("kind", ["SSLAdapter", "FingerprintAdapter"])
def test_toolbelts_tls_adapters_send(
    api: GuardedAPI, front: TLSFront, session: requests.Session, kind: str
) -> None:
    adapter = {
        "SSLAdapter": lambda: SSLAdapter(ssl.PROTOCOL_TLS_CLIENT),
        "FingerprintAdapter": lambda: FingerprintAdapter(fingerprint_of(front.certificate)),
    }[kind]()
    session.mount("https://", adapter)
    session.verify = str(front.certificate)
    mount(session, api.tokens)
    api.tokens.revoke()
    assert session.get(f"https://127.0.0.1:{front.port}/orders").status_code == 200
    assert api.sent == REPLAYED


def test_a_wrong_fingerprint_is_still_refused(
    api: GuardedAPI, front: TLSFront, session: requests.Session
) -> None:
    session.mount("https://", FingerprintAdapter("00" * 32))
    session.verify = str(front.certificate)
    mount(session, api.tokens)
    with pytest.raises(requests.exceptions.SSLError):
        session.get(f"https://127.0.0.1:{front.port}/orders")
    assert api.sent == []


def test_toolbelts_host_header_adapter_checks_the_certificate_against_that_header(
    api: GuardedAPI, front: TLSFront, session: requests.Session
) -> None:
    """The origin is the address in the URL: that is where the token goes."""
    session.mount("https://", HostHeaderSSLAdapter())
    session.verify = str(front.certificate)
    mount(session, api.tokens)
    url = f"https://localhost:{front.port}/orders"

    with pytest.raises(requests.exceptions.SSLError):
        session.get(url)
    api.tokens.revoke()
    response = session.get(url, headers={"Host": "127.0.0.1"})

    assert (response.status_code, api.sent) == (200, REPLAYED)
    assert [request.headers["Host"] for request in api.requests] == ["127.0.0.1"] * 2


# -- Sockets ---------------------------------------------------------------------------------------


def test_toolbelts_source_address_is_that_of_the_replay_too(session: requests.Session) -> None:
    seen: list[tuple[str, str | None]] = []

    def script(connection: socket.socket) -> None:
        request = read_request(connection)
        seen.append((connection.getpeername()[0], request.headers["Authorization"]))
        status = "200 OK" if tokens.accepts(request) else "401 Unauthorized"  # type: ignore[arg-type]
        head = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())

    with RawServer(script) as server:
        tokens = FakeTokenSource(origins=[server.url])
        session.mount("http://", SourceAddressAdapter("127.0.0.2"))
        mount(session, tokens)
        tokens.revoke()
        assert session.get(server.url).status_code == 200
    assert seen == [("127.0.0.2", token) for token in REPLAYED]


def test_toolbelts_socket_options_are_set(api: GuardedAPI, session: requests.Session) -> None:
    session.mount("http://", TCPKeepAliveAdapter(idle=7))
    mount(session, api.tokens)
    api.tokens.revoke()
    with session.get(api.url, stream=True) as response:
        sock = response.raw.connection.sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert api.sent == REPLAYED


class OverSocket(UnixAdapter):  # type: ignore[misc]
    """Sends by one Unix socket, whatever the URL."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.url = "http+unix://" + quote(path, safe="")

    def get_connection(self, url: str, proxies: Any = None) -> Any:
        return super().get_connection(self.url, proxies)


@pytest.fixture
def socket_path(api: GuardedAPI, tmp_path: Path) -> Iterator[str]:
    with unix_socket(tmp_path / "api.sock", api.url):
        yield str(tmp_path / "api.sock")


def test_a_unix_socket_is_reached_by_the_name_of_localhost(
    api: GuardedAPI, session: requests.Session, socket_path: str
) -> None:
    api.tokens = FakeTokenSource(origins=["http://localhost"])
    session.mount("http://localhost", OverSocket(socket_path))
    mount(session, api.tokens)
    api.tokens.revoke()
    assert session.get("http://localhost/orders").text == "/orders"
    assert api.sent == REPLAYED


def test_an_address_of_requests_unixsocket_is_no_origin_and_gets_no_token(
    api: GuardedAPI, session: requests.Session, socket_path: str
) -> None:
    url = "http+unix://" + quote(socket_path, safe="")
    with pytest.raises(ValueError, match="not an http or https URL"):
        FakeTokenSource(origins=[url])
    session.mount("http+unix://", UnixAdapter())
    with install(api.tokens):
        assert session.get(f"{url}/orders").status_code == 401
    assert api.sent == [None]


# -- Limits and retries ----------------------------------------------------------------------------


def test_a_replay_counts_against_the_limit(api: GuardedAPI, session: requests.Session) -> None:
    session.mount("http://", LimiterAdapter(per_hour=2, max_delay=0))
    mount(session, api.tokens)
    api.tokens.revoke()
    assert session.get(api.url).status_code == 200
    with pytest.raises(requests.Timeout, match="Rate limit"):
        session.get(api.url)
    assert api.sent == REPLAYED


@pytest.mark.parametrize("installed", [True, False])
def test_a_retry_on_503_and_the_replay_do_not_get_into_each_others_way(installed: bool) -> None:
    answers = [503, 503, 200, 503, 200]

    def answer(request: Received) -> Reply:
        return Reply(answers.pop(0))

    retry = Retry(3, status_forcelist=[503], backoff_factor=0)
    with GuardedAPI(answer) as api, requests.Session() as session:
        if installed:
            with install(api.tokens):
                session = requests.Session()
        session.mount("http://", HTTPAdapter(max_retries=retry))
        if not installed:
            mount(session, api.tokens)
        api.tokens.revoke()
        assert session.get(api.url).status_code == 200
        assert session.get(api.url).status_code == 200
        session.close()
    assert api.sent == ["Bearer access-0"] + ["Bearer access-1"] * 5


def test_where_the_code_retries_on_401_itself_installing_changes_nothing(api: GuardedAPI) -> None:
    """By hand it is refused, as urllib3 would hide the answer; here there is nobody to tell."""
    retry = Retry(2, status_forcelist=[401], backoff_factor=0)
    with install(api.tokens), requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retry))
        api.tokens.revoke()
        with pytest.raises(requests.exceptions.RetryError):
            session.get(api.url)
    assert api.sent == ["Bearer access-0"] * 3


# -- Whatever it is --------------------------------------------------------------------------------


def test_an_adapter_that_is_no_http_adapter_sends_too(session: requests.Session) -> None:
    class InMemory(BaseAdapter):
        def send(
            self, request: requests.PreparedRequest, *args: Any, **how: Any
        ) -> requests.Response:
            response = requests.Response()
            response.status_code = 200 if tokens.accepts(request) else 401
            response.request, response.url = request, request.url or ""
            response._content = b"from memory"
            return response

        def close(self) -> None:
            pass

    tokens = FakeTokenSource()
    session.mount("https://", InMemory())
    mount(session, tokens)
    tokens.revoke()
    assert session.get("https://api.example.com/orders").text == "from memory"
    assert tokens.refreshes == 1
