"""The command `requests-tokenrefresh`; also `python -m requests_tokenrefresh`."""

from __future__ import annotations

import io
import sys
from typing import cast


def main() -> None:
    """Run the command, and end the process with its exit code."""
    try:
        from .cli.command import command

        # What it cannot write is shown by its number there, as Python does it on standard error.
        cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
        command(prog_name="requests-tokenrefresh")
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in ("click", "rich", "segno"):
            raise
        sys.stderr.write(f"The command needs {package}: pip install 'requests-tokenrefresh[cli]'\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
