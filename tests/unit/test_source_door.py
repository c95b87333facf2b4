"""What a `TokenSource` is made of is checked at the door; how it looks, and pickles."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    InsecureTransportError,
    MemoryTokenStore,
    Token,
    TokenSource,
)
from tests.support.logins import ORIGIN, Refresher, first_token, make_source


class LoadsAndSaves:
    def load(self) -> None: ...
    def save(self, token: Token) -> None: ...


@pytest.mark.parametrize(
    ("argument", "value", "error", "message"),
    [
        ("refresher", "https://…", TypeError, "refresher is a grant, or a function"),
        ("refresher", Refresher, TypeError, "got Refresher itself: make one of it"),
        ("clock", 7, TypeError, "clock is a function that returns a number, got int"),
        ("monotonic", 7, TypeError, "monotonic is a function that returns a number"),
        ("random", 0.5, TypeError, "random is a function that returns a number, got float"),
        ("listeners", print, TypeError, "listeners is a list of functions, got builtin"),
        ("login", "password", TypeError, "login is a function, or None, got str"),
        ("on_logout", 7, TypeError, "on_logout is a function, or None, got int"),
        (
            "origins",
            "https://api.example.com",
            TypeError,
            'such as \\["https://api.example.com"\\]',
        ),
        ("origins", [], ValueError, "origins is empty"),
        ("origins", ["http://api.example.com"], InsecureTransportError, "use https"),
        ("insecure_origins", "http://api:8000", TypeError, "insecure_origins is a list"),
        ("store", 7, TypeError, "store"),
        ("store", LoadsAndSaves(), TypeError, "LoadsAndSaves, which has no clear and no lock"),
        ("token", 7, ValueError, "a token reply is a mapping, got int"),
        ("leeway", -1, ValueError, "leeway is a number of seconds, 0 or more, got -1"),
        ("early", None, TypeError, "early is a number of seconds, got NoneType"),
        ("early", "10", TypeError, "early is a number of seconds, got str"),
        ("wait_timeout", float("inf"), ValueError, "wait_timeout is a number of seconds"),
        ("wait_timeout", 1e12, ValueError, "wait_timeout is a number of seconds"),
        ("trial_timeout", float("nan"), ValueError, "trial_timeout is a number of seconds"),
        ("min_refresh_interval", True, TypeError, "min_refresh_interval is a number"),
        ("when_logged_out", "ignore", ValueError, "'raise', 'return' or 'detach', got 'ignore'"),
    ],
)
def test_an_argument_that_cannot_work_is_refused_with_what_to_pass_instead(
    argument: str, value: Any, error: type[Exception], message: str
) -> None:
    arguments: dict[str, Any] = {"refresher": Refresher(), "origins": [ORIGIN], argument: value}
    with pytest.raises(error, match=message):
        TokenSource(arguments.pop("refresher"), **arguments)


def test_what_is_not_passed_is_as_documented(tmp_path: Path) -> None:
    make, _ = TokenSource(
        never_called, origins=[ORIGIN], store=tmp_path / "token.json"
    ).__reduce__()
    defaults = {
        "leeway": 10,
        "early": 300,
        "wait_timeout": 30,
        "trial_timeout": 1,
        "min_refresh_interval": 1,
        "when_logged_out": "raise",
    }
    assert {name: make.keywords[name] for name in defaults} == defaults


def test_a_caller_may_wait_as_long_as_a_thread_can() -> None:
    source = make_source(wait_timeout=threading.TIMEOUT_MAX)
    assert source.refresh(source.token()).access_token == "access-1"


def test_a_path_is_accepted_as_a_store(tmp_path: Path) -> None:
    source = make_source(store=tmp_path / "token.json", logged_in=False)
    source.login("a")
    assert FileTokenStore(tmp_path / "token.json").load() == Token("a")


def test_the_repr_shows_the_state_and_no_secret() -> None:
    seen: list[str] = []
    source = make_source(Refresher(lambda: seen.append(repr(source))))
    assert repr(source) == "<TokenSource for https://api.example.com: ready>"
    source.refresh(source.token())
    assert seen == ["<TokenSource for https://api.example.com: refreshing>"]
    source.logout()
    assert repr(source) == "<TokenSource for https://api.example.com: over>"


def test_the_repr_lists_the_origins() -> None:
    source = make_source(origins=["https://b.example", "https://a.example"])
    assert repr(source) == "<TokenSource for https://a.example, https://b.example: ready>"


def never_called(_token: Token | None) -> Token:
    raise AssertionError


def test_a_source_with_a_shared_store_pickles_without_its_tokens(tmp_path: Path) -> None:
    source = TokenSource(
        never_called, origins=[ORIGIN], store=tmp_path / "token.json", leeway=3, token="s33d"
    )
    source.login(first_token(issued_at=4e9))
    pickled = pickle.dumps(source)
    assert b"access-0" not in pickled
    assert b"s33d" not in pickled
    again = pickle.loads(pickled)
    assert again.origins == source.origins
    assert again.__reduce__()[0].keywords["leeway"] == 3
    assert again.token().access_token == "access-0"


def test_plain_http_to_another_machine_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    source = TokenSource(never_called, insecure_origins=["http://api:8000"], token="a")
    assert source.origins.origins == ("http://api:8000",)
    source.token()
    assert [(it.levelname, it.getMessage()) for it in caplog.records] == [
        (
            "WARNING",
            "tokens go to http://api:8000 in plain http, and everybody on the way can read them",
        )
    ]


def test_nothing_is_said_of_what_is_on_this_machine(caplog: pytest.LogCaptureFixture) -> None:
    TokenSource(never_called, insecure_origins=["http://localhost:8000"])
    assert caplog.messages == []


def test_a_source_with_an_insecure_origin_pickles_with_it(tmp_path: Path) -> None:
    insecure = ["http://api:8000"]
    source = TokenSource(
        never_called, origins=[ORIGIN], insecure_origins=insecure, store=tmp_path / "token.json"
    )
    assert pickle.loads(pickle.dumps(source)).origins == source.origins


def test_a_source_that_has_only_memory_does_not_pickle_and_says_what_to_use() -> None:
    with pytest.raises(TypeError, match=r"store=FileTokenStore\(path\)"):
        pickle.dumps(make_source(store=MemoryTokenStore()))
