"""The machines of the server together: every promise of every small world is kept, and every world can fail."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clerestory.statemachines import listener, postgres, process, upstream, work
from clerestory.statemachines.contract import Name, Table
from proof.catalogue import quick
from proof.explorer import Explorer
from proof.recordings import recordings, write
from proof.world import World
from proof.worlds.database import database
from proof.worlds.gateway import gateway
from proof.worlds.process import draining
from proof.worlds.threads import threads


@pytest.mark.parametrize("world", quick(), ids=lambda world: world.name)
def test_all_that_a_small_world_promises_holds(world: World) -> None:
    outcome = Explorer(world).explore()
    assert outcome.fault is None
    assert world.always
    assert world.eventually
    assert {part.table.name for part in world.parts if part.born} <= {name for name, _ in outcome.rows}


def without(table: Table, source: Name, trigger: Name) -> Table:
    rows = tuple(row for row in table.rows if (row.source, row.trigger) != (source, trigger))
    assert len(rows) < len(table.rows)
    return replace(table, rows=rows)


def silent(table: Table, action: str) -> Table:
    """The same table, where that action does nothing."""
    assert any(row.action == action for row in table.rows)
    return replace(
        table, rows=tuple(replace(row, action="" if row.action == action else row.action) for row in table.rows)
    )


FAULTS = [
    (gateway(1, 1, 1), silent(upstream.TABLE, "return_to_pool"), "a connection in the pool has no owner"),
    (gateway(1, 1, 1), silent(upstream.TABLE, "give_up"), "what is not there has no owner"),
    (
        gateway(1, 1, 1),
        without(upstream.TABLE, upstream.State.READING_BODY, upstream.Trigger.CALLER_LEFT),
        "u: no row for CALLER_LEFT in READING_BODY",
    ),
    (
        database(1, 2, 1),
        silent(postgres.TABLE, "reset_session"),
        "a session that is being reset has no owner",
    ),
    (
        threads(2),
        without(work.TABLE, work.State.ABANDONED, work.Trigger.WITHDRAWN),
        "w1: no row for WITHDRAWN in ABANDONED",
    ),
    (
        draining(1, 1, 1, 1),
        silent(listener.TABLE, "accept_backlog"),
        "no client is left in the backlog of a listener that is closed",
    ),
    (draining(1, 1, 1, 1), silent(process.TABLE, "cut_off"), "a process that has stopped has no connections"),
]


@pytest.mark.parametrize(("world", "table", "what"), FAULTS, ids=[what for _, _, what in FAULTS])
def test_a_fault_in_a_table_is_found(world: World, table: Table, what: str) -> None:
    fault = Explorer(world.with_table(table)).explore().fault
    assert fault is not None
    assert fault.what.startswith(what)


def test_a_counter_example_is_a_recording_for_each_machine_that_replay_walks(tmp_path: Path) -> None:
    """A silent action changes nothing that a table says of itself: its recordings agree with the table that runs."""
    world = gateway(1, 1, 1).with_table(silent(upstream.TABLE, "give_up"))
    fault = Explorer(world).explore().fault
    assert fault is not None
    assert set(recordings(world, fault)) == {"c0", "u"}
    for path in write(world, fault, tmp_path / "made"):
        command = [sys.executable, "-m", "clerestory", "replay", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "transitions agree with the table of" in done.stdout


def test_a_counter_example_of_rows_that_there_are_not_is_refused_by_replay(tmp_path: Path) -> None:
    """The table with the fault leads elsewhere: the recording disagrees with the table that runs, and says where."""
    rows = tuple(
        replace(row, dest=row.source) if row.trigger == "CALLER_LEFT" and row.source == "AWAITING_RESPONSE" else row
        for row in upstream.TABLE.rows
    )
    world = gateway(1, 0, 0).with_table(replace(upstream.TABLE, rows=rows))
    fault = Explorer(world).explore().fault
    assert fault is not None
    (path,) = [one for one in write(world, fault, tmp_path) if one.name == "gateway-u.json"]
    command = [sys.executable, "-m", "clerestory", "replay", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "CALLER_LEFT" in done.stdout + done.stderr
