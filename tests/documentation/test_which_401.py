"""The tables of "Which 401?" are made from the code; here is that none of it is left out."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from requests_tokenrefresh import _rules
from requests_tokenrefresh._challenge import REASONS
from requests_tokenrefresh._rules import TABLE, What

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "which-401.md").read_text(encoding="utf-8")
SHOWN = runpy.run_path(str(DOCS / "conf.py"))["myst_substitutions"]


def rows(table: str) -> list[list[str]]:
    """The cells below the head."""
    _head, _line, *below = SHOWN[table].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in below]


def test_each_code_that_makes_a_401_the_callers_has_a_row_that_says_so() -> None:
    told = dict(rows("challenges"))
    for code, meaning in REASONS.items():
        assert told[f'`Bearer error="{code}"`'] == f"would not help: {meaning}"
    assert told["none"] == told['`Bearer error="invalid_token"`'] == "may help"


def test_each_rule_is_shown_once() -> None:
    of_401 = [row for row in TABLE if row.what in (What.ANSWERED_401, What.REPLAY_ANSWERED_401)]
    _twice, _another_person, *shown = rows("rules_of_401")
    for rules, cells in (
        (of_401, shown),
        ([row for row in TABLE if row not in of_401], rows("token_rules")),
    ):
        assert [(row.what.value, "; ".join(row.when)) for row in rules] == [
            (what, when) for what, _standing, when, _becomes, _then in cells
        ]


def test_each_reason_in_the_log_is_explained() -> None:
    constants = {name: value for name, value in vars(_rules).items() if re.match("[A-Z]", name)}
    reasons = {value for value in constants.values() if type(value) is str}
    assert len(reasons) == 6
    said = set(
        re.findall(
            r"^\| `(.*?)` \|",
            PAGE.partition("## Whose was it?")[2].partition("\n## ")[0],
            re.MULTILINE,
        )
    )
    assert said == {*reasons, "its challenge says …"}


def test_the_pages_show_the_tables() -> None:
    for page, table in (
        ("which-401", "challenges"),
        ("which-401", "rules_of_401"),
        ("concepts", "token_rules"),
        ("concepts", "token_states"),
    ):
        assert f"{{{{ {table} }}}}" in (DOCS / f"{page}.md").read_text(encoding="utf-8")
