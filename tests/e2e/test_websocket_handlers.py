"""WebSockets of a router's handlers over real sockets: on our own loop, and beside an ASGI application on asyncio's.

The library `websockets` is at the client's end; what a library would not do, is done by hand.
"""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection

from tests.e2e.hosting.test_websocket_rules import UPGRADE, Raw, closing, dial
from tests.support.client import Client, request
from tests.support.server import ServerProcess, serving
from tests.support.waiting import PATIENCE, eventually

TARGET = "tests.support.sockets:router"
HOSTED = "tests.e2e.hosting.applications.websocket_rules:app"


@pytest.fixture(scope="module", params=["our own loop", "beside an application"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[ServerProcess, str]]:
    """A server, and the prefix that the handlers have there."""
    if request.param == "our own loop":
        with serving("--no-xray", target=TARGET) as server:
            yield server, ""
    else:
        with serving("--no-xray", "--mount", f"/own={TARGET}", target=HOSTED) as server:
            yield server, "own/"


def seen(server: ServerProcess, name: str, prefix: str = "") -> Any:
    with Client(server.address) as client:
        return json.loads(client.get(f"/{prefix}seen").body).get(name)


def refused(server: ServerProcess, name: str) -> tuple[int, bytes]:
    with pytest.raises(InvalidStatus) as error:
        dial(server, name)
    return error.value.response.status_code, bytes(error.value.response.body or b"")


def test_messages_come_back_as_they_were_sent(served: tuple[ServerProcess, str]) -> None:
    server, prefix = served
    with dial(server, f"{prefix}echo") as connection:
        for message in ("", "grüße", b"", b"\x00\xff", "x" * 70_000, os.urandom(2_000_000)):
            connection.send(message)
            assert connection.recv(PATIENCE) == message
        connection.close(4123, "my reason")
    eventually(lambda: [4123, "my reason"] in (seen(server, "echo", prefix) or []))


def test_a_route_has_parameters_and_chooses_a_subprotocol(served: tuple[ServerProcess, str]) -> None:
    server, prefix = served
    with dial(server, f"{prefix}rooms/7?name=Ada", subprotocols=["x", "chat"]) as connection:
        assert connection.subprotocol == "chat"
        assert connection.response is not None
        assert connection.response.headers["x-room"] == "7"
        assert json.loads(connection.recv(PATIENCE)) == {"room": 7, "name": "Ada"}
        assert connection.recv(PATIENCE) == b"\x00"
        assert closing(connection) == (4001, "enough")


@pytest.mark.parametrize(
    ("name", "status", "part"),
    [
        ("deny", 418, b"because"),
        ("forbid", 401, b"Who are you?"),
        ("returns", 403, b""),
        ("raises", 500, b""),
        ("rooms/x", 404, b""),
    ],
)
def test_a_handler_refuses_with_what_it_returns_or_raises(
    served: tuple[ServerProcess, str], name: str, status: int, part: bytes
) -> None:
    server, prefix = served
    found, body = refused(server, prefix + name)
    assert found == status
    assert part in body


def test_who_asks_for_no_websocket_is_told_of_it(served: tuple[ServerProcess, str]) -> None:
    server, prefix = served
    with Client(server.address) as client:
        answer = client.get(f"/{prefix}echo")
        assert (answer.status, answer["upgrade"]) == (426, "websocket")
        client.send(request(f"/{prefix}echo", *UPGRADE[:2], UPGRADE[3]))
        assert client.answer().status == 400


def test_an_end_that_is_the_handlers_fault_is_1011_and_logged(served: tuple[ServerProcess, str]) -> None:
    server, prefix = served
    with dial(server, f"{prefix}breaks") as connection:
        connection.send("go")
        assert closing(connection) == (1011, "")
    event = server.wait_for("handler_failed", target="/breaks")
    assert "LookupError: after" in str(event)


def test_what_is_no_json_is_closed_with_1007_and_no_fault(served: tuple[ServerProcess, str]) -> None:
    server, prefix = served
    with dial(server, f"{prefix}json") as connection:
        connection.send("[1, 2]")
        assert json.loads(connection.recv(PATIENCE)) == {"sum": 3}
        connection.send("[1,")
        assert closing(connection) == (1007, "the message is not JSON")


def test_a_receive_may_be_waited_for_with_a_limit(served: tuple[ServerProcess, str]) -> None:
    server, prefix = served
    with dial(server, f"{prefix}ticks") as connection:
        assert connection.recv(PATIENCE) == "tick"
        connection.send("a message")
        while (message := connection.recv(PATIENCE)) == "tick":
            pass
        assert message == "a message"


@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_client_that_is_gone_without_a_close_is_1006(served: tuple[ServerProcess, str], way: str) -> None:
    server, prefix = served
    before = (seen(server, "echo", prefix) or []).count([1006, ""])
    with Raw(server, f"{prefix}echo") as raw:
        if way == "reset":
            raw.reset()
    eventually(lambda: (seen(server, "echo", prefix) or []).count([1006, ""]) > before)


def test_a_slow_reader_holds_its_handler_and_nothing_else(served: tuple[ServerProcess, str]) -> None:
    server, prefix = served
    with Raw(server, f"{prefix}floods") as raw:

        def stands() -> bool:
            before = seen(server, "floods", prefix)
            return before is not None and seen(server, "floods", prefix) == before

        eventually(stands, what="send() waits")
        before = seen(server, "floods", prefix)[0]
        assert before < 10_000
        for _ in range(1000):
            raw.frame()
        eventually(lambda: seen(server, "floods", prefix)[0] > before, what="it continues")
        raw.reset()
    eventually(lambda: seen(server, "floods ended", prefix), what="send() raises")


# --- limits and deadlines


def test_a_message_that_is_too_large_is_1009_and_the_largest_passes() -> None:
    options = ("--no-xray", "--websocket-max-message", "1000")
    with serving(*options, target=TARGET) as server, dial(server, "echo") as connection:
        connection.send(bytes(1000))
        assert connection.recv(PATIENCE) == bytes(1000)
        connection.send(bytes(1001))
        assert closing(connection)[0] == 1009


def test_a_reader_that_takes_nothing_is_cut() -> None:
    with serving("--no-xray", "--websocket-send-timeout", "0.3", target=TARGET) as server, Raw(server, "floods"):
        server.wait_for("websocket_ended", cause="deadline", state="AWAITING_ROOM", target="/floods")
        eventually(lambda: seen(server, "floods ended"), what="send() raises")


def test_a_handler_that_takes_nothing_is_given_up_with_its_client_told() -> None:
    options = ("--websocket-take-timeout", "0.3", "--websocket-max-queue", "1", "--application-leave-timeout", "0.3")
    with serving("--no-xray", *options, target=TARGET) as server, dial(server, "deaf") as connection:
        connection.send("a")
        connection.send("b")
        assert closing(connection) == (1011, "the application does not take its messages")
        eventually(lambda: seen(server, "deaf ended"), what="its finally has run")


def test_the_silent_are_asked_and_those_that_do_not_answer_are_closed() -> None:
    options = ("--no-xray", "--websocket-ping-interval", "0.3", "--websocket-pong-timeout", "0.5")
    with serving(*options, target=TARGET) as server, dial(server, "echo", ping_interval=None) as answers:
        with Raw(server, "echo") as silent:
            assert silent.frame() == (0x89, b"")
            assert silent.frame() == (0x88, b"\x03\xf3no answer to a ping")
        answers.send("the other has answered")
        assert answers.recv(PATIENCE) == "the other has answered"


def test_a_handler_that_does_not_accept_in_time_is_504() -> None:
    with serving("--no-xray", "--backend-timeout", "0.3", target=TARGET) as server:
        assert refused(server, "slow")[0] == 504


def test_a_client_that_leaves_ends_a_handler_that_only_waits() -> None:
    with serving("--no-xray", "--application-leave-timeout", "0.3", target=TARGET) as server:
        with dial(server, "deaf"):
            pass
        eventually(lambda: seen(server, "deaf ended"), what="it was given up")


# --- the end of the server


@pytest.mark.parametrize("name", ["echo", "deaf"])
@pytest.mark.parametrize("mounted", [False, True], ids=["our own loop", "beside an application"])
def test_a_drain_closes_websockets_with_1012(name: str, mounted: bool) -> None:
    options = ["--no-xray", "--drain-timeout", "4", "--last-request-timeout", "0.1", "--application-leave-timeout", "1"]
    how = [*options, "--mount", f"/own={TARGET}"] if mounted else options
    target = f"own/{name}" if mounted else name
    with serving(*how, target=HOSTED if mounted else TARGET) as server, dial(server, target) as connection:
        server.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosedError) as ended:
            connection.recv(PATIENCE)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1012
        assert server.wait() == 0


# --- seen


def answered(connection: ClientConnection) -> None:
    connection.send("a")
    try:
        assert connection.recv(PATIENCE) == "a"
    except ConnectionClosed as error:
        raise AssertionError("it is open") from error


def test_a_websocket_is_seen_from_its_connection_to_what_the_handler_awaits() -> None:
    with serving("--no-xray", target=TARGET) as server, dial(server, "echo") as connection:
        answered(connection)
        server.signal(signal.SIGUSR1)
        server.wait_for("xray_dump")
        said = str(server.events("xray_dump")[-1])
        assert re.search(
            r"/echo TUNNELLING .* <- websocket OPEN [0-9.]+ s, last message [0-9.]+ s ago <- task#[0-9]+ "
            r"AWAITING_OPERATION echo [0-9.]+ s <- receive",
            said,
        ), said


def test_asyncio_is_not_needed() -> None:
    """On our own loop no event loop of asyncio's is made: each would have an epoll of its own."""
    with serving("--no-xray", target=TARGET) as server, dial(server, "echo") as connection:
        answered(connection)
        folder = Path(f"/proc/{server.process.pid}/fd")
        links = [os.readlink(folder / one) for one in os.listdir(folder)]
        assert links.count("anon_inode:[eventpoll]") == 1
