"""`python -m tests.benchmarks [PART ...]`: print the tables, in Markdown, on standard output."""

from __future__ import annotations

import argparse

from tests.benchmarks import growing, happy_path, importing, memory, processes, soak, storm
from tests.benchmarks.report import machine

_PARTS = {
    "happy-path": happy_path.report,
    "importing": importing.report,
    "storm": storm.report,
    "soak": soak.report,
    "memory": memory.report,
    "processes": processes.report,
    "growing": growing.report,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(_PARTS)}; all")
    chosen = parser.parse_args().parts or list(_PARTS)
    unknown = [part for part in chosen if part not in _PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}: choose from {', '.join(_PARTS)}")
    print(machine())
    for part in chosen:
        print(f"\n{_PARTS[part]()}", flush=True)


if __name__ == "__main__":
    main()
