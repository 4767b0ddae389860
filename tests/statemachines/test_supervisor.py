"""The stories of a supervisor: the first generation, replacements, reloads, and the end."""

import pytest

from clerestory.statemachines.contract import Cause
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.supervisor import TABLE, State, Trigger
from tests.statemachines.recording import BOTH, machine_in, machine_of

S, T = State, Trigger

both = pytest.mark.parametrize("dispatch", BOTH)


@both
def test_one_worker_goes_ahead_and_the_server_is_announced_when_all_are_ready(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.engine.fire(machine, T.WORKER_READY)
    assert (machine.state, machine.calls) == (S.STARTING, ["is_complete?", "start_others"])
    machine.yes = {"is_complete"}
    machine.engine.fire(machine, T.WORKER_READY)
    assert (machine.state, machine.calls[2:]) == (S.SERVING, ["is_complete?", "announce"])


@both
def test_a_first_start_that_fails_ends_the_server(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.script(give_up=T.WORKERS_ENDED)
    machine.engine.fire(machine, T.START_FAILED)
    assert (machine.state, machine.cause) == (S.STOPPED, Cause.SERVER)
    assert machine.calls == ["may_await_change?", "give_up", "stop"]


@both
def test_where_files_are_watched_it_waits_for_a_change_and_starts_again(dispatch: Dispatch) -> None:
    machine = machine_of(TABLE, dispatch)
    machine.yes = {"may_await_change"}
    machine.engine.fire(machine, T.START_FAILED)
    assert machine.state is S.AWAITING_CHANGE
    machine.engine.fire(machine, T.RELOAD_ORDERED)
    assert (machine.state, machine.calls[1:]) == (S.STARTING, ["await_change", "begin_generation"])


@both
@pytest.mark.parametrize("trigger", [T.WORKER_LOST, T.START_FAILED, T.SUCCESSOR_WANTED])
def test_what_is_missing_is_made_up_for(dispatch: Dispatch, trigger: Trigger) -> None:
    machine = machine_in(TABLE, S.SERVING, dispatch)
    machine.engine.fire(machine, trigger)
    assert (machine.state, machine.calls) == (S.SERVING, ["fill"])


@both
def test_a_reload_retires_the_old_when_all_of_the_new_are_ready(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.SERVING, dispatch)
    machine.engine.fire(machine, T.RELOAD_ORDERED)
    machine.engine.fire(machine, T.WORKER_READY)
    assert "retire_old" not in machine.calls
    machine.yes = {"is_complete"}
    machine.engine.fire(machine, T.WORKER_READY)
    assert (machine.state, machine.calls[0], machine.calls[-1]) == (S.SERVING, "begin_generation", "retire_old")


@both
def test_a_reload_that_fails_goes_back(dispatch: Dispatch) -> None:
    machine = machine_in(TABLE, S.RELOADING, dispatch)
    machine.engine.fire(machine, T.START_FAILED)
    assert (machine.state, machine.calls) == (S.SERVING, ["roll_back"])


@pytest.mark.parametrize("state", [S.STARTING, S.RELOADING])
def test_there_are_never_two_reloads(state: State) -> None:
    machine = machine_in(TABLE, state)
    machine.engine.fire(machine, T.RELOAD_ORDERED)
    assert (machine.state, machine.calls) == (state, ["begin_again"])


@pytest.mark.parametrize("state", [S.STARTING, S.SERVING, S.RELOADING, S.AWAITING_CHANGE])
def test_a_signal_drains_and_a_second_one_stops(state: State) -> None:
    machine = machine_in(TABLE, state)
    machine.engine.fire(machine, T.SIGNAL_RECEIVED)
    assert (machine.state, machine.calls) == (S.DRAINING, ["drain"])
    machine.engine.fire(machine, T.SIGNAL_RECEIVED)
    assert (machine.state, machine.calls) == (S.STOPPING, ["drain", "stop_workers"])
    machine.engine.fire(machine, T.WORKERS_ENDED)
    assert (machine.state, machine.cause) == (S.STOPPED, Cause.OPERATOR)


def test_it_waits_for_each_worker_without_a_deadline_of_its_own() -> None:
    machine = machine_in(TABLE, S.DRAINING)
    assert not machine.is_overdue(1e12)
