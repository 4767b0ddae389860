"""What a loop's parts know of it: the loop defines all of it."""

import pytest

from clerestory.server.loop.base import BaseLoop
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.statemachines.engine import Dispatch, Machine


def test_a_loop_without_its_methods_cannot_be_made() -> None:
    poller = open_poller("auto")
    with pytest.raises(TypeError, match="abstract"):
        BaseLoop(poller, lambda machine, error: None, lambda: 0.0, {}, Dispatch.COMPILED)  # type: ignore[abstract]
    poller.close()


def test_a_callback_that_raises_is_reported_with_the_loops_own_machine() -> None:
    told: list[tuple[Machine, BaseException]] = []
    loop = Loop(open_poller("auto"), lambda machine, error: told.append((machine, error)))
    error = ValueError("a callback")
    loop.callback_failed(error)
    assert told == [(loop.wake_up, error)]
    loop.close()
