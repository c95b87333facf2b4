"""Run another project's own tests, plain and with our adapter in the way of its requests.

    python -m tests.suites requests

The tests are those of the installed version's source distribution. Each way of `swapped_adapter`
is tried twice: with a source that has no token, and with one that has a token for an origin that
the tests never meet. Every test that passes plain has to pass; the exit code is 1 and its name is
printed if one does not. So it is if fewer tests than expected pass plain, or meet our adapter:
then nothing would be proven.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PLUGIN = Path(__file__).parent


@dataclass(frozen=True)
class Suite:
    """Where a distribution keeps its tests, and how our adapter gets in their way.

    Attributes:
        tests: The folder.
        passing: How many at least have to pass plain, of those that do.
        ways: How many tests at least have to meet our adapter, by way.
        options: For pytest.
        aware: Tests that look at what is mounted on a session, and so see what `install` mounts.
    """

    tests: str
    passing: int
    ways: dict[str, int]
    options: tuple[str, ...] = ()
    aware: frozenset[str] = frozenset()


# The numbers are a little below what was counted with requests 2.34.2, responses 0.26.3,
# CacheControl 0.14.3 and requests-toolbelt 1.0.0: another version may have a few tests less.
SUITES = {
    "requests": Suite(
        "tests",
        passing=610,
        ways={"in-place": 150, "in-front": 150, "installed": 220},
        aware=frozenset({"tests/test_requests.py::TestRequests::test_transport_adapter_ordering"}),
    ),
    # It replaces `requests.adapters.HTTPAdapter.send` itself, so that name has to stay.
    "responses": Suite(
        "responses/tests",
        passing=220,
        ways={"mounted": 170, "in-front": 180, "installed": 180},
        options=("--asyncio-mode=auto",),
    ),
    # All that they send goes through adapters that are theirs or a recorder's.
    "requests-toolbelt": Suite("tests", passing=150, ways={"in-front": 25, "installed": 40}),
    "CacheControl": Suite(
        "tests", passing=95, ways={"in-place": 50, "in-front": 50, "installed": 50}
    ),
}


@dataclass(frozen=True)
class Run:
    """What became of each test, and which of them met our adapter."""

    outcomes: dict[str, str]
    reached: list[str]
    seconds: float

    @property
    def passed(self) -> set[str]:
        """The tests that passed from set-up to tear-down."""
        return {name for name, outcome in self.outcomes.items() if outcome == "passed"}


def main() -> int:
    """Run the suite that was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.suites")
    parser.add_argument("distribution", choices=SUITES)
    distribution = parser.parse_args().distribution
    suite = SUITES[distribution]
    with tempfile.TemporaryDirectory() as directory:
        root = unpacked(distribution, Path(directory))
        plain = run(root, suite, "plain")
        print(f"{distribution} {version(distribution)}")
        report("plain", plain)
        ways = [way + held for way in suite.ways for held in ("", "+token")]
        with ThreadPoolExecutor() as together:  # most of their time they sleep
            runs = list(together.map(lambda way: run(root, suite, way), ways))
    for way, swapped in zip(ways, runs, strict=True):
        report(way, swapped)
    flaws = shortfalls(suite, plain, dict(zip(ways, runs, strict=True)))
    for flaw in flaws:
        print(flaw)
    return 1 if flaws else 0


def shortfalls(suite: Suite, plain: Run, runs: dict[str, Run]) -> list[str]:
    """Return what keeps *runs*, by way, from proving anything; empty if nothing does."""
    flaws = []
    if len(plain.passed) < suite.passing:
        flaws.append(f"only {len(plain.passed)} tests pass plain, of {suite.passing} expected")
    for way, swapped in runs.items():
        expected = suite.ways[way.removesuffix("+token")]
        if len(swapped.reached) < expected:
            flaws.append(f"only {len(swapped.reached)} meet the adapter {way}, of {expected}")
        lost = plain.passed - swapped.passed
        if way.startswith("installed"):
            lost -= suite.aware
        flaws += [f"passes plain and not {way}: {name}" for name in sorted(lost)]
    return flaws


def unpacked(distribution: str, directory: Path) -> Path:
    """Return the source distribution of the installed version, unpacked."""
    wanted = f"{distribution}=={version(distribution)}"
    arguments = ["--no-deps", "--no-binary", distribution, "--dest", str(directory), wanted]
    subprocess.run([sys.executable, "-m", "pip", "-q", "download", *arguments], check=True)
    [archive] = directory.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    [root] = (entry for entry in directory.iterdir() if entry.is_dir())
    return root


def run(root: Path, suite: Suite, way: str) -> Run:
    """Run the tests under *root* in a process of their own, in a copy: some write files there."""
    outcomes = root.parent / f"{way}.json"
    copy = shutil.copytree(root, root.parent / way / root.name)
    # By a name of its own: "tests" is the package of their tests.
    command = [sys.executable, "-m", "pytest", "-p", "swapped_adapter", "-p", "no:cacheprovider"]
    command += ["-q", "--tb=no", "--no-header", f"--way={way}", f"--outcomes={outcomes}"]
    begun = time.monotonic()
    subprocess.run(
        [*command, *suite.options, suite.tests],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(PLUGIN)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # some of their tests want a network, which they do not get
    )
    if not outcomes.exists():
        raise SystemExit(f"the tests could not be run {way}: {' '.join(command)}")
    # One test has its file's path in its name.
    found = json.loads(outcomes.read_text().replace(str(copy), "."))
    return Run(**found, seconds=time.monotonic() - begun)


def report(way: str, result: Run) -> None:
    """Print one line of figures."""
    print(
        f"{way}: {len(result.passed)} of {len(result.outcomes)} tests pass, "
        f"{len(result.reached)} of all meet the adapter, {result.seconds:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
