"""No answer, and no byte of one, reaches a client that did not ask for it, whatever the upstream sends.

A real proxy stands between 128 clients that keep their connections and an upstream that does everything wrong: it sends
more than it announced, in the same segment, in a later one, behind a multiple of 64 KiB; it answers HEAD with a body;
it answers before it is asked, too late, in parts, not at all; it resets and closes. Every request has a number, every
answer carries the number of its request, and whatever the upstream sends beside the answers is a well-formed answer of
its own, marked as nobody's: a client that takes it for its answer is caught.

One thing cannot be told apart by anybody: bytes that the upstream sends when it already has the next request. So the
upstream sends late bytes only as long as it has nothing to read, looks once more directly after, and excuses the
request that has come in between, and what follows it on that connection (`Upstream.excused`).

Another one is left as a rest: bytes that cross the request in the last moments of its way, where the upstream's
kernel acknowledges the request at once. These are counted, and bounded; of all others there is none.

`CLERESTORY_ANSWERS=500000` makes it as long as one likes.
"""

import asyncio
import fcntl
import os
import random
import re
import struct
import termios
from collections import Counter

import pytest

from tests.conftest import Start
from tests.support.client import RESET_ON_CLOSE
from tests.support.figures import figure
from tests.support.waiting import PATIENCE

ANSWERS = int(os.environ.get("CLERESTORY_ANSWERS", "20000"))
CLIENTS = 128
"""Twice as many as there are connections to the upstream: there is always somebody who waits for one."""

READ = 64 * 1024
"""What the proxy reads at a time: an answer that ends there leaves what is behind it with the kernel."""

SO_LINGER = 13

NOBODYS = b"HTTP/1.1 200 OK\r\nx-number: nobody\r\ncontent-length: 7\r\n\r\nnobody\n"
ALONE = NOBODYS.replace(b"x-number: nobody", b"x-number: alone")
"""The same, sent alone, so that it may cross the next request."""

KINDS = {
    "exact": 40,
    "chunked": 6,
    "parts": 5,
    "slow": 4,
    "surplus": 6,
    "surplus-apart": 6,
    "surplus-64k": 2,
    "surplus-chunked": 4,
    "surplus-late": 6,
    "unasked": 4,
    "rubbish": 2,
    "closes": 3,
    "closes-unsaid": 3,
    "no-answer": 1,
    "resets": 1,
    "reset-inside": 1,
    "head": 4,
    "head-body": 4,
    "head-body-apart": 4,
    "head-body-late": 4,
    "empty-with-body": 2,
    "post": 8,
    "leaves": 2,
}
"""What the upstream does, and how often."""

_request_line = re.compile(rb"([A-Z]+) /([a-z0-9-]+)/(\d+) HTTP/1\.1\r\n").match
_number = re.compile(rb"\r\nx-number: (\w+)\r\n").search
_length = re.compile(rb"\r\ncontent-length: (\d+)\r\n").search


def body_of(number: int, kind: str) -> bytes:
    """The content that answers request `number`, and no other."""
    piece = b"%d;" % number
    if kind == "surplus-64k":
        head = len(head_of(number, READ))
        return (piece * READ)[: READ * (1 + number % 2) - head]
    return piece * (1 + number % 97)


def head_of(number: int, length: int | None, status: bytes = b"200 OK") -> bytes:
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: %07d" % length
    return b"HTTP/1.1 %s\r\nx-number: %d\r\n%s\r\n\r\n" % (status, number, framing)


