"""The whole run as one test: no token, secret, code or password that it issues comes out again.

Watched are the attacks of the threat model (tests/support/threats.py), and by `tox -e attacks` all
tests: it takes a tenth of their time.

What the tests' servers are sent and every `Token` that is made are taken for secrets, if they can
be told from other words: those of a test until its end, so that no other test depends on it, and
those that a file of tests has when it is read for ever. Looked at is whatever may be read by
somebody else:

- each record of each logger at each level, and what it was made of;
- each exception that a test expects, a thread of `run_together` has met or a logger is given, with
  all that it was raised from, its attributes, its pickle, and the variables of the package's frames
  in its traceback;
- each event with its pickle, and the repr of all that is public and has been made;
- what commands and child processes write, and what they are called with;
- each file that the package makes: what it is called, and whether others may open it.

What is found fails the test in which it came out, at its end. `EXEMPT` is what may come out, and
why. Of a test whose point it is that something comes out, ``@pytest.mark.tells("why")`` says so.
"""

from __future__ import annotations

import base64
import functools
import inspect
import logging
import os
import pickle
import re
import stat
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from subprocess import Popen
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

import pytest
from click.testing import CliRunner

import requests_tokenrefresh
from requests_tokenrefresh import Token, TokenRefreshError, events
from requests_tokenrefresh.testing._threads import Callers, Outcome
from tests.support import servers
from tests.support.length import at_length

# A secret can be found again if it is one word, and no word of a language.
_WORD = re.compile(r"[\w.~+-]{8,}")
_TELLING = re.compile(r"[\d.~+A-Z-]")

_SECRET_FIELD = re.compile(
    r"(client_secret|code|code_verifier|device_code|password|refresh|assertion)$|_token$"
)

_PACKAGE = "requests_tokenrefresh"
_EVERY = 1  # level of logging
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Told(NamedTuple):
    """Something that came out.

    Attributes:
        way: ``log``, ``error``, ``pickle``, ``variable``, ``repr``, ``output``, ``arguments``,
            ``file``, or ``open file``, which nobody may make, whatever is in it.
        where: The name of the logger or of the class, or ``module:function.variable``.
        text: What it says.
    """

    way: str
    where: str
    text: str


class Exempt(NamedTuple):
    """What may be told.

    Attributes:
        way: As in `Told`.
        where, text: Patterns of what `Told` has there.
        why: The reason.
        said: What docs/security.md says of it; None: it is not about the package.
    """

    way: str
    where: str
    text: str
    why: str
    said: str | None = None

    def covers(self, told: Told) -> bool:
        return (
            self.way == told.way
            and re.match(self.where, told.where) is not None
            and re.search(self.text, told.text) is not None
        )


EXEMPT = [
    Exempt(
        "log",
        r"authlib\.|oauthlib\.oauth2\.rfc6749\.(endpoints|grant_types|request_validator)",
        "",
        "it is the issuer, in the process of the tests",
    ),
    Exempt(
        "log",
        r"requests_oauthlib\.|vcr\.",
        "",
        "another client that has the same login, and a recorder: both have logs of their own",
    ),
    Exempt(
        "log",
        r"urllib3\.connectionpool$",
        r'"GET /callback\?code=',
        "it is the browser of the tests",
    ),
    Exempt(
        "log",
        r"urllib3\.connectionpool$",
        r'"GET /by-query\?page=2&access_token=',
        "who has attach= put the token into a query has it in urllib3's records",
        "logs of others, such as urllib3's, have it with the token",
    ),
    Exempt(
        "open file",
        r"requests_tokenrefresh\.stores\._file_lock:_make$",
        "",
        "a lock has nothing in it, and with private=False others take turns at it too",
    ),
]


# -- What is secret --------------------------------------------------------------------------------

_issued: set[str] = set()
_issued_by_files: set[str] = set()  # of tests, when they were read


def issue(secrets: Iterable[object]) -> None:
    """Take *secrets* for such from now on, as far as they can be found again."""
    for secret in secrets:
        if isinstance(secret, str):
            _issued.update(word for word in _WORD.findall(secret) if _TELLING.search(word))


def _issue_token(token: Token) -> None:
    issue((token.access_token, token.refresh_token, token.extra.get("id_token")))


def _issue_what_is_sent(request: servers.Received) -> None:
    scheme, _, credentials = (request.headers["Authorization"] or "").partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            credentials = base64.b64decode(credentials).decode().partition(":")[2]
            issue([unquote_plus(credentials)])
    issue([credentials])
    if b"=" in request.body[:1000]:
        with suppress(ValueError):
            form = parse_qsl(request.body.decode())
            issue(value for name, value in form if _SECRET_FIELD.search(name))


