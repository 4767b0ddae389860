"""The deadlines of a client's connection."""

from clerestory.statemachines import connection_deadlines
from clerestory.statemachines.connection import TABLE
from clerestory.statemachines.contract import Deadline


def test_each_of_them_is_some_states_and_every_state_has_one_of_them() -> None:
    ours = [one for one in vars(connection_deadlines).values() if isinstance(one, Deadline)]
    used = [spec.deadline for spec in TABLE.specs if not spec.final]
    assert all(one in used for one in ours)
    assert all(one in ours for one in used)
    assert len({one.option for one in ours}) == len(ours)
