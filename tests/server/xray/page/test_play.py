"""The player of recordings, in a browser: files of the user's are played step by step, and sent nowhere."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")
pytest.importorskip("axe_playwright_python", reason="axe-core comes with axe-playwright-python, of the test extra")

from playwright.sync_api import Browser, Page, expect

from clerestory.server.xray.exports.replay import run
from clerestory.statemachines import upstream
from proof.explorer import Explorer
from proof.recordings import write
from proof.worlds.gateway import gateway
from tests.proof.test_worlds import silent
from tests.server.xray.exports.test_replay import recorded
from tests.server.xray.page.browser import WIDE, looking
from tests.support.client import Client, request
from tests.support.server import ServerProcess
from tests.support.xray import address_of, link_to

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
RULES = {"label-content-name-mismatch": {"enabled": True}, "target-size": {"enabled": True}}
PHONE = (390, 844)


@pytest.fixture(scope="module")
def counter_example(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of a gateway whose connections to the upstream are not given back: a recording of each of two machines."""
    world = gateway(2, 0, 0).with_table(silent(upstream.TABLE, "return_to_pool"))
    fault = Explorer(world).explore(liveness=False).fault
    assert fault is not None
    return write(world, fault, tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def written(counter_example: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that `clerestory replay --page` writes of it."""
    page = tmp_path_factory.mktemp("page") / "page.html"
    assert run(["--page", str(page), *map(str, counter_example)])[0] == 0
    return page


@pytest.fixture
def asked() -> list[str]:
    """What the page has asked for, beside itself."""
    return []


@pytest.fixture
def page(browser: Browser, written: Path, asked: list[str]) -> Iterator[Page]:
    """The page that was written, opened as a file; at its end it must have been a good one."""
    context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]})
    opened = context.new_page()
    errors: list[str] = []
    opened.on("console", lambda message: errors.append(message.text))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("request", lambda made: asked.append(made.url))
    opened.goto(written.as_uri())
    expect(opened.locator(".step")).to_have_count(4)
    yield opened
    assert errors == []
    assert [url for url in asked if url != written.as_uri() and not url.startswith("data:")] == []
    context.close()


def standing(page: Page) -> dict[str, str]:
    """The state that is lit in each machine; empty where none is."""
    found: dict[str, str] = page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('.actor')].map(actor => "
        "[actor.getAttribute('aria-label'), actor.querySelector('.state[data-here]')?.dataset.state ?? '']))"
    )
    return found


def at(page: Page, place: str) -> None:
    expect(page.locator("#place")).to_have_text(place)


def test_a_counter_example_is_stepped_through_by_keys(page: Page) -> None:
    expect(page.locator("#banners")).to_have_text("Counter-example: a connection in the pool has no owner")
    at(page, "0 of 4")
    assert standing(page) == {"c0": "AWAITING_REQUEST", "u": ""}
    page.keyboard.press("ArrowRight")
    at(page, "1 of 4")
    assert standing(page) == {"c0": "QUERYING_BACKEND", "u": ""}
    page.keyboard.press("ArrowRight")
    assert standing(page) == {"c0": "QUERYING_BACKEND", "u": "SENDING_REQUEST"}
    page.keyboard.press("End")
    at(page, "4 of 4")
    assert standing(page) == {"c0": "QUERYING_BACKEND", "u": "IDLE"}
    expect(page.locator("#now")).to_contain_text("ANSWER_ENDED [may_be_pooled] / return_to_pool")
    expect(page.locator(".step[aria-current=step] .way")).to_have_text("AWAITING_RESPONSE → IDLE")
    expect(page.locator(".actor[aria-label=u] .edge[data-pointed]")).to_have_count(1)
    page.keyboard.press("ArrowLeft")
    at(page, "3 of 4")
    assert standing(page)["u"] == "AWAITING_RESPONSE"
    page.keyboard.press("Home")
    at(page, "0 of 4")


def test_it_plays_and_pauses_to_the_end_and_from_the_beginning_again(page: Page) -> None:
    page.locator("#speed").select_option("4")
    page.locator("#stage").focus()
    page.keyboard.press(" ")
    expect(page.locator("#play")).to_have_text("Pause")
    at(page, "4 of 4")
    expect(page.locator("#play")).to_have_text("Play")
    page.locator("#speed").select_option("0.5")
    page.locator("#play").click()
    at(page, "0 of 4")
    page.locator("#play").click()
    expect(page.locator("#play")).to_have_text("Play")


def test_the_slider_a_step_of_the_list_and_a_state_lead_there(page: Page) -> None:
    page.locator("#slider").focus()
    page.keyboard.press("ArrowRight")
    at(page, "1 of 4")
    page.locator("#slider").fill("3")
    at(page, "3 of 4")
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", "3 of 4")
    page.locator(".step").nth(1).click()
    at(page, "2 of 4")
    page.keyboard.press("ArrowDown")
    at(page, "3 of 4")
    expect(page.locator(".step").nth(2)).to_be_focused()
    page.get_by_role("button", name="kept for").click()
    at(page, "4 of 4")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    browser: Browser, written: Path, tmp_path: Path, scheme: Any, size: tuple[int, int]
) -> None:
    """And pictures for people to look at: `--basetemp DIRECTORY` keeps them."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(written.as_uri())
    page.keyboard.press("End")
    at(page, "4 of 4")
    page.evaluate(AXE)
    answer = page.evaluate("rules => axe.run(document, {rules, resultTypes: ['violations']})", RULES)
    found = [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in answer["violations"]
        for node in one["nodes"]
    ]
    assert "\n".join(found) == ""
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    page.screenshot(path=tmp_path / f"play-{scheme}-{size[0]}.png")
    context.close()


# --- the page that a server has sent


@pytest.fixture(scope="module")
def server(choices: list[str]) -> Iterator[ServerProcess]:
    shared = ServerProcess(*choices, "--xray", "127.0.0.1:0")
    yield shared
    shared.finish()


def test_files_that_are_chosen_are_played_and_not_sent(
    browser: Browser, server: ServerProcess, counter_example: list[Path], tmp_path: Path
) -> None:
    with looking(browser, address_of(server)) as looked:
        page, sent = looked.page, []
        page.on("request", lambda made: sent.append((made.method, made.url.removeprefix(looked.origin))))
        page.goto(f"{looked.origin}page/play.html")
        expect(page.locator("#empty")).to_be_visible()
        page.locator("#files").set_input_files(counter_example)
        at(page, "0 of 4")
        assert list(standing(page)) == ["c0", "u"]
        bad = tmp_path / "bad.json"
        bad.write_text('{"format": "cake"}')
        page.locator("#files").set_input_files(bad)
        expect(page.get_by_role("alert")).to_have_text("bad.json is not a recording.")
        one, other = tmp_path / "one.json", tmp_path / "other.json"
        one.write_text(json.dumps(recorded()))
        changed = recorded()
        changed["passages"][1]["trigger"] = "PEER_LEFT"
        other.write_text(json.dumps(changed))
        page.locator("#files").set_input_files([one, other])
        expect(page.locator("#banners")).to_contain_text("is not known")
        expect(page.locator(".step[data-unknown]")).to_contain_text("the table has no such row")
        assert {method for method, _ in sent} == {"GET"}
        assert [url for _, url in sent if "page/" not in url] == ["machines.json"]


def test_a_connection_of_the_server_is_played_from_its_details(browser: Browser, server: ServerProcess) -> None:
    with Client(server.address) as client, looking(browser, address_of(server)) as looked:
        assert client.get("/hello").status == 200
        client.send(request("/wait/a-lock"))
        page = looked.page
        page.get_by_role("textbox", name="Path").fill("/wait/a-lock")
        page.locator(".line[data-kind=row]:not([hidden])").first.click()
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Play").click()
        player = opened.value
        expect(player.locator(".step")).not_to_have_count(0)
        player.keyboard.press("End")
        assert list(standing(player).values()) == ["QUERYING_BACKEND"]


def test_without_a_session_it_says_how_to_get_one(browser: Browser, server: ServerProcess) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address_of(server)}page/play.html")
    expect(page.get_by_role("alert")).to_contain_text("clerestory page")
    page.goto(link_to(address_of(server)))
    expect(page.locator("#link[data-link=live]")).to_be_visible()
    page.goto(f"{address_of(server)}page/play.html")
    expect(page.locator("#empty")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    context.close()
