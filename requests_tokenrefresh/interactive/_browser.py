"""The person's browser, opened by a process of its own.

`webbrowser` waits for some browsers to end, and lets them print where this program prints. In a
process without a terminal they can do either.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from shutil import which
from typing import TypeAlias

from ._environment import for_a_child

Browser: TypeAlias = "str | Callable[[str], object] | None"
"""A command or a name as in ``$BROWSER``, a function that takes the address, or None for the usual
one."""

_PROBE = 10.0  # seconds

# These draw on the terminal, which is the program's.
_ON_TERMINALS = ("www-browser", "links", "elinks", "lynx", "w3m")

_OF_WINDOWS = "wslview"  # opens the browser of the Windows that this Linux runs in

# The address comes by standard input: others can read the arguments of a process.
_PROGRAM = f"""
import os, sys, webbrowser
try:
    found = webbrowser.get()
except webbrowser.Error:
    sys.exit(1)
if os.path.basename(str(getattr(found, "name", ""))) in {_ON_TERMINALS!r}:
    sys.exit(1)
address = sys.stdin.read()
sys.exit(bool(address) and not webbrowser.open(address))
"""


def has_screen(environ: Mapping[str, str]) -> bool:
    """Return whether a browser that is opened here is one that the person sees."""
    if environ.get("BROWSER"):
        return True
    if any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")):
        return False
    if sys.platform in ("darwin", "win32") or which(_OF_WINDOWS):
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def is_there(browser: Browser) -> bool:
    """Return whether there is a browser, other than one on the terminal."""
    if callable(browser) or not _has_interpreter():
        return True
    try:
        return _run(browser, "", timeout=_PROBE)
    except (OSError, subprocess.SubprocessError):
        return False


def open_address(address: str, browser: Browser, failed: Callable[[], object]) -> None:
    """Open *address*, and return at once.

    Args:
        failed: Called, on another thread, if that was not possible.
    """
    opens = browser if callable(browser) else lambda url: _open(url, browser)

    def run() -> None:
        try:
            opened = opens(address)
        except Exception:
            opened = False
        if opened is False:
            failed()

    threading.Thread(target=run, name="login-browser", daemon=True).start()


def _open(address: str, browser: str | None) -> bool:
    if not _has_interpreter():
        return webbrowser.get(browser).open(address)
    return _run(browser, address)


def _run(browser: str | None, address: str, timeout: float | None = None) -> bool:
    environ = for_a_child()
    if browser is None and not environ.get("BROWSER"):
        browser = which(_OF_WINDOWS)  # which `webbrowser` does not know
    if browser is not None:
        environ["BROWSER"] = browser
    done = subprocess.run(  # noqa: S603  # nosec B603  # our own program
        # Isolated: a file of the same name in the working directory is not imported.
        [sys.executable, "-I", "-c", _PROGRAM],
        env=environ,
        input=address.encode(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C here does not end it
        timeout=timeout,
        check=False,
    )
    return done.returncode == 0


def _has_interpreter() -> bool:
    """Return whether a child process can be Python: a frozen program would start itself."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)
