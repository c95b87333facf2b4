"""A timeline as an SVG picture: no scripts, no fonts of its own, legible on light and on dark.

The same timeline gives the same picture, byte for byte.
"""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from .timeline import Lane, Phase, Timeline

_WIDTH = 800
_LEFT, _RIGHT = 92, 32  # the lanes' margins: thread names, and air
_TOP = 104  # title, and the names of the moments
_PITCH = 15  # from lane to lane
_AXIS, _LEGEND = 34, 40  # below the lanes

# Colours that stay apart for the colour-blind (after Okabe and Ito); the shapes differ as well.
_STYLE = """
text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #57606a; }
.title { font-size: 19px; font-weight: 600; fill: #1f2328; }
.moment { font-weight: 600; fill: #1f2328; }
.lane { font-size: 10.5px; }
.inside { font-size: 10px; font-weight: 600; fill: #ffffff; }
.paper { fill: #ffffff; stroke: #d0d7de; }
.rule { stroke: #d8dee4; }
.guide { stroke: #57606a; stroke-dasharray: 2 3; }
.request { fill: #8c9bad; }
.rejected { stroke: #cf222e; stroke-width: 2.4; stroke-linecap: round; }
.waiting { stroke: #b08800; stroke-width: 1.6; stroke-dasharray: 1.5 3.5; stroke-linecap: round; }
.refresh { fill: #b35900; }
.trial { fill: none; stroke: #8250df; stroke-width: 2; stroke-linejoin: round; }
.replay { fill: #1a7f5a; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; }
  .title, .moment { fill: #f0f6fc; }
  .inside { fill: #0d1117; }
  .paper { fill: #0d1117; stroke: #3d444d; }
  .rule { stroke: #2a313c; }
  .guide { stroke: #9198a1; }
  .request { fill: #6e7b8b; }
  .rejected { stroke: #ff7b72; }
  .waiting { stroke: #d4a72c; }
  .refresh { fill: #f0883e; }
  .trial { stroke: #bc8cff; }
  .replay { fill: #3fb98a; }
}
"""


def svg(timeline: Timeline) -> str:
    """Return *timeline* as an SVG document."""
    return _Picture(timeline).document()


