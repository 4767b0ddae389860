"""The application's side of a WebSocket: what it receives, what it may send, and what it is told when it is wrong."""

import asyncio
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from clerestory.handlers.asgi.answering import Answering
from clerestory.handlers.asgi.errors import ClientDisconnected, EventError
from tests.handlers.asgi.websocket.bench import Script, Talk, echo, machines_of, talking

CLOSE = Frame(Opcode.CLOSE, b"\x0f\xa0bye")


# --- before the accept


def test_an_application_is_told_connect_first_and_accepts() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], scope["scheme"], scope["subprotocols"], scope["extensions"], "method" in scope))
        seen.append(await receive())
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-a", b"1")]})
        seen.append(await receive())

    with talking(app, (b"sec-websocket-protocol", b"a, b"), joined=False) as talk:
        assert talk.answer.status == 101
        assert dict(talk.answer.fields)[b"sec-websocket-protocol"] == b"b"
        assert dict(talk.answer.fields)[b"x-a"] == b"1"
        assert talk.state == "OPENING"
        talk.join().text("hello")
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    assert seen == [
        ("websocket", "ws", ["a", "b"], extensions, False),
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "hello", "bytes": None},
    ]


def test_a_close_before_the_accept_is_403() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})

    with talking(app, joined=False) as talk:
        assert (talk.answer.status, talk.answer.body) == (403, b"")
        assert machines_of(talk.bench, "websocket") == []


