"""The options of `demo` and `serve` that are durations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def seconds_option(name: str, default: float, explanation: str) -> Callable[[Any], Any]:
    """Return an option for how long something takes."""
    return click.option(
        name,
        type=click.FloatRange(min=0.001, max=3600),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help=explanation,
    )
