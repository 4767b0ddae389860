"""The engine's rows all walk the same way, so that their costs can be compared."""

import inspect
from typing import Any

import pytest

from benchmarks.suites.engine import HAPPY, LADDER, LEFT_OUT, PATHS, Ladder, compiled, stock, without
from clerestory.statemachines import connection
from clerestory.statemachines.engine import Dispatch, Engine


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dispatch", list(Dispatch))
def test_one_pass_makes_the_transitions_that_are_counted(path: str, dispatch: Dispatch) -> None:
    table, triggers = PATHS[path]
    engine, machine = compiled(table, dispatch)
    engine.fire(machine, triggers[0])
    assert sum(edge.count for edge in engine.edges) == len(triggers)


def test_the_happy_path_comes_back_to_where_it_began() -> None:
    engine, machine = compiled(connection.TABLE, Dispatch.COMPILED)
    engine.fire(machine, HAPPY[0])
    assert machine.state is connection.State.AWAITING_REQUEST
    assert [edge.trigger for _, edge in machine.history] == list(HAPPY)


def test_the_stock_library_walks_the_same_states() -> None:
    model = stock(connection.TABLE)
    visited = []
    for trigger in HAPPY:
        getattr(model, trigger.name)()
        visited.append(model.state)
    assert visited == ["QUERYING_BACKEND", "SENDING_RESPONSE", "AWAITING_REQUEST"]
    ladder = stock(LADDER)
    ladder.STEPPED()
    assert ladder.state == Ladder.RIGHT


@pytest.mark.parametrize("parts", LEFT_OUT.values(), ids=list(LEFT_OUT))
def test_what_is_left_out_is_only_recording(parts: tuple[str, ...]) -> None:
    engine, machine = compiled(connection.TABLE, Dispatch.COMPILED)
    without(engine, *parts)(machine, HAPPY[0])
    assert machine.state is connection.State.AWAITING_REQUEST
    assert len(machine.history) == (0 if "history" in parts else 3)
    assert sum(edge.count for edge in engine.edges) == (0 if "count" in parts else 3)
    assert sum(sum(node.dwell) for node in engine.nodes) == (0 if "dwell" in parts else 3)


def test_a_line_that_is_no_longer_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = compiled(connection.TABLE, Dispatch.COMPILED)
    source = inspect.getsource(Engine.walk)

    def changed(_: Any) -> str:
        return source.replace("edge.count += 1", "edge.count = edge.count + 1")

    monkeypatch.setattr("benchmarks.suites.engine.inspect.getsource", changed)
    with pytest.raises(LookupError, match=r"no line `edge.count \+= 1` any more"):
        without(engine, "count")
