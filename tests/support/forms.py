"""Pressing a button on a page, as a browser without scripts does."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin

if TYPE_CHECKING:
    import requests


class Form(HTMLParser):
    """The one form of a page: where it goes, its fields, and its buttons by what is on them."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: list[tuple[str, str]] = []
        self.buttons: dict[str, tuple[str, str]] = {}
        self._button: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert known["method"] == "post"
            self.action = known["action"]
        elif tag == "input":
            self.fields.append((known["name"], known["value"]))
        elif tag == "button":
            self._button = known["name"], known["value"]

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self.buttons[data], self._button = self._button, None


def press(browser: requests.Session, page: requests.Response, button: str) -> requests.Response:
    """Return the answer to the form of *page* that *button* sends, a redirect perhaps."""
    form = Form()
    form.feed(page.text)
    action = urljoin(page.url, form.action)
    fields = [*form.fields, form.buttons[button]]
    return browser.post(action, data=fields, allow_redirects=False, timeout=20)
