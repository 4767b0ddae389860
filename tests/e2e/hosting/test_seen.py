"""What an operator sees of a request in an application: its state, the application's line, what is awaited there."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Client, request
from tests.support.server import ServerProcess, serving
from tests.support.waiting import eventually

APPLICATION = """
import asyncio, time

lock = None

async def fetch_order():
    await asyncio.sleep(60)

async def reserve():
    global lock
    lock = lock or asyncio.Lock()
    async with lock:
        await fetch_order()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["path"] == "/sleep":
        await fetch_order()
    if scope["path"].startswith("/lock"):
        await reserve()
    if scope["path"] == "/receive":
        await receive()
        await receive()
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await fetch_order()
    if scope["path"].startswith("/block"):
        if scope["path"] == "/block-later":
            await asyncio.sleep(0)
        block()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x"})

def block():
    until = time.monotonic() + 3
    while time.monotonic() < until:
        time.sleep(0.1)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    (tmp_path / "shop_of_tests.py").write_text(APPLICATION)
    options = ("--app-dir", str(tmp_path), "--no-xray", "--loop", "asyncio", "--application-leave-timeout", "0.1")
    with serving(*options, target="shop_of_tests:app") as server:
        yield server


def whys(server: ServerProcess) -> str:
    """What the server says, on SIGUSR1, of everything that it waits for."""
    count = len(server.events("xray_dump"))
    server.signal(signal.SIGUSR1)
    server.wait_for("xray_dump", count + 1)
    return str(server.events("xray_dump")[-1])


S = r"[\d.]+ s"
AT = rf"<- application (RUNNING|PRODUCING) {S} at [^ ]*/shop_of_tests.py:7 fetch_order <- sleep, {S} left"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/sleep", rf"GET /sleep QUERYING_BACKEND {S}.* {AT}"),
        ("/receive", rf"GET /receive QUERYING_BACKEND .* <- application AWAITING_DISCONNECT {S} at [^ ]*:24 app"),
        ("/stream", rf"GET /stream [A-Z_]+ {S}.* {AT}"),
    ],
)
def test_the_line_at_which_an_application_waits_is_named(server: ServerProcess, target: str, said: str) -> None:
    with Client(server.address, data=request(target)):
        eventually(lambda: re.search(said, whys(server)), what=said)


def test_who_waits_for_a_lock_says_so(server: ServerProcess) -> None:
    with Client(server.address, data=request("/lock1")), Client(server.address, data=request("/lock2")):
        eventually(lambda: re.search(r":12 reserve <- Lock, 1 waiting", whys(server)))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("target", ["/block-first", "/block-later"])
def test_a_task_that_does_not_yield_is_named_with_its_request(tmp_path: Path, target: str, loop: str) -> None:
    pytest.importorskip(loop)
    (tmp_path / "shop_of_tests.py").write_text(APPLICATION)
    options = ("--app-dir", str(tmp_path), "--loop", loop, "--xray", "127.0.0.1:0")
    with serving(*options, target="shop_of_tests:app") as server:
        with Client(server.address, data=request(target)) as client:
            told = server.wait_for("loop_blocked")
            assert any("shop_of_tests.py" in line and "block" in line for line in told["stack"]), told
            assert f"GET {target} QUERYING_BACKEND" in told.get("why", ""), told
            assert client.answer().status == 200
        server.wait_for("loop_unblocked")
