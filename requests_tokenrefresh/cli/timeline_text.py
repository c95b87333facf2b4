"""A timeline as lines of text, as wide as the terminal."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from .timeline import Lane, Phase, Timeline

_REJECTED = "401"

# One character for each kind: in Unicode, in ASCII for terminals that know no more, and a style.
_GLYPHS = {
    Phase.WAITING.value: ("┄", ".", "yellow"),
    Phase.REQUEST.value: ("━", "=", "cyan"),
    Phase.REFRESH.value: ("█", "#", "dark_orange"),
    Phase.REPLAY.value: ("▶", ">", "green"),
    Phase.TRIAL.value: ("◆", "*", "magenta"),
    _REJECTED: ("✗", "x", "bold red"),
}


class TimelineText:
    """What `rich` prints for a timeline."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = [lane.name for lane in self._timeline.lanes]
        margin = max(map(len, names)) + 1
        columns = max(20, options.max_width - margin)
        yield Text(self._timeline.title, style="bold")
        yield Text(self._timeline.summary)
        yield self._axis(margin, columns)
        for name, lane in zip(names, self._timeline.lanes, strict=True):
            cells = self._cells(lane, columns)
            line = Text(no_wrap=True).append(name.ljust(margin), "dim")
            for kind in cells:
                line.append(*_drawn(kind, options.ascii_only))
            yield line
        yield _legend(margin, options.ascii_only)

    def _axis(self, margin: int, columns: int) -> Text:
        line = " " * margin
        for at in self._timeline.ticks(most=columns // 10):
            label = f"{at * 1000:.0f} ms"
            column = margin + self._column(self._timeline.zero + at, columns)
            if len(line) <= column and column + len(label) <= margin + columns:
                line = line.ljust(column) + label
        return Text(line, style="dim", no_wrap=True)

    def _cells(self, lane: Lane, columns: int) -> list[str]:
        """Return what each column shows; the later kinds of `_GLYPHS` cover the earlier."""
        moments = [(span.phase.value, span.start, span.end) for span in lane.spans]
        moments += [(_REJECTED, at, at) for at in lane.rejections]
        cells = [""] * columns
        for kind in _GLYPHS:
            for _, start, end in (moment for moment in moments if moment[0] == kind):
                first, last = self._column(start, columns), self._column(end, columns)
                cells[first : last + 1] = [kind] * (last + 1 - first)
        return cells

    def _column(self, at: float, columns: int) -> int:
        share = (at - self._timeline.start) / (self._timeline.end - self._timeline.start)
        return min(columns - 1, int(share * columns))


def _drawn(kind: str, ascii_only: bool) -> tuple[str, str]:
    if not kind:
        return " ", ""
    glyph, plain, style = _GLYPHS[kind]
    return (plain if ascii_only else glyph), style


def _legend(margin: int, ascii_only: bool) -> Text:
    kinds = (_REJECTED, *(phase.value for phase in Phase))
    samples = []
    for kind in kinds:
        glyph, style = _drawn(kind, ascii_only)
        samples.append(Text.assemble((glyph * 2, style), (f" {kind}", "dim")))
    return Text(" " * margin).append(Text("   ").join(samples))
