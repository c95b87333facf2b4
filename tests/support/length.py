"""What a run of all tests leaves out, or does in small, and an environment of tox does at length.

The environment variable ``LONG`` names environments, with blanks between them: their tests run
whole. `tox -e stores` sets ``LONG=stores``, and so on. ``pytest.mark.long("stores")`` marks a test
that is run at length only.
"""

from __future__ import annotations

import os

import hypothesis
import pytest

ENVIRONMENTS = frozenset(
    [
        *("attacks", "fuzzing", "interleavings", "model", "process-life", "servers", "stores"),
        "terminals",
    ],
)
_EXAMPLES = 2000


def at_length(environment: str) -> bool:
    """Return whether what belongs to *environment* is run at length."""
    assert environment in ENVIRONMENTS, f"no environment of tox: {environment!r}"
    return environment in os.environ.get("LONG", "").split()


def long(environment: str, *parameters: object) -> list[object]:
    """Return parameters of a test, each a tuple if there are several names, that are long."""
    values = (one if isinstance(one, tuple) else (one,) for one in parameters)
    return [pytest.param(*each, marks=pytest.mark.long(environment)) for each in values]


def leave_out_what_is_long(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take those of *items* away whose environment was not asked for."""
    left_out = [item for item in items if not all(map(at_length, _environments(item)))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def _environments(item: pytest.Item) -> list[str]:
    """Return for which *item* is too long: MariaDB takes seconds to start, and few machines have
    one."""
    marked = [mark.args[0] for mark in item.iter_markers("long")]
    parameters = item.nodeid.partition("[")[2]
    needs_mariadb = "mariadb" in parameters or "mariadb" in getattr(item, "fixturenames", ())
    return [*marked, "stores"] if needs_mariadb else marked


def few(number: int, environment: str = "fuzzing", **options: object) -> hypothesis.settings:
    """Return settings for the same *number* of examples in every run, or for many at random."""
    many = at_length(environment)
    return hypothesis.settings(
        max_examples=_EXAMPLES if many else number,
        derandomize=not many,
        **options,  # type: ignore[arg-type]
    )
