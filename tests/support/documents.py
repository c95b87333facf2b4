"""Running what a document shows: its Python blocks, and the commands of its console blocks.

A block that begins with a comment such as ``# report.py`` is a script: it is saved under that
name, and run where a console block says ``python report.py``. The other Python blocks of a document
run as they come, and share their names. A shell script has its name below its first line.

Addresses that lead nowhere, or elsewhere than the test wants, are exchanged for local ones first.
Nothing else is changed.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.myst import CodeBlockParser
from sybil.region import Lexeme

import requests_tokenrefresh
from requests_tokenrefresh.cli.command import command
from tests.support.cli_runner import cli_runner
from tests.support.length import at_length

_SCRIPT = re.compile(r"# ([\w.]+\.py)\n|#!/bin/sh\n# ([\w-]+)\n")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INCLUDED = re.compile(r"^```\{literalinclude\} (\S+\.py)$", re.MULTILINE)

_PACKAGE_FOLDER = Path(requests_tokenrefresh.__file__).parents[1]

# What sets a machine up, takes long or does not end; programs that serve have a test of their own,
# test_workers_documented. Of this command's own the options are checked.
_NOT_RUN = (".", "pip", "python -m", "gunicorn", "celery")
_TOO_LONG = ("demo", "serve")


def save_scripts(path: Path, addresses: Mapping[str, str], folder: Path) -> None:
    """Save all scripts that a document shows or includes in *folder*, which is for nothing else.

    Args:
        path: The document.
        addresses: As for `RunDocument`.
    """
    page = path.read_text(encoding="utf-8")
    for name in _INCLUDED.findall(page):
        included = path.parent / name
        _save(_exchange(addresses, included.read_text("utf-8")), folder / included.name)
    for _, text in _BLOCK.findall(page):
        source = _exchange(addresses, text)
        script = _SCRIPT.match(source)
        if script:
            _save(source, folder / (script[1] or script[2]))


def shown_command(path: Path, program: str) -> list[str]:
    """Return the words of the one command line in a document that calls *program*."""
    blocks = [text for kind, text in _BLOCK.findall(path.read_text("utf-8")) if kind == "console"]
    lines = [line for block in blocks for line, _ in _commands(block)]
    [command] = [words for words in map(shlex.split, lines) if words[0] == program]
    return command


class RunDocument:
    """A document whose examples can be run.

    Args:
        path: The document.
        addresses: What to exchange before anything is run, by what it is exchanged for.
        names: What its invisible blocks may use.
    """

    def __init__(self, path: Path, addresses: Mapping[str, str], names: Mapping[str, Any]) -> None:
        self._addresses = addresses
        self._document = Document.parse(
            str(path),
            CodeBlockParser("python", self._run_python),
            CodeBlockParser("console", self._run_commands),
        )
        self.names = self._document.namespace
        self.names.update(names)

    def examples(self) -> Iterator[Example]:
        """Return its blocks, in order; each has an `evaluate`."""
        return self._document.examples()

    def _run_python(self, example: Example) -> None:
        source = _exchange(self._addresses, example.parsed)
        script = _SCRIPT.match(source)
        if script:
            _save(source, Path(script[1]))
            return
        example.parsed = Lexeme(source, example.parsed.offset, example.parsed.line_offset)
        PythonEvaluator()(example)

    def _run_commands(self, example: Example) -> str | None:
        for line, wanted in _commands(_exchange(self._addresses, example.parsed)):
            got = "".join(_output(part) for part in line.split(" && "))
            if wanted and not _agree(wanted, got):
                return f"{line}\nshould have said\n{wanted}\nbut said\n{got}"
        return None


def _exchange(addresses: Mapping[str, str], text: str) -> str:
    for shown, local in addresses.items():
        text = text.replace(shown, local)
    return text


def _save(source: str, path: Path) -> None:
    path.write_text(source)
    path.chmod(0o755 if source.startswith("#!") else 0o644)


def _agree(wanted: str, got: str) -> bool:
    """Whether *got* is what *wanted* says, where ``...`` stands for anything."""
    checker = doctest.OutputChecker()
    return checker.check_output(wanted.rstrip(), got.rstrip(), doctest.ELLIPSIS)


def _commands(block: str) -> Iterator[tuple[str, str]]:
    """Return the lines after a ``$``, each with the output shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, wanted = part.replace("\\\n", "").partition("\n")
        yield line, wanted


def _output(line: str) -> str:
    stdin = b""
    if line.startswith("curl "):
        curl, line = line.split(" | ")
        stdin = requests.post(shlex.split(curl)[-1], timeout=10).content
    if " < " in line:
        line, _, file = line.partition(" < ")
        stdin = Path(file).read_bytes()
    if line.startswith(_NOT_RUN):
        return ""
    program, *arguments = shlex.split(line)
    if program == "python":
        with contextlib.redirect_stdout(io.StringIO()) as output:
            runpy.run_path(arguments[0])
        return output.getvalue()
    if program == "pytest":
        return _tested(*arguments)
    assert program == "requests-tokenrefresh", f"nobody knows how to run {line!r}"
    if arguments[0] in _TOO_LONG:
        arguments.append("--help")
    result = cli_runner().invoke(command, arguments, input=stdin)
    assert result.exit_code == 0, f"{line}\n{result.output}"
    return result.stdout


def _tested(*arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    if not at_length("stores"):
        command += ["-k", "not process and not fork"]  # each of these takes half a second
    path = os.pathsep.join([str(_PACKAGE_FOLDER), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
