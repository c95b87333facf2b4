"""The command `requests-tokenrefresh`, put together."""

from __future__ import annotations

from importlib import import_module
from typing import cast

import click

from .exits import EXIT_CODES, CommandGroup

# By name, the file of this folder that each is in.
COMMANDS = {
    "demo": "demo_command",
    "doctor": "doctor",
    "get": "get",
    "login": "login",
    "logout": "logout",
    "serve": "serve",
    "status": "stored_login",
}


class _Commands(CommandGroup):
    """Commands, each of which is imported when it is asked for: `get` begins sooner without what
    draws the tables of `demo`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the one of that name."""
        if cmd_name not in COMMANDS:
            return None
        file = import_module(f".{COMMANDS[cmd_name]}", __package__)
        return cast("click.Command", getattr(file, cmd_name))


@click.group(
    cls=_Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="requests-tokenrefresh", message="%(package)s %(version)s")
def command() -> None:
    """Keep one login alive: see it done (demo), and do it from a shell (login, get, logout)."""
