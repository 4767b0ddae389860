"""Clients that do whatever comes to their mind, many at once: nothing crashes, nothing stays, nobody is wronged.

A seed decides what each does; `CLERESTORY_CHAOS=SECONDS` makes it last longer than it takes to be a test.
"""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.applications import LARGE, pattern
from tests.support.client import Address, Client, CutShort, chunked, request
from tests.support.figures import figure

pytestmark = pytest.mark.usefixtures("within_the_worlds")

SECONDS = float(os.environ.get("CLERESTORY_CHAOS", "4"))
CLIENTS = 12

FILE = pattern(3_000_000)

HONEST: list[tuple[bytes, int, bytes | None]] = [
    (request("/hello"), 200, b"hello\n"),
    (request("/bytes/300000"), 200, pattern(300_000)),
    (request("/sleep/3"), 200, b"slept\n"),
    (request("/stream/sync/30/100"), 200, pattern(100) * 30),
    (request("/stream/async/9/50000"), 200, pattern(50_000) * 9),
    (request("/stream/async-sized/5/1000"), 200, pattern(1000) * 5),
    (request("/file/file"), 200, FILE),
    (request("/echo", method="POST", body=pattern(200_000)), 200, pattern(200_000)),
    (request("/echo", "Transfer-Encoding: chunked", method="POST") + chunked(pattern(9), pattern(LARGE)), 200, None),
    (request("/nothing"), 404, None),
    (request("/raise/value"), 500, None),
    (request("/raise-async/exit"), 500, None),
]
"""Requests with the answer that each must have, unless its client prevents it."""

FAULTY = [
    request("/firehose"),
    request("/raise-during/value"),
    request("/raise-during-async/value"),
    request("/wrong-length/stream-long"),
    request("/wait/never"),
    request("/stream-and-wait/never"),
    request("/unread", "Content-Length: 1000", method="POST") + b"x" * 500,
    request("/read", "Content-Length: 1000", method="POST") + b"x" * 500,
    request("/echo", "Content-Length: 100000", method="POST") + b"x" * 5000,
    request("/read", "Expect: 100-continue", "Content-Length: 5", method="POST"),
    b"GET / HTTP/1.1\r\nHost: a",
    b"no request at all\r\n\r\n",
    b"",
]


def misbehave(address: Address, dice: random.Random) -> None:
    """Send something, perhaps in pieces, perhaps followed by something else; take a bit; leave in some way."""
    raw = dice.choice(FAULTY + [raw for raw, _, _ in HONEST]) + (request("/hello") if dice.random() < 0.3 else b"")
    raw = raw[: dice.randrange(len(raw) + 1)] if dice.random() < 0.5 else raw
    with Client(address, window=dice.choice([None, 4096])) as client:
        cut = dice.randrange(len(raw) + 1)
        for piece in (raw[:cut], raw[cut:]):
            if not client.try_send(piece):
                return
        if dice.random() < 0.3:
            with suppress(OSError):
                client.half_close()
        if dice.random() < 0.5:
            client.socket.settimeout(dice.random() / 50)
            with suppress(OSError):
                client.socket.recv(dice.choice([1, 100, 100_000]))
        if dice.random() < 0.5:
            client.reset()


def be_honest(address: Address, dice: random.Random) -> int:
    """Ask, sometimes for several things at once, and be answered each of them whole."""
    chosen = dice.choices(HONEST, k=dice.randrange(1, 6))
    pipelined = [one for one in chosen if len(one[0]) < 1000] if dice.random() < 0.5 else []
    with Client(address) as client:
        client.send(b"".join(raw for raw, _, _ in pipelined))
        for raw, status, body in pipelined or chosen:
            if not pipelined:
                client.send(raw)
            answer = client.answer()
            assert answer.status == status, raw[:100]
            assert body is None or answer.body == body, raw[:100]
    return len(pipelined or chosen)


def test_chaos_leaves_the_server_whole_and_the_honest_served(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(FILE)
    server = start(
        # An honest client is never silent for so long, even on a machine that has other things to do.
        *("--no-access-log", "--keep-alive-timeout", "3", "--head-timeout", "3", "--body-timeout", "3"),
        *("--backend-timeout", "3", "--send-timeout", "3", "--linger-timeout", "0.5"),
        environment={"E2E_FILES": str(tmp_path)},
    )
    memory = server.memory()
    limit = time.monotonic() + SECONDS
    seeds = count()

    def live(honest: bool) -> int:
        served = 0
        while time.monotonic() < limit:
            dice = random.Random(next(seeds))
            if honest:
                served += be_honest(server.address, dice)
            else:
                with suppress(CutShort, ConnectionError):
                    misbehave(server.address, dice)
                served += 1
                time.sleep(dice.random() / 20)  # or the backlog grows beyond what is ever served
        return served

    with ThreadPoolExecutor(CLIENTS) as threads:
        lives = [threads.submit(live, number % 3 == 0) for number in range(CLIENTS)]
        done = [life.result() for life in lives]
    figure(f"chaos of {SECONDS:g} s: {sum(done[::3])} honest exchanges among {sum(done) - sum(done[::3])} others")
    server.settle()
    assert server.memory() < memory + 32 * 1024 * 1024
    cpu = server.cpu()
    with Client(server.address) as client:
        assert client.get("/sleep/900").status == 200
    assert server.cpu() - cpu < 0.2
