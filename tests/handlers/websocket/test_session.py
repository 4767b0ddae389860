"""The shell of a WebSocket: its deadlines, its queue, and what it says of itself."""

import asyncio
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from clerestory.handlers.websocket.session import Session
from clerestory.statemachines.checks import methods
from clerestory.statemachines.websocket import TABLE
from clerestory.statemachines.websocket import Trigger as T
from tests.handlers.asgi.websocket.bench import Script, Talk, echo, machines_of, talking


async def deaf(scope: Any, receive: Any, send: Any) -> None:
    """It accepts, and never receives."""
    await receive()
    await send({"type": "websocket.accept"})
    await asyncio.Event().wait()


def pass_time(talk: Talk, seconds: float) -> bool:
    """Whether the session is late when so much time has passed; if so, it is told."""
    loop = talk.bench.loop
    loop.now += seconds
    late = talk.session.is_overdue(loop.now)
    if late:
        loop.fire(talk.session, T.DEADLINE_PASSED)
        talk.turn()
    return late


def test_the_shell_has_every_method_that_the_table_names() -> None:
    assert [name for name in sorted(methods(TABLE)) if not callable(getattr(Session, name, None))] == []


def test_a_ping_is_sent_when_nothing_has_come_and_any_byte_answers_it() -> None:
    with talking(Script()) as talk:
        assert not pass_time(talk, 19.9)
        talk.text("a")
        assert not pass_time(talk, 19.9)
        assert pass_time(talk, 0.2)
        assert (talk.heard(), talk.state) == (["ping"], "AWAITING_PONG")
        talk.raw(Frame(Opcode.BINARY, b"long").serialize(mask=True)[:3])
        assert talk.state == "OPEN"


def test_a_ping_without_an_answer_ends_it() -> None:
    app = Script()
    with talking(app) as talk:
        assert pass_time(talk, 20)
        assert not pass_time(talk, 19.9)
        assert pass_time(talk, 0.2)
        assert talk.heard() == ["ping", (1011, "no answer to a ping")]
        assert (talk.state, talk.near.finished) == ("DISCONNECTING", True)
        assert app.end == (1006, "no answer to a ping")
        assert pass_time(talk, 10)
        assert machines_of(talk.bench, "websocket") == []
        (event,) = [fields for _, name, fields in talk.bench.told if name == "websocket_ended"]
        assert (event["cause"], event["state"], event["code"]) == ("deadline", "AWAITING_PONG", 1006)


def test_a_client_that_reads_nothing_is_cut() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(100_000)})
        await send({"type": "websocket.send", "bytes": bytes(100_000)})

    with talking(app, joined=False) as talk:
        talk.near.room = 10
        talk.join()
        assert talk.state == "AWAITING_ROOM"
        assert not pass_time(talk, 29)
        talk.near.room = 1
        talk.ready(4)
        assert not pass_time(talk, 29)
        assert pass_time(talk, 1.1)
        assert talk.ended == "broken"
        assert machines_of(talk.bench, "websocket") == []


def test_a_full_queue_stops_the_reading_and_taking_starts_it_again() -> None:
    with talking(deaf, websocket_max_queue=3) as talk:
        talk.text("a", "b", "c", "d")
        assert (talk.state, talk.interests[-1], len(talk.session.inbox.queue)) == ("AWAITING_APPLICATION", 0, 3)
        assert talk.session.take() == "a"
        assert talk.state == "AWAITING_APPLICATION"  # what was read has filled it again
        talk.session.take()
        assert (talk.state, talk.interests[-1]) == ("OPEN", 1)


def test_an_application_that_takes_nothing_is_given_up() -> None:
    with talking(deaf, websocket_max_queue=1) as talk:
        talk.text("a", "b")
        assert not pass_time(talk, 299)
        assert pass_time(talk, 2)
        assert talk.heard() == [(1011, "the application does not take its messages")]
        assert talk.interests[-1] == 1  # what still comes is thrown away