def _issue_tokens() -> None:
    """Not only while a test is watched: files of tests have some of their own."""
    check = Token.__post_init__

    @functools.wraps(check)
    def check_and_issue(token: Token) -> None:
        check(token)
        _issue_token(token)

    Token.__post_init__ = check_and_issue  # type: ignore[method-assign]


# -- What is told ----------------------------------------------------------------------------------

_watched = False  # the test that runs
# SQLAlchemy's has one of its own from its import on.
_LEVELS = {logger: logger.level for logger in (logging.root, logging.getLogger("sqlalchemy"))}
_told: set[Told] = set()  # most things are told many times
_found: set[str] = set()
_MOST = 10_000  # texts
_LONGEST = 100_000  # characters
_DEEPEST = 20  # frames of one function that calls itself
_PLAIN = (int, float, type, type(None), FunctionType, ModuleType)


def _tell(told: Told) -> None:
    _told.add(told)
    if len(_told) >= _MOST or len(told.text) > _LONGEST:
        _sift()


def _sift() -> None:
    """Keep of what was told only what should not have been."""
    with suppress(KeyError):  # all has been looked at, perhaps by another thread
        while True:
            told = _told.pop()
            secrets = sorted(_issued.intersection(_WORD.findall(told.text)))
            if told.way == "open file":
                secrets = [told.text]
            if secrets and not any(exempt.covers(told) for exempt in EXEMPT):
                _found.add(f"{' '.join(filter(None, told[:2]))}: {', '.join(secrets)}")


def tell_output(*output: str | bytes | None) -> None:
    """Look at what a program has written."""
    for text in output:
        if text and _watched:
            _tell(Told("output", "", text if isinstance(text, str) else text.decode("latin-1")))


def _tell_arguments(process: Popen[Any]) -> None:
    _tell(Told("arguments", "", repr(process.args)))


def _tell_record(record: logging.LogRecord) -> None:
    if record.name.startswith("sqlalchemy") and not _called_by_us(sys._getframe()):
        return  # a test looks at what is stored
    with suppress(Exception):  # who makes such a record hears of it from logging itself
        made_of = f" {record.args!r}" if record.args else ""
        _tell(Told("log", record.name, f"{record.getMessage()}{made_of}"))
    if record.exc_info and record.exc_info[1] is not None:
        _tell_error(record.exc_info[1])


def _tell_error(error: BaseException) -> None:
    seen: set[int] = set()
    for one in _chain(error):
        kind = type(one).__name__
        _tell(Told("error", kind, f"{one} {one!r} {vars(one)!r}"))
        if isinstance(one, TokenRefreshError):
            _tell(Told("pickle", kind, pickle.dumps(one).decode("latin-1")))
        for told in _variables(one, seen):
            _tell(told)


def _tell_object(made: object, *, pickled: bool = False) -> None:
    kind = type(made).__name__
    with suppress(Exception):  # it is not whole yet: a base class was initialized
        _tell(Told("repr", kind, repr(made)))
    if pickled:
        _tell(Told("pickle", kind, pickle.dumps(made).decode("latin-1")))


