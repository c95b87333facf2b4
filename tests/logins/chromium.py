"""A person with a real Chromium, who fills in the forms of servers."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from types import TracebackType

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # it may run as root here
    "--disable-gpu",
    "--disable-dev-shm-usage",
    # Servers' pages load fonts and scripts from elsewhere, which need not be there.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PATIENCE = 30.0  # seconds


def executable() -> str:
    """Return the path of Chromium."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found is not None, "install chromium and chromium-driver"
    return found


def chromium() -> webdriver.Chrome:
    """Start one, to be driven; whoever does that ends it."""
    options = webdriver.ChromeOptions()
    options.binary_location = executable()
    for option in OPTIONS:
        options.add_argument(option)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


class Person:
    """Somebody who fills in forms, on a thread of their own, until the ``with`` block ends.

    Attributes:
        titles: The titles of the pages that they ended at.
        addresses: The addresses that these showed.
    """

    def __init__(self) -> None:
        self._driver: WebDriver = chromium()
        self._threads: list[threading.Thread] = []
        self.titles: list[str] = []
        self.addresses: list[str] = []
        self.problems: list[BaseException] = []

    def __enter__(self) -> Person:  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        self.done()
        self._driver.quit()

    def done(self) -> None:
        """Wait until they have done all that they were asked for."""
        while self._threads:
            self._threads.pop().join(PATIENCE)
        if self.problems:
            raise self.problems[0]

    def will(self, *steps: Callable[[WebDriver], object]) -> Callable[[str], None]:
        """Return a browser for `log_in`: it opens the address, and then does *steps*."""

        def browse(address: str) -> None:
            self._driver.get(address)
            for step in steps:
                step(self._driver)
            self.titles.append(self._driver.title)
            self.addresses.append(self._driver.current_url)

        def browser(address: str) -> None:
            def run() -> None:
                try:
                    browse(address)
                except BaseException as error:
                    self.problems.append(error)

            thread = threading.Thread(target=run)
            self._threads.append(thread)
            thread.start()

        return browser


def fill(**fields: str) -> Callable[[WebDriver], None]:
    """Return a step: fill in the form that has these fields, and send it."""

    def step(driver: WebDriver) -> None:
        for name, value in fields.items():
            WebDriverWait(driver, PATIENCE).until(lambda d, n=name: d.find_elements(By.NAME, n))
            element = driver.find_element(By.NAME, name)
            element.clear()
            element.send_keys(value)
        element.submit()

    return step


def press(name: str) -> Callable[[WebDriver], None]:
    """Return a step: press the button of that name."""

    def step(driver: WebDriver) -> None:
        WebDriverWait(driver, PATIENCE).until(lambda d: d.find_elements(By.NAME, name))
        driver.find_element(By.NAME, name).click()

    return step


def until_title(title: str) -> Callable[[WebDriver], None]:
    """Return a step: wait for the page with *title*."""
    return lambda driver: WebDriverWait(driver, PATIENCE).until(lambda d: d.title == title)
