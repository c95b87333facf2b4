"""Exit codes, and a message instead of a stack trace."""

import signal
import ssl
import subprocess
import sys

import pytest
import requests
from click.testing import Result
from urllib3.exceptions import MaxRetryError, ProtocolError

from requests_tokenrefresh import (
    InsecureTransportError,
    LoginRequiredError,
    RefreshFailedError,
    RefreshTimeoutError,
    StoreLockTimeoutError,
    TokenStoreError,
    __main__,
)
from requests_tokenrefresh._errors import LoginFailedError, RevocationFailedError
from requests_tokenrefresh.cli.command import COMMANDS, command
from requests_tokenrefresh.cli.exits import CommandGroup, ended_by_sigterm
from requests_tokenrefresh.refreshers._cause import advice_for
from tests.support.cli_runner import cli_runner
from tests.support.threads import run_together


def run_raising(error: BaseException) -> Result:
    group = CommandGroup("group")

    @group.command()
    def boom() -> None:
        raise error

    return cli_runner().invoke(group, ["boom"])


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (LoginRequiredError("over"), 3),
        (LoginFailedError("no", reason="access_denied"), 3),
        (LoginFailedError("nowhere", reason="no_way"), 3),
        (LoginFailedError("taken", reason="redirect_taken"), 2),
        (LoginFailedError("unknown", reason="no_discovery"), 2),
        (RevocationFailedError("not told"), 4),
        (TokenStoreError("broken"), 5),
        (StoreLockTimeoutError("busy"), 5),
        (InsecureTransportError("plain"), 2),
        (requests.exceptions.InvalidHeader("crooked"), 2),
        (RefreshFailedError("later"), 4),
        (RefreshTimeoutError("slow"), 4),
        (requests.ConnectionError("gone"), 4),
        (ProtocolError("cut"), 4),
        (PermissionError("forbidden"), 1),
        (OSError(), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_error_is_a_message_and_an_exit_code(error, exit_code):
    result = run_raising(error)
    assert result.exit_code == exit_code
    assert result.stderr == f"Error: {error}\n"


def test_a_server_out_of_reach_is_told_by_its_cause_without_the_url():
    cause = MaxRetryError(None, "/secret?token=1", OSError("connection refused"))
    result = run_raising(requests.ConnectionError(cause))
    assert result.stderr == "Error: connection refused\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EOFError()], ids=["Ctrl-C", "Ctrl-D"])
def test_an_interrupt_ends_quietly(error):
    result = run_raising(error)
    assert (result.exit_code, result.output) == (130, "")


def test_a_defect_keeps_its_stack_trace():
    result = run_raising(ZeroDivisionError())
    assert isinstance(result.exception, ZeroDivisionError)


def test_the_help_lists_the_exit_codes():
    result = cli_runner().invoke(command, ["--help"])
    assert result.exit_code == 0
    for code in (0, 1, 2, 3, 4, 5, 130, 141):
        assert f"\n    {code} " in result.stdout


def test_without_a_command_the_help_is_shown_as_it_is():
    asked, not_asked = (cli_runner().invoke(command, args) for args in (["--help"], []))
    assert (not_asked.exit_code, not_asked.stdout) == (2, "")
    assert not_asked.stderr == asked.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    result = cli_runner().invoke(command, [name, "-h"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: command {name} ")


@pytest.mark.parametrize("package", ["click", "rich", "segno"])
def test_without_the_extra_the_command_says_what_to_install(package):
    code = f"import sys; sys.modules[{package!r}] = None; import runpy; "
    code += "runpy.run_module('requests_tokenrefresh', run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr == (
        f"The command needs {package}: pip install 'requests-tokenrefresh[cli]'\n"
    )


def test_another_missing_module_is_not_blamed_on_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "requests_tokenrefresh.cli.command", None)
    with pytest.raises(ModuleNotFoundError, match="command"):
        __main__.main()


def test_a_certificate_is_not_to_be_passed_by_an_argument_that_there_is_not():
    error = RefreshFailedError(
        f"the exchange failed (SSLError: x); {advice_for(ssl.SSLError('x'))}"
    )
    told = run_raising(error).stderr
    assert "set REQUESTS_CA_BUNDLE to the CA bundle that its certificate is signed by" in told
    assert "verify=" not in told


def test_on_another_thread_than_the_first_a_signal_does_what_it_did():
    """As Python lets no other say what it does; and nothing fails for that."""

    def handler() -> object:
        with ended_by_sigterm():
            return signal.getsignal(signal.SIGTERM)

    [there] = run_together(1, handler)
    assert there.result() == signal.getsignal(signal.SIGTERM)
