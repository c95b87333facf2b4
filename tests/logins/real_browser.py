"""A real Chromium logs in: `tox run -e logins`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from requests_tokenrefresh import (
    FileTokenStore,
    RefreshTokenGrant,
    TokenRefreshAdapter,
    TokenSource,
    log_in,
    open_login,
)
from tests.logins import nanoidp_server, toolkit_server
from tests.logins.chromium import OPTIONS, Person, executable, fill, press, until_title
from tests.support.authlib_logins import AuthlibLogins
from tests.support.demo_server import demo_server
from tests.support.servers import HTTPServer
from tests.support.wsgi import answers_of


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    monkeypatch.setenv("no_proxy", "*")
    with Person() as person:
        yield person


def get(tokens: TokenSource, url: str) -> requests.Response:
    with requests.Session() as session:
        session.mount(url, TokenRefreshAdapter(tokens))
        return session.get(url, timeout=20)


def renew_three_times(store: Path, **client: Any) -> None:
    """And what was spent is refused."""
    tokens = open_login(store, **client)
    first = tokens.token()
    seen = {first.access_token}
    for _ in range(3):
        seen.add(tokens.refresh(tokens.token()).access_token)
    assert len(seen) == 4


def test_chromium_as_dollar_browser_logs_in_without_a_driver(
    http_server: Callable[..., HTTPServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    options = " ".join(f"'{option}'" for option in (*OPTIONS, profile, "--dump-dom"))
    monkeypatch.setenv("BROWSER", f"{executable()} {options} %s")
    logins = AuthlibLogins()
    logins.url = http_server(answers_of(logins.app)).url
    tokens = log_in(
        logins.url,
        client_id="demo",
        origins=[logins.url],
        store=tmp_path / "t.json",
        timeout=60,
        say=print,
    )
    assert get(tokens, f"{logins.url}/data").json() == {"user": "alice"}
    renew_three_times(tmp_path / "t.json")


def test_the_page_of_the_end_has_nothing_in_the_address_bar(
    person: Person, http_server: Callable[..., HTTPServer], monkeypatch, tmp_path: Path
) -> None:
    """RFC 9700 section 4.3.1."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    logins = AuthlibLogins()
    logins.url = http_server(answers_of(logins.app)).url
    log_in(
        logins.url,
        client_id="demo",
        origins=[logins.url],
        store=tmp_path / "t.json",
        browser=person.will(until_title("Logged in")),
        say=print,
    )
    person.done()
    [address] = person.addresses
    assert address.endswith("/callback")


def test_the_demos_server_by_its_button(person: Person, tmp_path: Path) -> None:
    """Its door lets in no page of another site, and Chromium says that this is one of its own."""
    with demo_server(clock=time.monotonic, token_seconds=60) as server:
        log_in(
            server.url,
            client_id="demo",
            origins=[server.url],
            store=tmp_path / "t.json",
            browser=person.will(press("decision"), until_title("Logged in")),
            timeout=60,
            say=print,
        )
        person.done()
        tokens = open_login(tmp_path / "t.json")
        assert get(tokens, f"{server.url}/data").status_code == 200
        renew_three_times(tmp_path / "t.json")


def test_the_demos_server_by_a_device(person: Person, tmp_path: Path) -> None:
    with demo_server(clock=time.monotonic, token_seconds=60, interval=0.2) as server:

        def say(text: str) -> None:
            browse = person.will(press("decision"), until_title("Logged in"))
            browse(text.splitlines()[-1])

        log_in(
            server.url,
            client_id="demo",
            origins=[server.url],
            store=tmp_path / "t.json",
            how="device",
            timeout=60,
            say=say,
        )
        person.done()
        renew_three_times(tmp_path / "t.json")


def test_nanoidp_by_its_form(person: Person, tmp_path: Path) -> None:
    client = nanoidp_server.CLIENT
    with nanoidp_server.nanoidp(tmp_path / "idp") as url:
        form = fill(username=nanoidp_server.USER, password=nanoidp_server.PASSWORD)
        log_in(
            url,
            origins=[url],
            store=tmp_path / "t.json",
            browser=person.will(form, until_title("Logged in")),
            timeout=60,
            say=print,
            **client,
        )
        person.done()
        assert person.titles == ["Logged in"]
        renew_three_times(tmp_path / "t.json", client_secret=client["client_secret"])


def test_nanoidp_by_a_device(person: Person, tmp_path: Path) -> None:
    client = nanoidp_server.CLIENT
    fields = {"username": nanoidp_server.USER, "password": nanoidp_server.PASSWORD}
    with nanoidp_server.nanoidp(tmp_path / "idp") as url:

        def say(text: str) -> None:
            address = text.splitlines()[-1]
            threading.Thread(target=person.will(fill_device(fields)), args=(address,)).start()

        log_in(url, origins=[url], store=tmp_path / "t.json", how="device", say=say, **client)
        person.done()
        renew_three_times(tmp_path / "t.json", client_secret=client["client_secret"])


def fill_device(fields: dict[str, str]) -> Callable[[Any], None]:
    from selenium.webdriver.common.by import By

    def step(driver: Any) -> None:
        for name, value in fields.items():
            driver.find_element(By.NAME, name).send_keys(value)
        driver.find_element(By.CSS_SELECTOR, "button[value=authorize]").click()

    return step


def test_django_oauth_toolkit_by_its_forms(person: Person, tmp_path: Path) -> None:
    client = toolkit_server.CLIENT
    with toolkit_server.toolkit(tmp_path) as url:
        log_in(
            url,
            origins=[url],
            store=tmp_path / "t.json",
            scope="read",
            browser=person.will(
                fill(username=toolkit_server.USER, password=toolkit_server.PASSWORD),
                press("allow"),
                until_title("Logged in"),
            ),
            timeout=60,
            say=print,
            **client,
        )
        person.done()
        tokens = open_login(tmp_path / "t.json")
        assert get(tokens, f"{url}/data").json() == {"user": "alice"}
        renew_three_times(tmp_path / "t.json")


def test_a_spent_refresh_token_is_refused(tmp_path: Path, person: Person) -> None:
    """Which is what a login that is copied comes to."""
    client = toolkit_server.CLIENT
    with toolkit_server.toolkit(tmp_path) as url:
        log_in(
            url,
            origins=[url],
            store=tmp_path / "t.json",
            scope="read",
            browser=person.will(
                fill(username=toolkit_server.USER, password=toolkit_server.PASSWORD),
                press("allow"),
            ),
            say=print,
            **client,
        )
        old = FileTokenStore(tmp_path / "t.json").load()
        tokens = open_login(tmp_path / "t.json")
        tokens.refresh(tokens.token())
        with pytest.raises(Exception, match="invalid_grant"):
            RefreshTokenGrant(f"{url}/o/token/", **client)(old)
