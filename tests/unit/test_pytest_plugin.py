"""The fixture that suites have without an import, in suites of other people."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest_requests_tokenrefresh

ROOT = Path(pytest_requests_tokenrefresh.__file__).parent
NAME = pytest_requests_tokenrefresh.__name__

SUITES = {
    "has nothing to do with it": """
        import sys
        def test_nothing_was_imported():
            heavy = {"requests_tokenrefresh", "requests", "urllib3", "oauthlib"}
            assert heavy & set(sys.modules) == set()
        """,
    "has a fixture of its own": """
        import pytest, sys
        @pytest.fixture
        def fake_tokens():
            return "mine"
        def test_it_is_mine(fake_tokens):
            assert fake_tokens == "mine"
            assert "requests_tokenrefresh" not in sys.modules
        """,
    "uses it": """
        def test_it_is_logged_in(fake_tokens):
            assert fake_tokens.token().access_token == "access-0"
        """,
    "has one that goes on from it": """
        import pytest
        @pytest.fixture
        def fake_tokens(fake_tokens):
            fake_tokens.expire()
            return fake_tokens
        def test_it_is_both(fake_tokens):
            assert fake_tokens.token().access_token == "access-1"
        """,
}


def test_all_kinds_of_suites_pass(tmp_path: Path) -> None:
    """Those first that are to find nothing imported."""
    for number, suite in enumerate(SUITES.values()):
        lines = [line.removeprefix(" " * 8) for line in suite.strip("\n").splitlines()]
        (tmp_path / f"test_{number}.py").write_text("\n".join(lines))
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # those of others may import what they like
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    # -I would not see the path; that its own folder comes first does no harm.
    command = [sys.executable, "-m", "pytest", "-q", "-p", NAME, "-p", "no:cacheprovider", "."]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert f"{len(SUITES)} passed" in done.stdout, done.stdout + done.stderr


def test_its_entry_point_has_its_own_name() -> None:
    """By that name pytest knows whether it has it, so who names it in a conftest has it once."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(ROOT / "setup.cfg", encoding="utf-8")
    assert metadata["options.entry_points"]["pytest11"].strip() == f"{NAME} = {NAME}"