class _Picture:
    """One drawing in the making: a scale, and a tree that grows."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._bottom = _TOP + _PITCH * len(timeline.lanes)
        self._height = self._bottom + _AXIS + _LEGEND
        self._root = Xml.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {_WIDTH} {self._height}",
                "width": str(_WIDTH),
                "height": str(self._height),
                "role": "img",
                "aria-labelledby": "timeline-title timeline-description",
            },
        )

    def document(self) -> str:
        self._heading()
        self._axis()
        self._moments()
        for row, lane in enumerate(self._timeline.lanes):
            self._lane(lane, _TOP + _PITCH * (row + 0.5))
        self._legend()
        Xml.indent(self._root)
        return Xml.tostring(self._root, encoding="unicode") + "\n"

    def _heading(self) -> None:
        title, sentence = self._timeline.title, self._timeline.summary
        self._add("title", id="timeline-title").text = title
        self._add(
            "desc", id="timeline-description"
        ).text = f"{sentence} One lane per thread; time runs to the right."
        self._add("style").text = _STYLE
        self._rect("paper", 0.5, 0.5, _WIDTH - 1, self._height - 1, radius=8)
        self._text(title, 20, 32, "title")
        self._text(sentence, 20, 53)

    def _axis(self) -> None:
        zero = self._timeline.zero
        for at in self._timeline.ticks(most=12):
            x = self._x(zero + at)
            self._line("rule", x, _TOP - 4, x, self._bottom + 6)
            self._text(f"{at * 1000:.0f} ms", x, self._bottom + 20, anchor="middle")

    def _moments(self) -> None:
        flight = self._timeline.flight
        first = "the token has expired" if self._timeline.rejections else "the token expires soon"
        names = [(self._timeline.zero, first, "middle")]
        if flight.trial is None:
            names.append((flight.refreshed, "a new token", "middle"))
        else:
            names.append((flight.refreshed, "a new token", "end"))
            names.append((flight.trial.end, "proven: all go on", "start"))
        for at, name, anchor in names:
            x = self._x(at)
            self._line("guide", x, _TOP - 14, x, self._bottom + 6)
            shift = {"start": -4, "middle": 0, "end": 4}[anchor]
            self._text(name, x + shift, _TOP - 20, "moment", anchor=anchor)

    def _lane(self, lane: Lane, y: float) -> None:
        self._text(lane.name, _LEFT - 12, y + 3.5, "lane", anchor="end")
        for span in lane.spans:
            self._span(span.phase, self._x(span.start), self._x(span.end), y)
        for at in lane.rejections:
            self._rejected(self._x(at), y)

    def _span(self, phase: Phase, left: float, right: float, y: float) -> None:
        match phase:
            case Phase.REQUEST:  # a flat bar
                self._rect("request", left, y - 2.5, right - left, 5, radius=1.5)
            case Phase.WAITING:  # a dotted line
                self._line("waiting", left + 2, y, right - 2, y)
            case Phase.REFRESH:  # a tall block with its name in it
                self._rect("refresh", left, y - 6.5, right - left, 13)
                if right - left > 50:
                    self._text("refresh", (left + right) / 2, y + 3.5, "inside", anchor="middle")
            case Phase.TRIAL:  # a hollow lozenge
                tip = min(5.0, (right - left) / 2)
                corners = [(left, 0.0), (left + tip, -5.0), (right - tip, -5.0), (right, 0.0)]
                corners += [(right - tip, 5.0), (left + tip, 5.0)]
                self._polygon("trial", [(x, y + dy) for x, dy in corners])
            case _:  # Phase.REPLAY: an arrow
                shaft = max(left, right - 7)
                corners = [(left, -2.5), (shaft, -2.5), (shaft, -5.5), (right, 0.0)]
                corners += [(shaft, 5.5), (shaft, 2.5), (left, 2.5)]
                self._polygon("replay", [(x, y + dy) for x, dy in corners])

    def _rejected(self, x: float, y: float) -> None:  # a cross
        self._line("rejected", x - 4, y - 4, x + 4, y + 4)
        self._line("rejected", x - 4, y + 4, x + 4, y - 4)

    def _legend(self) -> None:
        y = self._height - 22
        x = float(_LEFT)
        self._rejected(x + 5, y)
        self._text("401", x + 16, y + 4)
        x += 62
        for phase in Phase:
            self._span(phase, x, x + 28, y)
            self._text(phase.value, x + 36, y + 4)
            x += 36 + 6.5 * len(phase.value) + 26

    def _x(self, at: float) -> float:
        share = (at - self._timeline.start) / (self._timeline.end - self._timeline.start)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def _rect(
        self, kind: str, x: float, y: float, width: float, height: float, radius: float = 0
    ) -> None:
        corners = {"rx": _n(radius)} if radius else {}
        sizes = {"x": _n(x), "y": _n(y), "width": _n(width), "height": _n(height)}
        self._add("rect", **{"class": kind}, **sizes, **corners)

    def _line(self, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
        self._add("line", **{"class": kind}, x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2))

    def _polygon(self, kind: str, corners: list[tuple[float, float]]) -> None:
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in corners)
        self._add("polygon", **{"class": kind}, points=points)

    def _text(self, text: str, x: float, y: float, kind: str = "", anchor: str = "") -> None:
        looks = {"class": kind} if kind else {}
        looks |= {"text-anchor": anchor} if anchor else {}
        self._add("text", x=_n(x), y=_n(y), **looks).text = text

    def _add(self, tag: str, **attributes: str) -> Xml.Element:
        return Xml.SubElement(self._root, tag, attributes)


def _n(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
