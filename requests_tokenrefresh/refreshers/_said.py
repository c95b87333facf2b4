"""What an answer says went wrong: its codes and its words, wherever it has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

# By the names of RFC 6749 section 5.2, RFC 9457, AWS, Apigee, Azure, Django REST framework,
# Facebook, Fitbit, Flask-JWT-Extended, Google, Passport, Supabase, WeChat, Zoom; spelled without
# `_` and in small letters.
_CODES = ("error", "code", "errorcode", "errcode", "errortype", "type", "status", "suberror")
_SELDOM = ("status", "type")  # a code only if it looks like one
_WORDS = (
    "errordescription",
    "message",
    "msg",
    "detail",
    "reason",
    "description",
    "hint",
    "errmsg",
    "faultstring",
    "title",
)
_NESTS = ("error", "errors", "detail", "fault", "body")
# What Django REST framework and Rails find wrong with a field, in a list beside its name.
_FIELDS = {"refresh": "refresh", "refreshtoken": "refresh_token", "nonfielderrors": ""}
_DEEPEST = 3  # nests in nests
_MOST = 5  # errors in a list
_MOST_IN_ALL = 100  # codes and texts
_LONGEST = 1000  # characters


class Said(NamedTuple):
    """What an answer says.

    Attributes:
        codes: Its codes, the most telling first.
        texts: Its words, likewise; one may be a single word that is a code to its author.
    """

    codes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Whatever may be meant as a code."""
        return (*self.codes, *(text for text in self.texts if not _is_prose(text)))


def said_in(fields: Mapping[str, Any], status: int = 0) -> Said:
    """Return what *fields* say; a number that repeats the HTTP *status* says nothing."""
    found = list(islice(_found(fields, status, 0), _MOST_IN_ALL))
    codes = dict.fromkeys(text for is_code, text in found if is_code)
    texts = dict.fromkeys(text for is_code, text in found if not is_code)
    return Said(tuple(codes), tuple(texts))


def spelled(code: str) -> str:
    """Return *code* as patterns spell it: ``InvalidGrantException``, ``INVALID-GRANT`` and
    ``com.example#invalid_grant`` are ``invalid_grant``."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", code.rpartition("#")[2])
    bare = re.sub(r"[^a-z0-9]+", "_", snake.lower()).strip("_")
    return re.sub(r"^err(or)?_|_(error|exception)$", "", bare)


def _found(fields: Mapping[str, Any], status: int, depth: int) -> Iterator[tuple[bool, str]]:
    by_name = {str(name).replace("_", "").lower(): value for name, value in fields.items()}
    yield from _codes_in(by_name, status)
    yield from _words_in(by_name)
    if depth < _DEEPEST:
        yield from _nested_in(by_name, status, depth)


def _codes_in(by_name: Mapping[str, Any], status: int) -> Iterator[tuple[bool, str]]:
    for name in _CODES:
        for value in _each(by_name.get(name)):
            if isinstance(value, str) and value and _may_be_code(name, value):
                yield not _is_prose(value), value[:_LONGEST]
            elif isinstance(value, int) and 99 < value < 10**9 and value != status:
                yield True, str(value)


def _words_in(by_name: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    for name in _WORDS:
        for value in filter(None, _each(by_name.get(name))):
            if isinstance(value, str):
                yield False, value[:_LONGEST]
    for name, said_as in _FIELDS.items():
        value = by_name.get(name)
        for text in _each(value) if isinstance(value, list) else ():  # else it may be the token
            if isinstance(text, str):
                yield False, f"{said_as} {text}".strip()[:_LONGEST]


def _nested_in(by_name: Mapping[str, Any], status: int, depth: int) -> Iterator[tuple[bool, str]]:
    for name in _NESTS:
        for nested in filter(None, _each(by_name.get(name))):
            if isinstance(nested, Mapping):
                yield from _found(nested, status, depth + 1)
                yield from _of_a_field(nested)
            elif isinstance(nested, str) and name not in (*_CODES, *_WORDS):
                yield False, nested[:_LONGEST]


def _each(value: object) -> list[Any]:
    """NestJS has its message in a list, and others their code."""
    return value[:_MOST] if isinstance(value, list) else [value]


def _may_be_code(name: str, value: str) -> bool:
    """``"status": "error"`` is none, nor is ``"type": "about:blank"``."""
    return name not in _SELDOM or ("_" in spelled(value) and ":" not in value)


def _of_a_field(error: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """``{"field": "refresh_token", "code": "invalid"}``, as Strava has it, is one code."""
    code, field = error.get("code"), error.get("field")
    if isinstance(code, str) and isinstance(field, str):
        yield True, f"{code}_{field}"[:_LONGEST]


def _is_prose(text: str) -> bool:
    return any(c.isspace() for c in text)
