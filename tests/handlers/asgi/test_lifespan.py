"""A lifespan: what an application says of its start and its end, or does not, and how long that is waited for."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from clerestory.handlers.asgi.lifespan import Lifespan, StartupFailed
from clerestory.handlers.asgi.tasks import Starter
from clerestory.statemachines.lifespan import Trigger as T
from tests.handlers.asgi.bench import Loop, outer_loop

Called = Callable[[Any, Any, Any], Any]


class Life:
    """The lifespan of an application, on a loop; what was logged is in `told`."""

    def __init__(self, called: Called, *, wanted: bool = False) -> None:
        self.loop = Loop()
        self.told: list[str] = []
        loop: Any = self.loop
        starter = Starter(asyncio.get_running_loop())
        self.lifespan = Lifespan(called, loop, starter, self._tell, wanted=wanted)

    def _tell(self, level: str, event: str, **fields: Any) -> None:
        self.told.append(event)

    @property
    def state(self) -> str:
        return str(self.lifespan.node.state)

    async def pass_deadline(self) -> None:
        """Let the application come to rest, and its state's time be over."""
        for _ in range(5):
            await asyncio.sleep(0)
        self.loop.fire(self.lifespan, T.DEADLINE_PASSED)


def run(story: Callable[[], Any]) -> None:
    with outer_loop() as outer:
        outer.run_until_complete(asyncio.wait_for(story(), 20))


async def whole(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "lifespan"
    assert await receive() == {"type": "lifespan.startup"}
    scope["state"]["kept"] = 1
    await send({"type": "lifespan.startup.complete"})
    assert await receive() == {"type": "lifespan.shutdown"}
    scope["state"]["ended"] = 1
    await send({"type": "lifespan.shutdown.complete"})


def test_it_starts_up_and_shuts_down() -> None:
    async def story() -> None:
        life = Life(whole, wanted=True)
        await life.lifespan.start()
        assert (life.state, life.lifespan.kept) == ("UP", {"kept": 1})
        await life.lifespan.stop()
        assert (life.state, life.lifespan.kept, life.told) == ("ENDED", {"kept": 1, "ended": 1}, [])
        await life.lifespan.stop()

    run(story)


def test_an_application_without_a_lifespan_goes_on_without() -> None:
    async def raises(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("only http")

    async def returns(scope: Any, receive: Any, send: Any) -> None:
        return None

    async def story() -> None:
        for called in (raises, returns):
            life = Life(called)
            await life.lifespan.start()
            assert (life.state, life.lifespan.kept, life.told) == ("ENDED", None, [])
            await life.lifespan.stop()
            with pytest.raises(StartupFailed, match=r"has no lifespan: it (raised AssertionError: only http|returned)"):
                await Life(called, wanted=True).lifespan.start()

    run(story)


def test_one_that_has_begun_to_receive_and_raises_is_told_of() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise ValueError("the database")

    async def story() -> None:
        life = Life(called)
        await life.lifespan.start()
        assert (life.state, life.told) == ("ENDED", ["lifespan_unsupported"])

    run(story)


@pytest.mark.parametrize("message", ["no database", None])
def test_a_start_that_failed_says_why_with_or_without_a_message(message: str | None) -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed"} | ({"message": message} if message else {}))

    async def story() -> None:
        life = Life(called)
        with pytest.raises(StartupFailed, match=message or "the application failed to start"):
            await life.lifespan.start()
        await life.lifespan.stop()
        assert life.state == "ENDED"

    run(story)


def test_a_start_that_takes_too_long_is_given_up() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await asyncio.sleep(60)

    async def story() -> None:
        life = Life(called)
        late = asyncio.ensure_future(life.pass_deadline())
        with pytest.raises(StartupFailed, match="did not start in time"):
            await life.lifespan.start()
        await late
        await life.lifespan.stop()
        assert life.state == "ENDED"

    run(story)


def test_a_shutdown_that_takes_too_long_is_cancelled_and_one_that_cannot_be_is_given_up() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        while not free:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    free: list[bool] = []

    async def story() -> None:
        life = Life(called)
        await life.lifespan.start()
        stopping = asyncio.ensure_future(life.lifespan.stop())
        await life.pass_deadline()
        assert life.state == "ENDING"
        await life.pass_deadline()
        await stopping
        assert (life.state, life.told) == ("ENDED", ["lifespan_stuck"])
        free.append(True)
        assert life.lifespan._task is not None
        life.lifespan._task.cancel()
        await asyncio.sleep(0)

    run(story)


def test_one_that_ends_while_requests_are_served_is_told_of() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.sleep(0)
        raise ValueError("lost")

    async def story() -> None:
        life = Life(called)
        await life.lifespan.start()
        await life.lifespan._over
        assert life.told == ["lifespan_failed"]

    run(story)


def test_a_shutdown_that_failed_is_told_of() -> None:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "not flushed"})

    async def story() -> None:
        life = Life(called)
        await life.lifespan.start()
        await life.lifespan.stop()
        assert (life.told, life.lifespan.message) == (["lifespan_shutdown_failed"], "not flushed")

    run(story)


def test_what_is_not_to_be_said_raises() -> None:
    said: list[str] = []

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for kind in ("lifespan.shutdown.complete", "http.response.start"):
            try:
                await send({"type": kind})
            except RuntimeError as error:
                said.append(str(error))
        await send({"type": "lifespan.startup.complete"})

    async def story() -> None:
        await Life(called).lifespan.start()
        assert said == [
            "'lifespan.shutdown.complete' is not to be sent here",
            "'http.response.start' is not to be sent here",
        ]

    run(story)


def test_a_start_that_is_shown_says_what_is_waited_for() -> None:
    async def story() -> None:
        life = Life(whole)
        assert life.lifespan.facts()[1] == "lifespan.startup"
        await life.lifespan.start()
        assert life.lifespan.facts()[1] == "lifespan"
        await life.lifespan.stop()

    run(story)
