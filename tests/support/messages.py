"""Every error message that the package can raise, read from its source.

An error is made by a call of its class, wherever that stands: behind a `raise`, in a function that
returns it, or in the class's own constructor. Its message is the first argument, in which ``…``
stands for what is filled in when it is raised. What is filled in from texts of the package itself
is followed: variables, constants, conditional expressions, parameters to what is passed, and calls
to what they return.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import itertools
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click
import requests

import requests_tokenrefresh
from requests_tokenrefresh.cli import exits

FILLED_IN = "…"

_LEFT_OUT = (  # what has no users' login
    "testing",
    *("cli.demo", "cli.serve", "cli.authorization", "cli.code_endpoint", "cli.device_endpoint"),
)
_TELLING = 19  # letters; a message with so many is known by them, whatever is filled in
_MANY = 12  # ways to fill one message in that are told apart


@dataclass(frozen=True)
class Message:
    """What one error says.

    Attributes:
        text: With `FILLED_IN` for what is not known before it is raised.
        kind: The class.
        place: Where it is made: module and function.
    """

    text: str
    kind: type[BaseException]
    place: str

    @property
    def fragments(self) -> list[str]:
        """What is fixed in it, in order."""
        parts = (part.strip(" ;:,.()") for part in self.text.split(FILLED_IN))
        return [part for part in parts if re.search(r"[A-Za-z]", part)]

    @property
    def meets_requests(self) -> bool:
        """Whether a request, or a refresh, can end with it; else it is a mistake that is told where
        something is made."""
        return issubclass(self.kind, requests.RequestException | OSError)


@functools.cache
def messages() -> tuple[Message, ...]:
    """Return what the package's errors say, each once, sorted by place."""
    found = {(one.text, one.kind): one for one in _Package().messages()}
    return tuple(sorted(found.values(), key=lambda one: (one.place, one.text, one.kind.__name__)))


def is_found(message: Message, text: str) -> bool:
    """Return whether all that is fixed in *message* stands in *text*; line ends and the marks of
    code do not count."""
    return all(_plain(fragment) in _plain(text) for fragment in message.fragments)


def _plain(text: str) -> str:
    """Return *text* in one line, without marks of code."""
    return " ".join(text.replace("`", "").split())


class _Place(NamedTuple):
    """Where a node stands: its module, and the classes and functions around it."""

    module: str
    within: tuple[ast.ClassDef | ast.FunctionDef, ...] = ()

    @property
    def function(self) -> ast.FunctionDef | None:
        functions = [one for one in self.within if isinstance(one, ast.FunctionDef)]
        return functions[-1] if functions else None

    def __str__(self) -> str:
        return ".".join([self.module, *(one.name for one in self.within)])


