"""The fields in the body of an answer: a JSON object, or a form."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urljoin

import requests

from ._quote import Secrets, name_of

_FORM = "application/x-www-form-urlencoded"
_LONGEST_NUMBER = 300  # digits; a float has no more, and Python takes quadratic time to read them
_TOKEN = re.compile(r"^(access|refresh)|token$", re.IGNORECASE)
_DEEPEST = 3  # fields in fields


def fields_in(response: requests.Response, secrets: Secrets) -> tuple[Mapping[str, Any], str]:
    """Return the fields, or none and the reason in words; never fails."""
    if 300 <= response.status_code < 400:
        return {}, redirect_in(response, secrets)
    content = response.content
    if not content.strip():
        return {}, "an empty body"
    # A byte that is wrong in one field is no reason to lose the others.
    text = content.decode(json.detect_encoding(content), "replace")
    try:
        value = json.loads(text, parse_int=_number, strict=False)
    except RecursionError:
        return {}, "JSON nested too deep"
    except ValueError:
        return _form_in(text, response.headers.get("Content-Type", ""), secrets)
    if not isinstance(value, dict):
        return {}, f"JSON of type {type(value).__name__}, not an object"
    return value, ""


def renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return *fields* by the names of RFC 6749 section 5.1.

    Args:
        names: Those that *fields* have instead; one with dots is a path, unless there is a field
            that is called so.
    """
    rest, found = dict(fields), {}
    for ours, theirs in names.items():
        found[ours], rest = _picked(rest, theirs)
    return {**rest, **found}


def tokens_in(fields: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Return what may be a token of a reply, by its names."""
    for name, value in fields.items():
        if isinstance(value, str) and _TOKEN.search(name):
            yield value
        elif isinstance(value, Mapping) and depth < _DEEPEST:
            yield from tokens_in(value, depth + 1)


def _picked(fields: Mapping[str, Any], name: str) -> tuple[Any, dict[str, Any]]:
    """Return the field *name*, and the others."""
    head, _, tail = name.partition(".")
    inner = fields.get(head)
    if name not in fields and tail and isinstance(inner, Mapping):
        value, others = _picked(inner, tail)
        return value, {**fields, head: others}
    return fields.get(name), {other: value for other, value in fields.items() if other != name}


def _form_in(text: str, content_type: str, secrets: Secrets) -> tuple[Mapping[str, Any], str]:
    media_type = content_type.partition(";")[0].strip()
    fields = dict(parse_qsl(text.strip()))
    if media_type.lower() == _FORM or not fields.keys().isdisjoint({"access_token", "error"}):
        return fields, ""
    return {}, f"{secrets.quote(media_type) or 'a body of no type'} that is not JSON"


def _number(digits: str) -> float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf


def redirect_in(response: requests.Response, secrets: Secrets) -> str:
    """Return where *response* redirects to, in words."""
    try:
        target = name_of(urljoin(response.url, response.headers["Location"]))
    except (KeyError, ValueError):
        return "a redirect to nowhere"
    return f"a redirect to {secrets.quote(target)}, not followed: pass the URL that answers itself"
