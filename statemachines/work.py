"""The machine of a piece of work in a thread: a function that blocks, called for somebody who waits.

    QUEUED -> RUNNING -> DONE

is the usual course. What the table settles:

- *A thread moves nothing.* It takes work, and notes how the work ended; the loop is woken, and moves the machine. A
  piece of work is RUNNING from the moment at which the loop gives it to an idle thread, or hears that a busy one has
  taken it from the queue: the same message that tells how that thread's last work ended.
- *Nothing can stop a thread.* Whoever asked may leave at any moment; then the work is ABANDONED: nobody waits for it,
  and it holds its thread until it ends by itself. It is still there to be seen, for the threads are few.
- *What no thread has taken is taken back.* Whether that is so only the queue knows, and a thread may have been faster:
  so work is ABANDONED first, and at its end at once (NEVER_BEGUN) when it was still in the queue.
- Waiting for a thread has a deadline. Running has none of its own: whoever waits has one, and leaves when it passes.

It has no descriptor. The peer is twofold: who asked, and the thread.
"""

from enum import auto
from typing import Protocol

from statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    QUEUED = auto()
    RUNNING = auto()
    ABANDONED = auto()
    DONE = auto()


class Trigger(Name):
    THREAD_GIVEN = auto()
    """A thread has it."""
    WORK_ENDED = auto()
    """The function has returned, or raised."""
    ASKER_LEFT = auto()
    """Whoever asked does not want the result any more."""
    NEVER_BEGUN = auto()
    """It was still in the queue, and is not any more."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator, or the end of the pool, wants nobody to wait for it any longer."""


class Model(Protocol):
    """What the shell of a piece of work does."""

    def withdraw(self) -> Name | None:
        """Take it out of the queue; NEVER_BEGUN, or None when a thread was faster."""

    def refuse(self) -> Name | None:
        """Tell whoever asked that it will not be, or that he is not to wait for it; then as withdraw."""


S, T = State, Trigger

QUEUE = Deadline(
    "thread", "thread_queue_timeout", 10.0, "for a thread to become free, then 503; they are stuck if it takes longer"
)
_UNSTOPPABLE = Unbounded("nothing can stop a thread; whoever waits for it has a deadline of his own")

_END = "the end of the function"

SPECS = (
    Spec(S.QUEUED, Interest.NOTHING, QUEUE, "", "every thread is busy with something else", awaits="a free thread"),
    Spec(S.RUNNING, Interest.NOTHING, _UNSTOPPABLE, "", "a thread is at it, and somebody waits", awaits=_END),
    Spec(S.ABANDONED, Interest.NOTHING, _UNSTOPPABLE, "", "a thread is at it, and nobody waits", awaits=_END),
    Spec(
        S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "the thread has gone on to something else", final=True
    ),
)

ROWS = (
    # --- in the queue
    Row(S.QUEUED, T.THREAD_GIVEN, S.RUNNING, way=Way.HAPPY),
    Row(S.QUEUED, T.ASKER_LEFT, S.ABANDONED, action="withdraw", ends=Cause.CLIENT),
    Row(S.QUEUED, T.DEADLINE_PASSED, S.ABANDONED, action="refuse", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.QUEUED, T.CLOSE_ORDERED, S.ABANDONED, action="refuse", ends=Cause.OPERATOR),
    # --- a thread is at it
    Row(S.RUNNING, T.WORK_ENDED, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.RUNNING, T.ASKER_LEFT, S.ABANDONED, ends=Cause.CLIENT),
    Row(S.RUNNING, T.CLOSE_ORDERED, S.ABANDONED, action="refuse", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- nobody waits any more
    Row(S.ABANDONED, T.WORK_ENDED, S.DONE, ends=Cause.SERVER),
    Row(S.ABANDONED, T.NEVER_BEGUN, S.DONE, ends=Cause.SERVER),
)

TABLE = Table(
    name="work",
    states=State,
    triggers=Trigger,
    initial=S.QUEUED,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.ASKER_LEFT, T.WORK_ENDED}),
)
