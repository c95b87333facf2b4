"""`demo`: the adapter at work, and others at the same job."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from .demo import APPROACHES, DemoSettings, Run, drive
from .exits import UNSUCCESSFUL, fail
from .seconds_option import seconds_option
from .server_process import server_process
from .timeline import SentRequest, Timeline, around_busiest_flight
from .timeline_svg import svg
from .timeline_text import TimelineText

_MOST_LANES_IN_TERMINAL = 16
_MOST_LANES_IN_PICTURE = 24  # of 800 pixels: as many as can be read in a README

_DEFAULTS = DemoSettings()


@click.command()
@click.option(
    "--threads",
    type=click.IntRange(1, 1000),
    default=_DEFAULTS.threads,
    show_default=True,
    help="How many threads share the login.",
)
@click.option(
    "--expiries",
    type=click.IntRange(1, 1000),
    default=_DEFAULTS.expiries,
    show_default=True,
    help="How many access tokens the job outlives, about.",
)
@seconds_option("--token-seconds", _DEFAULTS.token_seconds, "How long an access token lives.")
@seconds_option("--refresh-seconds", _DEFAULTS.refresh_seconds, "How long a refresh takes.")
@seconds_option("--data-seconds", _DEFAULTS.data_seconds, "How long a request takes.")
@click.option(
    "--rate",
    type=click.FloatRange(min=1, max=100_000),
    default=_DEFAULTS.rate,
    show_default=True,
    metavar="N",
    help="How many requests all threads together send in a second, about.",
)
@click.option(
    "--announce",
    is_flag=True,
    help="The server says how long tokens live; the adapter then refreshes ahead of time.",
)
@click.option(
    "--svg",
    "picture",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Save the timeline as a picture.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON, for programs.")
def demo(picture: Path | None, as_json: bool, **sizes: Any) -> None:
    """Watch many threads outlive the token they share.

    Starts an OAuth server on 127.0.0.1, in a process of its own. Its access tokens live less than
    a second, a refresh token works once, and one that comes twice revokes the login. Then the same
    job is done three times: without any handling of expiry, with the usual refresh-on-401 hook
    (which has no lock), and with this adapter.

    The exit code is 1 if the adapter lost a request, or refreshed more than once per expiry.
    """
    if picture is not None and not picture.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {picture.parent}", param_hint="--svg")
    settings = DemoSettings(**sizes)
    runs = _runs(settings)
    adapter = runs[-1]
    if as_json:
        click.echo(json.dumps(_figures(settings, runs), indent=2))
    else:
        _show(settings, runs)
    if picture is not None:
        _save(picture, adapter)
    if not adapter.flawless:
        fail(_flaw(adapter), UNSUCCESSFUL)


def _runs(settings: DemoSettings) -> list[Run]:
    console = Console(stderr=True)
    console.quiet = not console.is_terminal  # no trace of it in a log
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeElapsedColumn(),
    )
    total = settings.threads * settings.requests_per_thread
    with (
        server_process(settings.server) as server,
        ThreadPoolExecutor(settings.threads, thread_name_prefix="thread") as pool,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        tasks = {
            name: progress.add_task(name, total=total, start=False, failed=0) for name in APPROACHES
        }
        runs = []
        for name, task in tasks.items():

            def watch(sent: Sequence[SentRequest], task: TaskID = task) -> None:
                failed = sum(request.failed for request in sent)
                progress.update(task, completed=len(sent), failed=failed)

            progress.start_task(task)
            runs.append(drive(name, server, pool, settings, watch))
    return runs


def _show(settings: DemoSettings, runs: Sequence[Run]) -> None:
    console = Console()
    with console.capture() as drawn:
        console.print(_table(settings, runs))
        timeline = _timeline(runs[-1], _MOST_LANES_IN_TERMINAL)
        if timeline is not None:
            console.print()
            console.print(TimelineText(timeline))
    click.echo(drawn.get(), nl=False)


def _table(settings: DemoSettings, runs: Sequence[Run]) -> Table:
    table = Table(
        title=f"{settings.threads} threads, one login, tokens of {settings.token_seconds:g} s",
        caption=f"this adapter: {runs[-1].refreshes} refreshes for {runs[-1].expiries} expiries",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column(no_wrap=True)
    for figure in (
        "requests",
        "failed",
        "401s",
        "refreshes",
        "replays",
        "login revoked",
        "seconds",
    ):
        table.add_column(figure, justify="right")
    for run in runs:
        asked = run.refreshes + run.refused
        table.add_row(
            run.approach,
            str(len(run.sent)),
            Text(str(run.failed), style="bold red" if run.failed else "bold green"),
            str(run.rejected),
            f"{run.refreshes} of {asked}" if run.refused else str(run.refreshes),
            str(run.replays),
            Text("yes", style="bold red") if run.revoked else Text("no", style="green"),
            f"{run.seconds:.1f}",
        )
    return table


def _figures(settings: DemoSettings, runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "settings": asdict(settings),
        "runs": [run.figures() for run in runs],
        "flawless": runs[-1].flawless,
    }


def _timeline(run: Run, most_lanes: int) -> Timeline | None:
    return around_busiest_flight(run.sent, run.events, most_lanes=most_lanes)


def _save(picture: Path, run: Run) -> None:
    timeline = _timeline(run, _MOST_LANES_IN_PICTURE)
    if timeline is None:
        fail("nothing was refreshed, so there is no picture to draw", UNSUCCESSFUL)
    picture.write_text(svg(timeline), encoding="utf-8")


def _flaw(run: Run) -> str:
    return (
        f"the adapter lost {run.failed} of {len(run.sent)} requests and refreshed "
        f"{run.refreshes + run.refused} times for {run.expiries} expiries"
    )
