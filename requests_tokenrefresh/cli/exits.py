"""How the command ends: its exit codes, and a message instead of a stack trace."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click
import requests
from urllib3.exceptions import HTTPError, MaxRetryError

from .._errors import InsecureTransportError, LoginRequiredError, TokenStoreError

UNSUCCESSFUL, USAGE, LOGIN_REQUIRED, TRY_LATER, STORE = 1, 2, 3, 4, 5
INTERRUPTED, READER_GONE = 130, 141  # as shells have it: 128 + SIGINT, 128 + SIGPIPE

EXIT_CODES = """\b
Exit codes:
  0    done
  1    the server answered with an error status, or the demo failed
  2    the command line, or what was read, is not as it should be
  3    log in: the login is over, or there is none
  4    try again later: a server was out of reach, or in trouble
  5    the token store cannot be used
  130  interrupted
  141  whoever read the output went away
"""

_CODES: tuple[tuple[type[Exception], int], ...] = (  # the first that fits
    (LoginRequiredError, LOGIN_REQUIRED),
    (TokenStoreError, STORE),
    (InsecureTransportError, USAGE),
    (requests.exceptions.InvalidHeader, USAGE),
    (requests.RequestException, TRY_LATER),
    (HTTPError, TRY_LATER),  # urllib3's own, while an answer's body is streamed
    (OSError, UNSUCCESSFUL),
)


def fail(message: str, exit_code: int) -> NoReturn:
    """End the command with a *message* for whoever typed it.

    Raises:
        click.exceptions.Exit: Always.
    """
    click.echo(f"Error: {message}", err=True)
    raise click.exceptions.Exit(exit_code)


class CommandGroup(click.Group):
    """Commands whose errors end in a message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command.

        Raises:
            click.exceptions.Exit: It did not succeed; why has been said.
        """
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # at exit it would be too late to tell
        except (KeyboardInterrupt, EOFError):
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            _write_to_nobody()
            ctx.exit(READER_GONE)
        except Exception as error:
            code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
            if code is None:
                raise
            fail(_said(error), code)
        return result


def _said(error: Exception) -> str:
    # Instead of "HTTPConnectionPool(...): Max retries exceeded with url: ...", what went wrong.
    cause = error.args[0] if error.args else None
    return str(cause.reason if isinstance(cause, MaxRetryError) else error)


def _write_to_nobody() -> None:
    # What is still buffered would raise once more when the interpreter flushes it at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
