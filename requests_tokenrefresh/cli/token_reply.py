"""A token reply that somebody else got, from standard input."""

from __future__ import annotations

import getpass
import json
import sys
import time

from .._token import Token, read_login
from .exits import HOW_TO_LOG_IN, USAGE, fail

_LARGEST = 1 << 20  # bytes


def read_token_reply() -> Token:
    """Return the token in the reply on standard input (RFC 6749 section 5.1).

    Raises:
        click.exceptions.Exit: It is none, and that was said.
    """
    reply = _read()
    if not reply.strip():
        fail(
            f"there is no token reply on standard input; for a person to log in, {HOW_TO_LOG_IN}",
            USAGE,
        )
    return _token_from(reply)


def _read() -> bytes:
    if sys.stdin is None:  # it is closed
        return b""
    if not sys.stdin.isatty():
        return sys.stdin.buffer.read(_LARGEST)
    return getpass.getpass("Token reply (JSON in one line; not shown): ").encode()


def _token_from(reply: bytes) -> Token:
    try:
        return read_login(json.loads(reply), received_at=time.time())
    except json.JSONDecodeError as error:
        problem = f"it is not JSON, see line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError) as error:
        problem = str(error)
    # Out here, because a JSONDecodeError carries the whole text with its secrets.
    return fail(
        f"this is not a token reply: {problem}. A terminal takes one line of 4095 characters at "
        "most; for longer replies: requests-tokenrefresh login --store FILE < reply.json",
        USAGE,
    )
