"""What an application is told of a connection over TLS."""

import json

import pytest
from websockets.sync.client import connect

from tests.support.certificates import HOST, Authority
from tests.support.client import Client
from tests.support.server import serving
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_request_and_a_websocket_over_tls_say_so(authority: Authority, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    certificate, key = authority.issue()
    options = ("--no-xray", "--loop", loop, "--tls-certificate", certificate, "--tls-key", key)
    trusting = authority.client()
    target = "tests.e2e.hosting.applications.rules:app"
    with serving(*options, target=target, trusting=trusting) as server, Client(server.address) as client:
        scope = json.loads(client.get("/x").body)
    assert scope["scheme"] == "https"
    assert "tls" in scope["extensions"]
    with serving(*options, target="tests.e2e.hosting.applications.websocket_rules:app", trusting=trusting) as server:
        port = server.address[1]
        with connect(f"wss://{HOST}:{port}/scope", ssl=trusting, server_hostname=HOST) as socket:
            told = json.loads(socket.recv(PATIENCE))
    assert told == {"scheme": "wss", "extensions": ["tls", "websocket.http.response"]}
