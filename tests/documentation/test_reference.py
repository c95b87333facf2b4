"""The documents leave no public name out."""

from __future__ import annotations

import re
from pathlib import Path

import requests_tokenrefresh
from requests_tokenrefresh import events, testing
from requests_tokenrefresh.cli.command import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"


def shown(module: str) -> set[str]:
    """The classes and functions of *module* that the reference shows."""
    page = (DOCS / "reference.md").read_text()
    directive = rf"^\.\. auto(?:class|exception|function):: {module}\.(\w+)$"
    return set(re.findall(directive, page, re.MULTILINE))


def test_every_public_name_is_in_the_reference() -> None:
    assert shown("requests_tokenrefresh") == set(requests_tokenrefresh.__all__) - {"events"}


def test_everything_for_tests_is_in_the_reference() -> None:
    assert shown("requests_tokenrefresh.testing") == set(testing.__all__)


def test_every_event_is_in_the_reference() -> None:
    kinds = {events.Event, *events.Event.__subclasses__()}
    assert shown("requests_tokenrefresh.events") == {kind.__name__ for kind in kinds}


def test_every_command_is_in_the_reference() -> None:
    page = (DOCS / "command.md").read_text()
    assert set(re.findall(r"\{\{ (\w+)_help \}\}", page)) == {"command", *COMMANDS}
