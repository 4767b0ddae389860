"""What actions hand back is held against what their tables declare (contract.Table.hands_back): in every walk that a
test takes, in this process and in the servers that it starts.

The engine has one door; here each action and each method for readiness that it calls is wrapped. One that hands back
what is not declared raises Undeclared, which ends its machine, and so fails the test. What was handed back is noted in
`SEEN`, and appended to the file that $CLERESTORY_HANDED_BACK names, if it names one: then it can be seen which
declarations no test has reached.
"""

import atexit
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clerestory.statemachines.contract import Name, Table
from clerestory.statemachines.engine import Engine
from clerestory.statemachines.tables import TABLES

SITE = Path(__file__).parent / "site"
"""On the path of a Python process, this makes it hold its own walks."""

Seen = tuple[str, str, str, str]
SEEN: set[Seen] = set()
"""Table, state, method and trigger of what was handed back in this process."""


class Undeclared(AssertionError):
    """A method has handed back what its table does not declare."""


def install() -> None:
    """Hold every engine that is made from now on. Nothing is done where the engine is compiled to C."""
    if not hasattr(Engine.__init__, "__code__"):
        return
    make = Engine.__init__

    def made(engine: Engine, table: Table, model: type, *more: Any, **named: Any) -> None:
        make(engine, table, model, *more, **named)
        if TABLES.get(table.name) is table and not _is_scripted(model):
            hold(engine)

    Engine.__init__ = made  # type: ignore[method-assign, assignment]
    if name := os.environ.get("CLERESTORY_HANDED_BACK"):
        atexit.register(_append, Path(name))


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


def _append(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(" ".join(one) + "\n" for one in sorted(SEEN))
