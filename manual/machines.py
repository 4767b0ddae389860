"""A page for each machine, from its table: what it is for, its picture, its states and its transitions."""

import sys
from pathlib import Path

from clerestory.statemachines.contract import Deadline, Row, Spec, Table
from clerestory.statemachines.tables import TABLES

PLACE = "reference/machines/{}.md"
PICTURE = "reference/machines/{}.svg"


def names() -> list[str]:
    """The machines, in the order in which they are best explained."""
    return list(TABLES)


def pages() -> dict[str, str]:
    """Every page, and one that lists them, by place."""
    rows = "\n".join(f"| [{name}]({name}.md) | {_first(table)} |" for name, table in TABLES.items())
    index = f"# All machines\n\nEach is a table that the server runs.\n\n| machine | what it is |\n|---|---|\n{rows}\n"
    return {PLACE.format("index"): index} | {PLACE.format(name): page(table) for name, table in TABLES.items()}


def pictures(root: Path) -> dict[str, Path]:
    """The pictures by place."""
    return {PICTURE.format(name): root / "diagrams" / f"{name}.svg" for name in TABLES}


def page(table: Table) -> str:
    """The page of one machine."""
    states = "\n".join(_state(spec) for spec in table.specs)
    rows = "\n".join(_row(row) for row in table.rows)
    return (
        f"# {table.name}\n\n{_about(table)}\n\n![The machine {table.name}]({table.name}.svg)\n\n"
        f"## States\n\n| state | waits for | deadline | meaning |\n|---|---|---|---|\n{states}\n\n"
        f"## Transitions\n\n| state | trigger | next state | guard | action |\n|---|---|---|---|---|\n{rows}\n"
    )


def _about(table: Table) -> str:
    """The docstring of the module that has the table, as Markdown."""
    return sys.modules[table.states.__module__].__doc__ or ""


def _first(table: Table) -> str:
    """Its first sentence."""
    return _cell(" ".join(_about(table).partition("\n\n")[0].split()))


def _state(spec: Spec) -> str:
    deadline = spec.deadline
    until = f"`--{deadline.option.replace('_', '-')}`" if isinstance(deadline, Deadline) else f"none: {deadline.why}"
    return f"| `{spec.state}` | {_cell(spec.phrase())} | {_cell(until)} | {_cell(spec.true_while)} |"


def _row(row: Row) -> str:
    guard, action = (f"`{name}`" if name else "" for name in (row.guard, row.action))
    return f"| `{row.source}` | `{row.trigger}` | `{row.dest}` | {guard} | {action} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
