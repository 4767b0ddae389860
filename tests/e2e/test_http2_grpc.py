"""gRPC to an ASGI application, as its protocol over HTTP/2 has it: messages with their lengths, the status in trailers.

Unary calls, streams one way and both ways, an error, and a call that its client cancels.
"""

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.http2 import Answer, HTTP2Client, head
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

APPLICATION = """
import struct
import sys

HEAD = [(b"content-type", b"application/grpc+proto")]


def framed(message):
    return struct.pack(">BI", 0, len(message)) + message


async def messages(receive):
    buffer, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            print("cancelled", file=sys.stderr)
            return
        buffer, more = buffer + event["body"], event["more_body"]
        while len(buffer) >= 5 and len(buffer) >= 5 + int.from_bytes(buffer[1:5], "big"):
            end = 5 + int.from_bytes(buffer[1:5], "big")
            message, buffer = buffer[5:end], buffer[end:]
            yield message


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    assert "http.response.trailers" in scope["extensions"], scope["extensions"]
    assert (scope["method"], scope["http_version"]) == ("POST", "2")
    method = scope["path"].rpartition("/")[2]
    if method == "Fail":  # a response of trailers only
        await send({"type": "http.response.start", "status": 200, "headers": [*HEAD, (b"grpc-status", b"12")]})
        await send({"type": "http.response.body"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEAD, "trailers": True})
    count = 0
    async for message in messages(receive):
        count += 1
        times = int(message) if method == "Count" else 1
        for number in range(times):
            reply = b"%d" % number if method == "Count" else message[::-1]
            await send({"type": "http.response.body", "body": framed(reply), "more_body": True})
    await send({"type": "http.response.body"})
    fields = [(b"grpc-status", b"0"), (b"grpc-message", b"%d messages" % count)]
    await send({"type": "http.response.trailers", "headers": fields})
"""


def framed(message: bytes) -> bytes:
    return struct.pack(">BI", 0, len(message)) + message


def messages(body: bytes) -> list[bytes]:
    """The whole messages in what has come."""
    found, at = [], 0
    while len(body) >= at + 5:
        end = at + 5 + int.from_bytes(body[at + 1 : at + 5], "big")
        if end > len(body):
            break
        found.append(body[at + 5 : end])
        at = end
    return found


@pytest.fixture
def server(start: Start, tmp_path: Path) -> ServerProcess:
    (tmp_path / "remote.py").write_text(APPLICATION)
    return start("--app-dir", str(tmp_path), "--h2c", "--no-xray", target="remote:app")


@pytest.fixture
def client(server: ServerProcess) -> Iterator[HTTP2Client]:
    with HTTP2Client(server.address) as made:
        yield made


def call(client: HTTP2Client, method: bytes, *sent: bytes, end: bool = True) -> int:
    """Begin a call, with these messages."""
    fields = ((b"content-type", b"application/grpc+proto"), (b"te", b"trailers"), (b"grpc-timeout", b"20S"))
    number = client.open(head(b"POST", b"/pkg.Service/" + method, *fields), end=False)
    client.send(number, b"".join(map(framed, sent)), end=end)
    return number


def test_a_unary_call(client: HTTP2Client) -> None:
    answer = client.whole(call(client, b"Reverse", b"hello"))
    assert (answer.status, answer.get(b"content-type")) == (200, b"application/grpc+proto")
    assert messages(answer.body) == [b"olleh"]
    assert answer.trailers == [(b"grpc-status", b"0"), (b"grpc-message", b"1 messages")]
    assert answer.reset is None


def test_many_calls_at_a_time(client: HTTP2Client) -> None:
    numbers = [call(client, b"Reverse", b"%d" % at) for at in range(50)]
    answers = [client.whole(number) for number in numbers]
    assert [messages(answer.body) for answer in answers] == [[(b"%d" % at)[::-1]] for at in range(50)]
    assert {dict(answer.trailers)[b"grpc-status"] for answer in answers} == {b"0"}


def test_a_stream_of_the_server_s(client: HTTP2Client) -> None:
    answer = client.whole(call(client, b"Count", b"1000"))
    assert messages(answer.body) == [b"%d" % number for number in range(1000)]
    assert answer.trailers[0] == (b"grpc-status", b"0")


def test_a_stream_of_the_client_s(client: HTTP2Client) -> None:
    answer = client.whole(call(client, b"Reverse", *[b"%d" % number for number in range(500)]))
    assert len(messages(answer.body)) == 500
    assert answer.trailers[1] == (b"grpc-message", b"500 messages")


def _has(answer: Answer, count: int) -> bool:
    return len(messages(answer.body)) == count


def test_streams_both_ways_take_turns(client: HTTP2Client) -> None:
    number = call(client, b"Reverse", b"first", end=False)
    answer = client.answer(number)
    for count in range(1, 6):
        client.until(partial(_has, answer, count))
        client.send(number, framed(b"next %d" % count), end=count == 5)
    client.whole(number)
    assert messages(answer.body)[:2] == [b"tsrif", b"1 txen"]
    assert answer.trailers == [(b"grpc-status", b"0"), (b"grpc-message", b"6 messages")]


def test_a_call_that_fails_is_told_in_its_head(client: HTTP2Client) -> None:
    answer = client.whole(call(client, b"Fail", b"x"))
    assert (answer.status, answer.get(b"grpc-status"), answer.body) == (200, b"12", b"")


def test_a_call_that_is_cancelled_ends_for_the_application_and_no_other(
    client: HTTP2Client, server: ServerProcess
) -> None:
    number = call(client, b"Reverse", b"first", end=False)
    client.until(lambda: len(messages(client.answer(number).body)) == 1)
    client.library.reset_stream(number, 8)
    client.flush()
    eventually(lambda: "cancelled\n" in server.noise, what="the application being told")
    server.noise.remove("cancelled\n")
    assert messages(client.whole(call(client, b"Reverse", b"on")).body) == [b"no"]
