"""The adapter and other people's caches: what is served, to whom, and what is kept of a token."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
import requests
import requests_cache
from cachecontrol import CacheControl, CacheControlAdapter, filewrapper
from cachecontrol.cache import DictCache

from requests_tokenrefresh import LoginRequiredError, TokenRefreshAdapter, mount
from requests_tokenrefresh.testing import FakeTokenSource
from tests.support.guarded_api import GuardedAPI
from tests.support.servers import Received, Reply

# As a server sees it: a rejection, and the replay.
REPLAYED = ["Bearer access-0", "Bearer access-1"]


def answer(request: Received) -> Reply:
    """A page that may be kept for a minute, and tells whose it is."""
    headers = [("Date", formatdate(usegmt=True)), ("Cache-Control", "private, max-age=60")]
    if request.path == "/varies":
        headers.append(("Vary", "Authorization"))
    if request.path == "/etag":
        headers[1:] = [("Cache-Control", "no-cache"), ("ETag", '"1"')]
        if request.headers["If-None-Match"]:
            return Reply(304, headers=headers)
    return Reply(body=(request.headers["Authorization"] or "").encode(), headers=headers)


@pytest.fixture
def api() -> Iterator[GuardedAPI]:
    with GuardedAPI(answer) as api:
        yield api


# -- CacheControl ----------------------------------------------------------------------------------


def cached(tokens: FakeTokenSource, cache: DictCache | None = None) -> requests.Session:
    """The order that works: the cache is what is wrapped."""
    session = CacheControl(requests.Session(), cache)
    wrapped = mount(session, tokens)
    assert {type(adapter) for adapter in wrapped.values()} == {CacheControlAdapter}
    return session


def test_a_401_is_not_cached_and_the_replay_is(api: GuardedAPI) -> None:
    api.tokens.revoke()
    with cached(api.tokens) as session:
        first, second = (session.get(f"{api.url}/kept") for _ in range(2))
    assert [answer.status_code for answer in (*first.history, first)] == [401, 200]
    assert (second.from_cache, second.text) == (True, "Bearer access-1")
    assert api.sent == REPLAYED


def test_what_the_cache_has_open_for_a_401_is_closed(
    api: GuardedAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It learns of the end by reading."""
    files = []

    def open_file(*args: Any, **how: Any) -> Any:
        files.append(NamedTemporaryFile(*args, **how))  # noqa: SIM115 - the cache closes it
        return files[-1]

    monkeypatch.setattr(filewrapper, "NamedTemporaryFile", open_file)
    api.tokens.revoke()
    with cached(api.tokens) as session:
        assert session.get(f"{api.url}/kept").history
    assert [file.closed for file in files] == [True, True]


def test_a_page_is_revalidated_with_the_new_token(api: GuardedAPI) -> None:
    with cached(api.tokens) as session:
        session.get(f"{api.url}/etag")
        api.tokens.revoke()
        response = session.get(f"{api.url}/etag")
    assert (response.status_code, response.from_cache) == (200, True)
    assert [request.headers["If-None-Match"] for request in api.requests] == [None, '"1"', '"1"']
    assert api.sent == ["Bearer access-0", *REPLAYED]


def test_a_401_does_not_take_the_cached_page_away(api: GuardedAPI) -> None:
    cache = DictCache()
    with cached(api.tokens, cache) as session:
        session.get(f"{api.url}/etag")
        before = dict(cache.data)
        api.tokens.revoke()
        api.tokens.refuse_refresh()
        with pytest.raises(LoginRequiredError):
            session.get(f"{api.url}/etag")
    assert cache.data == before


def test_while_the_login_is_over_nothing_is_served_from_the_cache(api: GuardedAPI) -> None:
    with cached(api.tokens) as session:
        session.get(f"{api.url}/kept")
        api.tokens.logout()
        with pytest.raises(LoginRequiredError):
            session.get(f"{api.url}/kept")
    assert api.sent == ["Bearer access-0"]


def another_login(api: GuardedAPI) -> FakeTokenSource:
    """Good at the same API."""
    other = FakeTokenSource(origins=[api.url])
    other.login("access-of-another")
    first, accepts = api.tokens, api.tokens.accepts
    first.accepts = lambda request: accepts(request) or other.accepts(request)  # type: ignore[method-assign]
    return other


@pytest.mark.parametrize("path", ["/kept", "/varies"])
def test_two_logins_with_a_cache_each_get_their_own(api: GuardedAPI, path: str) -> None:
    other = another_login(api)
    with cached(api.tokens) as ours, cached(other) as theirs:
        for session, token in ((ours, "access-0"), (theirs, "access-of-another")) * 2:
            assert session.get(api.url + path).text == f"Bearer {token}"
    assert len(api.sent) == 2


