"""click's runner for tests, with the two outputs of a command apart."""

from __future__ import annotations

import inspect

from click.testing import CliRunner


def cli_runner() -> CliRunner:
    """Return a runner whose results have a ``stdout`` and a ``stderr``."""
    if "mix_stderr" in inspect.signature(CliRunner).parameters:
        return CliRunner(mix_stderr=False)  # click before 8.2 would make one of the two
    return CliRunner()
