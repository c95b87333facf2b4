"""Run mutmut on the files that decide, and judge what it leaves alive.

    python -m tests.mutation [--fresh | --judge]

The exit code is 1 if less than 97 % of the mutants are killed, if one survives that
`survivors.toml` does not argue away, or if one that is argued away there is dead or gone. Results
are kept in `mutants/`: a run that was interrupted goes on where it was, and what has been killed is
not tried again as long as its function stays as it is. `--fresh` forgets them, for tests that have
changed; `--judge` runs nothing.

mutmut does not change the constants of a module, nor what has a decorator. By its configuration, in
setup.cfg, it leaves out log lines, and lines that are nothing but prose, as messages are here.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import tomllib
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

from tests.mutation.patience import HUNG

LEAST = 97.0  # per cent
RESULTS = Path("mutants")
ARGUED = Path(__file__).with_name("survivors.toml")

# mutmut finds out which test calls which function, but not in a child of os.fork.
_CONNECTIONS = [
    f"tests/integration/test_process_life_forks.py::{name}"
    for name in (
        "test_a_forked_child_sends_on_no_connection_of_its_parent",
        "test_a_session_that_is_closed_in_the_child_leaves_the_connections_of_its_transport_too",
        "test_a_fork_keeps_the_settings_of_the_pool",
        "test_a_fork_does_not_let_go_of_its_parents_pool",
    )
]
_LOGINS = [
    f"tests/unit/{test}"
    for test in (
        "test_takeover.py::test_after_fork_the_child_starts_without_a_flight",
        "test_takeover.py::test_a_child_that_was_forked_during_an_early_refresh_refreshes_early_itself",
        "test_takeover.py::test_a_child_refreshes_early_no_sooner_than_its_parent",
        "test_takeover.py::test_a_child_saves_at_once_what_its_parent_could_not",
        "test_takeover_and_store.py::test_a_child_saves_what_its_parent_could_not",
    )
]
IN_A_CHILD = {
    "_adapter.x__after_fork_in_child": _CONNECTIONS,
    "_adapter.xǁTokenRefreshAdapterǁ_leave_connections_to_parent": _CONNECTIONS,
    "_flight.xǁFlightsǁin_child": _LOGINS,
    "_login.x_in_child": _LOGINS,
    "_source.x__after_fork_in_child": _LOGINS,
}

LITERAL = re.compile(r""""[^"]*"|'[^']*'""")
TWO_WORDS = re.compile(r"\w [^ ]*\w")
HEADER = re.compile(
    r'"(Authorization|Content-Length|Cookie|Transfer-Encoding|WWW-Authenticate)"', re.IGNORECASE
)

Change = tuple[str, str, str, int]


@dataclass(frozen=True)
class Mutant:
    """One small change, and what became of it.

    Attributes:
        name: By which mutmut knows it, until its function changes.
        function: As in ``_source.TokenSource.token``.
        was: The lines that it takes away, as one line.
        now: The lines that it puts in their place.
        nth: Which of the changes to that function that read the same, from 1.
    """

    name: str
    status: str
    function: str
    was: str
    now: str
    nth: int

    @property
    def change(self) -> Change:
        return self.function, self.was, self.now, self.nth

    @property
    def is_wording(self) -> bool:
        """Whether it only changes prose, or the case of a header's name, which means nothing."""
        if self.was.lower() == self.now.lower() and HEADER.search(self.was):
            return True
        return without_prose(self.was) == without_prose(self.now)

    def __str__(self) -> str:
        nth = f", nth = {self.nth}" if self.nth > 1 else ""
        change = f"was = {quoted(self.was)}, now = {quoted(self.now)}"
        return f"# {self.name}: {self.status}\n    {{ in = '{self.function}', {change}{nth} }},"


def without_prose(code: str) -> str:
    """Return *code* without what is in its literals, where that is more than a word."""
    return LITERAL.sub(lambda found: "" if TWO_WORDS.search(found[0]) else found[0], code)


def quoted(text: str) -> str:
    """Return *text* as a TOML string, without escapes where that is possible."""
    return f"'{text}'" if "'" not in text else json.dumps(text, ensure_ascii=False)


