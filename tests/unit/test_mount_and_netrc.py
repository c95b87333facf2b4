"""`mount(session, tokens)` and ``~/.netrc``: not for the origins, and for others as ever."""

from __future__ import annotations

import base64
import copy
import gc
import io
import pickle
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import HTTPBasicAuth

from requests_tokenrefresh import TokenSource, mount
from tests.support.guarded_api import GuardedAPI
from tests.support.logins import ORIGIN, make_source
from tests.support.servers import HTTPServer, Received, Reply
from tests.support.sessions import open_source

OTHER = "https://other.example.com"
FOREIGN = "https://foreign.example.org"

ENTRY = ("ann", "s3cret")  # of every host that has one


def basic(user: str, password: str) -> str:
    """The header of these credentials."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


FROM_NETRC = basic(*ENTRY)


def lines_for(*hosts: str) -> str:
    return "".join(f"machine {host} login {ENTRY[0]} password {ENTRY[1]}\n" for host in hosts)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a netrc for all hosts but one."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    hosts = "api.example.com", "other.example.com", "foreign.example.org", "127.0.0.1", "localhost"
    netrc = tmp_path / ".netrc"
    netrc.write_text(lines_for(*hosts))
    netrc.chmod(0o600)
    return tmp_path


@pytest.fixture
def plain() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """One that a login for ORIGIN is mounted on."""
    with requests.Session() as session:
        mount(session, make_source())
        yield session


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What requests looks up in netrc, in order; it finds nothing."""
    urls: list[str] = []
    monkeypatch.setattr("requests.sessions.get_netrc_auth", lambda url: urls.append(url))
    return urls


def authorization(session: requests.Session, url: str, **options: Any) -> str | None:
    """What *session* puts into a request before any adapter sees it."""
    prepared = session.prepare_request(requests.Request("GET", url, **options))
    return prepared.headers.get("Authorization")  # type: ignore[return-value]


def test_a_request_to_the_origin_is_not_looked_up(
    session: requests.Session, looked_up: list[str]
) -> None:
    assert authorization(session, f"{ORIGIN}/orders?page=2") is None
    assert looked_up == []


def test_a_request_to_another_host_is_looked_up_once(
    session: requests.Session, looked_up: list[str]
) -> None:
    assert authorization(session, f"{FOREIGN}/orders") is None
    assert looked_up == [f"{FOREIGN}/orders"]


def test_the_token_is_sent_whatever_netrc_says() -> None:
    with GuardedAPI() as api, requests.Session() as session:
        mount(session, api.tokens)
        assert session.get(f"{api.url}/orders").status_code == 200
    assert api.sent == ["Bearer access-0"]


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (f"{FOREIGN}/orders", FROM_NETRC),
        ("https://unheard-of.example.org/", None),
        ("https://bob:pa%20ss@unheard-of.example.org/", basic("bob", "pa ss")),
        ("https://bob@unheard-of.example.org/", None),
        ("http://api.example.com/", FROM_NETRC),
        ("https://api.example.com:8443/", FROM_NETRC),
        (f"{ORIGIN}.evil.org/", None),
    ],
)
def test_other_hosts_have_what_they_have_without_a_login(
    plain: requests.Session, session: requests.Session, url: str, sent: str | None
) -> None:
    assert authorization(plain, url) == sent
    assert authorization(session, url) == sent


@pytest.mark.parametrize("url", ["https://bob:secret@foreign.example.org/", "mailto:ann@home"])
def test_of_netrc_and_url_the_same_one_wins(
    plain: requests.Session, session: requests.Session, url: str
) -> None:
    """The one that requests takes, which depends on its version."""
    assert authorization(session, url) == authorization(plain, url)


def test_credentials_in_a_url_of_the_origin_are_the_callers_word(
    home: Path, session: requests.Session
) -> None:
    (home / ".netrc").unlink()
    url = ORIGIN.replace("://", "://bob:secret@")
    assert authorization(session, url) == basic("bob", "secret")


def test_the_variable_that_names_another_file_is_heeded(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    plain: requests.Session,
    session: requests.Session,
) -> None:
    monkeypatch.setenv("NETRC", str(home / "elsewhere"))
    (home / "elsewhere").write_text(lines_for("unheard-of.example.org"))
    for host in ("unheard-of.example.org", "foreign.example.org"):
        url = f"https://{host}/"
        assert authorization(session, url) == authorization(plain, url)
    assert authorization(session, ORIGIN) is None


@pytest.mark.parametrize(
    "make_body",
    [
        lambda: None,
        lambda: b"",
        lambda: "text with an ä",
        lambda: {"field": "value"},
        lambda: iter([b"piece"]),
        lambda: io.BytesIO(b"file"),
    ],
)
@pytest.mark.parametrize("url", [ORIGIN, FOREIGN])
def test_all_other_headers_are_as_without_a_login(
    plain: requests.Session, session: requests.Session, make_body: Callable[[], Any], url: str
) -> None:
    """requests counts the body again wherever there is an *auth*."""
    plainly, ours = (
        one.prepare_request(requests.Request("POST", url, data=make_body())).headers
        for one in (plain, session)
    )
    if url == ORIGIN:
        assert plainly.pop("Authorization") == FROM_NETRC
    assert ours == plainly


# -- What the session's owner says ---------------------------------------------------------------


def test_a_session_that_does_not_trust_the_environment_goes_on_so() -> None:
    with requests.Session() as session:
        session.trust_env = False
        mount(session, make_source())
        assert authorization(session, FOREIGN) is None


