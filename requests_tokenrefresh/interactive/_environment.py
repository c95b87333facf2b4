"""What a process that is started here gets of the environment."""

from __future__ import annotations

import os

OURS = "REQUESTS_TOKENREFRESH_"
"""How the names of variables begin that are for this program alone: a client's secret."""


def for_a_child() -> dict[str, str]:
    """Return the environment without these: whoever may look at a child could read them there."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
