"""The machine of a piece of work in a thread: a blocking function that is called for a waiting caller.

    QUEUED -> RUNNING -> DONE

is the usual path. The table says:

- *A thread does not move the machine.* It takes work, and records how the work ended; the loop is woken, and moves the
  machine. Work is RUNNING from the moment when the loop gives it to an idle thread, or learns that a busy one has taken
  it from the queue, from the message that reports how that thread's last work ended.
- *A thread cannot be stopped.* The caller may leave at any moment; then the work is ABANDONED: nothing waits for it,
  and it occupies its thread until it ends by itself. It stays visible, since threads are few.
- *Work that no thread has taken is withdrawn.* Only the queue knows whether one has, and a thread may have been faster:
  so work is ABANDONED first, and ends at once (WITHDRAWN) if it was still in the queue.
- Waiting for a thread has a deadline. Running has none: the caller has one, and leaves when it passes.

It has no descriptor. It has two peers: the caller and the thread.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import (
    Cause,
    Deadline,
    HandsBack,
    Interest,
    Name,
    Row,
    Spec,
    Table,
    Unbounded,
    Way,
)


class State(Name):
    QUEUED = auto()
    RUNNING = auto()
    ABANDONED = auto()
    DONE = auto()


class Trigger(Name):
    THREAD_GIVEN = auto()
    """A thread has taken it."""
    WORK_ENDED = auto()
    """The function has returned, or raised."""
    CALLER_LEFT = auto()
    """The caller no longer wants the result."""
    WITHDRAWN = auto()
    """It was still in the queue, and has been removed."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator, or the end of the pool, ends the waiting."""


class Model(Protocol):
    """What the shell of a piece of work does."""

    def withdraw(self) -> Name | None:
        """Take it out of the queue; WITHDRAWN, or None if a thread was faster."""

    def refuse(self) -> Name | None:
        """Fail the caller; then as withdraw."""


S, T = State, Trigger

QUEUE = Deadline(
    "thread",
    "thread_queue_timeout",
    10.0,
    "for a thread to become free, then 503; if it takes longer, the threads are stuck",
)
_UNSTOPPABLE = Unbounded("a thread cannot be stopped; the caller has a deadline of its own")

_END = "the end of the function"

SPECS = (
    Spec(S.QUEUED, Interest.NOTHING, QUEUE, "", "every thread is busy", awaits="a free thread"),
    Spec(S.RUNNING, Interest.NOTHING, _UNSTOPPABLE, "", "a thread runs it, and the caller waits", awaits=_END),
    Spec(S.ABANDONED, Interest.NOTHING, _UNSTOPPABLE, "", "a thread runs it, and nothing waits for it", awaits=_END),
    Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "the thread is free again", final=True),
)

ROWS = (
    # --- in the queue
    Row(S.QUEUED, T.THREAD_GIVEN, S.RUNNING, way=Way.HAPPY),
    Row(S.QUEUED, T.CALLER_LEFT, S.ABANDONED, action="withdraw", ends=Cause.CLIENT),
    Row(S.QUEUED, T.DEADLINE_PASSED, S.ABANDONED, action="refuse", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.QUEUED, T.CLOSE_ORDERED, S.ABANDONED, action="refuse", ends=Cause.OPERATOR),
    # --- a thread runs it
    Row(S.RUNNING, T.WORK_ENDED, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.RUNNING, T.CALLER_LEFT, S.ABANDONED, ends=Cause.CLIENT),
    Row(S.RUNNING, T.CLOSE_ORDERED, S.ABANDONED, action="refuse", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the caller has left
    Row(S.ABANDONED, T.WORK_ENDED, S.DONE, ends=Cause.SERVER),
    Row(S.ABANDONED, T.WITHDRAWN, S.DONE, ends=Cause.SERVER),
)

HANDS_BACK: HandsBack = {"withdraw": (T.WITHDRAWN,), "refuse": (T.WITHDRAWN,)}

TABLE = Table(
    name="work",
    states=State,
    triggers=Trigger,
    initial=S.QUEUED,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.CALLER_LEFT, T.WORK_ENDED}),
    hands_back=HANDS_BACK,
)
