"""What a request says of its caller: nothing of it is logged, told to listeners, or in an error."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
import responses

from requests_tokenrefresh import (
    LoginRequiredError,
    TokenRefreshAdapter,
    TokenRefreshError,
    mount,
)
from requests_tokenrefresh._origins import Origins, require_secure
from requests_tokenrefresh.cli.command import command
from tests.support.cli_runner import cli_runner
from tests.support.logins import ORIGIN, Heard, Refresher, make_source
from tests.unit.test_attach import URL, api, infos, sent, session_for

__all__ = ["api"]  # a fixture


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "requests_tokenrefresh")


@pytest.mark.parametrize(
    "own",
    [
        "s3cret",
        "s3cret ",
        "s3cret \t",
        "s3cret x",
        "s3cret\tx",
        "s3cret, x",
        "s3cret=",
        "key=s3cret; more",
        "token\ts3cret",
        "token\xa0s3cret",
        "token\x0bs3cret",
        "token:s3cret",
        "token=s3cret",
        "token,s3cret x",
        "token:s3cret x",
        "to\u212aen s3cret",
        "Sesame s3cret",
        "token",
        "token ",
        "token \t",
        "",
        b"s3cret x",
        b"token\ts3cret",
        b"\xff s3cret",
    ],
)
def test_nothing_of_a_header_is_said_but_a_scheme_that_everybody_knows(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture, own: str | bytes
) -> None:
    api.get(URL)
    request = requests.Request("GET", URL).prepare()
    request.headers["Authorization"] = own
    TokenRefreshAdapter(make_source()).send(request)
    assert sent(api) == [own]
    assert infos(caplog) == [
        f"requests to {ORIGIN} that have an Authorization of their own (no known scheme) go out "
        "without the token; to have them get it, name the scheme in replaces="
    ]
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("own", ["TOKEN s3cret", "TOKEN", "ToKeN  s3cret x"])
def test_a_placeholder_is_said_as_it_was_named_in_the_code(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture, own: str
) -> None:
    api.get(URL)
    session_for(replaces=["token"]).get(URL, headers={"Authorization": own})
    assert sent(api) == ["Bearer access-0"]
    assert "of the scheme token (replaces=)" in infos(caplog)[0]


def test_nothing_else_of_a_request_is_said_but_its_path(
    api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    """At every level, while its login is refreshed, refused and over."""
    heard = Heard()
    challenge = 'Bearer error="insufficient_scope", realm="s3cret-realm"'
    source = make_source(
        Refresher({"access_token": "access-1"}, LoginRequiredError("over")),
        listeners=[heard],
        min_refresh_interval=0.0,
    )
    session = session_for(source, replaces=["token"])
    for status, headers in [
        (401, {"WWW-Authenticate": challenge}),
        (401, {"Set-Cookie": "a=s3cret-set"}),
        (401, {}),
        (401, {}),
    ]:
        api.get(URL, status=status, headers=headers)
    with pytest.raises(TokenRefreshError) as caught:
        for _ in range(4):
            session.request(
                "GET",
                f"{URL}?key=s3cret-query#s3cret-fragment",
                headers={
                    "Authorization": "token s3cret-token",
                    "X-Api-Key": "s3cret-key",
                    "Cookie": "a=s3cret-cookie",
                    "Referer": "https://a/?s3cret-referer",
                },
                data="s3cret-body",
            )
    assert len(caplog.records) > 1
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr([vars(record) for record in caplog.records])
    assert "s3cret" not in repr(heard.events)
    assert "s3cret" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize(
    "url",
    [
        "https://ann:s3cret%40api.example.com/",
        "https://ann:s3cret%2540api.example.com/",
        "https://ann:s3cret\uff20api.example.com/",
        "https://ann:s3cret\ufe6bapi.example.com/",
        "https:/ann:s3cret@api.example.com",
        "ftp://ann:s3cret@api.example.com",
        "https:\\\\ann:s3cret@api.example.com",
        "api.example.com/%3Fkey=s3cret",
        "api.example.com/\uff1fkey=s3cret",
        "api.example.com/;key=s3cret",
        "api.example.com&key=s3cret",
        "api.example.com%23s3cret",
    ],
)
@pytest.mark.parametrize("refuse", [require_secure, lambda url: Origins([url])])
def test_a_url_that_may_hold_a_secret_is_not_repeated_however_it_is_spelled(
    refuse: Callable[[str], object], url: str
) -> None:
    with pytest.raises(ValueError, match="not repeated") as refused:
        refuse(url)
    assert "s3cret" not in str(refused.value)


def test_the_query_of_a_prefix_is_not_repeated() -> None:
    session = requests.Session()
    session.mount(f"{ORIGIN}/v1?key=s3cret", TokenRefreshAdapter(make_source()))
    with pytest.raises(ValueError, match=f"sends to {ORIGIN} with") as refused:
        mount(session, make_source())
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "header", ["X-Api-Key s3cret", "X-Api-Key: a\r\ns3cret", "s3cret", "X-Api-Key:\x1bs3cret"]
)
def test_a_header_that_cannot_be_sent_is_not_repeated_by_the_command(header: str) -> None:
    where = ["--store", "/dev/null/x", "--token-url", "https://a", "--client-id", "a"]
    result = cli_runner().invoke(command, ["get", "https://a", *where, "-H", "X: y", "-H", header])
    assert result.exit_code == 2
    assert "s3cret" not in result.stdout + result.stderr
    assert "number 2" in result.stderr or "header X-Api-Key" in result.stderr
