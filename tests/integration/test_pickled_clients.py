"""Sessions of clients that log in by themselves: in memory, and pickled all the same."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from requests_tokenrefresh import (
    FileTokenStore,
    LoginRequiredError,
    MemoryTokenStore,
    RefreshTokenGrant,
    TokenRefreshAdapter,
    TokenSource,
)
from tests.support.page_issuers import client_credentials
from tests.support.page_site import PageSite

REMEDY = "Give it a store that processes share, such as store=FileTokenStore(path)"


@pytest.fixture(params=[None, MemoryTokenStore], ids=["no store named", "a memory store"])
def in_memory(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {} if request.param is None else {"store": request.param()}


def open_session(site: PageSite, options: dict[str, Any], **others: Any) -> requests.Session:
    """Return a session that pickles, as far as the login's store lets it."""
    session = requests.Session()
    session.trust_env = False
    source = TokenSource(**{"origins": [site.url], **options, **others})
    session.mount("http://", TokenRefreshAdapter(source))
    return session


@pytest.fixture
def client(pages: PageSite, in_memory: dict[str, Any]) -> Iterator[requests.Session]:
    with open_session(pages, in_memory, **client_credentials(pages)) as session:
        yield session


@pytest.mark.parametrize("used", [True, False], ids=["has a token", "has none yet"])
def test_client_credentials_in_memory_pickle_and_the_copy_gets_a_token_of_its_own(
    pages: PageSite, client: requests.Session, used: bool
) -> None:
    """There is no refresh token that the two could take from each other."""
    if used:
        assert client.get(f"{pages.url}/ok").status_code == 200
    pickled = pickle.dumps(client)
    assert b"access-1" not in pickled
    before = pages.token_calls
    with pickle.loads(pickled) as copy:
        assert [copy.get(f"{pages.url}/ok").status_code for _ in range(2)] == [200, 200]
        assert pages.token_calls == before + 1
        assert client.get(f"{pages.url}/ok").status_code == 200
        pages.expire()
        assert copy.get(f"{pages.url}/ok").status_code == 200
        assert client.get(f"{pages.url}/ok").status_code == 200


def test_client_credentials_as_the_unattended_login_pickle_too(
    pages: PageSite, in_memory: dict[str, Any]
) -> None:
    grant = client_credentials(pages)["refresher"]
    with open_session(pages, in_memory, refresher=grant, login=grant) as session:
        assert session.get(f"{pages.url}/ok").status_code == 200
        with pickle.loads(pickle.dumps(session)) as copy:
            assert copy.get(f"{pages.url}/ok").status_code == 200
        assert pages.token_calls == 2


class OwnStore:
    shared = False

    def __init__(self) -> None:
        kept = MemoryTokenStore()
        self.load, self.save, self.clear, self.lock = kept.load, kept.save, kept.clear, kept.lock

    def __reduce__(self) -> str:
        raise TypeError("whoever wrote this store says why it does not pickle")


def test_a_store_of_ones_own_says_itself_that_it_does_not_pickle(pages: PageSite) -> None:
    """It may be more than a memory, which a copy does without."""
    with open_session(pages, {"store": OwnStore()}, **client_credentials(pages)) as session:
        assert session.get(f"{pages.url}/ok").status_code == 200
        with pytest.raises(TypeError, match="whoever wrote this store"):
            pickle.dumps(session)


def test_a_refresh_token_in_memory_does_not_pickle_and_the_reason_is_true(
    pages: PageSite, in_memory: dict[str, Any]
) -> None:
    grant = RefreshTokenGrant(f"{pages.url}/token", client_id="reports")
    with open_session(pages, in_memory, refresher=grant, token=pages.log_in()) as session:
        assert session.get(f"{pages.url}/ok").status_code == 200
        with pytest.raises(TypeError) as refused:
            pickle.dumps(session)
        assert REMEDY in str(refused.value)
        assert "refresh token" in str(refused.value)


def test_a_copy_keeps_what_a_refused_trial_means(pages: PageSite, tmp_path: Path) -> None:
    """And for how long it is repeated: here for longer than the page stays closed to the token."""
    grant = RefreshTokenGrant(f"{pages.url}/token", client_id="reports")
    store = FileTokenStore(tmp_path / "login")
    options = {"refresher": grant, "store": store, "token": pages.log_in()}
    patience = {"when_trial_refused": "log_out", "trial_patience": 5.0}
    with open_session(pages, options, **patience) as session:
        assert session.get(f"{pages.url}/ok").status_code == 200
        with pickle.loads(pickle.dumps(session)) as copy:
            refusals = iter([False, False])
            pages.opens = lambda _path, _number: next(refusals, True)
            pages.expire()
            assert copy.get(f"{pages.url}/ok").status_code == 200
            assert store.load() == pages.newest
    with (
        open_session(pages, options, when_trial_refused="log_out") as session,
        pickle.loads(pickle.dumps(session)) as copy,
    ):
        with pytest.raises(LoginRequiredError) as caught:
            copy.get(f"{pages.url}/forbidden")
        assert caught.value.reason == "trial_refused"
        assert store.load() is None
