"""What a first step and an end come to."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from clerestory.handlers.asgi.outcomes import first_step_of, outcome_of
from clerestory.statemachines.application import Trigger as T


@pytest.mark.parametrize(
    ("facts", "triggers"),
    [
        ({}, ()),
        ({"listens": True}, (T.DISCONNECT_WANTED,)),
        ({"listens": True, "wants_body": True}, (T.BODY_REQUESTED,)),
        ({"output": [b"x"], "wants_body": True}, (T.PIECE_GIVEN,)),
        ({"output": [b"x"], "room_wanted": True}, (T.ROOM_WANTED,)),
        ({"output": [b"x"], "complete": True}, (T.ANSWER_ENDED,)),
        ({"link": SimpleNamespace(goes_on=True)}, (T.WEBSOCKET_ACCEPTED,)),
        ({"link": SimpleNamespace(goes_on=False)}, (T.WEBSOCKET_ACCEPTED, T.ANSWER_ENDED)),
    ],
)
def test_the_machine_is_told_how_far_the_first_step_has_come(facts: dict[str, Any], triggers: tuple[T, ...]) -> None:
    waits = {name: facts.pop(name, False) for name in ("room_wanted", "listens")}
    run: Any = SimpleNamespace(**{"link": None, "complete": False, "output": [], "wants_body": False} | facts)
    assert first_step_of(run, **waits) == triggers


def test_the_end_of_a_task_is_what_it_raised_and_a_cancellation_only_where_nobody_expects_it() -> None:
    async def ends(error: BaseException | None) -> asyncio.Task[None]:
        async def body() -> None:
            if error is not None:
                raise error

        task = asyncio.ensure_future(body())
        await asyncio.wait([task])
        return task

    failure = ValueError("own fault")
    assert outcome_of(asyncio.run(ends(None)), expected=False) is None
    assert outcome_of(asyncio.run(ends(failure)), expected=True) is failure
    cancelled = asyncio.run(ends(asyncio.CancelledError()))
    assert outcome_of(cancelled, expected=True) is None
    assert isinstance(outcome_of(cancelled, expected=False), asyncio.CancelledError)
