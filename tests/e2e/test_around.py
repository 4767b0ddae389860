"""Functions around a router's handlers, over real sockets: what they wait for is in view, and WebSockets pass them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.client import Client
from tests.support.server import ROOT, ServerProcess
from tests.support.waiting import PATIENCE, eventually

APPLICATION = """
import threading

from clerestory import Handle, HTTPError, Request, Response, Router, WebSocket, in_thread

router = Router()
GO = threading.Event()


def find_user(token: str) -> str:
    GO.wait()
    return token.upper()


@router.around
async def known(request: Request, handle: Handle) -> Response:
    token = request.get(b"x-token")
    if token is None:
        raise HTTPError(401, "Who are you?")
    if token != b"quick":
        request.state["user"] = await in_thread(find_user, token.decode())
    return await handle()


@router.get("/orders")
def orders(request: Request) -> dict[str, str]:
    return request.state


@router.get("/go")
def go(request: Request) -> str:
    GO.set()
    return "gone"


@router.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    async for message in socket:
        await socket.send(message)
"""


def test_what_it_waits_for_is_in_the_line_of_the_request(tmp_path: Path) -> None:
    (tmp_path / "guarded.py").write_text(APPLICATION)
    environment = {"PYTHONPATH": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    server = ServerProcess("--xray", f"unix:{tmp_path}/x", target="guarded:router", environment=environment)
    command = [sys.executable, "-m", "clerestory", "ps", "--xray", f"unix:{tmp_path}/x"]

    def printed() -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        return done.stdout if "find_user" in done.stdout else ""

    try:
        with Client(server.address) as client:
            client.send(b"GET /orders HTTP/1.1\r\nhost: h\r\nx-token: ada\r\n\r\n")
            line = next(line for line in eventually(printed).splitlines() if "find_user" in line)
            assert "GET /orders QUERYING_BACKEND" in line
            assert "<- work#" in line
            with Client(server.address) as other:
                assert other.get("/go", "x-token: quick").status == 200
            assert client.answer().body == b'{"user": "ADA"}'
        url = f"ws://127.0.0.1:{server.address[1]}/echo"
        with pytest.raises(InvalidStatus) as refused:
            connect(url)
        assert refused.value.response.status_code == 401
        with connect(url, additional_headers={"x-token": "quick"}) as socket:
            socket.send("hello")
            assert socket.recv(PATIENCE) == "hello"
    finally:
        server.kill()
