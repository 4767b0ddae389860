"""axe-core looks at every view of the page, light and dark, in a wide window and on a phone, and finds nothing.

Its rules are those of WCAG 2.2 AA and best practice, and two that are off by default: an accessible name begins with
what is seen, and what is pressed is large enough for a finger.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from importlib.resources import files
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")
pytest.importorskip("axe_playwright_python", reason="axe-core comes with axe-playwright-python, of the test extra")

from playwright.sync_api import Browser, expect

from tests.server.xray.page.browser import WIDE, Looked, looking
from tests.server.xray.page.crowd import Asking
from tests.server.xray.page.mixture import mixed
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
PHONE = (390, 844)
RULES = {"label-content-name-mismatch": {"enabled": True}, "target-size": {"enabled": True}}


@pytest.fixture(scope="module")
def server(choices: list[str]) -> Iterator[ServerProcess]:
    with ExitStack() as stack:
        server = stack.enter_context(mixed(choices))
        stack.enter_context(Asking(server.address, count=6, rate=40))
        stack.enter_context(Asking(server.address, "/sleep/120", count=4, rate=10))
        yield server


@pytest.fixture(params=[(WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark")], ids=str)
def looked(request: pytest.FixtureRequest, browser: Browser, server: ServerProcess) -> Iterator[Looked]:
    size, scheme = request.param
    how: dict[str, Any] = {"color_scheme": scheme, "reduced_motion": "reduce"}
    with looking(browser, server.wait_for("xray")["url"], size, **how) as page:
        eventually(lambda: len(page.lines()) > 5)
        page.page.evaluate(AXE)
        yield page


def findings(looked: Looked, view: str) -> list[str]:
    """What axe finds: the view, the rule, where, and why."""
    answer = looked.page.evaluate("rules => axe.run(document, {rules, resultTypes: ['violations']})", RULES)
    return [
        f"{view}: {one['id']}: {node['target']} {node['failureSummary']}"
        for one in answer["violations"]
        for node in one["nodes"]
    ]


def test_axe_finds_nothing_in_any_view(looked: Looked) -> None:
    page = looked.page
    found = findings(looked, "open")
    for tab in page.locator("#machines [role=tab]:visible").all():
        tab.click()
        found += findings(looked, tab.get_attribute("data-kind") or "")
    page.locator("#machines [data-kind=connection]").click()
    if page.locator("#listed").is_visible():
        page.locator("#listed").click()
        found += findings(looked, "as a list")
        page.locator("#listed").click()
    page.get_by_role("combobox", name="Group by").select_option("state")
    expect(page.locator(".line[data-kind=group]:not([hidden])")).not_to_have_count(0)
    found += findings(looked, "groups")
    page.get_by_role("combobox", name="Group by").select_option("")
    page.get_by_role("textbox", name="Path").fill("/wait")
    expect(page.locator("#matched")).to_contain_text("7 of ")
    page.locator(".line[data-kind=row]:not([hidden])").first.click()
    expect(page.locator("#detail .passage").first).to_be_visible()
    found += findings(looked, "detail")
    page.get_by_role("button", name="Close connection…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found += findings(looked, "question")
    page.keyboard.press("Escape")
    page.locator("#detail .dismiss").click()
    page.locator("#tab-ended").click()
    expect(page.locator(".ends")).to_have_count(2)
    found += findings(looked, "ended")
    page.locator("#tab-waits").click()
    page.locator("#waits tbody button").first.click()
    page.locator(".example").first.click()
    expect(page.locator("#waits .one .passage").first).to_be_visible()
    found += findings(looked, "waits")
    page.locator("#help").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found += findings(looked, "keys")
    assert "\n".join(found) == ""
