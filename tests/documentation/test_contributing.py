"""What contributors are told is so: the map, the paths, the environments, the staged race."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.test_structure import ROOMS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TEMPLATES = sorted((ROOT / ".github").rglob("*.md"))


def tox() -> configparser.ConfigParser:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "tox.ini", encoding="utf-8")
    return settings


def test_each_room_is_on_the_map_once_and_in_order() -> None:
    """`__init__` and `__main__` are told last."""
    _, _, below = PAGE.partition("| Room |")
    rows = re.findall(r"^\| (`.*?`) \|", below.partition("\n\n")[0], re.MULTILINE)
    shown = [room for row in rows for room in re.findall(r"`(\w+)`", row)]
    assert sorted(shown) == sorted(ROOMS)
    top = [room for room in shown if room.startswith("_") and not room.startswith("__")]
    assert top == [room for room in ROOMS if room in top]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "docs/for-reviewers.md"])
def test_each_path_that_is_named_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(
        re.findall(r"(?:docs|tests|requests_tokenrefresh)/[\w/-]+(?:\.\w+)?|\.ci/\w+", text)
    )
    assert len(named) > 0
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_each_environment_that_is_named_is_one_of_tox() -> None:
    known = " ".join([*tox().sections(), tox()["tox"]["env_list"]])
    named = {one for names in re.findall(r"tox -e ([\w,-]+)", PAGE) for one in names.split(",")}
    assert {name for name in named if name not in re.split(r"[\s:,{}]+", known)} == set()


def test_a_race_is_staged_as_it_is_shown() -> None:
    [block] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    [test] = [value for name, value in names.items() if name.startswith("test_")]
    run: Callable[[], None] = test
    run()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_who_reports_a_fault_is_asked_for_what_doctor_tells(template: Path) -> None:
    assert "requests-tokenrefresh doctor" in template.read_text(encoding="utf-8")


def test_before_a_commit_the_versions_of_tox_are_used() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    wanted = {
        package
        for repository in hooks["repos"]
        for hook in repository["hooks"]
        for package in hook.get("additional_dependencies", ())
    }
    assert wanted == {tox()["testenv:lint"]["deps"].strip()}


def test_the_extra_all_has_what_the_others_have_that_are_for_programs() -> None:
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = metadata["options.extras_require"]
    has = {name: set(extras[name].split("\n")) - {""} for name in extras}
    parts = [has[name] for name in has if name not in ("all", "test", "docs")]
    assert has["all"] == set().union(*parts)
    assert has["all"] <= has["test"]
