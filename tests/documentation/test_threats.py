"""The threat model is the table's, and each of its rows has tests that exist."""

from __future__ import annotations

from pathlib import Path

from tests.documentation import list_threats
from tests.support import threats
from tests.support.named_tests import exists
from tests.support.threats import THREATS

DOCS = Path(__file__).parents[2] / "docs"


def test_each_test_that_the_table_names_exists() -> None:
    named = {test for threat in THREATS for test in threat.tests}
    assert sorted(test for test in named if not exists(test)) == []


def test_a_test_that_is_gone_is_missed() -> None:
    assert not exists("unit/test_origins.py::test_that_is_gone")
    assert not exists("unit/test_file_that_is_gone.py")
    assert not exists("support/threats.py")


def test_each_row_has_a_test_and_each_of_those_who_are_named_a_row() -> None:
    assert [threat for threat in THREATS if not threat.tests] == []
    named = {
        value for name, value in vars(threats).items() if name.isupper() and type(value) is str
    }
    assert {threat.who for threat in THREATS} == named


def test_the_page_shows_the_table() -> None:
    """If not: python -m tests.documentation.list_threats > docs/threats.md"""
    assert (DOCS / "threats.md").read_text("utf-8") == list_threats.tables()
    assert "```{include} threats.md\n" in (DOCS / "security.md").read_text("utf-8")
