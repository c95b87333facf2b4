"""`logout(revoke=True)` in one process against a refresh in another: no good token is left.

At length (``LONG=stores``) every store goes through 200 of them.
"""

from __future__ import annotations

import pytest

from requests_tokenrefresh import TokenStore
from tests.support.length import at_length
from tests.support.login_site import LoginSite
from tests.support.workers import Workers

_MANY, _FEW = (200, 200) if at_length("stores") else (20, 4)

# A server that revokes all of a login when a refresh token comes again would hide what is left.
_STRICT = pytest.mark.parametrize("site", ["refuse"], indirect=True)


@_STRICT
def test_a_logout_waits_for_the_refresh_of_another_and_revokes_what_it_brings(
    workers: Workers, site: LoginSite, store: TokenStore
) -> None:
    """RFC 7009 section 2.1: what is revoked is the newest; the one before it is dead already."""
    refreshing, leaving = workers.start(2)
    site.expire_tokens()
    refreshing.hold("after the reply")
    request = refreshing.start_get()
    refreshing.reach("after the reply")
    leaving.hold("before the lock")
    logout = leaving.start_logout(revoke=True)
    leaving.reach("before the lock")
    leaving.release("before the lock")
    refreshing.release("after the reply")
    logout.result(10)
    assert request.result(10).total() == 1
    assert store.load() is None
    assert (site.refreshes, site.good, site.reuses) == (1, 0, 0)
    assert leaving.get() == {"LoginRequiredError: logged_out": 1}
    assert leaving.report().logged_out == ["logged_out"]


@_STRICT
@pytest.mark.parametrize(
    ("store_at", "logouts"),
    [("file", _MANY), ("redis", _FEW), ("sqlite", _FEW), ("postgresql", _FEW)],
    indirect=["store_at"],
)
def test_no_logout_leaves_a_good_token(
    workers: Workers, site: LoginSite, store: TokenStore, logouts: int
) -> None:
    refreshing, leaving = workers.start(2, clock_stands=True)
    for _ in range(logouts):
        site.expire_tokens()
        request = refreshing.start_get(threads=2)
        leaving.start_logout(revoke=True).result(20)
        request.result(20)
        assert store.load() is None
        assert (site.good, site.reuses) == (0, 0)
        leaving.login(site.log_in())
        refreshing.advance(1.0)  # for its next look beside