def main() -> int:
    """Run what has no result yet, print the verdict, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--fresh", action="store_true", help="forget all results first")
    parser.add_argument("--judge", action="store_true", help="run nothing, judge what there is")
    arguments = parser.parse_args()
    if arguments.fresh:
        shutil.rmtree(RESULTS, ignore_errors=True)
    argued = read_argued()
    if not arguments.judge:
        run_mutmut()
        tell_what_runs_in_a_child()
        open_cases = [m.name for m in alive() if not m.is_wording and m.change not in argued]
        if open_cases:
            run_mutmut(*open_cases)
    return judge(argued)


def run_mutmut(*names: str) -> None:
    """Run the mutants called *names*; without names, all that have no result yet."""
    # One at a time: the tests wait for threads, and their patience has limits.
    mutmut = Path(sys.executable).with_name("mutmut")
    subprocess.run([mutmut, "run", "--max-children", "1", *names], check=True)
    print()


def tell_what_runs_in_a_child() -> None:
    path = RESULTS / "mutmut-stats.json"
    statistics = json.loads(path.read_text())
    for function, tests in IN_A_CHILD.items():
        name = f"requests_tokenrefresh.{function}"
        statistics["tests_by_mangled_function_name"][name] = tests
    path.write_text(json.dumps(statistics))


def read_argued() -> dict[Change, str]:
    """Return why a survivor may survive."""
    return {
        (mutant["in"], mutant["was"], mutant["now"], mutant.get("nth", 1)): group["why"]
        for group in tomllib.loads(ARGUED.read_text())["survivors"]
        for mutant in group["mutants"]
    }


def results() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each file with what became of its mutants, by their names."""
    for path in config().only_mutate:
        data = SourceFileMutationData(path=path)
        data.load()
        codes = data.exit_code_by_key.items()
        yield path, {n: "timeout" if c == HUNG else status_by_exit_code[c] for n, c in codes}


def alive() -> Iterator[Mutant]:
    """Yield the mutants that no failing test, nor the time limit, has killed."""
    for path, statuses in results():
        for function, names in groupby(statuses, lambda name: name.rpartition("__mutmut_")[0]):
            yield from alive_in(path, function, {name: statuses[name] for name in names})


def alive_in(path: str, function: str, statuses: dict[str, str]) -> Iterator[Mutant]:
    if set(statuses.values()) <= {"killed", "timeout"}:
        return
    # requests_tokenrefresh._source.xǁTokenSourceǁtoken, requests_tokenrefresh._token.x__seconds
    function = re.sub(r"\.(xǁ|x_)", ".", function.partition(".")[2]).replace("ǁ", ".")
    alike: Counter[tuple[str, str]] = Counter()
    for name, status in statuses.items():
        lines = get_diff_for_mutant(name, path=path).splitlines()[3:]
        was, now = (joined(line[1:] for line in lines if line[0] == sign) for sign in "-+")
        alike[was, now] += 1
        if status not in ("killed", "timeout"):
            yield Mutant(name, status, function, was, now, alike[was, now])


def joined(lines: Iterable[str]) -> str:
    return " ".join(" ".join(lines).split())


def judge(argued: dict[Change, str]) -> int:
    """Print the table, and what nobody has argued away; return the exit code."""
    table = {Path(path).stem: Counter(statuses.values()) for path, statuses in results()}
    survivors = list(alive())
    for mutant in survivors:
        verdict = "argued" if mutant.change in argued else "open"
        verdict = "wording" if mutant.is_wording else verdict
        table[mutant.function.partition(".")[0]].update({verdict: 1})
    table["all"] = sum(table.values(), Counter())
    columns = ("killed", "timeout", "wording", "argued", "open")
    print(f"{'file':<12}" + "".join(f"{name:>9}" for name in ("mutants", *columns)))
    for file, row in table.items():
        figures = [row[name] for name in columns]
        print(f"{file:<12}" + "".join(f"{figure:>9}" for figure in (sum(figures), *figures)))
    killed = table["all"]["killed"] + table["all"]["timeout"]
    score = 100 * killed / (killed + table["all"]["argued"] + table["all"]["open"])
    print(f"{score:.1f} % of all but the wordings are killed, those of `timeout` by the time limit")
    unargued = [m for m in survivors if not m.is_wording and m.change not in argued]
    print(*unargued, sep="\n")
    dead = set(argued) - {mutant.change for mutant in survivors}
    for change in sorted(dead):
        print(f"argued away, and dead or gone: {change}")
    return 1 if unargued or dead or score < LEAST else 0


if __name__ == "__main__":
    sys.exit(main())
