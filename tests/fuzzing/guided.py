"""The same checks, with examples from atheris, which looks for those that reach new lines.

    python -m tests.fuzzing.guided SECONDS

Each check has so many seconds, in a process of its own. An example that fails is shown, and kept in
the file ``crash-*`` that libFuzzer names.
"""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKS = [
    "test_causes:test_what_is_told_has_no_secret_in_it",
    "test_challenges:test_any_header_is_read_or_says_nothing",
    "test_echoes:test_no_secret_is_quoted_however_it_is_spelled",
    "test_echoes:test_whatever_is_said_is_quoted_in_one_line_or_not_at_all",
    "test_moments:test_any_moment_is_a_finite_one_or_none",
    "test_requests:test_a_token_goes_where_all_parsers_see_an_origin",
    "test_requests:test_an_authorization_of_another_scheme_goes_out_as_it_is",
    "test_stored_files:test_any_content_is_a_token_or_an_error_that_leaves_it",
    "test_token_replies:test_any_answer_is_read",
    "test_token_replies:test_no_answer_with_a_pair_in_it_is_refused_or_loses_its_refresh_token",
]


def guide(seconds: str, check: str, corpus: str) -> None:
    """Run one check in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["requests_tokenrefresh"]):
        module, _, name = check.partition(":")
        test = getattr(importlib.import_module(f"tests.fuzzing.{module}"), name)
    limits = [f"-max_total_time={seconds}", "-max_len=4096", "-len_control=0"]
    options = [*limits, "-verbosity=0", "-print_final_stats=1", corpus]
    atheris.Setup([sys.argv[0], *options], test.hypothesis.fuzz_one_input)
    atheris.Fuzz()


def plant(corpus: str) -> None:
    """Leave something to start from: too few bytes make no example at all."""
    dice = random.Random(1)
    for number in range(64):
        Path(corpus, str(number)).write_bytes(dice.randbytes(64 << number % 6))


def main(seconds: str) -> int:
    failed = []
    for check in CHECKS:
        print(f"\n{check}, {seconds} s", flush=True)
        with tempfile.TemporaryDirectory() as corpus:
            plant(corpus)
            command = [sys.executable, "-m", "tests.fuzzing.guided", seconds, check, corpus]
            if subprocess.run(command, check=False).returncode:
                failed.append(check)
    print("\nfailed:", ", ".join(failed) or "none")
    return len(failed)


if __name__ == "__main__":
    sys.exit(guide(*sys.argv[1:]) if sys.argv[2:] else main(sys.argv[1]))
