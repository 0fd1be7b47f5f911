"""The distribution's Chromium, without a window and without a network: for tests and for pictures."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

PROGRAMS = ("chromium", "chromedriver")

_HEIGHT = 900
_NO_NETWORK = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"


def missing() -> list[str]:
    """Return the programs that this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextmanager
def chromium() -> Iterator[Chrome]:
    """Start a browser with a new profile, and end it after the block."""
    browser, driver = (shutil.which(name) for name in PROGRAMS)
    assert browser, "chromium is not on PATH"
    assert driver, "chromedriver is not on PATH"  # without it, selenium would download one
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = browser
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for argument in (
            "headless",
            "disable-background-networking",
            "disable-dev-shm-usage",
            "hide-scrollbars",
            f"host-resolver-rules={_NO_NETWORK}",
            "no-first-run",
            "no-proxy-server",
            f"user-data-dir={profile}",
        ):
            options.add_argument(f"--{argument}")
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium's sandbox refuses to run as root
        opened = Chrome(options, ChromeService(driver))
        try:
            yield opened
        finally:
            opened.quit()


def look(
    opened: Chrome,
    address: str,
    *,
    width: int = 1200,
    height: int = _HEIGHT,
    dark: bool = False,
    printed: bool = False,
) -> None:
    """Open a page.

    Args:
        opened: the browser.
        address: URL of the page.
        width: of the window, in CSS pixels.
        height: of the window.
        dark: True for the dark colour scheme.
        printed: True for the layout on paper.
    """
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    opened.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"media": "print" if printed else "", "features": [scheme]}
    )
    opened.get("about:blank")  # a second look at the same page begins at its top, without focus
    console(opened)
    opened.get(address)


def console(opened: Chrome) -> list[str]:
    """Return the messages in the console since the last call."""
    return [each["message"] for each in opened.get_log("browser")]  # type: ignore[no-untyped-call]
