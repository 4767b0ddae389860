"""The engine: fire runs to completion, keeps exact books, leaves alone what it refuses."""

from dataclasses import replace
from enum import auto
from typing import Any

import pytest

from clerestory.statemachines.contract import HUNG_UP, Facts, Interest, Name, Row
from clerestory.statemachines.engine import BUCKETS, HISTORY, Dispatch, Edge, Engine, Machine, UnexpectedTrigger
from tests.statemachines.recording import BOTH, Clock, Recording, machine_of, recording_model
from tests.statemachines.walker import REST, TABLE, WALK, S, T
from tests.support.nesting import is_compiled

both = pytest.mark.parametrize("dispatch", BOTH)


def books(machine: Recording) -> tuple[Any, ...]:
    """Everything that the engine keeps of a machine and for its table."""
    return (
        machine.state,
        machine.since,
        list(machine.spent),
        list(machine.history),
        [edge.count for edge in machine.engine.edges],
        [list(node.dwell) for node in machine.engine.nodes],
    )


# --- the walk


@both
def test_a_machine_begins_in_the_initial_state_with_empty_books(dispatch: Dispatch) -> None:
    clock = Clock(50.0)
    machine = machine_of(TABLE, dispatch, clock)
    assert machine.state is S.RESTING
    assert books(machine) == (S.RESTING, 50.0, [0.0, 0.0, 0.0], [], [0] * 5, [[0] * BUCKETS] * 3)
    assert machine.descriptor == 7
    assert machine.registered == 0


