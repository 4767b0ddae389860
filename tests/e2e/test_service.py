"""A small service of a router, as a process: its start, its errors before a developer, its background, its stop."""

import json
import signal
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.client import Client

APPLICATION = """
from pathlib import Path

from clerestory import Request, Response, Router, in_background, sleep

router = Router()
NOTES = Path(__file__).with_name("notes")


def note(text: str) -> None:
    with NOTES.open("a") as notes:
        notes.write(text + "\\n")


@router.on_start
async def start() -> None:
    await sleep(0.001)
    note("started")


@router.on_stop
async def stop() -> None:
    await sleep(0.001)
    note("stopped")


@router.get("/order")
async def order(request: Request) -> str:
    await in_background(confirm())
    return "ordered"


async def confirm() -> None:
    await sleep(0.5)
    note("confirmed")


@router.get("/broken")
def broken(request: Request) -> Response:
    raise KeyError("what only a developer sees")
"""


def test_a_service_starts_works_behind_its_answers_and_stops_when_that_is_done(start: Start, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(APPLICATION)
    server = start("--app-dir", str(tmp_path), target="service:router")
    notes = tmp_path / "notes"
    assert notes.read_text() == "started\n"
    with Client(server.address) as client:
        assert client.get("/order").text == "ordered"
        assert notes.read_text() == "started\n"
        assert "only a developer" not in client.get("/broken").text
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert notes.read_text() == "started\nconfirmed\nstopped\n"


@pytest.mark.parametrize("option", ["--debug", "--reload"])
def test_a_developer_is_shown_the_traceback_in_the_browser(start: Start, tmp_path: Path, option: str) -> None:
    (tmp_path / "service.py").write_text(APPLICATION)
    server = start(option, "--app-dir", str(tmp_path), target="service:router")
    with Client(server.address) as client:
        answer = client.get("/broken")
        assert answer.status == 500
        assert 'raise KeyError("what only a developer sees")' in answer.text
        page = client.get("/broken", "Accept: text/html")
        assert page["content-type"] == "text/html; charset=utf-8"
        assert f"{tmp_path / 'service.py'}:" in page.text
        shown = json.loads(client.get("/broken", "Accept: application/json").text)
        assert shown["frames"][0]["file"] == str(tmp_path / "service.py")


@pytest.mark.parametrize("path", ["/broken", "/nothing"])
def test_others_get_a_small_page_or_json_without_a_line_of_the_sources(start: Start, tmp_path: Path, path: str) -> None:
    (tmp_path / "service.py").write_text(APPLICATION)
    server = start("--app-dir", str(tmp_path), target="service:router")
    with Client(server.address) as client:
        page = client.get(path, "Accept: text/html,*/*;q=0.8")
        assert page["content-type"] == "text/html; charset=utf-8"
        assert len(page.text) < 1000
        said = json.loads(client.get(path, "Accept: application/json").text)
        assert set(said) == {"status", "error", "detail", "request_id"}
        assert all("service.py" not in text and "developer" not in text for text in (page.text, str(said)))


def test_a_directory_without_an_index_says_in_the_log_how_it_is_listed(start: Start, tmp_path: Path) -> None:
    server = start(target=str(tmp_path))
    with Client(server.address) as client:
        assert client.get("/").status == 404
    hint = server.wait_for("request_hint")
    assert hint["hint"] == "the directory has no index.html: --listing shows what is in it"
