"""The programs of docs/workers.md, run as it says: what is run here is taken from that page."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from cryptography.fernet import Fernet, InvalidToken

from requests_tokenrefresh import (
    RefreshTokenGrant,
    StoreContentError,
    TokenRefreshAdapter,
    TokenSource,
)
from tests.support.documented_programs import (
    LOGIN,
    PATIENCE,
    Gunicorn,
    Program,
    get_by_every_thread,
    log_in,
    only,
)
from tests.support.documents import save_scripts
from tests.support.example_com import HOSTS, ExampleCom
from tests.support.login_site import Fault
from tests.support.servers import Received, Reply
from tests.support.threads import run_together, wait_until
from tests.support.valkey_server import ValkeyServer

PAGE = Path(__file__).parents[2] / "docs" / "workers.md"
DEMO_SERVER = "http://127.0.0.1:8401"  # for which the programs in examples/ are
REDIS = ["redis://redis.example.com/0", "redis://127.0.0.1:6379/0"]
GOOD = {"message": "the token is good"}


@pytest.fixture
def site(example_com: ExampleCom) -> ExampleCom:
    return example_com


@pytest.fixture
def addresses(site: ExampleCom) -> dict[str, str]:
    return dict.fromkeys([*HOSTS, DEMO_SERVER], site.url)


@pytest.fixture
def addresses_and_redis(addresses: dict[str, str], valkey: ValkeyServer) -> dict[str, str]:
    return addresses | dict.fromkeys(REDIS, valkey.url)


# -- gunicorn --------------------------------------------------------------------------------------


@pytest.fixture
def gunicorn(addresses: dict[str, str]) -> Iterator[Gunicorn]:
    with Gunicorn(PAGE, addresses) as server:
        log_in(server.folder)
        yield server


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as clients:
        yield clients


def test_all_threads_of_all_gunicorn_workers_meet_one_expiry_and_refresh_once(
    site: ExampleCom, gunicorn: Gunicorn, clients: ThreadPoolExecutor
) -> None:
    answers = get_by_every_thread(gunicorn, site, clients)
    assert [(answer.result().status_code, answer.result().json()) for answer in answers] == [
        (200, GOOD)
    ] * (2 * gunicorn.threads)
    assert site.given == 2  # the expiry, and one token


@pytest.mark.long("process-life")
def test_a_gunicorn_worker_that_is_killed_in_a_refresh_leaves_it_to_the_other(
    site: ExampleCom, gunicorn: Gunicorn, clients: ThreadPoolExecutor
) -> None:
    site.expire()
    dead = site.given
    leader, other = gunicorn.workers
    gate = site.hold()
    with only(leader, gunicorn):
        lost = clients.submit(gunicorn.get)
        assert gate.arrived.wait(PATIENCE)
    with only(other, gunicorn):
        answers = [clients.submit(gunicorn.get) for _ in range(gunicorn.threads)]
        wait_until(lambda: site.rejections > 1, PATIENCE)
        os.kill(leader, signal.SIGKILL)
    gate.forget()
    assert isinstance(lost.exception(), requests.ConnectionError)
    assert [answer.result().json() for answer in answers] == [GOOD] * len(answers)
    assert site.given == dead + 1
    assert site.token_requests == 2


# -- Celery ----------------------------------------------------------------------------------------


class CeleryWorker(Program):
    """Two processes, that take tasks from the Valkey."""

    def _is_ready(self) -> bool:
        return " ready." in self.log


@contextmanager
def shell(folder: Path, module: str) -> Iterator[Callable[[str], object]]:
    """Open an interactive Python that has everything of *module*; return what types a line."""
    python = [sys.executable, "-i", "-c", f"from {module} import *"]
    with subprocess.Popen(python, cwd=folder, stdin=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        yield lambda line: process.stdin.write(f"{line}\n".encode())


@pytest.mark.long("process-life")
def test_a_celery_task_is_tried_again_if_refreshing_fails_and_not_if_the_login_is_over(
    site: ExampleCom, addresses_and_redis: dict[str, str]
) -> None:
    worker = CeleryWorker(PAGE, "celery", addresses_and_redis)
    with shell(worker.folder, "celery_tasks") as type_in, worker:
        type_in(f"tokens.login({LOGIN})")
        site.expire()
        site.fault = answer_first(site, [Reply.json({"error": "invalid_grant"}, 400)])
        type_in("fetch.delay('january')")
        wait_until(lambda: "raised unexpected: LoginRequiredError" in worker.log, PATIENCE)

        # One of the two processes has learnt that the login is over.
        type_in("tokens.login({'access_token': 'dead', 'refresh_token': 'good'})")
        dead = site.given
        site.hold_rejections(2)
        out_of_order = Reply(503, b"", [("Retry-After", "1")])
        site.fault = answer_first(site, [out_of_order, out_of_order])
        type_in("fetch.delay('february'), fetch.delay('march')")
        wait_until(lambda: len(site.opened) == 2, PATIENCE)
        assert sorted(site.opened) == ["/data?report=february", "/data?report=march"]
        assert site.given == dead + 1
        assert site.token_requests == 4
        # After what is left of what the server said, and a little jitter.
        retry = r" retry: Retry in (?:1\.[01]|0\.[5-9])\d*s: RefreshFailedError\("
        assert re.search(retry, worker.log)


def answer_first(site: ExampleCom, replies: list[Reply]) -> Fault:
    """Return a fault that gives these answers, and is over then."""

    def answer(request: Received) -> Reply:
        return replies.pop(0) if replies else site.process(request)

    return answer


# -- cron ------------------------------------------------------------------------------------------


@pytest.mark.long("process-life")
def test_two_cron_jobs_that_overlap_refresh_once(
    site: ExampleCom, addresses: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    save_scripts(PAGE, addresses, programs)
    command = programs / "requests-tokenrefresh"  # as pip makes it
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m requests_tokenrefresh "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    log_in(tmp_path)
    site.expire()
    dead = site.given
    site.hold_rejections(2)
    [line] = re.findall(r"^\*/5 \* \* \* \*  (.+)$", PAGE.read_text(), re.MULTILINE)
    ended = run_together(
        2, lambda: subprocess.run(["sh", "-c", line], check=False, timeout=PATIENCE)
    )
    assert [outcome.result().returncode for outcome in ended] == [0, 0]
    assert site.given == dead + 1
    assert json.loads((tmp_path / "reports.json").read_text()) == GOOD


# -- Kubernetes ------------------------------------------------------------------------------------


@pytest.fixture
def roll_out(
    site: ExampleCom,
    addresses_and_redis: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], TokenSource]:
    """Start a pod with these keys, as its own script sets up the store."""
    save_scripts(PAGE, addresses_and_redis, tmp_path)

    def roll_out(keys: str) -> TokenSource:
        monkeypatch.setenv("REPORTS_KEYS", keys)
        store = runpy.run_path(str(tmp_path / "reports_store.py"))["store"]
        grant = RefreshTokenGrant(f"{site.url}/oauth/token", client_id="reports")
        return TokenSource(grant, origins=[site.url], store=store, min_refresh_interval=0)

    return roll_out


def get(site: ExampleCom, pod: TokenSource) -> int:
    with requests.Session() as session:
        session.mount(site.url, TokenRefreshAdapter(pod))
        return session.get(f"{site.url}/reports", timeout=PATIENCE).status_code


def expire_and_get(site: ExampleCom, *pods: TokenSource) -> None:
    """Let the first of them refresh, and the others read what it wrote."""
    site.expire()
    dead = site.given
    assert [get(site, pod) for pod in pods] == [200] * len(pods)
    assert site.given == dead + 1


@pytest.mark.long("process-life")
def test_a_key_is_rotated_in_three_roll_outs_while_all_pods_read(
    site: ExampleCom, roll_out: Callable[[str], TokenSource], valkey: ValkeyServer
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    pods = [roll_out(old), roll_out(old)]
    pods[0].login(LOGIN)
    for keys in (f"{old} {new}", f"{new} {old}", new):
        # One pod after the other, and whichever refreshes, the others read it.
        for place in range(len(pods)):
            pods[place] = roll_out(keys)
            expire_and_get(site, *pods)
            expire_and_get(site, *reversed(pods))
    stored = valkey.command("HGET", "tokenrefresh:{reports}", "token")
    assert LOGIN["access_token"].encode() not in Fernet(new).decrypt(stored.encode())
    with pytest.raises(InvalidToken):
        Fernet(old).decrypt(stored.encode())


def test_a_pod_without_the_new_key_leaves_the_token_alone(
    site: ExampleCom, roll_out: Callable[[str], TokenSource]
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    late, early = roll_out(old), roll_out(f"{new} {old}")
    late.login(LOGIN)
    expire_and_get(site, early)
    with pytest.raises(StoreContentError):
        get(site, late)
    assert get(site, roll_out(f"{new} {old}")) == 200
    assert site.token_requests == 1
