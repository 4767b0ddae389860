"""Traces: what a world does is accepted by it, and what it does not do is refused, whatever each table says."""

import random

import pytest

from clerestory.statemachines import connection, upstream
from proof.explorer import BORN, Explorer
from proof.graph import State
from proof.recordings import recordings
from proof.traces import Follower, Step, Undecided, in_words, steps_of
from proof.world import World
from proof.worlds.conversations import conversations
from proof.worlds.gateway import gateway
from proof.worlds.process import draining
from proof.worlds.tunnels import tunnels
from tests.proof.test_worlds import silent

WORLDS = [gateway(2, 0, 0), tunnels(), conversations(), draining(2, 1, 2, 2)]


def walked(world: World, seed: int, events: int = 60) -> list[Step]:
    """A walk at random through `world`, as a trace; with each machine that is made anew the name changes."""
    explorer, chance = Explorer(world), random.Random(seed)
    state: State = tuple(explorer.layout.initial)
    lives = [0] * len(world.parts)
    trace = []
    for _ in range(events):
        number = chance.randrange(len(explorer.events))
        turns = list(explorer.turns(state, number))
        if not turns:
            continue
        state, passed = chance.choice(turns)
        for one in passed:
            part = world.parts[one.part]
            hands = list(part.table.triggers.__members__)[one.hands - 1] if one.hands else ""
            trace.append(Step(f"{part.name}/{lives[one.part]}", part.table.name, one.row, hands))
            if part.table.spec(part.table.rows[one.row].dest).final:
                lives[one.part] += 1
    return trace


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_what_a_world_does_is_accepted(world: World) -> None:
    follower = Follower(world)
    for seed in range(5):
        trace = walked(world, seed)
        followed = follower.follow(trace)
        assert followed.refused == ""
        assert followed.steps == len(trace)


def test_what_is_of_no_machine_of_the_world_is_passed_over() -> None:
    other = Step("k", "postgres_cancel", 0)
    assert Follower(gateway(1, 0, 0)).follow([other]).refused == ""


def test_a_machine_is_no_other_one() -> None:
    """Two connections have taken the steps of one."""
    rows = [(str(row.source), str(row.trigger)) for row in connection.TABLE.rows]
    begins, resets = rows.index(("AWAITING_REQUEST", "HEAD_STARTED")), rows.index(("READING_HEAD", "PEER_RESET"))
    follower = Follower(gateway(2, 0, 0))
    assert follower.follow([Step("a", "connection", begins), Step("a", "connection", resets)]).refused == ""
    assert follower.follow([Step("a", "connection", begins), Step("b", "connection", resets)]).refused.startswith(
        "step 2"
    )


def test_the_counter_example_of_a_fault_is_refused_by_the_world_without_it() -> None:
    """Each of its machines agrees with its table: the action alone is missing, by which one tells the other."""
    world = gateway(1, 1, 1)
    faulty = world.with_table(silent(upstream.TABLE, "give_up"))
    fault = Explorer(faulty).explore().fault
    assert fault is not None
    trace = steps_of(recordings(faulty, fault))
    assert {step.table for step in trace} == {"connection", "upstream"}
    assert Follower(world).follow(trace).refused == f"step {len(trace)} of {len(trace)}: {in_words(trace[-1])}"
    assert Follower(faulty).follow(trace).refused == ""


def test_what_an_action_hands_back_is_held_too() -> None:
    world = draining(1, 1, 1, 1)
    trace = [Step("p", "process", 0, "")]
    assert Follower(world).follow(trace).refused == ""
    assert Follower(world).follow([trace[0]._replace(hands="SIGNAL_RECEIVED")]).refused == (
        "step 1 of 1: process p: STARTING LISTENING -> SERVING"
    )


def test_machines_that_are_made_are_held_where_it_is_said_so() -> None:
    world = draining(1, 1, 1, 1)
    begun = [Step("p", "process", 0), Step("c", "connection", BORN)]
    assert in_words(begun[1]) == "connection c is made"
    assert Follower(world, ["connection"]).follow(begun).refused == ""
    twice = [*begun, Step("d", "connection", BORN)]
    assert Follower(world, ["connection"]).follow(twice).refused == "step 3 of 3: connection d is made"
    assert Follower(world).follow(twice).refused == ""


def test_a_recording_that_its_table_does_not_know_is_no_trace() -> None:
    passage = {"at": 1.0, "source": "IDLE", "trigger": "CONNECTED", "dest": "CLOSED", "guard": ""}
    with pytest.raises(ValueError, match="upstream: no row"):
        steps_of({"u": {"machine": "upstream", "passages": [passage]}})


def test_where_the_world_may_be_in_too_many_states_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proof.traces.MOST", 1)
    with pytest.raises(Undecided):
        Follower(gateway(2, 0, 0)).follow(walked(gateway(2, 0, 0), 1))
