"""How the command ends: its exit codes, and a message instead of a stack trace."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click
import requests
from urllib3.exceptions import HTTPError, MaxRetryError

from .._errors import (
    InsecureTransportError,
    LoginFailedError,
    LoginRequiredError,
    TokenStoreError,
)
from .._foreign import printable
from .in_options import in_options

UNSUCCESSFUL, USAGE, LOGIN_REQUIRED, TRY_LATER, STORE = 1, 2, 3, 4, 5
INTERRUPTED, READER_GONE = 130, 141  # as shells have it: 128 + SIGINT, 128 + SIGPIPE

EXIT_CODES = """\b
Exit codes:
  0    done
  1    the server answered with an error status, the demo failed, or
       the doctor found something wrong
  2    the command line, or what was read, is not as it should be
  3    log in: the login is over, or there is none, or nobody has logged in
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

_BY_OPTIONS = ("no_discovery", "redirect_taken")  # reasons of a failed login that options mend


HOW_TO_LOG_IN = "pass --issuer and --client-id to requests-tokenrefresh login"


def fail(message: str, exit_code: int) -> NoReturn:
    """End the command with a *message* for whoever typed it.

    Raises:
        click.exceptions.Exit: Always.
    """
    click.echo(f"Error: {printable(message)}", err=True)
    raise click.exceptions.Exit(exit_code)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """While inside, SIGTERM ends the command as any exception would: a terminal that was changed
    is as it was, and nobody listens any more.

    Raises:
        SystemExit: As a shell has it: 128 + SIGTERM.
    """

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # which alone may say what a signal does
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def usage_errors() -> Iterator[None]:
    """While inside, an argument that makes no sense is one of the command line; so is one that
    needs an extra which is not there.

    Raises:
        click.UsageError: In the place of a ValueError, or an ImportError.
    """
    try:
        yield
    except (ValueError, ImportError) as error:
        raise click.UsageError(str(error)) from None


class CommandGroup(click.Group):
    """Commands whose errors end in a message and an exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the whole command line, as far as it is not the command's own.

        Raises:
            click.UsageError: It is not as it should be.
            click.exceptions.Exit: There is none; the help has been shown.
        """
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(USAGE)
        with _usage_in_options():
            for number, arg in enumerate(args, 1):
                if not _is_an_argument(arg):
                    ctx.fail(f"argument {number} has half a character, or a NUL")
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command.

        Raises:
            click.exceptions.Exit: It did not succeed; why has been said.
        """
        try:
            with _usage_in_options():
                result = super().invoke(ctx)
            sys.stdout.flush()  # at exit it would be too late to tell
        except (KeyboardInterrupt, EOFError):
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            _write_to_nobody()
            ctx.exit(READER_GONE)
        except Exception as error:
            code = _code_of(error)
            if code is None:
                raise
            fail(in_options(_said(error)), code)
        return result


@contextmanager
def _usage_in_options() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        # click repeats what was typed, or what a script has put there.
        message = printable(in_options(error.message))
        vars(error)["message"] = message  # final, to click's types
        raise


def _is_an_argument(text: str) -> bool:
    """Return whether a system can have passed *text* as an argument."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _code_of(error: Exception) -> int | None:
    """Return the exit code for *error*; None for a defect."""
    if isinstance(error, LoginFailedError) and error.reason in _BY_OPTIONS:
        return USAGE
    return next((code for kind, code in _CODES if isinstance(error, kind)), None)


def _said(error: Exception) -> str:
    # Instead of "HTTPConnectionPool(...): Max retries exceeded with url: ...", what went wrong.
    cause = error.args[0] if error.args else None
    return str(cause.reason if isinstance(cause, MaxRetryError) else error)


def _write_to_nobody() -> None:
    # What is still buffered would raise once more when the interpreter flushes it at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
