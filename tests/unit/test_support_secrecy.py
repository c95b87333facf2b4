"""The whole run as one test (tests/support/secrecy.py) finds what comes out, by each way."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.secrecy import EXEMPT

ROOT = Path(__file__).parents[2]

# The lines of a test for each way that a secret may come out by, and what is said of it.
TOLD = {
    'logging.getLogger("urllib3.util").debug("got %s", "access-77")': "log urllib3.util",
    'expected(ValueError("access-77"))': "error ValueError",
    'expected(ValueError(), access="access-77")': "error ValueError",
    'expected(ValueError(), __cause__=ValueError("access-77"))': "error ValueError",
    'expected(ValueError(), __context__=ValueError("access-77"))': "error ValueError",
    'logging.getLogger("any").error("no", exc_info=ValueError("access-77"))': "error ValueError",
    'expected(TokenRefreshError("no"), reason=Unshown("access-77"))': "pickle TokenRefreshError",
    'exec("def f():\\n key = \'access-77\'\\n 1 / 0", ours); expected_of(ours["f"])': (
        "variable requests_tokenrefresh._ours:f.key"
    ),
    'CliRunner().invoke(click.Command("a", callback=lambda: print("access-77")))': "output",
    'subprocess.run([sys.executable, "-c", "print(\'access-\' + str(77))"], '
    "stdout=subprocess.PIPE)": "output",
    'subprocess.run([sys.executable, "-c", "\'access-77\'"])': "arguments",
    'form(b"grant_type=a&refresh_token=refresh-of-a-form"); '
    'expected(ValueError("refresh-of-a-form"))': "error ValueError",
    'form(b"code=the-code-sent"); expected(ValueError("the-code-sent"))': "error ValueError",
    'form(b"", "Basic YTpzM2NyZXQtb2YtYQ=="); expected(ValueError("s3cret-of-a"))': (
        "error ValueError"
    ),
    'many(); expected(ValueError("access-77"))': "error ValueError",
    'logging.getLogger("any").debug("%.1s", "access-77")': "log any",
    'run_together(1, raises(ValueError("access-77")))': "error ValueError",
    'events.WaitStarted(1.0, "access-77")': "pickle WaitStarted\nrepr WaitStarted",
    'FileTokenStore("access-77")': "repr FileTokenStore",
    'print("access-77")': "output",
    "os.write(2, b'access-77')": "output",
    "exec(\"os.open(folder + '/access-77', os.O_CREAT, 0o600)\", ours)": (
        "file requests_tokenrefresh._ours:<module>"
    ),
    "exec(\"os.open(folder + '/name', os.O_CREAT, 0o644)\", ours)": (
        "open file requests_tokenrefresh._ours:<module>"
    ),
    "exec(\"tempfile.mkstemp(' access-77')\", ours)": ("file requests_tokenrefresh._ours:<module>"),
    "exec(\"logging.getLogger('sqlalchemy.engine').debug('access-77')\", ours)": (
        "log sqlalchemy.engine"
    ),
    'Token("access-of-a-test"); expected(ValueError("access-of-a-test"))': "error ValueError",
}
NOT_TOLD = [
    'Token("invalid_grant"); expected(ValueError("invalid_grant"))',
    'expected(AssertionError("access-77"))',
    'expected(ValueError("access-of-a-test"))',  # of another
    'os.open(folder + "/access-77", os.O_CREAT, 0o644)',
    'logging.getLogger("sqlalchemy.engine").debug("access-77")',
    'exec("def f(key):\\n 1 / 0", ours); expected_of(lambda: ours["f"]("access-77"))',
    'exec("def f():\\n key = \'access-77\'\\n 1 / 0", theirs); expected_of(theirs["f"])',
    'logging.getLogger("authlib.oauth2").debug("given out: %s", "access-77")',
]
BEGINNING = """\
import logging
import os
import subprocess
import sys
import tempfile

import click
import pytest
import requests
from click.testing import CliRunner

from requests_tokenrefresh import FileTokenStore, Token, TokenRefreshError, events
from requests_tokenrefresh.testing._threads import run_together
from tests.support.servers import HTTPServer, Reply

tempfile.tempdir = folder = os.path.dirname(__file__)
ours, theirs = {**globals(), "__name__": "requests_tokenrefresh._ours"}, {"__name__": "theirs"}
Token("access-77")


def raises(error):
    def call():
        raise error

    return call


class Unshown(str):
    def __repr__(self):
        return "something"


def expected(error, **attributes):
    for name, value in attributes.items():
        setattr(error, name, value)
    with pytest.raises(type(error)):
        raise error


def expected_of(call):
    with pytest.raises(ZeroDivisionError):
        call()


def form(body, authorization=None):
    with HTTPServer(lambda request: Reply()) as server:
        headers = {"Authorization": authorization} if authorization else {}
        requests.post(server.url, data=body, headers=headers, auth=lambda request: request)


def many():
    for number in range(20_000):
        logging.getLogger("any").debug("%d", number)
"""


@pytest.mark.long("attacks")
def test_what_comes_out_is_found_in_the_test_that_it_comes_out_in(tmp_path: Path) -> None:
    tests = [f"def test_told_{n}():\n    {line}\n" for n, line in enumerate(TOLD)]
    tests += [f"def test_not_told_{n}():\n    {line}\n" for n, line in enumerate(NOT_TOLD)]
    tests += [f"@pytest.mark.tells('as it is to')\ndef test_not_told():\n    {next(iter(TOLD))}\n"]
    (tmp_path / "test_it.py").write_text("\n\n".join([BEGINNING, *tests]))
    plugins = ["-p", "tests.support.secrecy", "-p", "no:cacheprovider"]
    options = ["-q", "--color=no", f"--rootdir={tmp_path}", "-o", "markers=tells: it is right"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "LONG": "attacks"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {
        number: "\n".join(re.findall(r"^([^:\n]*(?::[^:\n ]*)?): ", said, re.MULTILINE))
        for number, said in re.findall(
            r"test_told_(\d+) _+\nsecrets came out:\n((?:[^-_=\n].*\n)+)", done.stdout
        )
    }
    assert found == {str(n): said for n, said in enumerate(TOLD.values())}, done.stdout
    assert f"{len(TOLD) + len(NOT_TOLD) + 1} passed, {len(TOLD)} errors" in done.stdout


def test_the_security_page_names_each_exception() -> None:
    page = " ".join((ROOT / "docs" / "security.md").read_text("utf-8").split())
    assert [one.said for one in EXEMPT if one.said is not None and one.said not in page] == []
    assert all(one.why for one in EXEMPT)
