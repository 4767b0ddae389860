"""The machine of a connection that begins with the PROXY protocol, as a table."""

import pytest

from clerestory.statemachines.checks import report
from clerestory.statemachines.proxy_protocol import TABLE, State, Trigger


def test_the_table_holds() -> None:
    page, sound = report([TABLE])
    assert sound, page


def test_only_a_header_leads_on() -> None:
    """Every other way ends with the connection closed."""
    ways = {row.trigger: row.dest for row in TABLE.rows}
    assert ways.pop(Trigger.HEADER_RECEIVED) is State.HANDED_ON
    assert set(ways.values()) == {State.CLOSED}
    assert {*ways, Trigger.HEADER_RECEIVED} == set(Trigger)


@pytest.mark.parametrize("row", TABLE.rows, ids=lambda row: str(row.trigger))
def test_every_end_says_who_ended_it(row: object) -> None:
    assert row.ends is not None  # type: ignore[attr-defined]