def chunks(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


class Upstream(asyncio.Protocol):
    """One connection, from the upstream's side."""

    excused: set[int] = set()
    sent = Counter[str]()
    dice = random.Random(7)
    open: set[asyncio.Transport] = set()
    all_closed = asyncio.Event()
    most_asked = 0
    """The most requests that came on one connection."""
    reused = 0
    """How many requests came on a connection that had carried one before."""
    speaks_first = True
    """Whether it now and then sends an answer on a connection that nothing has been asked on yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.open.add(transport)
        self.all_closed.clear()
        self.input = b""
        self.number = self.asked = 0
        self.is_excused = False
        if self.dice.random() < 0.01 and self.speaks_first:
            self.say_unasked("unasked on a new connection", 0)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open.discard(self.transport)
        if not self.open:
            self.all_closed.set()

    def data_received(self, data: bytes) -> None:
        self.input += data
        while (end := self.input.find(b"\r\n\r\n") + 4) > 3:
            line, length = _request_line(self.input), _length(self.input, 0, end)
            assert line is not None, self.input
            end += int(length[1]) if length else 0
            if len(self.input) < end:
                return
            self.input = self.input[end:]
            self.number = int(line[3])
            if self.is_excused:
                self.excused.add(self.number)
            self.answer(line[1], line[2].decode(), self.number)

    def answer(self, method: bytes, kind: str, number: int) -> None:
        write, later = self.transport.write, asyncio.get_running_loop().call_later
        body = body_of(number, kind)
        head = head_of(number, len(body))
        self.sent[kind] += 1
        self.asked += 1
        Upstream.most_asked = max(Upstream.most_asked, self.asked)
        Upstream.reused += self.asked > 1
        if kind in ("exact", "post"):
            write(head + body)
        elif kind == "chunked":
            write(head_of(number, None) + chunks(body))
        elif kind == "parts":
            for delay, piece in enumerate((head[:20], head[20:], body)):
                later(delay / 1000, write, piece)
        elif kind in ("slow", "leaves"):
            later(self.dice.random() / 50, write, head + body)
        elif kind == "rubbish":
            write(head + body + b"\r\n\r\nmore\r\n")
        elif kind.startswith("surplus"):
            self.answer_too_much(kind, head, number, body)
        elif kind == "unasked":
            write(head + body)
            later(self.dice.random() / 500, self.say_unasked, kind, number)
        elif kind.startswith("head"):
            self.answer_head(kind, head, body)
        elif kind == "empty-with-body":
            status = b"304 Not Modified" if number % 2 else b"204 No Content"
            write(head_of(number, len(NOBODYS), status))
            later(self.dice.random() / 500, write, NOBODYS)
        else:
            self.end(kind, head, body)
        assert method in (b"GET", b"HEAD", b"POST")

    def answer_too_much(self, kind: str, head: bytes, number: int, body: bytes) -> None:
        write = self.transport.write
        if kind == "surplus-chunked":
            write(head_of(number, None) + chunks(body) + NOBODYS)
        elif kind == "surplus-apart":
            write(head + body)
            self.say_unasked(kind, number)
        elif kind == "surplus-late":
            write(head + body)
            asyncio.get_running_loop().call_later(self.dice.random() / 500, self.say_unasked, kind, number)
        else:  # more than the kernel takes at a time may go out in parts
            write(head + body + (ALONE if kind == "surplus-64k" else NOBODYS))

    def answer_head(self, kind: str, head: bytes, body: bytes) -> None:
        write = self.transport.write
        if kind == "head-body":
            write(head + NOBODYS)
        elif kind == "head-body-apart":
            write(head)
            write(NOBODYS)
        elif kind == "head-body-late":
            write(head)
            asyncio.get_running_loop().call_later(self.dice.random() / 500, write, NOBODYS)
        else:
            write(head_of(self.number, 0) if self.number % 2 else head)

    def end(self, kind: str, head: bytes, body: bytes) -> None:
        if kind == "reset-inside":
            self.transport.write(head + body[: len(body) // 2])
        elif kind not in ("no-answer", "resets"):
            self.transport.write(head.replace(b"x-number", b"connection: close\r\nx-number") + body
                                 if kind == "closes" else head + body)  # fmt: skip
        if kind.startswith("reset"):
            socket = self.transport.get_extra_info("socket")
            socket.setsockopt(1, SO_LINGER, RESET_ON_CLOSE)
        self.transport.close()

    def say_unasked(self, kind: str, number: int) -> None:
        """Send what nobody has asked for behind the answer to `number`, unless the next request is here."""
        if self.transport.is_closing() or self.number != number or self.input or self.unread():
            return
        self.sent[f"{kind}, on an idle connection"] += 1
        self.transport.write(ALONE)
        self.is_excused = self.unread() > 0  # and all that come after it are answered one too late

    def unread(self) -> int:
        """Bytes that the kernel has and we have not read."""
        socket = self.transport.get_extra_info("socket")
        found: int = struct.unpack("i", fcntl.ioctl(socket.fileno(), termios.FIONREAD, b"\0\0\0\0"))[0]
        return found


class Crowd:
    """The clients, and what they got."""

    def __init__(self, address: tuple[str, int], answers: int) -> None:
        self.address = address
        self.dice = random.Random(11)
        self.numbers = iter(range(1, answers + 1))
        self.got = Counter[str]()
        self.foreign: list[tuple[int, str, bytes]] = []
        self.unlike: list[tuple[int, str, bytes]] = []

    async def live(self) -> None:
        """Ask one thing after the other; come back on a new connection where the last one has ended."""
        while True:
            reader, writer = await asyncio.open_connection(*self.address)
            try:
                for number in self.numbers:
                    if not await self.ask(reader, writer, number):
                        break
                else:
                    return
            except (ConnectionError, asyncio.IncompleteReadError):
                self.got["cut"] += 1
            finally:
                writer.close()

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        """Ask for `number`; whether the connection may be used again."""
        (kind,) = self.dice.choices(list(KINDS), list(KINDS.values()))
        method = b"HEAD" if kind.startswith("head") else b"POST" if kind == "post" else b"GET"
        content = b"content-length: 4\r\n\r\nbody" if kind == "post" else b"\r\n"
        writer.write(b"%s /%s/%d HTTP/1.1\r\nhost: a\r\n%s" % (method, kind.encode(), number, content))
        if kind == "leaves" and self.dice.random() < 0.5:
            await asyncio.sleep(0)
            writer.transport.abort()
            self.got["left"] += 1
            return False
        head = await reader.readuntil(b"\r\n\r\n")
        status, body = int(head[9:12]), b""
        if method != b"HEAD" and status not in (204, 304):
            length = _length(head)
            if length is not None:
                body = await reader.readexactly(int(length[1]))
            else:
                while size := int(await reader.readline(), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readline()
        self.got[str(status)] += 1
        self.judge(number, kind, status, head, body if method != b"HEAD" else None)
        return b"connection: close" not in head

    def judge(self, number: int, kind: str, status: int, head: bytes, body: bytes | None) -> None:
        found = _number(head)
        if found is None:
            if status not in (502, 503, 504):
                self.unlike.append((number, kind, head))
        elif found[1] != b"%d" % number:
            self.foreign.append((number, kind, head))
        elif body is not None and status == 200 and body != body_of(number, kind):
            self.foreign.append((number, kind, body[:100]))

    async def run(self) -> None:
        await asyncio.gather(*(self.live() for _ in range(CLIENTS)))


def crowd_before(start: Start, answers: int, *options: str) -> Crowd:
    """What the clients of a proxy with these options got."""
    Upstream.excused, Upstream.sent, Upstream.all_closed = set(), Counter(), asyncio.Event()
    Upstream.most_asked = Upstream.reused = 0

    async def story() -> Crowd:
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=1024)
        host, port = listener.sockets[0].getsockname()
        server = start("--no-access-log", "--log-level", "error", *options, target=f"http://{host}:{port}")
        crowd = Crowd(server.address, answers)
        await asyncio.wait_for(crowd.run(), PATIENCE + answers / 100)
        listener.close()
        for transport in list(Upstream.open):
            transport.abort()
        await Upstream.all_closed.wait()
        return crowd

    return asyncio.run(story())


def test_where_no_connection_to_the_upstream_is_used_again_there_is_no_foreign_answer(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes on a connection comes for its one request: nothing is excused, and nothing is a rest."""
    monkeypatch.setattr(Upstream, "speaks_first", False)
    crowd = crowd_before(start, ANSWERS // 10, "--upstream-max-requests", "1")
    assert Upstream.most_asked == 1
    assert crowd.foreign == []
    assert crowd.unlike == []
    assert crowd.got["200"] > sum(crowd.got.values()) * 0.8, crowd.got
    assert sum(Upstream.sent[kind] for kind in Upstream.sent if kind.startswith(("surplus", "unasked"))) > 0


@pytest.mark.timeout(120 + ANSWERS / 100)
def test_an_upstream_that_sends_unrequested_data_is_given_no_connection_twice(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found out soon, and what its connections still bring then is for their one request."""
    monkeypatch.setattr(Upstream, "speaks_first", False)
    crowd = crowd_before(start, ANSWERS)
    figure(f"{sum(crowd.got.values())} answers, {Upstream.reused} of them on connections that were used before")
    assert Upstream.reused < ANSWERS // 100, "the first that was not requested has ended it"
    assert [one for one in crowd.foreign if one[0] not in Upstream.excused] == []
    assert crowd.unlike == []
    assert crowd.got["200"] > sum(crowd.got.values()) * 0.8, crowd.got


@pytest.mark.timeout(120 + ANSWERS / 100)
def test_not_one_byte_of_a_foreign_answer_reaches_a_client(start: Start) -> None:
    """An answer goes to the client whose request it answers, or to nobody."""
    crowd = crowd_before(start, ANSWERS, "--upstream-max-unrequested", "0")
    answered = sum(crowd.got.values())
    figure(
        f"{answered} answers: {dict(crowd.got)}; {len(Upstream.excused)} excused; "
        f"the upstream did {dict(Upstream.sent)}"
    )
    stolen = [one for one in crowd.foreign if one[0] not in Upstream.excused]
    crossed = [one for one in stolen if b"x-number: alone" in one[2]]
    figure(f"{len(crossed)} answers crossed their request between the look and the sending, and were taken for theirs")
    assert len(crossed) == len(stolen), f"{len(stolen)} of {answered} answers were somebody else's"
    assert len(crossed) <= 1 + answered // 50_000
    assert crowd.unlike == []
    assert crowd.got["200"] > answered * 0.8, crowd.got
    assert len(Upstream.excused) < answered / 100
