"""Flask-JWT-Extended, with refresh tokens that rotate and must not come twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from requests_tokenrefresh import JSONRefresh, LoginRequiredError, TokenSource
from tests.support.drives import THREADS, drive_rounds
from tests.support.flask_jwt_app import FlaskJWTServer
from tests.support.rotating_site import RotatingSite
from tests.support.servers import HTTPServer
from tests.support.threads import run_together
from tests.support.wsgi import answers_of


class Site(RotatingSite):
    token_path = "/refresh"

    def refresher(self) -> JSONRefresh:
        return JSONRefresh(
            f"{self.http.url}/refresh",
            refresh_token_in="header",
            access_token_field="access_token",
            refresh_token_field="refresh_token",
        )


@pytest.fixture
def serve(http_server: Callable[..., HTTPServer]) -> Callable[..., Site]:
    def start(*, lifetime: int = 3600) -> Site:
        authorization = FlaskJWTServer(lifetime=lifetime)
        return Site(authorization, http_server(answers_of(authorization.app)))

    return start


def test_each_forced_expiry_costs_32_threads_one_refresh(serve: Callable[..., Site]) -> None:
    serve().each_expiry_costs_one_refresh()


@pytest.mark.long("servers")
def test_32_threads_outlive_tokens_of_three_seconds(serve: Callable[..., Site]) -> None:
    """Or of hardly more than two: `exp` is in whole seconds, cut off. Or until a 401 in the last
    second, of which a JWT does not tell the parts."""
    serve(lifetime=3).tokens_are_outlived(by_the_end_of=1 / 3)


@pytest.mark.long("servers")
def test_one_refresh_token_used_by_two_ends_the_login_for_all(serve: Callable[..., Site]) -> None:
    """What threads without the adapter come to; with it, 32 of them ask once what became of it."""
    site = serve()
    refresher, token = site.refresher(), site.log_in()
    outcomes = run_together(2, lambda: refresher(token))
    assert [type(o.error) for o in outcomes if o.error] == [LoginRequiredError]
    (renewed,) = (o.value for o in outcomes if o.value)
    with pytest.raises(LoginRequiredError, match="Token has been revoked"):
        refresher(renewed)

    asked = site.token_requests()
    source = TokenSource(refresher, origins=[site.http.url], token=token)
    endings = drive_rounds(source, site.data, 1, each=2, before=lambda: None)
    assert endings == {"LoginRequiredError": 2 * THREADS}
    assert site.token_requests() == asked + 1
