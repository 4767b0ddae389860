"""The page without a mouse, and for those who have it read out to them."""

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, Route, expect

from tests.server.xray.page.browser import Looked, looking
from tests.server.xray.page.crowd import HEAD, Crowd
from tests.support.client import Client, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def server(choices: list[str]) -> Iterator[ServerProcess]:
    shared = ServerProcess(*choices, "--xray", "127.0.0.1:0", "--head-timeout", "600", "--keep-alive-timeout", "600")
    yield shared
    shared.finish()


@pytest.fixture
def looked(browser: Browser, server: ServerProcess) -> Iterator[Looked]:
    with Crowd(server.address) as crowd, looking(browser, server.wait_for("xray")["url"]) as page:
        crowd.add(60)
        crowd.add(3, HEAD)
        crowd.add(1, request("/wait/keys"))
        expect(page.page.locator("#matched")).to_have_text("64 connections", timeout=20_000)
        yield page


def focused(looked: Looked) -> str:
    """What has the focus: its id, or its name."""
    found: str = looked.page.evaluate("() => document.activeElement.id || document.activeElement.name || ''")
    return found


def active(looked: Looked) -> int:
    """The number of the active row, by what a screen reader is told."""
    found: int = looked.page.evaluate(
        "() => { const id = document.getElementById('grid').getAttribute('aria-activedescendant');"
        " return id ? document.getElementById(id).getAttribute('aria-rowindex') - 1 : 0 }"
    )
    return int(found)


def test_a_stuck_connection_is_found_and_closed_with_keys_alone(looked: Looked) -> None:
    page, press = looked.page, looked.page.keyboard.press
    press("/")
    assert focused(looked) == "path"
    page.keyboard.type("/wait/keys")
    expect(page.locator("#matched")).to_have_text("1 of 64 connections")
    press("Escape")
    assert focused(looked) == "grid"
    press("ArrowDown")
    assert active(looked) == 1
    press("Enter")
    eventually(lambda: focused(looked) == "detail-title")
    expect(page.locator("#detail .why")).to_contain_text("<- gate keys")
    press("Tab")
    press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("Tab")
    press("Enter")
    expect(page.locator("#detail")).to_contain_text("Ended by the operator")
    press("Escape")
    assert focused(looked) == "grid"
    expect(page.locator("#detail")).to_be_hidden()


def test_the_chosen_row_opens_while_another_order_is_still_fetched(looked: Looked) -> None:
    """A filter that was just typed, or an order just chosen, takes no key from who is quicker than the rows."""
    page, press = looked.page, looked.page.keyboard.press
    page.get_by_role("textbox", name="Path").fill("/wait/keys")
    expect(page.locator("#matched")).to_have_text("1 of 64 connections")
    press("Escape")
    press("ArrowDown")
    held: list[Route] = []
    page.route("**/connections.json*", lambda route: held.append(route))
    page.get_by_role("button", name="Id", exact=True).click()
    page.locator("#grid").focus()
    press("Enter")
    expect(page.locator("#detail .why")).to_contain_text("<- gate keys")
    page.unroute("**/connections.json*")
    assert held


def test_enter_where_no_row_is_chosen_changes_nothing(looked: Looked, server: ServerProcess) -> None:
    """Nor does the table stand still after it."""
    looked.page.locator("#grid").focus()
    assert active(looked) == 0
    for key in ("Enter", " ", "ArrowRight", "ArrowLeft"):
        looked.page.keyboard.press(key)
    with Client(server.address):
        expect(looked.page.locator("#matched")).to_have_text("65 connections", timeout=20_000)
    expect(looked.page.locator("#detail")).to_be_hidden()


def test_escape_leaves_a_question_unanswered_and_the_detail_open(looked: Looked) -> None:
    page, press = looked.page, looked.page.keyboard.press
    page.locator("#grid").focus()
    press("ArrowDown")
    press("Enter")
    eventually(lambda: focused(looked) == "detail-title")
    press("Tab")
    press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#detail")).to_be_visible()


