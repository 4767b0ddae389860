"""Closing what a handler has left: each kind in its own way."""

import pytest

from clerestory.server.connection.closing import unwind
from tests.server.support import Pending

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


async def waits(ran: list[str], *more: Pending) -> None:
    try:
        await Pending()
    finally:
        ran.append("finally")
        for one in more:
            await one


def test_a_suspended_coroutine_runs_its_finally() -> None:
    ran: list[str] = []
    coroutine = waits(ran)
    coroutine.send(None)
    unwind(coroutine)
    assert ran == ["finally"]


def test_a_coroutine_that_awaits_while_it_is_given_up_is_told_of() -> None:
    coroutine = waits([], Pending())
    coroutine.send(None)
    with pytest.raises(RuntimeError, match="awaited something"):
        unwind(coroutine)