def _tell_file(path: Any, fd: int) -> None:
    """Look at a file that the package has made, itself or by the standard library."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_globals.get("__name__") in ("tempfile", "pathlib", __name__):
        frame = frame.f_back
    if _is_ours(frame):
        _tell(Told("file", _place(frame), os.fsdecode(path)))
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if mode & _OTHERS:
            _tell(Told("open file", _place(frame), f"mode {mode:04o}"))


def _called_by_us(frame: FrameType | None) -> bool:
    while frame is not None and not _is_ours(frame):
        frame = frame.f_back
    return frame is not None


def _place(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__')}:{frame.f_code.co_name}"


def _is_ours(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__"))
    return module.startswith(_PACKAGE) and not module.startswith(f"{_PACKAGE}.testing")


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    for one in chain:
        chain += [
            inner for inner in (one.__cause__, one.__context__) if inner and inner not in chain
        ]
    return chain


def _variables(error: BaseException, seen: set[int]) -> Iterator[Told]:
    """Return the variables of the package's frames: those of others are theirs, and so is what they
    pass to it."""
    ours_called, times = False, Counter[CodeType]()
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        caller_is_ours, ours_called = ours_called, _is_ours(frame)
        times[code] += 1
        if not ours_called or times[code] > _DEEPEST:
            continue
        variables = dict(frame.f_locals)
        if not caller_is_ours:
            seen.update(id(variables.pop(name, None)) for name in inspect.getargs(code).args)
        for name, value in variables.items():
            if id(value) not in seen and not isinstance(value, _PLAIN):
                seen.add(id(value))
                with suppress(Exception):  # the repr of somebody else's
                    yield Told("variable", f"{_place(frame)}.{name}", repr(value))


# -- The run ---------------------------------------------------------------------------------------


def pytest_configure() -> None:
    servers.observers.append(_issue_what_is_sent)
    _issue_tokens()
    _afterwards(CliRunner, "invoke", lambda _, result, *__: tell_output(result.output))
    _afterwards(Popen, "__init__", lambda process, *_: _tell_arguments(process))
    _afterwards(Popen, "communicate", lambda _, output, *__: tell_output(*output))
    _afterwards(pytest.CaptureFixture, "readouterr", lambda _, output: tell_output(*output))
    _afterwards(type(pytest.raises(Exception)), "__exit__", _tell_expected)
    _afterwards(Callers, "outcomes", lambda _, outcomes, *__: _tell_outcomes(outcomes))
    for event in events.Event.__subclasses__():
        _afterwards(event, "__init__", lambda made, *_: _tell_object(made, pickled=True))
    make_file = os.open

    @functools.wraps(make_file)
    def make_file_and_tell(path: Any, flags: int, *args: Any, **how: Any) -> int:
        fd = make_file(path, flags, *args, **how)
        if _watched and flags & os.O_CREAT:
            _tell_file(path, fd)
        return fd

    os.open = make_file_and_tell


def _afterwards(owner: type, name: str, act: Callable[..., object]) -> None:
    """Have *act* called after the method, with its object, its result, and its arguments."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def method_and_act(self: Any, *args: Any, **how: Any) -> Any:
        result = method(self, *args, **how)
        if _watched:
            act(self, result, *args)
        return result

    setattr(owner, name, method_and_act)


def _tell_expected(
    _expecting: object, caught: bool, _kind: object, error: BaseException, _tb: object
) -> None:
    # What a test raises by itself has nothing to do with the package.
    if caught and not isinstance(error, AssertionError | pytest.fail.Exception):
        _tell_error(error)


def _tell_outcomes(outcomes: list[Outcome[Any]]) -> None:
    for outcome in outcomes:
        if outcome.error is not None:
            _tell_error(outcome.error)


def pytest_collection_finish() -> None:
    _issued_by_files.update(_issued)
    # Not before: the tests have imported by now what is public.
    for name in requests_tokenrefresh.__all__:
        public = getattr(requests_tokenrefresh, name)
        init = getattr(public, "__init__", None)
        ours = inspect.isfunction(init) and init.__module__.startswith(_PACKAGE)
        if ours and not issubclass(public, BaseException):  # looked at when they are raised
            _afterwards(public, "__init__", lambda made, *_: _tell_object(made))


def pytest_sessionstart(session: pytest.Session) -> None:
    """See what records are made; what pytest collects of them stays as it was."""
    make = logging.getLogRecordFactory()

    def make_and_tell(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if _watched:
            _tell_record(record)
        return record

    logging.setLogRecordFactory(make_and_tell)
    pytests = session.config.pluginmanager.get_plugin("logging-plugin")
    for handler in (pytests.caplog_handler, pytests.report_handler):
        handler.addFilter(_AsItWas(logging.root.level))


class _AsItWas(logging.Filter):
    """Lets through what would have been made if the root logger had kept its *level*."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        made_by_us = logging.getLogger(record.name).getEffectiveLevel() == _EVERY
        return not made_by_us or record.levelno >= self._level


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    _watch(at_length("attacks") or item.get_closest_marker("attack") is not None)
    try:
        return (yield)
    finally:
        _issued.intersection_update(_issued_by_files)


def _watch(watched: bool) -> None:
    """Have records of every level made, or no more. That takes logging a while, and the tests of a
    file are mostly alike."""
    global _watched
    if watched != _watched:
        _watched = watched
        for logger, level in _LEVELS.items():
            logger.setLevel(_EVERY if watched else level)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _watched and call.when != "teardown":
        tell_output(report.capstdout, report.capstderr)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    try:
        result = yield
        _sift()
        if _found and item.get_closest_marker("tells") is None:
            pytest.fail("\n".join(["secrets came out:", *sorted(_found)]), pytrace=False)
        return result
    finally:
        _told.clear()
        _found.clear()
