"""How the documentation is built: `sphinx-build -W --keep-going -b html docs docs/_build/html`."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that what is described is what lies beside this folder

import requests  # noqa: E402 - in one place with the next

from requests_tokenrefresh import TokenRefreshError  # noqa: E402 - after the path
from requests_tokenrefresh._challenge import REASONS, own_answer  # noqa: E402 - likewise
from requests_tokenrefresh._hand import Standing  # noqa: E402 - likewise
from requests_tokenrefresh._rules import (  # noqa: E402 - likewise
    ANOTHER_PERSON,
    TABLE,
    TWICE,
    Row,
    Then,
    What,
    why_own,
)
from requests_tokenrefresh.cli.command import COMMANDS, command  # noqa: E402 - likewise

metadata = configparser.ConfigParser(interpolation=None)
metadata.read(ROOT / "setup.cfg", encoding="utf-8")

_COLUMNS = 90  # of a help text: as many as fit on a page

project = metadata["metadata"]["name"]
release = version = metadata["metadata"]["version"]

extensions = [
    "myst_parser",
    "notfound.extension",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_llm.txt",
    "sphinxext.opengraph",
]
exclude_patterns = [
    "_build",
    "figures_table.md",
    "mistakes.md",
    "threats.md",
]  # these are parts of other pages

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["tables.js"]
html_show_copyright = False
html_baseurl = os.environ.get("DOCS_URL", "")  # where it is published, with a slash at the end

notfound_urls_prefix = urlsplit(html_baseurl).path or "/"
ogp_site_url = html_baseurl
ogp_image = "_static/social.png"
ogp_image_alt = "Fifty threads and one expired token: one refreshes, the others wait for it"
ogp_social_cards = {"enable": False}
copybutton_exclude = ".linenos, .gp, .go"  # prompts, and what a command says
llms_txt_description = metadata["metadata"]["description"]
llms_txt_build_parallel = False  # one build after the other: two at once gain nothing on two cores
llms_txt_exclude = ["404"]
llms_txt_suffix_mode = "append"  # workers.html is workers.html.md for programs
llms_txt_suppress_unknown_node_warnings = ["abbreviation"]  # of a signature: the * before keywords

# What these projects name in their documentation. The files lie here so that no build needs the
# network: they are the objects.inv of requests 2.28 and urllib3 2.8.
intersphinx_mapping = {
    "requests": ("https://requests.readthedocs.io/en/latest/", "inventories/requests.inv"),
    "urllib3": ("https://urllib3.readthedocs.io/en/stable/", "inventories/urllib3.inv"),
}

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
    """Return how one standing becomes another, read off the table of rules, in Markdown."""
    changes = [
        (standing, row.becomes, ", if ".join(filter(None, [row.what.value, "; ".join(row.when)])))
        for row in TABLE
        for standing in row.standings
        if row.becomes not in (None, standing)
    ]
    order = list(Standing)
    changes.sort(key=lambda change: order.index(change[0]))
    rows = [(standing.value, becomes.value, when) for standing, becomes, when in changes]
    return _table(("What is", "becomes", "when"), rows)


def token_rules() -> str:
    """Return the table of rules, in Markdown, but for what a 401 does."""
    return _table(_RULE, [_rule(row) for row in TABLE if row.what not in _ANSWERED_401])


_RULE = ("What happens", "to a token that is", "if", "It becomes", "The thread")
_ANSWERED_401 = (What.ANSWERED_401, What.REPLAY_ANSWERED_401)


def rules_of_401() -> str:
    """Return the rest of the table, with what `decide` looks at before."""
    before = [
        (What.REPLAY_ANSWERED_401.value, "any", TWICE, "", Then.OWN.value),
        ("either of the two", "any", ANOTHER_PERSON, "", Then.OWN.value),
    ]
    return _table(_RULE, [*before, *(_rule(row) for row in TABLE if row.what in _ANSWERED_401)])


def _rule(row: Row) -> tuple[str, ...]:
    standings = ", ".join(one.value for one in row.standings)
    becomes = row.becomes.value if row.becomes else ""
    then = row.then.value
    if row.then is Then.OWN and (why := why_own(row)) not in row.when:
        then += f": {why}"
    return row.what.value, standings, "; ".join(row.when), becomes, then


def challenges() -> str:
    """Return what becomes of 401s by their challenges, as the code judges each."""
    headers = [
        "",
        "Bearer",
        'Bearer error="invalid_token"',
        'Bearer error="a_word_of_its_own"',
        'Basic realm="api"',
        'Basic realm="api", Bearer error="insufficient_scope"',
        *(f'Bearer error="{reason}"' for reason in REASONS),
        'Bearer claims="e30="',
        'Bearer error="invalid_token", claims="e30="',
        'Bearer error="insufficient_scope',
    ]
    return _table(
        ("`WWW-Authenticate`", "Another token of this login"),
        [(f"`{header}`" if header else "none", _judged(header)) for header in headers],
    )


def _judged(header: str) -> str:
    response = requests.Response()
    response.status_code = 401
    if header:
        response.headers["WWW-Authenticate"] = header
    reason = own_answer(response)
    return "may help" if reason is None else f"would not help: {REASONS[reason]}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def command_help(name: str) -> str:
    """Return what ``requests-tokenrefresh NAME --help`` prints, as a block of text."""
    context = command.make_context(
        "requests-tokenrefresh", [], resilient_parsing=True, terminal_width=_COLUMNS
    )
    part = command.get_command(context, name)
    if part is not None:
        context = part.make_context(name, [], parent=context, resilient_parsing=True)
    return _text_block(context.get_help())


def _text_block(text: str) -> str:
    return f"```text\n{text}\n```"


myst_substitutions = {
    "error_tree": error_tree(),
    "token_states": token_states(),
    "token_rules": token_rules(),
    "rules_of_401": rules_of_401(),
    "challenges": challenges(),
    "command_help": command_help(""),
    **{f"{name}_help": command_help(name) for name in COMMANDS},
}
