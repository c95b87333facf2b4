"""Tests that documents name: ``unit/test_flight.py::test_…`` below tests/, or a whole file."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]


def exists(test: str) -> bool:
    """Return whether there is that test; of a file, whether it has any."""
    file, _, name = test.partition("::")
    found = {one for one in _names_in(TESTS / file) if one.startswith("test_")}
    return name in found if name else bool(found)


def _names_in(file: Path) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = ast.walk(ast.parse(file.read_text("utf-8"))) if file.is_file() else ()
    return {node.name for node in nodes if isinstance(node, functions)}
