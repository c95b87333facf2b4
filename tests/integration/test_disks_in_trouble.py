"""Logins on disks that take no more, in files that are mounted, and in folders that are read-only.

The refresh tokens rotate, and the token endpoint knows one that comes twice: each of these used to
end the login.
"""

from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    StoreUnavailableError,
    Token,
    TokenStoreError,
)
from tests.support.disks import KINDS, Disk, disk, disk_at
from tests.support.logins import START, Clock
from tests.support.page_site import PageSite, Program
from tests.support.threads import run_together

__all__ = ["disk"]  # a fixture

HOUR = 3600.0


def begin_on(pages: PageSite, disk: Disk) -> Program:
    """A program whose login is on *disk*."""
    return Program(pages, store=disk.folder / "token.json", trial_timeout=0.0)


# -- Full, or read-only, at the moment of the refresh --------------------------------------------


@pytest.mark.parametrize("threads", [1, 8])
def test_a_full_disk_costs_no_refresh_token(pages: PageSite, disk: Disk, threads: int) -> None:
    with begin_on(pages, disk).log_in() as program:
        assert program.status("/ok") == 200
        disk.fill()
        pages.expire()
        errors = [outcome.error for outcome in run_together(threads, lambda: program.send("/ok"))]
        assert {type(error) for error in errors} == {StoreUnavailableError}
        assert all("make room there" in str(error) for error in errors)
        assert pages.token_calls == 0
        disk.make_room()
        program.clock.advance(60)
        outcomes = run_together(threads, lambda: program.status("/ok"))
        assert [outcome.result() for outcome in outcomes] == [200] * threads
        assert pages.token_calls == 1
        program.assert_logged_in()


def test_a_folder_gone_read_only_costs_no_refresh_token(pages: PageSite, disk: Disk) -> None:
    with begin_on(pages, disk).log_in() as program:
        assert program.status("/ok") == 200
        disk.make_read_only()
        pages.expire()
        for _ in range(3):
            with pytest.raises(StoreUnavailableError, match="let this user write into"):
                program.send("/ok")
            program.clock.advance(60)
        assert pages.token_calls == 0
        assert FileTokenStore(disk.folder / "token.json").load() == pages.newest


def test_a_token_that_lives_goes_on_while_the_disk_is_full(pages: PageSite, disk: Disk) -> None:
    """In its last minutes, in which it would be refreshed."""
    with begin_on(pages, disk).log_in() as program:
        disk.fill()
        for _ in range(10):
            program.clock.advance(HOUR / 11)
            assert program.status("/ok") == 200
        program.clock.advance(HOUR / 11 - 5)
        assert program.status("/ok") == 200  # within the leeway
        assert pages.token_calls == 0
        disk.make_room()
        program.clock.advance(60)
        program.assert_logged_in()
        assert pages.token_calls == 1


def test_a_disk_that_fills_while_the_server_answers_has_room_for_the_answer(
    pages: PageSite, disk: Disk
) -> None:
    def fill_and_answer(request: Any) -> Any:
        disk.fill()
        return pages.process(request)

    pages.fault = fill_and_answer
    with begin_on(pages, disk).log_in() as program:
        pages.expire()
        assert program.status("/ok") == 200
        assert FileTokenStore(disk.folder / "token.json").load() == pages.newest
        assert pages.token_calls == 1


# -- A disk in trouble at any moment of a turn ---------------------------------------------------

BEFORE_THE_ANSWER = ["before the lock", "before the check"]
MOMENTS = [*BEFORE_THE_ANSWER, "before the answer", "before the save"]
TROUBLES = [
    ("fill", "make_room", True),
    ("fill", "make_room", False),
    ("make_read_only", "make_writable", True),
    ("", "", False),
]
"""What happens to the disk, what heals it, and whether the program lives to see that.

One that is killed between the answer and a save that the disk refuses takes the answer with it.
"""


class WatchedStore(FileTokenStore):
    """Calls *watch* with the moment of the turn."""

    def __init__(self, path: Path, watch: Callable[[str], None]) -> None:
        super().__init__(path)
        self._watch = watch

    def lock(self, timeout: float) -> AbstractContextManager[None]:
        self._watch("before the lock")
        return super().lock(timeout)

    def ensure_can_save(self) -> None:
        self._watch("before the check")
        super().ensure_can_save()

    def save(self, token: Token) -> None:
        self._watch("before the save")
        super().save(token)


@pytest.mark.parametrize("kind", KINDS[-1:])
def test_trouble_at_any_moment_of_two_hundred_expiries_loses_no_login(
    pages: PageSite, tmp_path: Path, kind: str
) -> None:
    """Only requests before whose refresh the disk says no do fail."""
    plan = list(itertools.product(TROUBLES, MOMENTS)) * 13
    random.Random(13).shuffle(plan)
    clock, due = Clock(), {}
    with pytest.MonkeyPatch.context() as patches, disk_at(tmp_path / "disk", kind, patches) as it:

        def watch(moment: str) -> None:
            trouble = due.pop(moment, "")
            if trouble:
                getattr(it, trouble)()

        def answer(request: Any) -> Any:
            watch("before the answer")
            return pages.process(request)

        def begin() -> Program:
            store = WatchedStore(it.folder / "token.json", watch)
            return Program(pages, store=store, clock=clock, trial_timeout=0.0)

        pages.fault = answer
        program, failed = begin().log_in(), []
        for (trouble, cure, lives), moment in plan:
            pages.expire()
            due = {moment: trouble}
            try:
                assert program.status("/ok") == 200
            except StoreUnavailableError:
                failed.append((trouble, moment))
            if not lives:
                program.session.close()
                program = begin()
            if cure:
                getattr(it, cure)()
            clock.advance(60)
            assert program.status("/ok") == 200
        program.assert_logged_in()
        program.session.close()
    assert pages.token_calls == len(plan)
    assert failed == [
        (trouble, moment)
        for (trouble, _, _), moment in plan
        if trouble and moment in BEFORE_THE_ANSWER
    ]