def test_trust_may_end_and_come_back_afterwards(session: requests.Session) -> None:
    sent = []
    for session.trust_env in (True, False, True):
        sent.append(authorization(session, FOREIGN))
    assert sent == [FROM_NETRC, None, FROM_NETRC]


def test_credentials_in_a_url_need_no_trust(session: requests.Session) -> None:
    session.trust_env = False
    url = "https://bob:secret@foreign.example.org/"
    assert authorization(session, url) == basic("bob", "secret")


def test_an_auth_of_ones_own_stays() -> None:
    own = HTTPBasicAuth("bob", "secret")
    with requests.Session() as session:
        session.auth = own
        mount(session, make_source())
        assert session.auth is own


@pytest.mark.parametrize("url", [ORIGIN, FOREIGN])
def test_an_auth_that_is_set_afterwards_wins(session: requests.Session, url: str) -> None:
    session.auth = ("bob", "secret")
    assert authorization(session, url) == basic("bob", "secret")


def test_without_any_it_is_as_it_was(session: requests.Session) -> None:
    session.auth = None
    assert authorization(session, ORIGIN) == FROM_NETRC


@pytest.mark.parametrize("url", [ORIGIN, FOREIGN])
def test_the_auth_of_a_request_wins(session: requests.Session, url: str) -> None:
    assert authorization(session, url, auth=("bob", "secret")) == basic("bob", "secret")


def test_a_session_that_is_refused_keeps_its_auth(session: requests.Session) -> None:
    before = session.auth
    with pytest.raises(ValueError, match="another TokenSource"):
        mount(session, make_source(origins=[OTHER, ORIGIN]))
    assert session.auth is before


# -- One session, several logins, and the other way round ----------------------------------------


def test_two_logins_on_a_session_are_both_spared(
    session: requests.Session, looked_up: list[str]
) -> None:
    mount(session, make_source(origins=[OTHER]))
    assert [authorization(session, url) for url in (ORIGIN, OTHER, FOREIGN)] == [None] * 3
    assert looked_up == [f"{FOREIGN}/"]


def test_a_second_mount_changes_nothing(looked_up: list[str]) -> None:
    tokens = make_source()
    with requests.Session() as session:
        mount(session, tokens)
        once = session.auth.origins  # type: ignore[union-attr]
        mount(session, tokens)
        assert session.auth.origins == once  # type: ignore[union-attr]
        assert authorization(session, ORIGIN) is None
    assert looked_up == []


@pytest.fixture
def stored(tmp_path: Path) -> TokenSource:
    """A login that pickles."""
    return open_source(ORIGIN, str(tmp_path / "token.json"))


@pytest.mark.parametrize("copied", [lambda it: pickle.loads(pickle.dumps(it)), copy.deepcopy])
def test_a_copy_does_the_same_and_trusts_by_itself(
    stored: TokenSource, copied: Callable[[requests.Session], requests.Session]
) -> None:
    with requests.Session() as session:
        mount(session, stored)
        with copied(session) as twin:
            del session
            assert authorization(twin, ORIGIN) is None
            assert authorization(twin, FOREIGN) == FROM_NETRC
            twin.trust_env = False
            assert authorization(twin, FOREIGN) is None


def test_a_shallow_copy_trusts_as_the_first_does_until_it_is_mounted_on() -> None:
    """It shares what the first one has, the adapters too."""
    tokens = make_source()
    with requests.Session() as session:
        mount(session, tokens)
        twin = copy.copy(session)
        session.trust_env = False
        assert authorization(twin, ORIGIN) is None
        assert authorization(twin, FOREIGN) is None
        assert mount(twin, tokens) == {}
        assert authorization(twin, FOREIGN) == FROM_NETRC
        assert authorization(session, FOREIGN) is None


def test_a_shallow_copy_may_outlive_the_first(stored: TokenSource) -> None:
    session = requests.Session()
    mount(session, stored)
    twin = copy.copy(session)
    del session
    for one in (twin, copy.deepcopy(twin)):
        assert authorization(one, ORIGIN) is None
        assert authorization(one, FOREIGN) == FROM_NETRC
    twin.close()


def test_a_session_goes_with_its_last_reference() -> None:
    """And its connections with it, not when the garbage collector comes by."""
    gc.disable()
    try:
        session = requests.Session()
        gone = weakref.ref(session)
        mount(session, make_source())
        del session
        assert gone() is None
    finally:
        gc.enable()


# -- Redirects -----------------------------------------------------------------------------------


def redirect_to(url: str) -> Callable[[Received], Reply]:
    return lambda request: Reply(302, headers=[("Location", url)])


def test_a_redirect_to_another_host_has_what_netrc_says_there(
    http_server: Callable[..., HTTPServer],
) -> None:
    other = http_server(lambda request: Reply(), host="127.0.0.1")
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    with GuardedAPI(redirect_to(elsewhere)) as api, requests.Session() as session:
        mount(session, api.tokens)
        assert session.get(api.url).status_code == 200
    assert api.sent == ["Bearer access-0"]
    assert [request.headers["Authorization"] for request in other.requests] == [FROM_NETRC]


def test_a_redirect_from_another_host_has_the_token_at_the_origin(
    http_server: Callable[..., HTTPServer],
) -> None:
    """requests looks into netrc again, and finds something there for the origin."""
    with GuardedAPI() as api, requests.Session() as session:
        mount(session, api.tokens)
        other = http_server(redirect_to(f"{api.url}/orders"))
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        assert session.get(elsewhere).text == "/orders"
    assert [request.headers["Authorization"] for request in other.requests] == [FROM_NETRC]
    assert api.sent == ["Bearer access-0"]
