"""HTTP/2 as httpx speaks it, over TLS."""

import asyncio
import os
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conftest import Start
from tests.support.certificates import Authority
from tests.support.server import ServerProcess
from tests.support.xray import look

TARGET = "tests.support.spoken:router"


@pytest.fixture
def server(start: Start, authority: Authority) -> ServerProcess:
    pair = authority.issue()
    options = ("--tls-certificate", pair[0], "--tls-key", pair[1], "--xray", "127.0.0.1:0")
    return start(*options, trusting=authority.client(), target=TARGET)


def test_httpx_asks_many_at_a_time_on_one_connection(server: ServerProcess, authority: Authority) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient(http2=True, verify=authority.client(), base_url=server.url) as client:
            first = await client.get("/squares/0")
            assert first.http_version == "HTTP/2"
            answers = await asyncio.gather(*(client.get(f"/squares/{n}") for n in range(150)))
            assert [int(answer.text) for answer in answers] == [n * n for n in range(150)]
            assert {answer.http_version for answer in answers} == {"HTTP/2"}
            assert look(server, "snapshot.json")["machines"]["h2_connection"]["total"] == 1

    asyncio.run(ask())


def test_httpx_uploads_and_downloads_in_pieces_meanwhile(server: ServerProcess, authority: Authority) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield os.urandom(50_000)

    async def ask() -> None:
        async with httpx.AsyncClient(http2=True, verify=authority.client(), base_url=server.url) as client:
            sent, got = await asyncio.gather(client.post("/length", content=pieces()), client.get("/zeros/2000000"))
            assert (sent.text, len(got.content), sent.http_version) == ("2500000", 2_000_000, "HTTP/2")
            async with client.stream("GET", "/events") as stream:
                lines = [line async for line, _ in zip_async(stream.aiter_lines(), 8)]
            assert "data: 1" in lines
            assert (await client.get("/squares/5")).text == "25", "a stream that was left is no end of its connection"

    asyncio.run(ask())


async def zip_async(lines: AsyncIterator[str], count: int) -> AsyncIterator[tuple[str, int]]:
    """The first `count` of these, numbered."""
    number = 0
    async for line in lines:
        yield line, number
        number += 1
        if number == count:
            return
