"""A cut through a loop: what every machine of it was doing at one moment, copied but not yet put into words.

Between two turns a loop's machines are at rest, so a copy taken there, on the loop's own thread, is consistent. It is
references and numbers only: 10,000 machines take about 3 ms. The words are made by the thread that asked.

The copy is one flat list. A tuple for each machine would be 10,000 more objects for the collector of cycles, which
looks through everything that lives when that many are new, and the whole interpreter stands still for it.

`Look` is the operation that asks for one. A loop that does not answer within PATIENCE stands in some machine's step:
then the map is copied from outside (one C call, which nothing can interrupt), no machine but that one is moving, and
the loop's stack says where it stands. A step that holds the interpreter lock itself, inside an extension, stops us too.
"""

import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from handlers.operations import Executor, Operation
from server.loop import Loop
from statemachines.engine import Machine, Node

PATIENCE = 0.1
"""Seconds we wait for the loop's answer. Its turns take well below a hundredth of that, so it is not just busy."""

DEPTH = 40
"""Innermost frames kept of a stack: what blocks is among them; a runaway recursion has thousands."""

Seen = tuple[Machine, Node, float, tuple[Any, ...]]
"""A machine, where it stood, since when, and its glance (contract.Facts)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stack: outermost first. `code` is the source line, empty where it can not be read."""

    file: str
    line: int
    function: str
    code: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """The loop stands in `machine`'s step (None where that is not known) and has done so for at most `seconds`."""

    seconds: float
    machine: Machine | None
    stack: tuple[Frame, ...]


class Seens:
    """What was seen: a sequence of Seen, each made when it is asked for."""

    __slots__ = ("_ends", "_flat")

    def __init__(self, machines: Iterable[Machine]) -> None:
        """Copy what each machine is doing: the one step that a loop stands still for."""
        flat: list[Any] = []
        ends: list[int] = [0]
        for machine in machines:
            flat += machine, machine.node, machine.since
            flat += machine.glance()
            ends.append(len(flat))
        self._flat = flat
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, position: int) -> Seen:
        flat, begin = self._flat, self._ends[position]
        return flat[begin], flat[begin + 1], flat[begin + 2], tuple(flat[begin + 3 : self._ends[position + 1]])

    def __iter__(self) -> Iterator[Seen]:
        return map(self.__getitem__, range(len(self)))


@dataclass(frozen=True, slots=True)
class Cut:
    """What there was at `now`. `lag` is how long the loop took to answer, `pause` how long it stood still for us."""

    now: float
    seen: Seens
    turns: int = 0
    lag: float = 0.0
    pause: float = 0.0
    blocked: Blocked | None = None

    @property
    def consistent(self) -> bool:
        """Whether it was taken between two turns."""
        return self.blocked is None


def take(loop: Loop, asked: float | None = None) -> Cut:
    """A cut, on the loop's own thread. `asked` is when it was asked for."""
    now = loop.clock()
    seen = Seens(list(loop.machines.values()))
    return Cut(now, seen, loop.turns, now - asked if asked is not None else 0.0, loop.clock() - now)


def take_from_outside(loop: Loop) -> Cut:
    """A cut of a loop that does not answer, from another thread."""
    now = loop.clock()
    seconds = max(0.0, now - loop.now)
    machine, stack = standing_in(loop)
    seen = Seens(list(loop.machines.values()))
    return Cut(now, seen, loop.turns, seconds, 0.0, Blocked(seconds, machine, stack))


_STEPS = {step.__code__ for step in (Loop._dispatch, Loop._dispatch_buffered, Loop.fire)}  # noqa: SLF001
"""The methods of a loop in which a machine runs, in a variable of that name: the loop marks nothing, so it costs
nothing until we look."""


def standing_in(loop: Loop) -> tuple[Machine | None, tuple[Frame, ...]]:
    """The machine whose step the loop's thread is in, the innermost where several are, and the stack."""
    frame = sys._current_frames().get(loop.thread)  # noqa: SLF001 - documented, in spite of its name
    frames: list[FrameType] = []
    machine: Machine | None = None
    while frame is not None:
        if len(frames) < DEPTH:
            frames.append(frame)
        if machine is None and frame.f_code in _STEPS:
            found = frame.f_locals.get("machine")
            machine = found if isinstance(found, Machine) and found is not loop.wake_up else None
        frame = frame.f_back
    return machine, tuple(_read(frame) for frame in reversed(frames))


def _read(frame: FrameType) -> Frame:
    # The line is read through linecache, which opens the file: without a descriptor to spare it is empty.
    entry = traceback.FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
    return Frame(entry.filename, entry.lineno or 0, entry.name, entry.line or "")


class Look(Operation):
    """`cut = await Look(loop, ours)`: a cut of `loop`, awaited on `ours`."""

    __slots__ = ("_asked", "_executor", "_loop", "_ours")

    def __init__(self, loop: Loop, ours: Loop) -> None:
        self._loop = loop
        self._ours = ours
        self._executor: Executor | None = None
        self._asked = 0.0

    def start(self, executor: Executor) -> None:
        self._executor = executor
        self._asked = self._ours.clock()
        self._loop.call_from_thread(self._copy)
        self._ours.call_at(self._asked + PATIENCE, self._lose_patience)

    def cancel(self) -> None:
        self._executor = None

    def describe(self) -> str:
        return "the main loop's next turn"

    def _copy(self) -> None:
        """On the thread of the loop that is looked at."""
        if self._executor is not None:
            cut = take(self._loop, self._asked)
            self._ours.call_from_thread(lambda: self._deliver(cut))

    def _lose_patience(self) -> None:
        if self._executor is not None:
            self._deliver(take_from_outside(self._loop))

    def _deliver(self, cut: Cut) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self, cut)
