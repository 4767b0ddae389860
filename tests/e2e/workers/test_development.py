"""--reload: a save is served, an error is told and waited for, and an open stream holds nothing up."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import Start
from tests.support.client import Client
from tests.support.server import ROOT
from tests.support.waiting import eventually

APPLICATION = """
from clerestory.handlers.api.messages import Response
from clerestory import sleep

async def stream():
    yield b"begun"
    await sleep(3600)

async def app(request):
    return Response(stream()) if request.path == "/stream" else Response(b"{word}")
"""


def body(address: tuple[str, int]) -> bytes:
    with Client(address) as client:
        return client.get("/").body


def test_a_save_is_served_and_an_open_stream_does_not_hold_it_up(start: Start, tmp_path: Path) -> None:
    module = tmp_path / "saved.py"
    module.write_text(APPLICATION.format(word="before"))
    server = start("--reload", "--no-xray", "--app-dir", str(tmp_path), target="saved:app")
    with Client(server.address) as tab:
        tab.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        tab.take(20)
        assert body(server.address) == b"before"
        module.write_text(APPLICATION.format(word="afterwards"))
        server.wait_for("reloaded", patience=60)
        assert body(server.address) == b"afterwards"
        tab.everything()
    assert server.wait_for("source_changed")["path"] == str(module)


def test_a_syntax_error_is_told_and_the_next_save_is_served(start: Start, tmp_path: Path) -> None:
    module = tmp_path / "mistyped.py"
    module.write_text(APPLICATION.format(word="before"))
    server = start("--reload", "--no-xray", "--app-dir", str(tmp_path), target="mistyped:app")
    module.write_text("def app(:\n")
    server.wait_for("reload_failed", patience=60)
    assert "SyntaxError" in "".join(server.noise)
    server.noise.clear()
    assert body(server.address) == b"before"
    module.write_text(APPLICATION.format(word="corrected"))
    server.wait_for("reloaded", patience=60)
    assert body(server.address) == b"corrected"


def test_an_application_that_has_never_started_is_waited_for(tmp_path: Path) -> None:
    module, log = tmp_path / "never_started.py", tmp_path / "log"
    module.write_text("def app(:\n")
    words = ["never_started:app", "--app-dir", str(tmp_path), "--reload", "--no-xray", "--port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "clerestory", *words], cwd=ROOT, stderr=file)
    try:
        eventually(lambda: b"awaiting_change" in log.read_bytes(), 60, "the error")
        assert b"SyntaxError" in log.read_bytes()
        assert b"listening" not in log.read_bytes()
        module.write_text(APPLICATION.format(word="corrected"))
        eventually(lambda: b"listening" in log.read_bytes(), 60, "its start")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