def test_an_application_that_takes_slowly_is_not_given_up_although_its_queue_is_filled_again_at_once() -> None:
    with talking(deaf, websocket_max_queue=1) as talk:
        talk.text("a", "b", "c")
        assert not pass_time(talk, 299)
        assert talk.session.take() == "a"
        assert not pass_time(talk, 299)
        assert talk.state == "AWAITING_APPLICATION"
        assert pass_time(talk, 2)


def test_a_close_behind_messages_that_were_not_taken_is_heard_when_they_are() -> None:
    with talking(deaf, websocket_max_queue=2) as talk:
        close = Frame(Opcode.CLOSE, (1000).to_bytes(2, "big"))
        talk.say(Frame(Opcode.TEXT, b"a"), Frame(Opcode.TEXT, b"b"), close)
        assert talk.state == "AWAITING_APPLICATION"
        assert talk.session.take() == "a"
        assert talk.state == "PEER_CLOSING"


def test_what_has_come_may_be_taken_when_the_connection_is_over() -> None:
    go = asyncio.Event()
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await go.wait()
        while not told or told[-1]["type"] != "websocket.disconnect":
            told.append(await receive())

    with talking(app) as talk:
        talk.text("a", "b")
        talk.raw(b"")
        assert talk.state == "UNTAKEN"
        assert [str(run.node.state) for run in machines_of(talk.bench, "application")] == ["CONVERSING"]
        go.set()
        talk.turn()
        assert machines_of(talk.bench, "websocket") == []
    assert [event.get("text", event.get("code")) for event in told] == ["a", "b", 1006]


@pytest.mark.parametrize(("frame", "code"), [(b"\x83\x80abcd", 1002), (b"\x81\x81\x00\x00\x00\x00\xff", 1007)])
def test_a_client_that_breaks_the_protocol_is_told_the_code_and_so_is_the_application(frame: bytes, code: int) -> None:
    app = Script()
    with talking(app) as talk:
        talk.raw(frame)
        ((told, _),) = talk.heard()
        assert (told, talk.state, talk.near.finished) == (code, "DISCONNECTING", True)
        talk.raw(b"whatever" * 1000)
        talk.raw(b"")
        assert talk.ended == "over"
        (event,) = [fields for _, name, fields in talk.bench.told if name == "websocket_ended"]
        assert (event["cause"], event["code"]) == ("client", code)
    assert app.end[0] == code


def test_a_ping_is_answered_though_the_application_does_not_receive() -> None:
    with talking(deaf) as talk:
        talk.say(Frame(Opcode.PING, b"?"))
        assert talk.heard() == ["pong"]


def test_it_says_what_an_operator_asks() -> None:
    with talking(Script(echo)) as talk:
        talk.bench.loop.now += 3
        assert talk.session.describe() == "websocket OPEN 3.0 s"
        talk.near.room = 0
        talk.text("a")
        talk.bench.loop.now += 12
        assert talk.session.describe() == "websocket OPEN 15.0 s, last message 12.0 s ago, 1 unsent"
        assert talk.link.describe().startswith(
            "websocket OPEN 15.0 s, last message 12.0 s ago, 1 unsent <- application"
        )
        facts = talk.session.facts()
        assert (facts[1], facts[5], facts[6].target, facts[9][0]) == ("7-1", 1, "/chat", 20.0)


def test_an_untaken_message_is_said() -> None:
    with talking(deaf) as talk:
        talk.text("a", "b")
        assert talk.session.describe() == "websocket OPEN 0.0 s, last message 0.0 s ago, 2 untaken"


def test_an_operator_may_cut_it() -> None:
    app = Script()
    with talking(app) as talk:
        talk.bench.loop.fire(talk.session, T.CLOSE_ORDERED)
        talk.turn()
        assert machines_of(talk.bench, "websocket") == []
        assert talk.ended == "broken"
    assert app.end == (1006, "")
