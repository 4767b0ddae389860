"""The page's lock: a link opens it once, the session is this origin's alone, and without one nothing is shown."""

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, Page, expect

from tests.support.server import TOKEN, ServerProcess
from tests.support.waiting import eventually
from tests.support.xray import address_of, link_to


@pytest.fixture(scope="module")
def server(choices: list[str]) -> Iterator[ServerProcess]:
    shared = ServerProcess(*choices, "--xray", "127.0.0.1:0")
    yield shared
    shared.finish()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that has never been there."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def is_open(page: Page) -> None:
    expect(page.locator("#link[data-link=live]")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_without_a_link_the_page_is_locked_and_says_how_to_get_one(page: Page, server: ServerProcess) -> None:
    page.goto(address_of(server))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("clerestory page")
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    assert str(server.pid) not in page.content()
    dialog.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("too old")
    dialog.get_by_label("Token").fill(f" {TOKEN} ")
    page.keyboard.press("Enter")
    is_open(page)


def test_a_link_opens_the_page_and_leaves_no_secret_in_the_address_or_in_a_cookie(
    page: Page, server: ServerProcess
) -> None:
    """A cookie would be sent to every port of the machine, and an address be kept in the history."""
    link = link_to(address_of(server))
    page.goto(link)
    is_open(page)
    assert page.url == address_of(server)
    assert page.context.cookies() == []
    page.reload()
    is_open(page)
    other = page.context.new_page()
    other.goto(address_of(server))
    is_open(other)


def test_a_link_opens_the_page_once(browser: Browser, page: Page, server: ServerProcess) -> None:
    link = link_to(address_of(server))
    page.goto(link)
    is_open(page)
    context = browser.new_context()
    later = context.new_page()
    later.goto(link)
    expect(later.get_by_role("dialog")).to_contain_text("This key has been used")
    later.goto(link_to(address_of(server)))  # only what follows the # has changed
    is_open(later)
    context.close()


def test_a_used_link_does_not_end_the_session_that_there_is(page: Page, server: ServerProcess) -> None:
    link = link_to(address_of(server))
    for _ in range(2):
        page.goto(link)
        is_open(page)
        eventually(lambda: page.url == address_of(server))
