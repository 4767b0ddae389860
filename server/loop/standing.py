"""For whom a loop's thread runs, as another thread sees it: the machine in whose step it is, or the one whose request
an application answers in the task that the event loop around this one steps."""

import asyncio

from clerestory.handlers.api.operations import Operation
from clerestory.server.loop.loop import Loop
from clerestory.statemachines.contract import Facts
from clerestory.statemachines.engine import Machine


def stepping(loop: Loop) -> Machine | None:
    """The machine whose step the loop is in; what is called from other threads is nobody's step."""
    machine = loop.stepping
    return machine if machine is not loop.wake_up else None


def standing(loop: Loop) -> Machine | None:
    """As `stepping`; in no step, the machine whose request the running task answers. All machines are looked at: ask
    only where a loop stands still."""
    machine = stepping(loop)
    if machine is not None:
        return machine
    for one in list(loop.machines.values()):
        operation = Facts(*one.facts()).operation
        if isinstance(operation, Operation) and _runs(getattr(operation.timed_by(), "task", None)):
            return one
    return None


def _runs(task: "asyncio.Task[object] | None") -> bool:
    """Whether a task is in its step now."""
    return task is not None and not task.done() and asyncio.current_task(task.get_loop()) is task