@both
def test_the_first_row_whose_guard_says_yes_is_taken_and_the_guards_below_are_not_asked(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.yes = {"is_sunny", "is_dry"}
    machine.engine.fire(machine, T.CALLED)
    assert (machine.state, machine.calls) == (S.WALKING, ["is_sunny?", "skip"])


@both
def test_guards_are_asked_from_the_top_down(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.yes = {"is_dry"}
    machine.engine.fire(machine, T.CALLED)
    assert (machine.state, machine.calls) == (S.WALKING, ["is_sunny?", "is_dry?", "stroll"])


@both
def test_the_default_is_taken_when_every_guard_says_no(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.engine.fire(machine, T.CALLED)
    assert (machine.state, machine.calls) == (S.RESTING, ["is_sunny?", "is_dry?"])
    assert machine.passed == [TABLE.rows[2]]


@both
def test_what_an_action_hands_back_is_fired_until_it_hands_back_none(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.yes = {"is_sunny"}
    machine.script(skip=[T.TIRED, T.DISMISSED], sit=[T.CALLED])
    machine.engine.fire(machine, T.CALLED)
    assert machine.state is S.GONE
    assert machine.calls == ["is_sunny?", "skip", "sit", "is_sunny?", "skip"]
    assert machine.passed == [TABLE.rows[index] for index in (0, 3, 0, 4)]


@both
def test_an_action_runs_in_the_state_that_its_row_leads_to(dispatch: Dispatch) -> None:
    seen: list[Name] = []

    class Watching(recording_model(TABLE)):  # type: ignore[misc]
        def skip(self) -> None:
            seen.append(self.state)

    machine = Watching(Engine(TABLE, Watching, Clock(), dispatch=dispatch))
    machine.yes = {"is_sunny"}
    machine.engine.fire(machine, T.CALLED)
    assert seen == [S.WALKING]


@both
def test_firing_none_does_nothing(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    before = books(machine)
    machine.engine.fire(machine, None)
    assert books(machine) == before


@both
def test_a_walk_inside_a_walk_of_another_machine_is_noted_and_harms_neither(
    dispatch: Dispatch, nested_walks: list[str]
) -> None:
    model = recording_model(TABLE)

    class Caller(model):  # type: ignore[misc,valid-type]
        other: Recording

        def skip(self) -> Name:
            self.engine.fire(self.other, T.CALLED)
            return T.DISMISSED

    engine = Engine(TABLE, Caller, Clock(), dispatch=dispatch)
    first, second = Caller(engine), Caller(engine)
    first.other, first.yes = second, {"is_sunny"}
    second.yes = {"is_dry"}
    engine.fire(first, T.CALLED)
    assert (first.state, second.state) == (S.GONE, S.WALKING)
    assert len(nested_walks) == (0 if is_compiled() else 1)
    nested_walks.clear()


# --- errors


@both
@pytest.mark.parametrize(("state", "trigger"), [(S.RESTING, T.TIRED), (S.RESTING, T.DISMISSED)])
def test_a_trigger_without_a_row_is_refused_by_name_and_leaves_everything_alone(
    dispatch: Dispatch, state: Name, trigger: Name
) -> None:
    clock = Clock()
    machine = machine_of(TABLE, dispatch, clock)
    machine.engine.fire(machine, T.CALLED)
    before = books(machine)
    clock.now += 3
    with pytest.raises(UnexpectedTrigger) as caught:
        machine.engine.fire(machine, trigger)
    assert str(caught.value) == f"walker: no row for {trigger} in {state}"
    assert (caught.value.machine, caught.value.state, caught.value.trigger) == ("walker", state, trigger)
    assert books(machine) == before


@both
def test_a_final_state_refuses_everything(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.yes = {"is_sunny"}
    machine.script(skip=T.DISMISSED)
    machine.engine.fire(machine, T.CALLED)
    for trigger in T:
        with pytest.raises(UnexpectedTrigger, match=f"{trigger} in GONE"):
            machine.engine.fire(machine, trigger)
    assert machine.state is S.GONE


@both
def test_a_trigger_of_nowhere_is_refused_like_one_without_a_row(dispatch: Dispatch) -> None:
    class Foreign(Name):
        FELL = auto()

    machine = machine_of(TABLE, dispatch)
    with pytest.raises(UnexpectedTrigger, match="walker: no row for FELL in RESTING"):
        machine.engine.fire(machine, Foreign.FELL)


@both
def test_a_wrong_trigger_handed_back_is_refused_in_the_state_that_the_action_ran_in(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.yes = {"is_sunny"}
    machine.script(skip=T.CALLED)
    with pytest.raises(UnexpectedTrigger, match="walker: no row for CALLED in WALKING"):
        machine.engine.fire(machine, T.CALLED)
    assert machine.state is S.WALKING


@both
def test_when_an_action_raises_the_state_is_the_one_its_row_led_to(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.yes = {"is_sunny"}
    machine.script(skip=ValueError("rain"))
    with pytest.raises(ValueError, match="rain"):
        machine.engine.fire(machine, T.CALLED)
    assert (machine.state, machine.passed) == (S.WALKING, [TABLE.rows[0]])
    machine.engine.fire(machine, T.TIRED)
    assert (machine.state, machine.passed) == (S.RESTING, [TABLE.rows[0], TABLE.rows[3]])


@both
def test_when_a_guard_raises_everything_is_left_alone(dispatch: Dispatch) -> None:
    class Doubting(recording_model(TABLE)):  # type: ignore[misc]
        def is_sunny(self) -> bool:
            raise ValueError("who knows")

    machine = Doubting(Engine(TABLE, Doubting, Clock(), dispatch=dispatch))
    before = books(machine)
    with pytest.raises(ValueError, match="who knows"):
        machine.engine.fire(machine, T.CALLED)
    assert books(machine) == before


# --- the books


@both
def test_time_of_entry_time_spent_and_counts_are_exactly_right(dispatch: Dispatch) -> None:
    clock = Clock(100.0)
    machine = machine_of(TABLE, dispatch, clock)
    machine.yes = {"is_dry"}
    for wait, trigger in ((2.0, T.CALLED), (0.5, T.TIRED), (4.0, T.CALLED), (0.25, T.DISMISSED)):
        clock.now += wait
        machine.engine.fire(machine, trigger)
    assert machine.since == 106.75
    assert machine.spent == [6.0, 0.75, 0.0]
    assert [(when, edge.row) for when, edge in machine.history] == [
        (102.0, TABLE.rows[1]),
        (102.5, TABLE.rows[3]),
        (106.5, TABLE.rows[1]),
        (106.75, TABLE.rows[4]),
    ]
    assert [edge.count for edge in machine.engine.edges] == [0, 2, 0, 1, 1]
    assert [sum(node.dwell) for node in machine.engine.nodes] == [2, 2, 0]


@both
def test_a_passage_to_the_same_state_begins_its_time_anew(dispatch: Dispatch) -> None:
    clock = Clock(100.0)
    machine = machine_of(TABLE, dispatch, clock)
    clock.now = 103.0
    machine.engine.fire(machine, T.CALLED)
    assert (machine.state, machine.since, machine.spent) == (S.RESTING, 103.0, [3.0, 0.0, 0.0])


@both
def test_the_books_of_a_table_are_shared_by_its_machines_and_their_own_are_not(dispatch: Dispatch) -> None:
    model = recording_model(TABLE)
    engine = Engine(TABLE, model, Clock(), dispatch=dispatch)
    first, second = model(engine), model(engine)
    engine.fire(first, T.CALLED)
    engine.fire(second, T.CALLED)
    engine.fire(second, T.CALLED)
    assert [edge.count for edge in engine.edges] == [0, 0, 3, 0, 0]
    assert (len(first.history), len(second.history)) == (1, 2)


@both
@pytest.mark.parametrize(
    ("microseconds", "bucket"),
    [(0, 0), (0.5, 0), (1, 1), (1.5, 1), (2, 2), (3.9, 2), (4, 3), (1000, 10), (1023, 10), (1024, 11), (15e6, 24)],
)
def test_a_stay_is_counted_in_the_bucket_of_its_power_of_two(
    dispatch: Dispatch, microseconds: float, bucket: int
) -> None:
    clock = Clock(0.0)
    machine = machine_of(TABLE, dispatch, clock)
    clock.now = (microseconds + 1e-4) / 1e6
    machine.engine.fire(machine, T.CALLED)
    assert [index for index, count in enumerate(machine.engine.nodes[0].dwell) if count] == [bucket]


@both
def test_a_stay_of_a_thousand_years_still_has_a_bucket(dispatch: Dispatch) -> None:
    clock = Clock(0.0)
    machine = machine_of(TABLE, dispatch, clock)
    clock.now = 1000 * 366 * 86400.0
    machine.engine.fire(machine, T.CALLED)
    assert sum(machine.engine.nodes[0].dwell) == 1


@both
def test_history_keeps_the_last_passages_and_forgets_the_one_before(dispatch: Dispatch) -> None:
    clock = Clock(0.0, tick=1.0)
    machine = machine_of(TABLE, dispatch, clock)
    for _ in range(HISTORY):
        machine.engine.fire(machine, T.CALLED)
    assert [when for when, _ in machine.history] == [float(second) for second in range(2, HISTORY + 2)]
    machine.engine.fire(machine, T.CALLED)
    assert [when for when, _ in machine.history] == [float(second) for second in range(3, HISTORY + 3)]
    assert machine.engine.edges[2].count == HISTORY + 1


@both
def test_the_trail_is_a_ring_that_never_grows(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, Clock(0.0, tick=1.0))
    ring = machine.ring
    for _ in range(HISTORY + 5):
        machine.engine.fire(machine, T.CALLED)
    assert machine.ring is ring
    assert len(ring) == 2 * HISTORY
    assert machine.ring_end == 10
    assert ring[8] == machine.history[-1][0]
    assert ring[10] == machine.history[0][0]


@both
def test_those_that_have_ended_are_counted_by_the_edges_that_they_took(dispatch: Dispatch) -> None:
    model = recording_model(TABLE)
    engine = Engine(TABLE, model, Clock(), dispatch=dispatch)
    for ending in (True, False, True):
        machine = model(engine)
        machine.yes = {"is_sunny"}
        machine.script(skip=T.DISMISSED if ending else None)
        engine.fire(machine, T.CALLED)
    assert engine.ended() == 2


@both
def test_the_clock_is_read_once_a_passage(dispatch: Dispatch) -> None:
    clock = Clock(0.0, tick=1.0)
    machine = machine_of(TABLE, dispatch, clock)
    machine.yes = {"is_sunny"}
    machine.script(skip=T.TIRED)
    machine.engine.fire(machine, T.CALLED)
    assert clock.now == 3.0


# --- the observer


@both
def test_an_observer_is_told_of_each_passage_before_its_action_runs(dispatch: Dispatch) -> None:
    seen: list[tuple[Name, Row, list[str]]] = []

    def observe(told: Machine, edge: Edge) -> None:
        seen.append((told.state, edge.row, list(machine.calls)))

    machine = machine_of(TABLE, dispatch, observer=observe)
    machine.yes = {"is_dry"}
    machine.script(stroll=T.TIRED)
    machine.engine.fire(machine, T.CALLED)
    assert seen == [
        (S.WALKING, TABLE.rows[1], ["is_sunny?", "is_dry?"]),
        (S.RESTING, TABLE.rows[3], ["is_sunny?", "is_dry?", "stroll"]),
    ]


@both
def test_an_observer_is_not_told_of_what_was_refused(dispatch: Dispatch) -> None:
    seen: list[Edge] = []
    machine = machine_of(TABLE, dispatch, observer=lambda machine, edge: seen.append(edge))
    with pytest.raises(UnexpectedTrigger, match="walker: no row for TIRED in RESTING"):
        machine.engine.fire(machine, T.TIRED)
    assert seen == []


@both
def test_an_observer_hears_nothing_when_none_is_fired(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch, observer=lambda machine, edge: None)
    machine.engine.fire(machine, None)
    assert list(machine.history) == []


# --- the machine and its nodes


def test_a_machine_accepts_what_its_state_has_a_row_for() -> None:
    machine = machine_of(TABLE)
    assert [trigger for trigger in T if machine.accepts(trigger)] == [T.CALLED]
    machine.yes = {"is_sunny"}
    machine.engine.fire(machine, T.CALLED)
    assert [trigger for trigger in T if machine.accepts(trigger)] == [T.TIRED, T.DISMISSED]


def test_a_state_is_overdue_at_its_deadline_and_not_before() -> None:
    clock = Clock(10.0)
    machine = machine_of(TABLE, clock=clock)
    machine.yes = {"is_sunny"}
    machine.engine.fire(machine, T.CALLED)
    assert not machine.is_overdue(14.999)
    assert machine.is_overdue(15.0)


def test_limits_override_a_deadline_by_its_option() -> None:
    machine = machine_of(TABLE, limits={"walk_timeout": 2.0, "unknown": 1.0})
    assert [node.limit for node in machine.engine.nodes] == [0.0, 2.0, float("inf")]


def test_a_paced_state_is_always_for_the_model_to_judge() -> None:
    machine = machine_of(TABLE)
    assert machine.is_overdue(machine.since)


def test_a_final_state_is_never_overdue() -> None:
    machine = machine_of(TABLE)
    machine.yes = {"is_sunny"}
    machine.script(skip=T.DISMISSED)
    machine.engine.fire(machine, T.CALLED)
    assert not machine.is_overdue(1e12)
    assert machine.node.final


def test_a_machine_that_holds_nothing_has_nothing_to_give_back_when_it_ends() -> None:
    machine = machine_of(TABLE)
    before = books(machine)
    machine.ended()
    machine.close()
    assert books(machine) == before


def test_a_node_has_its_specs_interest_deadline_and_looker() -> None:
    resting, walking, gone = machine_of(TABLE).engine.nodes
    assert [node.mask for node in (resting, walking, gone)] == [0x001, 0x005, 0]
    assert [node.deadline for node in (resting, walking, gone)] == [REST, WALK, None]
    assert [node.spec for node in (resting, walking, gone)] == list(TABLE.specs)
    assert [node.accepted_events for node in (resting, walking, gone)] == [0x001 | HUNG_UP, 0x005 | HUNG_UP, HUNG_UP]


def test_a_state_that_waits_for_a_hang_up_only_asks_for_nothing_and_heeds_it_all_the_same() -> None:
    quiet = replace(TABLE.specs[0], waits_for=Interest.HANG_UP)
    node = machine_of(replace(TABLE, specs=(quiet, *TABLE.specs[1:]))).node
    assert (node.mask, node.accepted_events) == (0, HUNG_UP)


def test_a_final_state_does_nothing_with_readiness() -> None:
    machine = machine_of(TABLE)
    before = books(machine)
    machine.engine.nodes[2].when_ready(machine, 0x001)
    assert books(machine) == before
    assert machine.calls == []


def test_states_that_read_have_a_half_close_registered_where_another_state_waits_for_one() -> None:
    """Then entering that state changes nothing of what the poller has been told."""
    quiet = replace(TABLE.specs[1], waits_for=Interest.HALF_CLOSE)
    resting, walking, _ = machine_of(replace(TABLE, specs=(TABLE.specs[0], quiet, TABLE.specs[2]))).engine.nodes
    assert (resting.mask, walking.mask) == (0x001 | 0x2000, 0x2000)
    assert walking.mask & ~resting.mask == 0
    assert walking.accepted_events == 0x2000 | HUNG_UP


def test_the_looker_of_a_state_is_called_with_what_is_ready() -> None:
    machine = machine_of(TABLE)
    machine.script(listen=T.CALLED)
    assert machine.node.when_ready(machine, 0x001) is T.CALLED
    assert machine.calls == ["listen"]


def test_a_machine_that_has_nothing_to_tell_of_itself_gives_no_facts() -> None:
    assert Facts(*machine_of(TABLE).facts()) == Facts()


def test_machines_and_edges_name_themselves() -> None:
    machine = machine_of(TABLE)
    assert repr(machine) == "<walker fd 7 RESTING>"
    assert repr(machine.engine.edges[0]) == "RESTING --CALLED--> WALKING"


def test_a_machine_is_a_slotted_object_and_its_state_can_not_be_set() -> None:
    machine: Any = Machine(machine_of(TABLE).engine, 3)
    with pytest.raises(AttributeError):
        machine.mood = "fine"
    assert vars(Machine)["state"].fset is None
