"""An application's start and end around its requests: the exit status, the order, and who waits for whom."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clerestory.server.config import Limits
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.nested import run
from clerestory.server.loop.poller import open_poller
from clerestory.server.process.hosting import FAILED, Host
from tests.server.support import RecordingLogs
from tests.support.client import Client
from tests.support.server import ROOT, serving
from tests.support.waiting import eventually

FAILING = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database does not answer"})

async def without_message(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed"})

async def none(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})

async def slow(scope, receive, send):
    import asyncio
    await receive()
    await asyncio.sleep(600)

async def ordered(scope, receive, send):
    import asyncio, sys
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["open"] = [True]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        scope["state"]["open"][0] = False
        print('{"event": "shut down"}', file=sys.stderr, flush=True)
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await asyncio.sleep(0.3)
        await send({"type": "http.response.body", "body": str(scope["state"]["open"][0]).encode()})
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    (tmp_path / "failing_of_tests.py").write_text(FAILING)
    return tmp_path


def ended(modules: Path, attribute: str, *options: str) -> tuple[int, str]:
    """The exit status and what was said, of a server that does not start."""
    words = [f"failing_of_tests:{attribute}", "--app-dir", str(modules), "--port", "0", "--no-xray", *options]
    done = subprocess.run(
        [sys.executable, "-m", "clerestory", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("attribute", "options", "said"),
    [
        ("app", (), "the database does not answer"),
        ("without_message", (), "the application failed to start"),
        ("none", ("--lifespan", "on"), "the application has no lifespan: it raised AssertionError"),
        ("slow", ("--lifespan-startup-timeout", "0.2"), "the application did not start in time"),
    ],
)
def test_an_application_that_does_not_start_ends_the_process_with_3(
    modules: Path, attribute: str, options: tuple[str, ...], said: str
) -> None:
    status, text = ended(modules, attribute, *options)
    assert status == FAILED
    last = json.loads(text.splitlines()[-1])
    assert (last["event"], said in last["reason"]) == ("startup_failed", True)
    assert "listening" not in text
    assert ("Traceback" in text) == (attribute == "none")


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_an_application_without_a_lifespan_is_served(modules: Path, mode: str) -> None:
    options = ("--app-dir", str(modules), "--lifespan", mode, "--no-xray")
    with serving(*options, target="failing_of_tests:none") as server, Client(server.address) as client:
        assert client.get("/").status == 200


def test_shutdown_comes_after_the_last_request(modules: Path) -> None:
    options = ("--app-dir", str(modules), "--no-xray")
    with serving(*options, target="failing_of_tests:ordered") as server, Client(server.address) as client:
        client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        client.take(60)
        server.signal(signal.SIGTERM)
        assert client.answer().body == b"begunTrue"
        assert server.wait() == 0
        names = [event["event"] for event in server.log]
        assert names.index("request") < names.index("shut down") < names.index("stopped")


def test_a_signal_that_comes_while_it_starts_ends_it(modules: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "clerestory", "failing_of_tests:slow", "--app-dir", str(modules), "--no-xray"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    waiting = Path(f"/proc/{process.pid}/status")
    # SigCgt, the signals that are caught: our handler is there before the application is asked to start.
    eventually(lambda: int(waiting.read_text().partition("SigCgt:\t")[2].split()[0], 16) & 1 << signal.SIGTERM - 1)
    process.send_signal(signal.SIGTERM)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 0, text
    assert "listening" not in text


def test_a_router_inside_asyncio_may_await_what_is_asyncios(tmp_path: Path) -> None:
    (tmp_path / "sleeping_of_tests.py").write_text(
        "import asyncio\nfrom clerestory.handlers.api.messages import Response\nfrom clerestory import sleep\n"
        "async def app(request):\n"
        "    if request.path == '/ours':\n        await sleep(0.01)\n        return Response(b'ours')\n"
        "    await asyncio.sleep(0)\n    await asyncio.sleep(0.01)\n"
        "    return Response(await asyncio.to_thread(lambda: b'slept'))\n"
    )
    options = ("--app-dir", str(tmp_path), "--no-xray", "--loop", "asyncio")
    with serving(*options, target="sleeping_of_tests:app") as server, Client(server.address) as client:
        assert client.get("/").body == b"slept"
        assert client.get("/ours").body == b"ours"
    alone = serving("--app-dir", str(tmp_path), "--no-xray", target="sleeping_of_tests:app")
    with alone as server, Client(server.address) as client:
        assert client.get("/ours").body == b"ours"
        assert client.get("/").status == 500


def test_what_tasks_leave_unsaid_is_logged() -> None:
    logs: Any = RecordingLogs(access=False, debug=False)
    loop = Loop(open_poller("auto"), lambda _, error: None)

    async def main() -> int:
        host = Host(lambda request: None, loop, Limits(), logs)
        assert host.hosting is None
        asyncio.get_running_loop().call_exception_handler({"message": "never retrieved", "exception": ValueError("x")})
        return 0

    run(main(), "asyncio")
    loop.close()
    assert logs.take() == ["asyncio_error"]