def test_a_denial_is_sent_as_it_was_given() -> None:
    """uvicorn#667, #3041: nothing is added to it, and nothing doubled."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        fields = [(b"x-a", b"1"), (b"content-length", b"5")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": fields})
        await send({"type": "websocket.http.response.body", "body": b"hel", "more_body": True})
        await asyncio.sleep(0)
        await send({"type": "websocket.http.response.body", "body": b"lo"})

    with talking(app, joined=False) as talk:
        carrier = talk.carrier
        assert (talk.answer.status, talk.answer.fields) == (401, ((b"x-a", b"1"), (b"content-length", b"5")))
        assert isinstance(talk.answer.body, Answering)
        while not carrier.ended:
            carrier.step()
        assert b"".join(carrier.pieces) == b"hello"


@pytest.mark.parametrize("fails", [False, True])
def test_an_application_that_ends_before_the_accept_is_at_fault(fails: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if fails:
            raise ValueError("own fault")

    with talking(app, joined=False) as talk:
        assert isinstance(talk.carrier.error, ValueError if fails else EventError)


def test_a_client_that_leaves_before_the_accept_is_a_disconnect() -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append(await receive())
        told.append(await receive())
        with pytest.raises(ClientDisconnected):
            await send({"type": "websocket.accept"})

    with talking(app, joined=False) as talk:
        talk.carrier.steps.close()
        talk.turn()
        assert talk.bench.events() == []
    assert told[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "websocket.send", "text": "a"}],
        [{"type": "http.response.start", "status": 200}],
        [{"type": "websocket.accept", "subprotocol": "never offered"}],
        [{"type": "websocket.http.response.start", "status": 400}, {"type": "websocket.accept"}],
        [{"type": "websocket.accept"}, {"type": "websocket.accept"}],
        [{"type": "websocket.accept"}, {"type": "websocket.http.response.start", "status": 400}],
        [{"type": "websocket.accept"}, {"type": "websocket.send"}],
        [{"type": "websocket.accept"}, {"type": "websocket.close"}, {"type": "websocket.send", "text": "a"}],
        [{"type": "websocket.accept"}, {"type": "websocket.close"}, {"type": "websocket.close"}],
    ],
)
def test_the_last_event_is_out_of_place_and_raises(events: list[dict[str, Any]]) -> None:
    failed: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        *before, last = events
        for event in before:
            await send(event)
        try:
            await send(last)
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            failed.append(error)

    with talking(app, joined=False):
        pass
    assert [type(error) for error in failed] == [EventError]


# --- messages


def test_messages_come_and_go_in_order() -> None:
    with talking(Script(echo)) as talk:
        talk.text("one", "two")
        talk.say(Frame(Opcode.BINARY, b"three"))
        assert talk.heard() == ["one", "two", b"three"]


def test_what_comes_before_the_101_has_been_sent_is_not_lost() -> None:
    app = Script(echo)
    with talking(app, joined=False) as talk:
        talk.join(Frame(Opcode.TEXT, b"early").serialize(mask=True))
        assert (app.texts, talk.heard()) == (["early"], ["early"])


def test_what_is_sent_before_the_101_goes_behind_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "first"})
        await receive()

    with talking(app, joined=False) as talk:
        assert talk.near.output == b""
        assert talk.join().heard() == ["first"]


def test_of_several_that_receive_one_may_be_cancelled() -> None:
    """asyncio.wait_for around receive() is common: it takes nothing from the others."""
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        gives_up, stays = asyncio.ensure_future(receive()), asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        gives_up.cancel()
        got.append(await stays)

    with talking(app) as talk:
        talk.text("a")
    assert [event["text"] for event in got] == ["a"]


# --- the end


def test_the_clients_close_is_told_with_its_code_behind_its_messages_and_always() -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        told.extend([await receive() for _ in range(4)])

    with talking(app) as talk:
        talk.say(Frame(Opcode.TEXT, b"last"), CLOSE)
        assert talk.heard() == [(4000, "bye")]
        assert talk.near.finished
    assert told[0]["text"] == "last"
    assert told[1:] == [{"type": "websocket.disconnect", "code": 4000, "reason": "bye"}] * 3


@pytest.mark.parametrize(("frame", "code"), [(Frame(Opcode.CLOSE, b""), 1005), (None, 1006)])
def test_without_a_code_it_is_1005_and_without_a_close_1006(frame: Frame | None, code: int) -> None:
    app = Script()
    with talking(app) as talk:
        talk.raw(frame.serialize(mask=True) if frame is not None else b"")
    assert app.end == (code, "")


@pytest.mark.parametrize(("fails", "code"), [(False, 1000), (True, 1011)])
def test_an_application_that_ends_closes(fails: bool, code: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if fails:
            raise ValueError("own fault")

    with talking(app, joined=False) as talk:
        assert talk.join().heard() == [(code, "")]
        assert talk.state == "CLOSING"
        assert talk.bench.events() == ["application_failed"] * fails


def test_an_application_closes_with_its_code_and_goes_on() -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
        told.append(await receive())
        await asyncio.Event().wait()

    with talking(app) as talk:
        assert talk.heard() == [(4001, "enough")]
        assert told == [{"type": "websocket.disconnect", "code": 4001, "reason": "enough"}]
        talk.say(Frame(Opcode.CLOSE, b"\x0f\xa1"))
        assert (talk.state, talk.near.finished) == ("DISCONNECTING", True)
        talk.raw(b"")
        assert talk.ended == "over"
        assert [str(run.node.state) for run in machines_of(talk.bench, "application")] == ["RUNNING_ON"]


def test_sending_to_a_client_that_has_gone_raises_and_is_no_fault_of_the_application() -> None:
    go = asyncio.Event()
    errors: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await go.wait()
        try:
            await send({"type": "websocket.send", "text": "too late"})
        except OSError as error:
            errors.append(error)
            raise

    with talking(app) as talk:
        talk.say(CLOSE)
        go.set()
        talk.turn()
        assert [type(error) for error in errors] == [ClientDisconnected]
        assert talk.bench.events() == []


def test_when_the_server_ends_the_client_and_the_application_are_told_1012() -> None:
    app = Script()
    with talking(app) as talk:
        talk.bench.hosting.drain()
        talk.turn()
        assert talk.heard() == [(1012, "")]
        assert talk.state == "CLOSING"
    assert app.end == (1012, "")


def test_what_does_not_end_behind_its_websocket_is_cancelled_after_its_grace() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    with talking(app) as talk:
        (run,) = machines_of(talk.bench, "application")
        talk.raw(b"")
        assert str(run.node.state) == "LEAVING"
        talk.bench.loop.fire(run, run.engine.table.triggers["DEADLINE_PASSED"])
        talk.turn()
        assert str(run.node.state) == "DONE"
        assert talk.bench.events() == ["application_cancelled"]


def _is_silent(talk: Talk) -> bool:
    return talk.heard() == []


def test_a_slow_reader_makes_send_wait_and_its_end_lets_it_go() -> None:
    errors: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            for _ in range(100):
                await send({"type": "websocket.send", "bytes": bytes(100)})
        except OSError as error:
            errors.append(error)

    with talking(app, joined=False, websocket_max_unsent=1000) as talk:
        talk.near.room = 0
        talk.join()
        assert talk.state == "AWAITING_ROOM"
        assert talk.session.sent == 10
        talk.near.room = 500
        talk.ready(4)
        talk.turn()
        assert (talk.state, talk.session.sent > 10) == ("AWAITING_ROOM", True)
        talk.raw(b"")
        assert [type(error) for error in errors] == [ClientDisconnected]
