"""The page that people come to with what they see: each message, with cause, check and cure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    RefreshTokenGrant,
    SQLTokenStore,
    Token,
    TokenRefreshAdapter,
    TokenSource,
)
from tests.documentation import list_mistakes
from tests.support.logins import make_source
from tests.support.messages import FILLED_IN, Message, is_found, messages

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "when-it-does-not-work.md").read_text(encoding="utf-8")


@functools.cache
def sections() -> dict[str, str]:
    """What stands below each heading, up to the next one; without the introduction."""
    _, *parts = re.split(r"^(##+ .*)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def is_on_the_page(message: Message) -> bool:
    """Whether all its words stand in one section; its heading is one of them."""
    return any(is_found(message, heading + text) for heading, text in sections().items())


def has_subsections(heading: str) -> bool:
    headings = list(sections())
    following = headings[headings.index(heading) + 1 :]
    return bool(following) and following[0].startswith("#" + heading.split()[0])


@pytest.mark.parametrize("heading", sections())
def test_each_section_has_a_cause_a_check_and_a_cure(heading: str) -> None:
    text = sections()[heading]
    said = {word for word in ("Cause", "Check", "Cure") if f"**{word}.**" in text}
    in_a_table = re.search(r"^\|.*\| Cause \|.*Check \| Cure \|$", text, re.MULTILINE)
    assert len(said) == 3 or in_a_table or has_subsections(heading)


def test_each_error_that_a_request_can_meet_is_on_the_page() -> None:
    can_be_met = [one for one in messages() if one.meets_requests and one.fragments]
    assert [f"{one.place}: {one.text}" for one in can_be_met if not is_on_the_page(one)] == []


def test_each_mistake_that_is_told_where_it_is_made_is_in_the_reference() -> None:
    """If not: python -m tests.documentation.list_mistakes > docs/mistakes.md"""
    assert (DOCS / "mistakes.md").read_text(encoding="utf-8") == list_mistakes.table()
    assert "```{include} mistakes.md\n" in (DOCS / "reference.md").read_text(encoding="utf-8")


def test_only_what_others_have_said_is_passed_on_without_a_word() -> None:
    """Of these errors nothing is known but that somebody else's message is in them."""
    assert {one.place for one in messages() if not one.fragments} == {
        "_errors.LoginRequiredError.__init__",
        "_errors.RefreshFailedError.__init__",
        "_errors.RevocationFailedError.__init__",
        "_errors.TokenRefreshError.__init__",
        "cli.exits.CommandGroup.invoke",
        "cli.exits.fail",
        "cli.exits.usage_errors",
        "cli.exchange._body",
        "cli.stored_login.store_option.with_store",
        "refreshers._grants._as_oauthlib_has_it",
    }


def known(said: str) -> list[Message]:
    """The messages that *said* may be."""
    return [
        one
        for one in messages()
        if one.fragments
        and re.fullmatch(".*".join(map(re.escape, one.text.split(FILLED_IN))), said, re.DOTALL)
    ]


def a_file_that_others_read(folder: Path) -> None:
    path = folder / "token.json"
    path.write_text("{}")
    path.chmod(0o644)
    FileTokenStore(path).load()


def a_file_with_something_else(folder: Path) -> None:
    path = folder / "token.json"
    path.write_text("hello")
    path.chmod(0o600)
    FileTokenStore(path).load()


def a_folder_that_is_a_file(folder: Path) -> None:
    (folder / "file").touch()
    FileTokenStore(folder / "file" / "token.json").save(Token("a"))


def no_refresh_token(_folder: Path) -> None:
    RefreshTokenGrant("https://auth.example.com/token")(Token("a"))


def nobody_at_home(_folder: Path) -> None:
    RefreshTokenGrant("http://127.0.0.1:1/token")(Token("a", "r"))


def a_refresher_that_returns_nothing(_folder: Path) -> None:
    TokenSource(lambda _token: None, origins=["https://a"]).token()  # type: ignore[arg-type,return-value]


def a_refresher_that_raises(_folder: Path) -> None:
    TokenSource(lambda token: token.refresh_token, origins=["https://a"]).token()  # type: ignore[union-attr,arg-type,return-value]


def logged_out(_folder: Path) -> None:
    source = make_source()
    source.logout()
    source.token()


@pytest.mark.parametrize(
    "go_wrong",
    [
        a_file_that_others_read,
        a_file_with_something_else,
        a_folder_that_is_a_file,
        no_refresh_token,
        nobody_at_home,
        a_refresher_that_returns_nothing,
        a_refresher_that_raises,
        logged_out,
        lambda _folder: TokenSource("token", origins=["https://a"]),  # type: ignore[arg-type]
        lambda _folder: make_source(leeway=-1),
        lambda _folder: make_source(wait_timeout="long"),
        lambda _folder: make_source(when_logged_out="ignore"),
        lambda _folder: make_source(origins=["http://api:8000"]),
        lambda _folder: make_source(origins="https://a"),
        lambda _folder: make_source(origins=["https://a/path"]),
        lambda _folder: TokenRefreshAdapter(make_source(), attach="X Auth"),
        lambda _folder: RefreshTokenGrant("https://a", client_secret="s"),
        lambda _folder: RefreshTokenGrant("https://a", timeout=3),  # type: ignore[arg-type]
        lambda _folder: SQLTokenStore("sqlite://", name="a"),
    ],
)
def test_what_is_really_said_is_known(go_wrong: Callable[[Path], object], tmp_path: Path) -> None:
    """The messages are read off the source; these come from running it."""
    with pytest.raises(Exception) as caught:
        go_wrong(tmp_path)
    found = known(str(caught.value))
    assert type(caught.value) in {one.kind for one in found}
    for one in found:
        assert not one.meets_requests or is_on_the_page(one)
