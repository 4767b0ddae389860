"""The beat: once a second the x-ray takes a copy of what the main loop's machines are doing, for those who listen.

Each `/events` connection awaits `Beat`, and is given the copy, the same for all. It is taken only while there are any.
"""

from clerestory.handlers.api.operations import Executor, Operation
from clerestory.server.loop.loop import Loop
from clerestory.server.xray.observe.cut import Look, Looks

INTERVAL = 1.0
"""Seconds between two beats: what a person can read, and what costs nothing."""

LISTENERS = 8
"""Connections that may listen to events: a few people, each with a page or two."""


class Beats:
    """The beats of `ours`, the x-ray's loop, about `main`. `number` counts them."""

    def __init__(self, main: Loop, ours: Loop) -> None:
        self.ours = ours
        self.number = 0
        self._looks = Looks(main, ours)
        self._waiting: list[Beat] = []

    def begin(self) -> None:
        """Start beating. Before the x-ray's thread runs, or on it."""
        self.ours.call_at(self.ours.clock() + INTERVAL, self._beat)

    def _beat(self) -> None:
        self.number += 1
        self.ours.call_at(self.ours.clock() + INTERVAL, self._beat)
        if self._waiting:
            Look(self._looks).start(self)

    @property
    def loop(self) -> Loop:
        """As Executor.loop."""
        return self.ours

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:  # noqa: ARG002
        """As Executor.finished: the look of this beat is there, for all who wait."""
        waiting, self._waiting = self._waiting, []
        for beat in waiting:
            beat.deliver(result)

    # --- the listeners

    def join(self, beat: "Beat") -> None:
        """Have `beat` told of the next one."""
        self._waiting.append(beat)

    def leave(self, beat: "Beat") -> None:
        """It is not wanted any more."""
        if beat in self._waiting:
            self._waiting.remove(beat)


class Beat(Operation):
    """`cut = await Beat(beats)`: the cut of the next beat."""

    __slots__ = ("_beats", "_executor")

    def __init__(self, beats: Beats) -> None:
        self._beats = beats
        self._executor: Executor | None = None

    def start(self, executor: Executor) -> None:
        self._executor = executor
        self._beats.join(self)

    def cancel(self) -> None:
        self._executor = None
        self._beats.leave(self)

    def describe(self) -> str:
        return "the x-ray's next beat"

    def deliver(self, cut: object) -> None:
        """Give it to the caller."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self, cut)
