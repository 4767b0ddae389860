"""Machines that are walked through, a passage at a time, by a person at a terminal.

The engine tells an observer of each passage, when the machine has come to its new state and before it acts there. The
observer here shows the machine's table with the state marked and the passage beside it, all descriptors of the loop and
what each waits for, and waits for a key. The loop's clock stands still meanwhile, so that no deadline passes while
somebody reads.
"""

import contextlib
import itertools
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from clerestory.diagrams.picture import Picture, picture_of, waits_of
from clerestory.server.loop.loop import Loop
from clerestory.statemachines.contract import Interest, Name, Way
from clerestory.statemachines.engine import Edge, Machine
from labs.findings import Stage

GUTTER = 4
SIGNS = {Way.HAPPY: "  (the usual path)", Way.NORMAL: "", Way.FAULT: "  (a fault)"}


class Clock:
    """Seconds, monotonic, but for the time that `pause` has taken."""

    def __init__(self) -> None:
        self._lost = 0.0

    def __call__(self) -> float:
        return time.monotonic() - self._lost

    def pause(self, since: float) -> None:
        """The time since `since` (of this clock) has not passed."""
        self._lost += self() - since


class Walk:
    """What the observer keeps: every passage, with its time; and in a walk that stops, what is shown at each."""

    def __init__(self, stage: Stage) -> None:
        self.clock = Clock()
        self.passages: list[tuple[float, Machine, Edge]] = []
        self.loop: Loop | None = None
        self._stage = stage
        self._stops = stage.step
        self._latest: dict[str, tuple[Machine, Edge]] = {}

    def observe(self, machine: Machine, edge: Edge) -> None:
        """A passage has been made; its action has not yet run."""
        self.passages.append((self.clock(), machine, edge))
        if self._stops:
            self._stop(machine, edge)

    def _stop(self, machine: Machine, edge: Edge) -> None:
        since = self.clock()
        name = machine.engine.table.name
        self._latest[name] = machine, edge
        page = ["", "=" * 80, told(machine, edge), "", *self._charts(machine), "", *exits(machine)]
        page += ["", *descriptors(self.loop.machines.values() if self.loop is not None else ())]
        try:
            answer = self._stage.key(highlighted("\n".join(page)) + "\n\n[any key: on; c: on without stops] ")
        except EOFError:
            answer = "c"
        self._stops = answer.strip().lower() != "c"
        self.clock.pause(since)

    def _charts(self, moved: Machine) -> list[str]:
        """The tables of all that have moved so far, beside each other; what each state waits for only where it fits."""
        width = shutil.get_terminal_size((100, 24)).columns
        for waits in (True, False):
            charts = [chart(one, edge, moved=one is moved, waits=waits) for one, edge in self._latest.values()]
            lines = beside(charts)
            if max(map(len, lines)) < width:
                break
        return lines


def highlighted(page: str) -> str:
    """The states that are marked, in reverse, where a terminal shows it."""
    return re.sub(r"\[([A-Z_]+)\]", "\x1b[7m[\\1]\x1b[0m", page) if sys.stdout.isatty() else page


def told(machine: Machine, edge: Edge) -> str:
    """What has just happened, in a line."""
    guard = f" [{edge.row.guard}]" if edge.row.guard else ""
    then = f"; next, {edge.row.action}" if edge.row.action else ""
    return (
        f"{machine.engine.table.name}, fd {machine.descriptor}: {edge.trigger}{guard}:"
        f" {edge.source.state} -> {edge.dest.state}{then}"
    )


def chart(machine: Machine, edge: Edge, *, moved: bool = True, waits: bool = True) -> list[str]:
    """The machine's table as a text: a line for each state, the one it is in marked, and the passage in the margin."""
    picture = picture_of(machine.engine.table)
    lines: list[str] = [f"{' ' * GUTTER}{picture.name}, fd {machine.descriptor}", ""]
    rows: dict[Name, int] = {}
    for spec in picture.specs:
        phrase = _phrase(picture, spec.state)
        lines += [f"{' ' * GUTTER}{phrase}:"] if phrase else []
        rows[spec.state] = len(lines)
        mark = f"[{spec.state}]" if spec.state is machine.state else f" {spec.state} "
        lines.append(f"{' ' * GUTTER}{mark:<22}{waits_of(spec)}" if waits else f"{' ' * GUTTER}{mark}")
    return _with_arrow(lines, rows[edge.source.state], rows[edge.dest.state]) if moved else lines


def _phrase(picture: Picture, state: Name) -> str:
    """The phrase by which a lane is known, at its first state."""
    return next((lane.phrase for lane in picture.lanes if lane.states[0] == state), "")


def _with_arrow(lines: list[str], start: int, end: int) -> list[str]:
    """The passage from one line to another, drawn in the margin."""
    drawn = list(lines)
    top, bottom = min(start, end), max(start, end)
    for at in range(top, bottom + 1):
        corner = "╭" if at == top else "╰" if at == bottom else "│"
        drawn[at] = f" {corner}{'─' if at == start else '▶' if at == end else ' '} {lines[at][GUTTER:]}"
    if start == end:
        drawn[start] = f" ↻▶ {lines[start][GUTTER:]}"
    return drawn


def exits(machine: Machine) -> list[str]:
    """What may happen next, in the order in which the table has it: the usual path first."""
    rows = [row for row in machine.engine.table.rows if row.source is machine.state]
    named = [(f"{row.trigger} [{row.guard}]" if row.guard else row.trigger, row) for row in rows]
    width = max((len(name) for name, _ in named), default=0)
    lines = [f"{' ' * GUTTER} {name:<{width}} -> {row.dest}{SIGNS[row.way]}" for name, row in named]
    return [f"{' ' * GUTTER}from {machine.state}:", *lines] if lines else [f"{' ' * GUTTER}{machine.state} is the end."]


def beside(blocks: Sequence[list[str]], gap: int = 4) -> list[str]:
    """Blocks of lines, one beside the other."""
    widths = [max(map(len, block)) + gap for block in blocks]
    rows = itertools.zip_longest(*blocks, fillvalue="")
    return ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def descriptors(machines: Iterable[Machine]) -> list[str]:
    """Every descriptor of a loop: whose it is, the state, what that waits for, and what epoll has been told. The two
    differ where being told less would cost a system call and gain nothing: interest is lazy."""
    lines = [f"    {'fd':>3}  {'machine':<11} {'state':<18} {'waits for':<24} epoll was told"]
    for machine in sorted(machines, key=lambda machine: machine.descriptor):
        registered = Interest(machine.registered)
        spec = machine.node.spec
        lines.append(
            f"    {machine.descriptor:>3}  {machine.engine.table.name:<11} {spec.state:<18} "
            f"{spec.waits_for.phrase():<24} {registered.phrase() if registered else 'nothing but a disconnect'}"
        )
    return lines


def any_key(prompt: str) -> str:
    """Show `prompt` and wait for one key; where the input is no terminal, for a line. Raises EOFError at its end."""
    terminal = sys.stdin.isatty()
    with _key_by_key() if terminal else contextlib.nullcontext():
        print(prompt, end="", flush=True)
        key = os.read(sys.stdin.fileno(), 16).decode(errors="replace") if terminal else sys.stdin.readline()
    print()
    if key in ("", "\x04"):  # Ctrl-D
        raise EOFError
    return key


@contextlib.contextmanager
def _key_by_key() -> Iterator[None]:
    """The terminal hands over each key as it is pressed; afterwards it is as before."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
