"""The limits: each has a unit and a reason, and each deadline is its table's own."""

from dataclasses import FrozenInstanceError, fields

import pytest

from server.config import OPTIONS, Limits
from statemachines.contract import Deadline
from statemachines.tables import TABLES

DEADLINES = {
    spec.deadline.option: spec.deadline
    for name in ("connection", "listener", "process")
    for spec in TABLES[name].specs
    if isinstance(spec.deadline, Deadline)
}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_limit_has_a_unit_a_reason_and_a_default_of_its_kind(option: object) -> None:
    (found,) = [field for field in fields(Limits) if field is option]
    assert found.metadata["unit"] in ("seconds", "bytes", "bytes/s", "requests", "fields", "ranges", "connections")
    assert len(found.metadata["help"]) > 10
    assert not found.metadata["help"].endswith(".")
    assert isinstance(found.default, float if found.metadata["unit"] == "seconds" else int)
    assert found.default >= 0


@pytest.mark.parametrize("option", DEADLINES)
def test_every_deadline_of_a_table_is_a_limit_with_the_tables_default_and_reason(option: str) -> None:
    (field,) = [field for field in OPTIONS if field.name == option]
    assert field.default == DEADLINES[option].seconds
    assert field.metadata["help"] == DEADLINES[option].why


@pytest.mark.parametrize("option", [option for option, deadline in DEADLINES.items() if deadline.min_rate])
def test_every_pace_of_a_table_is_a_limit_too(option: str) -> None:
    prefix = option.removesuffix("_timeout")
    defaults = {field.name: field.default for field in OPTIONS}
    assert defaults[f"{prefix}_min_rate"] == DEADLINES[option].min_rate
    assert defaults[f"{prefix}_grace"] == DEADLINES[option].grace


def test_no_limit_in_seconds_belongs_to_no_table() -> None:
    seconds = {field.name for field in OPTIONS if field.metadata["unit"] == "seconds"}
    assert {name for name in seconds if name.endswith("_timeout")} == set(DEADLINES)
    assert {name.removesuffix("_grace") + "_timeout" for name in seconds if name.endswith("_grace")} <= set(DEADLINES)


def test_limits_do_not_change() -> None:
    limits = Limits()
    with pytest.raises(FrozenInstanceError):
        limits.max_body = 5  # type: ignore[misc]
