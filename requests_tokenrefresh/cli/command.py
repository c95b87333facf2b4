"""The command `requests-tokenrefresh`, put together."""

from __future__ import annotations

import click

from . import demo_command, doctor, get, login, logout, serve, stored_login
from .exits import EXIT_CODES, CommandGroup


@click.group(
    cls=CommandGroup,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="requests-tokenrefresh", message="%(package)s %(version)s")
def command() -> None:
    """Keep one login alive: see it done (demo), and do it from a shell (login, get, logout)."""


for part in (
    demo_command.demo,
    serve.serve,
    login.login,
    get.get,
    stored_login.status,
    logout.logout,
    doctor.doctor,
):
    command.add_command(part)