@pytest.mark.parametrize(("path", "mixed_up"), [("/kept", True), ("/varies", False)])
def test_a_cache_shared_by_two_logins_needs_a_server_that_says_vary(
    api: GuardedAPI, path: str, mixed_up: bool
) -> None:
    """CacheControl takes itself for the cache of one user, and so it is documented."""
    cache, other = DictCache(), another_login(api)
    with cached(api.tokens, cache) as ours, cached(other, cache) as theirs:
        ours.get(api.url + path)
        assert (theirs.get(api.url + path).text == "Bearer access-0") is mixed_up


@pytest.mark.parametrize(("path", "kept"), [("/kept", False), ("/varies", True)])
def test_the_cache_keeps_a_token_only_to_tell_requests_apart(path: str, kept: bool) -> None:
    cache = DictCache()
    with GuardedAPI(lambda request: Reply(headers=answer(request).headers)) as api:
        with cached(api.tokens, cache) as session:
            session.get(api.url + path)
        assert session.get(api.url + path).from_cache
    assert (b"access-0" in b"".join(cache.data.values())) is kept


# -- requests-cache --------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache.sqlite"


def test_a_cached_session_sends_by_the_adapter_and_keeps_the_replay(
    api: GuardedAPI, file: Path
) -> None:
    with requests_cache.CachedSession(file) as session:
        mount(session, api.tokens)
        api.tokens.revoke()
        first, second = (session.get(f"{api.url}/kept") for _ in range(2))
        assert (first.from_cache, second.from_cache) == (False, True)
        assert (first.text, second.text) == ("Bearer access-1", "Bearer access-1")
    assert api.sent == REPLAYED


def test_a_401_is_not_kept_even_if_it_is_the_last_word(api: GuardedAPI, file: Path) -> None:
    api.tokens = FakeTokenSource(origins=[api.url], when_logged_out="return")
    with requests_cache.CachedSession(file) as session:
        mount(session, api.tokens)
        api.tokens.logout()
        assert session.get(f"{api.url}/kept").status_code == 401
        api.tokens.login("access-again")
        assert session.get(f"{api.url}/kept").status_code == 200


def forget_rejected_tokens(response: requests.Response, **_how: object) -> None:
    for rejected in response.history:
        rejected.request.headers.pop("Authorization", None)


@pytest.mark.parametrize(
    ("hooks", "kept"),
    [([], {b"access-0"}), ([forget_rejected_tokens], set())],
    ids=["plain", "hook"],
)
def test_the_cache_file_holds_a_token_only_in_the_history_and_a_hook_takes_it_away(
    file: Path, hooks: list[Callable[..., None]], kept: set[bytes]
) -> None:
    """requests-cache leaves out the header of a request, but not that of one in a history."""
    with GuardedAPI() as api, requests_cache.CachedSession(file) as session:
        session.hooks["response"] += hooks
        mount(session, api.tokens)
        api.tokens.revoke()
        assert session.get(f"{api.url}/kept").history
        assert session.get(f"{api.url}/kept").from_cache
    assert set(re.findall(rb"access-.", file.read_bytes())) == kept


def test_a_cached_session_asks_the_cache_before_it_asks_for_a_token(
    api: GuardedAPI, file: Path
) -> None:
    with requests_cache.CachedSession(file) as session:
        mount(session, api.tokens)
        session.get(f"{api.url}/kept")
        api.tokens.logout()
        assert session.get(f"{api.url}/kept").from_cache
        with pytest.raises(LoginRequiredError):
            session.get(f"{api.url}/other")


@pytest.mark.parametrize("shared", [True, False])
def test_two_logins_need_a_requests_cache_each(
    api: GuardedAPI, tmp_path: Path, shared: bool
) -> None:
    """It sits above the adapter and cannot tell them apart, whatever the server says."""
    other = another_login(api)
    names = [tmp_path / "one", tmp_path / ("one" if shared else "two")]
    with (
        requests_cache.CachedSession(names[0], match_headers=True) as ours,
        requests_cache.CachedSession(names[1], match_headers=True) as theirs,
    ):
        mount(ours, api.tokens)
        mount(theirs, other)
        ours.get(f"{api.url}/kept")
        assert (theirs.get(f"{api.url}/kept").text == "Bearer access-0") is shared


# -- The other way round ---------------------------------------------------------------------------


def test_a_cache_mounted_afterwards_is_not_in_front_but_instead(api: GuardedAPI) -> None:
    with requests.Session() as session:
        mount(session, api.tokens)
        session.mount(api.url, CacheControlAdapter())
        assert not isinstance(session.get_adapter(api.url), TokenRefreshAdapter)
        assert session.get(api.url).status_code == 401
