"""A browser for the tests of the page, and a server whose x-ray it looks at."""

from collections.abc import Iterator

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from tests.server.xray.page.browser import chromium, launch  # noqa: E402


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, for all tests of the page."""
    if chromium() is None:
        pytest.skip("there is no Chromium: apt-get install chromium, or name one by $CHROMIUM")
    with sync_playwright() as driver:
        started = launch(driver)
        yield started
        started.close()
