"""How the documentation is built: `sphinx-build -W --keep-going -b html docs docs/_build/html`."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that what is described is what lies beside this folder

from requests_tokenrefresh import TokenRefreshError  # noqa: E402 - after the path
from requests_tokenrefresh._hand import Standing  # noqa: E402 - likewise
from requests_tokenrefresh._rules import TABLE  # noqa: E402 - likewise
from requests_tokenrefresh.cli.command import command  # noqa: E402 - likewise

metadata = configparser.ConfigParser(interpolation=None)
metadata.read(ROOT / "setup.cfg", encoding="utf-8")

_COLUMNS = 90  # of a help text: as many as fit on a page

project = metadata["metadata"]["name"]
release = version = metadata["metadata"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = [
    "_build",
    "figures_table.md",
    "mistakes.md",
    "threats.md",
]  # these are parts of other pages

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["diagram.css"]
html_show_copyright = False

default_role = "py:obj"  # a `Name` in a docstring is a link if there is something to link to
add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

myst_enable_extensions = ["substitution"]
myst_heading_anchors = 3


def error_tree() -> str:
    """Return the exception tree, drawn from the classes, as a block of text."""
    return _text_block("\n".join(["requests.RequestException", *_branch(TokenRefreshError)]))


def _branch(error: type[Exception], before: str = "", stem: str = "└─ ") -> Iterator[str]:
    _, *others = error.__bases__
    also = ", ".join(f"requests.{base.__name__}" for base in others)
    yield before + stem + error.__name__ + (f"  (also {also})" if also else "")
    before += "   " if stem == "└─ " else "│  "
    children = error.__subclasses__()
    for child in children:
        yield from _branch(child, before, "└─ " if child is children[-1] else "├─ ")


def token_states() -> str:
    """Return how one standing becomes another, read off the table of rules, as a block of text."""
    lines: list[str] = []
    for row in TABLE:
        for standing in row.standings:
            if row.becomes not in (None, standing):
                what = f"{row.what.value}{', and ' if row.when else ''}{' and '.join(row.when)}"
                lines.append(f"{standing.value:>9} ─▶ {row.becomes.value:<9} {what}")
    order = [standing.value for standing in Standing]
    lines.sort(key=lambda line: order.index(line.split(" ─▶ ")[0].strip()))
    return _text_block("\n".join(lines))


def token_rules() -> str:
    """Return the table of rules, in Markdown."""
    head = [
        "| What happens | to a token that is | if | It becomes | The thread |",
        "|---" * 5 + "|",
    ]
    rows = [
        f"| {row.what.value} | {', '.join(one.value for one in row.standings)} "
        f"| {'; '.join(row.when)} | {row.becomes.value if row.becomes else ''} | {row.then.value} |"
        for row in TABLE
    ]
    return "\n".join(head + rows)


def command_help(name: str) -> str:
    """Return what ``requests-tokenrefresh NAME --help`` prints, as a block of text."""
    context = command.make_context(
        "requests-tokenrefresh", [], resilient_parsing=True, terminal_width=_COLUMNS
    )
    if name:
        part = command.commands[name]
        context = part.make_context(name, [], parent=context, resilient_parsing=True)
    return _text_block(context.get_help())


def _text_block(text: str) -> str:
    return f"```text\n{text}\n```"


myst_substitutions = {
    "error_tree": error_tree(),
    "token_states": token_states(),
    "token_rules": token_rules(),
    "command_help": command_help(""),
    **{f"{name}_help": command_help(name) for name in command.commands},
}
