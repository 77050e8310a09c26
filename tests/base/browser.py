"""Headless Chromium, Debian's, driven by playwright; screenshots go to $SCREENSHOTS, or to the test's folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Seen:
    """What a page asked for and said while it was open."""

    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)  # of the console: errors and warnings


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of the system; none is downloaded."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "the browser tests need Chromium: apt-get install chromium"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


def opened(browser: Browser, **look: object) -> tuple[Page, Seen]:
    """A new page that notes what happens in it."""
    page, seen = browser.new_context(**look).new_page(), Seen()  # type: ignore[arg-type]
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("pageerror", lambda error: seen.messages.append(str(error)))
    page.on("console", lambda said: seen.messages.append(said.text) if said.type in ("error", "warning") else None)
    return page, seen


def picture(page: Page, folder: Path, name: str) -> None:
    """Keep a screenshot for a person to look at."""
    place = Path(os.environ.get("SCREENSHOTS") or folder)
    place.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=place / f"{name}.png", full_page=True)
