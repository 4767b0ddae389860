"""A run is held against the published ratios: what got slower is named, what was not measured is not judged."""

from pathlib import Path

import pytest

from benchmarks import published
from benchmarks.published import TOLERANCE


def test_ratios_come_back_as_they_were_kept(tmp_path: Path) -> None:
    path = published.write("servers", tmp_path, {"ours ÷ nginx": 1.23456, "ours ÷ uvicorn": 0.35})
    assert path.name == "servers.json"
    assert published.read("servers", tmp_path) == {"ours ÷ nginx": 1.235, "ours ÷ uvicorn": 0.35}


def test_a_suite_without_published_ratios_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"servers has no published ratios .*run it whole first"):
        published.read("servers", tmp_path)


@pytest.mark.parametrize(("part", "slower"), [(-0.5, False), (0.0, False), (TOLERANCE - 0.01, False), (0.16, True)])
def test_slower_is_what_is_beyond_the_tolerance(part: float, slower: bool) -> None:
    (change,) = published.changes({"x": 2.0}, {"x": 2.0 * (1 + part)})
    assert change.is_slower is slower
    assert change.part == pytest.approx(part)


def test_only_what_both_have_is_compared_and_the_most_slowed_comes_first() -> None:
    before = {"a": 1.0, "b": 1.0, "gone": 1.0}
    compared = published.changes(before, {"a": 1.1, "b": 1.5, "new": 9.0})
    assert [change.name for change in compared] == ["b", "a"]
    rows = published.table(compared).rows
    assert rows[0] == ("b", "1.00", "1.50", "+50%", "slower")
    assert rows[1] == ("a", "1.00", "1.10", "+10%", "")
