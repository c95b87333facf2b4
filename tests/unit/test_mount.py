"""`mount(session, tokens)`: in front of what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.util.retry import Retry

from requests_tokenrefresh import TokenRefreshAdapter, TokenSource, install, mount
from tests.support.guarded_api import GuardedAPI
from tests.support.logins import ORIGIN, make_source

OTHER = "https://other.example.com"
THIRD = "https://third.example.com"


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def transport_at(session: requests.Session, url: str) -> BaseAdapter | None:
    """What the adapter that *session* uses for *url* wraps."""
    adapter = session.get_adapter(url)
    assert isinstance(adapter, TokenRefreshAdapter)
    return adapter._transport


def test_every_origin_is_mounted_and_what_was_there_is_returned(session: requests.Session) -> None:
    default, own = session.get_adapter("https://"), HTTPAdapter()
    session.mount(OTHER, own)

    wrapped = mount(session, make_source(origins=[ORIGIN, OTHER]))

    assert wrapped == {ORIGIN: default, OTHER: own}
    assert transport_at(session, f"{ORIGIN}/orders") is default
    assert transport_at(session, f"{OTHER}/orders") is own


def test_without_options_it_is_mounted_as_an_adapter_without_options(
    session: requests.Session,
) -> None:
    source = make_source()
    mount(session, source)
    mounted, made = session.get_adapter(ORIGIN), TokenRefreshAdapter(source)
    assert isinstance(mounted, TokenRefreshAdapter)
    assert (mounted._is_rejected, mounted._spool_bodies) == (made._is_rejected, made._spool_bodies)


def test_nothing_else_is_mounted(session: requests.Session) -> None:
    before = dict(session.adapters)
    mount(session, make_source())
    del session.adapters[ORIGIN]
    assert session.adapters == before


@pytest.mark.parametrize("prefix", ["/", "/v2/", ":443/", "/V2"])
def test_what_is_mounted_inside_of_an_origin_is_wrapped_too(
    session: requests.Session, prefix: str
) -> None:
    """requests finds the longest prefix first, and would go past an adapter on the origin."""
    default, own = session.get_adapter("https://"), HTTPAdapter()
    session.mount(ORIGIN + prefix, own)

    wrapped = mount(session, make_source())

    assert wrapped == {ORIGIN: default, ORIGIN + prefix: own}
    assert transport_at(session, f"{ORIGIN}{prefix}/orders") is own


def test_what_is_mounted_on_another_origin_is_left_alone(session: requests.Session) -> None:
    own = HTTPAdapter()
    session.mount(f"{ORIGIN}.evil.com/", own)
    mount(session, make_source())
    assert session.get_adapter(f"{ORIGIN}.evil.com/") is own


def test_a_second_time_nothing_is_wrapped(session: requests.Session) -> None:
    tokens = make_source()
    mount(session, tokens)
    mounted = dict(session.adapters)

    assert mount(session, tokens) == {}
    assert session.adapters == mounted


def test_one_mounted_by_hand_is_not_wrapped_again(session: requests.Session) -> None:
    tokens = make_source()
    session.mount("https://", TokenRefreshAdapter(tokens))
    assert mount(session, tokens) == {}


def test_two_logins_for_two_origins_share_a_session(session: requests.Session) -> None:
    ours, theirs = make_source(), make_source(origins=[OTHER])
    session.mount("https://", TokenRefreshAdapter(theirs))
    by_hand = session.get_adapter("https://")
    assert mount(session, ours) == {ORIGIN: by_hand}


def test_one_that_another_has_wrapped_is_not_wrapped_again(session: requests.Session) -> None:
    ours, theirs = make_source(), make_source(origins=[OTHER])
    session.mount("https://", TokenRefreshAdapter(theirs, transport=TokenRefreshAdapter(ours)))
    assert mount(session, ours) == {}


def test_two_logins_for_one_origin_are_refused_and_nothing_is_mounted(
    session: requests.Session,
) -> None:
    mount(session, make_source(origins=[OTHER]))
    before = dict(session.adapters)

    with pytest.raises(ValueError, match=rf"{OTHER} with the tokens of another"):
        mount(session, make_source(origins=[ORIGIN, OTHER]))

    assert session.adapters == before


class Wrapping(BaseAdapter):
    """As adapters of other libraries do, by whatever attribute."""

    def __init__(self, inner: object) -> None:
        super().__init__()
        self.inner = inner

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "wrap",
    [
        lambda it: it,
        Wrapping,
        lambda it: Wrapping(Wrapping(it)),
        lambda it: Wrapping([HTTPAdapter(), it]),
        lambda it: Wrapping({"https://": it}),
        lambda it: TokenRefreshAdapter(make_source(origins=[THIRD]), transport=it),
    ],
    ids=["itself", "wrapped", "twice", "one of several", "by prefix", "in another of ours"],
)
@pytest.mark.parametrize("theirs", [ORIGIN, f"{ORIGIN}:443"])
def test_a_transport_that_sends_there_with_the_tokens_of_another_login_is_refused(
    wrap: Callable[[BaseAdapter], BaseAdapter], theirs: str
) -> None:
    """The request would go out as that one."""
    bobs = wrap(TokenRefreshAdapter(make_source(origins=[theirs, OTHER])))
    with pytest.raises(ValueError, match=f"transport sends to {ORIGIN} with the tokens of another"):
        TokenRefreshAdapter(make_source(), transport=bobs)


@pytest.mark.parametrize("wrap", [lambda it: it, Wrapping])
def test_a_session_whose_adapter_hides_another_login_is_refused_too(
    session: requests.Session, wrap: Callable[[BaseAdapter], BaseAdapter]
) -> None:
    session.mount(ORIGIN, wrap(TokenRefreshAdapter(make_source())))
    before = dict(session.adapters)
    with pytest.raises(ValueError, match=r"the session sends to .* another TokenSource"):
        mount(session, make_source())
    assert session.adapters == before


def test_a_transport_of_the_same_login_or_for_another_origin_is_not() -> None:
    source = make_source()
    TokenRefreshAdapter(source, transport=Wrapping(TokenRefreshAdapter(source)))
    TokenRefreshAdapter(source, transport=TokenRefreshAdapter(make_source(origins=[OTHER, THIRD])))


class OwnAdapter(BaseAdapter):
    """Somebody's own, which sends a login's tokens in a way of its own."""

    def __init__(self, tokens: TokenSource) -> None:
        super().__init__()
        self._source = tokens

    def close(self) -> None:
        pass


def test_an_adapter_of_ones_own_counts_for_the_login_that_it_keeps(
    session: requests.Session,
) -> None:
    ours, theirs = OwnAdapter(make_source()), OwnAdapter(make_source(origins=[OTHER]))
    session.mount(ORIGIN, theirs)
    assert mount(session, make_source()) == {ORIGIN: theirs}
    with pytest.raises(ValueError, match="transport sends to"):
        TokenRefreshAdapter(make_source(), transport=ours)


def test_adapters_that_wrap_each_other_are_looked_at_once() -> None:
    one = Wrapping(HTTPAdapter())
    one.inner = Wrapping(one)
    TokenRefreshAdapter(make_source(), transport=one)


def test_a_retry_on_401_beneath_is_refused_and_nothing_is_mounted(
    session: requests.Session,
) -> None:
    session.mount(OTHER, HTTPAdapter(max_retries=Retry(3, status_forcelist=[401, 503])))
    before = dict(session.adapters)

    with pytest.raises(ValueError, match="leave 401 out"):
        mount(session, make_source(origins=[ORIGIN, OTHER]))

    assert session.adapters == before


def test_one_that_was_installed_makes_way(session: requests.Session) -> None:
    """And what is beneath it is what is wrapped, not the adapter itself."""
    with install(make_source()), requests.Session() as session:
        wrapped = mount(session, make_source())
    assert not isinstance(wrapped[ORIGIN], TokenRefreshAdapter)
    assert transport_at(session, ORIGIN) is wrapped[ORIGIN]


@pytest.mark.parametrize("mistake", [requests, requests.get, None])
def test_only_a_session_can_be_mounted_on(mistake: object) -> None:
    with pytest.raises(TypeError, match=r"requests.Session, got .*install\(tokens\)"):
        mount(mistake, make_source())  # type: ignore[arg-type]


def test_arguments_the_wrong_way_round_are_told_the_right_one(session: requests.Session) -> None:
    before = dict(session.adapters)
    with pytest.raises(TypeError, match=r"mount\(session, tokens\)"):
        mount(make_source(), session)  # type: ignore[arg-type]
    assert session.adapters == before


def test_only_a_source_can_be_mounted(session: requests.Session) -> None:
    before = dict(session.adapters)
    with pytest.raises(TypeError, match="tokens is a TokenSource, got str"):
        mount(session, "access-0")  # type: ignore[arg-type]
    assert session.adapters == before


def test_options_reach_the_adapter(session: requests.Session) -> None:
    def never(response: requests.Response) -> bool:
        return False

    mount(session, make_source(), is_rejected=never, spool_bodies=7)

    adapter = session.get_adapter(ORIGIN)
    assert isinstance(adapter, TokenRefreshAdapter)
    assert (adapter._is_rejected, adapter._spool_bodies) == (never, 7)


def test_a_session_that_is_mounted_survives_expiry(session: requests.Session) -> None:
    with GuardedAPI() as api:
        mount(session, api.tokens)
        api.tokens.revoke()
        assert session.get(f"{api.url}/orders").text == "/orders"
    assert api.sent == ["Bearer access-0", "Bearer access-1"]


def test_a_source_of_a_class_of_its_own_can_be_mounted(session: requests.Session) -> None:
    class Source(TokenSource):
        pass

    assert mount(session, Source(lambda token: "new", origins=[ORIGIN]))
