"""Run another project's own tests, plain and with our adapter in the way of its requests.

    python -m tests.suites requests

The tests are those of the installed version's source distribution. Each way of `swapped_adapter`
is tried twice: with a source that has no token, and with one that has a token for an origin that
the tests never meet. Every test that passes plain has to pass; the exit code is 1 and its name is
printed if one does not.
"""

from __future__ import annotations

import argparse
import json
import os
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
    """Where a distribution keeps its tests, and how our adapter gets in their way."""

    tests: str
    ways: tuple[str, ...]
    options: tuple[str, ...] = ()


SUITES = {
    "requests": Suite("tests", ("in-place", "in-front")),
    # It replaces `requests.adapters.HTTPAdapter.send` itself, so that name has to stay.
    "responses": Suite("responses/tests", ("mounted", "in-front"), ("--asyncio-mode=auto",)),
    "CacheControl": Suite("tests", ("in-place", "in-front")),
}


@dataclass(frozen=True)
class Run:
    """What became of each test, and which of them sent something through our adapter."""

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
        if not plain.passed:
            print("no test passes plain, so nothing is proven")
            return 1
        ways = [way + held for way in suite.ways for held in ("", "+token")]
        with ThreadPoolExecutor() as together:  # most of their time they sleep
            runs = list(together.map(lambda way: run(root, suite, way), ways))
    for way, swapped in zip(ways, runs, strict=True):
        report(way, swapped)
    lost = {way: plain.passed - swapped.passed for way, swapped in zip(ways, runs, strict=True)}
    for way, names in lost.items():
        for name in sorted(names):
            print(f"passes plain and not {way}: {name}")
    return 1 if any(lost.values()) else 0


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
    """Run the tests under *root* in a process of their own."""
    outcomes = root.parent / f"{way}.json"
    # By a name of its own: "tests" is the package of their tests.
    command = [sys.executable, "-m", "pytest", "-p", "swapped_adapter", "-p", "no:cacheprovider"]
    command += ["-q", "--tb=no", "--no-header", f"--way={way}", f"--outcomes={outcomes}"]
    begun = time.monotonic()
    subprocess.run(
        [*command, *suite.options, suite.tests],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(PLUGIN)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # some of their tests want a network, which they do not get
    )
    if not outcomes.exists():
        raise SystemExit(f"the tests could not be run {way}: {' '.join(command)} in {root}")
    return Run(**json.loads(outcomes.read_text()), seconds=time.monotonic() - begun)


def report(way: str, result: Run) -> None:
    """Print one line of figures."""
    print(
        f"{way}: {len(result.passed)} of {len(result.outcomes)} tests pass, "
        f"{len(result.reached)} of all send through the adapter, {result.seconds:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
