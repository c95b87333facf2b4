"""What becomes of this package in a session of niquests, which is no session of requests.

What stands in docs/drop-in.md. Run by ``tox -e niquests`` only.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import niquests
import pytest

from requests_tokenrefresh import TokenRefreshAdapter, install, mount
from tests.support.guarded_api import GuardedAPI


@pytest.fixture
def api() -> Iterator[GuardedAPI]:
    with GuardedAPI() as api:
        yield api


def test_a_session_with_the_adapter_fails_when_the_request_has_been_made(api: GuardedAPI) -> None:
    """Its own adapters answer with more than those of requests do."""
    api.tokens.revoke()
    with niquests.Session() as session:
        session.mount(api.url, TokenRefreshAdapter(api.tokens))
        with pytest.raises(AttributeError, match="'Response' object has no attribute 'extension'"):
            session.get(f"{api.url}/reports")
    assert api.sent == ["Bearer access-0", "Bearer access-1"]


def test_mount_refuses_the_session(api: GuardedAPI) -> None:
    refused = r"a requests\.Session, got niquests\.sessions\.Session;"
    with niquests.Session() as session, pytest.raises(TypeError, match=refused):
        mount(session, api.tokens)


def test_install_does_not_reach_it(api: GuardedAPI) -> None:
    with install(api.tokens):
        assert niquests.get(f"{api.url}/reports").status_code == 401
    assert api.sent == [None]


def test_in_the_place_of_requests_it_lacks_what_is_imported() -> None:
    program = (
        "import sys, niquests\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name.partition('.')[0] == 'niquests':\n"
        "        sys.modules['requests' + name[8:]] = module\n"
        "from requests_tokenrefresh import mount\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "cannot import name 'SessionRedirectMixin' from 'niquests.sessions'" in ran.stderr


def test_by_auth_a_request_has_a_token_that_has_not_expired(api: GuardedAPI) -> None:
    def with_token(request: niquests.PreparedRequest) -> niquests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {api.tokens.token().access_token}"
        return request

    api.tokens.expire()
    assert niquests.get(f"{api.url}/reports", auth=with_token).status_code == 200
    assert api.sent == ["Bearer access-1"]

    api.tokens.revoke()
    assert niquests.get(f"{api.url}/reports", auth=with_token).status_code == 401
    api.tokens.refresh(api.tokens.token())
    assert niquests.get(f"{api.url}/reports", auth=with_token).status_code == 200
    assert api.tokens.refreshes == 2
