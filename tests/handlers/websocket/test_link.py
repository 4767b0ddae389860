"""Between a WebSocket and its connection: what is read, written, and asked of the poller."""

import asyncio
from typing import Any

import pytest

from clerestory.handlers.proxy.tunnel import BROKEN, READABLE, WRITABLE
from tests.handlers.asgi.websocket.bench import Script, echo, talking

HANG_UP = 0x010


async def deaf(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await asyncio.Event().wait()


def test_it_is_read_from_the_beginning_and_written_only_where_something_waits() -> None:
    with talking(Script(echo)) as talk:
        assert talk.interests == [READABLE]
        talk.near.room = 2
        talk.text("hello")
        assert talk.interests[-1] == READABLE | WRITABLE
        talk.near.room = 100
        talk.ready(WRITABLE)
        assert talk.interests[-1] == READABLE
        assert talk.heard() == ["hello"]


def test_what_several_steps_send_is_asked_to_leave_once() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        for number in range(10):
            await send({"type": "websocket.send", "text": str(number)})
        await receive()

    with talking(app) as talk:
        asked: list[Any] = []
        loop: Any = talk.bench.loop
        loop.defer_write = asked.append
        talk.text("go")
        assert asked == [talk.near]
        assert talk.near.output == b""
        talk.ready(WRITABLE)
        assert len(talk.heard()) == 10


def test_a_full_queue_is_not_read_and_a_hang_up_then_not_waited_for() -> None:
    """The kernel reports a hang-up at every wait: the loop would spin."""
    with talking(deaf, websocket_max_queue=1) as talk:
        talk.text("a", "b")
        assert talk.interests[-1] == 0
        talk.ready(HANG_UP)
        talk.session.take()  # it is full again
        assert talk.interests[-2:] == [0, None]
        talk.session.take()
        assert talk.interests[-2:] == [None, READABLE]


@pytest.mark.parametrize("when", ["reported", "reading", "writing"])
def test_a_connection_that_is_gone_is_an_abnormal_end(when: str) -> None:
    app = Script(echo)
    with talking(app) as talk:
        if when == "reported":
            talk.ready(BROKEN)
        elif when == "reading":
            talk.near.is_gone = True
            talk.ready(READABLE)
        else:
            talk.near.room = 0
            talk.text("a")
            talk.near.is_gone = True
            talk.ready(WRITABLE)
        talk.turn()
        assert talk.ended == "gone"
    assert app.end == (1006, "")


def test_it_is_over_when_both_have_ended_and_all_was_sent() -> None:
    with talking(Script(echo)) as talk:
        talk.near.room = 1
        talk.text("hello")
        talk.raw(b"")
        before = talk.ended
        talk.near.room = 100
        talk.ready(WRITABLE)
        assert (before, talk.ended, talk.near.finished) == (None, "over", True)
        assert talk.link.client_ended_first()


def test_what_is_over_before_the_101_was_sent_is_cut() -> None:
    with talking(deaf, joined=False) as talk:
        talk.link.cancel()
        assert talk.link.join(talk.near, b"") == "broken"


def test_it_keeps_time_and_is_hosted() -> None:
    with talking(deaf) as talk:
        assert (talk.link.keeps_time(), talk.link.is_hosted(), talk.link.timed_by()) == (True, True, talk.session)
        assert talk.link.protocol_name() == b"websocket"
        assert any("deaf" in function for _, _, function in talk.link.stack())
