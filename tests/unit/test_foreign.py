"""What others have said, on its way to a message or a log: every kind of character that harms."""

from __future__ import annotations

import http.client
import logging
import sys
import traceback
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError

from requests_tokenrefresh._foreign import in_one_line, plainly, printable, traceback_of
from tests.support.hostile import HOSTILE, KINDS, harmful

EVERYTHING = "".join(map(chr, range(sys.maxunicode + 1)))
_log = logging.getLogger("requests_tokenrefresh")


@pytest.mark.long("attacks")
def test_no_character_of_all_that_there_are_comes_through_unless_it_is_seen() -> None:
    assert harmful(printable(EVERYTHING)) == set()
    assert harmful(in_one_line(EVERYTHING)) == set()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "a \\ b",
        "Jeton r\u00e9voqu\u00e9",
        "\u0915\u094d\u0937 \u65e5\u672c \U0001f511",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == in_one_line(text) == text


@pytest.mark.parametrize("kind", KINDS)
def test_what_harms_is_shown_by_its_number(kind: str) -> None:
    text = f"a{KINDS[kind]}b"
    assert printable(text).encode().decode("unicode_escape") == text
    assert printable(printable(text)) == printable(text)


def test_words_in_one_line_are_kept_apart_and_nothing_else_of_what_was_between_them() -> None:
    assert in_one_line(" two\r\n\tlines\x1b[31m\u202e here\0") == "two lines [31m here"


def test_what_is_no_text_is_told_by_its_text() -> None:
    assert printable(ValueError("a\nb")) == r"a\nb"


# -- Exceptions ----------------------------------------------------------------------------------


def test_an_error_and_all_that_it_was_raised_from_say_it_printably() -> None:
    inner = http.client.BadStatusLine("x")
    inner.args = (HOSTILE,)
    outer = ProtocolError("Connection aborted.", inner)
    outer.__cause__ = inner
    inner.__context__ = ValueError(f"context {HOSTILE}", 7)
    inner.__context__.__context__ = outer  # a circle, as some libraries make it
    assert plainly(outer) is outer
    assert harmful("".join(traceback.format_exception(outer)), lines=True) == set()
    assert inner.__context__.args[1] == 7


def raised_with(text: str) -> Exception:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_a_traceback_has_its_lines_and_no_line_of_what_was_said() -> None:
    told = traceback_of(raised_with("a\n2026-01-01 INFO forged\x1b[2J"))
    assert harmful(told, lines=True) == set()
    assert told.splitlines()[0] == "Traceback (most recent call last):"
    assert told.splitlines()[-1] == r"ValueError: a\n2026-01-01 INFO forged\x1b[2J"
    assert "in raised_with\n    raise ValueError(text)\n" in told


# -- The log -------------------------------------------------------------------------------------


@pytest.mark.parametrize("argument", [HOSTILE, ValueError(HOSTILE)], ids=["text", "error"])
def test_a_record_says_it_printably_whoever_formats_it(
    caplog: pytest.LogCaptureFixture, argument: Any
) -> None:
    _log.warning("%s of %d: %s", argument, 7, argument)
    [record] = caplog.records
    assert harmful(record.getMessage()) == set()
    assert record.msg == "%s of %d: %s"  # by which tools know that two records are of one kind
    assert record.args == (printable(HOSTILE), 7, printable(HOSTILE))


def test_a_record_whose_arguments_have_names_is_no_exception(
    caplog: pytest.LogCaptureFixture,
) -> None:
    _log.warning("%(what)s of %(many)d", {"what": HOSTILE, "many": 7})
    assert caplog.records[0].getMessage() == f"{printable(HOSTILE)} of 7"


def test_a_record_without_arguments_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    _log.warning("100 % fine")
    assert [record.getMessage() for record in caplog.records] == ["100 % fine"]


def test_the_traceback_of_a_record_is_printable_and_the_exception_is_there_for_tools(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = raised_with(HOSTILE)
    _log.error("it raised", exc_info=error)
    assert harmful(caplog.text, lines=True) == set()
    assert "in raised_with" in caplog.text
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_nothing_is_kept_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    try:
        _log.error("nothing was raised", exc_info=True)
    finally:
        assert [record.getMessage() for record in caplog.records] == ["nothing was raised"]
