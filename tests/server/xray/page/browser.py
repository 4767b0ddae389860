"""A headless Chromium, driven over its DevTools protocol, that reports everything a good page does not do.

Nothing is downloaded: the system's own Chromium is used, and where there is none the tests are skipped.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.support.xray import link_to

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FLAGS = (
    "--no-sandbox",  # for root, as in a container
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-lcd-text",
)

WIDE = (1440, 900)

expect.set_options(timeout=30_000)  # milliseconds, for what must come: on a busy machine it comes late


def chromium() -> str | None:
    """Where Chromium is; $CHROMIUM names another."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    """A browser with a profile of its own, which goes when it is closed."""
    return playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS), headless=True)


def browse() -> Iterator[Browser]:
    """A browser for a module's tests; skips them where there is none.

    No longer than a module: while its driver runs, the main thread has a running asyncio loop, and others want theirs.
    """
    if chromium() is None:
        pytest.skip("there is no Chromium: apt-get install chromium, or name one by $CHROMIUM")
    with sync_playwright() as driver:
        started = launch(driver)
        yield started
        started.close()


class Looked:
    """A page, and what it did that it should not: errors, violations of its policy, requests to elsewhere."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.errors: list[str] = []
        self.abroad: list[str] = []
        self.expected: tuple[str, ...] = ()
        """Beginnings of messages that this test brings about."""
        page.on("console", lambda message: self._note(f"{message.type}: {message.text}", message.type))
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._request(request.url))

    def _note(self, text: str, kind: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)

    def _request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "data" and f"{parts.scheme}://{parts.netloc}/" != self.origin:
            self.abroad.append(url)

    def check(self) -> None:
        """Assert that it was a good page."""
        errors = [error for error in self.errors if not any(word in error for word in self.expected)]
        assert errors == []
        assert self.abroad == []

    # --- what it shows

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def counts(self) -> dict[str, int]:
        """The number in each state of the diagram, final ones left out."""
        found: dict[str, str] = self.page.evaluate(
            "() => Object.fromEntries([...document.querySelectorAll('.state[data-final=false]')]"
            ".map(state => [state.dataset.state, state.querySelector('.count').textContent]))"
        )
        return {state: int(text.replace(",", "") or 0) for state, text in found.items()}

    def lines(self) -> list[str]:
        """The ids of the rows that are there, from the top."""
        found: list[str] = self.page.evaluate(
            "() => [...document.querySelectorAll('.line:not([hidden])')]"
            ".filter(line => line.dataset.kind === 'row')"
            ".sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex'))"
            ".map(line => line.querySelector('.id').textContent)"
        )
        return found

    def column(self, name: str) -> list[str]:
        """The texts of one column, from the top."""
        found: list[str] = self.page.evaluate(
            "name => [...document.querySelectorAll('.line:not([hidden])')]"
            ".filter(line => line.dataset.kind === 'row')"
            ".sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex'))"
            ".map(line => line.querySelector('.' + name).textContent)",
            name,
        )
        return found


@contextmanager
def looking(
    browser: Browser, url: str, size: tuple[int, int] = WIDE, *, address: str = "", **how: Any
) -> Iterator[Looked]:
    """The page at `url`, at whose end it must have been a good one. `address` is what follows the `#`."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **how)
    try:
        looked = Looked(context.new_page(), url)
        looked.page.goto(link_to(url))
        if address:
            looked.page.wait_for_selector("#link[data-link=live]")
            looked.page.goto(f"{url}#{address}")
            looked.page.reload()
        looked.page.wait_for_selector("#link[data-link=live]")
        yield looked
        looked.check()
    finally:
        context.close()


def shoot(looked: Looked, path: Path) -> None:
    """A screenshot; what moves stands still in it."""
    looked.page.screenshot(path=path, animations="disabled")
