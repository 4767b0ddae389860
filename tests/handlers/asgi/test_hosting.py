"""What the calls of an application share: each that goes on is counted until its end, and a drain tells them."""

from typing import Any

from tests.handlers.asgi.bench import bench_of, give, start


def test_a_drain_tells_those_that_have_not_answered_and_the_end_cancels_all() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["path"] == "/stream":
            await start(send)
            await give(send, b"x", more=True)
        if scope["path"] == "/after":
            await start(send)
            await give(send, b"x")
        await bench.outer.create_future()

    with bench_of(called) as bench:
        for target in ("/", "/stream", "/after"):
            bench.ask(target=target)
        ended: list[int] = []
        bench.hosting.on_run_ended = lambda: ended.append(len(bench.hosting.runs))
        assert bench.states() == ["RUNNING", "PRODUCING", "RUNNING_ON"]
        bench.hosting.drain()
        assert bench.states() == ["LEAVING", "LEAVING", "RUNNING_ON"]
        bench.hosting.cancel_all()
        assert bench.states() == ["CANCELLING"] * 3
        bench.turn()
        assert (bench.states(), ended) == ([], [2, 1, 0])
        assert bench.events() == ["application_cancelled"] * 3
