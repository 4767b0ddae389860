"""The options of an edge: each has a group of its own, and no target that it is not for."""

from clerestory.server.cli.options.edge import EDGE_OPTIONS
from clerestory.server.cli.options.table import TABLE


def test_they_are_for_every_target_and_not_on_the_first_page() -> None:
    assert set(EDGE_OPTIONS) <= set(TABLE)
    assert not any(option.goals or option.brief for option in EDGE_OPTIONS)
