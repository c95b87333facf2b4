"""The timeline as a picture and as text: each phase has a shape of its own."""

from collections import Counter
from xml.etree import ElementTree

import pytest
from rich.console import Console

from requests_tokenrefresh.cli.timeline import Flight, Lane, Phase, Span, Timeline
from requests_tokenrefresh.cli.timeline_svg import svg
from requests_tokenrefresh.cli.timeline_text import TimelineText

LEADER = Lane(
    "thread_0",
    (
        Span(Phase.REQUEST, 9.99, 10.0),
        Span(Phase.REFRESH, 10.0, 10.08),
        Span(Phase.TRIAL, 10.08, 10.09),
    ),
    (10.0,),
)
WAITER = Lane(
    "thread_1",
    (
        Span(Phase.REQUEST, 9.99, 10.0),
        Span(Phase.WAITING, 10.0, 10.09),
        Span(Phase.REPLAY, 10.09, 10.1),
    ),
    (10.0,),
)
LATECOMER = Lane(
    "thread_12",
    (Span(Phase.WAITING, 10.05, 10.09), Span(Phase.REQUEST, 10.09, 10.12)),
    (),
)
STORM = Timeline(
    flight=Flight("thread_0", 10.0, 10.08, Span(Phase.TRIAL, 10.08, 10.09), 2, 10.12),
    lanes=(LEADER, WAITER, LATECOMER),
    start=9.98,
    end=10.13,
    threads=50,
    rejections=2,
)
AHEAD = Timeline(
    flight=Flight("thread_0", 10.0, 10.003, None, 0, 10.003),
    lanes=(Lane("thread_0", (Span(Phase.REFRESH, 10.0, 10.003),), ()),),
    start=9.99,
    end=10.05,
    threads=1,
    rejections=0,
)


def shapes(picture: str) -> Counter[tuple[str, str]]:
    """How many of each shape there are, by tag and class."""
    root = ElementTree.fromstring(picture)
    return Counter(
        (element.tag.rpartition("}")[2], element.get("class", "")) for element in root.iter()
    )


def texts(picture: str) -> list[str]:
    root = ElementTree.fromstring(picture)
    return [element.text or "" for element in root.iter() if element.tag.endswith("}text")]


def test_each_phase_has_a_shape_of_its_own():
    drawn = shapes(svg(STORM))
    legend = 1
    assert drawn["rect", "request"] == 3 + legend
    assert drawn["line", "waiting"] == 2 + legend
    assert drawn["rect", "refresh"] == 1 + legend
    assert drawn["polygon", "trial"] == 1 + legend
    assert drawn["polygon", "replay"] == 1 + legend
    assert drawn["line", "rejected"] == 2 * (2 + legend)


def test_the_picture_is_the_same_every_time():
    assert svg(STORM) == svg(STORM)


def test_the_picture_describes_itself_to_those_who_do_not_see_it():
    root = ElementTree.fromstring(svg(STORM))
    namespace = {"s": "http://www.w3.org/2000/svg"}
    title, description = root.find("s:title", namespace), root.find("s:desc", namespace)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == STORM.title
    assert description.text == (f"{STORM.summary} One lane per thread; time runs to the right.")


def test_the_picture_needs_no_script_no_font_and_no_network():
    picture = svg(STORM)
    assert "<script" not in picture
    assert "@import" not in picture
    assert "url(" not in picture
    assert picture.count("http") == 1  # the namespace


def test_the_picture_has_colours_for_dark_pages():
    assert "@media (prefers-color-scheme: dark)" in svg(STORM)


def test_the_moments_of_a_flight_are_named_where_they_happen():
    assert texts(svg(STORM))[2:].count("refresh") == 2  # in its block, and in the legend
    for moment in ("the token has expired", "a new token", "proven: all go on"):
        assert moment in texts(svg(STORM))


def test_a_refresh_ahead_of_time_has_neither_an_expiry_nor_a_trial():
    words = texts(svg(AHEAD))
    assert "the token expires soon" in words
    assert "a new token" in words
    assert "the token has expired" not in words
    assert "proven: all go on" not in words


def test_a_refresh_too_short_for_its_name_goes_without():
    assert texts(svg(AHEAD)).count("refresh") == 1  # in the legend


def test_everything_lies_inside_the_picture():
    root = ElementTree.fromstring(svg(STORM))
    width, height = float(root.get("width")), float(root.get("height"))
    for element in root.iter():
        for name in ("x", "x1", "x2"):
            assert 0 <= float(element.get(name, 0)) <= width
        for name in ("y", "y1", "y2"):
            assert 0 <= float(element.get(name, 0)) <= height


def printed(timeline: Timeline, *, width: int = 50, encoding: str = "utf-8") -> list[str]:
    console = Console(width=width, color_system=None, legacy_windows=False)
    options = console.options.update(width=width)
    options.encoding = encoding
    segments = console.render(TimelineText(timeline), options)
    return "".join(segment.text for segment in segments).splitlines()


def test_the_text_has_one_line_for_each_lane_and_a_legend():
    """Fifty columns for 150 ms: three milliseconds each."""
    lines = [line.rstrip() for line in printed(STORM, width=60)]
    assert lines[-5:-2] == [
        "thread 0  " + 3 * " " + "━━━✗" + 26 * "█" + "◆◆◆◆",
        "thread 1  " + 3 * " " + "━━━✗" + 29 * "┄" + "▶▶▶▶",
        "thread 12 " + 23 * " " + 13 * "┄" + 11 * "━",
    ]
    legend = "✗✗ 401 ━━ request ┄┄ waiting ██ refresh ◆◆ trial ▶▶ replay"
    assert " ".join(lines[-2:]).split() == legend.split()


def test_the_text_does_without_unicode_where_there_is_none():
    assert all(line.isascii() for line in printed(STORM, encoding="ascii"))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_text_fits_the_terminal(width):
    assert max(map(len, printed(STORM, width=width))) <= width


@pytest.mark.parametrize(
    ("width", "labels"), [(32, ["0"]), (40, ["0", "100"]), (60, ["0", "50", "100"])]
)
def test_the_axis_is_labelled_where_there_is_room(width, labels):
    lines = printed(STORM, width=width)
    lanes = next(n for n, line in enumerate(lines) if line.startswith("thread 0"))
    assert lines[lanes - 1].replace("ms", "").split() == labels
