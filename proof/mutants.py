"""Faults made automatically in the tables that run, and how many of them are found.

A mutant is one table with one change:

    removed     a row is not there
    silent      a row has no action: what it would have told, given back or begun is not
    led astray  a row leads to the state that it leaves
    unguarded   the guard of a row always says no
    swapped     two states have each other's deadline

It is found by the checks of its own table (statemachines.checks), or by exploring the worlds in which its machine
takes part. What survives both is listed, with the reason, in docs/proof.md.
"""

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from clerestory.statemachines.checks import CHECKS
from clerestory.statemachines.contract import Deadline, Row, Table
from proof.explorer import Explorer
from proof.language import WorldError
from proof.world import World

SEED = 17
"""Of the order in which mutants are judged."""

MOST_STATES = 30_000
"""States up to which the world of a mutant is explored, which is ten times what one has without: a world that grows
beyond that decides nothing."""

KINDS = ("removed", "silent", "led astray", "unguarded", "swapped")


OWN = "the table's own checks"
"""What has found a mutant, where no world has."""


class Mutant(NamedTuple):
    """A table with a fault, which `what` says in words."""

    kind: str
    what: str
    table: Table


class Judged(NamedTuple):
    """What became of a mutant: by which world or check it was found, and what that said. `by` is empty where it was not
    found."""

    mutant: Mutant
    by: str
    said: str


def mutants(table: Table, rows: set[int]) -> Iterator[Mutant]:
    """Every mutant of `table` in the rows with the numbers `rows`, which are those that some world passes."""
    for number in sorted(rows):
        row = table.rows[number]
        name = f"{table.name}: {show(row)}"
        if not row.guard:
            yield Mutant("removed", f"{name} is not there", _with(table, number, None))
        else:
            yield Mutant("unguarded", f"{name}: its guard says no", _with(table, number, None))
        if row.action:
            yield Mutant("silent", f"{name}: does not {row.action}", _with(table, number, replace(row, action="")))
        if row.dest is not row.source:
            yield Mutant(
                "led astray", f"{name}: leads to {row.source}", _with(table, number, replace(row, dest=row.source))
            )
    timed = [spec for spec in table.specs if isinstance(spec.deadline, Deadline)]
    for one, other in pairwise(timed):
        if one.deadline != other.deadline:
            specs = tuple(
                replace(spec, deadline=other.deadline if spec is one else one.deadline)
                if spec in (one, other)
                else spec
                for spec in table.specs
            )
            what = f"{table.name}: {one.state} and {other.state} have each other's deadline"
            yield Mutant("swapped", what, replace(table, specs=specs))


def show(row: Row) -> str:
    """The row in a line."""
    guard = f" [{row.guard}]" if row.guard else ""
    return f"{row.source} {row.trigger}{guard} -> {row.dest}"


def _with(table: Table, number: int, row: Row | None) -> Table:
    rows = [*table.rows[:number], *([row] if row is not None else []), *table.rows[number + 1 :]]
    return replace(table, rows=tuple(rows))


def all_mutants(worlds: Sequence[World]) -> list[Mutant]:
    """The mutants of every table that takes part in `worlds`, in the rows that these pass."""
    passed: dict[str, set[int]] = {}
    tables: dict[str, Table] = {}
    for world in worlds:
        tables |= {part.table.name: part.table for part in world.parts}
        for name, row in Explorer(world).explore(liveness=False).rows:
            passed.setdefault(name, set()).add(row)
    return [mutant for name, table in tables.items() for mutant in mutants(table, passed.get(name, set()))]


def in_order(found: Sequence[Mutant]) -> list[Mutant]:
    """All of them, in an order of which every beginning is an even sample of the tables and of the kinds."""
    chance = random.Random(SEED)
    groups: dict[tuple[str, str], list[Mutant]] = {}
    for mutant in found:
        groups.setdefault((mutant.table.name, mutant.kind), []).append(mutant)
    placed: list[tuple[float, str, Mutant]] = []
    for group in groups.values():
        chance.shuffle(group)
        offset = chance.random()
        placed += [((at + offset) / len(group), mutant.what, mutant) for at, mutant in enumerate(group)]
    return [mutant for _, _, mutant in sorted(placed, key=lambda one: one[:2])]


def judge(mutant: Mutant, worlds: Sequence[World]) -> Judged:
    """Look for the fault: first in the worlds, then by the checks of the table alone."""
    said = ""
    for world in worlds:
        if not any(part.table.name == mutant.table.name for part in world.parts):
            continue
        try:
            outcome = Explorer(world.with_table(mutant.table)).explore(MOST_STATES)
        except WorldError as error:
            return Judged(mutant, world.name, str(error))
        except OverflowError as error:
            said = str(error)
            continue
        if outcome.fault is not None:
            return Judged(mutant, world.name, outcome.fault.what)
    by = {law: offenders for law, check in CHECKS.items() if (offenders := check(mutant.table))}
    for law, offenders in by.items():
        return Judged(mutant, OWN, f"{law}: {offenders[0]}")
    return Judged(mutant, "", said)


def judge_all(
    found: Sequence[Mutant],
    worlds: Sequence[World],
    tell: Callable[[str], object] = str,
    *,
    seconds: float = math.inf,
    kept: Path | None = None,
) -> list[Judged]:
    """Judge them one after the other, until so many seconds are over; `tell` is told of each. What was judged before is
    read from the file `kept`, and what is judged now is added to it. The result is of a beginning of `found`."""
    known = _read(kept)
    until = monotonic() + seconds
    judged = []
    for number, mutant in enumerate(found, 1):
        last = known.get(_key(mutant))
        if last is None:
            if monotonic() > until:
                break  # what was judged of those behind is no even sample
            one = judge(mutant, worlds)
            last = one.by, one.said
            _add(kept, mutant, last)
        by, said = last
        judged.append(Judged(mutant, by, said))
        tell(f"{number}/{len(found)} {mutant.what}: " + (f"found by {by}: {said}" if by else f"SURVIVES {said}"))
    return judged


def _key(mutant: Mutant) -> str:
    return f"{mutant.kind}: {mutant.what}"


def _read(kept: Path | None) -> dict[str, tuple[str, str]]:
    lines = kept.read_text(encoding="utf-8").splitlines() if kept is not None and kept.exists() else []
    return {key: (by, said) for key, by, said in map(json.loads, lines)}


def _add(kept: Path | None, mutant: Mutant, judged: tuple[str, str]) -> None:
    if kept is not None:
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps([_key(mutant), *judged]) + "\n")
