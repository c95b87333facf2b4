"""Build what is released, twice, and do with it what the README says, in empty environments.

    python -m tests.packaging

Needs build, check-wheel-contents, setuptools and twine, and a package index. The exit code is 1 if
something is not as it should be, and what that is is printed.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
_PORT = "8401"  # of the README
_PATIENCE = 60.0  # seconds for a server to come up
_LEFT_BEHIND = (
    *(".git", ".venv", ".tox", ".hypothesis", ".*_cache", ".coverage*", "__pycache__"),
    *("build", "dist", "mutants", "htmlcov", "_build", "*.egg-info"),
)
_BESIDE_THE_PACKAGE = (
    *("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "tox.ini"),
    *(".ci/run", ".pre-commit-config.yaml", ".github/pull_request_template.md"),
)
_TEST = """
def test_the_fake_login_is_there_without_an_import(fake_tokens):
    assert fake_tokens.token().access_token == "access-0"
"""


def main() -> None:
    """Build, look at it, install it, and use it."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        os.umask(0o022)  # or modes would depend on whose machine this is
        sdist, wheel = build(here / "one")
        again = build(here / "another")
        refuse_if(wheel.read_bytes() != again[1].read_bytes(), "two builds are two wheels")
        refuse_if(contents(sdist) != contents(again[0]), "two builds are two source distributions")
        run("twine", "check", "--strict", sdist, wheel)
        run("check_wheel_contents", wheel)
        refuse_if_incomplete(sdist)
        for number, artifact in enumerate((sdist, wheel)):
            use(artifact, here / f"user-{number}")


def refuse_if(wrong: bool, what: str) -> None:
    if wrong:
        raise SystemExit(f"packaging: {what}")


# -- Building ------------------------------------------------------------------------------------


def build(folder: Path) -> tuple[Path, Path]:
    """Return the source distribution of a copy of the sources in *folder*, and the wheel that was
    built from it."""
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    run("build", "--no-isolation", "--outdir", folder, source, environment=environment)
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def contents(sdist: Path) -> dict[str, bytes]:
    """Return the files in *sdist*; the archive itself says when it was made."""
    with tarfile.open(sdist) as archive:
        files = {one.name: archive.extractfile(one) for one in archive if one.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


def refuse_if_incomplete(sdist: Path) -> None:
    """Look for what is not in the package, and is needed to test, document and change it."""
    names = {name.partition("/")[2] for name in contents(sdist)}
    wanted = {
        str(path.relative_to(ROOT))
        for folder in ("docs", "examples", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not {"_build", "__pycache__"} & set(path.parts)
    }
    missing = ({*wanted, *_BESIDE_THE_PACKAGE}) - names
    refuse_if(bool(missing), f"not in the source distribution: {', '.join(sorted(missing))}")


# -- Using ---------------------------------------------------------------------------------------


def use(artifact: Path, home: Path) -> None:
    """Install *artifact* in an empty environment, and do there what the README begins with."""
    venv.create(home / "venv", with_pip=True)
    programs = home / "venv" / ("Scripts" if os.name == "nt" else "bin")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "NO_PROXY": "127.0.0.1",
        # Another Python, which has the tests.
        "BROWSER": f"env PYTHONPATH={ROOT} {sys.executable} -m tests.support.plain_browser %s",
    }
    install, serve, *then = readme_commands(free_port())
    shell(install[0].replace("'.[", f"'{artifact}["), environment, home)
    with serving(serve[0], environment, home):
        for line, wanted in then:
            said = shell(line, environment, home)
            agrees = doctest.OutputChecker().check_output(wanted, said, doctest.ELLIPSIS)
            refuse_if(not agrees, f"{line}\nsaid\n{said}\nand not\n{wanted}")
    (home / "test_it.py").write_text(_TEST)
    shell("pip install -q pytest", environment, home)
    refuse_if("1 passed" not in shell("pytest -q", environment, home), "no plugin of pytest")
    refuse_if("No broken" not in shell("pip check", environment, home), "pip check")


def readme_commands(port: int) -> list[tuple[str, str]]:
    """Return the lines that the README begins with, up to `get`, and what they say; all of the
    console blocks before the first Python."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("```python")[0]
    shown = "".join(re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    commands = []
    for part in re.split(r"^\$ ", shown, flags=re.MULTILINE)[1:]:
        line, _, wanted = part.replace(_PORT, str(port)).replace("\\\n", "").partition("\n")
        commands.append((line, wanted))
    does = [line.split()[1] for line, _ in commands]
    refuse_if(does != ["install", "serve", "login", "get"], f"the README begins with {does}")
    return commands


@contextmanager
def serving(line: str, environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """While inside, *line* runs, and has a port open."""
    words = shlex.split(line)
    server = subprocess.Popen(words, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
    end = time.monotonic() + _PATIENCE
    try:
        while not is_open(int(words[-1])):
            refuse_if(server.poll() is not None or time.monotonic() > end, f"{line} did not start")
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait()


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def shell(line: str, environment: Mapping[str, str], folder: Path) -> str:
    """Return what *line* writes to standard output, as somebody types it in *folder*."""
    print(f"$ {line}", flush=True)
    done = subprocess.run(
        line,
        shell=True,
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    refuse_if(done.returncode != 0, f"{line} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def run(module: str, *arguments: object, environment: Mapping[str, str] | None = None) -> None:
    """Run a tool of this environment, which says itself what is wrong."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    print("$", *command[1:], flush=True)
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    refuse_if(done.returncode != 0, f"{module} ended with {done.returncode}")


if __name__ == "__main__":
    main()