class _Package:
    """The source of the package, and what its names mean."""

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}
        self._calls: dict[str, list[tuple[ast.Call, _Place]]] = defaultdict(list)
        self._functions: dict[str, list[tuple[ast.FunctionDef, _Place]]] = defaultdict(list)
        self._imported: dict[str, set[str]] = defaultdict(set)
        self._known: dict[tuple[int, str], list[str]] = {}
        for name, module in _modules():
            self._modules[name] = module
            assert module.__file__ is not None
            for node, place in _walk(ast.parse(Path(module.__file__).read_text()), _Place(name)):
                if isinstance(node, ast.FunctionDef):
                    self._functions[node.name].append((node, place))
                elif isinstance(node, ast.Call):
                    self._calls[_last_name(node.func)].append((node, place))
                elif isinstance(node, ast.ImportFrom):
                    self._imported[name].add((node.module or "").rpartition(".")[2])

    def messages(self) -> Iterator[Message]:
        for call, place in itertools.chain.from_iterable(self._calls.values()):
            for kind in self._kinds(call, place):
                for text in self._texts(call.args[0], place) if call.args else ():
                    yield Message(re.sub(rf"{FILLED_IN}+", FILLED_IN, text), kind, str(place))

    def _kinds(self, call: ast.Call, place: _Place) -> list[type[BaseException]]:
        """Return the classes of the errors that *call* makes."""
        named: list[object]
        if ast.unparse(call.func) == "super().__init__":
            [around] = [one for one in place.within if isinstance(one, ast.ClassDef)]
            named = [getattr(self._modules[place.module], around.name, None)]
        elif _last_name(call.func) == exits.fail.__name__:
            named = [click.ClickException]  # the command prints it as it prints these
        else:
            named = [self._meaning(call.func, place)]
            if isinstance(call.func, ast.Name):  # a variable, with one of two classes
                branches = [
                    branch
                    for value in _assigned(call.func.id, place)
                    if isinstance(value, ast.IfExp)
                    for branch in (value.body, value.orelse)
                ]
                named += [self._meaning(branch, place) for branch in branches]
        return [one for one in named if isinstance(one, type) and issubclass(one, BaseException)]

    def _meaning(self, name: ast.expr, place: _Place) -> object:
        if isinstance(name, ast.Attribute):
            return getattr(self._meaning(name.value, place), name.attr, None)
        if isinstance(name, ast.Name):
            namespace = vars(self._modules[place.module])
            return namespace.get(name.id, getattr(builtins, name.id, None))
        return None

    def _texts(self, node: ast.expr, place: _Place) -> list[str]:
        """Return what *node* may be, where it is a text of the package's."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr():
                return self._filled_in(node, place)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _combined([self._texts(left, place), self._texts(right, place)])
            case ast.IfExp():
                return _few([*self._texts(node.body, place), *self._texts(node.orelse, place)])
            case ast.BoolOp():
                return _few(text for value in node.values for text in self._texts(value, place))
            case ast.Name():
                return self._named(node.id, place)
            case ast.Call(func=ast.Attribute(value=form, attr="format")):
                return [re.sub(r"\{[^}]*\}", FILLED_IN, text) for text in self._texts(form, place)]
            case ast.Call():
                return self._returned(node, place)
        return [FILLED_IN]

    def _filled_in(self, node: ast.JoinedStr, place: _Place) -> list[str]:
        fixed = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
        is_telling = len(re.sub(r"\W", "", fixed)) >= _TELLING
        parts = []
        for part in node.values:
            inside = part.value if isinstance(part, ast.FormattedValue) else part
            texts = self._texts(inside, place)
            parts.append([FILLED_IN] if is_telling and len(texts) > 1 else texts)
        if sum(len(texts) > 1 for texts in parts) > 1:
            # Which of them come together is not known. Whole phrases tell more than names do.
            parts = [texts if " " in texts[-1] else [FILLED_IN] for texts in parts]
        return _combined(parts)

    def _named(self, name: str, place: _Place) -> list[str]:
        function = place.function
        if assigned := _assigned(name, place):
            return self._once(id(function), name, lambda: self._all(assigned, place))
        if function is not None and name in _parameters(function):
            return self._once(id(function), name, lambda: self._passed(name, function, place))
        value = vars(self._modules[place.module]).get(name)
        return [value] if isinstance(value, str) else [FILLED_IN]

    def _all(self, values: Iterable[ast.expr], place: _Place) -> Iterator[str]:
        for value in values:
            yield from self._texts(value, place)

    def _passed(self, name: str, function: ast.FunctionDef, place: _Place) -> Iterator[str]:
        """Return what the package passes to *function* as the parameter *name*."""
        position = _parameters(function).index(name)
        for call, caller in self._calls.get(function.name, []):
            if not self._may_mean(caller, place):
                continue
            words = [word.value for word in call.keywords if word.arg == name]
            yield from self._all(words or call.args[position : position + 1], caller)

    def _returned(self, call: ast.Call, place: _Place) -> list[str]:
        return _few(
            text
            for function, around in self._functions.get(_last_name(call.func), [])
            if self._may_mean(place, around)
            for text in self._once(id(function), "", lambda: self._results(function, around))  # noqa: B023 - called at once
        )

    def _results(self, function: ast.FunctionDef, around: _Place) -> Iterator[str]:
        inside = _Place(around.module, (*around.within, function))
        for node, place in _walk(function, inside):
            if isinstance(node, ast.Return) and node.value is not None:
                yield from self._texts(node.value, place)

    def _may_mean(self, caller: _Place, called: _Place) -> bool:
        """Return whether a name used by *caller* may be that of a function of *called*."""
        module = called.module.rpartition(".")[2]
        return caller.module == called.module or module in self._imported[caller.module]

    def _once(self, function: int, name: str, texts: Any) -> list[str]:
        """Return *texts* (), which are worked out once; what refers to itself has none."""
        key = function, name
        if key not in self._known:
            self._known[key] = [FILLED_IN]
            self._known[key] = _few(texts())
        return self._known[key]


def _modules() -> Iterator[tuple[str, ModuleType]]:
    prefix = f"{requests_tokenrefresh.__name__}."
    for found in pkgutil.walk_packages(requests_tokenrefresh.__path__, prefix):
        name = found.name.removeprefix(prefix)
        if not name.startswith(_LEFT_OUT):
            yield name, importlib.import_module(found.name)


def _walk(tree: ast.AST, place: _Place) -> Iterator[tuple[ast.AST, _Place]]:
    """Return all nodes below *tree*, which is at *place*."""
    for node in ast.iter_child_nodes(tree):
        yield node, place
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield from _walk(node, _Place(place.module, (*place.within, node)))
        else:
            yield from _walk(node, place)


def _assigned(name: str, place: _Place) -> list[ast.expr]:
    """Return what is assigned to *name* in the innermost function."""
    if place.function is None:
        return []
    return [
        node.value
        for node in ast.walk(place.function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id == name
    ]


def _parameters(function: ast.FunctionDef) -> list[str]:
    """Return what *function* is passed, in order, without itself."""
    names = [one.arg for one in (*function.args.args, *function.args.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _last_name(function: ast.expr) -> str:
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _combined(parts: list[list[str]]) -> list[str]:
    return _few("".join(ways) for ways in itertools.product(*parts))


def _few(texts: Iterable[str]) -> list[str]:
    distinct = list(dict.fromkeys(texts))
    return distinct if 0 < len(distinct) <= _MANY else [FILLED_IN]
