"""Memory: what a thread that waits for a refresh holds, beyond what any waiting thread does."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from requests_tokenrefresh import TokenSource
from tests.benchmarks.report import table

_THREADS = 500

_Bytes: TypeAlias = tuple[int, int]  # that Python allocated, and resident; for each thread


def report() -> str:
    """Return the table: threads on a bare Event, and the same threads in `TokenSource.token`."""
    on_event = _in_a_process(_on_event)
    in_source = _in_a_process(_in_source)
    beyond = [ours - its for ours, its in zip(in_source, on_event, strict=True)]
    return table(
        [f"{_THREADS} threads, bytes each", "allocated by Python", "resident"],
        [
            ["waiting on a bare Event", *on_event],
            ["waiting in TokenSource.token", *in_source],
            ["beyond the thread itself", *beyond],
        ],
    )


def _on_event(gate: threading.Event) -> Callable[[], object]:
    return gate.wait


def _in_source(gate: threading.Event) -> Callable[[], object]:
    """Return `token` of a source whose first caller refreshes until *gate* is open."""

    def refresh(_old: object) -> str:
        started.set()
        gate.wait()
        return "access"

    started = threading.Event()
    tokens = TokenSource(refresh, origins=["https://api.example.com"])
    threading.Thread(target=tokens.token).start()
    started.wait()
    return tokens.token


def _in_a_process(scene: Callable[[threading.Event], Callable[[], object]]) -> _Bytes:
    """Return what *scene* costs in a process that has done nothing before.

    Once with tracemalloc and once without, because its own records are resident too.
    """
    allocated, resident = (_ask(scene, traced) for traced in (True, False))
    return allocated, resident


def _ask(scene: Callable[[threading.Event], Callable[[], object]], traced: bool) -> int:
    context = multiprocessing.get_context("spawn")
    answer, answer_for_child = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(scene, traced, answer_for_child))
    process.start()
    each: int = answer.recv()
    process.join()
    return each


def _measure(
    scene: Callable[[threading.Event], Callable[[], object]], traced: bool, answer: Connection
) -> None:
    if traced:
        tracemalloc.start()
    gate = threading.Event()
    wait = scene(gate)
    threads = [threading.Thread(target=wait) for _ in range(_THREADS)]
    before = _held(traced)
    for thread in threads:
        thread.start()
    time.sleep(1.0)  # until all of them sleep
    answer.send((_held(traced) - before) // _THREADS)
    gate.set()
    for thread in threads:
        thread.join()


def _held(traced: bool) -> int:
    if traced:
        return tracemalloc.get_traced_memory()[0]
    # Linux only: elsewhere the standard library knows no more than the peak.
    resident_pages = Path("/proc/self/statm").read_text().split()[1]
    return int(resident_pages) * os.sysconf("SC_PAGE_SIZE")
