"""A small service of a router, as a process: its start, its errors before a developer, its background, its stop."""

import signal
from pathlib import Path

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


def test_with_debug_an_error_shows_its_traceback(start: Start, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(APPLICATION)
    server = start("--debug", "--app-dir", str(tmp_path), target="service:router")
    with Client(server.address) as client:
        answer = client.get("/broken")
        assert answer.status == 500
        assert 'raise KeyError("what only a developer sees")' in answer.text


def test_a_directory_without_an_index_says_in_the_log_how_it_is_listed(start: Start, tmp_path: Path) -> None:
    server = start(target=str(tmp_path))
    with Client(server.address) as client:
        assert client.get("/").status == 404
    hint = server.wait_for("request_hint")
    assert hint["hint"] == "the directory has no index.html: --listing shows what is in it"
