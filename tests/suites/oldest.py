"""Install exactly the oldest versions that setup.cfg allows of what the package and extras need.

    python -m tests.suites.oldest pytest hypothesis

What is named beside them becomes as old as goes with that.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

SETUP = Path(__file__).parents[2] / "setup.cfg"
NOT_OF_THE_PACKAGE = {"test", "docs"}


def oldest(setup: Path) -> list[str]:
    """Return the requirements, with ``==`` in place of ``>=``."""
    config = configparser.ConfigParser()
    config.read(setup)
    extras = config["options.extras_require"]
    ours = [extras[name] for name in extras if name not in NOT_OF_THE_PACKAGE]
    needed = "\n".join([config["options"]["install_requires"], *ours])
    # One extra has all that the others have.
    return [line.replace(">=", "==") for line in dict.fromkeys(needed.splitlines()) if line]


if __name__ == "__main__":
    wanted = [*oldest(SETUP), *sys.argv[1:]]
    print(*wanted, sep="\n", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    sys.exit(subprocess.run([*pip, *wanted], check=False).returncode)
