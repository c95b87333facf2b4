"""The house: imports go one way, and the flight's file is the only one with a Condition."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import requests_tokenrefresh

PACKAGE = Path(requests_tokenrefresh.__file__).parent

# Each may import from those above it, and from its own folder.
ROOMS = [
    "_on_demand",
    "_foreign",
    "_expiry",
    "_token",
    "_errors",
    "_client_record",
    "events",
    "_door",
    "_origins",
    "_netrc",
    "_challenge",
    "_replay",
    "refreshers",
    "stores",
    "_evidence",
    "_hand",
    "_login",
    "_backoff",
    "_rules",
    "_flight",
    "_asking",
    "_keeping",
    "_renewal",
    "_telling",
    "_getting",
    "_ending",
    "_source",
    "_stack",
    "interactive",
    "_attach",
    "_adapter",
    "_mount",
    "_install",
    "__init__",
    "testing",
    "cli",
    "__main__",
]
VALUES = {"_foreign", "_expiry", "_token", "_errors"}
PURE = {*VALUES, "_evidence", "_hand", "_login"}
NARROWER = {
    "_on_demand": set(),
    "_foreign": set(),
    "_expiry": set(),
    "_token": {"_expiry"},
    "_errors": {"_foreign"},
    "events": set(),
    "_door": set(),
    "_origins": {"_errors", "_door"},
    "_challenge": set(),
    "_replay": set(),
    "refreshers": {*VALUES, "_on_demand", "_door", "_origins"},
    "stores": {*VALUES, "_client_record", "_on_demand", "_door"},
    "_evidence": set(),
    "_hand": {"_token", "_evidence"},
    "_login": {*VALUES, "_evidence", "_hand"},
    "_backoff": {"_errors", "_hand", "_login"},
    "_rules": PURE,
    "_flight": {*PURE, "_rules"},
    "_asking": {*PURE, "_flight", "refreshers"},
    "_keeping": {*PURE, "_backoff", "_flight", "stores"},
    "_netrc": {"_origins"},
    "interactive": {
        *VALUES,
        "_client_record",
        "_on_demand",
        "_door",
        "_origins",
        "refreshers",
        "stores",
        "_source",
    },
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms that *path* imports from, wherever in the file the import stands."""
    inside = path.relative_to(PACKAGE).parent.parts
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = list(inside[: len(inside) - node.level + 1])
                full = base + (node.module.split(".") if node.module else [])
            elif (node.module or "").split(".")[0] == "requests_tokenrefresh":
                full = (node.module or "").split(".")[1:]
            else:
                continue
            rooms |= {full[0]} if full else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                package, *rest = alias.name.split(".")
                if package == "requests_tokenrefresh":
                    rooms.add(rest[0] if rest else "__init__")
    return rooms - {room_of(path)}


FILES = sorted(PACKAGE.rglob("*.py"))


def allowed_rooms(path: Path) -> set[str]:
    room = room_of(path)
    allowed = NARROWER.get(room, set(ROOMS[: ROOMS.index(room)]))
    return allowed | set(requests_tokenrefresh.__all__) if "__init__" in allowed else allowed


def test_imports_go_one_way() -> None:
    against = {path: imported_rooms(path) - allowed_rooms(path) for path in FILES}
    assert {path: rooms for path, rooms in against.items() if rooms} == {}


def test_one_file_has_the_condition() -> None:
    assert [room_of(path) for path in FILES if "Condition(" in path.read_text()] == ["_flight"]


@pytest.mark.parametrize("room", ["_evidence", "_hand", "_login", "_rules", "_backoff"])
def test_what_decides_has_no_lock_clock_thread_or_io(room: str) -> None:
    text = (PACKAGE / f"{room}.py").read_text()
    imported = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported.isdisjoint({"threading", "time", "os", "logging", "random", "requests"})


@pytest.mark.parametrize("room", ["_source", "_getting", "_flight", "_renewal", "_keeping"])
def test_the_source_does_no_http(room: str) -> None:
    imports = [
        line
        for line in (PACKAGE / f"{room}.py").read_text().splitlines()
        if line.startswith(("import ", "from "))
    ]
    assert [line for line in imports if "requests" in line or "urllib3" in line] == []


def heart() -> list[Path]:
    return [path for path in FILES if path.parent == PACKAGE]


def classes(path: Path) -> list[ast.ClassDef]:
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def methods(of: ast.ClassDef) -> list[ast.FunctionDef]:
    return [one for one in of.body if isinstance(one, ast.FunctionDef)]


def test_no_file_and_no_class_outgrows_one_reading() -> None:
    """400 lines, docstrings included, and 20 methods."""
    assert [path for path in heart() if len(path.read_text().splitlines()) > 400] == []
    every = [one for path in heart() for one in classes(path)]
    assert [one.name for one in every if len(methods(one)) > 20] == []
