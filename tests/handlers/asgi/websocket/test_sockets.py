"""What the WebSockets of one loop share, and what the log is told of one that has not ended in order."""

from typing import Any

from clerestory.handlers.asgi.run import Run
from clerestory.handlers.asgi.websocket.sockets import WebSockets
from clerestory.statemachines import websocket
from tests.handlers.asgi.bench import bench_of
from tests.handlers.asgi.websocket.bench import talking


async def silent(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


def test_all_have_one_engine_and_the_loop_s_bounds() -> None:
    with bench_of(silent) as bench:
        sockets = WebSockets(bench.hosting)
        assert sockets.engine.table is websocket.TABLE
        assert sockets.bounds.unsent > 0


def test_an_end_that_is_a_fault_is_logged_with_its_state_and_code() -> None:
    with talking(silent) as talk:
        edge = next(edge for edge in talk.session.engine.edges if edge.row.ends is not None)
        sockets = WebSockets(talk.bench.hosting)
        (run,) = talk.bench.hosting.runs
        assert isinstance(run, Run)
        sockets.tell_fault(run, edge, (1011, "a fault"))
        level, event, fields = talk.bench.told[-1]
        assert (level, event, fields["code"], fields["reason"]) == ("warning", "websocket_ended", 1011, "a fault")
        assert fields["state"] == edge.source.state
