"""Links between the documents lead to a file, and to a heading or a target that is in it.

Sphinx looks at those of the documentation as well, if it is built; at what a code host shows, only
this does.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").rglob("*.md")]

_FENCE = re.compile(r"^(```|~~~).*?^\1$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ELSEWHERE = re.compile(r"\w+:")


@functools.cache
def text_of(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links_of(text: str) -> Iterator[tuple[str, str]]:
    """Paths and anchors; either may be empty."""
    for link in _LINK.findall(_CODE.sub("", text)):
        if not _ELSEWHERE.match(link):
            path, _, anchor = link.partition("#")
            yield path, anchor


@functools.cache
def anchors_of(page: Path) -> set[str]:
    text = text_of(page)
    slugs = {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def slug(heading: str) -> str:
    """What the code host and MyST make of it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken(page: Path, text: str) -> list[str]:
    wrong = []
    for path, anchor in links_of(text):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            wrong.append(f"{path}#{anchor}")
    return wrong


def test_each_link_leads_somewhere() -> None:
    found = {page.name: broken(page, text_of(page)) for page in PAGES}
    assert {page: links for page, links in found.items() if links} == {}


def test_a_link_that_leads_nowhere_is_found() -> None:
    page = ROOT / "docs" / "concepts.md"
    text = (
        "[a](gone.md) [b](security.md#gone) [c](#the-rules) [d](https://gone.example) `[e](gone)`"
    )
    assert broken(page, text) == ["gone.md#", "security.md#gone"]
