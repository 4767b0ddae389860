"""What `receive` and `send` hand back: something to be awaited, or to be made a task of."""

import asyncio

import pytest

from clerestory.handlers.asgi.waits import SENT, given


def test_what_was_sent_is_awaited_without_a_step_any_number_of_times() -> None:
    async def main() -> None:
        await SENT
        await SENT
        await asyncio.wait_for(asyncio.create_task(SENT), 5)  # type: ignore[arg-type]
        await asyncio.gather(SENT, SENT)

    asyncio.run(main())


def test_what_was_sent_is_a_coroutine_at_its_end() -> None:
    with pytest.raises(StopIteration):
        SENT.send(None)
    with pytest.raises(ValueError, match="thrown"):
        SENT.throw(ValueError("thrown"))
    SENT.close()


def test_an_event_that_is_there_is_given() -> None:
    assert asyncio.run(given({"type": "x"})) == {"type": "x"}
