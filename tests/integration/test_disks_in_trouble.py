"""Logins on disks that take no more, in files that are mounted, and in folders that are read-only.

The refresh tokens rotate, and the token endpoint knows one that comes twice: each of these used to
end the login.
"""

from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, NamedTuple, Protocol

import pytest

from requests_tokenrefresh import (
    FileTokenStore,
    RedisTokenStore,
    SQLTokenStore,
    StoreUnavailableError,
    Token,
    TokenStore,
    TokenStoreError,
)
from tests.support.disks import KINDS, Disk, disk, disk_at, disk_for_servers
from tests.support.length import at_length
from tests.support.logins import START, Clock, make_source
from tests.support.page_site import PageSite, Program
from tests.support.postgres_server import PostgresServer
from tests.support.threads import run_together
from tests.support.valkey_server import ValkeyServer

__all__ = ["disk"]  # a fixture

HOUR = 3600.0


def begin_on(pages: PageSite, disk: Disk) -> Program:
    """A program whose login is on *disk*."""
    return Program(pages, store=disk.folder / "token.json", trial_timeout=0.0)


# -- Full, or read-only, at the moment of the refresh --------------------------------------------


@pytest.mark.long("stores")
@pytest.mark.skipif("real disk" not in KINDS, reason="only root can mount a disk for PostgreSQL")
def test_what_a_full_database_does_not_take_is_in_use_and_saved_as_soon_as_it_does(
    shared_postgres: PostgresServer,
) -> None:
    """A server finds room only by taking it, so that it cannot be asked before."""
    asked: list[Token | None] = []

    def refresh(token: Token | None) -> dict[str, Any]:
        asked.append(token)
        return {"access_token": token_urlsafe(2000), "refresh_token": token_urlsafe(20)}

    with disk_for_servers() as disk, shared_postgres.on(disk) as url:
        store = SQLTokenStore(url, name="reports")
        source = make_source(refresh, store=store, min_refresh_interval=0)
        disk.fill()
        while store.load() == source.token():
            source.refresh(source.token())
        source.refresh(source.token())
        disk.make_room()
        source.refresh(source.token())
        assert store.load() == source.token()
        assert len(set(asked)) == len(asked)


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


# -- A store in trouble at any moment of a turn --------------------------------------------------

BEFORE_THE_ANSWER = ["before the lock", "before the check"]
MOMENTS = [*BEFORE_THE_ANSWER, "before the answer", "before the save"]


class Trouble(NamedTuple):
    """What happens to a store, what heals it, and whether the program lives to see that."""

    what: str
    cure: str = ""
    lives: bool = True


FULL, READ_ONLY = Trouble("fill", "make_room"), Trouble("make_read_only", "make_writable")
KILLED, KILLED_ON_A_FULL_DISK = Trouble("", lives=False), FULL._replace(lives=False)
A_STRANGER = Trouble("replace")

# A program that is killed between the answer and a save that the store refuses takes the answer
# with it, unless the store has kept room for that; and a stranger who writes in the moment of the
# save is overwritten, unless the store has a fence.
PLAN = [
    *itertools.product([FULL, READ_ONLY, KILLED], MOMENTS),
    *itertools.product([KILLED_ON_A_FULL_DISK], BEFORE_THE_ANSWER),
    *itertools.product([A_STRANGER], MOMENTS[:-1]),
]
# A Redis that takes no write at all does not free the lock either: that takes ten seconds.
PLAN_IN_MEMORY = [(trouble, moment) for trouble, moment in PLAN if trouble is not READ_ONLY]
PLAN_ON_A_DISK = [*PLAN, *itertools.product([KILLED_ON_A_FULL_DISK], MOMENTS[2:])]


class Place(Protocol):
    """Where a login is stored, and can be troubled.

    Attributes:
        spares: When a stranger's token may come for nobody to ask the issuer.
    """

    plan: list[tuple[Trouble, str]]
    spares: list[str]

    def store(self, watch: Callable[[str], None]) -> TokenStore: ...

    def replace(self, token: Token) -> None:
        """Write as somebody does who does not use our lock."""


