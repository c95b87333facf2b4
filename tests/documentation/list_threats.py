"""Writes docs/threats.md: the threat model, from its table (tests/support/threats.py).

`python -m tests.documentation.list_threats > docs/threats.md`
"""

from __future__ import annotations

import sys

from tests.support.threats import ASSETS, THREATS


def tables() -> str:
    """Return them as Markdown: what there is to lose, and who may have what of it."""
    assets = [f"| {asset} | {worth} |" for asset, worth in ASSETS.items()]
    rows = [
        f"| {row.who} | {row.what} | {row.may} | {row.enforced} | "
        f"{', '.join(f'`{test}`' for test in row.tests)} |"
        for row in THREATS
    ]
    return "\n".join(
        [
            *("| Asset | What it is worth |", "|---|---|", *assets, ""),
            "| Who | would like to | May they? | How it is enforced | Tests |",
            *("|---|---|---|---|---|", *rows, ""),
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(tables())
