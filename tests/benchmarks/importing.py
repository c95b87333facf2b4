"""Importing: what a program pays before it does anything, beyond what requests costs it."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from tests.benchmarks.report import table

_RUNS = 40
_CODE = """
import time
started = time.perf_counter()
import requests
between = time.perf_counter()
import requests_tokenrefresh
print(between - started, time.perf_counter() - between)
"""


def report() -> str:
    """Return the table: medians (minima) over new processes, whose files are in the cache."""
    _times()
    plain, ours = zip(*(_times() for _ in range(_RUNS)), strict=True)
    rows = [("requests", plain), ("requests_tokenrefresh, beside that", ours)]
    cells = [[name, f"{median(times):.1f} ({min(times):.1f})"] for name, times in rows]
    return table(["importing", "ms"], cells)


def _times() -> list[float]:
    run = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    return [float(seconds) * 1e3 for seconds in run.stdout.split()]
