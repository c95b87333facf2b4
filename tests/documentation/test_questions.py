"""The answers are short: each says where the whole of it is, and has tests that it is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.named_tests import exists

PAGE = (Path(__file__).parents[2] / "docs" / "questions.md").read_text(encoding="utf-8")
_, *PARTS = re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)
ANSWERS = dict(zip(PARTS[::2], PARTS[1::2], strict=True))


@pytest.mark.parametrize("question", ANSWERS)
def test_each_answer_has_a_link_and_tests(question: str) -> None:
    answer = ANSWERS[question]
    assert re.search(r"\]\([\w-]+\.md(#[\w-]+)?\)", answer)
    tests = re.findall(r"^% (\S+)$", answer, re.MULTILINE)
    assert len(tests) > 0
    assert [test for test in tests if not exists(test)] == []
