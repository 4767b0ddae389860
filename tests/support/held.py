"""What actions hand back is held against what their tables declare (contract.Table.hands_back): in every walk that a
test takes, in this process and in the servers that it starts.

The engine has one door; here each action and each method for readiness that it calls is wrapped. One that hands back
what is not declared raises Undeclared, which ends its machine, and so fails the test. What was handed back is noted in
`SEEN`, and appended to the file that $CLERESTORY_HANDED_BACK names, if it names one: then it can be seen which
declarations no test has reached.

Where $CLERESTORY_WALKS names a directory, each process writes there, at its end, which machines were made, and all rows
that they have passed, in their order: a line for each, with the thread, the machine, its table, the row's number or -1,
and the trigger that its action has handed back (tests.support.walks).
"""

import atexit
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clerestory.statemachines.contract import Name, Table
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.tables import TABLES

SITE = Path(__file__).parent / "site"
"""On the path of a Python process, this makes it hold its own walks."""

Seen = tuple[str, str, str, str]
SEEN: set[Seen] = set()
"""Table, state, method and trigger of what was handed back in this process."""


MOST = 100_000
"""Lines that a process notes at most."""


class Undeclared(AssertionError):
    """A method has handed back what its table does not declare."""


def install() -> None:
    """Hold every engine that is made from now on. Nothing is done where the engine is compiled to C."""
    if not hasattr(Engine.__init__, "__code__"):
        return
    make = Engine.__init__
    folder = os.environ.get("CLERESTORY_WALKS")
    walks = Walks() if folder else None
    if walks is not None:
        walks.note_births()

    def made(engine: Engine, table: Table, model: type, *more: Any, **named: Any) -> None:
        make(engine, table, model, *more, **named)
        if TABLES.get(table.name) is table and not _is_scripted(model):
            hold(engine)
            if walks is not None:
                walks.hold(engine)

    Engine.__init__ = made  # type: ignore[method-assign, assignment]
    if name := os.environ.get("CLERESTORY_HANDED_BACK"):
        atexit.register(_append, Path(name))
    if walks is not None and folder:
        atexit.register(walks.write, Path(folder) / f"{os.getpid()}.walks")


def _is_scripted(model: type) -> bool:
    """Whether it is no shell, but a model whose actions hand back what a test has written down."""
    return any(base.__module__.startswith("tests.statemachines.") for base in model.__mro__)


def hold(engine: Engine) -> None:
    """Hold the walks of one engine."""
    table = engine.table
    for edge in engine.edges:
        if edge.row.action:
            edge.action = _held(edge.action, table, edge.dest.state, edge.row.action)
    for node in engine.nodes:
        if node.spec.when_ready:
            node.when_ready = _held(node.when_ready, table, node.state, node.spec.when_ready)


def _held(call: Callable[..., Name | None], table: Table, state: Name, method: str) -> Callable[..., Name | None]:
    declared = table.handed_back(state, method)

    def held(*arguments: Any) -> Name | None:
        trigger = call(*arguments)
        if trigger is not None:
            if trigger not in declared:
                raise Undeclared(f"{table.name}: {method} handed back {trigger} in {state}: declare it in HANDS_BACK")
            SEEN.add((table.name, str(state), method, str(trigger)))
        return trigger

    return held


class Walks:
    """The machines that are made in this process, and the rows that they pass."""

    def __init__(self) -> None:
        self.lines: list[list[object]] = []
        self._numbers: dict[int, int] = {}
        """Of each machine that has moved, or that was noted when it was made."""
        self._made = 0

    def note_births(self) -> None:
        """Note every machine that is made from now on."""
        make = Machine.__init__

        def made(machine: Machine, engine: Engine, descriptor: int) -> None:
            make(machine, engine, descriptor)
            self._numbers.pop(id(machine), None)
            self._note(machine, engine.table, -1)

        Machine.__init__ = made  # type: ignore[method-assign, assignment]

    def hold(self, engine: Engine) -> None:
        """Note what the machines of `engine` pass: each row's action is called once for it."""
        for number, edge in enumerate(engine.edges):
            edge.action = self._noted(number, engine.table, edge.action, final=edge.dest.final)

    def _noted(
        self, number: int, table: Table, call: Callable[..., Name | None], *, final: bool
    ) -> Callable[..., Name | None]:
        def noted(machine: Machine) -> Name | None:
            line = self._note(machine, table, number)
            trigger = call(machine)
            line[-1] = trigger or "-"
            if final:
                self._numbers.pop(id(machine), None)
            return trigger

        return noted

    def _note(self, machine: Machine, table: Table, row: int) -> list[object]:
        number = self._numbers.get(id(machine))
        if number is None:
            self._made = number = self._numbers[id(machine)] = self._made + 1
        line: list[object] = [threading.get_ident(), number, table.name, row, "-"]
        if len(self.lines) < MOST:
            self.lines.append(line)
        return line

    def write(self, path: Path) -> None:
        """Write them to `path`, unless there were too many."""
        if len(self.lines) < MOST:
            path.write_text("".join(" ".join(map(str, line)) + "\n" for line in self.lines), encoding="utf-8")


def _append(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(" ".join(one) + "\n" for one in sorted(SEEN))