def test_the_arrow_keys_go_through_the_table_and_take_it_along(looked: Looked) -> None:
    page, press = looked.page, looked.page.keyboard.press
    page.get_by_role("button", name="Id", exact=True).click()
    page.locator("#grid").focus()
    for key, row in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("ArrowUp", 1), ("End", 64), ("Home", 1)):
        press(key)
        eventually(lambda row=row: active(looked) == row, what=f"row {row} after {key}")  # type: ignore[misc]
    press("End")
    box, line = page.locator("#grid").bounding_box(), page.locator(".line[data-active]").bounding_box()
    assert box is not None
    assert line is not None
    assert box["y"] <= line["y"]
    assert line["y"] + line["height"] <= box["y"] + box["height"] + 1


def test_the_states_of_the_diagram_are_buttons(looked: Looked) -> None:
    page = looked.page
    state = page.locator(".state[data-state=READING_HEAD]")
    state.focus()
    page.keyboard.press("Enter")
    expect(state).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#matched")).to_have_text("3 of 64 connections")
    page.keyboard.press("Space")
    expect(state).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#matched")).to_have_text("64 connections")


def test_tabs_are_gone_through_with_the_arrow_keys(looked: Looked) -> None:
    page = looked.page
    page.locator("#machines [aria-selected=true]").focus()
    page.keyboard.press("End")
    last = page.locator("#machines [role=tab]:visible").last
    expect(last).to_have_attribute("aria-selected", "true")
    expect(last).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#machines [role=tab]").first).to_have_attribute("aria-selected", "true")


def test_every_stop_of_the_tab_key_is_visible_and_named(looked: Looked) -> None:
    page = looked.page
    stops = []
    for _ in range(40):
        page.keyboard.press("Tab")
        stop: dict[str, str] = page.evaluate(
            "() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return {tag: e.tagName, name: e.getAttribute('aria-label') || e.textContent.trim() || (e.labels?.[0]"
            "?.textContent ?? ''), outline: s.outlineStyle + getComputedStyle(e.querySelector('.frame') ?? e)"
            ".strokeWidth } }"
        )
        if stop["tag"] == "BODY":
            break
        stops.append(stop)
    assert len(stops) > 15
    assert [stop for stop in stops if not stop["name"]] == []
    assert [stop for stop in stops if stop["outline"].startswith("none") and not stop["outline"].endswith("4px")] == []


def test_the_page_is_held_still_and_goes_on_with_a_key(looked: Looked, server: ServerProcess) -> None:
    page = looked.page
    page.keyboard.press("p")
    expect(page.locator("#link")).to_have_text("paused")
    before = page.locator("#link").inner_text(), looked.counts()
    with Crowd(server.address) as more:
        more.add(5)
        page.wait_for_timeout(1500)
        assert (page.locator("#link").inner_text(), looked.counts()) == before
        page.keyboard.press("p")
        eventually(lambda: sum(looked.counts().values()) == 69)


def test_the_keys_are_explained(looked: Looked) -> None:
    looked.page.keyboard.press("?")
    expect(looked.page.get_by_role("dialog")).to_contain_text("through the table")
    looked.page.keyboard.press("Escape")
    expect(looked.page.get_by_role("dialog")).to_be_hidden()


def test_the_tree_for_screen_readers_has_the_table_and_its_rows(looked: Looked) -> None:
    page = looked.page
    grid = page.get_by_role("grid", name="Connections")
    expect(grid).to_have_attribute("aria-rowcount", "65")
    expect(grid.get_by_role("columnheader")).not_to_have_count(0)
    expect(grid.get_by_role("row").nth(1)).to_have_attribute("aria-rowindex", "2")
    expect(page.get_by_role("tablist", name="Machines")).to_be_visible()
    expect(page.locator("#live")).to_have_attribute("aria-live", "polite")