class FileOnDisk:
    plan = PLAN_ON_A_DISK
    spares = MOMENTS[:1]

    def __init__(self, disk: Disk) -> None:
        self._path = disk.folder / "token.json"
        self.fill, self.make_room = disk.fill, disk.make_room
        self.make_read_only, self.make_writable = disk.make_read_only, disk.make_writable

    def store(self, watch: Callable[[str], None]) -> TokenStore:
        return watched(FileTokenStore, watch)(self._path)

    def replace(self, token: Token) -> None:
        theirs = self._path.with_name("theirs")
        FileTokenStore(theirs).save(token)
        theirs.replace(self._path)


class SQLiteOnDisk(FileOnDisk):
    plan = PLAN
    spares = MOMENTS[:2]  # there is a fence

    def store(self, watch: Callable[[str], None]) -> TokenStore:
        return watched(SQLTokenStore, watch)(self._url, name="reports")

    def replace(self, token: Token) -> None:
        SQLTokenStore(self._url, name="reports").save(token)

    @property
    def _url(self) -> str:
        return f"sqlite:///{self._path.with_name('logins.sqlite')}"


class RedisInMemory:
    plan = PLAN_IN_MEMORY
    spares = MOMENTS[:2]

    def __init__(self, server: ValkeyServer) -> None:
        self._server = server

    def store(self, watch: Callable[[str], None]) -> TokenStore:
        return watched(RedisTokenStore, watch)(self._server.url, key="reports")

    def replace(self, token: Token) -> None:
        RedisTokenStore(self._server.url, key="reports").save(token)

    def fill(self) -> None:
        self._server.command("CONFIG", "SET", "maxmemory", "1")

    def make_room(self) -> None:
        self._server.command("CONFIG", "SET", "maxmemory", "0")


def watched(store: type[Any], watch: Callable[[str], None]) -> type[Any]:
    """Return *store*, calling *watch* with the moment of the turn."""

    class Watched(store):  # type: ignore[misc]
        def lock(self, timeout: float) -> AbstractContextManager[None]:
            watch("before the lock")
            return super().lock(timeout)  # type: ignore[no-any-return]

        def ensure_can_save(self) -> None:
            watch("before the check")
            super().ensure_can_save()

        def save(self, token: Token) -> None:
            watch("before the save")
            super().save(token)

    return Watched


@pytest.fixture(params=["file", "sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "redis":
        yield RedisInMemory(request.getfixturevalue("valkey_server")())
        return
    kind = {"file": FileOnDisk, "sqlite": SQLiteOnDisk}[request.param]
    with (
        pytest.MonkeyPatch.context() as patches,
        disk_at(tmp_path / "disk", KINDS[-1], patches) as one,
    ):
        yield kind(one)


def test_trouble_at_any_moment_of_an_expiry_loses_no_login(pages: PageSite, place: Place) -> None:
    """Only requests before whose refresh the store says no do fail."""
    plan = place.plan * (10 if at_length("stores") else 1)
    random.Random(13).shuffle(plan)
    clock, due = Clock(), {}

    def watch(moment: str) -> None:
        trouble = due.pop(moment, "")
        if trouble == "replace":
            place.replace(Token.from_mapping(pages.log_in(), received_at=clock()))
        elif trouble:
            getattr(place, trouble)()

    def answer(request: Any) -> Any:
        watch("before the answer")
        return pages.process(request)

    def begin() -> Program:
        return Program(pages, store=place.store(watch), clock=clock, trial_timeout=0.0)

    pages.fault = answer
    program, failed = begin().log_in(), []
    for trouble, moment in plan:
        pages.expire()
        due = {moment: trouble.what}
        try:
            assert program.status("/ok") == 200
        except StoreUnavailableError:
            failed.append((trouble, moment))
        if not trouble.lives:
            program.session.close()
            program = begin()
        if trouble.cure:
            getattr(place, trouble.cure)()
        clock.advance(60)
        assert program.status("/ok") == 200
    program.assert_logged_in()
    program.session.close()
    spared = sum(plan.count((A_STRANGER, moment)) for moment in place.spares)
    assert pages.token_calls == len(plan) - spared
    assert failed == [
        (trouble, moment)
        for trouble, moment in plan
        if trouble.cure and moment in BEFORE_THE_ANSWER
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
