"""Opens each page of the built site in a real Chromium: `tox run -e site`.

    python -m tests.documentation.measure_site FOLDER [PICTURES]

At the width of a phone and of a desk, light and dark. PICTURES is a folder to save each in, to be
looked at. The exit code is 1 if anything but code has to be scrolled sideways, and it is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from selenium.webdriver import Chrome

from tests.logins.chromium import chromium

_WIDTHS = (390, 1280)  # pixels
_SCHEMES = ("light", "dark")
_TALLEST = 6000  # pixels of a picture
_TOO_WIDE = """
const page = document.documentElement;
const wide = [...document.querySelectorAll("article *")].filter((element) =>
  element.scrollWidth > element.clientWidth + 1
  && ["auto", "scroll"].includes(getComputedStyle(element).overflowX)
  && !element.closest(".highlight"));
return [
  ...(page.scrollWidth > page.clientWidth ? [`the page: ${page.scrollWidth}`] : []),
  ...wide.map((element) => `${element.className}: ${element.textContent.trim().slice(0, 60)}`),
];
"""


def main(site: Path, pictures: Path | None) -> None:
    """Look at all pages."""
    found: list[str] = []
    with chromium() as browser:
        for page in sorted(site.glob("*.html")):
            for width in _WIDTHS:
                for scheme in _SCHEMES:
                    _show(browser, width, scheme)
                    browser.get(page.resolve().as_uri())
                    found += [
                        f"{page.name} at {width}: {one}"
                        for one in browser.execute_script(_TOO_WIDE)
                    ]
                    if pictures is not None:
                        _take(browser, width, pictures / f"{page.stem}-{width}-{scheme}.png")
    sys.stdout.writelines(f"{line}\n" for line in dict.fromkeys(found))
    sys.exit(bool(found))


def _show(browser: Chrome, width: int, scheme: str, height: int = 900) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    preference = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})


def _take(browser: Chrome, width: int, picture: Path) -> None:
    height = browser.execute_script("return document.documentElement.scrollHeight")
    _show(browser, width, picture.stem.rpartition("-")[2], min(height, _TALLEST))
    picture.parent.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(picture))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