# -- A file that is mounted by itself ------------------------------------------------------------


def test_two_containers_with_the_same_file_mounted_are_told_to_mount_its_folder(
    pages: PageSite, tmp_path: Path
) -> None:
    """Each would have a lock of its own, and could not replace the file."""
    with (
        pytest.MonkeyPatch.context() as patches,
        disk_at(tmp_path / "one", KINDS[-1], patches) as one,
        disk_at(tmp_path / "two", KINDS[-1], patches) as two,
    ):
        paths = [container.folder / "token.json" for container in (one, two)]
        reply = pages.log_in()
        for path, container in zip(paths, (one, two), strict=True):
            path.write_text(json.dumps(reply))
            path.chmod(0o600)
            container.mount(path)
        for path in paths:
            with Program(pages, store=path) as program:
                assert program.status("/ok") == 200
        pages.expire()
        for path in paths:
            with Program(pages, store=path) as program:
                with pytest.raises(TokenStoreError, match="mount the folder that holds it"):
                    program.send("/ok")
                with pytest.raises(TokenStoreError, match="mount the folder that holds it"):
                    program.log_in()
        assert pages.token_calls == 0


# -- A folder that cannot be written, and a refresh token that does not rotate --------------------


def test_a_login_in_a_read_only_folder_is_read_and_the_error_names_the_way_without(
    pages: PageSite, disk: Disk
) -> None:
    calls = 0

    def refresh(token: Token | None) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        reply = pages.log_in()
        return {name: reply[name] for name in ("access_token", "expires_in")}

    path = disk.folder / "token.json"
    FileTokenStore(path).save(Token.from_mapping(pages.log_in(), received_at=START))
    disk.make_read_only()
    with Program(pages, refresh, store=path) as program:
        assert program.status("/ok") == 200  # nothing has to be written for that
        program.clock.advance(HOUR)
        with pytest.raises(StoreUnavailableError) as caught:
            program.send("/ok")
    assert f"token=FileTokenStore({str(path)!r}).load()) without store=" in str(caught.value)
    assert calls == 0
    with Program(pages, refresh, token=FileTokenStore(path).load()) as program:
        for _ in range(2):
            program.clock.advance(HOUR)
            assert program.status("/ok") == 200
    assert calls == 2
    assert FileTokenStore(path).load() == Token("access-1", "refresh-1")


# -- A file that others can read, or that is theirs ----------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o440, 0o644])
def test_a_mounted_secret_is_refused_at_login_already_and_can_be_taken_by_name(
    pages: PageSite, tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "token.json"
    path.write_text(json.dumps(pages.log_in()))
    path.chmod(mode)
    for attempt in (Program.log_in, lambda program: program.send("/ok")):
        with (
            Program(pages, store=path) as program,
            pytest.raises(TokenStoreError, match=rf"mode {mode:04o}.*private=False"),
        ):
            attempt(program)
    assert [entry.name for entry in tmp_path.iterdir()] == ["token.json"]
    path.unlink()
    path.write_text(json.dumps(pages.log_in()))
    path.chmod(mode)
    with Program(pages, store=FileTokenStore(path, private=False)) as program:
        assert program.status("/ok") == 200
        pages.expire()
        assert program.status("/ok") == 200
        program.assert_logged_in()
    assert (pages.token_calls, path.stat().st_mode & 0o777) == (1, mode)


def test_a_login_that_another_user_owns_is_refused_at_login_already(
    pages: PageSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token.json"
    FileTokenStore(path).save(Token.from_mapping(pages.log_in(), received_at=START))
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    for attempt in (Program.log_in, lambda program: program.send("/ok")):
        with (
            Program(pages, store=path) as program,
            pytest.raises(TokenStoreError, match=r"belongs to another user.*private=False"),
        ):
            attempt(program)
    assert [entry.name for entry in tmp_path.iterdir()] == ["token.json"]  # and no lock
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    with Program(pages, store=path) as program:
        pages.log_in()  # as the refused login() did
        program.log_in()
        pages.expire()
        program.assert_logged_in()
    assert pages.token_calls == 1


# -- A program that knows nothing of the lock ----------------------------------------------------


@pytest.mark.parametrize("theirs", ["another login", "nothing"])
def test_what_another_program_writes_while_the_server_answers_stays(
    pages: PageSite, tmp_path: Path, theirs: str
) -> None:
    path = tmp_path / "token.json"

    def write_and_answer(request: Any) -> Any:
        pages.fault = None
        answer = pages.process(request)
        if theirs == "nothing":
            path.unlink()
        else:
            other = tmp_path / "other"
            other.write_text(json.dumps(pages.log_in()))
            other.chmod(0o600)
            other.replace(path)
        return answer

    pages.fault = write_and_answer
    with Program(pages, store=path).log_in() as program:
        pages.expire()
        if theirs == "nothing":
            with pytest.raises(Exception, match="emptied by another process"):
                program.send("/ok")
            assert not path.exists()
            assert program.reasons == ["logged_out_elsewhere"]
        else:
            assert program.status("/ok") == 200
            program.assert_logged_in()
            assert FileTokenStore(path).load() == pages.newest
    assert pages.token_calls == 1
