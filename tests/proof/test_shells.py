"""Counter-examples drive the real shells: without the fault these do what the world does; with it, they do not.

The faults are made automatically in the tables of a client's connection and of one to an upstream; what is found in the
world of a gateway is played to the real shells, once as they are, and once on the table with the fault.
"""

from contextlib import suppress
from typing import Any

import pytest

from clerestory.statemachines import connection, upstream
from clerestory.statemachines.contract import Table
from proof.explorer import Explorer, Fault
from proof.mutants import Mutant, mutants
from proof.traces import Follower, Step
from proof.world import World
from proof.worlds.gateway import gateway, proxying
from tests.proof.stage import Stage

MODULES: dict[str, Any] = {"connection": connection, "upstream": upstream}
WORLD = Follower(proxying(1, range(1, 4)))
FAULTS = [
    "connection: AWAITING_REQUEST HEAD_RECEIVED -> QUERYING_BACKEND is not there",
    "connection: AWAITING_REQUEST PEER_CLOSED -> CLOSED is not there",
    "connection: READING_HEAD HEAD_RECEIVED -> QUERYING_BACKEND is not there",
    "connection: READING_HEAD DEADLINE_PASSED -> SENDING_RESPONSE is not there",
    "connection: QUERYING_BACKEND OUTPUT_READY -> SENDING_RESPONSE is not there",
    "connection: QUERYING_BACKEND PEER_RESET -> CLOSED is not there",
    "connection: HALF_CLOSED PEER_RESET -> CLOSED is not there",
    "upstream: CONNECTING DEADLINE_PASSED -> CLOSED: does not give_up",
    "upstream: AWAITING_RESPONSE ANSWER_ENDED [may_be_pooled] -> IDLE: does not return_to_pool",
    "upstream: AWAITING_RESPONSE DEADLINE_PASSED -> CLOSED: does not give_up",
    "upstream: AWAITING_RESPONSE CLOSE_ORDERED -> CLOSED: does not give_up",
    "upstream: AWAITING_RESPONSE UPSTREAM_RESET -> CLOSED is not there",
]
"""Those of the faults made automatically that a client and an upstream make happen which read and write at once."""


def mutant_of(name: str, what: str) -> Mutant:
    table: Table = MODULES[name].TABLE
    return next(one for one in mutants(table, set(range(len(table.rows)))) if one.what == what)


def place(mutant: Mutant, table: Table) -> int:
    """The number of the row that is changed."""
    return next(at for at, row in enumerate(table.rows) if at >= len(mutant.table.rows) or mutant.table.rows[at] != row)


def played(world: World, fault: Fault) -> tuple[list[Step], bool]:
    """What the real shells do, driven through the counter-example; and whether that is right: whether a way through the
    world without a fault shows the same."""
    stage = Stage(with_body=any("BODY" in event for event, _ in fault.trace))
    try:
        stage.play(world, fault)
        with suppress(AssertionError):  # with a fault the loop may spin
            stage.go_on()
        trace, crashes = stage.trace, stage.bench.crashes
    finally:
        stage.close()
    return trace, not crashes and not WORLD.follow(trace).refused


@pytest.mark.parametrize("what", FAULTS)
def test_a_counter_example_fails_on_the_table_with_the_fault_alone(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = what.partition(":")[0]
    mutant, table = mutant_of(name, what), MODULES[name].TABLE
    world = gateway(1, 0, 0).with_table(mutant.table)
    fault = Explorer(world).explore(liveness=False).fault
    assert fault is not None
    trace, is_right = played(world, fault)
    assert is_right
    assert (name, place(mutant, table)) in {(step.table, step.row) for step in trace}
    monkeypatch.setattr(MODULES[name], "TABLE", mutant.table)
    assert not played(world, fault)[1]
