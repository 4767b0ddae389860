"""The shell of the watchdog (statemachines.watchdog): a machine on the x-ray's loop, about the main one."""

from typing import Any

from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop
from clerestory.server.xray.observe.cut import Frame, standing_in, step_of
from clerestory.server.xray.observe.snapshot import row
from clerestory.statemachines import watchdog
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.watchdog import Trigger as T

PSEUDO_DESCRIPTOR = -(1 << 30)
"""Its place in the x-ray's loop. Not counted from -1: work#1 is the application's first work."""


class Watchdog(Machine):
    """The watchdog of `main`. `blocks` counts how often that stood still, `longest_block` is the longest, in seconds.

    A question that is still to be answered is not asked again: the call lies with the main loop until it is run.
    """

    __slots__ = ("_logs", "_main", "_ours", "_since", "_until", "blocks", "born", "longest_block")

    def __init__(self, main: Loop, ours: Loop, logs: Logs) -> None:
        engine = Engine(watchdog.TABLE, Watchdog, ours.clock, ours.limits, ours.dispatch)
        super().__init__(engine, PSEUDO_DESCRIPTOR)
        self._main = main
        self._ours = ours
        self._logs = logs
        self._since = self._until = 0.0
        """When the loop was last seen to wait before it was reported as blocked, and when it answered again."""
        self.born = self.since
        self.blocks = 0
        self.longest_block = 0.0

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts."""
        return (-self.descriptor, "the main loop", self.born)

    # --- the machine's

    def is_in_step(self) -> bool:
        """As Model.is_in_step."""
        return step_of(self._main) is not None

    def ask(self) -> None:
        """As Model.ask."""
        self._main.call_from_thread(self._answer)

    def _answer(self) -> None:
        """On the main loop's thread."""
        until = self._main.clock()
        self._ours.call_from_thread(lambda: self._note_answer(until))

    def _note_answer(self, until: float) -> None:
        self._until = until
        self._ours.tell(self, T.ANSWERED)

    def report_blocked(self) -> None:
        """As Model.report_blocked."""
        self.blocks += 1
        now, self._since = self._ours.clock(), self._main.now
        machine, stack = standing_in(self._main)
        fields: dict[str, Any] = {}
        if machine is not None:
            seen = row((machine, machine.node, machine.since, machine.facts()), now)
            fields = {"machine": seen.kind, "id": seen.id, "why": seen.why}
        self._logs.warning(
            "loop_blocked",
            seconds=round(now - self._since, 3),
            **fields,
            stack=[line(frame) for frame in stack[-12:]],
        )

    def report_unblocked(self) -> None:
        """As Model.report_unblocked."""
        seconds = self._until - self._since
        self.longest_block = max(self.longest_block, seconds)
        self._logs.warning("loop_unblocked", blocked_seconds=round(seconds, 3))


def line(frame: Frame) -> str:
    """`app.py:12 slow: time.sleep(10)`."""
    return f"{frame.file}:{frame.line} {frame.function}" + (f": {frame.code}" if frame.code else "")
