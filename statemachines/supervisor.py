"""The machine of the supervisor: the process that starts workers, replaces them, and tells them to end.

It serves nothing itself. Its descriptor is the one that signals come by. Workers of one start or reload are a
generation: one of them goes ahead, and the others are started when it is ready, so that what is wrong with all of them
is told once. A reload executes a new generation beside the old one, which is told to retire when the whole new one is
ready; one that fails changes nothing. There are never two reloads at once: a further order gives up the generation that
is being started, and begins the next one.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import (
    Cause,
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
    STARTING = auto()
    SERVING = auto()
    RELOADING = auto()
    AWAITING_CHANGE = auto()
    DRAINING = auto()
    STOPPING = auto()
    STOPPED = auto()


class Trigger(Name):
    WORKER_READY = auto()
    WORKER_LOST = auto()
    """A worker that was ready has ended, and was not told to."""
    START_FAILED = auto()
    """A worker has ended, or was killed, before it was ready."""
    SUCCESSOR_WANTED = auto()
    """A worker is to be replaced, or retires."""
    RELOAD_ORDERED = auto()
    """SIGHUP; with --reload, a source file has changed."""
    SIGNAL_RECEIVED = auto()
    """SIGINT or SIGTERM."""
    WORKERS_ENDED = auto()
    """There is no worker any more."""


class Model(Protocol):
    """What the shell of the supervisor does."""

    def read_signals(self, ready: int) -> Name | None:
        """Take the signals that have come, and the exit statuses of children; SIGNAL_RECEIVED, RELOAD_ORDERED."""

    def is_complete(self) -> bool:
        """Whether all workers of the generation that is being started are ready."""

    def may_await_change(self) -> bool:
        """Whether source files are watched: then a start that fails waits for the next change."""

    def start_others(self) -> Name | None:
        """Start those of the generation that are not yet started."""

    def announce(self) -> Name | None:
        """Say where the workers listen, now that it is true."""

    def fill(self) -> Name | None:
        """Start as many workers as are missing, later if the last ones have failed soon."""

    def retire_replaced(self) -> Name | None:
        """Tell as many of those that are to be replaced to retire as are not needed any more."""

    def begin_generation(self) -> Name | None:
        """Start the first worker of a new generation."""

    def begin_again(self) -> Name | None:
        """Give up the generation that is being started, and begin the next one."""

    def retire_old(self) -> Name | None:
        """Tell the workers of older generations to retire."""

    def roll_back(self) -> Name | None:
        """Tell that the reload has failed; give up what there is of its generation."""

    def await_change(self) -> Name | None:
        """Tell that there is no worker until a source file changes."""

    def give_up(self) -> Name | None:
        """Tell that the server could not be started, and end its other workers; WORKERS_ENDED when there are none."""

    def drain(self) -> Name | None:
        """Tell all workers to finish what is in flight; WORKERS_ENDED when there are none."""

    def stop_workers(self) -> Name | None:
        """Tell all workers to end at once."""

    def stop(self) -> Name | None:
        """End the loop."""


S, T = State, Trigger

_LIMITED = Unbounded("each worker's state has a deadline")

SPECS = (
    Spec(S.STARTING, Interest.READABLE, _LIMITED, "read_signals", "the first generation is being started"),
    Spec(S.SERVING, Interest.READABLE, Unbounded("until it is told otherwise"), "read_signals", "the workers serve"),
    Spec(S.RELOADING, Interest.READABLE, _LIMITED, "read_signals", "a new generation starts, and the old one serves"),
    Spec(
        S.AWAITING_CHANGE,
        Interest.READABLE,
        Unbounded("a source file has to be changed first"),
        "read_signals",
        "no worker could be started",
    ),
    Spec(S.DRAINING, Interest.READABLE, _LIMITED, "read_signals", "the workers finish what is in flight"),
    Spec(S.STOPPING, Interest.READABLE, _LIMITED, "read_signals", "the workers end at once"),
    Spec(S.STOPPED, Interest.NOTHING, Unbounded("it is final"), "", "the loop has ended", final=True),
)

ROWS = (
    # --- the first generation
    Row(S.STARTING, T.WORKER_READY, S.SERVING, "is_complete", "announce", Way.HAPPY),
    Row(S.STARTING, T.WORKER_READY, S.STARTING, "", "start_others"),
    Row(S.STARTING, T.START_FAILED, S.AWAITING_CHANGE, "may_await_change", "await_change", Way.FAULT),
    Row(S.STARTING, T.START_FAILED, S.STOPPING, "", "give_up", Way.FAULT, Cause.SERVER),
    Row(S.STARTING, T.WORKER_LOST, S.STARTING, action="fill", way=Way.FAULT),
    Row(S.STARTING, T.SUCCESSOR_WANTED, S.STARTING, action="fill"),
    Row(S.STARTING, T.RELOAD_ORDERED, S.STARTING, action="begin_again"),
    Row(S.STARTING, T.SIGNAL_RECEIVED, S.DRAINING, action="drain", ends=Cause.OPERATOR),
    # --- the long middle
    Row(S.SERVING, T.RELOAD_ORDERED, S.RELOADING, action="begin_generation", way=Way.HAPPY),
    Row(S.SERVING, T.SUCCESSOR_WANTED, S.SERVING, action="fill"),
    Row(S.SERVING, T.WORKER_READY, S.SERVING, action="retire_replaced"),
    Row(S.SERVING, T.WORKER_LOST, S.SERVING, action="fill", way=Way.FAULT),
    Row(S.SERVING, T.START_FAILED, S.SERVING, action="fill", way=Way.FAULT),
    Row(S.SERVING, T.SIGNAL_RECEIVED, S.DRAINING, action="drain", way=Way.HAPPY, ends=Cause.OPERATOR),
    # --- two generations
    Row(S.RELOADING, T.WORKER_READY, S.SERVING, "is_complete", "retire_old", Way.HAPPY),
    Row(S.RELOADING, T.WORKER_READY, S.RELOADING, "", "start_others"),
    Row(S.RELOADING, T.START_FAILED, S.SERVING, action="roll_back", way=Way.FAULT),
    Row(S.RELOADING, T.WORKER_LOST, S.RELOADING, action="fill", way=Way.FAULT),
    Row(S.RELOADING, T.SUCCESSOR_WANTED, S.RELOADING),
    Row(S.RELOADING, T.RELOAD_ORDERED, S.RELOADING, action="begin_again"),
    Row(S.RELOADING, T.SIGNAL_RECEIVED, S.DRAINING, action="drain", ends=Cause.OPERATOR),
    # --- development: nothing could be started
    Row(S.AWAITING_CHANGE, T.RELOAD_ORDERED, S.STARTING, action="begin_generation"),
    Row(S.AWAITING_CHANGE, T.SIGNAL_RECEIVED, S.DRAINING, action="drain", ends=Cause.OPERATOR),
    # --- the end
    Row(S.DRAINING, T.WORKERS_ENDED, S.STOPPED, action="stop", way=Way.HAPPY, ends=Cause.OPERATOR),
    Row(S.DRAINING, T.SIGNAL_RECEIVED, S.STOPPING, action="stop_workers", way=Way.FAULT, ends=Cause.OPERATOR),
    Row(S.STOPPING, T.WORKERS_ENDED, S.STOPPED, action="stop", way=Way.FAULT, ends=Cause.OPERATOR),
)

HANDS_BACK: HandsBack = {
    "read_signals": (T.SIGNAL_RECEIVED, T.RELOAD_ORDERED),
    (S.DRAINING, "read_signals"): (T.SIGNAL_RECEIVED,),
    (S.STOPPING, "read_signals"): (),
    "drain": (T.WORKERS_ENDED,),
    "give_up": (T.WORKERS_ENDED,),
}

TABLE = Table(
    name="supervisor",
    states=State,
    triggers=Trigger,
    initial=S.STARTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
    hands_back=HANDS_BACK,
)
