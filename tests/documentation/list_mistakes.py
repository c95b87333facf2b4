"""Writes docs/mistakes.md: what errors say that tell a mistake where something is made.

`python -m tests.documentation.list_mistakes > docs/mistakes.md`

They are read from the source. What a request can meet is not among them, but on the page "When it
does not work", where each has a cause and a cure.
"""

from __future__ import annotations

import sys

from tests.support.messages import messages


def table() -> str:
    """Return them as Markdown, in the order of their words."""
    mistakes = [one for one in messages() if one.fragments and not one.meets_requests]
    mistakes.sort(key=lambda one: (one.fragments, one.kind.__name__))
    rows = [f"| `{one.kind.__name__}` | `{one.text}` |" for one in mistakes]
    return "\n".join(["| Error | It says |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(table())
