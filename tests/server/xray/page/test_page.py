"""The page, in a headless Chromium, of a server under real load."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, of the test extra, drives the browser")

from playwright.sync_api import Browser, expect

from tests.server.xray.page.browser import Looked, looking
from tests.server.xray.page.crowd import BODY, HEAD, IDLE, Asking, Crowd
from tests.support.client import Client, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually
from tests.support.xray import look

PATIENT = [
    word for name in ("keep-alive", "head", "body", "backend", "send") for word in (f"--{name}-timeout", "600")
] + ["--body-min-rate", "0", "--send-min-rate", "0"]
"""No deadline fires while these tests look."""


@pytest.fixture(scope="module")
def server(choices: list[str]) -> Iterator[ServerProcess]:
    """A server with an x-ray on a port of its own."""
    shared = ServerProcess(*choices, "--xray", "127.0.0.1:0", *PATIENT)
    yield shared
    shared.finish()


def xray(server: ServerProcess) -> str:
    """Where its x-ray is."""
    url: str = server.wait_for("xray")["url"]
    return url


def asked(server: ServerProcess, path: str) -> Any:
    """What the x-ray says itself."""
    return look(server, path)


@pytest.fixture
def crowd(server: ServerProcess) -> Iterator[Crowd]:
    """Four that are idle, three amid a head, two amid a body, three that wait for the backend; nobody else."""
    eventually(lambda: asked(server, "snapshot.json")["machines"]["connection"]["total"] == 0)
    with Crowd(server.address) as found:
        found.add(4, IDLE)
        found.add(3, HEAD, "127.0.0.7")
        found.add(2, BODY, "127.0.0.8")
        found.add(3, request("/wait/page?token=hidden", "Cookie: hidden", "User-Agent: a-test"), "127.0.0.9")
        eventually(lambda: asked(server, "snapshot.json")["machines"]["connection"]["total"] == 12)
        yield found


@pytest.fixture
def looked(browser: Browser, server: ServerProcess, crowd: Crowd) -> Iterator[Looked]:
    """The page, and the crowd on it."""
    with looking(browser, xray(server)) as page:
        expect(page.page.locator("#matched")).to_have_text("12 connections")
        yield page


# --- counts


def test_the_counts_of_the_states_are_the_servers_and_add_up(looked: Looked, server: ServerProcess) -> None:
    machine = asked(server, "snapshot.json")["machines"]["connection"]
    states = {state: count for state, count in machine["states"].items() if state != "CLOSED"}
    eventually(lambda: looked.counts() == states)
    assert sum(looked.counts().values()) == machine["total"] == 12
    assert looked.counts()["READING_HEAD"] == 3
    expect(looked.page.locator("[data-kind=connection] .number")).to_have_text("12")
    expect(looked.page.locator("[data-tile=connections]")).to_contain_text("12 of ")


def test_the_counts_move_with_the_connections(looked: Looked, crowd: Crowd) -> None:
    eventually(lambda: looked.counts()["READING_HEAD"] == 3)
    crowd.add(2, HEAD)
    eventually(lambda: looked.counts()["READING_HEAD"] == 5)
    for one in crowd.sockets[:4]:
        one.close()
    eventually(lambda: looked.counts()["AWAITING_REQUEST"] == 0)
    eventually(lambda: sum(looked.counts().values()) == 10)


def test_the_counts_of_every_look_add_up_under_load(looked: Looked, server: ServerProcess) -> None:
    with Asking(server.address, count=20, rate=400), Asking(server.address, "/sleep/20", count=8, rate=50):
        expect(looked.page.locator("[data-kind=connection] .number")).to_have_text("40")
        for _ in range(20):
            total, states = looked.page.evaluate(
                "() => [document.querySelector('[data-kind=connection] .number').textContent,"
                " [...document.querySelectorAll('.state[data-final=false] .count')].map(one => one.textContent)]"
            )
            assert sum(map(int, states)) == int(total)
            time.sleep(0.1)
        # The rates are those of the load: 450 requests a second, each by the two ways of the usual course.
        rate = looked.page.locator(".edge[data-way=HAPPY] .rate").first
        eventually(lambda: re.fullmatch(r"[34]\d\d/s", rate.text_content() or ""))


def test_the_diagram_has_a_text_alternative(looked: Looked) -> None:
    looked.page.get_by_role("button", name="As a list").click()
    row = looked.page.get_by_role("row", name="READING_HEAD", exact=False).first
    expect(row.get_by_role("cell").first).to_have_text("3")
    looked.page.get_by_role("button", name="As a list").click()
    state = looked.page.get_by_role("button", name=re.compile(r"^reading the body, READING_BODY, 2, oldest"))
    expect(state).to_be_visible()


def test_no_time_is_shown_that_the_server_has_not_told(looked: Looked, server: ServerProcess) -> None:
    """A row that counted on by itself would show a connection in a state that it has long left."""
    page = looked.page
    page.route("**/connections.json*", lambda route: route.abort())  # no further look at the rows
    looked.expected = ("ERR_FAILED",)
    eventually(lambda: looked.column("seconds"))
    page.wait_for_timeout(300)  # what was under way has come
    before = looked.column("seconds"), looked.column("deadline")
    page.wait_for_timeout(1500)
    assert (looked.column("seconds"), looked.column("deadline")) == before


@pytest.mark.parametrize(("size", "least"), [((1280, 720), 300), ((1440, 900), 400), ((1920, 1080), 400)])
def test_what_is_waited_for_has_room_at_every_usual_size(
    browser: Browser, server: ServerProcess, crowd: Crowd, size: tuple[int, int], least: int
) -> None:
    """It is what the page is for: more than a third of the table, and in sight beside an open connection."""
    width = "() => document.querySelector('.line[data-kind=row] .why').getBoundingClientRect().width"
    with looking(browser, xray(server), size) as other:
        eventually(lambda: other.column("why"))
        assert other.page.evaluate(width) >= least
        other.page.locator(".line[data-kind=row]:not([hidden])").first.click()
        expect(other.page.locator("#detail .passage").first).to_be_visible()
        assert other.page.evaluate(width) >= 200


# --- one connection


def test_a_stuck_connection_is_found_opened_and_closed(looked: Looked, server: ServerProcess, crowd: Crowd) -> None:
    page = looked.page
    with Client(server.address, data=request("/wait/stuck?card=1234", "Authorization: Basic c2VjcmV0")) as stuck:
        page.locator(".state[data-state=QUERYING_BACKEND]").click()
        expect(page.locator("#matched")).to_have_text("4 of 13 connections")
        page.get_by_role("textbox", name="Path").fill("/wait/stuck")
        expect(page.locator("#matched")).to_have_text("1 of 13 connections")
        page.locator(".line[data-kind=row]").first.click()
        detail = page.locator("#detail")
        expect(detail.locator(".why")).to_contain_text("GET /wait/stuck?... QUERYING_BACKEND")
        expect(detail.locator(".why")).to_contain_text("<- gate stuck")
        expect(detail.locator(".passage").nth(1)).to_contain_text("AWAITING_REQUEST")
        expect(detail.locator(".passage").nth(1)).to_contain_text("HEAD_RECEIVED")
        expect(detail.locator(".fields")).to_contain_text("(redacted)")
        assert "c2VjcmV0" not in page.content()
        assert "1234" not in page.content()
        expect(page.locator(".edge[data-on]")).to_have_count(1)
        expect(page.locator(".state[data-here]")).to_have_attribute("data-state", "QUERYING_BACKEND")
        for name, content in (
            ("Text", "HEAD_RECEIVED"),
            ("Mermaid", "sequenceDiagram"),
            ("Recording", "HEAD_RECEIVED"),
        ):
            with page.expect_download() as started:
                detail.get_by_role("button", name=name, exact=True).click()
            assert content in started.value.path().read_text()

        detail.get_by_role("button", name="Close connection…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Cancel").click()
        assert stuck.is_open()
        detail.get_by_role("button", name="Close connection…").click()
        dialog.get_by_role("button", name="Close it").click()
        assert stuck.end() == "reset"
    expect(detail).to_contain_text("Ended by the operator in QUERYING_BACKEND")
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    page.get_by_role("tab", name="Ended").click()
    expect(page.locator(".ends tbody tr").first).to_contain_text("operator")
    assert server.wait_for("closed_by_operator")["closed"] == 1


def test_of_one_whose_request_has_not_come_whole_it_is_shown_how_it_begins(looked: Looked, crowd: Crowd) -> None:
    page = looked.page
    page.get_by_role("textbox", name="Peer").fill("127.0.0.7")
    expect(page.locator("#matched")).to_have_text("3 of 12 connections")
    page.locator(".line[data-kind=row]").first.click()
    expect(page.locator("#detail .message")).to_have_count(1)
    expect(page.locator("#detail .message")).to_have_attribute("aria-label", "Last received")
    expect(page.locator("#detail .message")).to_contain_text("GET /half HTTP/1.1\nHost: a.example")


def test_those_that_match_a_filter_are_closed_together(looked: Looked, crowd: Crowd) -> None:
    page = looked.page
    page.get_by_role("textbox", name="Peer").fill("127.0.0.7")
    expect(page.locator("#matched")).to_have_text("3 of 12 connections")
    page.get_by_role("button", name="Close these…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Close 3 connections?")
    expect(dialog.get_by_role("listitem")).to_have_count(3)
    dialog.get_by_role("button", name="Close 3 connections").click()
    expect(page.locator("#matched")).to_have_text("0 of 9 connections")
    expect(page.locator(".empty")).to_have_text("No connection matches the filter.")


def test_the_way_of_a_connection_goes_on_while_it_is_open_beside_the_table(
    looked: Looked, server: ServerProcess
) -> None:
    page = looked.page
    with Client(server.address) as client:
        client.get("/hello")
        page.get_by_role("textbox", name="Peer").fill(client.name)
        expect(page.locator("#matched")).to_have_text("1 of 13 connections")
        page.locator(".line[data-kind=row]").first.click()
        expect(page.locator(".passage")).to_have_count(4)
        client.get("/hello")
        expect(page.locator(".passage")).to_have_count(7)
        expect(page.locator(".passage").first).to_contain_text("AWAITING_REQUEST")
        client.close()
        expect(page.locator("#detail .badge")).to_have_text("ended")
        expect(page.locator("#detail .due")).to_contain_text("Ended by the client in AWAITING_REQUEST")


# --- the table


def test_what_can_not_be_a_filter_is_refused_in_words(looked: Looked) -> None:
    looked.expected = ("400",)
    looked.page.get_by_role("textbox", name="Older than").fill("soon")
    expect(looked.page.locator("#refused")).to_have_text("older=soon: write seconds, such as 30, or 5m, or 2h.")
    looked.page.get_by_role("textbox", name="Older than").fill("0.1s")
    expect(looked.page.locator("#refused")).to_be_hidden()


def test_rows_are_grouped_by_peer_and_by_state(looked: Looked) -> None:
    page = looked.page
    page.get_by_role("combobox", name="Group by").select_option("peer")
    groups = page.locator(".line[data-kind=group]:not([hidden])")
    expect(groups).to_have_count(4)
    expect(groups.filter(has_text="127.0.0.7").locator(".state")).to_have_text("3")
    groups.filter(has_text="127.0.0.7").click()
    eventually(lambda: looked.column("code") == ["READING_HEAD"] * 3)
    page.get_by_role("combobox", name="Group by").select_option("state")
    expect(groups).to_have_count(4)
    groups.filter(has_text="READING_BODY").click()
    eventually(lambda: looked.column("code") == ["READING_BODY"] * 2)


def test_the_idle_are_left_out_with_one_choice(looked: Looked) -> None:
    looked.page.get_by_role("combobox", name="State").select_option("any but idle")
    expect(looked.page.locator("#matched")).to_have_text("8 of 12 connections")
    eventually(lambda: len(looked.column("code")) == 8 and "AWAITING_REQUEST" not in looked.column("code"))


def test_rows_are_sorted_by_the_server(looked: Looked) -> None:
    page = looked.page
    page.get_by_role("button", name="Id", exact=True).click()
    eventually(lambda: (ids := list(map(int, looked.lines()))) == sorted(ids) and len(ids) == 12)
    page.get_by_role("button", name="Id", exact=True).click()
    eventually(lambda: (ids := list(map(int, looked.lines()))) == sorted(ids, reverse=True) and len(ids) == 12)
    expect(page.locator("[role=columnheader][data-sort=id]")).to_have_attribute("aria-sort", "descending")


def test_a_view_is_kept_in_the_address(looked: Looked, browser: Browser, server: ServerProcess) -> None:
    looked.page.locator(".state[data-state=READING_HEAD]").click()
    looked.page.get_by_role("textbox", name="Older than").fill("0.1s")
    eventually(lambda: "older" in looked.page.evaluate("() => location.hash"))
    address = looked.page.evaluate("() => location.hash.slice(1)")
    with looking(browser, xray(server), address=address) as other:
        expect(other.page.locator("#matched")).to_have_text("3 of 12 connections")
        expect(other.page.get_by_role("combobox", name="State")).to_have_value("READING_HEAD")


# --- the machines


def test_every_machine_has_its_diagram(looked: Looked, server: ServerProcess) -> None:
    looked.page.get_by_role("button", name="not in use").click()
    for machine in asked(server, "machines.json")["machines"]:
        looked.page.locator(f"#machines [data-kind={machine['name']}]").click()
        states = looked.page.locator("#diagram .state")
        expect(states).to_have_count(len(machine["states"]))
        drawn = {state.get_attribute("data-state") for state in states.all()}
        assert drawn == {state["name"] for state in machine["states"]}
        expect(looked.page.locator("#diagram .edge").first).to_be_attached()
    looked.page.locator("#machines [data-kind=process]").click()
    expect(looked.page.locator("#matched")).to_have_text("1 process machine")
    looked.page.locator(".line[data-kind=row]").first.click()
    expect(looked.page.locator("#detail .why")).to_contain_text("SERVING")
    expect(looked.page.get_by_role("button", name="Close connection…")).to_be_hidden()
