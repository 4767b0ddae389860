"""A cut through a loop: what every machine of it was doing at one moment, copied but not yet put into words.

Between two turns a loop's machines are at rest, so a copy taken there, on the loop's own thread, is consistent. It is
references and numbers only: 10,000 machines take 1 ms where they are idle, and 3 where they are not. The words are made
by the thread that asked.

`Look` is the operation that asks for one; the loop copies once for all who have asked meanwhile. When it does not
answer, and stands in the same step of the same machine the whole time, it is blocked: then the map is copied from
outside (one C call, which nothing can interrupt), no machine but that one is moving, and the loop's stack says where it
stands. A step that holds the interpreter lock itself, inside an extension, stops us too.
"""

import linecache
import os
import sys
from dataclasses import dataclass
from types import FrameType

from clerestory.handlers.api.operations import Executor, Operation
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.standing import standing, stepping
from clerestory.server.xray.observe.considerate import considerate
from clerestory.server.xray.observe.seen import Seens
from clerestory.statemachines.engine import Machine

ANSWER_TIMEOUT = 0.1
"""Seconds we wait for the answer of a loop that stands still. Its steps take well below a hundredth of that."""

LONGEST = 1.0
"""Seconds we wait for the answer of one that goes on, from step to step of a long turn, or has no processor."""

DEPTH = 40
"""Innermost frames kept of a stack: what blocks is among them; a runaway recursion has thousands."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stack: outermost first. `code` is the source line, empty where it cannot be read."""

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
    seen = Seens(loop.machines.values())
    return Cut(now, seen, loop.turns, now - asked if asked is not None else 0.0, loop.clock() - now)


def take_from_outside(loop: Loop, asked: float | None = None) -> Cut:
    """A cut of a loop that does not answer, from another thread. `asked` is when it was asked: one that waits for
    readiness has been woken then, whenever it was that it began to wait."""
    now = loop.clock()
    waits = asked is not None and step_of(loop) is None
    seconds = max(0.0, now - (asked if waits and asked is not None else loop.now))
    machine, stack = standing_in(loop)
    seen = Seens(list(loop.machines.values()))
    return Cut(now, seen, loop.turns, seconds, 0.0, Blocked(seconds, machine, stack))


Step = tuple[int, Machine | None, float]
"""A loop's turn, the machine that runs in it, and since when that is in its state."""


def step_of(loop: Loop) -> Step | None:
    """The step in which the loop is; None where it is in none, but waits."""
    if loop.waiting:
        return None
    machine = stepping(loop)
    return loop.turns, machine, machine.since if machine is not None else 0.0


def standing_in(loop: Loop) -> tuple[Machine | None, tuple[Frame, ...]]:
    """The machine for which the loop's thread runs, and the thread's stack."""
    frame = sys._current_frames().get(loop.thread)  # noqa: SLF001 - documented, in spite of its name
    frames: list[FrameType] = []
    while frame is not None and len(frames) < DEPTH:
        frames.append(frame)
        frame = frame.f_back
    return standing(loop), tuple(_read(frame) for frame in reversed(frames))


def _read(frame: FrameType) -> Frame:
    code = frame.f_code
    return frame_of(code.co_filename, frame.f_lineno or 0, code.co_name)


def frame_of(file: str, number: int, function: str) -> Frame:
    """A frame with its line of code."""
    # The line is read through linecache, which opens the file: without a descriptor to spare it is empty. Whatever the
    # code says it is from, only a file is opened: a pipe would wait for somebody to write.
    line = linecache.getline(file, number).strip() if os.path.isfile(file) else ""
    return Frame(file, number, function, line)


class Looks:
    """Those who wait for a cut of `loop`, on `ours`. One call is left with the loop for all of them, however many ask
    and however long it is blocked: it is not stopped again and again, and nothing gathers."""

    __slots__ = ("_asked", "_asking", "_waiting", "loop", "ours")

    def __init__(self, loop: Loop, ours: Loop) -> None:
        self.loop = loop
        self.ours = ours
        self._waiting: list[Look] = []
        self._asking = False
        self._asked = 0.0

    def join(self, look: "Look") -> None:
        """Have `look` told of the next cut."""
        self._waiting.append(look)
        if not self._asking:
            self._ask()

    def leave(self, look: "Look") -> None:
        """It is not wanted any more."""
        if look in self._waiting:
            self._waiting.remove(look)

    def _ask(self) -> None:
        self._asking = True
        self._asked = self.ours.clock()
        self.loop.call_from_thread(self._copy)

    def _copy(self) -> None:
        """On the thread of the loop that is looked at, which changes nothing here."""
        cut = take(self.loop, self._asked) if self._waiting else None
        self.ours.call_from_thread(lambda: self._deliver(cut))

    def _deliver(self, cut: Cut | None) -> None:
        """Who asked when the copy had been taken is to see what there was when it asked."""
        self._asking = False
        if cut is not None:
            with considerate():
                cut.seen.complete()
        waiting, self._waiting = self._waiting, []
        told = [look for look in waiting if cut is not None and look.asked <= cut.now]
        self._waiting = [look for look in waiting if look not in told]
        if self._waiting:
            self._ask()
        for look in told:
            look.deliver(cut)


class Look(Operation):
    """`cut = await Look(looks)`: a cut, awaited on the loop that looks."""

    __slots__ = ("_executor", "_looks", "_step", "asked")

    def __init__(self, looks: Looks) -> None:
        self._looks = looks
        self._executor: Executor | None = None
        self._step: Step | None = None
        self.asked = 0.0

    def start(self, executor: Executor) -> None:
        self._executor = executor
        self.asked = self._looks.ours.clock()
        self._looks.join(self)
        self._looks.ours.call_at(self.asked + ANSWER_TIMEOUT / 2, self._watch)

    def cancel(self) -> None:
        self._executor = None
        self._looks.leave(self)

    def describe(self) -> str:
        return "the main loop's next turn"

    def _watch(self) -> None:
        """Twice in ANSWER_TIMEOUT: has the loop gone on in between?"""
        if self._executor is None:
            return
        loop, ours = self._looks.loop, self._looks.ours
        before, self._step = self._step, step_of(loop)
        now = ours.clock()
        stands = self._step is not None and self._step == before
        if stands or now - self.asked >= LONGEST:
            self._looks.leave(self)
            self.deliver(take_from_outside(loop, self.asked))
        else:
            ours.call_at(now + ANSWER_TIMEOUT / 2, self._watch)

    def deliver(self, cut: Cut | None) -> None:
        """Give it to the caller."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self, cut)
