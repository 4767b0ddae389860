"""Threads of an application, asyncio's and anyio's: they do not hold the exit beyond the grace."""

import signal

import pytest

from tests.support.client import Client, request
from tests.support.server import serving

TARGET = "tests.e2e.hosting.applications.threads_app:app"
GRACES = ("--drain-timeout", "0.2", "--application-leave-timeout", "0.1", "--application-cancel-timeout", "0.5")


@pytest.mark.parametrize("pool", ["asyncio", "anyio"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_function_that_blocks_does_not_hold_the_exit(pool: str, loop: str) -> None:
    pytest.importorskip("anyio")
    pytest.importorskip(loop)
    with serving("--no-xray", "--loop", loop, *GRACES, target=TARGET) as server:
        with Client(server.address, data=request(f"/{pool}/block")) as client:
            client.take(60)
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
        (event,) = server.events("threads_left")
        assert (event["level"], event["count"]) == ("error", 1)
        assert event["at"][0].endswith(" block")


@pytest.mark.parametrize("pool", ["asyncio", "anyio"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_threads_that_rest_are_no_reason_to_wait(pool: str, loop: str) -> None:
    pytest.importorskip("anyio")
    pytest.importorskip(loop)
    with serving("--no-xray", "--loop", loop, target=TARGET) as server:
        with Client(server.address) as client:
            assert client.get(f"/{pool}/quick").body == b"begun"
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.events("threads_left") == []
