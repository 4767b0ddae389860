"""The beat: once a second the x-ray looks whether the main loop still turns, and tells those who listen what it saw.

- *The watchdog*: a call is left with the main loop; when it is not run within a beat, and the loop does not wait for
  readiness, it is blocked, and the log says where, once; and once more when it goes on, after how long. A loop that
  waits has been woken and gets no processor: this process was stopped, or the machine has too much to do.
- *The listeners*: each `/events` connection awaits `Beat`, and is given a cut, the same for all. It is taken only while
  there are any.
"""

from typing import Any

from handlers.operations import Executor, Operation
from server.logs import Logs
from server.loop import Loop
from server.xray.cut import Frame, Look, Looks, standing_in, step_of
from server.xray.snapshot import row

INTERVAL = 1.0
"""Seconds between two beats: what a person can read, and what costs nothing."""

LISTENERS = 8
"""Connections that may listen to events: a few people, each with a page or two."""


class Beats:
    """The beats of `ours`, the x-ray's loop, about `main`. `number` counts them."""

    def __init__(self, main: Loop, ours: Loop, logs: Logs) -> None:
        self.main = main
        self.ours = ours
        self.logs = logs
        self.number = 0
        self.listeners = 0
        self.longest_block = 0.0
        self.blocks = 0
        self._looks = Looks(main, ours)
        self._waiting: list[Beat] = []
        self._answered = True
        self._asked = 0.0
        self._reported = False

    def begin(self) -> None:
        """Start beating. Before the x-ray's thread runs, or on it."""
        self._ask()
        self.ours.call_at(self.ours.clock() + INTERVAL, self._beat)

    def _beat(self) -> None:
        self.number += 1
        self.ours.call_at(self.ours.clock() + INTERVAL, self._beat)
        if self._answered:
            self._ask()
        elif not self._reported and step_of(self.main) is not None:
            self._report()
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

    # --- the watchdog

    def _ask(self) -> None:
        self._answered = False
        self._asked = self.ours.clock()
        self.main.call_from_thread(self._answer)

    def _answer(self) -> None:
        """On the main loop's thread."""
        self.ours.call_from_thread(self._note_answer)

    def _note_answer(self) -> None:
        self._answered = True
        if self._reported:
            self._reported = False
            seconds = self.ours.clock() - self._asked
            self.longest_block = max(self.longest_block, seconds)
            self.logs.warning("loop_goes_on", blocked_seconds=round(seconds, 3))

    def _report(self) -> None:
        self._reported = True
        self.blocks += 1
        now = self.ours.clock()
        machine, stack = standing_in(self.main)
        fields: dict[str, Any] = {}
        if machine is not None:
            seen = row((machine, machine.node, machine.since, machine.glance()), now)
            fields = {"machine": seen.kind, "id": seen.id, "why": seen.why}
        self.logs.warning(
            "loop_blocked",
            seconds=round(now - self.main.now, 3),
            **fields,
            stack=[line(frame) for frame in stack[-12:]],
        )

    # --- the listeners

    def join(self, beat: "Beat") -> None:
        """Have `beat` told of the next one."""
        self._waiting.append(beat)

    def leave(self, beat: "Beat") -> None:
        """It is not wanted any more."""
        if beat in self._waiting:
            self._waiting.remove(beat)


def line(frame: Frame) -> str:
    """`app.py:12 slow: time.sleep(10)`."""
    return f"{frame.file}:{frame.line} {frame.function}" + (f": {frame.code}" if frame.code else "")


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
        """Give it to whoever waits."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self, cut)
