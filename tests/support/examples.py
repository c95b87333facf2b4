"""How many examples a property is tried with: few in every run, many where it is the point."""

from __future__ import annotations

import os

import hypothesis

MANY = "EXAMPLES"  # the environment variable with their number


def few(number: int, **options: object) -> hypothesis.settings:
    """Return settings for the same *number* of examples in every run, or for many at random."""
    many = os.environ.get(MANY)
    return hypothesis.settings(
        max_examples=int(many or number),
        derandomize=not many,
        **options,  # type: ignore[arg-type]
    )
