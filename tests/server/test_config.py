"""The limits: each has a unit and a reason, and each deadline is its table's own."""

from dataclasses import FrozenInstanceError, fields

import pytest

from clerestory.handlers.backends.pool import bounds as pools
from clerestory.handlers.backends.pool.bounds import Bound
from clerestory.handlers.websocket import bounds as websocket
from clerestory.server.config import OPTIONS, Limits
from clerestory.statemachines.contract import Deadline
from clerestory.statemachines.tables import TABLES

BOUNDS = (*pools.BOUNDS, *websocket.BOUNDS)
UNITS = {bound.unit for bound in BOUNDS}
DEADLINES = {
    spec.deadline.option: spec.deadline
    for name in TABLES
    for spec in TABLES[name].specs
    if isinstance(spec.deadline, Deadline)
}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_limit_has_a_unit_a_reason_and_a_default_of_its_kind(option: object) -> None:
    (found,) = [field for field in fields(Limits) if field is option]
    units = (
        "seconds",
        "bytes",
        "bytes/s",
        "requests",
        "responses",
        "streams",
        "frames",
        "fields",
        "ranges",
        "files",
        "connections",
        "switch",
    )
    assert found.metadata["unit"] in (*units, *UNITS)
    assert len(found.metadata["help"]) > 10
    assert not found.metadata["help"].endswith(".")
    assert isinstance(found.default, float if found.metadata["unit"] == "seconds" else int)
    assert found.default >= 0


@pytest.mark.parametrize("option", DEADLINES)
def test_every_deadline_of_a_table_is_a_limit_with_the_tables_default_and_reason(option: str) -> None:
    (field,) = [field for field in OPTIONS if field.name == option]
    assert field.default == DEADLINES[option].seconds
    assert field.metadata["help"] == DEADLINES[option].why


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.option)
def test_every_bound_of_a_backend_is_a_limit_with_its_default_and_reason(bound: Bound) -> None:
    (field,) = [field for field in OPTIONS if field.name == bound.option]
    assert field.default == bound.default
    assert dict(field.metadata) == {"unit": bound.unit, "help": bound.why}


@pytest.mark.parametrize("option", [option for option, deadline in DEADLINES.items() if deadline.min_rate])
def test_every_pace_of_a_table_is_a_limit_too(option: str) -> None:
    prefix = option.removesuffix("_timeout")
    defaults = {field.name: field.default for field in OPTIONS}
    assert defaults[f"{prefix}_min_rate"] == DEADLINES[option].min_rate
    assert defaults[f"{prefix}_grace"] == DEADLINES[option].grace


def test_every_limit_in_seconds_belongs_to_a_table_or_a_pool() -> None:
    seconds = {field.name for field in OPTIONS if field.metadata["unit"] == "seconds"}
    of_pools = {bound.option for bound in pools.BOUNDS}
    assert {name for name in seconds - of_pools if name.endswith(("_timeout", "_interval", "_back_off"))} == set(
        DEADLINES
    )
    assert {name.removesuffix("_grace") + "_timeout" for name in seconds if name.endswith("_grace")} <= set(DEADLINES)


PROMISED = {
    "keep_alive_timeout": 15,
    "head_timeout": 10,
    "body_timeout": 30,
    "body_min_rate": 240,
    "body_grace": 5,
    "backend_timeout": 75,
    "handler_total": 300,
    "half_close_timeout": 5,
    "send_timeout": 30,
    "send_min_rate": 240,
    "send_grace": 5,
    "linger_timeout": 2,
    "pause_timeout": 1,
    "drain_timeout": 30,
    "last_request_timeout": 1,
    "refuse_timeout": 1,
    "max_requests": 1000,
    "max_request_line": 8190,
    "max_field_line": 8190,
    "max_fields": 100,
    "max_head": 32 * 1024,
    "max_chunk_line": 256,
    "max_chunk_overhead": 16 * 1024,
    "max_body": 1024 * 1024,
    "max_output": 64 * 1024,
    "linger_total": 30,
    "max_linger": 256 * 1024 * 1024,
    "max_lingering": 256,
    "max_ranges": 16,
    "max_known_files": 1024,
    "max_accepts": 1024,
    "max_connections": 0,
}
"""What people rely on who set nothing. The pairs that exceed each by one are in the corpus and in tests/e2e."""


def test_the_defaults_are_those_that_are_promised() -> None:
    defaults = {field.name: field.default for field in OPTIONS}
    assert {name: defaults[name] for name in PROMISED} == PROMISED


def test_limits_do_not_change() -> None:
    limits = Limits()
    with pytest.raises(FrozenInstanceError):
        limits.max_body = 5  # type: ignore[misc]
